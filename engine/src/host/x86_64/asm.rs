//! Instruction forms that dynasm cannot choose at run time: the number of an ALU operation, condition codes, and whether a
//! displacement takes one byte or four.
//!
//! Encodings: Intel SDM volume 2, chapter 2 (REX, ModRM, SIB) and appendix B.

use super::buffer::Buffer;
use crate::ir::Reg;
use crate::jit::abi::reg_disp;
use dynasmrt::{DynamicLabel, DynasmLabelApi};

/// A host register by number.
pub type Host = u8;

/// Scratch.
pub const RAX: Host = 0;
/// Scratch.
pub const RCX: Host = 1;
/// Scratch.
pub const RDX: Host = 2;
/// The budget.
pub const RSI: Host = 6;
/// The block's pc.
pub const RDI: Host = 7;
/// The state pointer.
const R15: Host = 15;

/// The eight operations that share one pattern of encodings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Alu {
    Add = 0,
    Or = 1,
    And = 4,
    Sub = 5,
    Xor = 6,
    Cmp = 7,
}

/// Condition codes; the lowest bit inverts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cond(pub u8);

impl Cond {
    pub const B: Cond = Cond(2);
    pub const AE: Cond = Cond(3);
    pub const E: Cond = Cond(4);
    pub const NE: Cond = Cond(5);
    pub const BE: Cond = Cond(6);
    pub const A: Cond = Cond(7);
    pub const S: Cond = Cond(8);
    pub const L: Cond = Cond(12);
    pub const GE: Cond = Cond(13);
    pub const LE: Cond = Cond(14);
    pub const G: Cond = Cond(15);

    /// True where this is false.
    pub const fn not(self) -> Cond {
        Cond(self.0 ^ 1)
    }
    /// The same with the operands of the comparison swapped.
    pub const fn swapped(self) -> Cond {
        match self {
            Cond::B => Cond::A,
            Cond::A => Cond::B,
            Cond::AE => Cond::BE,
            Cond::BE => Cond::AE,
            Cond::L => Cond::G,
            Cond::G => Cond::L,
            Cond::GE => Cond::LE,
            Cond::LE => Cond::GE,
            c => c,
        }
    }
}

const W: u8 = 8;

/// An instruction with a memory operand: prefix (0 for none), operand size bit, whether 0x0f precedes the opcode.
#[derive(Clone, Copy, Debug)]
pub struct Form(u8, u8, bool, u8);

impl Form {
    pub const LOAD_S8: Form = Form(0, W, true, 0xbe);
    pub const LOAD_S16: Form = Form(0, W, true, 0xbf);
    pub const LOAD_S32: Form = Form(0, W, false, 0x63);
    pub const LOAD_U8: Form = Form(0, 0, true, 0xb6);
    pub const LOAD_U16: Form = Form(0, 0, true, 0xb7);
    pub const LOAD_32: Form = Form(0, 0, false, 0x8b);
    pub const LOAD_64: Form = Form(0, W, false, 0x8b);
    pub const LOAD_DOUBLE: Form = Form(0xf2, 0, true, 0x10);
    pub const STORE_DOUBLE: Form = Form(0xf2, 0, true, 0x11);
    pub const STORE_SINGLE: Form = Form(0xf3, 0, true, 0x11);

    /// A store of `1 << size` bytes of a register.
    pub const fn store(size: u32) -> Form {
        match size {
            0 => Form(0, 0, false, 0x88),
            1 => Form(0x66, 0, false, 0x89),
            2 => Form(0, 0, false, 0x89),
            _ => Form(0, W, false, 0x89),
        }
    }

    /// A store of an immediate of `1 << size` bytes, of four that are sign-extended for eight; the register field is 0.
    pub const fn store_imm(size: u32) -> Form {
        match size {
            0 => Form(0, 0, false, 0xc6),
            1 => Form(0x66, 0, false, 0xc7),
            2 => Form(0, 0, false, 0xc7),
            _ => Form(0, W, false, 0xc7),
        }
    }
}

