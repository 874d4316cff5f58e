//! RV64I, M, Zifencei and the hints with names of their own.

use super::form::Form;
use super::row::{Kind, Row, major::*, reg};
use crate::guest::riscv::helpers::Helper;
use crate::guest::riscv::model::Ext::{Zicbop, Zihintpause};
use crate::ir::Opcode::{self, *};

const fn imm(name: &'static str, op: u32, f3: u32, code: Opcode) -> Row {
    Row::f3(name, op, f3, Form::I, Kind::Imm(code))
}
const fn shift(name: &'static str, f3: u32, f6: u32, code: Opcode) -> Row {
    Row::f6(name, OP_IMM, f3, f6, Form::Shift, Kind::Imm(code))
}
const fn shift_w(name: &'static str, f3: u32, f7: u32, code: Opcode) -> Row {
    Row::f7(name, OP_IMM_32, f3, f7, Form::ShiftW, Kind::Imm(code))
}
const fn load(name: &'static str, f3: u32, code: Opcode) -> Row {
    Row::f3(name, LOAD, f3, Form::Load, Kind::Load(code, f3 as u8 & 3))
}
const fn store(name: &'static str, f3: u32, code: Opcode) -> Row {
    Row::f3(name, STORE, f3, Form::Store, Kind::Store(code, f3 as u8))
}
const fn branch(name: &'static str, f3: u32, code: Opcode) -> Row {
    Row::f3(name, BRANCH, f3, Form::Branch, Kind::Branch(code))
}
const fn prefetch(name: &'static str, which: u32) -> Row {
    // ORI to x0 with the kind of access in the lowest five bits of the immediate.
    Row::new(name, OP_IMM | 6 << 12 | which << 20, 0x01f0_7fff, Form::Prefetch, Kind::Nop).of(&[Zicbop])
}

/// Special cases of rows below, before them in the table.
pub const HINTS: &[Row] = &[
    Row::word("pause", 0x0100_000f, Kind::Nop).of(&[Zihintpause]),
    Row::f12("fence.tso", MISC_MEM, 0, 0x833, Form::None, Kind::Fence),
    prefetch("prefetch.i", 0),
    prefetch("prefetch.r", 1),
    prefetch("prefetch.w", 3),
];

pub const ROWS: &[Row] = &[
    Row::major("lui", LUI, Form::Upper, Kind::Lui),
    Row::major("auipc", AUIPC, Form::Upper, Kind::Auipc),
    Row::major("jal", JAL, Form::Jump, Kind::Jal),
    Row::f3("jalr", JALR, 0, Form::Load, Kind::Jalr),
    branch("beq", 0, BrEq),
    branch("bne", 1, BrNe),
    branch("blt", 4, BrLt),
    branch("bge", 5, BrGe),
    branch("bltu", 6, BrLtu),
    branch("bgeu", 7, BrGeu),
    load("lb", 0, LoadS8),
    load("lh", 1, LoadS16),
    load("lw", 2, LoadS32),
    load("ld", 3, Load64),
    load("lbu", 4, LoadU8),
    load("lhu", 5, LoadU16),
    load("lwu", 6, LoadU32),
    store("sb", 0, Store8),
    store("sh", 1, Store16),
    store("sw", 2, Store32),
    store("sd", 3, Store64),
    imm("addi", OP_IMM, 0, AddI),
    imm("slti", OP_IMM, 2, SltI),
    imm("sltiu", OP_IMM, 3, SltuI),
    imm("xori", OP_IMM, 4, XorI),
    imm("ori", OP_IMM, 6, OrI),
    imm("andi", OP_IMM, 7, AndI),
    imm("addiw", OP_IMM_32, 0, AddIW),
    shift("slli", 1, 0x00, SllI),
    shift("srli", 5, 0x00, SrlI),
    shift("srai", 5, 0x10, SraI),
    shift_w("slliw", 1, 0x00, SllIW),
    shift_w("srliw", 5, 0x00, SrlIW),
    shift_w("sraiw", 5, 0x20, SraIW),
    reg("add", OP, 0, 0x00, Add),
    reg("sub", OP, 0, 0x20, Sub),
    reg("sll", OP, 1, 0x00, Sll),
    reg("slt", OP, 2, 0x00, Slt),
    reg("sltu", OP, 3, 0x00, Sltu),
    reg("xor", OP, 4, 0x00, Xor),
    reg("srl", OP, 5, 0x00, Srl),
    reg("sra", OP, 5, 0x20, Sra),
    reg("or", OP, 6, 0x00, Or),
    reg("and", OP, 7, 0x00, And),
    reg("addw", OP_32, 0, 0x00, AddW),
    reg("subw", OP_32, 0, 0x20, SubW),
    reg("sllw", OP_32, 1, 0x00, SllW),
    reg("srlw", OP_32, 5, 0x00, SrlW),
    reg("sraw", OP_32, 5, 0x20, SraW),
    // M
    reg("mul", OP, 0, 1, Mul),
    reg("mulh", OP, 1, 1, MulH),
    reg("mulhsu", OP, 2, 1, MulHsu),
    reg("mulhu", OP, 3, 1, MulHu),
    reg("div", OP, 4, 1, Div),
    reg("divu", OP, 5, 1, Divu),
    reg("rem", OP, 6, 1, Rem),
    reg("remu", OP, 7, 1, Remu),
    reg("mulw", OP_32, 0, 1, MulW),
    reg("divw", OP_32, 4, 1, DivW),
    reg("divuw", OP_32, 5, 1, DivuW),
    reg("remw", OP_32, 6, 1, RemW),
    reg("remuw", OP_32, 7, 1, RemuW),
    // Fields that are reserved for finer fences are ignored, as the base set asks.
    Row::f3("fence", MISC_MEM, 0, Form::Fence, Kind::Fence),
    Row::f3("fence.i", MISC_MEM, 1, Form::None, Kind::CallEnd(Helper::FenceI)),
];
