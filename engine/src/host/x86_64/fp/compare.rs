//! Comparison and classification.
//!
//! `comisd` raises invalid for every NaN, as `flt` and `fle` do, `ucomisd` for signalling ones, as `feq` and the quiet forms. Both
//! set the carry flag if the operands are unordered, so "less" is asked as "above" with operands exchanged.

use super::{Done, Emit, sized};
use crate::ir::op::Opcode;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

impl Emit<'_> {
    pub(super) fn compare(&mut self) -> Done {
        let (b, c) = (self.read(self.op.b), self.read(self.op.c));
        dynasm!(self.asm ; .arch x64 ; xor eax, eax);
        match self.op.code {
            Opcode::FEq => {
                dynasm!(self.asm ; .arch x64 ; xor ecx, ecx);
                sized!(self, ucomisd | ucomiss Rx(c), Rx(b));
                dynasm!(self.asm ; .arch x64 ; setnp al ; cmovne eax, ecx);
            }
            Opcode::FLt | Opcode::FLe => sized!(self, comisd | comiss Rx(c), Rx(b)),
            _ => sized!(self, ucomisd | ucomiss Rx(c), Rx(b)),
        }
        match self.op.code {
            Opcode::FEq => {}
            Opcode::FLt | Opcode::FLtq => dynasm!(self.asm ; .arch x64 ; seta al),
            _ => dynasm!(self.asm ; .arch x64 ; setae al),
        }
        Done::Rax
    }

    /// One bit of ten, see [`crate::float::classify`]: numbers by how many of three limits their magnitude reaches.
    pub(super) fn class(&mut self) -> Done {
        let b = self.read(self.op.b);
        // Twice the bits, so that the sign is out of the way.
        let (normal, infinity) = if self.single { (1 << 24, 0xff << 24) } else { (1 << 53, 0x7ff_i64 << 53) };
        if self.single {
            dynasm!(self.asm ; .arch x64 ; movd eax, Rx(b) ; add eax, eax);
        } else {
            dynasm!(self.asm ; .arch x64 ; movq rax, Rx(b) ; add rax, rax);
        }
        let (nan, back) = (self.asm.label(), self.asm.label());
        dynasm!(self.asm ; .arch x64
            ; mov ecx, 4
            ; cmp rax, 1
            ; sbb ecx, -1
            ; mov rdx, QWORD normal
            ; cmp rax, rdx
            ; sbb ecx, -1
            ; mov rdx, QWORD infinity
            ; cmp rax, rdx
            ; ja =>nan
            ; sbb ecx, -1);
        // 4 + rank, or 3 - rank for negative numbers: that is the complement of the former, modulo 8.
        sized!(self, movmskpd | movmskps edx, Rx(b));
        dynasm!(self.asm ; .arch x64
            ; and edx, 1
            ; neg edx
            ; xor ecx, edx
            ; and edx, 8
            ; add ecx, edx
            ; mov eax, 1
            ; shl eax, cl
            ; =>back);
        self.asm.cold();
        // The quiet bit, doubled like the rest.
        dynasm!(self.asm ; .arch x64 ; =>nan ; bt rax, if self.single { 23 } else { 52 } ; mov eax, 0x100 ; mov ecx, 0x200);
        dynasm!(self.asm ; .arch x64 ; cmovc eax, ecx ; jmp =>back);
        self.asm.hot();
        Done::Rax
    }
}
