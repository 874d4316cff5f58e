//! Slow paths: calls of thunks that preserve every register.
//!
//! Counts. The budget that is stored is what is left after the current guest instruction, and the meta word says that one
//! instruction is charged and has not retired: the current one.

use super::live::Step;
use super::{Form, Lower, Place};
use crate::disp;
use crate::ir::regset::RegSet;
use crate::ir::{CallSite, Op, Opcode};
use crate::jit::abi::{meta, reg_disp};
use cranelift_codegen::ir::{InstBuilder, Value, types};

impl Lower<'_> {
    /// Stores words to the state.
    pub fn flush(&mut self, words: RegSet) {
        for word in words.iter() {
            let value = self.raw(word);
            let value = self.extended_here(value);
            self.state_store(value, reg_disp(word));
        }
    }

    /// By how much the budget's variable is lower than the true budget when `insns` instructions of the block have run.
    pub fn lowered_by(&self, insns: usize) -> i64 {
        self.flow.lower_by[self.at.block] - insns as i64
    }

    /// The true budget when `insns` instructions of the block have run.
    pub fn budget_after(&mut self, insns: usize) -> Value {
        let lower_by = self.lowered_by(insns);
        let variable = self.b.use_var(self.budget);
        if lower_by == 0 { variable } else { self.b.ins().iadd_imm_s(variable, lower_by) }
    }

    /// Says where we are; the meta word and the address of the instruction.
    fn place(&mut self) -> [Value; 2] {
        let Place { insn, .. } = self.at;
        let budget = self.budget_after(insn + 1);
        self.state_store(budget, disp!(budget));
        let (offset, len) = self.now().insn(insn);
        let meta = self.number(meta(0, 1, len) as i64);
        [meta, self.address(offset)]
    }

    fn call_op(&mut self, op: &Op, [meta, pc]: [Value; 2]) {
        op.for_sources(|r| self.store_temp(r));
        let offset = self.pooled(op);
        let symbol = self.names.pool(&mut self.b, offset);
        let at = self.b.ins().symbol_value(types::I64, symbol);
        let thunk = if self.form == Form::Region { disp!(thunks.op_all) } else { disp!(thunks.op_saved) };
        let thunk = self.state_load(types::I64, thunk);
        self.b.ins().call_indirect(self.names.slow, thunk, &[at, meta, pc]);
    }

    /// Where in the pool the op is.
    fn pooled(&mut self, op: &Op) -> i64 {
        let pool = &mut self.out.pool;
        let i = pool.iter().position(|o| o == op).unwrap_or_else(|| {
            pool.push(*op);
            pool.len() - 1
        });
        (i * size_of::<Op>()) as i64
    }

    /// Lowers an op by the interpreter's meaning, helper calls among them.
    pub fn run_op(&mut self, op: &Op, step: &Step) {
        if matches!(op.code, Opcode::Call | Opcode::CallEnd) {
            self.at.insn = CallSite(op.aux).insn().into();
        }
        self.settle_all();
        self.flush(match &step.flush {
            None => self.dirty,
            Some(words) => words.common(&self.dirty),
        });
        let args = self.place();
        self.call_op(op, args);
        if op.code == Opcode::Call {
            self.empty_slots();
        }
        if op.dest().is_some_and(|a| !self.live.guest.contains(a)) {
            self.forget_temp(op.a);
        }
        if let Some(&(_, words)) =
            self.live.reload[self.at.block].iter().find(|(at, _)| *at as usize == self.at.op)
        {
            words.iter().for_each(|word| self.read_again(word));
        }
    }
}
