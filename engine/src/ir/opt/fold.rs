//! Constant folding and identities.
//!
//! An op whose operands are all known becomes `li`; one that knows its second operand takes its immediate form; an
//! immediate form that changes nothing becomes a move. Values relative to the pc of the block are tracked too: a
//! guest that adds to its pc in two steps (RISC-V `auipc` and `addi`, AArch64 `adrp` and `add`) gets one op, and an indirect
//! jump to such a value becomes a direct one.

use super::{Fact, Facts};
use crate::ir::eval;
use crate::ir::op::{JumpHint, Op, Opcode, Reg, SINK, Shape};
use Opcode::*;

/// Makes `op` cheaper by what is known of its operands.
#[inline(always)]
pub fn rewrite(op: &mut Op, facts: &Facts) {
    match op.code.shape() {
        Shape::Rrr => three(op, facts),
        Shape::Rri => immediate(op, facts),
        Shape::Rr => two(op, facts),
        Shape::Rrrr => four(op, facts),
        Shape::Branch => branch(op, facts),
        Shape::JumpReg => jump(op, facts),
        _ => {}
    }
}

/// `a = value`
pub(super) fn li(op: &mut Op, value: u64) {
    *op = Op { imm: value as i64, ..Op { a: op.a, ..Op::new(Li) } };
}

/// `a = reg`
pub(super) fn mov(op: &mut Op, reg: Reg) {
    *op = Op::rrr(Mov, op.a, reg, 0);
}

/// `a = code(reg)`
pub(super) fn unary(op: &mut Op, code: Opcode, reg: Reg) {
    *op = Op::rrr(code, op.a, reg, 0);
}

/// `a = code(reg, imm)`
pub(super) fn with_imm(op: &mut Op, code: Opcode, reg: Reg, imm: i64) {
    *op = Op::rri(code, op.a, reg, imm);
}

fn add_pc(op: &mut Op, offset: i64) {
    *op = Op { imm: offset, ..Op { a: op.a, ..Op::new(AddPc) } };
}

fn two(op: &mut Op, facts: &Facts) {
    match facts.of(op.b) {
        Fact::Const(b) => {
            if let Some(value) = eval::pure(op.code, b, 0, 0, 0, 0) {
                li(op, value);
            }
        }
        Fact::Pc(offset) if op.code == Mov => add_pc(op, offset),
        _ => {}
    }
}

fn immediate(op: &mut Op, facts: &Facts) {
    match facts.of(op.b) {
        Fact::Const(b) => {
            if let Some(value) = eval::pure(op.code, b, 0, op.imm, 0, 0) {
                li(op, value);
            }
        }
        Fact::Pc(offset) if op.code == AddI => add_pc(op, offset.wrapping_add(op.imm)),
        _ => identities(op),
    }
}

/// An immediate form that is a move, a constant or an extension; shift counts within the width.
fn identities(op: &mut Op) {
    match op.code {
        SllI | SrlI | SraI | RorI | SllIUw | BitClearI | BitExtractI | BitInvertI | BitSetI => op.imm &= 63,
        SllIW | SrlIW | SraIW | RorIW => op.imm &= 31,
        _ => {}
    }
    match (op.code, op.imm) {
        (AddI | OrI | XorI | SllI | SrlI | SraI | RorI, 0) | (AndI, -1) => mov(op, op.b),
        (AndI | SltuI, 0) => li(op, 0),
        (OrI, -1) => li(op, u64::MAX),
        (AndI, 0xff) => unary(op, ZextB, op.b),
        (AndI, 0xffff) => unary(op, ZextH, op.b),
        (AndI, 0xffff_ffff) | (SllIUw, 0) => unary(op, ZextW, op.b),
        (AddIW | SllIW | SrlIW | SraIW | RorIW, 0) => unary(op, SextW, op.b),
        _ => {}
    }
}

/// The immediate form of `code(b, value)`.
fn immediate_form(code: Opcode, value: u64) -> Option<(Opcode, i64)> {
    let v = value as i64;
    Some(match code {
        Add => (AddI, v),
        Sub => (AddI, v.wrapping_neg()),
        And => (AndI, v),
        Or => (OrI, v),
        Xor => (XorI, v),
        AndNot => (AndI, !v),
        OrNot => (OrI, !v),
        XorNot => (XorI, !v),
        Sll => (SllI, v & 63),
        Srl => (SrlI, v & 63),
        Sra => (SraI, v & 63),
        Ror => (RorI, v & 63),
        Rol => (RorI, v.wrapping_neg() & 63),
        Slt => (SltI, v),
        Sltu => (SltuI, v),
        Seq => (SeqI, v),
        AddW => (AddIW, v as i32 as i64),
        SubW => (AddIW, v.wrapping_neg() as i32 as i64),
        SllW => (SllIW, v & 31),
        SrlW => (SrlIW, v & 31),
        SraW => (SraIW, v & 31),
        RorW => (RorIW, v & 31),
        RolW => (RorIW, v.wrapping_neg() & 31),
        BitClear => (BitClearI, v & 63),
        BitExtract => (BitExtractI, v & 63),
        BitInvert => (BitInvertI, v & 63),
        BitSet => (BitSetI, v & 63),
        _ => return None,
    })
}

const fn commutes(code: Opcode) -> bool {
    matches!(
        code,
        Add | And | Or | Xor | XorNot | Seq | AddW | Mul | MulH | MulHu | MulW | Min | Minu | Max | Maxu
    )
}

