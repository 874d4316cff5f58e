//! Atomic accesses, inline where the TLB has the page: read-modify-writes, LR, SC, CAS, and fences.
//!
//! The host's own atomic operations do the work; all are sequentially consistent whatever was asked for, and never misaligned. Where
//! the machine has one hart only, plain accesses do: nothing else changes these words. The
//! reservation lies in the state, as every tier keeps it. What is not ordinary (a page with code, a misaligned address, an SC
//! without its reservation) leaves the region before the instruction, and the interpreter does it.

use super::values::TRUSTED;
use super::{Lower, memory};
use crate::disp;
use crate::exec::core::NOTHING_HELD;
use crate::ir::op::{Align, MemFlags};
use crate::ir::{Op, Opcode};
use cranelift_codegen::ir::condcodes::IntCC;
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

/// Whether the op, which is LR, SC or CAS, is one of the two widths that are done inline.
pub fn is_inline(op: &Op) -> bool {
    (2..=3).contains(&MemFlags(op.aux).size())
}

impl Lower<'_> {
    /// Lowers an atomic access.
    pub fn atomic(&mut self, op: &Op) {
        match op.code {
            Opcode::LoadReserved => self.load_reserved(op),
            Opcode::StoreCond => self.store_cond(op),
            Opcode::CompareSwap => self.compare_swap(op),
            _ => self.amo(op),
        }
    }

    /// Where the access is in the host, once its check is made.
    fn reach_atomic(&mut self, op: &Op, store: bool) -> Value {
        let va = self.get(op.b);
        let reached = self.reach(va, 0, MemFlags(op.aux).align(Align::Trap), store, self.mode());
        self.offset(reached.at, reached.disp.into())
    }

    fn amo(&mut self, op: &Op) {
        let ty = width(MemFlags(op.aux));
        let at = self.reach_atomic(op, true);
        let by = self.of_width(op.c, ty);
        let old = if self.region.rules.alone {
            let old = self.b.ins().load(ty, memory::GUEST, at, 0);
            let new = self.modified(operation(op.code), old, by);
            self.b.ins().store(memory::GUEST, new, at, 0);
            old
        } else {
            self.b.ins().atomic_rmw(ty, TRUSTED, operation(op.code), at, by)
        };
        self.set_old(op, old, ty);
    }

    fn modified(&mut self, by: AtomicRmwOp, old: Value, with: Value) -> Value {
        let ins = self.b.ins();
        match by {
            AtomicRmwOp::Add => ins.iadd(old, with),
            AtomicRmwOp::And => ins.band(old, with),
            AtomicRmwOp::Or => ins.bor(old, with),
            AtomicRmwOp::Xor => ins.bxor(old, with),
            AtomicRmwOp::Smin => ins.smin(old, with),
            AtomicRmwOp::Smax => ins.smax(old, with),
            AtomicRmwOp::Umin => ins.umin(old, with),
            AtomicRmwOp::Umax => ins.umax(old, with),
            _ => with,
        }
    }

    /// What was there; `new` is there now if that was `expected`.
    fn swapped(&mut self, at: Value, expected: Value, new: Value, ty: Type) -> Value {
        if !self.region.rules.alone {
            return self.b.ins().atomic_cas(TRUSTED, at, expected, new);
        }
        let old = self.b.ins().load(ty, memory::GUEST, at, 0);
        let same = self.b.ins().icmp(IntCC::Equal, old, expected);
        let now = self.b.ins().select(same, new, old);
        self.b.ins().store(memory::GUEST, now, at, 0);
        old
    }

    /// What an access of this width takes of a word.
    fn of_width(&mut self, word: u8, ty: Type) -> Value {
        if ty == types::I64 {
            return self.get(word);
        }
        let value = self.peek(word);
        let low = self.low(value);
        if ty == types::I32 { low } else { self.b.ins().ireduce(ty, low) }
    }

    /// The op's result is what was read, sign-extended.
    fn set_old(&mut self, op: &Op, old: Value, ty: Type) {
        let old = match ty {
            types::I64 => old,
            types::I32 => self.signed(old),
            _ => self.b.ins().sextend(types::I64, old),
        };
        self.set(op.a, old);
    }

    fn compare_swap(&mut self, op: &Op) {
        let ty = width(MemFlags(op.aux));
        let at = self.reach_atomic(op, true);
        let (expected, new) = (self.of_width(op.a, ty), self.of_width(op.c, ty));
        let old = self.swapped(at, expected, new, ty);
        self.set_old(op, old, ty);
    }

    fn load_reserved(&mut self, op: &Op) {
        let flags = MemFlags(op.aux);
        let ty = width(flags);
        let at = self.reach_atomic(op, false);
        if flags.release() {
            // LR.RL: stores before it are seen before it reads.
            self.full_fence();
        }
        let value = self.b.ins().load(ty, memory::GUEST, at, 0);
        let kept = if ty == types::I64 { value } else { self.b.ins().uextend(types::I64, value) };
        let va = self.get(op.b);
        self.state_store(va, disp!(held.va));
        self.state_store(kept, disp!(held.value));
        self.hold(flags.size().into());
        self.set_old(op, value, ty);
    }

    fn hold(&mut self, size_log2: u64) {
        let size = self.number(size_log2 as i64);
        self.state_store(size, disp!(held.size_log2));
    }

    fn store_cond(&mut self, op: &Op) {
        let flags = MemFlags(op.aux);
        let ty = width(flags);
        let va = self.get(op.b);
        let held = self.state_load(types::I64, disp!(held.va));
        let other = self.b.ins().bxor(va, held);
        let size = self.state_load(types::I64, disp!(held.size_log2));
        let other_size = self.b.ins().bxor_imm_s(size, i64::from(flags.size()));
        let other = self.b.ins().bor(other, other_size);
        let (on, out) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(out);
        self.b.ins().brif(other, out, &[], on, &[]);
        self.go_on_in(out);
        let way = self.way_out();
        self.b.ins().jump(way, &[]);
        self.go_on_in(on);

        let at = self.reach_atomic(op, true);
        let expected = self.state_load(ty, disp!(held.value));
        self.hold(NOTHING_HELD);
        let new = self.of_width(op.c, ty);
        let old = self.swapped(at, expected, new, ty);
        let failed = self.flag(IntCC::NotEqual, old, expected);
        self.set(op.a, failed);
    }

    /// Lowers a fence. TSO keeps everything in order but a store before a load (unprivileged spec, appendix "RVWMO", table of
    /// mappings to TSO).
    pub fn fence(&mut self, op: &Op) {
        const WRITES: u32 = 0b0101 << 4;
        const READS: u32 = 0b1010;
        if cfg!(not(target_arch = "x86_64")) || op.aux & WRITES != 0 && op.aux & READS != 0 {
            self.full_fence();
        }
    }

    /// A locked operation on the stack orders stores before loads and costs less than a fence of its own.
    fn full_fence(&mut self) {
        let slot = self.b.ins().stack_addr(types::I64, self.pc, 0);
        let nothing = self.b.ins().iconst(types::I64, 0);
        self.b.ins().atomic_rmw(types::I64, TRUSTED, AtomicRmwOp::Or, slot, nothing);
    }
}
