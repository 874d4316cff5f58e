//! A block of IR and the side table of guest instruction boundaries.
//!
//! Boundaries are not ops: a marker that is dispatched costs the interpreter a third of its speed. They are a table
//! from op index to guest instruction, looked up when something faults, is printed or is compiled.

use super::op::Op;

/// Where a guest instruction starts in a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Boundary {
    /// Index of the first op of the instruction. An instruction without ops shares the index of the next.
    pub op: u16,
    /// Offset of the instruction from the block's first byte.
    pub offset: u16,
    /// Length in bytes.
    pub len: u8,
    /// The first four bytes of the instruction, little endian, zero-extended.
    pub raw: u32,
}

/// Straight-line guest code as IR; the last op, and no other, is a terminator.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Block {
    /// The ops.
    pub ops: Vec<Op>,
    /// One entry per guest instruction, in order.
    pub bounds: Vec<Boundary>,
    /// Guest bytes covered.
    pub bytes: u32,
}

impl Block {
    /// Guest instructions in the block.
    pub fn insns(&self) -> u32 {
        self.bounds.len() as u32
    }

    /// The number of the guest instruction that op `index` belongs to.
    pub fn insn_of(&self, index: usize) -> usize {
        self.bounds.partition_point(|b| b.op as usize <= index).saturating_sub(1)
    }
}
