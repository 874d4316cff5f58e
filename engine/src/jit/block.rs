//! What tier 1 gets: one block, and what it may assume.

use crate::ir::op::Reg;
use crate::ir::{Boundary, Op};

/// A block to compile.
#[derive(Clone, Copy, Debug)]
pub struct BlockInput<'a> {
    /// Its ops.
    pub ops: &'a [Op],
    /// Its guest instructions.
    pub bounds: &'a [Boundary],
    /// Where in its guest page it begins.
    pub page_offset: u16,
    /// Whether all of it lies in that page. If not it gets no link slots.
    pub one_page: bool,
    /// Misaligned accesses raise an exception.
    pub traps_misaligned: bool,
    /// Count runs and branches taken.
    pub profile: bool,
    /// A guest word that is always zero.
    pub zero: Option<Reg>,
    /// The first temporary word: dead at the block's end.
    pub temps: Reg,
}

/// Why a block stays in the interpreter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failed {
    /// Its code would be too long for short offsets.
    #[error("the block is too long to compile")]
    TooLong,
    /// The block has no terminator.
    #[error("the block does not end")]
    NoEnd,
}
