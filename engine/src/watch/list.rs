//! Translations as a list, for tables: a copy of what is known of each.

use super::Stage;

/// A translation.
#[derive(Clone, PartialEq, Debug)]
pub struct Listed {
    /// Its number, which another may have once it is gone.
    pub id: u32,
    /// Physical address of its entry.
    pub pa: u64,
    /// The mode that its entry was lifted for.
    pub key: u32,
    /// Tier 1 or above.
    pub stage: Stage,
    /// The entry is run by it, and not by a translation above.
    pub current: bool,
    /// Physical addresses of its blocks, the entry first.
    pub blocks: Box<[u64]>,
    /// Guest instructions.
    pub insns: u32,
    /// Guest bytes.
    pub bytes: u32,
    /// Host bytes, cold parts included.
    pub host_bytes: u32,
    /// Direct exits, and how many of them lead to other translations now.
    pub exits: [u16; 2],
    /// Runs, if it counts them (see [`crate::jit::wanted::Flavour`]).
    pub runs: Option<u64>,
    /// Nanoseconds that it took to compile.
    pub compile_ns: u64,
}

/// Translations that are copied under one lock, at most: harts that compile meanwhile wait for it.
pub const PIECE: usize = 2_048;
