//! Multiplication and division.
//!
//! Division by zero and overflow, which the host traps, are results in RISC-V (unprivileged spec, chapter "M"); they are
//! computed in cold code.

use super::*;

impl Tier1 {
    /// Emits a multiplication or division; false if it is none.
    pub(super) fn multiply(&mut self, op: &Op) -> bool {
        use Opcode::*;
        match op.code {
            Mul => self.mul(op),
            MulW => self.mul_w(op),
            MulH | MulHu | MulHsu => self.mul_high(op),
            Div | Rem => self.div(op, op.code == Rem),
            Divu | Remu => self.divu(op, op.code == Remu),
            DivW | RemW => self.div_w(op, op.code == RemW),
            DivuW | RemuW => self.divu_w(op, op.code == RemuW),
            _ => return false,
        }
        true
    }

    fn mul(&mut self, op: &Op) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        let (b, c) = if c.is(d) { (c, b) } else { (b, c) };
        let c = self.in_host(c, RCX);
        self.set(d, b);
        x64!(self; imul Rq(d), Rq(c));
        self.result(op, d);
    }

    fn mul_w(&mut self, op: &Op) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        let c = self.in_host(c, RCX);
        self.set(RAX, b);
        x64!(self; imul eax, Rd(c) ; movsxd Rq(d), eax);
        self.result(op, d);
    }

    fn mul_high(&mut self, op: &Op) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        let c = self.in_host(c, RCX);
        self.set(RAX, b);
        match op.code {
            Opcode::MulH => x64!(self; imul Rq(c)),
            Opcode::MulHu => x64!(self; mul Rq(c)),
            _ => {
                x64!(self; mul Rq(c));
                // With b negative the unsigned product is c << 64 too large.
                self.set(RAX, b);
                x64!(self; sar rax, 63 ; and rax, Rq(c) ; sub rdx, rax);
            }
        }
        self.buf.mov(d, RDX);
        self.result(op, d);
    }

    /// Divisor to rcx and dividend to rax; goes to the label if the divisor is 0 or -1, on the width given.
    fn signed_operands(&mut self, b: Src, c: Src, wide: bool) -> DynamicLabel {
        let special = self.buf.label();
        self.set(RCX, c);
        self.set(RAX, b);
        if wide {
            x64!(self; lea rdx, [BYTE rcx + 1] ; cmp rdx, BYTE 1);
        } else {
            x64!(self; lea edx, [BYTE rcx + 1] ; cmp edx, BYTE 1);
        }
        self.buf.jcc(Cond::BE, special);
        special
    }

    fn div(&mut self, op: &Op, rem: bool) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        let special = self.signed_operands(b, c, true);
        x64!(self; cqo ; idiv rcx);
        self.buf.mov(d, if rem { RDX } else { RAX });
        let back = self.cold(special);
        // The dividend is in rax still. By zero: -1 and the dividend; by -1: its negative and 0.
        if rem {
            x64!(self; neg rcx ; sbb rcx, rcx ; not rcx ; and rax, rcx);
        } else {
            x64!(self; neg rax ; test rcx, rcx ; jnz >done ; mov rax, -1 ; done:);
        }
        self.buf.mov(d, RAX);
        self.back(back);
        self.result(op, d);
    }

    fn div_w(&mut self, op: &Op, rem: bool) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        let special = self.signed_operands(b, c, false);
        x64!(self; cdq ; idiv ecx);
        let from = if rem { RDX } else { RAX };
        x64!(self; movsxd Rq(d), Rd(from));
        let back = self.cold(special);
        if rem {
            x64!(self; neg ecx ; sbb ecx, ecx ; not ecx ; and eax, ecx);
        } else {
            x64!(self; neg eax ; test ecx, ecx ; jnz >done ; mov eax, -1 ; done:);
        }
        x64!(self; movsxd Rq(d), eax);
        self.back(back);
        self.result(op, d);
    }

    fn divu(&mut self, op: &Op, rem: bool) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        let zero = self.buf.label();
        self.set(RCX, c);
        self.set(RAX, b);
        x64!(self; test rcx, rcx ; jz =>zero ; xor edx, edx ; div rcx);
        self.buf.mov(d, if rem { RDX } else { RAX });
        let back = self.cold(zero);
        if rem {
            self.buf.mov(d, RAX);
        } else {
            self.buf.mov_imm(d, -1);
        }
        self.back(back);
        self.result(op, d);
    }

    fn divu_w(&mut self, op: &Op, rem: bool) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        let zero = self.buf.label();
        self.set(RCX, c);
        self.set(RAX, b);
        x64!(self; test ecx, ecx ; jz =>zero ; xor edx, edx ; div ecx);
        let from = if rem { RDX } else { RAX };
        x64!(self; movsxd Rq(d), Rd(from));
        let back = self.cold(zero);
        if rem {
            x64!(self; movsxd Rq(d), eax);
        } else {
            self.buf.mov_imm(d, -1);
        }
        self.back(back);
        self.result(op, d);
    }

    /// Places a cold path; [`Tier1::back`] ends it and goes on in the hot code.
    pub(super) fn cold(&mut self, label: DynamicLabel) -> DynamicLabel {
        let back = self.buf.label();
        x64!(self; =>back);
        self.buf.cold();
        x64!(self; =>label);
        back
    }

    /// Ends a cold path.
    pub(super) fn back(&mut self, back: DynamicLabel) {
        x64!(self; jmp =>back);
        self.buf.hot();
    }
}
