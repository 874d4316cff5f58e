//! Conversions to integers, saturating.
//!
//! Invalid without inexact for what does not fit after rounding: the host has that for signed integers under the dynamic mode and
//! towards zero, with an answer (the smallest integer) that is looked at again in the cold part. Elsewhere the number is
//! rounded to an integral one without flags first, converted, compared with its range, and then, if it fits, rounded once more
//! for the inexact flag.

use super::round::{TRUNCATE, control};
use super::{Done, Emit, X, sized};
use crate::ir::op::{Opcode, RM_DYNAMIC};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

/// RISC-V's number for rounding towards zero.
const RTZ: u8 = 1;

impl Emit<'_> {
    pub(super) fn integer(&mut self) -> Done {
        let signed = matches!(self.op.code, Opcode::FToI32 | Opcode::FToI64);
        let direct = signed && matches!(self.flags.rm(), RTZ | RM_DYNAMIC);
        if !direct && !self.features.sse41 {
            return Done::No;
        }
        let b = self.read(self.op.b);
        let (wrong, back) = (self.asm.label(), self.asm.label());
        if direct {
            self.convert_directly(b, wrong);
            self.saturate(b, wrong, back);
            return Done::Rax;
        }
        self.round_quietly(b);
        match self.op.code {
            Opcode::FToU64 => self.convert_to_u64(wrong, back),
            Opcode::FToI64 => {
                // The smallest integer may be right; it is exact then.
                sized!(self, cvttsd2si | cvttss2si rax, xmm1);
                dynasm!(self.asm ; .arch x64 ; cmp rax, 1 ; jo =>wrong);
            }
            _ => {
                sized!(self, cvttsd2si | cvttss2si rax, xmm1);
                if signed {
                    dynasm!(self.asm ; .arch x64 ; movsxd rcx, eax);
                } else {
                    dynasm!(self.asm ; .arch x64 ; mov ecx, eax);
                }
                dynasm!(self.asm ; .arch x64 ; cmp rax, rcx ; jne =>wrong);
            }
        }
        // Raises inexact if rounding changed the number.
        sized!(self, roundsd | roundss xmm1, Rx(b), control(self.flags.rm()).unwrap_or(TRUNCATE));
        if self.op.code == Opcode::FToU32 {
            dynasm!(self.asm ; .arch x64 ; movsxd rax, eax);
        }
        self.saturate(b, wrong, back);
        Done::Rax
    }

    /// To a signed integer in `rax`; the smallest one, which is also the answer for what does not fit, goes to `wrong`.
    fn convert_directly(&mut self, b: X, wrong: DynamicLabel) {
        let truncate = self.flags.rm() == RTZ;
        if self.op.code == Opcode::FToI64 {
            if truncate {
                sized!(self, cvttsd2si | cvttss2si rax, Rx(b));
            } else {
                sized!(self, cvtsd2si | cvtss2si rax, Rx(b));
            }
            dynasm!(self.asm ; .arch x64 ; cmp rax, 1 ; jo =>wrong);
        } else {
            if truncate {
                sized!(self, cvttsd2si | cvttss2si eax, Rx(b));
            } else {
                sized!(self, cvtsd2si | cvtss2si eax, Rx(b));
            }
            dynasm!(self.asm ; .arch x64 ; cmp eax, 1 ; jo =>wrong ; movsxd rax, eax);
        }
    }

    /// `rax = xmm1`, integral, as an unsigned integer; from 2^63 on in the cold part. Negative numbers and NaN go to `wrong`.
    fn convert_to_u64(&mut self, wrong: DynamicLabel, back: DynamicLabel) {
        let large = self.asm.label();
        let two_to_63: i64 = if self.single { 0x5f00_0000 } else { 0x43e0 << 48 };
        dynasm!(self.asm ; .arch x64 ; mov rcx, QWORD two_to_63 ; movq xmm2, rcx);
        sized!(self, ucomisd | ucomiss xmm1, xmm2);
        dynasm!(self.asm ; .arch x64 ; jae =>large);
        sized!(self, cvttsd2si | cvttss2si rax, xmm1);
        dynasm!(self.asm ; .arch x64 ; test rax, rax ; js =>wrong);
        self.asm.cold();
        dynasm!(self.asm ; .arch x64 ; =>large);
        // Up to 2^64 the exponent is the same: the fraction goes where the integer has it, below the leading one.
        if self.single {
            dynasm!(self.asm ; .arch x64 ; movd eax, xmm1 ; cmp eax, 0x5f80_0000 ; jae =>wrong ; shl rax, 40);
        } else {
            dynasm!(self.asm ; .arch x64
                ; movq rax, xmm1
                ; mov rcx, QWORD 0x43f0 << 48
                ; cmp rax, rcx
                ; jae =>wrong
                ; shl rax, 11);
        }
        dynasm!(self.asm ; .arch x64 ; bts rax, 63 ; jmp =>back);
        self.asm.hot();
    }

    /// `back`, and in the cold part `wrong`: the answer for a `b` that does not fit, and its flag if the host did not raise it.
    fn saturate(&mut self, b: X, wrong: DynamicLabel, back: DynamicLabel) {
        let (lowest, highest) = match self.op.code {
            Opcode::FToI32 => (i32::MIN as i64, i32::MAX as i64),
            Opcode::FToU32 | Opcode::FToU64 => (0, -1),
            _ => (i64::MIN, i64::MAX),
        };
        dynasm!(self.asm ; .arch x64 ; =>back);
        self.asm.cold();
        dynasm!(self.asm ; .arch x64 ; =>wrong);
        let raised = matches!(self.op.code, Opcode::FToI64)
            || self.op.code == Opcode::FToI32 && matches!(self.flags.rm(), RTZ | RM_DYNAMIC);
        if !raised {
            // 0 / 0
            dynasm!(self.asm ; .arch x64 ; xorps xmm1, xmm1 ; divss xmm1, xmm1);
        }
        sized!(self, ucomisd | ucomiss Rx(b), Rx(b));
        sized!(self, movmskpd | movmskps ecx, Rx(b));
        dynasm!(self.asm ; .arch x64 ; mov rax, QWORD highest ; jp =>back ; test cl, 1 ; jz =>back);
        dynasm!(self.asm ; .arch x64 ; mov rax, QWORD lowest ; jmp =>back);
        self.asm.hot();
    }
}
