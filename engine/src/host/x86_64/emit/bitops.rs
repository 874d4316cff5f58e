//! Single bits, counts of bits, bytes, carry-less products.

use super::*;

impl Tier1 {
    /// Emits an op on bits; false if it is none, or the host cannot do it.
    pub(super) fn bit(&mut self, op: &Op) -> bool {
        use Opcode::*;
        match op.code {
            BitClear | BitInvert | BitSet => self.change_bit(op),
            BitClearI | BitInvertI | BitSetI => self.change_bit_i(op),
            BitExtract => self.extract_bit(op),
            BitExtractI => self.extract_bit_i(op),
            Clz | ClzW if self.features.lzcnt => self.count(op),
            Ctz | CtzW if self.features.bmi1 => self.count(op),
            Cpop | CpopW if self.features.popcnt => self.count(op),
            Rev8 => self.reverse_bytes(op),
            OrcB => self.or_combine(op),
            Clmul | ClmulH | ClmulR if self.features.clmul => self.carry_less(op),
            _ => return false,
        }
        true
    }

    fn change_bit(&mut self, op: &Op) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        let c = self.in_host(c, RCX);
        self.set(RAX, b);
        match op.code {
            Opcode::BitClear => x64!(self; btr rax, Rq(c)),
            Opcode::BitInvert => x64!(self; btc rax, Rq(c)),
            _ => x64!(self; bts rax, Rq(c)),
        }
        self.buf.mov(d, RAX);
        self.result(op, d);
    }

    fn change_bit_i(&mut self, op: &Op) {
        let b = self.source(op.b, self.now.next.b);
        let d = self.target(op, b);
        let n = (op.imm & 63) as i8;
        self.set(d, b);
        match op.code {
            Opcode::BitClearI => x64!(self; btr Rq(d), BYTE n),
            Opcode::BitInvertI => x64!(self; btc Rq(d), BYTE n),
            _ => x64!(self; bts Rq(d), BYTE n),
        }
        self.result(op, d);
    }

    fn extract_bit(&mut self, op: &Op) {
        let (b, c) = self.sources(op);
        let d = self.target(op, Src::Zero);
        let clear = !b.is(d) && !c.is(d);
        if clear {
            self.buf.mov_imm(d, 0);
        }
        let (b, c) = (self.in_host(b, RAX), self.in_host(c, RCX));
        x64!(self; bt Rq(b), Rq(c));
        self.set_cond(d, Cond::B, clear);
        self.result(op, d);
    }

    fn extract_bit_i(&mut self, op: &Op) {
        let b = self.source(op.b, self.now.next.b);
        let d = self.target(op, b);
        self.set(d, b);
        x64!(self; shr Rq(d), BYTE (op.imm & 63) as i8 ; and Rd(d), BYTE 1);
        self.result(op, d);
    }

    fn count(&mut self, op: &Op) {
        let b = self.source(op.b, self.now.next.b);
        let d = self.target(op, b);
        let x = self.in_host(b, RAX);
        match op.code {
            Opcode::Clz => x64!(self; lzcnt Rq(d), Rq(x)),
            Opcode::ClzW => x64!(self; lzcnt Rd(d), Rd(x)),
            Opcode::Ctz => x64!(self; tzcnt Rq(d), Rq(x)),
            Opcode::CtzW => x64!(self; tzcnt Rd(d), Rd(x)),
            Opcode::Cpop => x64!(self; popcnt Rq(d), Rq(x)),
            _ => x64!(self; popcnt Rd(d), Rd(x)),
        }
        self.result(op, d);
    }

    fn reverse_bytes(&mut self, op: &Op) {
        let b = self.source(op.b, self.now.next.b);
        let d = self.target(op, b);
        self.set(d, b);
        x64!(self; bswap Rq(d));
        self.result(op, d);
    }

    /// As [`crate::ir::eval::orc_b`].
    fn or_combine(&mut self, op: &Op) {
        let b = self.source(op.b, self.now.next.b);
        let d = self.target(op, b);
        let x = self.in_host(b, RDX);
        self.buf.mov_imm(RCX, 0x7f7f_7f7f_7f7f_7f7f);
        x64!(self
            ; mov rax, Rq(x)
            ; and rax, rcx
            ; add rax, rcx
            ; or rax, Rq(x)
            ; not rcx
            ; and rax, rcx
            ; shr rax, 7
            ; imul Rq(d), rax, DWORD 0xff
        );
        self.result(op, d);
    }

    fn carry_less(&mut self, op: &Op) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        let (b, c) = (self.in_host(b, RAX), self.in_host(c, RCX));
        x64!(self; movq xmm0, Rq(b) ; movq xmm1, Rq(c) ; pclmulqdq xmm0, xmm1, 0);
        match op.code {
            Opcode::Clmul => x64!(self; movq Rq(d), xmm0),
            Opcode::ClmulH => x64!(self; pextrq Rq(d), xmm0, 1),
            _ => x64!(self; movq rax, xmm0 ; pextrq rdx, xmm0, 1 ; shld rdx, rax, 1 ; mov Rq(d), rdx),
        }
        self.result(op, d);
    }
}
