//! Atomic memory operations, load-reserved and store-conditional, compare-and-swap.

use super::{Lifter, dest};
use crate::guest::riscv::decode::Insn;
use crate::ir::op::Align;
use crate::ir::{MemFlags, Op, Opcode};

/// Ordering bits of the encoding; atomics trap when misaligned (no Zam, no misaligned atomicity granule).
fn flags(size: u8, i: &Insn) -> u32 {
    let (acquire, release) = (i.raw >> 26 & 1 != 0, i.raw >> 25 & 1 != 0);
    MemFlags::plain(size as u32).align(Align::Trap).order(acquire, release).0
}

impl Lifter {
    /// AMO, LR and SC.
    pub(super) fn amo(&mut self, op: Opcode, size: u8, i: &Insn) {
        self.emit(Op { code: op, a: dest(i.rd), b: i.rs1, c: i.rs2, aux: flags(size, i), imm: 0 });
    }

    /// AMOCAS.W and AMOCAS.D: `rd` holds the value to compare with and takes the old one.
    pub(super) fn compare_swap(&mut self, size: u8, i: &Insn) {
        let a = if i.rd == 0 {
            // Compares with 0 and drops the old value.
            let temp = self.b.temp();
            self.b.push(Op { a: temp, ..Op::new(Opcode::Li) });
            temp
        } else {
            i.rd
        };
        self.emit(Op { code: Opcode::CompareSwap, a, b: i.rs1, c: i.rs2, aux: flags(size, i), imm: 0 });
    }
}
