//! Ways out of a block and out of the region: edges, links, the jump cache, polls.

use super::flow::{COMPARED, Target};
use super::values::TRUSTED;
use super::{Form, Lower, live};
use crate::cache::jump::index;
use crate::disp;
use crate::exec::core::JumpEntry;
use crate::ir::op::Shape;
use crate::ir::regset::RegSet;
use crate::ir::{Op, Opcode};
use crate::jit::abi::Exit;
use crate::jit::block::Profile;
use crate::jit::record::{HEAT, LEFT, link_offset};
use crate::jit::region::is_call;
use crate::mem::PAGE_MASK;
use cranelift_codegen::ir::condcodes::{CondCode, IntCC};
use cranelift_codegen::ir::{self, BlockCall, InstBuilder, JumpTableData, TrapCode, Value, types};
use std::mem::offset_of;

/// Behind calls that do not come back.
pub const NEVER: TrapCode = TrapCode::unwrap_user(1);

impl Lower<'_> {
    /// Lowers a terminator.
    pub fn end(&mut self, op: &Op) {
        let step = live::step(self.region, &self.live.guest, op);
        let next = self.now().offset as i64 + op.aux as i64;
        match op.code {
            Opcode::CallEnd => {
                self.run_op(op, &step);
                // It does not come back.
                self.b.ins().trap(NEVER);
            }
            Opcode::JumpReg => {
                let base = self.get(op.b);
                let target = self.b.ins().iadd_imm_s(base, op.imm);
                let target = self.b.ins().band_imm_s(target, !1);
                let link = self.address(next);
                self.set(op.a, link);
                step.pass(&mut self.dirty);
                match self.known_block(op, base) {
                    Some(to) => self.leave_by(Target::Block(to)),
                    None => self.indirect(op, target),
                }
            }
            Opcode::Jump => {
                let link = self.address(next);
                self.set(op.a, link);
                step.pass(&mut self.dirty);
                let target = if is_call(op) {
                    self.flow.callee(self.region, self.at.block, op)
                } else {
                    self.target(op.imm)
                };
                self.leave_by(target);
            }
            code if code.shape() == Shape::Branch => self.branch(op),
            _ => self.goes_to(op.imm),
        }
    }

    fn branch(&mut self, op: &Op) {
        use IntCC::*;
        let cond = match op.code {
            Opcode::BrEq => Equal,
            Opcode::BrNe => NotEqual,
            Opcode::BrLt => SignedLessThan,
            Opcode::BrGe => SignedGreaterThanOrEqual,
            Opcode::BrLtu => UnsignedLessThan,
            _ => UnsignedGreaterThanOrEqual,
        };
        let (b, c) = (self.peek(op.b), self.peek(op.c));
        let mut targets = [op.imm, op.aux.into()].map(|offset| self.target(offset));
        // The way out of the region comes first, see `look_up`.
        let out = matches!(targets, [Target::Block(_), Target::Page(_) | Target::Far(_)]);
        if out {
            targets.swap(0, 1);
        }
        if !targets.iter().any(|t| matches!(t, Target::Block(_))) {
            self.flush(self.dirty);
            self.dirty = RegSet::default();
        }
        let test = self.comparison(if out { cond.complement() } else { cond }, b, c);
        // Where exit 0 is counted, it has a block of its own.
        let counted = (self.form.profile() != Profile::Nothing).then_some(usize::from(!out));
        let ways: [_; 2] = std::array::from_fn(|i| {
            if counted == Some(i) { (self.b.create_block(), true) } else { self.way(targets[i]) }
        });
        // An exit beside an edge that stays is the rarer one: the region was formed along the likely edges.
        let stays = targets.map(|t| matches!(t, Target::Block(_)));
        for (i, &(block, fill)) in ways.iter().enumerate() {
            if fill && !stays[i] && stays[1 - i] {
                self.b.set_cold_block(block);
            }
        }
        self.b.ins().brif(test, ways[0].0, &[], ways[1].0, &[]);
        for (i, ((block, fill), target)) in ways.into_iter().zip(targets).enumerate() {
            if fill {
                self.go_on_in(block);
                if counted == Some(i) {
                    self.count(LEFT, 1);
                }
                self.leave_by(target);
            } else if let Target::Block(to) = target {
                self.edge_made(to);
            }
        }
    }

    fn target(&self, offset: i64) -> Target {
        self.flow.target(self.region, self.at.block, offset)
    }

    /// The block to branch to for `target`, and whether it is a new one that is to be filled.
    fn way(&mut self, target: Target) -> (ir::Block, bool) {
        match target {
            Target::Block(to) if self.adjustment(to) == 0 => (self.start_of(to), false),
            _ => (self.b.create_block(), true),
        }
    }

    /// By how much the budget variable is to be raised on the edge into block `to`.
    fn adjustment(&self, to: usize) -> i64 {
        let left = self.flow.lower_by[self.at.block] - self.now().insns as i64;
        left - self.flow.lower_by[to]
    }

    fn goes_to(&mut self, offset: i64) {
        let target = self.target(offset);
        self.leave_by(target);
    }

    fn leave_by(&mut self, target: Target) {
        match target {
            Target::Block(to) => {
                let by = self.adjustment(to);
                if by != 0 {
                    let budget = self.b.use_var(self.budget);
                    let budget = self.b.ins().iadd_imm_s(budget, by);
                    self.b.def_var(self.budget, budget);
                }
                let start = self.start_of(to);
                self.b.ins().jump(start, &[]);
                self.edge_made(to);
            }
            Target::Page(at) => self.link(at),
            Target::Far(at) => {
                let pc = self.address(at);
                self.flush(self.dirty);
                self.count_exit(at);
                self.probe(pc);
            }
        }
    }

    pub fn budget_at_exit(&mut self) -> Value {
        self.budget_after(self.now().insns as usize)
    }

    /// Leaves through a link slot of the record.
    fn link(&mut self, at: i64) {
        let links = &mut self.out.links;
        let slot = links.iter().position(|&l| l == at).unwrap_or_else(|| {
            links.push(at);
            links.len() - 1
        });
        self.flush(self.dirty);
        self.count_exit(at);
        let (pc, budget) = (self.address(at), self.budget_at_exit());
        self.count_out(budget);
        let symbol = self.names.record(&mut self.b, link_offset(slot).into());
        let slot = self.b.ins().symbol_value(types::I64, symbol);
        let entry = self.b.ins().load(types::I64, TRUSTED, slot, 0);
        self.b.ins().return_call_indirect(self.names.translation, entry, &[pc, budget]);
    }

    /// An indirect jump: to a return site in the region, to a target of a jump by a table, or through the jump cache.
    fn indirect(&mut self, op: &Op, target: Value) {
        let blocks = self.flow.indirect(self.region, self.at.block, op);
        let counted = self.count_jump(!blocks.is_empty());
        if blocks.len() <= COMPARED {
            for to in blocks {
                self.compared_with(to, target);
            }
        } else {
            self.by_table(&blocks, target);
        }
        self.flush(self.dirty);
        self.count_miss(counted, target);
        self.probe(target);
    }

    /// The block to which an indirect jump leads for certain: it was called here, and the return address has been kept in a
    /// register since.
    fn known_block(&mut self, op: &Op, base: Value) -> Option<usize> {
        let at = self.values.address_of(base)? + op.imm;
        let [to] = self.flow.indirect(self.region, self.at.block, op)[..] else { return None };
        (i64::from(self.region.blocks[to].offset) == at).then_some(to)
    }

    fn compared_with(&mut self, to: usize, target: Value) {
        let here = self.address(self.region.blocks[to].offset.into());
        let same = self.b.ins().icmp(IntCC::Equal, target, here);
        let way = self.way(Target::Block(to));
        let other = self.b.create_block();
        self.b.ins().brif(same, way.0, &[], other, &[]);
        self.go_by(way, to);
        self.go_on_in(other);
    }

    /// Fills a way to a block of the region where need be.
    fn go_by(&mut self, (block, fill): (ir::Block, bool), to: usize) {
        if fill {
            self.go_on_in(block);
            self.leave_by(Target::Block(to));
        } else {
            self.edge_made(to);
        }
    }

    /// A jump to one of many blocks, which come by offset; goes on where it is none of them.
    fn by_table(&mut self, blocks: &[usize], target: Value) {
        let offset = |i: usize| i64::from(self.region.blocks[i].offset);
        let (first, last) = (offset(blocks[0]), offset(blocks[blocks.len() - 1]));
        let offsets: Vec<i64> = blocks.iter().map(|&i| offset(i)).collect();
        let start = self.address(first);
        let distance = self.b.ins().isub(target, start);
        let inside = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, distance, last - first);
        let (on, other) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(inside, on, &[], other, &[]);
        self.go_on_in(on);
        // Addresses of instructions are even.
        let index = self.b.ins().ushr_imm_s(distance, 1);
        let index = self.b.ins().ireduce(types::I32, index);
        let ways: Vec<_> = blocks.iter().map(|&to| self.way(Target::Block(to))).collect();
        let lists = &mut self.b.func.dfg.value_lists;
        let elsewhere = BlockCall::new(other, [], lists);
        let mut table = vec![elsewhere; ((last - first) / 2 + 1) as usize];
        for (way, offset) in ways.iter().zip(&offsets) {
            table[((offset - first) / 2) as usize] = BlockCall::new(way.0, [], lists);
        }
        let table = self.b.create_jump_table(JumpTableData::new(elsewhere, &table));
        self.b.ins().br_table(index, table);
        for (way, &to) in ways.into_iter().zip(blocks) {
            self.go_by(way, to);
        }
        self.go_on_in(other);
    }

    /// Leaves through the jump cache. The state is up to date.
    fn probe(&mut self, pc: Value) {
        let budget = self.budget_at_exit();
        let slot = self.b.ins().ushr_imm_s(pc, i64::from(index::FOLD));
        let slot = self.b.ins().bxor(slot, pc);
        let slot = self.b.ins().band_imm_s(slot, i64::from(index::MASK));
        let slot = self.b.ins().ishl_imm_s(slot, i64::from(index::SHIFT));
        let jumps = self.state_load(types::I64, disp!(jumps));
        let entry = self.b.ins().iadd(slot, jumps);
        let at = |field: usize| field as i32;
        let known = self.b.ins().load(types::I64, TRUSTED, entry, at(offset_of!(JumpEntry, pc)));
        let other_pc = self.b.ins().bxor(pc, known);
        let tag = self.state_load(types::I64, disp!(tag));
        let known = self.b.ins().load(types::I64, TRUSTED, entry, at(offset_of!(JumpEntry, tag)));
        let other_tag = self.b.ins().bxor(tag, known);
        let other = self.b.ins().bor(other_pc, other_tag);
        let (hit, miss) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(miss);
        self.b.ins().brif(other, miss, &[], hit, &[]);

        self.go_on_in(hit);
        self.count_out(budget);
        let hits = self.state_load(types::I64, disp!(jump_hits));
        let hits = self.b.ins().iadd_imm_s(hits, 1);
        self.state_store(hits, disp!(jump_hits));
        let record = self.b.ins().load(types::I64, TRUSTED, entry, at(offset_of!(JumpEntry, record)));
        let code = self.b.ins().load(types::I64, TRUSTED, record, 0);
        self.b.ins().return_call_indirect(self.names.translation, code, &[pc, budget]);

        self.go_on_in(miss);
        self.leave(Exit::LOOKUP, pc, budget);
    }

    /// Leaves at `pc`, to be looked up or interpreted.
    pub fn leave(&mut self, kind: u64, pc: Value, budget: Value) {
        let thunk = match (kind == Exit::POLL, self.form == Form::Region) {
            (true, true) => disp!(thunks.leave_poll),
            (true, false) => {
                let word = self.b.ins().iconst(types::I64, kind as i64);
                return self.leave_with(word, pc, budget);
            }
            (false, true) => disp!(thunks.leave_lookup),
            (false, false) => disp!(thunks.lookup),
        };
        let thunk = self.state_load(types::I64, thunk);
        self.b.ins().return_call_indirect(self.names.translation, thunk, &[pc, budget]);
    }

    fn leave_with(&mut self, word: Value, pc: Value, budget: Value) {
        self.state_store(pc, disp!(pc));
        self.state_store(budget, disp!(budget));
        self.b.ins().return_(&[word]);
    }

    /// At the entry of a region across pages: leaves if this hart has not made sure of the pages. Nothing has happened yet.
    pub fn check_pages(&mut self, pc: Value, budget: Value) {
        if self.region.pages.is_empty() {
            return;
        }
        let symbol = self.names.certificates(&mut self.b);
        let certificates = self.b.ins().symbol_value(types::I64, symbol);
        let own = self.state_load(types::I64, disp!(certificate));
        let own = self.b.ins().iadd(certificates, own);
        let tag = self.b.ins().load(types::I64, TRUSTED, own, 0);
        let now = self.state_load(types::I64, disp!(tag));
        let other_tag = self.b.ins().bxor(now, tag);
        let page = self.b.ins().load(types::I64, TRUSTED, own, 8);
        let here = self.b.ins().band_imm_s(pc, PAGE_MASK as i64);
        let other_page = self.b.ins().bxor(here, page);
        let other = self.b.ins().bor(other_tag, other_page);
        let (on, miss) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(miss);
        self.b.ins().brif(other, miss, &[], on, &[]);
        self.go_on_in(miss);
        let symbol = self.names.record(&mut self.b, Exit::PAGES as i64);
        let word = self.b.ins().symbol_value(types::I64, symbol);
        self.leave_with(word, pc, budget);
        self.go_on_in(on);
    }

    /// Counts a run; leaves when that was the last that the counter has.
    pub fn count_heat(&mut self) {
        if self.form.profile() != Profile::Runs {
            return;
        }
        let less = self.count(HEAT, -1);
        let hot = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, less, 0);
        let (on, stop) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(stop);
        self.b.ins().brif(hot, stop, &[], on, &[]);
        self.go_on_in(stop);
        self.flush(self.dirty);
        let (pc, budget) = (self.address(0), self.budget_after(0));
        self.leave_hot(pc, budget);
        self.go_on_in(on);
    }

    /// Leaves because the counter of the record has run out.
    pub fn leave_hot(&mut self, pc: Value, budget: Value) {
        // Records are aligned: the kind of exit goes into the low bits of the address.
        let symbol = self.names.record(&mut self.b, Exit::HOT as i64);
        let word = self.b.ins().symbol_value(types::I64, symbol);
        self.leave_with(word, pc, budget);
    }

    /// Adds to a counter of the record.
    pub fn count(&mut self, at: i32, by: i64) -> Value {
        let symbol = self.names.record(&mut self.b, at.into());
        let counter = self.b.ins().symbol_value(types::I64, symbol);
        let count = self.b.ins().load(types::I32, TRUSTED, counter, 0);
        let count = self.b.ins().iadd_imm_s(count, by);
        self.b.ins().store(TRUSTED, count, counter, 0);
        count
    }

    /// Counts the instructions that the region runs: notes the budget here, and adds what was used of it in [`Lower::count_out`]. To add it
    /// here and take it off there would make two updates of one word wait for each other in each run.
    pub fn count_in(&mut self, budget: Value) {
        if self.form != Form::Region {
            return;
        }
        self.state_store(budget, disp!(tier2_entered));
    }

    pub fn count_out(&mut self, budget: Value) {
        if self.form != Form::Region {
            return;
        }
        let entered = self.state_load(types::I64, disp!(tier2_entered));
        let ran = self.b.ins().isub(entered, budget);
        let count = self.state_load(types::I64, disp!(tier2_insns));
        let count = self.b.ins().iadd(count, ran);
        self.state_store(count, disp!(tier2_insns));
    }

    /// The check of a loop header.
    pub fn poll(&mut self) {
        let budget = self.b.use_var(self.budget);
        let limit = self.state_load(types::I64, disp!(limit));
        let limit = self.b.ins().load(types::I64, TRUSTED, limit, 0);
        let less = self.b.ins().icmp(IntCC::SignedLessThan, budget, limit);
        let (on, stop) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(stop);
        self.b.ins().brif(less, stop, &[], on, &[]);
        self.go_on_in(stop);
        let out = self.way_out();
        self.b.ins().jump(out, &[]);
        self.go_on_in(on);
    }
}
