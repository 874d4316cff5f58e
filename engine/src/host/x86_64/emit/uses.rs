//! When each operand of a block is read next: one backward pass.
//!
//! The allocator asks this when it must take a register from somebody, and when it may take one over from an operand that
//! nobody reads again.

use crate::ir::op::{Op, Opcode, Shape};
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

/// The uses of a block's operands. Reused from block to block.
#[derive(Default)]
pub struct Uses {
    ops: Vec<OpUses>,
    /// Words that float ops work on: they live in the state.
    pub floats: RegSet,
    /// The most operands that must be in registers at once.
    pub widest: u32,
}

impl Uses {
    /// Looks at a block of fewer than [`NEVER`] ops.
    pub fn analyse(&mut self, ops: &[Op]) {
        const NOTHING: OpUses = OpUses { a: NEVER, b: NEVER, c: NEVER, d: NEVER };
        let mut next = [NEVER; 256];
        self.floats = RegSet::default();
        self.widest = 3;
        self.ops.clear();
        self.ops.resize(ops.len(), NOTHING);
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
                self.widest = 4;
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