fn three(op: &mut Op, facts: &Facts) {
    let (mut b, mut c) = (facts.of(op.b), facts.of(op.c));
    if let (Fact::Const(x), Fact::Const(y)) = (b, c)
        && let Some(value) = eval::pure(op.code, x, y, 0, 0, 0)
    {
        return li(op, value);
    }
    if op.b == op.c && same(op) {
        return;
    }
    if commutes(op.code) && matches!(b, Fact::Const(_)) {
        (op.b, op.c) = (op.c, op.b);
        (b, c) = (c, b);
    }
    match (op.code, b, c) {
        (Add, Fact::Pc(offset), Fact::Const(c)) => add_pc(op, offset.wrapping_add(c as i64)),
        (Sub, Fact::Pc(offset), Fact::Const(c)) => add_pc(op, offset.wrapping_sub(c as i64)),
        (Sub, Fact::Pc(x), Fact::Pc(y)) => li(op, x.wrapping_sub(y) as u64),
        (_, _, Fact::Const(c)) => second_known(op, c),
        (_, Fact::Const(b), _) => first_known(op, b),
        _ => {}
    }
}

/// Both operands are the same word.
fn same(op: &mut Op) -> bool {
    match op.code {
        Sub | SubW | Xor | AndNot | Slt | Sltu => li(op, 0),
        OrNot | XorNot => li(op, u64::MAX),
        Seq => li(op, 1),
        And | Or | Min | Minu | Max | Maxu => mov(op, op.b),
        _ => return false,
    }
    true
}

fn second_known(op: &mut Op, c: u64) {
    if let Some((code, imm)) = immediate_form(op.code, c) {
        with_imm(op, code, op.b, imm);
        return identities(op);
    }
    match (op.code, c) {
        (ZeroIfZero, 0) => li(op, 0),
        (ZeroIfZero, _) | (ZeroIfNot, 0) => mov(op, op.b),
        (ZeroIfNot, _) => li(op, 0),
        (Sh1Add, 0) => with_imm(op, SllI, op.b, 1),
        (Sh2Add, 0) => with_imm(op, SllI, op.b, 2),
        (Sh3Add, 0) => with_imm(op, SllI, op.b, 3),
        (AddUw, 0) => unary(op, ZextW, op.b),
        (Sh1AddUw, 0) => with_imm(op, SllIUw, op.b, 1),
        (Sh2AddUw, 0) => with_imm(op, SllIUw, op.b, 2),
        (Sh3AddUw, 0) => with_imm(op, SllIUw, op.b, 3),
        (Minu, 0) => li(op, 0),
        (Maxu, 0) | (Minu, u64::MAX) => mov(op, op.b),
        (Maxu, u64::MAX) => li(op, u64::MAX),
        _ => {}
    }
}

fn first_known(op: &mut Op, b: u64) {
    let scaled = match op.code {
        Sh1Add | Sh2Add | Sh3Add | AddUw | Sh1AddUw | Sh2AddUw | Sh3AddUw => {
            // The scaled first operand is what the op makes of it and zero.
            eval::pure(op.code, b, 0, 0, 0, 0)
        }
        _ => None,
    };
    match (op.code, b) {
        _ if scaled.is_some() => {
            with_imm(op, AddI, op.c, scaled.unwrap_or(0) as i64);
            identities(op);
        }
        (Sll | Srl | Sra | Rol | Ror | SllW | SrlW | SraW | RolW | RorW | AndNot, 0) => li(op, 0),
        (ZeroIfZero | ZeroIfNot, 0) => li(op, 0),
        // Nothing is below zero, everything else is above.
        (Sltu, u64::MAX) => li(op, 0),
        _ => {}
    }
}

fn four(op: &mut Op, facts: &Facts) {
    let d = facts.value(op.reg_d());
    if let (Some(b), Some(c), Some(d)) = (facts.value(op.b), facts.value(op.c), d) {
        if let Some(value) = eval::pure(op.code, b, c, 0, 0, d) {
            li(op, value);
        }
        return;
    }
    match (op.code, d) {
        (Select, _) if op.b == op.c => mov(op, op.b),
        (Select, Some(0)) => mov(op, op.c),
        (Select, Some(_)) => mov(op, op.b),
        _ => return,
    }
    two(op, facts);
}

fn branch(op: &mut Op, facts: &Facts) {
    let operands = match (facts.value(op.b), facts.value(op.c)) {
        _ if op.b == op.c => Some((0, 0)),
        (Some(b), Some(c)) => Some((b, c)),
        _ => None,
    };
    if let Some(taken) = operands.and_then(|(b, c)| eval::taken(op.code, b, c)) {
        let target = if taken { op.imm } else { op.aux.into() };
        *op = Op { a: SINK, aux: op.aux, imm: target, ..Op::new(Jump) };
    }
}

/// An indirect jump to a known distance is a direct one, unless return prediction waits for it. (The pc of a block of
/// an ISA with such jumps is even, so an even distance needs no rounding.)
fn jump(op: &mut Op, facts: &Facts) {
    let returns = op.c == JumpHint::Return as u8 || op.c == JumpHint::ReturnCall as u8;
    if let Fact::Pc(offset) = facts.of(op.b)
        && !returns
    {
        let target = offset.wrapping_add(op.imm);
        // What a verifier would refuse stays indirect.
        if target & 1 == 0 && i32::try_from(target).is_ok() {
            *op = Op { a: op.a, aux: op.aux, imm: target, ..Op::new(Jump) };
        }
    }
}
