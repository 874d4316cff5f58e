//! Helper calls: CSRs, traps, privileged instructions.

use super::{Lifter, dest};
use crate::guest::riscv::decode::Insn;
use crate::guest::riscv::helpers::Helper;
use crate::ir::{Op, Opcode, SINK};

impl Lifter {
    /// An illegal instruction; its bits become the trap value.
    pub(super) fn illegal(&mut self, raw: u32) {
        let operands = Op { a: SINK, imm: raw as i64, ..Op::new(Opcode::CallEnd) };
        self.call(Opcode::CallEnd, Helper::Illegal, operands);
    }

    /// A helper that gets sources and bits and has no destination of its own.
    pub(super) fn helper(&mut self, code: Opcode, helper: Helper, i: &Insn) {
        let operands = Op { code, a: SINK, b: i.rs1, c: i.rs2, aux: 0, imm: i.raw as i64 };
        self.call(code, helper, operands);
        if helper == Helper::AmocasQ {
            self.known.forget_all();
        }
    }

    /// CSRRW and its family. A write after which the block may go on costs no trip through the dispatcher.
    pub(super) fn csr(&mut self, i: &Insn) {
        // Bits 12..14: 1 write, 2 set, 3 clear; set and clear with x0 or 0 only read.
        let reads_only = i.raw >> 12 & 3 != 1 && i.raw >> 15 & 31 == 0;
        let code = if reads_only || goes_on_after(i.csr()) { Opcode::Call } else { Opcode::CallEnd };
        let operands = Op { code, a: dest(i.rd), b: i.rs1, c: 0, aux: 0, imm: i.raw as i64 };
        self.call(code, Helper::Csr, operands);
    }
}

/// Whether writing a CSR leaves what the rest of a block was lifted under as it was: mode, translation of code, rounding. Where
/// the float state changes or an interrupt is due, the helper leaves the block.
const fn goes_on_after(csr: u16) -> bool {
    matches!(
        csr,
        0x001                       // fflags
        | 0x100                     // sstatus
        | 0x104..=0x106             // sie, stvec, scounteren
        | 0x140..=0x144             // sscratch, sepc, scause, stval, sip
        | 0x14d                     // stimecmp
        | 0x300                     // mstatus
        | 0x302..=0x306             // medeleg, mideleg, mie, mtvec, mcounteren
        | 0x320 | 0x323..=0x33f     // mcountinhibit, mhpmevent3-31
        | 0x340..=0x344             // mscratch, mepc, mcause, mtval, mip
        | 0xb03..=0xb1f             // mhpmcounter3-31
    )
}
