//! Lifting: RISC-V instructions to IR blocks.
//!
//! The problem: the interpreter runs what comes out of here as it stands, so one op per instruction is the aim, and
//! a third of what a boot runs is run once, so lifting must cost little. One pass, no look-ahead: values
//! that are known (absolute, or relative to the block's pc) are tracked while emitting, and what they decide is
//! folded on the spot.
//!
//! Nothing here knows the block's address: pc is only ever an offset, so that a block serves any mapping of its bytes.

use super::decode::{self, Insn, Kind};
use super::helpers::Helper;
use super::model::Model;
use super::{KEY_FRM_INVALID, KEY_FS, KEY_FS_CLEAN, KEY_FS_OFF};
use crate::guest::LiftInput;
use crate::ir::builder::Builder;
use crate::ir::op::{Effects, RM_DYNAMIC};
use crate::ir::{Block, CallSite, Op, Opcode, Reg, SINK};

mod atomic;
mod float;
mod fold;
mod integer;
mod known;
mod memory;
mod system;

pub use float::fli_constant;
use known::Known;

/// Longest block in instructions.
pub const MAX_INSNS: u32 = 64;

/// Lifts the block at the start of `input.code`. Empty if the first instruction is cut off.
pub fn lift(model: &Model, input: LiftInput<'_>) -> Block {
    let mut lifter = Lifter { b: Builder::new(super::TEMPS, 8), known: Known::default(), key: input.key };
    let mut offset = 0usize;
    for _ in 0..input.max_insns.clamp(1, MAX_INSNS) {
        let Some((raw, len)) = input.code.get(offset..).and_then(decode::fetch) else {
            break;
        };
        lifter.b.begin(offset as u16, len, raw);
        match decode::decode(model, raw) {
            Some(insn) => lifter.insn(&insn),
            None => lifter.illegal(raw),
        }
        if lifter.b.ended() {
            break;
        }
        offset += len as usize;
    }
    lifter.b.finish()
}

/// A block under construction.
struct Lifter {
    b: Builder,
    known: Known,
    /// The block key; the float state in it becomes dirty with the first float write.
    key: u32,
}

/// Where a result goes: `x0` swallows it.
const fn dest(rd: Reg) -> Reg {
    if rd == 0 { SINK } else { rd }
}

impl Lifter {
    fn insn(&mut self, i: &Insn) {
        if i.row.form.is_float() && !self.float_prologue(i) {
            return self.illegal(i.raw);
        }
        match i.row.kind {
            Kind::Reserved => self.illegal(i.raw),
            Kind::Nop => {}
            Kind::Reg(op) => self.reg(op, i.rd, i.rs1, i.rs2),
            Kind::Imm(op) => self.imm(op, i.rd, i.rs1, i.imm),
            Kind::Unary(op) => self.unary(op, i.rd, i.rs1),
            Kind::Lui => self.li(i.rd, i.imm),
            Kind::Auipc => self.add_pc(i.rd, self.b.offset().wrapping_add(i.imm)),
            Kind::Jal => self.jal(i),
            Kind::Jalr => self.jalr(i),
            Kind::Branch(op) => self.branch(op, i),
            Kind::Load(op, size) => self.load(op, size, i),
            Kind::Store(op, size) => self.store(op, size, i),
            Kind::Amo(op, size) => self.amo(op, size, i),
            Kind::LoadReserved(size) => self.amo(Opcode::LoadReserved, size, i),
            Kind::StoreCond(size) => self.amo(Opcode::StoreCond, size, i),
            Kind::CompareSwap(size) => self.compare_swap(size, i),
            Kind::Fence => self.fence(i),
            Kind::Csr => self.csr(i),
            Kind::Call(helper) => self.helper(Opcode::Call, helper, i),
            Kind::CallEnd(helper) => self.helper(Opcode::CallEnd, helper, i),
            Kind::Float(op) => self.float(op, i),
            Kind::FloatConst => self.float_const(i),
        }
    }

    /// Whether a float instruction is legal under the block's key; marks the float state dirty before the first one
    /// that changes it.
    fn float_prologue(&mut self, i: &Insn) -> bool {
        if self.key & KEY_FS == KEY_FS_OFF {
            return false;
        }
        if i.row.form.has_rm() && i.rm() == RM_DYNAMIC && self.key & KEY_FRM_INVALID != 0 {
            return false;
        }
        let flags = matches!(i.row.kind, Kind::Float(op) if op.effects().has(Effects::FENV));
        if self.key & KEY_FS == KEY_FS_CLEAN && (flags || i.rd >= super::F0) {
            self.call(Opcode::Call, Helper::FloatDirty, Op { a: SINK, ..Op::new(Opcode::Call) });
            self.key = self.key & !KEY_FS | super::KEY_FS_DIRTY;
        }
        true
    }

    /// Emits an op that writes `rd` with a value that is not known.
    fn emit(&mut self, op: Op) {
        self.known.forget(op.a);
        self.b.push(op);
    }

    /// Emits a call from the current instruction.
    fn call(&mut self, code: Opcode, helper: Helper, operands: Op) {
        let aux = CallSite::new(helper as u16, self.b.insn()).0;
        self.emit(Op { code, aux, ..operands });
    }
}

#[cfg(test)]
mod tests;
