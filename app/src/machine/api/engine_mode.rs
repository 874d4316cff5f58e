//! How guest code runs, in the words of people, configurations and command lines.

use engine::exec::mode::Mode;
use engine::host::COMPILES;
use serde::{Deserialize, Serialize};

/// How guest code runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineMode {
    /// The interpreter only.
    Interpreter,
    /// Every block is compiled by tier 1, the block compiler.
    Tier1,
    /// As tier 1, and what runs at all often by tier 2, the optimising compiler.
    Tier2,
    /// All tiers, chosen by heat.
    Adaptive,
    /// The host CPU's virtualisation.
    Accelerated,
}

impl Default for EngineMode {
    /// The best that this host can do.
    fn default() -> EngineMode {
        if COMPILES { EngineMode::Adaptive } else { EngineMode::Interpreter }
    }
}

impl EngineMode {
    /// All modes.
    pub const ALL: [EngineMode; 5] = [
        EngineMode::Interpreter,
        EngineMode::Tier1,
        EngineMode::Tier2,
        EngineMode::Adaptive,
        EngineMode::Accelerated,
    ];

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            EngineMode::Interpreter => "Interpreter",
            EngineMode::Tier1 => "Tier 1",
            EngineMode::Tier2 => "Tier 2",
            EngineMode::Adaptive => "Adaptive",
            EngineMode::Accelerated => "Accelerated",
        }
    }

    /// Its word in configurations and on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            EngineMode::Interpreter => "interpreter",
            EngineMode::Tier1 => "tier1",
            EngineMode::Tier2 => "tier2",
            EngineMode::Adaptive => "adaptive",
            EngineMode::Accelerated => "accelerated",
        }
    }

    /// The mode with this word.
    pub fn from_word(word: &str) -> Option<EngineMode> {
        EngineMode::ALL.into_iter().find(|m| m.word() == word)
    }

    /// The tiers that it stands for; `None` if the engine's tiers are not what runs the guest.
    pub const fn tiers(self) -> Option<Mode> {
        match self {
            EngineMode::Interpreter => Some(Mode::Interpreter),
            EngineMode::Tier1 => Some(Mode::Tier1),
            EngineMode::Tier2 => Some(Mode::Tier2),
            EngineMode::Adaptive => Some(Mode::Adaptive),
            EngineMode::Accelerated => None,
        }
    }

    /// Why this build cannot run in this mode, or `None` when it can.
    pub const fn unavailable(self) -> Option<&'static str> {
        match self {
            EngineMode::Interpreter => None,
            EngineMode::Tier1 | EngineMode::Tier2 | EngineMode::Adaptive => {
                if COMPILES {
                    None
                } else {
                    Some("This version has no compiler for this computer's processor.")
                }
            }
            EngineMode::Accelerated => {
                Some("Acceleration needs a guest of the host's own architecture, which this version has not.")
            }
        }
    }

    /// The available mode after this one, and the first one after the last: what a key switches to.
    pub fn next_available(self) -> EngineMode {
        let at = EngineMode::ALL.iter().position(|m| *m == self).unwrap_or(0);
        let rest = EngineMode::ALL.into_iter().cycle().skip(at + 1).take(EngineMode::ALL.len());
        rest.into_iter().find(|m| m.unavailable().is_none()).unwrap_or(self)
    }
}

impl From<Mode> for EngineMode {
    fn from(mode: Mode) -> EngineMode {
        match mode {
            Mode::Interpreter => EngineMode::Interpreter,
            Mode::Tier1 => EngineMode::Tier1,
            Mode::Tier2 => EngineMode::Tier2,
            Mode::Adaptive => EngineMode::Adaptive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_tiers_lead_back() {
        for mode in EngineMode::ALL {
            assert_eq!(EngineMode::from_word(mode.word()), Some(mode));
            assert!(mode.tiers().is_none_or(|tiers| EngineMode::from(tiers) == mode));
        }
        assert_eq!(EngineMode::from_word("jit"), None);
    }

    #[test]
    fn what_can_be_chosen_depends_on_the_host() {
        let can = |mode: EngineMode| mode.unavailable().is_none();
        assert!(can(EngineMode::Interpreter) && can(EngineMode::default()) && !can(EngineMode::Accelerated));
        for mode in [EngineMode::Tier1, EngineMode::Tier2, EngineMode::Adaptive] {
            assert_eq!(can(mode), COMPILES);
        }
        // Once round, whatever there is.
        let mut mode = EngineMode::Interpreter;
        let count = EngineMode::ALL.into_iter().filter(|m| can(*m)).count();
        for step in 1..=count {
            mode = mode.next_available();
            assert!(can(mode));
            assert_eq!(mode == EngineMode::Interpreter, step == count);
        }
    }
}
