//! Moves, sums, logic, comparisons, selection, extensions.
//!
//! [`crate::ir::eval`] says what each op computes.

use super::*;

impl Tier1 {
    /// Emits a pure op; false if the host cannot do it.
    pub(super) fn pure(&mut self, op: &Op) -> bool {
        use Opcode::*;
        match op.code {
            Mov => self.copy(op),
            Li => self.constant(op),
            AddPc => self.add_pc(op),
            Add => self.add(op),
            Sub => self.sub(op),
            And => self.commutative(op, Alu::And),
            Or => self.commutative(op, Alu::Or),
            Xor => self.commutative(op, Alu::Xor),
            AndNot => self.and_not(op),
            OrNot => self.or_not(op),
            XorNot => self.xor_not(op),
            Slt => self.compare_set(op, Cond::L),
            Sltu => self.compare_set(op, Cond::B),
            Seq => self.compare_set(op, Cond::E),
            Min => self.pick(op, Cond::L),
            Minu => self.pick(op, Cond::B),
            Max => self.pick(op, Cond::G),
            Maxu => self.pick(op, Cond::A),
            AddW => self.add_w(op),
            SubW => self.sub_w(op),
            Sh1Add => self.shift_add(op, 1),
            Sh2Add => self.shift_add(op, 2),
            Sh3Add => self.shift_add(op, 3),
            AddUw => self.shift_add_uw(op, 0),
            Sh1AddUw => self.shift_add_uw(op, 1),
            Sh2AddUw => self.shift_add_uw(op, 2),
            Sh3AddUw => self.shift_add_uw(op, 3),
            ZeroIfZero => self.zero_if(op, Cond::E),
            ZeroIfNot => self.zero_if(op, Cond::NE),
            Select => self.select(op),
            CarryAdd => self.carry_add(op),
            CarryAddW => self.carry_add_w(op),
            OverflowAdd => self.overflow_add(op, 63),
            OverflowAddW => self.overflow_add(op, 31),
            OverflowSub => self.overflow_sub(op, 63),
            OverflowSubW => self.overflow_sub(op, 31),
            AddI => self.add_i(op),
            AndI => self.logic_i(op, Alu::And),
            OrI => self.logic_i(op, Alu::Or),
            XorI => self.logic_i(op, Alu::Xor),
            SltI => self.compare_set_i(op, Cond::L),
            SltuI => self.compare_set_i(op, Cond::B),
            SeqI => self.compare_set_i(op, Cond::E),
            AddIW => self.add_iw(op),
            SextB | SextH | SextW | ZextB | ZextH | ZextW => self.extend(op),
            _ => return self.shift(op) || self.multiply(op) || self.bit(op),
        }
        true
    }

    /// An operand in a register; one that is not cached goes to `scratch`.
    #[inline]
    pub(super) fn in_host(&mut self, s: Src, scratch: Host) -> Host {
        match s {
            Src::Host(h) => h,
            _ => {
                self.set(scratch, s);
                scratch
            }
        }
    }

    /// The operands `b`, `c` and `d`.
    fn three_sources(&mut self, op: &Op) -> (Src, Src, Src) {
        let (b, c) = self.sources(op);
        let reg = op.reg_d();
        let d = match reg {
            _ if reg == op.b => b,
            _ if reg == op.c => c,
            _ => self.source(reg, self.now.next.d),
        };
        (b, c, d)
    }

    fn copy(&mut self, op: &Op) {
        let b = self.source(op.b, self.now.next.b);
        let d = self.target(op, b);
        self.set(d, b);
        self.result(op, d);
    }

    fn constant(&mut self, op: &Op) {
        let d = self.target(op, Src::Zero);
        self.buf.mov_imm(d, op.imm);
        self.result(op, d);
    }

    fn add_pc(&mut self, op: &Op) {
        let d = self.target(op, Src::Zero);
        self.offset(d, RDI, op.imm);
        self.result(op, d);
    }

    fn commutative(&mut self, op: &Op, alu: Alu) {
        let (b, c) = self.sources(op);
        // Better to overwrite the operand that nobody needs.
        let swap = matches!((b, c), (_, Src::Host(h)) if self.cache.may_take_over(h, op.a)) && b != c;
        let (b, c) = if swap { (c, b) } else { (b, c) };
        let d = self.target(op, b);
        self.commute(alu, d, b, c);
        self.result(op, d);
    }

    /// `d = b alu c` of a commutative operation.
    fn commute(&mut self, alu: Alu, d: Host, b: Src, c: Src) {
        let (b, c) = if c.is(d) { (c, b) } else { (b, c) };
        self.set(d, b);
        self.alu(alu, d, c);
    }

