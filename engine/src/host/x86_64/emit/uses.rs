//! When each operand of a block is read next: one backward pass.
//!
//! The allocator asks this when it must take a register from somebody, and when it may take one over from an operand that
//! nobody reads again.

use super::cache::LEAST;
use crate::ir::op::{MemFlags, Op, Opcode, Shape};
use crate::ir::regset::RegSet;

/// Index of the op that reads a value next.
pub type Next = u16;

/// No op of the block reads it.
pub const NEVER: Next = Next::MAX;

/// For one op and each of its operand fields: when the word's value as it is after the op is read next.
#[derive(Clone, Copy, Debug)]
pub struct OpUses {
    /// Of the destination (or of `a` as a source).
    pub a: Next,
    /// Of the first source.
    pub b: Next,
    /// Of the second source.
    pub c: Next,
    /// Of the fourth register.
    pub d: Next,
}

/// Accesses from one on that have the same base with the same value, and lie close together.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The next of them; [`NEVER`] if there is none.
    pub next: Next,
    /// Whether any of them is a store.
    pub stores: bool,
    /// All lie in `base + from..base + to`.
    pub from: i32,
    /// See `from`.
    pub to: i32,
}

const NO_RUN: Run = Run { next: NEVER, stores: false, from: 0, to: 0 };

/// Most bytes that a run of accesses covers: the longer it is, the oftener a page ends inside.
const LONGEST_RUN: i32 = 256;

/// Offsets of accesses that are looked at, either way.
const FARTHEST: i64 = 1 << 20;

/// The uses of a block's operands. Reused from block to block.
#[derive(Default)]
pub struct Uses {
    ops: Vec<OpUses>,
    runs: Vec<Run>,
    /// Words that float ops work on: they live in the state.
    pub floats: RegSet,
    /// The most operands that must be in registers at once.
    pub widest: u32,
}

impl Uses {
    /// Looks at a block of fewer than [`NEVER`] ops.
    pub fn analyse(&mut self, ops: &[Op]) {
        let mut accesses = Accesses { next: [NEVER; 256], barrier: NEVER };
        const NOTHING: OpUses = OpUses { a: NEVER, b: NEVER, c: NEVER, d: NEVER };
        let mut next = [NEVER; 256];
        self.floats = RegSet::default();
        self.widest = LEAST;
        self.ops.clear();
        self.ops.resize(ops.len(), NOTHING);
        self.runs.clear();
        self.runs.resize(ops.len(), NO_RUN);
        for (i, (op, uses)) in ops.iter().zip(&mut self.ops).enumerate().rev() {
            let fields = op.code.fields();
            let i = i as Next;
            // All of them as they are after the op, before it adds its own reads.
            if fields.writes_a {
                uses.a = std::mem::replace(&mut next[op.a as usize], NEVER);
            } else if fields.reads_a {
                uses.a = next[op.a as usize];
            }
            if fields.b {
                uses.b = next[op.b as usize];
            }
            if fields.c {
                uses.c = next[op.c as usize];
            }
            if fields.d {
                uses.d = next[op.reg_d() as usize];
                next[op.reg_d() as usize] = i;
                self.widest = LEAST + 1;
            }
            if fields.b {
                next[op.b as usize] = i;
            }
            if fields.c {
                next[op.c as usize] = i;
            }
            if fields.reads_a {
                next[op.a as usize] = i;
            }
            accesses.op(op, i, &mut self.runs);
            if op.code.shape() == Shape::Float {
                float_words(op, &mut self.floats);
            }
        }
    }

    /// The uses of op `i`.
    #[inline(always)]
    pub fn of(&self, i: usize) -> OpUses {
        self.ops[i]
    }

    /// The run that begins with op `i`, an access.
    #[inline(always)]
    pub fn run(&self, i: usize) -> Run {
        self.runs[i]
    }
}

/// The next access by base word, walking backward.
struct Accesses {
    next: [Next; 256],
    /// Runs do not go beyond this op, a helper call.
    barrier: Next,
}

impl Accesses {
    #[inline(always)]
    fn op(&mut self, op: &Op, i: Next, runs: &mut [Run]) {
        let shape = op.code.shape();
        if op.code.fields().writes_a {
            self.next[op.a as usize] = NEVER;
        }
        match shape {
            Shape::Call => self.barrier = i,
            Shape::Load | Shape::Store if op.imm.unsigned_abs() < FARTHEST as u64 => {
                let from = op.imm as i32;
                let to = from + (1 << MemFlags(op.aux).size());
                let mut run = Run { next: NEVER, stores: shape == Shape::Store, from, to };
                let next = std::mem::replace(&mut self.next[op.b as usize], i);
                if next < self.barrier {
                    let rest = runs[next as usize];
                    let (from, to) = (from.min(rest.from), to.max(rest.to));
                    if to - from <= LONGEST_RUN {
                        run = Run { next, stores: run.stores | rest.stores, from, to };
                    }
                }
                runs[i as usize] = run;
            }
            _ => {}
        }
    }
}

/// Adds the float operands of a float op.
fn float_words(op: &Op, floats: &mut RegSet) {
    use Opcode::*;
    match op.code {
        FFromI32 | FFromU32 | FFromI64 | FFromU64 | FMoveF => floats.insert(op.a),
        FEq | FLt | FLe | FLtq | FLeq | FClass | FToI32 | FToU32 | FToI64 | FToU64 | FCvtMod | FMoveX => {
            op.for_sources(|reg| floats.insert(reg));
        }
        _ => {
            op.for_sources(|reg| floats.insert(reg));
            op.dest().into_iter().for_each(|reg| floats.insert(reg));
        }
    }
}
