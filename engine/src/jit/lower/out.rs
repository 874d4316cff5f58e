//! The way out to the interpreter, from checks that fail: polls, and accesses that compiled code cannot do.
//!
//! The problem: each such place must bring everything dirty into the state first, and there is one for each access, so the stores
//! would be most of a region's code. But between two accesses little changes. So the places of a block form a chain: each
//! stores what has been written since the one before and goes on there, and all chains end in one exit. A place begins a new chain
//! where a word that the one before stores has another value by now.
//!
//! Which place it was is noted in the state where a branch leads to its way, rather than handed on in registers from block to block.
//!
//! The instruction at which the region is left is done by the interpreter from its beginning. All registers are as they were
//! then, because it may raise an exception there.

use super::Lower;
use super::values::TRUSTED;
use crate::disp;
use crate::ir::op::{Fmt, Reg};
use crate::ir::regset::RegSet;
use crate::jit::abi::{Exit, reg_disp};
use cranelift_codegen::ir::{self, InstBuilder, Value, types};

/// Where a place is noted, in the word of slow paths, which holds nothing by then: the distance of the guest instruction from the
/// region's entry,
const OFFSET: i32 = disp!(value);
/// and what to add to the budget's variable.
const BUDGET: i32 = disp!(value) + 4;

/// The places of the current block, and the exit of all.
#[derive(Default)]
pub struct Ways {
    last: Option<Link>,
    /// Where all chains end.
    exit: Option<ir::Block>,
    /// Ways of the current block that are still empty.
    begun: Vec<WayOut>,
}

struct Link {
    block: ir::Block,
    /// What is stored from there on.
    words: RegSet,
    /// What has been written since.
    written: RegSet,
}

/// A word to store, and its float if that is loose.
type Store = (Reg, Value, Option<(Value, Fmt)>);

/// A way out that has been begun: a cold block, still empty. It is filled at the end of the guest block, when it is known which
/// extensions of words the hot way makes anyway.
struct WayOut {
    block: ir::Block,
    stores: Vec<Store>,
    next: ir::Block,
}

impl Ways {
    /// Forgets the places of the block before.
    pub fn start_block(&mut self) {
        self.last = None;
    }

    /// A guest word has been written.
    pub fn written(&mut self, reg: Reg) {
        if let Some(link) = &mut self.last {
            link.written.insert(reg);
        }
    }
}

impl Lower<'_> {
    fn place_to_come(&mut self) -> ir::Block {
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        block
    }

    /// Begins the way out before the current instruction, in the cold block that goes there.
    pub fn way_out(&mut self) -> ir::Block {
        let (offset, _) = self.now().insn(self.at.insn);
        self.note(OFFSET, offset);
        self.note(BUDGET, self.lowered_by(self.at.insn));
        let words = self.dirty;
        let same = |l: &&Link| l.words.minus(&words).is_empty() && l.words.common(&l.written).is_empty();
        let before = self.ways.last.as_ref().filter(same).map(|l| (l.block, words.minus(&l.words)));
        let (next, rest) = match before {
            Some(found) => found,
            None => (self.exit(), words),
        };
        let stores = rest.iter().map(|w| (w, self.raw(w), self.loose_float(w))).collect();
        let block = self.place_to_come();
        self.ways.last = Some(Link { block, words, written: RegSet::default() });
        self.ways.begun.push(WayOut { block, stores, next });
        block
    }

    fn note(&mut self, at: i32, number: i64) {
        let number = self.b.ins().iconst(types::I32, number & 0xffff_ffff);
        self.state_store(number, at);
    }

    /// Fills the ways out of a block, behind its end.
    pub fn fill_ways(&mut self) {
        let mut ways = Vec::new();
        for way in std::mem::take(&mut self.ways.begun) {
            self.b.switch_to_block(way.block);
            for (word, value, loose) in way.stores {
                if let Some(float) = loose {
                    self.store_loose(word, float);
                    continue;
                }
                let value = self.extended_here(value);
                self.state_store(value, reg_disp(word));
            }
            self.b.ins().jump(way.next, &[]);
            ways.push(way.block);
        }
        ways.into_iter().for_each(|way| self.b.seal_block(way));
    }

    fn exit(&mut self) -> ir::Block {
        match self.ways.exit {
            Some(block) => block,
            None => {
                let block = self.place_to_come();
                self.ways.exit = Some(block);
                block
            }
        }
    }

    /// Fills the exit, when all ways to it are known.
    pub fn finish_ways(&mut self) {
        if let Some(block) = self.ways.exit {
            self.b.switch_to_block(block);
            self.b.seal_block(block);
            let state = self.state();
            let [offset, more] = [OFFSET, BUDGET].map(|at| self.b.ins().sload32(TRUSTED, state, at));
            let (entry, budget) = (self.address(0), self.b.use_var(self.budget));
            let (pc, budget) = (self.b.ins().iadd(entry, offset), self.b.ins().iadd(budget, more));
            self.leave(Exit::POLL, pc, budget);
        }
    }
}
