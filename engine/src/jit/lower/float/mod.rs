//! Float ops by Cranelift's float instructions, under the guest's MXCSR.
//!
//! The problem: results and accumulated flags must be the interpreter's bit for bit, while Cranelift does not know that
//! float instructions raise flags. At `opt_level=none` it moves none and folds none, but two things matter:
//! - An instruction whose result nobody uses is not emitted, and its flags are lost. A result here is an operand of a branch at the end
//!   of the block at the latest, or read by an instruction of which that is true, or stored ([`loose`] sees to that): these count as uses
//!   even where the guest never reads the word again.
//! - A comparison is emitted where its result is used, and once more for each use. So results of comparisons reach the guest as block
//!   parameters, out of reach of that.
//!
//! What Cranelift emits for x86-64 was looked at for each instruction used: `fadd` to `fma` are the plain ones; comparisons are
//! `ucomisd`, which raises for signalling NaNs only; `fcvt_to_sint_sat` is `cvttsd2si` and then quiet comparisons only where that has
//! raised invalid; `floor` and its like raise inexact; `fmin` and `fmax` treat zeros as RISC-V does. None can be told a rounding mode,
//! so ops with a static one that matters, and what rounds to an integer dynamically, are run by the interpreter's meaning, as
//! is half precision.

mod arith;
mod bits;
mod compare;
mod convert;
mod integer;
mod loose;
#[cfg(test)]
mod tests;
mod words;

use super::Lower;
use super::values::TRUSTED;
use crate::disp;
use crate::host;
use crate::ir::op::{Fmt, FpFlags, RM_DYNAMIC};
use crate::ir::{Op, Opcode};
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Type, Value, types};
pub use words::Floats;

/// The canonical NaNs of RISC-V (unprivileged spec, chapter "F", "NaN Generation and Propagation").
const NAN_SINGLE: u32 = 0x7fc0_0000;
const NAN_DOUBLE: u64 = 0x7ff8_0000_0000_0000;

/// Whether [`Lower::float`] knows the op.
pub fn lowers(op: &Op) -> bool {
    use Opcode::*;
    let flags = FpFlags(op.aux);
    if matches!(op.code, FMoveX | FMoveF) {
        return true;
    }
    let known = |fmt: Fmt| fmt == Fmt::D || fmt == Fmt::S && flags.is_boxed();
    let dynamic = flags.rm() == RM_DYNAMIC;
    known(flags.fmt())
        && match op.code {
            FSgnj | FSgnjn | FSgnjx | FClass => true,
            FAdd | FSub | FMul | FDiv | FSqrt => dynamic,
            FMadd | FMsub | FNmsub | FNmadd => dynamic && host::fuses(),
            FMin | FMax | FMinM | FMaxM | FEq | FLt | FLe | FLtq | FLeq => true,
            FFromI32 | FFromU32 => dynamic || flags.fmt() == Fmt::D,
            FFromI64 | FFromU64 => dynamic,
            FToI32 | FToU32 | FToI64 | FToU64 => flags.rm() == integer::RTZ,
            FCvt => match (flags.fmt(), flags.source()) {
                (Fmt::D, Fmt::S) => flags.is_boxed(),
                (Fmt::S, Fmt::D) => dynamic,
                _ => false,
            },
            _ => false,
        }
}

fn type_of(fmt: Fmt) -> Type {
    if fmt == Fmt::S { types::F32 } else { types::F64 }
}

impl Lower<'_> {
    /// Lowers a float op for which [`lowers`].
    pub fn float(&mut self, op: &Op) {
        use Opcode::*;
        let fmt = FpFlags(op.aux).fmt();
        match op.code {
            FMoveX => self.move_x(op, fmt),
            FMoveF => self.move_f(op),
            FSgnj | FSgnjn | FSgnjx => self.sign_injected(op, fmt),
            FClass => self.class(op, fmt),
            FAdd | FSub | FMul | FDiv | FSqrt => self.arithmetic(op, fmt),
            FMadd | FMsub | FNmsub | FNmadd => self.fused(op, fmt),
            FMin | FMax | FMinM | FMaxM => self.min_max(op, fmt),
            FEq | FLt | FLe | FLtq | FLeq => self.compare(op, fmt),
            FCvt => self.convert(op),
            FFromI32 | FFromU32 | FFromI64 | FFromU64 => self.convert_integer(op, fmt),
            _ => self.truncate(op, fmt),
        }
    }

    /// The canonical NaN.
    fn nan(&mut self, fmt: Fmt) -> Value {
        match fmt {
            Fmt::S => self.b.ins().f32const(f32::from_bits(NAN_SINGLE)),
            _ => self.b.ins().f64const(f64::from_bits(NAN_DOUBLE)),
        }
    }

    /// A number of a format, exact.
    fn float_constant(&mut self, fmt: Fmt, number: f64) -> Value {
        match fmt {
            Fmt::S => self.b.ins().f32const(number as f32),
            _ => self.b.ins().f64const(number),
        }
    }

    /// `value`, or what `cold` gives if `test`. What `cold` emits is not known after it.
    fn unless(
        &mut self,
        test: Value,
        value: impl FnOnce(&mut Self) -> Value,
        cold: impl FnOnce(&mut Self) -> Value,
    ) -> Value {
        let (hot_block, cold_block, done) =
            (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold_block);
        self.b.ins().brif(test, cold_block, &[], hot_block, &[]);

        self.go_on_in(hot_block);
        let value = value(self);
        let result = self.b.append_block_param(done, self.b.func.dfg.value_type(value));
        self.b.ins().jump(done, &[BlockArg::Value(value)]);

        self.go_on_in(cold_block);
        let other = cold(self);
        self.b.ins().jump(done, &[BlockArg::Value(other)]);

        self.go_on_in(done);
        result
    }

    /// `x`, or the canonical NaN for any NaN. NaNs that instructions deliver are quiet, so the test raises nothing.
    fn canonical(&mut self, x: Value, fmt: Fmt, cold: impl FnOnce(&mut Self)) -> Value {
        let unordered = self.b.ins().fcmp(FloatCC::Unordered, x, x);
        self.unless(
            unordered,
            |_| x,
            |l| {
                cold(l);
                l.nan(fmt)
            },
        )
    }

    /// Keeps `x`'s flags even if nobody reads `x`: by storing it where slow paths leave a value, because nothing is there now.
    fn keep(&mut self, x: Value) {
        let state = self.b.ins().get_pinned_reg(types::I64);
        self.b.ins().store(TRUSTED, x, state, disp!(value));
    }

    /// Raises invalid if `test`, else nothing.
    fn raise_invalid_if(&mut self, test: Value) {
        // 0 / 0, or 1 / 1
        let (zero, one) = (self.b.ins().f64const(0.0), self.b.ins().f64const(1.0));
        let x = self.b.ins().select(test, zero, one);
        self.divide_by_itself(x);
    }

    /// Raises invalid.
    fn raise_invalid(&mut self) {
        let zero = self.b.ins().f64const(0.0);
        self.divide_by_itself(zero);
    }

    fn divide_by_itself(&mut self, x: Value) {
        let quotient = self.b.ins().fdiv(x, x);
        self.keep(quotient);
    }
}
