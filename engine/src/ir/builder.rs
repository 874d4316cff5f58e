//! Building a block: ops, instruction boundaries and temporaries in step.

use super::block::{Block, Boundary};
use super::op::{Op, Opcode, Reg, SINK};

/// Makes a [`Block`], one guest instruction after the other.
#[derive(Debug)]
pub struct Builder {
    block: Block,
    first_temp: Reg,
    next_temp: Reg,
}

impl Builder {
    /// A builder for a guest whose temporaries start at `first_temp`, for about `insns` instructions.
    pub fn new(first_temp: Reg, insns: usize) -> Builder {
        let mut block = Block::default();
        block.ops.reserve(insns + 1);
        block.bounds.reserve(insns);
        Builder { block, first_temp, next_temp: first_temp }
    }

    /// Starts the instruction at byte `offset`. The temporaries of the one before are free again.
    #[inline]
    pub fn begin(&mut self, offset: u16, len: u8, raw: u32) {
        let op = self.block.ops.len() as u16;
        self.block.bounds.push(Boundary { op, offset, len, raw });
        self.block.bytes = offset as u32 + len as u32;
        self.next_temp = self.first_temp;
    }

    /// Appends an op to the current instruction.
    #[inline]
    pub fn push(&mut self, op: Op) {
        debug_assert!(!self.ended(), "op after a terminator");
        self.block.ops.push(op);
    }

    /// A temporary that lives until the end of the current instruction.
    pub fn temp(&mut self) -> Reg {
        let temp = self.next_temp;
        assert!(temp < SINK, "an instruction needs too many temporaries");
        self.next_temp += 1;
        temp
    }

    /// The number of the current instruction.
    pub fn insn(&self) -> u16 {
        (self.block.bounds.len() as u16).saturating_sub(1)
    }

    /// Offset of the current instruction from the block's first byte.
    pub fn offset(&self) -> i64 {
        self.block.bounds.last().map_or(0, |b| b.offset as i64)
    }

    /// Offset of the byte after the current instruction.
    pub fn next_offset(&self) -> i64 {
        self.block.bytes as i64
    }

    /// Whether the block has its terminator.
    pub fn ended(&self) -> bool {
        self.block.ops.last().is_some_and(Op::ends)
    }

    /// The block. If control did not leave it, it goes on behind the last instruction; without instructions it is
    /// empty.
    pub fn finish(mut self) -> Block {
        if !self.block.bounds.is_empty() && !self.ended() {
            self.push(Op { imm: self.next_offset(), ..Op::new(Opcode::Exit) });
        }
        self.block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_without_ops_share_the_index_of_the_next() {
        let mut b = Builder::new(64, 4);
        b.begin(0, 2, 1);
        b.begin(2, 4, 0x13);
        assert_eq!((b.temp(), b.temp()), (64, 65));
        b.push(Op::rri(Opcode::AddI, 5, 5, 1));
        b.begin(6, 2, 1);
        assert_eq!((b.temp(), b.insn(), b.offset(), b.next_offset()), (64, 2, 6, 8));
        let block = b.finish();
        assert_eq!(block.bounds.iter().map(|b| b.op).collect::<Vec<_>>(), [0, 0, 1]);
        assert_eq!((block.bytes, block.ops.len()), (8, 2));
        assert_eq!(block.ops[1], Op { imm: 8, ..Op::new(Opcode::Exit) });
        assert_eq!(block.insn_of(1), 2);
    }

    #[test]
    fn nothing_makes_an_empty_block() {
        assert_eq!(Builder::new(64, 4).finish(), Block::default());
    }
}
