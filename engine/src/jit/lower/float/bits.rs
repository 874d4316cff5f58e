//! What moves and changes bits: sign injection, raw moves.

use super::Lower;
use crate::ir::op::{Fmt, FpFlags};
use crate::ir::{Op, Opcode};
use cranelift_codegen::ir::{InstBuilder, types};

impl Lower<'_> {
    pub(super) fn move_x(&mut self, op: &Op, fmt: Fmt) {
        let b = self.get(op.b);
        let value = match fmt {
            Fmt::D => b,
            Fmt::S => {
                let low = self.low(b);
                self.signed(low)
            }
            Fmt::H => {
                let low = self.b.ins().ireduce(types::I16, b);
                self.b.ins().sextend(types::I64, low)
            }
        };
        self.set(op.a, value);
    }

    pub(super) fn move_f(&mut self, op: &Op) {
        let flags = FpFlags(op.aux);
        let b = self.get(op.b);
        let upper: i64 = match flags.fmt() {
            Fmt::D => return self.set(op.a, b),
            Fmt::S => !0xffff_ffff,
            Fmt::H => !0xffff,
        };
        let value = if flags.is_boxed() {
            let value = self.b.ins().bor_imm_s(b, upper);
            self.is_boxed(value);
            value
        } else {
            self.b.ins().band_imm_s(b, !upper)
        };
        self.set(op.a, value);
    }

    /// None of these looks at what the bits mean.
    pub(super) fn sign_injected(&mut self, op: &Op, fmt: Fmt) {
        self.settle(op.b);
        self.settle(op.c);
        let b = self.get_float(op.b, fmt);
        let same = op.b == op.c;
        let c = if same { b } else { self.get_float(op.c, fmt) };
        let x = match op.code {
            Opcode::FSgnj if same => b,
            Opcode::FSgnj => self.b.ins().fcopysign(b, c),
            Opcode::FSgnjn if same => self.b.ins().fneg(b),
            Opcode::FSgnjn => {
                let c = self.b.ins().fneg(c);
                self.b.ins().fcopysign(b, c)
            }
            _ if same => self.b.ins().fabs(b),
            _ => {
                let sign = self.float_constant(fmt, -0.0);
                let sign = self.b.ins().band(c, sign);
                self.b.ins().bxor(b, sign)
            }
        };
        self.set_float(op.a, x, fmt);
    }
}
