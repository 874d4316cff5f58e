//! Bit manipulation (Zba, Zbb, Zbc, Zbs) and Zicond.

use super::form::Form;
use super::row::{Kind, Row, major::*, reg};
use crate::guest::riscv::model::Ext::{self, Zba, Zbb, Zbc, Zbs, Zicond};
use crate::ir::Opcode::{self, *};

const ZBA: &[Ext] = &[Zba];
const ZBB: &[Ext] = &[Zbb];
const ZBC: &[Ext] = &[Zbc];
const ZBS: &[Ext] = &[Zbs];
const ZICOND: &[Ext] = &[Zicond];

const fn shift(name: &'static str, op: u32, f3: u32, f6: u32, code: Opcode) -> Row {
    Row::f6(name, op, f3, f6, Form::Shift, Kind::Imm(code))
}
const fn unary(name: &'static str, op: u32, f3: u32, f12: u32, code: Opcode) -> Row {
    Row::f12(name, op, f3, f12, Form::Unary, Kind::Unary(code)).of(ZBB)
}

pub const ROWS: &[Row] = &[
    reg("sh1add", OP, 2, 0x10, Sh1Add).of(ZBA),
    reg("sh2add", OP, 4, 0x10, Sh2Add).of(ZBA),
    reg("sh3add", OP, 6, 0x10, Sh3Add).of(ZBA),
    reg("add.uw", OP_32, 0, 0x04, AddUw).of(ZBA),
    reg("sh1add.uw", OP_32, 2, 0x10, Sh1AddUw).of(ZBA),
    reg("sh2add.uw", OP_32, 4, 0x10, Sh2AddUw).of(ZBA),
    reg("sh3add.uw", OP_32, 6, 0x10, Sh3AddUw).of(ZBA),
    shift("slli.uw", OP_IMM_32, 1, 0x02, SllIUw).of(ZBA),
    reg("andn", OP, 7, 0x20, AndNot).of(ZBB),
    reg("orn", OP, 6, 0x20, OrNot).of(ZBB),
    reg("xnor", OP, 4, 0x20, XorNot).of(ZBB),
    reg("min", OP, 4, 0x05, Min).of(ZBB),
    reg("minu", OP, 5, 0x05, Minu).of(ZBB),
    reg("max", OP, 6, 0x05, Max).of(ZBB),
    reg("maxu", OP, 7, 0x05, Maxu).of(ZBB),
    reg("rol", OP, 1, 0x30, Rol).of(ZBB),
    reg("ror", OP, 5, 0x30, Ror).of(ZBB),
    reg("rolw", OP_32, 1, 0x30, RolW).of(ZBB),
    reg("rorw", OP_32, 5, 0x30, RorW).of(ZBB),
    shift("rori", OP_IMM, 5, 0x18, RorI).of(ZBB),
    Row::f7("roriw", OP_IMM_32, 5, 0x30, Form::ShiftW, Kind::Imm(RorIW)).of(ZBB),
    unary("clz", OP_IMM, 1, 0x600, Clz),
    unary("ctz", OP_IMM, 1, 0x601, Ctz),
    unary("cpop", OP_IMM, 1, 0x602, Cpop),
    unary("sext.b", OP_IMM, 1, 0x604, SextB),
    unary("sext.h", OP_IMM, 1, 0x605, SextH),
    unary("orc.b", OP_IMM, 5, 0x287, OrcB),
    unary("rev8", OP_IMM, 5, 0x6b8, Rev8),
    unary("clzw", OP_IMM_32, 1, 0x600, ClzW),
    unary("ctzw", OP_IMM_32, 1, 0x601, CtzW),
    unary("cpopw", OP_IMM_32, 1, 0x602, CpopW),
    unary("zext.h", OP_32, 4, 0x080, ZextH),
    reg("clmul", OP, 1, 0x05, Clmul).of(ZBC),
    reg("clmulr", OP, 2, 0x05, ClmulR).of(ZBC),
    reg("clmulh", OP, 3, 0x05, ClmulH).of(ZBC),
    reg("bclr", OP, 1, 0x24, BitClear).of(ZBS),
    reg("bext", OP, 5, 0x24, BitExtract).of(ZBS),
    reg("binv", OP, 1, 0x34, BitInvert).of(ZBS),
    reg("bset", OP, 1, 0x14, BitSet).of(ZBS),
    shift("bclri", OP_IMM, 1, 0x12, BitClearI).of(ZBS),
    shift("bexti", OP_IMM, 5, 0x12, BitExtractI).of(ZBS),
    shift("binvi", OP_IMM, 1, 0x1a, BitInvertI).of(ZBS),
    shift("bseti", OP_IMM, 1, 0x0a, BitSetI).of(ZBS),
    reg("czero.eqz", OP, 5, 0x07, ZeroIfZero).of(ZICOND),
    reg("czero.nez", OP, 7, 0x07, ZeroIfNot).of(ZICOND),
];