    fn add(&mut self, op: &Op) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        match (b, c) {
            (Src::Host(x), Src::Host(y)) if d != x && d != y => self.buf.lea_index(d, x, y, 0),
            _ => self.commute(Alu::Add, d, b, c),
        }
        self.result(op, d);
    }

    fn sub(&mut self, op: &Op) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        if c.is(d) && b != c {
            self.set(RAX, b);
            self.alu(Alu::Sub, RAX, c);
            self.buf.mov(d, RAX);
        } else {
            self.set(d, b);
            self.alu(Alu::Sub, d, c);
        }
        self.result(op, d);
    }

    fn and_not(&mut self, op: &Op) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        if self.features.bmi1 {
            let (b, c) = (self.in_host(b, RAX), self.in_host(c, RCX));
            x64!(self; andn Rq(d), Rq(c), Rq(b));
        } else {
            self.set(RAX, c);
            x64!(self; not rax);
            self.alu(Alu::And, RAX, b);
            self.buf.mov(d, RAX);
        }
        self.result(op, d);
    }

    fn or_not(&mut self, op: &Op) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        self.set(RAX, c);
        x64!(self; not rax);
        self.alu(Alu::Or, RAX, b);
        self.buf.mov(d, RAX);
        self.result(op, d);
    }

    fn xor_not(&mut self, op: &Op) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        self.commute(Alu::Xor, d, b, c);
        x64!(self; not Rq(d));
        self.result(op, d);
    }

    /// Sets the flags by comparing; returns the condition that stands for `cond` of `b` and `c`. Uses rax.
    pub(super) fn compare(&mut self, cond: Cond, b: Src, c: Src) -> Cond {
        match (b, c) {
            (Src::Host(x), Src::Zero) => {
                x64!(self; test Rq(x), Rq(x));
                cond
            }
            (Src::Host(x), _) => {
                self.alu(Alu::Cmp, x, c);
                cond
            }
            (Src::Word(word), Src::Zero) => {
                self.buf.alu_state_imm8(Alu::Cmp, word, 0);
                cond
            }
            (_, Src::Host(_)) | (Src::Zero, Src::Word(_)) => self.compare(cond.swapped(), c, b),
            _ => {
                self.set(RAX, b);
                self.compare(cond, Src::Host(RAX), c)
            }
        }
    }

    fn compare_set(&mut self, op: &Op, cond: Cond) {
        let (b, c) = self.sources(op);
        let d = self.target(op, Src::Zero);
        let clear = !b.is(d) && !c.is(d);
        if clear {
            self.buf.mov_imm(d, 0);
        }
        let cond = self.compare(cond, b, c);
        self.set_cond(d, cond, clear);
        self.result(op, d);
    }

    /// `d = cond`; `clear`: the register is zero already.
    pub(super) fn set_cond(&mut self, d: Host, cond: Cond, clear: bool) {
        if clear {
            self.buf.set(cond, d);
        } else {
            self.buf.set(cond, RAX);
            x64!(self; movzx Rd(d), al);
        }
    }

    fn compare_set_i(&mut self, op: &Op, cond: Cond) {
        let b = self.source(op.b, self.now.next.b);
        let d = self.target(op, Src::Zero);
        let clear = !b.is(d);
        if clear {
            self.buf.mov_imm(d, 0);
        }
        let x = self.in_host(b, RAX);
        self.alu_imm(Alu::Cmp, x, op.imm);
        self.set_cond(d, cond, clear);
        self.result(op, d);
    }

    /// `d = cond ? yes : no`; keeps flags.
    fn choose(&mut self, d: Host, cond: Cond, yes: Host, no: Host) {
        if d == yes {
            self.buf.cmov(cond.not(), d, no);
        } else {
            self.buf.mov(d, no);
            self.buf.cmov(cond, d, yes);
        }
    }

    /// `b` if the condition holds between `b` and `c`, else `c`.
    fn pick(&mut self, op: &Op, cond: Cond) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        let (b, c) = (self.in_host(b, RAX), self.in_host(c, RCX));
        self.buf.alu(Alu::Cmp, b, c);
        self.choose(d, cond, b, c);
        self.result(op, d);
    }

    /// Zero if the condition holds between `c` and zero, else `b`.
    fn zero_if(&mut self, op: &Op, cond: Cond) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        let (b, c) = (self.in_host(b, RDX), self.in_host(c, RCX));
        self.buf.mov_imm(RAX, 0);
        x64!(self; test Rq(c), Rq(c));
        self.choose(d, cond, RAX, b);
        self.result(op, d);
    }

    fn select(&mut self, op: &Op) {
        let (b, c, by) = self.three_sources(op);
        let d = self.target(op, b);
        let (b, c, by) = (self.in_host(b, RAX), self.in_host(c, RCX), self.in_host(by, RDX));
        x64!(self; test Rq(by), Rq(by));
        self.choose(d, Cond::NE, b, c);
        self.result(op, d);
    }

    fn add_w(&mut self, op: &Op) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        match (b, c) {
            (Src::Host(x), Src::Host(y)) => {
                self.buf.lea_index32(d, x, y);
                x64!(self; movsxd Rq(d), Rd(d));
            }
            _ => {
                self.set(RAX, b);
                self.alu(Alu::Add, RAX, c);
                x64!(self; movsxd Rq(d), eax);
            }
        }
        self.result(op, d);
    }

    fn sub_w(&mut self, op: &Op) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        self.set(RAX, b);
        self.alu(Alu::Sub, RAX, c);
        x64!(self; movsxd Rq(d), eax);
        self.result(op, d);
    }

    fn shift_add(&mut self, op: &Op, scale: u8) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        let (b, c) = (self.in_host(b, RAX), self.in_host(c, RCX));
        self.buf.lea_index(d, c, b, scale);
        self.result(op, d);
    }

    fn shift_add_uw(&mut self, op: &Op, scale: u8) {
        let (b, c) = self.sources(op);
        let d = self.target(op, b);
        let (b, c) = (self.in_host(b, RAX), self.in_host(c, RCX));
        x64!(self; mov eax, Rd(b));
        self.buf.lea_index(d, c, RAX, scale);
        self.result(op, d);
    }

    fn carry_add(&mut self, op: &Op) {
        let (b, c, carry) = self.three_sources(op);
        let d = self.target(op, b);
        self.set(RAX, b);
        x64!(self; xor edx, edx);
        self.alu(Alu::Add, RAX, c);
        x64!(self; setb dl);
        self.alu(Alu::Add, RAX, carry);
        x64!(self; adc rdx, BYTE 0);
        self.buf.mov(d, RDX);
        self.result(op, d);
    }

    fn carry_add_w(&mut self, op: &Op) {
        let (b, c, carry) = self.three_sources(op);
        let d = self.target(op, b);
        self.set(RAX, b);
        self.set(RDX, c);
        x64!(self; mov eax, eax ; mov edx, edx ; add rax, rdx);
        self.alu(Alu::Add, RAX, carry);
        x64!(self; shr rax, 32);
        self.buf.mov(d, RAX);
        self.result(op, d);
    }

    /// Bit `bit` of `(b ^ sum) & (c ^ sum)`.
    fn overflow_add(&mut self, op: &Op, bit: i8) {
        let (b, c, carry) = self.three_sources(op);
        let d = self.target(op, b);
        self.set(RAX, b);
        self.alu(Alu::Add, RAX, c);
        self.alu(Alu::Add, RAX, carry);
        self.set(RDX, b);
        x64!(self; xor rdx, rax);
        self.alu(Alu::Xor, RAX, c);
        self.overflow_bit(d, bit);
        self.result(op, d);
    }

    /// Bit `bit` of `(b ^ c) & (b ^ difference)`.
    fn overflow_sub(&mut self, op: &Op, bit: i8) {
        let (b, c, borrow) = self.three_sources(op);
        let d = self.target(op, b);
        self.set(RAX, b);
        self.alu(Alu::Sub, RAX, c);
        self.alu(Alu::Sub, RAX, borrow);
        self.alu(Alu::Xor, RAX, b);
        self.set(RDX, b);
        self.alu(Alu::Xor, RDX, c);
        self.overflow_bit(d, bit);
        self.result(op, d);
    }

    fn overflow_bit(&mut self, d: Host, bit: i8) {
        x64!(self; and rax, rdx ; shr rax, BYTE bit ; and eax, BYTE 1);
        self.buf.mov(d, RAX);
    }

    fn add_i(&mut self, op: &Op) {
        let b = self.source(op.b, self.now.next.b);
        let d = self.target(op, b);
        match b {
            Src::Zero => self.buf.mov_imm(d, op.imm),
            Src::Host(x) if x != d => self.offset(d, x, op.imm),
            _ => {
                self.set(d, b);
                self.alu_imm(Alu::Add, d, op.imm);
            }
        }
        self.result(op, d);
    }

    fn logic_i(&mut self, op: &Op, alu: Alu) {
        let b = self.source(op.b, self.now.next.b);
        let d = self.target(op, b);
        self.set(d, b);
        self.alu_imm(alu, d, op.imm);
        self.result(op, d);
    }

    fn add_iw(&mut self, op: &Op) {
        let b = self.source(op.b, self.now.next.b);
        let d = self.target(op, b);
        let x = self.in_host(b, RAX);
        if op.imm as i32 == 0 {
            x64!(self; movsxd Rq(d), Rd(x));
        } else {
            self.buf.lea32(d, x, op.imm as i32);
            x64!(self; movsxd Rq(d), Rd(d));
        }
        self.result(op, d);
    }

    fn extend(&mut self, op: &Op) {
        let b = self.source(op.b, self.now.next.b);
        let d = self.target(op, b);
        let x = self.in_host(b, RAX);
        match op.code {
            Opcode::SextB => x64!(self; movsx Rq(d), Rb(x)),
            Opcode::SextH => x64!(self; movsx Rq(d), Rw(x)),
            Opcode::SextW => x64!(self; movsxd Rq(d), Rd(x)),
            Opcode::ZextB => x64!(self; movzx Rd(d), Rb(x)),
            Opcode::ZextH => x64!(self; movzx Rd(d), Rw(x)),
            _ => x64!(self; mov Rd(d), Rd(x)),
        }
        self.result(op, d);
    }
}
