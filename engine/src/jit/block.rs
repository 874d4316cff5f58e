//! What a block compiler gets, and how it says no.

use super::emitted::Emitted;
use crate::guest::StateMoves;
use crate::ir::{Boundary, Op, Reg};
use thiserror::Error;

/// What a block's code counts of itself in its record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Profile {
    /// Nothing.
    #[default]
    Nothing,
    /// How often its branch was not taken, which is where a loop ends. Samples say how often it has run.
    Left,
    /// That, and its runs, of which the last that the counter has leaves the code.
    Runs,
}

/// A block to compile. The ops have passed the verifier's rules: one terminator, the last.
#[derive(Clone, Copy, Debug)]
pub struct BlockInput<'a> {
    /// The ops.
    pub ops: &'a [Op],
    /// One entry per guest instruction.
    pub bounds: &'a [Boundary],
    /// Offset of the block in its guest page.
    pub page_offset: u16,
    /// Whether the block lies in one guest page; only then may its exits be linked directly.
    pub one_page: bool,
    /// Whether plain misaligned accesses raise an exception.
    pub traps_misaligned: bool,
    /// The machine has no other hart: no access of its own can come between the two halves of a read-modify-write. Devices do not
    /// change words that the guest changes by such.
    pub alone: bool,
    /// What to count in the record.
    pub profile: Profile,
    /// The word that always reads as zero and is never written.
    pub zero: Option<Reg>,
    /// [`Guest::state_moves`](crate::guest::Guest::state_moves).
    pub state_moves: StateMoves,
    /// The first temporary; temporaries are dead at the block's end.
    pub temps: Reg,
}

/// Compiles single blocks: tier 1. What comes out keeps the contract of [`super::abi`]. One for each thread, because it reuses its
/// memory.
pub trait BlockCompiler: Send {
    /// Compiles one block into memory that can be used again and again.
    fn compile_into(&mut self, input: &BlockInput<'_>, out: &mut Emitted) -> Result<(), Failed>;

    /// Compiles one block.
    fn compile(&mut self, input: &BlockInput<'_>) -> Result<Emitted, Failed> {
        let mut out = Emitted::default();
        self.compile_into(input, &mut out)?;
        Ok(out)
    }
}

/// Why a block was not compiled. It stays in the tier below.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Failed {
    /// Too many ops or instructions, or more code than the buffer holds.
    #[error("the block is too long")]
    TooLong,
    /// The block breaks the verifier's rules.
    #[error("the block is malformed")]
    Malformed,
    /// It spans two pages, and this compiler takes no such blocks.
    #[error("the block spans two pages")]
    TwoPages,
    /// A mistake in the compiler, found before the code was used.
    #[error("the compiler emitted code that cannot be finished")]
    Internal,
}
