//! Which translations a machine wants now: by its mode, and by what a person has pinned.
//!
//! Tier 1's code comes with counters and without. Counters are stores, which cost short blocks a tenth of their speed; where harts run
//! freely, samples count loops in their place (see [`crate::tier::samples`]), and code counts only how often it left them. Code without any
//! never asks for tier 2. So what a block's code is like depends on the mode, and code of the other kind goes when the mode
//! or a pin changes: otherwise it would stay as it is for ever.

use super::block::Profile;
use super::translations::Tier;
use crate::cache::code::Code;
use crate::exec::mode::Mode;
use crate::tier::pins::{Level, Pins};
use std::sync::Arc;

/// Which blocks count in tier 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Flavour {
    /// None: there is no tier 2.
    #[default]
    Plain,
    /// Those that close a loop, and how often they left it only: only they gain so much in tier 2 that it pays for itself. Samples say
    /// how often they run.
    Sampled,
    /// The same, and their runs: the slices of deterministic harts are of one length, which may always end in the same block of a loop.
    Loops,
    /// All, and their runs.
    All,
}

impl Flavour {
    /// That of a mode; `counters`: whether there are any at all; `sampled`: samples are fair.
    pub fn of(mode: Mode, counters: bool, sampled: bool) -> Flavour {
        match mode {
            _ if !counters => Flavour::Plain,
            Mode::Interpreter | Mode::Tier1 => Flavour::Plain,
            Mode::Tier2 => Flavour::All,
            Mode::Adaptive if sampled => Flavour::Sampled,
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
    /// What it counts.
    pub profile: Profile,
    /// The block is entered by it, not by one of the tier above.
    pub current: bool,
}

impl Wanted {
    /// What tier 1's code of this block counts.
    pub fn profile(&self, code: &Code) -> Profile {
        match self.flavour {
            Flavour::Plain => Profile::Nothing,
            // Never the head of a region.
            _ if code.second_page.is_some() => Profile::Nothing,
            Flavour::All => Profile::Runs,
            _ if self.pins.level(code.pa) == Some(Level::Tier2) => Profile::Runs,
            _ if !code.closes_loop() => Profile::Nothing,
            Flavour::Sampled => Profile::Left,
            Flavour::Loops => Profile::Runs,
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
        let fits = match (made.profile, self.profile(head)) {
            (made, wanted) if made == wanted => true,
            (Profile::Nothing, _) => false,
            // Counters that are in nobody's way: regions are formed by them.
            _ => profiles && !made.current,
        };
        level != Some(Level::Interpreter) && fits
    }
}
