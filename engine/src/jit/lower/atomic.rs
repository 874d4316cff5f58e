//! Atomic read-modify-writes: inline where the TLB lets us store, as the host's own atomic operation.

use super::Lower;
use super::pages::Mode;
use super::values::TRUSTED;
use crate::ir::op::{Align, MemFlags};
use crate::ir::{Op, Opcode};
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, Type, Value, types};

const fn width(flags: MemFlags) -> Type {
    match flags.size() {
        0 => types::I8,
        1 => types::I16,
        2 => types::I32,
        _ => types::I64,
    }
}

const fn operation(code: Opcode) -> AtomicRmwOp {
    match code {
        Opcode::AmoAdd => AtomicRmwOp::Add,
        Opcode::AmoXor => AtomicRmwOp::Xor,
        Opcode::AmoAnd => AtomicRmwOp::And,
        Opcode::AmoOr => AtomicRmwOp::Or,
        Opcode::AmoMin => AtomicRmwOp::Smin,
        Opcode::AmoMax => AtomicRmwOp::Smax,
        Opcode::AmoMinu => AtomicRmwOp::Umin,
        Opcode::AmoMaxu => AtomicRmwOp::Umax,
        _ => AtomicRmwOp::Xchg,
    }
}

impl Lower<'_> {
    /// Lowers a read-modify-write. All are sequentially consistent whatever was asked for, and never misaligned.
    pub fn amo(&mut self, op: &Op) {
        let flags = MemFlags(op.aux);
        let ty = width(flags);
        let (va, by) = (self.get(op.b), self.get(op.c));
        let reached = self.reach(va, 0, flags.align(Align::Trap), true, Mode::Look);
        let by = if ty == types::I64 { by } else { self.b.ins().ireduce(ty, by) };
        let old = self.b.ins().atomic_rmw(ty, TRUSTED, operation(op.code), reached.at, by);
        let old = self.widened(old, ty);
        self.set(op.a, old);
    }

    fn widened(&mut self, value: Value, ty: Type) -> Value {
        if ty == types::I64 { value } else { self.b.ins().sextend(types::I64, value) }
    }
}
