//! Integer arithmetic, branches and jumps.

use super::fold::{fold, with_zero};
use super::known::Value;
use super::{Lifter, dest};
use crate::guest::riscv::decode::Insn;
use crate::ir::{JumpHint, Op, Opcode, Reg, eval};

/// The longest direct jump: what AUIPC and JALR reach together, and some.
const FARTHEST: u64 = 1 << 32;

impl Lifter {
    /// `rd = value`
    pub(super) fn li(&mut self, rd: Reg, value: i64) {
        if rd != 0 {
            self.b.push(Op { a: rd, imm: value, ..Op::new(Opcode::Li) });
            self.known.set(rd, Value::Abs(value));
        }
    }

    /// `rd = pc of the block + offset`
    pub(super) fn add_pc(&mut self, rd: Reg, offset: i64) {
        if rd != 0 {
            self.b.push(Op { a: rd, imm: offset, ..Op::new(Opcode::AddPc) });
            self.known.set(rd, Value::Pc(offset));
        }
    }

    /// `rd = rs`
    fn mov(&mut self, rd: Reg, rs: Reg) {
        match self.known.get(rs) {
            _ if rd == rs => {}
            Some(Value::Abs(v)) => self.li(rd, v),
            Some(Value::Pc(v)) => self.add_pc(rd, v),
            None => self.unary(Opcode::Mov, rd, rs),
        }
    }

    /// `rd = op(rs)`
    pub(super) fn unary(&mut self, op: Opcode, rd: Reg, rs: Reg) {
        if rd == 0 {
            return;
        }
        if let Some(Value::Abs(v)) = self.known.get(rs)
            && let Some(result) = fold(op, v, 0)
        {
            return self.li(rd, result);
        }
        self.emit(Op::rrr(op, rd, rs, 0));
    }

    /// `rd = op(rs1, imm)`
    pub(super) fn imm(&mut self, op: Opcode, rd: Reg, rs1: Reg, imm: i64) {
        if rd == 0 {
            return;
        }
        match self.known.get(rs1) {
            Some(Value::Abs(v)) => {
                if let Some(result) = fold(op, v, imm) {
                    return self.li(rd, result);
                }
            }
            Some(Value::Pc(v)) if op == Opcode::AddI => return self.add_pc(rd, v.wrapping_add(imm)),
            _ => {}
        }
        match with_zero(op) {
            Some(Opcode::Mov) if imm == 0 => self.mov(rd, rs1),
            Some(simple) if imm == 0 => self.unary(simple, rd, rs1),
            _ => self.emit(Op::rri(op, rd, rs1, imm)),
        }
    }

    /// `rd = op(rs1, rs2)`
    pub(super) fn reg(&mut self, op: Opcode, rd: Reg, rs1: Reg, rs2: Reg) {
        if rd == 0 {
            return;
        }
        match (self.known.get(rs1), self.known.get(rs2)) {
            (Some(Value::Abs(b)), Some(Value::Abs(c))) => {
                if let Some(result) = fold(op, b, c) {
                    return self.li(rd, result);
                }
            }
            (Some(Value::Pc(b)), Some(Value::Abs(c))) | (Some(Value::Abs(c)), Some(Value::Pc(b)))
                if op == Opcode::Add =>
            {
                return self.add_pc(rd, b.wrapping_add(c));
            }
            _ => {}
        }
        let commutes = matches!(op, Opcode::Add | Opcode::Or | Opcode::Xor | Opcode::AddW);
        let (rs1, rs2) = if commutes && rs1 == 0 { (rs2, rs1) } else { (rs1, rs2) };
        match with_zero(op) {
            Some(Opcode::Mov) if rs2 == 0 => self.mov(rd, rs1),
            Some(simple) if rs2 == 0 => self.unary(simple, rd, rs1),
            _ => self.emit(Op::rrr(op, rd, rs1, rs2)),
        }
    }

    pub(super) fn branch(&mut self, op: Opcode, i: &Insn) {
        let taken = self.b.offset().wrapping_add(i.imm);
        let next = self.b.next_offset() as u32;
        if let (Some(Value::Abs(b)), Some(Value::Abs(c))) = (self.known.get(i.rs1), self.known.get(i.rs2))
            && let Some(goes) = eval::taken(op, b as u64, c as u64)
        {
            return self.jump(0, if goes { taken } else { next as i64 });
        }
        self.b.push(Op { code: op, a: 0, b: i.rs1, c: i.rs2, aux: next, imm: taken });
    }

    pub(super) fn jal(&mut self, i: &Insn) {
        self.jump(i.rd, self.b.offset().wrapping_add(i.imm));
    }

    fn jump(&mut self, rd: Reg, target: i64) {
        let next = self.b.next_offset() as u32;
        self.emit(Op { a: dest(rd), aux: next, imm: target, ..Op::new(Opcode::Jump) });
    }

    pub(super) fn jalr(&mut self, i: &Insn) {
        // A target that AUIPC has set is as direct as that of JAL, unless arithmetic has taken it out of all
        // reach. Blocks start at even addresses.
        if let Some(Value::Pc(base)) = self.known.get(i.rs1) {
            let target = base.wrapping_add(i.imm) & !1;
            if target.unsigned_abs() <= FARTHEST {
                return self.jump(i.rd, target);
            }
        }
        let next = self.b.next_offset() as u32;
        let hint = hint(i.rd, i.rs1) as u8;
        self.emit(Op { code: Opcode::JumpReg, a: dest(i.rd), b: i.rs1, c: hint, aux: next, imm: i.imm });
    }
}

/// The return-address prediction hint of JALR's registers (volume I, "Unconditional Jumps"): `ra` and `t0` are links.
const fn hint(rd: Reg, rs1: Reg) -> JumpHint {
    const fn link(r: Reg) -> bool {
        matches!(r, 1 | 5)
    }
    match (link(rd), link(rs1)) {
        (false, false) => JumpHint::None,
        (false, true) => JumpHint::Return,
        (true, false) => JumpHint::Call,
        (true, true) if rd == rs1 => JumpHint::Call,
        (true, true) => JumpHint::ReturnCall,
    }
}
