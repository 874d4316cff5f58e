//! What regions count: see [`crate::jit::ways`]. Single blocks count as tier 1 does, see [`super::exit`].

use super::values::TRUSTED;
use super::{Form, Lower};

use crate::jit::record::HEAT;
use crate::jit::region::ANYWHERE;
use crate::jit::ways::{Counts, MOST_WORDS, SAMPLES, Site};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};

/// An indirect exit of the code.
#[derive(Clone, Copy)]
pub struct Counted {
    /// Offset of its words.
    word: i64,
    /// It is behind comparisons, which a settled region counts too.
    guarded: bool,
}

impl Lower<'_> {
    fn counts_exits(&self) -> bool {
        self.form == Form::Region && self.region.counts != Counts::Failures
    }

    /// Counts a run of a region that counts; leaves when that was the last that the counter has. Nothing has happened yet.
    pub fn count_run(&mut self, pc: Value, budget: Value) {
        if self.counts_exits() {
            self.count_down(pc, budget);
        }
    }

    /// Takes one from the counter of the record; leaves at `pc` if there is none left. The state is up to date.
    fn count_down(&mut self, pc: Value, budget: Value) {
        let left = self.count(HEAT, -1);
        let none = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, left, 0);
        let (on, stop) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(stop);
        self.b.ins().brif(none, stop, &[], on, &[]);
        self.go_on_in(stop);
        if self.region.counts == Counts::Failures {
            // Where it runs out at the entry nothing has been counted.
            self.count_out(budget);
        }
        self.leave_hot(pc, budget);
        self.go_on_in(on);
    }

    /// Offset of the words of an exit of this block, if there is room for them.
    fn site(&mut self, target: Option<i64>) -> Option<i64> {
        let block = self.now();
        let site = Site { from: block.offset, copy: block.context != ANYWHERE, target };
        let words: usize = self.out.sites.iter().map(Site::words).sum();
        let fits = words + site.words() <= MOST_WORDS;
        fits.then(|| self.out.sites.push(site)).map(|()| words as i64 * 8)
    }

    fn add_one(&mut self, word: i64) -> Value {
        let symbol = self.names.counter(&mut self.b, word);
        let counter = self.b.ins().symbol_value(types::I64, symbol);
        let count = self.b.ins().load(types::I64, TRUSTED, counter, 0);
        let more = self.b.ins().iadd_imm_s(count, 1);
        self.b.ins().store(TRUSTED, more, counter, 0);
        count
    }

    /// Counts an exit that always leads to the same place.
    pub fn count_exit(&mut self, at: i64) {
        if self.counts_exits()
            && let Some(word) = self.site(Some(at))
        {
            self.add_one(word);
        }
    }

    /// Before an indirect jump is compared with what it may lead to.
    pub fn count_jump(&mut self, guarded: bool) -> Option<Counted> {
        if self.form != Form::Region || self.region.counts == Counts::Failures && !guarded {
            return None;
        }
        let word = self.site(None)?;
        if self.region.counts == Counts::Jumps {
            self.add_one(word + 8);
        }
        Some(Counted { word, guarded })
    }

    /// An indirect jump leads to none of what it was compared with. The state is up to date.
    pub fn count_miss(&mut self, counted: Option<Counted>, target: Value) {
        let Some(Counted { word, guarded }) = counted else { return };
        let count = self.add_one(word);
        if self.counts_exits() {
            let entry = self.address(0);
            let distance = self.b.ins().isub(target, entry);
            let symbol = self.names.counter(&mut self.b, word + 16);
            let samples = self.b.ins().symbol_value(types::I64, symbol);
            let index = self.b.ins().band_imm_s(count, SAMPLES as i64 - 1);
            let index = self.b.ins().ishl_imm_s(index, 3);
            let sample = self.b.ins().iadd(samples, index);
            self.b.ins().store(TRUSTED, distance, sample, 0);
        } else if guarded {
            let budget = self.budget_at_exit();
            self.count_down(target, budget);
        }
    }
}
