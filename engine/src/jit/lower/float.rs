//! Float ops that only move bits. All others are run by the interpreter's meaning.

use super::Lower;
use crate::ir::op::{Fmt, FpFlags};
use crate::ir::{Op, Opcode};
use cranelift_codegen::ir::{InstBuilder, Value, types};

/// Whether [`Lower::float`] knows the op.
pub fn lowers(op: &Op) -> bool {
    use Opcode::*;
    match op.code {
        FMoveX | FMoveF => true,
        FSgnj | FSgnjn | FSgnjx => FpFlags(op.aux).fmt() == Fmt::D,
        _ => false,
    }
}

impl Lower<'_> {
    /// The result of a float op for which [`lowers`].
    pub fn float(&mut self, op: &Op) -> Value {
        let flags = FpFlags(op.aux);
        let b = self.get(op.b);
        match op.code {
            Opcode::FMoveX => self.raw_bits(b, flags.fmt()),
            Opcode::FMoveF => self.boxed(b, flags),
            _ => self.sign_injected(op, b),
        }
    }

    fn raw_bits(&mut self, b: Value, fmt: Fmt) -> Value {
        match fmt {
            Fmt::D => b,
            Fmt::S => {
                let low = self.low(b);
                self.signed(low)
            }
            Fmt::H => {
                let low = self.b.ins().ireduce(types::I16, b);
                self.b.ins().sextend(types::I64, low)
            }
        }
    }

    fn boxed(&mut self, b: Value, flags: FpFlags) -> Value {
        let upper: i64 = match flags.fmt() {
            Fmt::D => return b,
            Fmt::S => !0xffff_ffff,
            Fmt::H => !0xffff,
        };
        if flags.is_boxed() { self.b.ins().bor_imm_s(b, upper) } else { self.b.ins().band_imm_s(b, !upper) }
    }

    /// Doubles only: narrower operands would have to be looked at for boxing.
    fn sign_injected(&mut self, op: &Op, b: Value) -> Value {
        let c = self.get(op.c);
        let c = if op.code == Opcode::FSgnjn { self.b.ins().bnot(c) } else { c };
        let sign = self.b.ins().band_imm_s(c, i64::MIN);
        if op.code == Opcode::FSgnjx {
            return self.b.ins().bxor(b, sign);
        }
        let magnitude = self.b.ins().band_imm_s(b, i64::MAX);
        self.b.ins().bor(magnitude, sign)
    }
}
