//! Before a loop that is an idiom: whether many iterations are to come, and a call that does as many as it can.
//!
//! The loop gets a block in front of its head, to which all edges lead but its own. There the distance of what its branch compares is
//! looked at first, because most loops are short and a call costs some tens of instructions.

use super::{Flow, Lower};
use crate::disp;
use crate::ir::regset::RegSet;
use crate::jit::idiom::{IDIOM_BYTES, Idiom, Linear, recognise};
use crate::jit::region::Region;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, Value, types};

/// The loops of a region that are idioms; none by default.
#[derive(Default)]
pub struct Idioms {
    /// By block: what it is, and where its own edge leads.
    heads: Vec<Option<(Idiom, ir::Block)>>,
}

impl Idioms {
    /// Looks at the blocks that lead to themselves; `new_block` makes the places where the loops go on.
    pub fn new(region: &Region, flow: &Flow, mut new_block: impl FnMut() -> ir::Block) -> Idioms {
        let mut heads: Vec<_> = region.blocks.iter().map(|_| None).collect();
        for &block in flow.order.iter().filter(|&&b| flow.header[b]) {
            if flow.successors(region, block).iter().filter(|&&s| s == block).count() == 1
                && let Some(idiom) = recognise(&region.blocks[block], &region.rules)
                && idiom
                    .least_trips()
                    .checked_mul(idiom.trips.step.unsigned_abs())
                    .is_some_and(|d| d < 1 << 31)
            {
                heads[block] = Some((idiom, new_block()));
            }
        }
        Idioms { heads }
    }

    /// Where `block`'s edge to itself leads, if it is an idiom.
    pub fn head(&self, block: usize) -> Option<ir::Block> {
        self.heads.get(block)?.as_ref().map(|h| h.1)
    }
}

fn insert(words: &mut RegSet, sum: &Linear) {
    sum.words().iter().for_each(|&w| words.insert(w));
}

/// The words that are read for an idiom.
fn reads(idiom: &Idiom) -> RegSet {
    let mut words = RegSet::default();
    let Idiom { trips, load, store, value, .. } = idiom;
    [&trips.moving, &trips.still, load, store, value].iter().for_each(|sum| insert(&mut words, sum));
    idiom.computed[..usize::from(idiom.computes)].iter().for_each(|c| insert(&mut words, &c.value));
    words
}

/// The words that its loop writes.
fn writes(idiom: &Idiom) -> RegSet {
    let mut words = RegSet::default();
    idiom.computed[..usize::from(idiom.computes)].iter().for_each(|c| words.insert(c.word));
    idiom.loaded[..usize::from(idiom.loads)].iter().for_each(|l| words.insert(l.word));
    words
}

impl Lower<'_> {
    fn linear(&mut self, sum: &Linear) -> Value {
        let number = self.number(sum.add);
        let words = sum.words().to_vec();
        words.into_iter().fold(number, |value, word| {
            let word = self.get(word);
            self.b.ins().iadd(word, value)
        })
    }

    /// At the start of a block that is an idiom: what comes before the loop. Goes on where the loop begins.
    pub fn ask_idiom(&mut self, block: usize) {
        let Some((idiom, head)) = self.idioms.heads.get(block).cloned().flatten() else { return };
        let trips = &idiom.trips;
        let (moving, still) = (self.linear(&trips.moving), self.linear(&trips.still));
        let (from, to) = if trips.step < 0 { (still, moving) } else { (moving, still) };
        let distance = self.b.ins().isub(to, from);
        let least = idiom.least_trips() * trips.step.unsigned_abs();
        let many = self.b.ins().icmp_imm_s(IntCC::UnsignedGreaterThanOrEqual, distance, least as i64);
        let [ask, ran] = [(); 2].map(|()| self.b.create_block());
        self.b.set_cold_block(ask);
        self.b.set_cold_block(ran);
        self.b.ins().brif(many, ask, &[], head, &[]);

        self.go_on_in(ask);
        self.flush(reads(&idiom));
        let budget = self.b.use_var(self.budget);
        self.state_store(budget, disp!(value));
        let symbol = self.names.idiom(&mut self.b, (self.out.idioms.len() * IDIOM_BYTES) as i64);
        let at = self.b.ins().symbol_value(types::I64, symbol);
        let thunk = self.state_load(types::I64, disp!(thunks.idiom));
        self.b.ins().call_indirect(self.names.one, thunk, &[at]);
        let insns = self.state_load(types::I64, disp!(value));
        self.b.ins().brif(insns, ran, &[], head, &[]);

        self.go_on_in(ran);
        let budget = self.b.ins().isub(budget, insns);
        self.b.def_var(self.budget, budget);
        for word in writes(&idiom).iter() {
            self.read_again(word);
        }
        self.b.ins().jump(head, &[]);
        self.out.idioms.push(idiom);
        self.b.switch_to_block(head);
    }
}
