//! Shifts and rotates.

use super::*;

/// What a shift does.
#[derive(Clone, Copy)]
enum How {
    Left,
    Right,
    Arithmetic,
    RotateLeft,
    RotateRight,
}

impl Tier1 {
    /// Emits a shift or rotate; false if it is none.
    pub(super) fn shift(&mut self, op: &Op) -> bool {
        use Opcode::*;
        match op.code {
            Sll => self.shift_by(op, How::Left),
            Srl => self.shift_by(op, How::Right),
            Sra => self.shift_by(op, How::Arithmetic),
            Rol => self.shift_by(op, How::RotateLeft),
            Ror => self.shift_by(op, How::RotateRight),
            SllW => self.shift_w_by(op, How::Left),
            SrlW => self.shift_w_by(op, How::Right),
            SraW => self.shift_w_by(op, How::Arithmetic),
            RolW => self.shift_w_by(op, How::RotateLeft),
            RorW => self.shift_w_by(op, How::RotateRight),
            SllI => self.shift_imm(op, How::Left),
            SrlI => self.shift_imm(op, How::Right),
            SraI => self.shift_imm(op, How::Arithmetic),
            RorI => self.shift_imm(op, How::RotateRight),
            SllIW => self.shift_w_imm(op, How::Left),
            SrlIW => self.shift_w_imm(op, How::Right),
            SraIW => self.shift_w_imm(op, How::Arithmetic),
            RorIW => self.shift_w_imm(op, How::RotateRight),
            SllIUw => self.shift_imm_uw(op),
            _ => return false,
        }
        true
    }

    fn shift_by(&mut self, op: &Op, how: How) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        if self.features.bmi2 && !matches!(how, How::RotateLeft | How::RotateRight) {
            let (b, c) = (self.in_host(b, RAX), self.in_host(c, RCX));
            match how {
                How::Left => x64!(self; shlx Rq(d), Rq(b), Rq(c)),
                How::Right => x64!(self; shrx Rq(d), Rq(b), Rq(c)),
                _ => x64!(self; sarx Rq(d), Rq(b), Rq(c)),
            }
        } else {
            self.set(RCX, c);
            self.set(RAX, b);
            match how {
                How::Left => x64!(self; shl rax, cl),
                How::Right => x64!(self; shr rax, cl),
                How::Arithmetic => x64!(self; sar rax, cl),
                How::RotateLeft => x64!(self; rol rax, cl),
                How::RotateRight => x64!(self; ror rax, cl),
            }
            self.buf.mov(d, RAX);
        }
        self.result(op, d);
    }

    fn shift_w_by(&mut self, op: &Op, how: How) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        if self.features.bmi2 && !matches!(how, How::RotateLeft | How::RotateRight) {
            let (b, c) = (self.in_host(b, RAX), self.in_host(c, RCX));
            match how {
                How::Left => x64!(self; shlx eax, Rd(b), Rd(c)),
                How::Right => x64!(self; shrx eax, Rd(b), Rd(c)),
                _ => x64!(self; sarx eax, Rd(b), Rd(c)),
            }
        } else {
            self.set(RCX, c);
            self.set(RAX, b);
            match how {
                How::Left => x64!(self; shl eax, cl),
                How::Right => x64!(self; shr eax, cl),
                How::Arithmetic => x64!(self; sar eax, cl),
                How::RotateLeft => x64!(self; rol eax, cl),
                How::RotateRight => x64!(self; ror eax, cl),
            }
        }
        x64!(self; movsxd Rq(d), eax);
        self.result(op, d);
    }

    fn shift_imm(&mut self, op: &Op, how: How) {
        let b = self.source(op.b, self.now.next.b);
        let d = self.target(op, b);
        let n = (op.imm & 63) as i8;
        self.set(d, b);
        match how {
            How::Left => x64!(self; shl Rq(d), BYTE n),
            How::Right => x64!(self; shr Rq(d), BYTE n),
            How::Arithmetic => x64!(self; sar Rq(d), BYTE n),
            How::RotateLeft => x64!(self; rol Rq(d), BYTE n),
            How::RotateRight => x64!(self; ror Rq(d), BYTE n),
        }
        self.result(op, d);
    }

    fn shift_w_imm(&mut self, op: &Op, how: How) {
        let b = self.source(op.b, self.now.next.b);
        let d = self.target(op, b);
        let n = (op.imm & 31) as i8;
        let x = self.in_host(b, RAX);
        if d != x {
            x64!(self; mov Rd(d), Rd(x));
        }
        match how {
            How::Left => x64!(self; shl Rd(d), BYTE n),
            How::Right => x64!(self; shr Rd(d), BYTE n),
            How::Arithmetic => x64!(self; sar Rd(d), BYTE n),
            How::RotateLeft => x64!(self; rol Rd(d), BYTE n),
            How::RotateRight => x64!(self; ror Rd(d), BYTE n),
        }
        x64!(self; movsxd Rq(d), Rd(d));
        self.result(op, d);
    }

    fn shift_imm_uw(&mut self, op: &Op) {
        let b = self.source(op.b, self.now.next.b);
        let d = self.target(op, b);
        let x = self.in_host(b, RAX);
        x64!(self; mov Rd(d), Rd(x) ; shl Rq(d), BYTE (op.imm & 63) as i8);
        self.result(op, d);
    }
}
