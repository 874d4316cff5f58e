//! Minimum and maximum.
//!
//! `minsd` gives its second operand for zeros of either sign and for NaNs, and raises invalid for quiet NaNs too. Applied both ways
//! round, the results differ for zeros only, and there OR makes the minimum -0 and AND the maximum +0. NaNs are sorted out before
//! by a quiet comparison, which raises invalid for signalling ones, as all four ops want.

use super::{Done, Emit, X, sized};
use crate::ir::op::Opcode;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

impl Emit<'_> {
    pub(super) fn min_max(&mut self) -> Done {
        let (b, c) = (self.read(self.op.b), self.read(self.op.c));
        let (nan, back) = (self.asm.label(), self.asm.label());
        sized!(self, ucomisd | ucomiss Rx(b), Rx(c));
        let x = self.copy(b);
        dynasm!(self.asm ; .arch x64 ; jp =>nan ; movaps xmm0, Rx(c));
        if matches!(self.op.code, Opcode::FMin | Opcode::FMinM) {
            sized!(self, minsd | minss xmm0, Rx(b));
            sized!(self, minsd | minss Rx(x), Rx(c));
            dynasm!(self.asm ; .arch x64 ; orps Rx(x), xmm0);
        } else {
            sized!(self, maxsd | maxss xmm0, Rx(b));
            sized!(self, maxsd | maxss Rx(x), Rx(c));
            dynasm!(self.asm ; .arch x64 ; andps Rx(x), xmm0);
        }
        dynasm!(self.asm ; .arch x64 ; =>back);
        self.asm.cold();
        dynasm!(self.asm ; .arch x64 ; =>nan);
        if matches!(self.op.code, Opcode::FMin | Opcode::FMax) {
            self.prefer_number(x, c);
        } else {
            self.set_canonical(x);
        }
        dynasm!(self.asm ; .arch x64 ; jmp =>back);
        self.asm.hot();
        self.write(x)
    }

    /// At least one of `x` and `c` is a NaN: the other one, or the canonical NaN.
    fn prefer_number(&mut self, x: X, c: X) {
        sized!(self, ucomisd | ucomiss Rx(x), Rx(x));
        dynasm!(self.asm ; .arch x64 ; jnp >chosen ; movaps Rx(x), Rx(c));
        sized!(self, ucomisd | ucomiss Rx(x), Rx(x));
        dynasm!(self.asm ; .arch x64 ; jnp >chosen);
        self.set_canonical(x);
        dynasm!(self.asm ; .arch x64 ; chosen:);
    }
}
