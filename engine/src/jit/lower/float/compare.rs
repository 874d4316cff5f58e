//! Comparison and classification.

use super::Lower;
use crate::ir::op::Fmt;
use crate::ir::{Op, Opcode};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Value, types};

impl Lower<'_> {
    /// All comparisons of Cranelift's are quiet: `flt` and `fle` raise invalid for quiet NaNs in the cold block.
    pub(super) fn compare(&mut self, op: &Op, fmt: Fmt) {
        let (b, c) = (self.get_float(op.b, fmt), self.get_float(op.c, fmt));
        let unordered = self.b.ins().fcmp(FloatCC::Unordered, b, c);
        let cc = match op.code {
            Opcode::FEq => FloatCC::Equal,
            Opcode::FLt | Opcode::FLtq => FloatCC::LessThan,
            _ => FloatCC::LessThanOrEqual,
        };
        let signals = matches!(op.code, Opcode::FLt | Opcode::FLe);
        let result = self.unless(
            unordered,
            |l| {
                let holds = l.b.ins().fcmp(cc, b, c);
                l.b.ins().uextend(types::I64, holds)
            },
            |l| {
                if signals {
                    l.raise_invalid();
                }
                l.b.ins().iconst(types::I64, 0)
            },
        );
        self.set(op.a, result);
    }

    /// One bit of ten, see [`crate::float::classify`]: numbers by how many of three limits their magnitude reaches.
    pub(super) fn class(&mut self, op: &Op, fmt: Fmt) {
        // As a double or as a single in the upper half, so that both have the sign at the top.
        let bits = match fmt {
            Fmt::S => {
                let low = self.unboxed_bits(op.b);
                let wide = self.b.ins().uextend(types::I64, low);
                self.b.ins().ishl_imm_s(wide, 32)
            }
            _ => self.get(op.b),
        };
        let field: u64 = if fmt == Fmt::S { 0xff << 55 } else { 0x7ff << 52 };
        let lowest = field & field.wrapping_neg();
        let magnitude = self.b.ins().band_imm_s(bits, i64::MAX);
        let mut reaches = |limit: u64| {
            let limit = self.b.ins().iconst(types::I64, limit as i64);
            let reached = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, magnitude, limit);
            self.b.ins().uextend(types::I64, reached)
        };
        let (nonzero, normal, infinite) = (reaches(1), reaches(lowest), reaches(field));
        let (nan, quiet) = (reaches(field + 1), reaches(field + (lowest >> 1)));
        let rank = self.sum(&[nonzero, normal, infinite]);
        let sign = self.b.ins().sshr_imm_s(bits, 63);
        // 4 + rank, or 3 - rank: the complement modulo 8.
        let rank = self.b.ins().iadd_imm_s(rank, 4);
        let rank = self.b.ins().bxor(rank, sign);
        let number = self.b.ins().band_imm_s(rank, 7);
        let of_nan = self.b.ins().iadd_imm_s(quiet, 8);
        let number = self.b.ins().select(nan, of_nan, number);
        let one = self.b.ins().iconst(types::I64, 1);
        let class = self.b.ins().ishl(one, number);
        self.set(op.a, class);
    }

    fn sum(&mut self, values: &[Value]) -> Value {
        let zero = self.b.ins().iconst(types::I64, 0);
        values.iter().fold(zero, |sum, v| self.b.ins().iadd(sum, *v))
    }
}
