//! Compressed instructions: C (with D) and Zcb.
//!
//! Hints (writes to `x0`, shifts by 0, ...) need no rows: they decode as what they look like, and that does nothing.

use super::form::Form;
use super::row::{Kind, Row};
use crate::guest::riscv::helpers::Helper;
use crate::guest::riscv::model::Ext::{self, Zba, Zbb, Zcb};
use crate::ir::Opcode::{self, *};

const ZCB: &[Ext] = &[Zcb];

const fn c(name: &'static str, bits: u32, mask: u32, form: Form, kind: Kind) -> Row {
    Row::new(name, bits, mask, form, kind)
}
/// Told by quadrant and third function field.
const fn q(name: &'static str, quadrant: u32, f3: u32, form: Form, kind: Kind) -> Row {
    Row::new(name, quadrant | f3 << 13, 0xe003, form, kind)
}
/// Reserved inside the encodings of the rows below it.
const fn reserved(bits: u32, mask: u32) -> Row {
    Row::new("reserved", bits, mask, Form::None, Kind::Reserved)
}
/// Register-register arithmetic of `x8` to `x15`.
const fn arith(name: &'static str, wide: u32, f2: u32, code: Opcode) -> Row {
    Row::new(name, 0x8c01 | wide << 12 | f2 << 5, 0xfc63, Form::CArith, Kind::Reg(code))
}
/// Zcb on one register.
const fn unary(name: &'static str, which: u32, form: Form, kind: Kind) -> Row {
    Row::new(name, 0x9c61 | which << 2, 0xfc7f, form, kind)
}

pub const ROWS: &[Row] = &[
    // Quadrant 0. A zero immediate is reserved, and makes the all-zero half illegal.
    reserved(0x0000, 0xffe3),
    q("c.addi4spn", 0, 0, Form::CAddi4spn, Kind::Imm(AddI)),
    q("c.fld", 0, 1, Form::CFld, Kind::Load(Load64, 3)),
    q("c.lw", 0, 2, Form::CLw, Kind::Load(LoadS32, 2)),
    q("c.ld", 0, 3, Form::CLd, Kind::Load(Load64, 3)),
    c("c.lbu", 0x8000, 0xfc03, Form::CLb, Kind::Load(LoadU8, 0)).of(ZCB),
    c("c.lhu", 0x8400, 0xfc43, Form::CLh, Kind::Load(LoadU16, 1)).of(ZCB),
    c("c.lh", 0x8440, 0xfc43, Form::CLh, Kind::Load(LoadS16, 1)).of(ZCB),
    c("c.sb", 0x8800, 0xfc03, Form::CSb, Kind::Store(Store8, 0)).of(ZCB),
    c("c.sh", 0x8c00, 0xfc43, Form::CSh, Kind::Store(Store16, 1)).of(ZCB),
    q("c.fsd", 0, 5, Form::CFsd, Kind::Store(Store64, 3)),
    q("c.sw", 0, 6, Form::CSw, Kind::Store(Store32, 2)),
    q("c.sd", 0, 7, Form::CSd, Kind::Store(Store64, 3)),
    // Quadrant 1.
    c("c.nop", 0x0001, 0xef83, Form::CNop, Kind::Nop),
    q("c.addi", 1, 0, Form::CI, Kind::Imm(AddI)),
    reserved(0x2001, 0xef83),
    q("c.addiw", 1, 1, Form::CI, Kind::Imm(AddIW)),
    q("c.li", 1, 2, Form::CLi, Kind::Imm(AddI)),
    reserved(0x6001, 0xf07f),
    c("c.addi16sp", 0x6101, 0xef83, Form::CAddi16sp, Kind::Imm(AddI)),
    q("c.lui", 1, 3, Form::CLui, Kind::Lui),
    c("c.srli", 0x8001, 0xec03, Form::CShift, Kind::Imm(SrlI)),
    c("c.srai", 0x8401, 0xec03, Form::CShift, Kind::Imm(SraI)),
    c("c.andi", 0x8801, 0xec03, Form::CAndi, Kind::Imm(AndI)),
    arith("c.sub", 0, 0, Sub),
    arith("c.xor", 0, 1, Xor),
    arith("c.or", 0, 2, Or),
    arith("c.and", 0, 3, And),
    arith("c.subw", 1, 0, SubW),
    arith("c.addw", 1, 1, AddW),
    arith("c.mul", 1, 2, Mul).of(ZCB),
    unary("c.zext.b", 0, Form::CUnary, Kind::Unary(ZextB)).of(ZCB),
    unary("c.sext.b", 1, Form::CUnary, Kind::Unary(SextB)).of(&[Zcb, Zbb]),
    unary("c.zext.h", 2, Form::CUnary, Kind::Unary(ZextH)).of(&[Zcb, Zbb]),
    unary("c.sext.h", 3, Form::CUnary, Kind::Unary(SextH)).of(&[Zcb, Zbb]),
    unary("c.zext.w", 4, Form::CUnary, Kind::Unary(ZextW)).of(&[Zcb, Zba]),
    unary("c.not", 5, Form::CNot, Kind::Imm(XorI)).of(ZCB),
    q("c.j", 1, 5, Form::CJ, Kind::Jal),
    q("c.beqz", 1, 6, Form::CBranch, Kind::Branch(BrEq)),
    q("c.bnez", 1, 7, Form::CBranch, Kind::Branch(BrNe)),
    // Quadrant 2.
    q("c.slli", 2, 0, Form::CSlli, Kind::Imm(SllI)),
    q("c.fldsp", 2, 1, Form::CFldsp, Kind::Load(Load64, 3)),
    reserved(0x4002, 0xef83),
    q("c.lwsp", 2, 2, Form::CLwsp, Kind::Load(LoadS32, 2)),
    reserved(0x6002, 0xef83),
    q("c.ldsp", 2, 3, Form::CLdsp, Kind::Load(Load64, 3)),
    reserved(0x8002, 0xffff),
    c("c.jr", 0x8002, 0xf07f, Form::CJr, Kind::Jalr),
    c("c.mv", 0x8002, 0xf003, Form::CMv, Kind::Reg(Add)),
    c("c.ebreak", 0x9002, 0xffff, Form::None, Kind::CallEnd(Helper::Ebreak)),
    c("c.jalr", 0x9002, 0xf07f, Form::CJalr, Kind::Jalr),
    c("c.add", 0x9002, 0xf003, Form::CAdd, Kind::Reg(Add)),
    q("c.fsdsp", 2, 5, Form::CFsdsp, Kind::Store(Store64, 3)),
    q("c.swsp", 2, 6, Form::CSwsp, Kind::Store(Store32, 2)),
    q("c.sdsp", 2, 7, Form::CSdsp, Kind::Store(Store64, 3)),
];
