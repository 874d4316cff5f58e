//! Addition to square root, and the fused operations.
//!
//! SSE and FMA round, and raise, as IEEE 754 says; so does RISC-V. The canonical NaN apart, one case differs: infinity times
//! zero plus a quiet NaN is invalid on RISC-V and not on x86 (IEEE 754-2019 section 7.2 leaves it open).

use super::{Done, Emit, X, sized};
use crate::disp;
use crate::ir::op::Opcode;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

impl Emit<'_> {
    pub(super) fn arith(&mut self) -> Done {
        if !self.rounds_dynamically() {
            return Done::No;
        }
        let b = self.read(self.op.b);
        let x = if self.op.code == Opcode::FSqrt {
            let x = self.copy(b);
            sized!(self, sqrtsd | sqrtss Rx(x), Rx(b));
            x
        } else {
            let c = self.read(self.op.c);
            let x = self.copy(b);
            match self.op.code {
                Opcode::FAdd => sized!(self, addsd | addss Rx(x), Rx(c)),
                Opcode::FSub => sized!(self, subsd | subss Rx(x), Rx(c)),
                Opcode::FMul => sized!(self, mulsd | mulss Rx(x), Rx(c)),
                _ => sized!(self, divsd | divss Rx(x), Rx(c)),
            }
            x
        };
        self.write_number(x)
    }

    /// A result register that starts as a copy of `from`. Scalar instructions leave the upper half of a single's
    /// destination as it is, so the copy makes the result boxed.
    pub(super) fn copy(&mut self, from: X) -> X {
        let x = self.fresh();
        dynasm!(self.asm ; .arch x64 ; movaps Rx(x), Rx(from));
        x
    }

    pub(super) fn fused(&mut self) -> Done {
        if !self.rounds_dynamically() || !self.features.fma {
            return Done::No;
        }
        let (b, c) = (self.read(self.op.b), self.read(self.op.c));
        let d = self.read(self.flags.reg_d());
        let x = self.copy(d);
        match self.op.code {
            Opcode::FMadd => sized!(self, vfmadd231sd | vfmadd231ss Rx(x), Rx(b), Rx(c)),
            Opcode::FMsub => sized!(self, vfmsub231sd | vfmsub231ss Rx(x), Rx(b), Rx(c)),
            Opcode::FNmsub => sized!(self, vfnmadd231sd | vfnmadd231ss Rx(x), Rx(b), Rx(c)),
            _ => sized!(self, vfnmsub231sd | vfnmsub231ss Rx(x), Rx(b), Rx(c)),
        }
        let (nan, back) = (self.asm.label(), self.asm.label());
        sized!(self, ucomisd | ucomiss Rx(x), Rx(x));
        dynasm!(self.asm ; .arch x64 ; jp =>nan ; =>back);
        self.asm.cold();
        dynasm!(self.asm ; .arch x64 ; =>nan);
        self.raise_if_product_is_invalid(b, c);
        self.set_canonical(x);
        dynasm!(self.asm ; .arch x64 ; jmp =>back);
        self.asm.hot();
        self.write(x)
    }

    /// Multiplies once more for the invalid flag, and drops the other flags that this raises.
    fn raise_if_product_is_invalid(&mut self, b: X, c: X) {
        dynasm!(self.asm ; .arch x64 ; stmxcsr [r15 + disp!(left_fcr)] ; movaps xmm0, Rx(b));
        sized!(self, mulsd | mulss xmm0, Rx(c));
        dynasm!(self.asm ; .arch x64
            ; stmxcsr [r15 + disp!(value)]
            ; mov eax, [r15 + disp!(value)]
            ; and eax, 1
            ; or [r15 + disp!(left_fcr)], eax
            ; ldmxcsr [r15 + disp!(left_fcr)]);
    }
}
