//! Integer ops on known numbers and on zero.

use crate::ir::Opcode::{self, *};
use crate::ir::eval;

/// `op(b, c)` on numbers, where `c` is a register or the immediate. `None` if `op` is not pure.
pub fn fold(op: Opcode, b: i64, c: i64) -> Option<i64> {
    eval::pure(op, b as u64, c as u64, c, 0, 0).map(|v| v as i64)
}

/// The op that `op` is if its second source is 0: a move, or a change of width.
pub fn with_zero(op: Opcode) -> Option<Opcode> {
    Some(match op {
        Add | AddI | Sub | Or | OrI | Xor | XorI => Mov,
        Sll | SllI | Srl | SrlI | Sra | SraI | Rol | Ror | RorI => Mov,
        AddW | AddIW | SubW | SllIW | SrlIW | SraIW | RorIW | SllW | SrlW | SraW => SextW,
        AddUw | SllIUw => ZextW,
        _ => return None,
    })
}
