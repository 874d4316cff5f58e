//! Copy propagation: an operand that is a copy becomes what it copies.
//!
//! The op count stays; the move may die and the op no longer waits for it.

use super::{Fact, Facts};
use crate::ir::op::Op;

/// Replaces the operands of `op` that are copies.
#[inline(always)]
pub fn rewrite(op: &mut Op, facts: &Facts) {
    op.map_sources(|reg| match facts.of(reg) {
        Fact::Copy(source) => source,
        _ => reg,
    });
}
