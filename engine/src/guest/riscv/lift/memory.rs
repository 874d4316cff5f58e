//! Loads, stores and fences.

use super::{Lifter, dest};
use crate::guest::riscv::decode::Insn;
use crate::ir::{MemFlags, Op, Opcode};

impl Lifter {
    /// An integer or float load. A load to `x0` still faults.
    pub(super) fn load(&mut self, op: Opcode, size: u8, i: &Insn) {
        let aux = MemFlags::plain(size as u32).0;
        self.emit(Op { code: op, a: dest(i.rd), b: i.rs1, c: 0, aux, imm: i.imm });
    }

    /// An integer or float store; narrow floats are the low bits of their register.
    pub(super) fn store(&mut self, op: Opcode, size: u8, i: &Insn) {
        let aux = MemFlags::plain(size as u32).0;
        self.b.push(Op { code: op, a: 0, b: i.rs1, c: i.rs2, aux, imm: i.imm });
    }

    /// FENCE: `aux` is the predecessor set (bits 4..8) and the successor set (0..4), each I, O, R, W from the top.
    pub(super) fn fence(&mut self, i: &Insn) {
        let sets = i.raw >> 20 & 0xff;
        // With either set empty it is a hint.
        if sets & 0xf0 != 0 && sets & 0x0f != 0 {
            self.b.push(Op { aux: sets, ..Op::new(Opcode::Fence) });
        }
    }
}
