//! F, D, Zfh, Zfhmin and Zfa.

use super::form::Form;
use super::row::{Kind, Row, major::*};
use crate::guest::riscv::model::Ext::{self, Zfa, Zfh, Zfhmin};
use crate::ir::Opcode::{self, *};

const NONE: &[Ext] = &[];
const ZFH: &[Ext] = &[Zfh];
const ZFHMIN: &[Ext] = &[Zfhmin];
const ZFA: &[Ext] = &[Zfa];
const ZFA_ZFH: &[Ext] = &[Zfa, Zfh];

/// A field that holds an operand.
const ANY: u32 = u32::MAX;

/// Format numbers, as the encoding has them.
const S: u32 = 0;
const D: u32 = 1;
const H: u32 = 2;

/// Float arithmetic: upper function field, format, second source and third function field if they are fixed.
const fn arith(name: &'static str, f5: u32, fmt: u32, rs2: u32, f3: u32, form: Form, code: Opcode) -> Row {
    let (mut bits, mut mask) = (OP_FP | fmt << 25 | f5 << 27, 0xfe00_007f);
    if rs2 != ANY {
        bits |= rs2 << 20;
        mask |= 0x1f << 20;
    }
    if f3 != ANY {
        bits |= f3 << 12;
        mask |= 7 << 12;
    }
    let kind = if let Form::FConst = form { Kind::FloatConst } else { Kind::Float(code) };
    Row::new(name, bits, mask, form, kind)
}
const fn fused(name: &'static str, op: u32, fmt: u32, code: Opcode) -> Row {
    Row::new(name, op | fmt << 25, 0x0600_007f, Form::FFourRm, Kind::Float(code))
}
const fn load(name: &'static str, size: u8, code: Opcode) -> Row {
    Row::f3(name, LOAD_FP, size as u32, Form::FLoad, Kind::Load(code, size))
}
const fn store(name: &'static str, size: u8, code: Opcode) -> Row {
    Row::f3(name, STORE_FP, size as u32, Form::FStore, Kind::Store(code, size))
}
/// Conversion between formats; the source is in the field of the second register.
const fn convert(name: &'static str, to: u32, from: u32) -> Row {
    arith(name, 0x08, to, from, ANY, Form::FUnaryRm, FCvt)
}

macro_rules! table {
    (fused { $($fname:literal $op:ident $fcode:ident;)* }
     arith { $($name:literal, $suffix:literal, $f5:literal, $rs2:expr, $f3:expr, $form:ident, $code:ident, $needs:expr, $half:expr;)* }
     others { $($row:expr;)* }) => {
        &[
            $( $row, )*
            $(
                fused(concat!($fname, ".s"), $op, S, $fcode),
                fused(concat!($fname, ".d"), $op, D, $fcode),
                fused(concat!($fname, ".h"), $op, H, $fcode).of(ZFH),
            )*
            $(
                arith(concat!($name, ".s", $suffix), $f5, S, $rs2, $f3, Form::$form, $code).of($needs),
                arith(concat!($name, ".d", $suffix), $f5, D, $rs2, $f3, Form::$form, $code).of($needs),
                arith(concat!($name, ".h", $suffix), $f5, H, $rs2, $f3, Form::$form, $code).of($half),
            )*
        ]
    };
}

