//! Block-local passes over IR.
//!
//! The problem: lifters translate one guest instruction at a time, so the interpreter would run what the
//! instructions together make superfluous. The passes run once per block on cold code at boot, so they are two walks:
//! forward, each op is rewritten by copy propagation, folding, strength reduction and pairing with the op before it;
//! backward, dead ops go and the boundary table follows. Nothing is allocated and nothing is cleared per block.
//!
//! **Precise exceptions.** Wherever an op may raise an exception every guest register holds what the guest's own
//! instructions would have left there, and the op still belongs to the same guest instruction. Between those points
//! (inside a run of ops none of which can fault, call a helper or leave) guest registers may be stale: whoever
//! wants to stop after a given guest instruction lifts a block that ends there.

use super::block::Block;
use super::op::{Effects, Op, Opcode, Reg, SINK};
use super::verify::{VerifyError, verify};
use crate::guest::{Guest, HelperDesc};
use facts::{Fact, Facts};

mod coalesce;
mod copy;
mod dce;
mod facts;
mod fold;
mod pair;
mod rotate;
mod strength;

#[cfg(test)]
mod tests;

/// What the passes must know of the guest ISA.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// First register-file word that is a block temporary.
    pub temps: Reg,
    /// A word that always reads as zero and is never written.
    pub zero: Option<Reg>,
    /// The helper table; of a helper that it does not have, the worst is assumed.
    pub helper: &'a dyn Fn(u16) -> Option<&'static HelperDesc>,
}

impl Rules<'static> {
    /// The rules of a guest ISA. `zero` is its word that always reads as zero, if it has one.
    pub fn of<G: Guest>(zero: Option<Reg>) -> Rules<'static> {
        Rules { temps: G::TEMPS, zero, helper: &|id| G::helper_desc(id) }
    }
}

/// A set of passes, in the order in which they see an op.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passes(u8);

impl Passes {
    /// Operands that are copies become what they copy.
    pub const COPY: Passes = Passes(1);
    /// Known operands become immediates or the result, identities go.
    pub const FOLD: Passes = Passes(2);
    /// Multiplications and divisions become shifts.
    pub const STRENGTH: Passes = Passes(4);
    /// Two ops become one where the second overwrites the first's result, and three where they rotate.
    pub const PAIR: Passes = Passes(8);
    /// Dead ops go.
    pub const DEAD: Passes = Passes(16);
    /// An op writes the guest register that its result is moved to.
    pub const COALESCE: Passes = Passes(32);
    /// All of them.
    pub const ALL: Passes = Passes(63);

    /// Whether all of `other` is in the set.
    pub const fn has(self, other: Passes) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The passes and the memory they reuse from block to block. Make one and keep it.
#[derive(Clone, Debug, Default)]
pub struct Optimiser {
    facts: Facts,
}

impl Optimiser {
    /// An optimiser.
    pub fn new() -> Optimiser {
        Optimiser::default()
    }

    /// Runs all passes.
    pub fn run(&mut self, block: &mut Block, rules: &Rules<'_>) {
        self.run_passes(block, rules, Passes::ALL);
    }

    /// Runs some of the passes, for tests and experiments.
    pub fn run_passes(&mut self, block: &mut Block, rules: &Rules<'_>, passes: Passes) {
        self.forward(block, rules, passes);
        if passes.has(Passes::DEAD) {
            dce::run(block, rules, passes.has(Passes::COALESCE));
        }
        debug_assert_eq!(verified(block, rules), Ok(()));
    }

    fn forward(&mut self, block: &mut Block, rules: &Rules<'_>, passes: Passes) {
        let facts = &mut self.facts;
        facts.start(block.ops.len(), rules.zero);
        for i in 0..block.ops.len() {
            let (before, rest) = block.ops.split_at_mut(i);
            let Some(op) = rest.first_mut() else { break };
            if passes.has(Passes::COPY) {
                copy::rewrite(op, facts);
            }
            if passes.has(Passes::FOLD) {
                fold::rewrite(op, facts);
            }
            if passes.has(Passes::STRENGTH) {
                strength::rewrite(op, facts);
            }
            if passes.has(Passes::PAIR) {
                rotate::rewrite(before, op, facts);
                if let Some(previous) = before.last_mut() {
                    pair::rewrite(previous, op);
                }
            }
            facts.step(op, rules);
        }
    }
}

/// Runs all passes on one block. Where many blocks pass, keep an [`Optimiser`] instead.
pub fn optimise(block: &mut Block, rules: &Rules<'_>) {
    Optimiser::new().run(block, rules);
}

/// Whether the block is well formed by these rules.
pub fn verified(block: &Block, rules: &Rules<'_>) -> Result<(), VerifyError> {
    verify(block, rules.temps, &|id| (rules.helper)(id).is_some())
}

/// What stands in the place of an op whose work another has taken over, until the walk back removes it.
const NOTHING: Op = Op { a: SINK, ..Op::new(Opcode::Li) };

/// What a call may do to guest registers, the worst for an unknown helper.
fn call_effects(id: u16, rules: &Rules<'_>) -> HelperDesc {
    const WORST: HelperDesc = HelperDesc {
        name: "unknown",
        reads: &[(0, u8::MAX)],
        writes: &[(0, u8::MAX)],
        faults: true,
        changes_key: true,
    };
    (rules.helper)(id).copied().unwrap_or(WORST)
}

/// Whether the op may touch guest state beyond its operands.
fn touches_state(effects: Effects) -> bool {
    effects.has(Effects::STATE)
}
