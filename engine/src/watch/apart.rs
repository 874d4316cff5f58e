//! A translation taken apart: what it was made from, and each of its forms, line beside line.

use super::Stage;

/// A guest instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Insn {
    /// Which block it is in.
    pub block: u32,
    /// Physical address.
    pub pa: u64,
    /// Guest address, relative to that of the entry.
    pub offset: i64,
    /// Its bytes, the first lowest; the first four of longer ones.
    pub raw: u32,
    /// Length in bytes.
    pub len: u8,
    /// Assembly.
    pub text: String,
}

/// A line of IR or CLIF.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The instruction that it comes from, an index into [`Apart::insns`].
    pub insn: Option<u32>,
    /// Its text.
    pub text: String,
}

/// What host code from some offset on is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mark {
    /// The head of the code: checks of budget and attention, registers that are loaded.
    Head,
    /// Of this instruction, an index into [`Apart::insns`].
    Insn(u32),
    /// Ways out that are not linked, calls of slow paths.
    Stub,
    /// No code: what the code refers to.
    Data,
}

/// Host code that lies in one piece.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Piece {
    /// Host address of its first byte.
    pub address: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What it is from which offset on, in order; empty if that is not known.
    pub marks: Vec<(u32, Mark)>,
}

/// A translation, or a block that has none, in all its forms.
#[derive(Clone, PartialEq, Debug)]
pub struct Apart {
    /// How it runs.
    pub stage: Stage,
    /// Guest instructions, by block, the entry's first.
    pub insns: Vec<Insn>,
    /// Of each block the physical address.
    pub blocks: Vec<u64>,
    /// IR as it was lifted,
    pub lifted: Vec<Line>,
    /// and after the passes.
    pub passed: Vec<Line>,
    /// CLIF, of regions.
    pub clif: Vec<Line>,
    /// Host code: that which is run most, and the rest if it lies elsewhere.
    pub host: Vec<Piece>,
}
