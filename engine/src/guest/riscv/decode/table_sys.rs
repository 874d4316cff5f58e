//! Environment, CSRs, privileged instructions, cache-block operations, wait-on-reservation.

use super::form::Form;
use super::row::{Kind, Row, major::*};
use crate::guest::riscv::helpers::Helper;
use crate::guest::riscv::model::Ext::{Svinval, Zawrs, Zicbom, Zicboz};

const fn csr(name: &'static str, f3: u32, form: Form) -> Row {
    Row::f3(name, SYSTEM, f3, form, Kind::Csr)
}
/// No destination, two sources.
const fn pair(name: &'static str, f7: u32) -> Row {
    Row::new(name, SYSTEM | f7 << 25, 0xfe00_7fff, Form::Pair, Kind::CallEnd(Helper::SfenceVma))
}
const fn cbo(name: &'static str, which: u32, helper: Helper) -> Row {
    Row::new(name, MISC_MEM | 2 << 12 | which << 20, 0xfff0_7fff, Form::Address, Kind::Call(helper))
}

pub const ROWS: &[Row] = &[
    Row::word("ecall", 0x0000_0073, Kind::CallEnd(Helper::Ecall)),
    Row::word("ebreak", 0x0010_0073, Kind::CallEnd(Helper::Ebreak)),
    Row::word("sret", 0x1020_0073, Kind::CallEnd(Helper::Sret)),
    Row::word("wfi", 0x1050_0073, Kind::CallEnd(Helper::Wfi)),
    Row::word("mret", 0x3020_0073, Kind::CallEnd(Helper::Mret)),
    Row::word("wrs.nto", 0x00d0_0073, Kind::CallEnd(Helper::WrsNto)).of(&[Zawrs]),
    Row::word("wrs.sto", 0x01d0_0073, Kind::CallEnd(Helper::WrsSto)).of(&[Zawrs]),
    pair("sfence.vma", 0x09),
    pair("sinval.vma", 0x0b).of(&[Svinval]),
    Row::word("sfence.w.inval", 0x1800_0073, Kind::CallEnd(Helper::SfenceOrder)).of(&[Svinval]),
    Row::word("sfence.inval.ir", 0x1810_0073, Kind::CallEnd(Helper::SfenceOrder)).of(&[Svinval]),
    csr("csrrw", 1, Form::Csr),
    csr("csrrs", 2, Form::Csr),
    csr("csrrc", 3, Form::Csr),
    csr("csrrwi", 5, Form::CsrImm),
    csr("csrrsi", 6, Form::CsrImm),
    csr("csrrci", 7, Form::CsrImm),
    cbo("cbo.inval", 0, Helper::CboManage).of(&[Zicbom]),
    cbo("cbo.clean", 1, Helper::CboManage).of(&[Zicbom]),
    cbo("cbo.flush", 2, Helper::CboManage).of(&[Zicbom]),
    cbo("cbo.zero", 4, Helper::CboZero).of(&[Zicboz]),
];
