//! What moves and changes bits: sign injection, raw moves.

use super::{Done, Emit};
use crate::ir::op::{Fmt, Opcode};
use crate::jit::abi::reg_disp;
use dynasmrt::{DynasmApi, dynasm};

impl Emit<'_> {
    pub(super) fn sign(&mut self) -> Done {
        let b = self.read(self.op.b);
        let x = if self.op.b != self.op.c {
            let c = self.read(self.op.c);
            self.sign_mask();
            let x = self.fresh();
            match self.op.code {
                // (b ^ c) & mask ^ b, and the same with c inverted
                Opcode::FSgnj | Opcode::FSgnjn => {
                    dynasm!(self.asm ; .arch x64 ; movaps Rx(x), Rx(b) ; xorps Rx(x), Rx(c));
                    if self.op.code == Opcode::FSgnj {
                        dynasm!(self.asm ; .arch x64 ; andps Rx(x), xmm0);
                    } else {
                        dynasm!(self.asm ; .arch x64 ; andnps Rx(x), xmm0);
                    }
                }
                _ => dynasm!(self.asm ; .arch x64 ; movaps Rx(x), Rx(c) ; andps Rx(x), xmm0),
            }
            dynasm!(self.asm ; .arch x64 ; xorps Rx(x), Rx(b));
            x
        } else if self.op.code == Opcode::FSgnj {
            self.copy(b)
        } else {
            self.sign_mask();
            let x = self.fresh();
            dynasm!(self.asm ; .arch x64 ; movaps Rx(x), xmm0);
            match self.op.code {
                Opcode::FSgnjn => dynasm!(self.asm ; .arch x64 ; xorps Rx(x), Rx(b)),
                _ => dynasm!(self.asm ; .arch x64 ; andnps Rx(x), Rx(b)),
            }
            x
        };
        self.write(x)
    }

    /// `xmm0 = sign bit`
    fn sign_mask(&mut self) {
        dynasm!(self.asm ; .arch x64 ; pcmpeqd xmm0, xmm0 ; psllq xmm0, 63);
        if self.single {
            dynasm!(self.asm ; .arch x64 ; psrlq xmm0, 32);
        }
    }

    /// Raw bits to an integer register, sign-extended. Boxing is not looked at.
    pub(super) fn move_x(&mut self) -> Done {
        let at = reg_disp(self.op.b);
        match self.flags.fmt() {
            Fmt::D => {
                let b = self.read(self.op.b);
                dynasm!(self.asm ; .arch x64 ; movq rax, Rx(b));
            }
            Fmt::S => dynasm!(self.asm ; .arch x64 ; movsxd rax, DWORD [r15 + at]),
            Fmt::H => dynasm!(self.asm ; .arch x64 ; movsx rax, WORD [r15 + at]),
        }
        Done::Rax
    }

    /// Raw bits from an integer register, boxed.
    pub(super) fn move_f(&mut self) -> Done {
        if !self.flags.is_boxed() && self.flags.fmt() != Fmt::D {
            return Done::No;
        }
        let g = self.integer_operand();
        let x = self.fresh();
        match self.flags.fmt() {
            Fmt::D => dynasm!(self.asm ; .arch x64 ; movq Rx(x), Rq(g)),
            // The low half of the word above all ones.
            Fmt::S => dynasm!(self.asm ; .arch x64
                ; movd Rx(x), Rd(g)
                ; pcmpeqd xmm0, xmm0
                ; punpckldq Rx(x), xmm0),
            Fmt::H => dynasm!(self.asm ; .arch x64
                ; movzx eax, Rw(g)
                ; or rax, -0x10000
                ; movq Rx(x), rax),
        }
        self.write(x)
    }
}
