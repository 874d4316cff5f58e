//! Coalescing: `%t = op; a0 = %t` becomes `a0 = op` where the temporary dies.
//!
//! Lifters compute into a temporary where an instruction may fault half-way or reads its own destination.

use super::{NOTHING, Rules, dce::Live, touches_state};
use crate::ir::op::{Op, Opcode};

/// If op `i` is a move from a temporary that dies there and the op before makes it, that op writes the destination
/// itself and the move dies.
///
/// An op that raises an exception does not write its destination, so this holds for loads too. Helpers are left alone:
/// they may have a use for the word themselves.
#[inline(always)]
pub(super) fn rewrite(ops: &mut [Op], i: usize, live: &Live, rules: &Rules<'_>) {
    let Some([maker, mov]) = ops.get_mut(i.wrapping_sub(1)..=i) else { return };
    let from_temp = mov.code == Opcode::Mov && mov.b >= rules.temps && mov.b != mov.a;
    if !from_temp || live.words.contains(mov.b) || mov.dest().is_none() {
        return;
    }
    let fields = maker.code.fields();
    if maker.dest() == Some(mov.b) && !fields.reads_a && !touches_state(maker.code.effects()) {
        maker.a = mov.a;
        *mov = NOTHING;
    }
}
