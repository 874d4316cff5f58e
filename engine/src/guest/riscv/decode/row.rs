//! A row of the decode table.

use super::Form;
use crate::guest::riscv::helpers::Helper;
use crate::guest::riscv::model::Ext;
use crate::ir::Opcode;

/// What an instruction does, in the lifter's words. Operands are those of the row's [`Form`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A reserved encoding inside the range of the rows that follow: illegal.
    Reserved,
    /// A hint.
    Nop,
    /// `rd = op(rs1, rs2)`
    Reg(Opcode),
    /// `rd = op(rs1, imm)`
    Imm(Opcode),
    /// `rd = op(rs1)`
    Unary(Opcode),
    /// `rd = imm`
    Lui,
    /// `rd = pc + imm`
    Auipc,
    /// `rd = next pc`, go to `pc + imm`
    Jal,
    /// `rd = next pc`, go to `(rs1 + imm) & !1`
    Jalr,
    /// If `op(rs1, rs2)` go to `pc + imm`.
    Branch(Opcode),
    /// `rd = op[rs1 + imm]` of `1 << size` bytes; integer or float.
    Load(Opcode, u8),
    /// `op[rs1 + imm] = rs2` of `1 << size` bytes; integer or float.
    Store(Opcode, u8),
    /// Atomic read-modify-write of `1 << size` bytes at `rs1`.
    Amo(Opcode, u8),
    /// LR.
    LoadReserved(u8),
    /// SC.
    StoreCond(u8),
    /// AMOCAS of 4 or 8 bytes.
    CompareSwap(u8),
    /// FENCE.
    Fence,
    /// A CSR instruction.
    Csr,
    /// A helper of the operands after which the block goes on.
    Call(Helper),
    /// A helper of the operands which ends the block.
    CallEnd(Helper),
    /// A float operation.
    Float(Opcode),
    /// FLI: a float constant by number.
    FloatConst,
}

/// One encoding.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The mnemonic.
    pub name: &'static str,
    /// What the bits of `mask` must be.
    pub bits: u32,
    /// The bits that tell the instruction.
    pub mask: u32,
    /// Where its operands are.
    pub form: Form,
    /// What it does.
    pub kind: Kind,
    /// The extensions it needs, all of them.
    pub needs: &'static [Ext],
}

/// Major opcodes (bits 0..7) as the listing names them.
pub mod major {
    pub const LOAD: u32 = 0x03;
    pub const LOAD_FP: u32 = 0x07;
    pub const MISC_MEM: u32 = 0x0f;
    pub const OP_IMM: u32 = 0x13;
    pub const AUIPC: u32 = 0x17;
    pub const OP_IMM_32: u32 = 0x1b;
    pub const STORE: u32 = 0x23;
    pub const STORE_FP: u32 = 0x27;
    pub const AMO: u32 = 0x2f;
    pub const OP: u32 = 0x33;
    pub const LUI: u32 = 0x37;
    pub const OP_32: u32 = 0x3b;
    pub const MADD: u32 = 0x43;
    pub const MSUB: u32 = 0x47;
    pub const NMSUB: u32 = 0x4b;
    pub const NMADD: u32 = 0x4f;
    pub const OP_FP: u32 = 0x53;
    pub const BRANCH: u32 = 0x63;
    pub const JALR: u32 = 0x67;
    pub const JAL: u32 = 0x6f;
    pub const SYSTEM: u32 = 0x73;
}

impl Row {
    /// A row of the base set.
    pub const fn new(name: &'static str, bits: u32, mask: u32, form: Form, kind: Kind) -> Row {
        assert!(bits & !mask == 0);
        Row { name, bits, mask, form, kind, needs: &[] }
    }
    /// The same in these extensions.
    pub const fn of(self, needs: &'static [Ext]) -> Row {
        Row { needs, ..self }
    }
    /// Told by major opcode only.
    pub const fn major(name: &'static str, op: u32, form: Form, kind: Kind) -> Row {
        Row::new(name, op, 0x7f, form, kind)
    }
    /// Told by major opcode and the third function field.
    pub const fn f3(name: &'static str, op: u32, f3: u32, form: Form, kind: Kind) -> Row {
        Row::new(name, op | f3 << 12, 0x707f, form, kind)
    }
    /// Told by the seventh function field too.
    pub const fn f7(name: &'static str, op: u32, f3: u32, f7: u32, form: Form, kind: Kind) -> Row {
        Row::new(name, op | f3 << 12 | f7 << 25, 0xfe00_707f, form, kind)
    }
    /// Told by the upper six bits: a 6-bit shift count is the rest.
    pub const fn f6(name: &'static str, op: u32, f3: u32, f6: u32, form: Form, kind: Kind) -> Row {
        Row::new(name, op | f3 << 12 | f6 << 26, 0xfc00_707f, form, kind)
    }
    /// Told by the upper twelve bits too.
    pub const fn f12(name: &'static str, op: u32, f3: u32, f12: u32, form: Form, kind: Kind) -> Row {
        Row::new(name, op | f3 << 12 | f12 << 20, 0xfff0_707f, form, kind)
    }
    /// A whole word.
    pub const fn word(name: &'static str, bits: u32, kind: Kind) -> Row {
        Row::new(name, bits, !0, Form::None, kind)
    }
}

/// Two register sources.
pub const fn reg(name: &'static str, op: u32, f3: u32, f7: u32, code: Opcode) -> Row {
    Row::f7(name, op, f3, f7, Form::R, Kind::Reg(code))
}
