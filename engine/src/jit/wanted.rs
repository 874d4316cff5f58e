//! Which translations a machine wants now: by its mode, and by what a person has pinned.
//!
//! Tier 1's code comes with counters and without. Counters are stores, which cost short blocks a tenth of their speed; code without them
//! never asks for tier 2. So what a block's code is like depends on the mode, and code of the other kind goes when the mode
//! or a pin changes: otherwise it would stay as it is for ever.

use super::translations::Tier;
use crate::cache::code::Code;
use crate::exec::mode::Mode;
use crate::tier::pins::{Level, Pins};
use std::sync::Arc;

/// Which blocks count their runs in tier 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Flavour {
    /// None: there is no tier 2.
    #[default]
    Plain,
    /// Those that close a loop: only they gain so much in tier 2 that it pays for itself.
    Loops,
    /// All.
    All,
}

impl Flavour {
    /// That of a mode; `counters`: whether there are any at all.
    pub fn of(mode: Mode, counters: bool) -> Flavour {
        match mode {
            _ if !counters => Flavour::Plain,
            Mode::Interpreter | Mode::Tier1 => Flavour::Plain,
            Mode::Tier2 => Flavour::All,
            Mode::Adaptive => Flavour::Loops,
        }
    }
}

/// What is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Which blocks count.
    pub flavour: Flavour,
    /// What is pinned.
    pub pins: Pins,
}

/// A translation that may not be wanted.
pub struct Made<'a> {
    /// Its tier.
    pub tier: Tier,
    /// What it was made from, the entry first.
    pub parts: &'a [Arc<Code>],
    /// It counts its runs.
    pub counts: bool,
    /// The block is entered by it, not by one of the tier above.
    pub current: bool,
}

impl Wanted {
    /// Whether tier 1's code of this block counts its runs.
    pub fn counts(&self, code: &Code) -> bool {
        match self.flavour {
            Flavour::Plain => false,
            // Never the head of a region.
            _ if code.second_page.is_some() => false,
            Flavour::All => true,
            Flavour::Loops => code.closes_loop() || self.pins.level(code.pa) == Some(Level::Tier2),
        }
    }

    /// Whether a block may be part of a region.
    pub fn in_regions(&self, code: &Code) -> bool {
        self.flavour != Flavour::Plain && self.pins.level(code.pa).is_none_or(|l| l == Level::Tier2)
    }

    /// Whether a translation's entry is pinned as it was before.
    pub fn same_level(&self, before: &Wanted, parts: &[Arc<Code>]) -> bool {
        parts.first().is_none_or(|c| self.pins.level(c.pa) == before.pins.level(c.pa))
    }

    /// Whether a translation is as it should be.
    pub fn fits(&self, made: &Made) -> bool {
        let Some(head) = made.parts.first() else { return false };
        if made.tier == Tier::Two {
            return made.parts.iter().all(|c| self.in_regions(c));
        }
        let level = self.pins.level(head.pa);
        let profiles = self.flavour != Flavour::Plain;
        let counts = match (made.counts, self.counts(head)) {
            // Counters that are in nobody's way: regions are formed by them.
            (true, false) => profiles && !made.current,
            (counts, wanted) => counts == wanted,
        };
        level != Some(Level::Interpreter) && counts
    }
}