/// A memory operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mem {
    /// The sum of two registers.
    Sum(Host, Host),
    /// A register and a displacement.
    Based(Host, i32),
}

/// REX for register fields `reg`, `index` and `base`, with `w` the operand size bit.
const fn rex(w: u8, reg: Host, index: Host, base: Host) -> u8 {
    0x40 | w | (reg >> 3) << 2 | (index >> 3) << 1 | base >> 3
}

const fn modrm(mode: u8, reg: Host, rm: Host) -> u8 {
    mode << 6 | (reg & 7) << 3 | rm & 7
}

/// Packs bytes for [`Buffer::put`].
const fn pack(bytes: &[u8]) -> u64 {
    let (mut word, mut i) = (0, 0);
    while i < bytes.len() {
        word |= (bytes[i] as u64) << (8 * i);
        i += 1;
    }
    word
}

impl Buffer {
    /// `op d, s` on 64 bits.
    #[inline(always)]
    pub fn alu(&mut self, op: Alu, d: Host, s: Host) {
        self.put(pack(&[rex(W, s, 0, d), (op as u8) << 3 | 1, modrm(3, s, d)]), 3);
    }

    /// `op d, s` on 32 bits.
    #[inline(always)]
    pub fn alu32(&mut self, op: Alu, d: Host, s: Host) {
        self.put(pack(&[rex(0, s, 0, d), (op as u8) << 3 | 1, modrm(3, s, d)]), 3);
    }

    /// `op d, imm` on 64 bits.
    #[inline(always)]
    pub fn alu_imm(&mut self, op: Alu, d: Host, imm: i32) {
        match i8::try_from(imm) {
            Ok(byte) => {
                self.put(pack(&[rex(W, 0, 0, d), 0x83, modrm(3, op as u8, d), byte as u8]), 4);
            }
            Err(_) => {
                let head = pack(&[rex(W, 0, 0, d), 0x81, modrm(3, op as u8, d)]);
                self.put(head | (imm as u32 as u64) << 24, 7);
            }
        }
    }

    /// `op d, [word of the state]` on 64 bits.
    #[inline(always)]
    pub fn alu_state(&mut self, op: Alu, d: Host, word: Reg) {
        self.state(W, (op as u8) << 3 | 3, d, reg_disp(word));
    }

    /// `op [word of the state], imm` on 64 bits.
    #[inline(always)]
    pub fn alu_state_imm8(&mut self, op: Alu, word: Reg, imm: i8) {
        self.state(W, 0x83, op as u8, reg_disp(word));
        self.put(imm as u8 as u64, 1);
    }

    /// An instruction with an operand `[r15 + disp]`.
    #[inline(always)]
    pub fn state(&mut self, w: u8, opcode: u8, reg: Host, disp: i32) {
        let head = pack(&[rex(w, reg, 0, R15), opcode]);
        match i8::try_from(disp) {
            Ok(byte) => self.put(head | pack(&[0, 0, modrm(1, reg, R15), byte as u8]), 4),
            Err(_) => {
                self.put(head | pack(&[0, 0, modrm(2, reg, R15)]) | (disp as u32 as u64) << 24, 7);
            }
        }
    }

    /// `d = word of the state`
    #[inline(always)]
    pub fn load_word(&mut self, d: Host, word: Reg) {
        self.state(W, 0x8b, d, reg_disp(word));
    }

    /// `word of the state = s`
    #[inline(always)]
    pub fn store_word(&mut self, word: Reg, s: Host) {
        self.state(W, 0x89, s, reg_disp(word));
    }

    /// `d = s`, nothing if they are the same.
    #[inline(always)]
    pub fn mov(&mut self, d: Host, s: Host) {
        if d != s {
            self.put(pack(&[rex(W, s, 0, d), 0x89, modrm(3, s, d)]), 3);
        }
    }

