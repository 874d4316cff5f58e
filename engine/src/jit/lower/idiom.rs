//! Before a loop that is an idiom: whether many iterations are to come, and a call that does as many as it can.
//!
//! The loop gets a block in front of its head, to which all edges lead but its own. There the distance of what its branch compares is
//! looked at first, because most loops are short and a call costs some tens of instructions.

use super::scan::{self, Found};
use super::{Flow, Lower};
use crate::disp;
use crate::ir::regset::RegSet;
use crate::jit::idiom::{IDIOM_BYTES, Idiom, Linear, recognise};
use crate::jit::region::Region;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, Value, types};
use std::rc::Rc;

/// What a loop is.
#[derive(Clone)]
enum Known {
    /// It copies or fills.
    Moves(Rc<Idiom>),
    /// It looks for something.
    Scans(Rc<Found>),
}

/// A loop that is an idiom.
struct Head {
    known: Known,
    /// The block that leads back to the head.
    last: usize,
    /// To where, if the head has other edges in.
    back: Option<ir::Block>,
}

/// The loops of a region that are idioms, by head; none by default.
#[derive(Default)]
pub struct Idioms {
    heads: Vec<Option<Head>>,
}

impl Idioms {
    /// Looks at the loops; `new_block` makes the places where they go on.
    pub fn new(region: &Region, flow: &Flow, mut new_block: impl FnMut() -> ir::Block) -> Idioms {
        let mut idioms = Idioms { heads: region.blocks.iter().map(|_| None).collect() };
        for &(last, header) in &flow.back_edges {
            let moves = moves(region, flow, last, header).map(|m| (header, last, Known::Moves(Rc::new(m))));
            let scans = || {
                scan::find(region, flow, last, header).map(|f| (f.first, f.last, Known::Scans(Rc::new(f))))
            };
            if let Some((head, last, known)) = moves.or_else(scans)
                && idioms.heads[head].is_none()
            {
                // The way into the region is no edge.
                let back = (head == 0 || flow.before(head).len() > 1).then(&mut new_block);
                idioms.heads[head] = Some(Head { known, last, back });
            }
        }
        idioms
    }

    fn head(&self, block: usize) -> Option<&Head> {
        self.heads.get(block)?.as_ref()
    }

    /// Where the edge from a block to another leads, if that is the way back of an idiom and has a place of its own.
    pub fn way_back(&self, from: usize, to: usize) -> Option<ir::Block> {
        self.head(to).filter(|h| h.last == from)?.back
    }

    /// Whether one of the edges to the block is such a way.
    pub fn has_way_back(&self, block: usize) -> bool {
        self.head(block).is_some_and(|h| h.back.is_some())
    }
}

/// The idiom that a block which leads back to itself is, if it copies or fills.
fn moves(region: &Region, flow: &Flow, last: usize, header: usize) -> Option<Idiom> {
    if last != header || edges(flow, last, header) != 1 {
        return None;
    }
    let idiom = recognise(&region.blocks[header], &region.rules)?;
    let least = idiom.least_trips().checked_mul(idiom.trips.step.unsigned_abs())?;
    (least < 1 << 31).then_some(idiom)
}

/// How many edges lead from a block to another.
pub fn edges(flow: &Flow, from: usize, to: usize) -> usize {
    flow.successors(from).iter().filter(|&&s| s == to).count()
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
    /// The value of a sum.
    pub fn linear(&mut self, sum: &Linear) -> Value {
        let mut value = None;
        for &word in sum.words() {
            let word = self.get(word);
            value = Some(value.map_or(word, |value| self.b.ins().iadd(value, word)));
        }
        match value {
            Some(value) if sum.add == 0 => value,
            Some(value) => self.b.ins().iadd_imm_s(value, sum.add),
            None => self.number(sum.add),
        }
    }

    /// At the start of a block that is an idiom: what comes before the loop. Goes on where the loop begins.
    pub fn ask_idiom(&mut self, block: usize) {
        let Some(head) = self.idioms.head(block) else { return };
        match (head.known.clone(), head.back) {
            (Known::Moves(idiom), Some(head)) => self.ask_to_move(&idiom, head),
            // Never: a loop that is one block has an edge in beside its own.
            (Known::Moves(_), None) => {}
            (Known::Scans(found), back) => self.ask_to_scan(&found, back),
        }
    }

    fn ask_to_move(&mut self, idiom: &Idiom, head: ir::Block) {
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
        self.flush(reads(idiom));
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
        for word in writes(idiom).iter() {
            self.read_again(word);
        }
        self.b.ins().jump(head, &[]);
        self.out.idioms.push(idiom.clone());
        self.b.switch_to_block(head);
    }
}
