//! Pairs: two neighbouring ops of which the second overwrites the first's result become one.
//!
//! The problem: a guest without bit-manipulation instructions zero-extends by shifting left and right again, and
//! scales an index by a shift and an add. The intermediate result is dead, and the pair is one op of the IR. Neither op
//! faults, so nothing can see the word between them. The first op becomes one without effect, which dies.

use super::NOTHING;
use super::fold::{unary, with_imm};
use crate::ir::op::{Op, Opcode};
use Opcode::*;

/// Merges `first` into `second` if the pair is known and `second` overwrites the result of `first`.
#[inline(always)]
pub fn rewrite(first: &mut Op, second: &mut Op) {
    let overwrites = second.a == first.a && second.b == first.a && second.dest().is_some();
    let commuted = second.a == first.a && second.c == first.a && second.dest().is_some();
    if !(overwrites || commuted) || !first.code.fields().pure || !second.code.fields().pure {
        return;
    }
    if merge(first, second, overwrites) {
        *first = NOTHING;
    }
}

/// Makes `second` do the work of both.
fn merge(first: &Op, second: &mut Op, overwrites: bool) -> bool {
    let source = first.b;
    match (first.code, second.code) {
        (SllI, SrlI | SraI) if overwrites => return shifts(first, second),
        (AddI, AddI) if overwrites => with_imm(second, AddI, source, first.imm.wrapping_add(second.imm)),
        (AddI, AddIW) if overwrites => {
            let imm = first.imm.wrapping_add(second.imm) as i32;
            with_imm(second, AddIW, source, imm.into());
        }
        (AddI, SextW) if overwrites => with_imm(second, AddIW, source, (first.imm as i32).into()),
        (Add, SextW) if overwrites => *second = Op::rrr(AddW, second.a, source, first.c),
        (Sub, SextW) if overwrites => *second = Op::rrr(SubW, second.a, source, first.c),
        (AndI, AndI) if overwrites => with_imm(second, AndI, source, first.imm & second.imm),
        (SllI | SllIUw | ZextW, Add) => return scaled_add(first, second, overwrites),
        (XorI, And | Or | Xor) if first.imm == -1 => return inverted(first, second, overwrites),
        _ => return false,
    }
    true
}

/// A shift left and a shift right: an extension, a mask or a shifted word.
fn shifts(first: &Op, second: &mut Op) -> bool {
    let (left, right) = (first.imm & 63, second.imm & 63);
    let source = first.b;
    match (second.code, left, right) {
        (SrlI, 32, 32) => unary(second, ZextW, source),
        (SrlI, 48, 48) => unary(second, ZextH, source),
        (SrlI, 56, 56) => unary(second, ZextB, source),
        (SraI, 32, 32) => unary(second, SextW, source),
        (SraI, 48, 48) => unary(second, SextH, source),
        (SraI, 56, 56) => unary(second, SextB, source),
        (SrlI, 32, 1..32) => with_imm(second, SllIUw, source, 32 - right),
        (SrlI, 1..64, _) if left == right => with_imm(second, AndI, source, (u64::MAX >> left) as i64),
        _ => return false,
    }
    true
}

/// The operand of a commutative `second` that is not the result of `first`; `None` if both are.
fn other(first: &Op, second: &Op, overwrites: bool) -> Option<u8> {
    let other = if overwrites { second.c } else { second.b };
    (other != first.a).then_some(other)
}

fn scaled_add(first: &Op, second: &mut Op, overwrites: bool) -> bool {
    let Some(other) = other(first, second, overwrites) else { return false };
    let code = match (first.code, first.imm) {
        (SllI, 1) => Sh1Add,
        (SllI, 2) => Sh2Add,
        (SllI, 3) => Sh3Add,
        (ZextW, _) => AddUw,
        (SllIUw, 1) => Sh1AddUw,
        (SllIUw, 2) => Sh2AddUw,
        (SllIUw, 3) => Sh3AddUw,
        _ => return false,
    };
    *second = Op::rrr(code, second.a, first.b, other);
    true
}

fn inverted(first: &Op, second: &mut Op, overwrites: bool) -> bool {
    let Some(other) = other(first, second, overwrites) else { return false };
    let code = match second.code {
        And => AndNot,
        Or => OrNot,
        _ => XorNot,
    };
    *second = Op::rrr(code, second.a, other, first.b);
    true
}
