//! Rotations: a shift left and a shift right of one word, joined, are one op.
//!
//! The problem: a guest without rotations (RISC-V without Zbb, for which distributions compile) rotates by three instructions, and
//! hashes and ciphers do little else. The shifts stay where something may still look at their results, and die where they are
//! overwritten first.

use super::facts::{Facts, Shift};
use super::fold::with_imm;
use super::{Fact, NOTHING};
use crate::ir::op::{Effects, Op, Opcode, Reg};

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

/// How far back a shift is looked for that has overwritten what it shifted.
const BACK: usize = 16;

/// Makes `op` a rotation if it joins the two halves of one. `before` are the ops before it.
#[inline(always)]
pub fn rewrite(before: &mut [Op], op: &mut Op, facts: &Facts) {
    // No bit is in both halves, so these are all the same.
    if !matches!(op.code, Opcode::Or | Opcode::Xor | Opcode::Add | Opcode::AddW) {
        return;
    }
    if let (Fact::Shifted(x, of, number), Fact::Shifted(y, of_too, same)) = (facts.of(op.b), facts.of(op.c))
        && number == same
        && let Some(right) = rotation(x, y)
        && (x.word || op.code != Opcode::AddW)
        && let Some(of) = held(before, op, [of, of_too], number, facts)
    {
        let code = if x.word { Opcode::RorIW } else { Opcode::RorI };
        with_imm(op, code, of, right.into());
    }
}

/// Which of the two words still holds the value of this number, or can be made to.
fn held(before: &mut [Op], op: &Op, words: [Reg; 2], number: u64, facts: &Facts) -> Option<Reg> {
    let has = |&of: &Reg| facts.number_of(of) == number;
    words.into_iter().find(has).or_else(|| {
        let shifted = |of: Reg| matches!(facts.of(of), Fact::Shifted(_, o, n) if o == of && n == number);
        words.into_iter().find(|&of| op.a == of && shifted(of) && take_back(before, of))
    })
}

/// How far to the right the word is rotated of which these are the parts. Of a 32-bit shift to the right by at least one the sign is
/// clear, so the sign of the other part is that of both.
fn rotation(x: Shift, y: Shift) -> Option<u8> {
    let (left, right) = if x.left { (x, y) } else { (y, x) };
    let width = if x.word { 32 } else { 64 };
    let halves = left.left && !right.left && left.word == right.word;
    (halves && left.count > 0 && left.count + right.count == width).then_some(right.count)
}

/// Takes back the shift that wrote `of` last and shifted it in place, if nobody can have seen what it left: then the word is still there.
fn take_back(before: &mut [Op], of: Reg) -> bool {
    for p in before.iter_mut().rev().take(BACK) {
        if p.a == of && p.b == of && shift_of(p).is_some() {
            *p = NOTHING;
            return true;
        }
        let mut reads = false;
        p.for_sources(|reg| reads |= reg == of);
        let effects = p.code.effects();
        if reads || p.dest() == Some(of) || effects.has(Effects::FAULT) || effects.has(Effects::STATE) {
            return false;
        }
    }
    false
}
