//! Conversions between formats and from integers.

use super::{Lower, type_of};
use crate::ir::op::{Fmt, FpFlags};
use crate::ir::{Op, Opcode};
use cranelift_codegen::ir::{InstBuilder, types};

impl Lower<'_> {
    pub(super) fn convert(&mut self, op: &Op) {
        let flags = FpFlags(op.aux);
        let b = self.get_float(op.b, flags.source());
        let x = match flags.fmt() {
            Fmt::S => self.b.ins().fdemote(types::F32, b),
            _ => self.b.ins().fpromote(types::F64, b),
        };
        self.set_result(op.a, x, flags.fmt());
    }

    /// Unsigned 64-bit integers are halved with a sticky bit, converted and doubled where need be, which changes no flag.
    pub(super) fn convert_integer(&mut self, op: &Op, fmt: Fmt) {
        let b = self.get(op.b);
        let ty = type_of(fmt);
        let x = match op.code {
            Opcode::FFromI32 => {
                let low = self.low(b);
                self.b.ins().fcvt_from_sint(ty, low)
            }
            Opcode::FFromU32 => {
                let low = self.low(b);
                let wide = self.b.ins().uextend(types::I64, low);
                self.b.ins().fcvt_from_sint(ty, wide)
            }
            Opcode::FFromI64 => self.b.ins().fcvt_from_sint(ty, b),
            _ => self.b.ins().fcvt_from_uint(ty, b),
        };
        let exact = fmt == Fmt::D && matches!(op.code, Opcode::FFromI32 | Opcode::FFromU32);
        if !exact {
            self.keep(x);
        }
        self.set_float(op.a, x, fmt);
    }
}
