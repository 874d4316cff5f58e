//! What a person sees of running code beyond counters: where harts spend their time, and what translations there are.
//!
//! Whoever looks pays: without anybody asking for samples a hart reads one flag a slice.

pub mod apart;
pub mod list;
pub mod samples;

use serde::{Deserialize, Serialize};

/// How far up code has climbed: the tier, and whether a region was formed again by how it was left.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Stage {
    /// The interpreter.
    Interpreter = 0,
    /// Tier 1.
    Tier1 = 1,
    /// A region of tier 2 that still counts how it is left.
    Tier2 = 2,
    /// A region formed again with what was learnt: the highest level.
    Settled = 3,
}

impl Stage {
    /// All, lowest first.
    pub const ALL: [Stage; 4] = [Stage::Interpreter, Stage::Tier1, Stage::Tier2, Stage::Settled];

    /// Name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Stage::Interpreter => "Interpreter",
            Stage::Tier1 => "Tier 1",
            Stage::Tier2 => "Tier 2",
            Stage::Settled => "Tier 2, settled",
        }
    }
}
