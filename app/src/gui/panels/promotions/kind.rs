//! Kinds of decisions: their names, their colours, and their reasons in words.

use crate::gui::format::{grouped, three_digits};
use crate::gui::theme;
use crate::machine::api::EngineMode;
use egui::{Color32, Ui};
use engine::tier::events::What;

/// A kind of decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Compiled by tier 1.
    Tier1,
    /// Asked for tier 2.
    Asked,
    /// Compiled by tier 2.
    Tier2,
    /// Asked to be formed again.
    Again,
    /// Stays in tier 1 for now.
    Waits,
    /// Held by a pin.
    Pinned,
    /// Refused by a compiler.
    Refused,
    /// Dropped because the guest wrote there.
    Invalidated,
    /// Dropped for room.
    Evicted,
}

impl Kind {
    /// All kinds, in the order of lanes and filter.
    pub const ALL: [Kind; 9] = [
        Kind::Tier1,
        Kind::Asked,
        Kind::Tier2,
        Kind::Again,
        Kind::Waits,
        Kind::Pinned,
        Kind::Refused,
        Kind::Invalidated,
        Kind::Evicted,
    ];

    /// The kind of a decision.
    pub const fn of(what: &What) -> Kind {
        match what {
            What::Tier1 { .. } => Kind::Tier1,
            What::Asked { .. } => Kind::Asked,
            What::Tier2 { .. } | What::Settled { .. } => Kind::Tier2,
            What::Again { .. } | What::InPage => Kind::Again,
            What::Waits { .. } => Kind::Waits,
            What::Pinned { .. } => Kind::Pinned,
            What::Failed { .. } => Kind::Refused,
            What::Invalidated { .. } => Kind::Invalidated,
            What::Evicted { .. } => Kind::Evicted,
        }
    }

    /// Its place among all.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name.
    pub const fn title(self) -> &'static str {
        match self {
            Kind::Tier1 => "Tier 1",
            Kind::Asked => "Asked",
            Kind::Tier2 => "Tier 2",
            Kind::Again => "Again",
            Kind::Waits => "Waits",
            Kind::Pinned => "Pinned",
            Kind::Refused => "Refused",
            Kind::Invalidated => "Invalidated",
            Kind::Evicted => "Evicted",
        }
    }

    /// What it means.
    pub const fn about(self) -> &'static str {
        match self {
            Kind::Tier1 => "A block was compiled by tier 1.",
            Kind::Asked => "A hot block was put into the queue of tier 2.",
            Kind::Tier2 => "A region was compiled by tier 2.",
            Kind::Again => "A region of tier 2 was asked for again, to be formed by how it was left.",
            Kind::Waits => "A hot block stays in tier 1 for now: tier 2 would not pay yet.",
            Kind::Pinned => "A pin decided, not heat.",
            Kind::Refused => "A compiler refused the code; it stays in the tier below.",
            Kind::Invalidated => "Translations were dropped because the guest wrote to the code under them.",
            Kind::Evicted => "Translations were dropped because code memory was full.",
        }
    }

    /// Its colour: that of the tier in which the code is then, or none of a tier's.
    pub fn color(self, ui: &Ui) -> Color32 {
        let p = theme::palette(ui);
        match self {
            Kind::Tier1 | Kind::Waits => theme::engine_color(EngineMode::Tier1),
            Kind::Asked | Kind::Tier2 | Kind::Again => theme::engine_color(EngineMode::Tier2),
            Kind::Pinned => p.accent,
            Kind::Refused => p.error,
            Kind::Invalidated | Kind::Evicted => p.text,
        }
    }
}

/// Why, in words that follow the kind's title.
pub fn reason(what: &What) -> String {
    match *what {
        What::Tier1 { runs: 0 } => "before its first run".to_owned(),
        What::Tier1 { runs } => format!("after {} in the interpreter", plural(runs, "run")),
        What::Asked { heat, .. } => format!("after {} runs in tier 1: tier 2 pays", count(heat)),
        What::Waits { heat } => format!("after {} runs in tier 1: tier 2 would not pay", count(heat)),
        What::Tier2 { insns } => format!("as a region of {}", plural(insns.into(), "instruction")),
        What::Settled { insns, pages } => {
            format!("formed again: {}, {}", plural(insns.into(), "instruction"), plural(pages.into(), "page"))
        }
        What::InPage => "because its pages were not mapped as it wants".to_owned(),
        What::Again { heat, failed: false } => format!("after {} runs in tier 2", count(heat)),
        What::Again { heat, failed: true } => format!("because {} of its guesses failed", count(heat)),
        What::Pinned { tier: 0 } => "to the interpreter".to_owned(),
        What::Pinned { tier } => format!("to tier {tier}"),
        What::Failed { tier } => format!("by tier {tier}"),
        What::Invalidated { count } => {
            format!("by a write: {}", plural(count.into(), "translation"))
        }
        What::Evicted { count } => format!("for room: {}", plural(count.into(), "translation")),
    }
}

/// Estimated saving, in milliseconds.
pub fn saving(what: &What) -> Option<String> {
    match what {
        What::Asked { saving_ns, .. } => Some(three_digits(saving_ns / 1e6)),
        _ => None,
    }
}

fn plural(n: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}

fn count(n: f64) -> String {
    grouped(n.max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_in_order_and_reasons_are_words() {
        for (i, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), i);
        }
        assert_eq!(reason(&What::Tier1 { runs: 24 }), "after 24 runs in the interpreter");
        assert_eq!(reason(&What::Tier2 { insns: 1 }), "as a region of 1 instruction");
        assert_eq!(
            reason(&What::Asked { heat: 4_096.4, saving_ns: 1.8e9 }),
            "after 4\u{2009}096 runs in tier 1: tier 2 pays"
        );
        assert_eq!(saving(&What::Asked { heat: 1.0, saving_ns: 1.8e9 }).as_deref(), Some("1\u{2009}800"));
        assert_eq!(saving(&What::InPage), None);
        assert_eq!(Kind::of(&What::Settled { insns: 1, pages: 1 }), Kind::Tier2);
        assert!(reason(&What::Waits { heat: f64::NAN }).starts_with("after 0 runs"));
    }
}
