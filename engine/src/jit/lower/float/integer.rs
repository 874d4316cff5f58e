//! Conversions to integers, towards zero and saturating.
//!
//! What is in range goes through the signed conversion that has room for it, so that inexact is raised for numbers that fit and only
//! for those. For signed integers the conversion itself raises invalid, and NaN alone needs another answer than Cranelift's.

use super::Lower;
use crate::ir::op::Fmt;
use crate::ir::{Op, Opcode};
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};

/// RISC-V's number for rounding towards zero.
pub const RTZ: u8 = 1;

const TWO_TO_32: f64 = 4_294_967_296.0;
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

impl Lower<'_> {
    pub(super) fn truncate(&mut self, op: &Op, fmt: Fmt) {
        let b = self.get_float(op.b, fmt);
        let value = match op.code {
            Opcode::FToI32 => {
                let low = self.truncate_signed(b, false);
                return self.set_signed(op, low);
            }
            Opcode::FToI64 => self.truncate_signed(b, true),
            Opcode::FToU32 => {
                let value = self.in_range(b, fmt, TWO_TO_32);
                let low = self.low(value);
                return self.set_signed(op, low);
            }
            _ => self.truncate_u64(b, fmt),
        };
        self.set(op.a, value);
    }

    fn set_signed(&mut self, op: &Op, low: Value) {
        let value = self.signed(low);
        self.set(op.a, value);
    }

    fn truncate_signed(&mut self, b: Value, wide: bool) -> Value {
        let (ty, largest) = if wide { (types::I64, i64::MAX) } else { (types::I32, i64::from(i32::MAX)) };
        let unordered = self.b.ins().fcmp(FloatCC::Unordered, b, b);
        self.unless(
            unordered,
            |l| l.b.ins().fcvt_to_sint_sat(ty, b),
            |l| {
                l.raise_invalid();
                l.b.ins().iconst(ty, largest)
            },
        )
    }

    /// The integer in `b`, if it lies between -1 and `limit`; else invalid, and 0 or all ones.
    fn in_range(&mut self, b: Value, fmt: Fmt, limit: f64) -> Value {
        let outside = self.is_outside(b, fmt, limit);
        self.unless(outside, |l| l.b.ins().fcvt_to_sint_sat(types::I64, b), |l| l.saturated(b, fmt))
    }

    /// Whether `b` is a NaN or not between -1 and `limit`. Raises invalid for signalling NaNs, which are.
    fn is_outside(&mut self, b: Value, fmt: Fmt, limit: f64) -> Value {
        let (least, limit) = (self.float_constant(fmt, -1.0), self.float_constant(fmt, limit));
        let low = self.b.ins().fcmp(FloatCC::UnorderedOrLessThanOrEqual, b, least);
        let high = self.b.ins().fcmp(FloatCC::UnorderedOrGreaterThanOrEqual, b, limit);
        self.b.ins().bor(low, high)
    }

    /// Raises invalid; 0 for negative numbers, else all ones.
    fn saturated(&mut self, b: Value, fmt: Fmt) -> Value {
        self.raise_invalid();
        let zero = self.float_constant(fmt, 0.0);
        let negative = self.b.ins().fcmp(FloatCC::LessThan, b, zero);
        let (none, all) = (self.b.ins().iconst(types::I64, 0), self.b.ins().iconst(types::I64, -1));
        self.b.ins().select(negative, none, all)
    }

    fn truncate_u64(&mut self, b: Value, fmt: Fmt) -> Value {
        let outside = self.is_outside(b, fmt, TWO_TO_63);
        self.unless(
            outside,
            |l| l.b.ins().fcvt_to_sint_sat(types::I64, b),
            |l| {
                let (low, high) = (l.float_constant(fmt, TWO_TO_63), l.float_constant(fmt, TWO_TO_64));
                let small = l.b.ins().fcmp(FloatCC::UnorderedOrLessThan, b, low);
                let large = l.b.ins().fcmp(FloatCC::UnorderedOrGreaterThanOrEqual, b, high);
                let wrong = l.b.ins().bor(small, large);
                l.unless(wrong, |l| l.leading_one(b, fmt), |l| l.saturated(b, fmt))
            },
        )
    }

    /// The integer in `b`, from 2^63 to 2^64: the fraction goes where the integer has it, below the leading one.
    fn leading_one(&mut self, b: Value, fmt: Fmt) -> Value {
        let flags = MemFlagsData::new();
        let fraction = match fmt {
            Fmt::S => {
                let bits = self.b.ins().bitcast(types::I32, flags, b);
                let wide = self.b.ins().uextend(types::I64, bits);
                self.b.ins().ishl_imm_s(wide, 40)
            }
            _ => {
                let bits = self.b.ins().bitcast(types::I64, flags, b);
                self.b.ins().ishl_imm_s(bits, 11)
            }
        };
        self.b.ins().bor_imm_s(fraction, i64::MIN)
    }
}
