//! The way out to the interpreter, from checks that fail: polls, and accesses that compiled code cannot do.
//!
//! The problem: each such place must bring everything dirty into the state first, and there is one for each access, so the stores
//! would be most of a region's code. But between two accesses little changes. So the places of a block form a chain: each
//! stores what has been written since the one before and goes on there, and all chains end in one exit. A place begins a new chain
//! where a word that the one before stores has another value by now.
//!
//! The instruction at which the region is left is done by the interpreter from its beginning. All registers are as they were
//! then, because it may raise an exception there.

use super::Lower;
use crate::ir::op::{Fmt, Reg};
use crate::ir::regset::RegSet;
use crate::jit::abi::{Exit, reg_disp};
use cranelift_codegen::ir::{self, BlockArg, InstBuilder, Value, types};

/// The places of the current block, and the exit of all.
#[derive(Default)]
pub struct Ways {
    last: Option<Link>,
    /// Where all chains end.
    exit: Option<ir::Block>,
    /// Blocks to which ways may still be added.
    open: Vec<ir::Block>,
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
        self.b.append_block_param(block, types::I64);
        self.b.append_block_param(block, types::I64);
        self.b.set_cold_block(block);
        self.ways.open.push(block);
        block
    }

    /// Begins the way out before the current instruction, in the block that branches to it: where to go, and with what.
    pub fn way_out(&mut self) -> (ir::Block, [BlockArg; 2]) {
        let (offset, _) = self.now().insn(self.at.insn);
        let args = [self.address(offset), self.budget_after(self.at.insn)].map(BlockArg::Value);
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
        (block, args)
    }

    /// Fills the ways out of a block, behind its end.
    pub fn fill_ways(&mut self) {
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
            let params: Vec<BlockArg> = self.b.block_params(way.block).iter().map(|&v| v.into()).collect();
            self.b.ins().jump(way.next, &params);
        }
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
            let (pc, budget) = (self.b.block_params(block)[0], self.b.block_params(block)[1]);
            self.leave(Exit::POLL, pc, budget);
        }
        for block in std::mem::take(&mut self.ways.open) {
            self.b.seal_block(block);
        }
    }
}