pub const ROWS: &[Row] = table! {
    fused {
        "fmadd" MADD FMadd;
        "fmsub" MSUB FMsub;
        "fnmsub" NMSUB FNmsub;
        "fnmadd" NMADD FNmadd;
    }
    arith {
        "fadd", "", 0x00, ANY, ANY, FBinaryRm, FAdd, NONE, ZFH;
        "fsub", "", 0x01, ANY, ANY, FBinaryRm, FSub, NONE, ZFH;
        "fmul", "", 0x02, ANY, ANY, FBinaryRm, FMul, NONE, ZFH;
        "fdiv", "", 0x03, ANY, ANY, FBinaryRm, FDiv, NONE, ZFH;
        "fsqrt", "", 0x0b, 0, ANY, FUnaryRm, FSqrt, NONE, ZFH;
        "fsgnj", "", 0x04, ANY, 0, FBinary, FSgnj, NONE, ZFH;
        "fsgnjn", "", 0x04, ANY, 1, FBinary, FSgnjn, NONE, ZFH;
        "fsgnjx", "", 0x04, ANY, 2, FBinary, FSgnjx, NONE, ZFH;
        "fmin", "", 0x05, ANY, 0, FBinary, FMin, NONE, ZFH;
        "fmax", "", 0x05, ANY, 1, FBinary, FMax, NONE, ZFH;
        "fle", "", 0x14, ANY, 0, FCompare, FLe, NONE, ZFH;
        "flt", "", 0x14, ANY, 1, FCompare, FLt, NONE, ZFH;
        "feq", "", 0x14, ANY, 2, FCompare, FEq, NONE, ZFH;
        "fclass", "", 0x1c, 0, 1, FToX, FClass, NONE, ZFH;
        "fcvt.w", "", 0x18, 0, ANY, FToXRm, FToI32, NONE, ZFH;
        "fcvt.wu", "", 0x18, 1, ANY, FToXRm, FToU32, NONE, ZFH;
        "fcvt.l", "", 0x18, 2, ANY, FToXRm, FToI64, NONE, ZFH;
        "fcvt.lu", "", 0x18, 3, ANY, FToXRm, FToU64, NONE, ZFH;
        "fcvt", ".w", 0x1a, 0, ANY, XToFRm, FFromI32, NONE, ZFH;
        "fcvt", ".wu", 0x1a, 1, ANY, XToFRm, FFromU32, NONE, ZFH;
        "fcvt", ".l", 0x1a, 2, ANY, XToFRm, FFromI64, NONE, ZFH;
        "fcvt", ".lu", 0x1a, 3, ANY, XToFRm, FFromU64, NONE, ZFH;
        // Zfa
        "fli", "", 0x1e, 1, 0, FConst, Li, ZFA, ZFA_ZFH;
        "fminm", "", 0x05, ANY, 2, FBinary, FMinM, ZFA, ZFA_ZFH;
        "fmaxm", "", 0x05, ANY, 3, FBinary, FMaxM, ZFA, ZFA_ZFH;
        "fround", "", 0x08, 4, ANY, FUnaryRm, FRound, ZFA, ZFA_ZFH;
        "froundnx", "", 0x08, 5, ANY, FUnaryRm, FRoundNx, ZFA, ZFA_ZFH;
        "fleq", "", 0x14, ANY, 4, FCompare, FLeq, ZFA, ZFA_ZFH;
        "fltq", "", 0x14, ANY, 5, FCompare, FLtq, ZFA, ZFA_ZFH;
    }
    others {
        load("flh", 1, LoadBox16).of(ZFHMIN);
        load("flw", 2, LoadBox32);
        load("fld", 3, Load64);
        store("fsh", 1, Store16).of(ZFHMIN);
        store("fsw", 2, Store32);
        store("fsd", 3, Store64);
        convert("fcvt.s.d", S, D);
        convert("fcvt.d.s", D, S);
        convert("fcvt.s.h", S, H).of(ZFHMIN);
        convert("fcvt.h.s", H, S).of(ZFHMIN);
        convert("fcvt.d.h", D, H).of(ZFHMIN);
        convert("fcvt.h.d", H, D).of(ZFHMIN);
        arith("fmv.x.w", 0x1c, S, 0, 0, Form::FToX, FMoveX);
        arith("fmv.x.d", 0x1c, D, 0, 0, Form::FToX, FMoveX);
        arith("fmv.x.h", 0x1c, H, 0, 0, Form::FToX, FMoveX).of(ZFHMIN);
        arith("fmv.w.x", 0x1e, S, 0, 0, Form::XToF, FMoveF);
        arith("fmv.d.x", 0x1e, D, 0, 0, Form::XToF, FMoveF);
        arith("fmv.h.x", 0x1e, H, 0, 0, Form::XToF, FMoveF).of(ZFHMIN);
        // The only rounding mode it has is towards zero (1).
        arith("fcvtmod.w.d", 0x18, D, 8, 1, Form::FToXRm, FCvtMod).of(ZFA);
    }
};
