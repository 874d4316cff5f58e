//! Strength reduction: multiplications and divisions by a known value become shifts, masks and adds.
//!
//! Only where one op replaces one op: passes never insert.

use super::Facts;
use super::fold::{li, mov, unary, with_imm};
use crate::ir::op::{Op, Opcode};
use Opcode::*;

/// Replaces a multiplication or division whose second operand is known. (Folding has put it there.)
#[inline(always)]
pub fn rewrite(op: &mut Op, facts: &Facts) {
    if !(Mul as u8..=RemuW as u8).contains(&(op.code as u8)) {
        return;
    }
    if let Some(c) = facts.value(op.c) {
        multiply(op, c);
        divide(op, c);
    }
}

/// log2 of a power of two.
fn log2(x: u64) -> Option<i64> {
    x.is_power_of_two().then(|| x.trailing_zeros().into())
}

fn multiply(op: &mut Op, c: u64) {
    let b = op.b;
    match (op.code, c) {
        (Mul | MulH | MulHu | MulHsu, 0) | (MulHu, 1) => return li(op, 0),
        (Mul, 1) => return mov(op, b),
        (Mul, 3) => *op = Op::rrr(Sh1Add, op.a, b, b),
        (Mul, 5) => *op = Op::rrr(Sh2Add, op.a, b, b),
        (Mul, 9) => *op = Op::rrr(Sh3Add, op.a, b, b),
        (MulH | MulHsu, 1) => return with_imm(op, SraI, b, 63),
        (MulW, c) if c as u32 == 0 => return li(op, 0),
        (MulW, c) if c as u32 == 1 => return unary(op, SextW, b),
        _ => {}
    }
    let shift = if op.code == MulW { log2(c as u32 as u64) } else { log2(c) };
    match (op.code, shift) {
        (Mul, Some(n)) => with_imm(op, SllI, b, n),
        (MulW, Some(n)) => with_imm(op, SllIW, b, n),
        (MulHu, Some(n)) => with_imm(op, SrlI, b, 64 - n),
        // As a signed factor 2^63 is negative.
        (MulH, Some(n)) if n < 63 => with_imm(op, SraI, b, 64 - n),
        (MulHsu, Some(n)) => with_imm(op, SraI, b, 64 - n),
        _ => {}
    }
}

fn divide(op: &mut Op, c: u64) {
    let b = op.b;
    let (low, word) = (c as u32 as u64, c as u32 as i32);
    match (op.code, log2(c), log2(low)) {
        (Div | Divu, ..) if c == 0 => li(op, u64::MAX),
        (DivW | DivuW, ..) if low == 0 => li(op, u64::MAX),
        (Rem | Remu, ..) if c == 0 => mov(op, b),
        (RemW | RemuW, ..) if low == 0 => unary(op, SextW, b),
        (Div | Divu, ..) if c == 1 => mov(op, b),
        (DivW | DivuW, ..) if low == 1 => unary(op, SextW, b),
        (Rem, ..) if c == 1 || c == u64::MAX => li(op, 0),
        (RemW, ..) if word == 1 || word == -1 => li(op, 0),
        (Remu, ..) if c == 1 => li(op, 0),
        (RemuW, ..) if low == 1 => li(op, 0),
        (Divu, Some(n), _) => with_imm(op, SrlI, b, n),
        (Remu, Some(_), _) => mask(op, c - 1),
        (DivuW, _, Some(n)) => with_imm(op, SrlIW, b, n),
        (RemuW, _, Some(_)) => mask(op, low - 1),
        _ => {}
    }
}

/// `a = b & mask`, by an extension where there is one.
fn mask(op: &mut Op, mask: u64) {
    match mask {
        0xff => unary(op, ZextB, op.b),
        0xffff => unary(op, ZextH, op.b),
        0xffff_ffff => unary(op, ZextW, op.b),
        _ => with_imm(op, AndI, op.b, mask as i64),
    }
}
