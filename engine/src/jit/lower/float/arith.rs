//! Addition to square root, the fused operations, minimum and maximum.

use super::{Lower, type_of};
use crate::ir::op::{Fmt, FpFlags};
use crate::ir::{Op, Opcode};
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder, Value};

impl Lower<'_> {
    pub(super) fn arithmetic(&mut self, op: &Op, fmt: Fmt) {
        let b = self.get_float(op.b, fmt);
        let x = if op.code == Opcode::FSqrt {
            self.b.ins().sqrt(b)
        } else {
            let c = self.get_float(op.c, fmt);
            match op.code {
                Opcode::FAdd => self.b.ins().fadd(b, c),
                Opcode::FSub => self.b.ins().fsub(b, c),
                Opcode::FMul => self.b.ins().fmul(b, c),
                _ => self.b.ins().fdiv(b, c),
            }
        };
        self.set_result(op.a, x, fmt);
    }

    /// Negations become part of the instruction.
    pub(super) fn fused(&mut self, op: &Op, fmt: Fmt) {
        let (b, c) = (self.get_float(op.b, fmt), self.get_float(op.c, fmt));
        let d = self.get_float(FpFlags(op.aux).reg_d(), fmt);
        let negated = matches!(op.code, Opcode::FNmsub | Opcode::FNmadd);
        let factor = if negated { self.b.ins().fneg(b) } else { b };
        let subtracts = matches!(op.code, Opcode::FMsub | Opcode::FNmadd);
        let addend = if subtracts { self.b.ins().fneg(d) } else { d };
        let x = self.b.ins().fma(factor, c, addend);
        let x = self.canonical(x, fmt, |l| {
            let invalid = l.product_is_invalid(b, c, fmt);
            l.raise_invalid_if(invalid);
        });
        self.set_float(op.a, x, fmt);
    }

    /// Infinity times zero: invalid on RISC-V even if the addend is a quiet NaN, but not on x86.
    fn product_is_invalid(&mut self, b: Value, c: Value, fmt: Fmt) -> Value {
        let mut one_way = |x: Value, y: Value| {
            let (infinity, zero) = (self.float_constant(fmt, f64::INFINITY), self.float_constant(fmt, 0.0));
            let magnitude = self.b.ins().fabs(x);
            let infinite = self.b.ins().fcmp(FloatCC::Equal, magnitude, infinity);
            let zero = self.b.ins().fcmp(FloatCC::Equal, y, zero);
            self.b.ins().band(infinite, zero)
        };
        let (first, second) = (one_way(b, c), one_way(c, b));
        self.b.ins().bor(first, second)
    }

    /// NaNs are sorted out by a comparison that raises invalid for signalling ones, as all four ops want.
    pub(super) fn min_max(&mut self, op: &Op, fmt: Fmt) {
        let (b, c) = (self.get_float(op.b, fmt), self.get_float(op.c, fmt));
        let unordered = self.b.ins().fcmp(FloatCC::Unordered, b, c);
        let least = matches!(op.code, Opcode::FMin | Opcode::FMinM);
        let number = matches!(op.code, Opcode::FMin | Opcode::FMax);
        let x = self.unless(
            unordered,
            |l| if least { l.b.ins().fmin(b, c) } else { l.b.ins().fmax(b, c) },
            |l| if number { l.prefer_number(b, c, fmt) } else { l.nan(fmt) },
        );
        debug_assert_eq!(self.b.func.dfg.value_type(x), type_of(fmt));
        self.set_float(op.a, x, fmt);
    }

    /// At least one of `b` and `c` is a NaN: the other one, or the canonical NaN.
    fn prefer_number(&mut self, b: Value, c: Value, fmt: Fmt) -> Value {
        let nan = self.nan(fmt);
        let is_number = self.b.ins().fcmp(FloatCC::Ordered, c, c);
        let c = self.b.ins().select(is_number, c, nan);
        let is_number = self.b.ins().fcmp(FloatCC::Ordered, b, b);
        self.b.ins().select(is_number, b, c)
    }
}
