//! Conversions between formats and from integers.

use super::{Done, Emit, X, sized};
use crate::ir::op::{Fmt, Opcode};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

impl Emit<'_> {
    /// Between S and D. Widening is exact, so its rounding mode does not matter.
    pub(super) fn convert(&mut self) -> Done {
        let boxed = self.flags.is_boxed();
        match (self.flags.fmt(), self.flags.source()) {
            (Fmt::D, Fmt::S) if boxed => {
                let b = self.words.read_single(self.asm, self.op.b);
                let x = self.empty();
                dynasm!(self.asm ; .arch x64 ; cvtss2sd Rx(x), Rx(b));
                self.write_number(x)
            }
            (Fmt::S, Fmt::D) if boxed && self.rounds_dynamically() => {
                let b = self.words.read(self.asm, self.op.b);
                let x = self.empty();
                dynasm!(self.asm ; .arch x64 ; cvtsd2ss Rx(x), Rx(b));
                self.write_number(x)
            }
            _ => Done::No,
        }
    }

    /// A result register with the upper half of a boxed single, or with nothing that an instruction that merges would
    /// wait for.
    fn empty(&mut self) -> X {
        let x = self.fresh();
        if self.single {
            dynasm!(self.asm ; .arch x64 ; pcmpeqd Rx(x), Rx(x));
        } else {
            dynasm!(self.asm ; .arch x64 ; xorps Rx(x), Rx(x));
        }
        x
    }

    /// From an integer; 32 bits in a double are exact.
    pub(super) fn convert_integer(&mut self) -> Done {
        let exact = matches!(self.op.code, Opcode::FFromI32 | Opcode::FFromU32) && !self.single;
        if !exact && !self.rounds_dynamically() {
            return Done::No;
        }
        let g = self.integer_operand();
        let x = self.empty();
        match self.op.code {
            Opcode::FFromI32 => sized!(self, cvtsi2sd | cvtsi2ss Rx(x), Rd(g)),
            Opcode::FFromU32 => {
                dynasm!(self.asm ; .arch x64 ; mov eax, Rd(g));
                sized!(self, cvtsi2sd | cvtsi2ss Rx(x), rax);
            }
            Opcode::FFromI64 => sized!(self, cvtsi2sd | cvtsi2ss Rx(x), Rq(g)),
            _ => self.convert_u64(x, g),
        }
        self.write(x)
    }

    /// Above the signed range half the number is converted, with the bit that falls off kept sticky: as at least ten bits are
    /// rounded away in any case, that changes neither rounding nor inexactness; then doubled, exactly.
    fn convert_u64(&mut self, x: X, g: u8) {
        let (large, back) = (self.asm.label(), self.asm.label());
        dynasm!(self.asm ; .arch x64 ; test Rq(g), Rq(g) ; js =>large);
        sized!(self, cvtsi2sd | cvtsi2ss Rx(x), Rq(g));
        dynasm!(self.asm ; .arch x64 ; =>back);
        self.asm.cold();
        dynasm!(self.asm ; .arch x64
            ; =>large
            ; mov rcx, Rq(g)
            ; mov eax, ecx
            ; and eax, 1
            ; shr rcx, 1
            ; or rax, rcx);
        sized!(self, cvtsi2sd | cvtsi2ss Rx(x), rax);
        sized!(self, addsd | addss Rx(x), Rx(x));
        dynasm!(self.asm ; .arch x64 ; jmp =>back);
        self.asm.hot();
    }
}
