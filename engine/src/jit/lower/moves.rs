//! Moves of the hart's state that are helper calls to the interpreter: CSRs that are plain words, and counters of instructions.
//!
//! Where the guard does not allow one it faults, or nearly always so: the region is left before it, as before an access
//! that compiled code cannot do.

use super::Lower;
use crate::guest::{StateChange, StateGuard, StateMove, StateWrite};
use crate::ir::{CallSite, Op};
use crate::jit::abi::STATE;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};

/// Displacement from the state pointer of a place in the hart.
fn disp(at: usize) -> i32 {
    at as i32 - STATE
}

impl Lower<'_> {
    /// Lowers a call for which [`GuestRules::state_moves`](crate::jit::region::GuestRules::state_moves) has an answer.
    pub fn state_move(&mut self, op: &Op) {
        let Some(m) = (self.region.rules.state_moves)(op) else { return };
        self.at.insn = CallSite(op.aux).insn().into();
        self.guard(m.guard);
        let word = self.state_load(types::I64, disp(m.at));
        if let Some(write) = &m.write {
            let new = self.changed(op, word, write);
            self.state_store(new, disp(m.at));
        }
        let value = self.seen(word, &m);
        self.set(op.a, value);
    }

    /// Goes on where the guard allows it.
    fn guard(&mut self, guard: StateGuard) {
        let refused = match guard {
            StateGuard::AtLeast { least: 0, .. } => return,
            StateGuard::AtLeast { at, least } => {
                let byte = self.state_load(types::I8, disp(at));
                self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, byte, i64::from(least))
            }
            StateGuard::Bits { set, clear, bits } => {
                let [one, other, not] =
                    [set[0], set[1], clear].map(|at| self.state_load(types::I32, disp(at)));
                let both = self.b.ins().band(one, other);
                let not = self.b.ins().bnot(not);
                let all = self.b.ins().band(both, not);
                let of = self.b.ins().band_imm_u(all, i64::from(bits));
                self.b.ins().icmp_imm_u(IntCC::NotEqual, of, i64::from(bits))
            }
        };
        let [stop, on] = [(); 2].map(|()| self.b.create_block());
        self.b.set_cold_block(stop);
        self.b.ins().brif(refused, stop, &[], on, &[]);
        self.go_on_in(stop);
        let out = self.way_out();
        self.b.ins().jump(out, &[]);
        self.go_on_in(on);
    }

    /// What the word becomes.
    fn changed(&mut self, op: &Op, word: Value, write: &StateWrite) -> Value {
        let operand = match write.number {
            Some(n) => self.number(n.into()),
            None => self.get(op.b),
        };
        let new = match write.how {
            StateChange::Replace => operand,
            StateChange::Set => self.b.ins().bor(word, operand),
            StateChange::Clear => {
                let kept = self.b.ins().bnot(operand);
                self.b.ins().band(word, kept)
            }
        };
        if write.even { self.b.ins().band_imm_s(new, !1) } else { new }
    }

    /// What of the word goes to the destination.
    fn seen(&mut self, word: Value, m: &StateMove) -> Value {
        let mut value = word;
        if let Some(places) = m.counts {
            for at in places {
                let more = self.state_load(types::I64, disp(at));
                value = self.b.ins().iadd(value, more);
            }
            let budget = self.budget_after(self.at.insn);
            value = self.b.ins().isub(value, budget);
        }
        if m.seen != u64::MAX {
            let seen = self.number(m.seen as i64);
            value = self.b.ins().band(value, seen);
        }
        if m.summary != 0 {
            let all = self.number(m.summary.into());
            let of = self.b.ins().band(value, all);
            let whole = self.b.ins().icmp(IntCC::Equal, of, all);
            let bit = self.b.ins().uextend(types::I64, whole);
            let top = self.b.ins().ishl_imm_s(bit, 63);
            value = self.b.ins().bor(value, top);
        }
        value
    }
}