    /// `d = imm` by the shortest form. Changes flags.
    #[inline(always)]
    pub fn mov_imm(&mut self, d: Host, imm: i64) {
        if imm == 0 {
            self.put(pack(&[rex(0, d, 0, d), 0x31, modrm(3, d, d)]), 3);
        } else if let Ok(word) = u32::try_from(imm) {
            self.put(pack(&[rex(0, 0, 0, d), 0xb8 | d & 7]) | (word as u64) << 16, 6);
        } else if let Ok(word) = i32::try_from(imm) {
            self.put(pack(&[rex(W, 0, 0, d), 0xc7, modrm(3, 0, d)]) | (word as u32 as u64) << 24, 7);
        } else {
            self.put(pack(&[rex(W, 0, 0, d), 0xb8 | d & 7]), 2);
            self.put(imm as u64, 8);
        }
    }

    /// `d = b + disp`; keeps flags.
    #[inline(always)]
    pub fn lea(&mut self, d: Host, b: Host, disp: i32) {
        self.lea_of(W, d, b, disp);
    }

    /// The low 32 bits of [`Buffer::lea`].
    #[inline(always)]
    pub fn lea32(&mut self, d: Host, b: Host, disp: i32) {
        self.lea_of(0, d, b, disp);
    }

    #[inline(always)]
    fn lea_of(&mut self, w: u8, d: Host, b: Host, disp: i32) {
        self.put(pack(&[rex(w, d, 0, b), 0x8d]), 2);
        self.based(d, b, disp);
    }

    /// `d = b + (x << scale)`
    #[inline(always)]
    pub fn lea_index(&mut self, d: Host, b: Host, x: Host, scale: u8) {
        self.lea_index_of(W, d, b, x, scale);
    }

    /// The low 32 bits of `b + x`.
    #[inline(always)]
    pub fn lea_index32(&mut self, d: Host, b: Host, x: Host) {
        self.lea_index_of(0, d, b, x, 0);
    }

    #[inline(always)]
    fn lea_index_of(&mut self, w: u8, d: Host, b: Host, x: Host, scale: u8) {
        let head = pack(&[rex(w, d, x, b), 0x8d]);
        let sib = scale << 6 | (x & 7) << 3 | b & 7;
        // rbp and r13 as base need a displacement.
        if b & 7 == 5 {
            self.put(head | pack(&[0, 0, modrm(1, d, 4), sib]), 5);
        } else {
            self.put(head | pack(&[0, 0, modrm(0, d, 4), sib]), 4);
        }
    }

    /// An instruction with register (or extension of the opcode) `reg` and a memory operand.
    #[inline(always)]
    pub fn memory(&mut self, form: Form, reg: Host, m: Mem) {
        let Form(prefix, w, escape, opcode) = form;
        if prefix != 0 {
            self.put(prefix.into(), 1);
        }
        let (base, index) = match m {
            Mem::Sum(base, index) => (base, index),
            Mem::Based(base, _) => (base, 0),
        };
        if escape {
            self.put(pack(&[rex(w, reg, index, base), 0x0f, opcode]), 3);
        } else {
            self.put(pack(&[rex(w, reg, index, base), opcode]), 2);
        }
        match m {
            // rbp and r13 as base need a displacement.
            Mem::Sum(_, x) if base & 7 == 5 => {
                self.put(pack(&[modrm(1, reg, 4), (x & 7) << 3 | base & 7, 0]), 3);
            }
            Mem::Sum(_, x) => self.put(pack(&[modrm(0, reg, 4), (x & 7) << 3 | base & 7]), 2),
            Mem::Based(_, disp) => self.based(reg, base, disp),
        }
    }

    /// ModRM, SIB and displacement.
    #[inline(always)]
    fn based(&mut self, reg: Host, base: Host, disp: i32) {
        let byte = i8::try_from(disp);
        let mode = if byte.is_ok() { 1 } else { 2 };
        // r12 as base needs a SIB byte.
        let sib = base & 7 == 4;
        self.put(pack(&[modrm(mode, reg, base), 0x24]), 1 + usize::from(sib));
        match byte {
            Ok(byte) => self.put(byte as u8 as u64, 1),
            Err(_) => self.put(disp as u32 as u64, 4),
        }
    }

