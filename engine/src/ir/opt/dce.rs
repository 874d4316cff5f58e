//! Dead code elimination, exact with respect to precise exceptions.
//!
//! One walk backward with the set of words that somebody may still read: all guest registers where the block leaves or
//! an op may raise an exception, and the operands of the ops that stay. An op without effect whose result nobody
//! reads goes. Float ops stay for their flags, loads for their faults. The ops that stay move to the back of the vector
//! as the walk goes, and the boundary table learns their new places on the way.

use super::{Rules, call_effects, coalesce, touches_state};
use crate::ir::block::Block;
use crate::ir::op::{CallSite, Op};
use crate::ir::regset::RegSet;

/// The words that somebody may still read.
pub(super) struct Live {
    /// Them.
    pub words: RegSet,
    guest: RegSet,
}

impl Live {
    fn after_block(rules: &Rules<'_>) -> Live {
        let guest = RegSet::below(rules.temps);
        Live { words: guest, guest }
    }

    /// Steps back over an op that stays.
    #[inline(always)]
    fn step(&mut self, op: &Op, rules: &Rules<'_>) {
        if touches_state(op.code.effects()) {
            self.call(op, rules);
        } else {
            op.dest().inspect(|&a| self.words.remove(a));
            if op.code.fields().faults {
                self.words.extend(&self.guest);
            }
        }
        op.for_sources(|reg| self.words.insert(reg));
    }

    /// A helper need not write what it may write, its destination included: no word dies here.
    #[cold]
    fn call(&mut self, op: &Op, rules: &Rules<'_>) {
        let effects = call_effects(CallSite(op.aux).id(), rules);
        if effects.faults {
            self.words.extend(&self.guest);
        }
        effects.reads.iter().for_each(|&(first, count)| self.words.insert_range(first, count));
    }
}

/// Removes dead ops; with `coalesce`, also moves whose source another op can write in place.
pub fn run(block: &mut Block, rules: &Rules<'_>, coalesce: bool) {
    let mut live = Live::after_block(rules);
    let mut bounds = block.bounds.iter_mut().rev().peekable();
    // Where the last op that stays went. Never below the walk's own place.
    let mut place = block.ops.len();
    for i in (0..block.ops.len()).rev() {
        if coalesce {
            coalesce::rewrite(&mut block.ops, i, &live, rules);
        }
        let op = block.ops[i];
        let dead = op.code.fields().pure && !op.dest().is_some_and(|a| live.words.contains(a));
        let idle = op.code == crate::ir::Opcode::Mov && op.a == op.b;
        if !dead && !idle {
            live.step(&op, rules);
            place -= 1;
            block.ops[place] = op;
        }
        while let Some(bound) = bounds.next_if(|b| usize::from(b.op) >= i) {
            // Fits: the place is an index of an op, of which there are no more than a boundary can number.
            bound.op = place as u16;
        }
    }
    if place > 0 {
        block.ops.drain(..place);
        block.bounds.iter_mut().for_each(|b| b.op -= place as u16);
    }
}
