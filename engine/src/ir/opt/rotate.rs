//! Rotations: a shift left and a shift right of one word, joined, are one op.
//!
//! The problem: a guest without rotations (RISC-V without Zbb, for which distributions compile) rotates by three instructions, and
//! hashes and ciphers do little else. The shifts stay where something may still look at their results, and die where they are
//! overwritten first.

use super::facts::{Facts, Shift};
use super::fold::with_imm;
use super::{Fact, NOTHING};
use crate::ir::op::{Op, Opcode, Reg};

/// What shift `op` leaves in its result, which it writes; `None` if it is none.
#[inline(always)]
pub fn shift_of(op: &Op) -> Option<Shift> {
    use Opcode::{SllI, SllIW, SrlI, SrlIW};
    let (left, word) = match op.code {
        SllI => (true, false),
        SrlI => (false, false),
        SllIW => (true, true),
        SrlIW => (false, true),
        _ => return None,
    };
    let mask = if word { 31 } else { 63 };
    Some(Shift { left, word, count: (op.imm & mask) as u8 })
}

/// Makes `op` a rotation if it joins the two halves of one. `previous` is the op before it.
#[inline(always)]
pub fn rewrite(previous: Option<&mut Op>, op: &mut Op, facts: &Facts) {
    // No bit is in both halves, so these are all the same.
    if !matches!(op.code, Opcode::Or | Opcode::Xor | Opcode::Add) {
        return;
    }
    if let (Fact::Shifted(x, of, time), Fact::Shifted(y, of_too, time_too)) = (facts.of(op.b), facts.of(op.c))
        && (of, time) == (of_too, time_too)
        && let Some(right) = rotation(x, y)
        && (facts.time_of(of) == time || takes_place_of(previous, op, of))
    {
        let code = if x.word { Opcode::RorIW } else { Opcode::RorI };
        with_imm(op, code, of, right.into());
    }
}

/// How far to the right the word is rotated of which these are the parts. Of a 32-bit shift to the right by at least one the sign is
/// clear, so the sign of the other part is that of both.
fn rotation(x: Shift, y: Shift) -> Option<u8> {
    let (left, right) = if x.left { (x, y) } else { (y, x) };
    let width = if x.word { 32 } else { 64 };
    let halves = left.left && !right.left && left.word == right.word;
    (halves && left.count > 0 && left.count + right.count == width).then_some(right.count)
}

/// Whether the word is still there if the op before goes: it is one of the shifts, has shifted the word in place, and `op`
/// overwrites its result.
fn takes_place_of(previous: Option<&mut Op>, op: &Op, of: Reg) -> bool {
    match previous {
        Some(p) if p.a == of && p.b == of && op.a == of && shift_of(p).is_some() => {
            *p = NOTHING;
            true
        }
        _ => false,
    }
}
