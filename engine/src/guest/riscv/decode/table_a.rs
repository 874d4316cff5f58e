//! Atomics: A and Zacas.

use super::form::Form;
use super::row::{Kind, Row, major::AMO};
use crate::guest::riscv::helpers::Helper;
use crate::guest::riscv::model::Ext::{self, Zacas};
use crate::ir::Opcode::{self, *};

const ZACAS: &[Ext] = &[Zacas];
/// Everything but registers and the ordering bits.
const MASK: u32 = 0xf800_707f;

const fn bits(size: u8, f5: u32) -> u32 {
    AMO | (size as u32) << 12 | f5 << 27
}
const fn amo(name: &'static str, size: u8, f5: u32, code: Opcode) -> Row {
    Row::new(name, bits(size, f5), MASK, Form::Amo, Kind::Amo(code, size))
}

macro_rules! both_widths {
    ($($name:literal $f5:literal $code:ident;)*) => {
        &[
            $( amo(concat!($name, ".w"), 2, $f5, $code), amo(concat!($name, ".d"), 3, $f5, $code), )*
            Row::new("lr.w", bits(2, 2), MASK | 31 << 20, Form::LoadReserved, Kind::LoadReserved(2)),
            Row::new("lr.d", bits(3, 2), MASK | 31 << 20, Form::LoadReserved, Kind::LoadReserved(3)),
            Row::new("sc.w", bits(2, 3), MASK, Form::Amo, Kind::StoreCond(2)),
            Row::new("sc.d", bits(3, 3), MASK, Form::Amo, Kind::StoreCond(3)),
            Row::new("amocas.w", bits(2, 5), MASK, Form::Amo, Kind::CompareSwap(2)).of(ZACAS),
            Row::new("amocas.d", bits(3, 5), MASK, Form::Amo, Kind::CompareSwap(3)).of(ZACAS),
            // Register pairs: odd rd and rs2 are reserved.
            Row::new("amocas.q", bits(4, 5), MASK | 1 << 7 | 1 << 20, Form::Amo, Kind::Call(Helper::AmocasQ)).of(ZACAS),
        ]
    };
}

pub const ROWS: &[Row] = both_widths! {
    "amoswap" 0x01 AmoSwap;
    "amoadd" 0x00 AmoAdd;
    "amoxor" 0x04 AmoXor;
    "amoand" 0x0c AmoAnd;
    "amoor" 0x08 AmoOr;
    "amomin" 0x10 AmoMin;
    "amomax" 0x14 AmoMax;
    "amominu" 0x18 AmoMinu;
    "amomaxu" 0x1c AmoMaxu;
};