    /// `d = cond`, the low byte only.
    #[inline(always)]
    pub fn set(&mut self, cond: Cond, d: Host) {
        self.put(pack(&[rex(0, 0, 0, d), 0x0f, 0x90 | cond.0, modrm(3, 0, d)]), 4);
    }

    /// `if cond { d = s }` on 64 bits.
    #[inline(always)]
    pub fn cmov(&mut self, cond: Cond, d: Host, s: Host) {
        self.put(pack(&[rex(W, d, 0, s), 0x0f, 0x40 | cond.0, modrm(3, d, s)]), 4);
    }

    /// `if cond { goto label }`
    #[inline(always)]
    pub fn jcc(&mut self, cond: Cond, label: DynamicLabel) {
        self.put(pack(&[0x0f, 0x80 | cond.0]), 6);
        self.dynamic_reloc(label, 0, 4, 0, 2);
    }
}

#[cfg(test)]
#[allow(clippy::useless_conversion, reason = "dynasm converts register numbers, which are bytes already")]
mod tests {
    use super::*;
    use dynasmrt::{DynasmApi, dynasm};

    const REGS: [Host; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    /// What `f` emits and what dynasm emits for the same.
    fn both(f: impl FnOnce(&mut Buffer), dynasm: impl FnOnce(&mut Buffer)) {
        let (mut ours, mut theirs) = (Buffer::default(), Buffer::default());
        f(&mut ours);
        dynasm(&mut theirs);
        assert_eq!(ours.finish().expect("ours"), theirs.finish().expect("theirs"));
    }

    #[test]
    fn register_forms_are_dynasms() {
        for d in REGS {
            for s in REGS {
                both(|b| b.alu(Alu::Xor, d, s), |b| dynasm!(b ; .arch x64 ; xor Rq(d), Rq(s)));
                both(|b| b.alu32(Alu::Sub, d, s), |b| dynasm!(b ; .arch x64 ; sub Rd(d), Rd(s)));
                both(|b| b.cmov(Cond::LE, d, s), |b| dynasm!(b ; .arch x64 ; cmovle Rq(d), Rq(s)));
                if d != s {
                    both(|b| b.mov(d, s), |b| dynasm!(b ; .arch x64 ; mov Rq(d), Rq(s)));
                }
            }
            both(|b| b.set(Cond::B, d), |b| dynasm!(b ; .arch x64 ; setb Rb(d)));
            both(|b| b.alu_imm(Alu::And, d, -2), |b| dynasm!(b ; .arch x64 ; and Rq(d), BYTE -2));
            both(|b| b.alu_imm(Alu::And, d, -4096), |b| dynasm!(b ; .arch x64 ; and Rq(d), DWORD -4096));
            both(|b| b.mov_imm(d, -7), |b| dynasm!(b ; .arch x64 ; mov Rq(d), DWORD -7));
            both(|b| b.mov_imm(d, 7 << 40), |b| dynasm!(b ; .arch x64 ; mov Rq(d), QWORD 7 << 40));
            both(
                |b| b.mov_imm(d, 0x8000_0000),
                |b| dynasm!(b ; .arch x64 ; mov Rd(d), DWORD 0x8000_0000u32 as i32),
            );
        }
    }

    #[test]
    fn memory_forms_are_dynasms() {
        for d in REGS {
            both(|b| b.load_word(d, 5), |b| dynasm!(b ; .arch x64 ; mov Rq(d), [BYTE r15 + -88]));
            both(|b| b.store_word(33, d), |b| dynasm!(b ; .arch x64 ; mov [DWORD r15 + 136], Rq(d)));
            both(|b| b.alu_state(Alu::Cmp, d, 0), |b| dynasm!(b ; .arch x64 ; cmp Rq(d), [BYTE r15 + -128]));
        }
        // dynasm is wide here.
        let mut b = Buffer::default();
        b.alu_state_imm8(Alu::Cmp, 31, 0);
        assert_eq!(b.finish().expect("code"), [0x49, 0x83, 0x7f, 120, 0]);
    }

    #[test]
    fn access_forms_are_dynasms() {
        use Form as F;
        let far = Mem::Based(12, 1000);
        both(
            |b| b.memory(F::LOAD_S8, 8, Mem::Based(3, 4)),
            |b| dynasm!(b ; .arch x64 ; movsx r8, BYTE [BYTE rbx + 4]),
        );
        both(
            |b| b.memory(F::LOAD_S16, 8, far),
            |b| dynasm!(b ; .arch x64 ; movsx r8, WORD [DWORD r12 + 1000]),
        );
        both(
            |b| b.memory(F::LOAD_S32, 8, far),
            |b| dynasm!(b ; .arch x64 ; movsxd r8, DWORD [DWORD r12 + 1000]),
        );
        both(
            |b| b.memory(F::LOAD_U8, 8, far),
            |b| dynasm!(b ; .arch x64 ; movzx r8d, BYTE [DWORD r12 + 1000]),
        );
        both(
            |b| b.memory(F::LOAD_U16, 8, far),
            |b| dynasm!(b ; .arch x64 ; movzx r8d, WORD [DWORD r12 + 1000]),
        );
        both(|b| b.memory(F::LOAD_32, 8, far), |b| dynasm!(b ; .arch x64 ; mov r8d, [DWORD r12 + 1000]));
        both(
            |b| b.memory(F::LOAD_64, 3, Mem::Sum(13, 9)),
            |b| dynasm!(b ; .arch x64 ; mov rbx, [BYTE r13 + r9 + 0]),
        );
        both(|b| b.memory(F::store(0), 8, Mem::Sum(8, 9)), |b| dynasm!(b ; .arch x64 ; mov [r8 + r9], r8b));
        both(|b| b.memory(F::store(1), 8, Mem::Sum(8, 9)), |b| dynasm!(b ; .arch x64 ; mov [r8 + r9], r8w));
        both(|b| b.memory(F::store(2), 8, Mem::Sum(8, 9)), |b| dynasm!(b ; .arch x64 ; mov [r8 + r9], r8d));
        both(|b| b.memory(F::store(3), 8, Mem::Sum(8, 9)), |b| dynasm!(b ; .arch x64 ; mov [r8 + r9], r8));
        both(
            |b| b.memory(F::LOAD_DOUBLE, 9, far),
            |b| dynasm!(b ; .arch x64 ; movsd xmm9, [DWORD r12 + 1000]),
        );
        both(
            |b| b.memory(F::STORE_DOUBLE, 9, far),
            |b| dynasm!(b ; .arch x64 ; movsd [DWORD r12 + 1000], xmm9),
        );
        both(
            |b| b.memory(F::STORE_SINGLE, 9, far),
            |b| dynasm!(b ; .arch x64 ; movss [DWORD r12 + 1000], xmm9),
        );
    }

    #[test]
    fn address_forms_are_dynasms() {
        both(|b| b.lea(3, 12, 8), |b| dynasm!(b ; .arch x64 ; lea rbx, [BYTE r12 + 8]));
        both(|b| b.lea(3, 13, 0), |b| dynasm!(b ; .arch x64 ; lea rbx, [BYTE r13 + 0]));
        both(|b| b.lea(9, 5, 4096), |b| dynasm!(b ; .arch x64 ; lea r9, [DWORD rbp + 4096]));
        both(|b| b.lea32(9, 12, 4096), |b| dynasm!(b ; .arch x64 ; lea r9d, [DWORD r12 + 4096]));
        both(|b| b.lea_index(0, 13, 14, 2), |b| dynasm!(b ; .arch x64 ; lea rax, [BYTE r13 + r14 * 4 + 0]));
        both(|b| b.lea_index(8, 12, 3, 0), |b| dynasm!(b ; .arch x64 ; lea r8, [NOSPLIT r12 + rbx * 1]));
        both(|b| b.lea_index32(8, 11, 5), |b| dynasm!(b ; .arch x64 ; lea r8d, [NOSPLIT r11 + rbp * 1]));
    }
}
