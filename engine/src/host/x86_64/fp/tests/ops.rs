//! Op by op.

use super::*;
use crate::ir::op::{Fmt, FpFlags, Opcode};
use crate::jit::testing::operands::{INTEGERS, Random, floats, floats_and_limits};

/// Words of the operands and of the result.
const A: u8 = 40;
const B: u8 = 41;
const C: u8 = 42;
const D: u8 = 43;

const MODES: [u8; 4] = [0, 1, 2, 3];
const ROUNDINGS: [u8; 6] = [0, 1, 2, 3, 4, 7];

fn host() -> Features {
    Features::default()
}

fn op(code: Opcode, fmt: Fmt, rm: u8) -> Op {
    Op { code, a: A, b: B, c: C, aux: FpFlags::boxed(fmt, rm).d(D).0, imm: 0 }
}

fn file(operands: [u64; 3]) -> [u64; 256] {
    let mut regs = [0x5555_aaaa_1234_5678; 256];
    regs[B as usize..=D as usize].copy_from_slice(&operands);
    regs
}

/// Checks `op` in all rounding modes of the host on these operands.
fn check_all(op: Op, operands: &[[u64; 3]]) {
    let code = code(&op, host()).unwrap_or_else(|| panic!("{op:?} is not handled"));
    let mut rig = Rig::new();
    for rm in MODES {
        operands.iter().for_each(|o| check(&mut rig, &code, &[op], rm, &file(*o)));
    }
}

fn unary(fmt: Fmt) -> Vec<[u64; 3]> {
    let mut random = Random::new(1);
    let words = floats_and_limits(fmt).into_iter().chain((0..600).map(|_| random.float(fmt)));
    words.map(|w| [w, 0, 0]).collect()
}

fn binary(fmt: Fmt) -> Vec<[u64; 3]> {
    let (edges, mut random) = (floats(fmt), Random::new(2));
    let mut all: Vec<_> = edges.iter().flat_map(|&b| edges.iter().map(move |&c| [b, c, 0])).collect();
    all.extend((0..2000).map(|_| [random.float(fmt), random.float(fmt), 0]));
    all
}

fn ternary(fmt: Fmt) -> Vec<[u64; 3]> {
    let (edges, mut random) = (floats(fmt), Random::new(3));
    let few: Vec<u64> = edges.iter().copied().filter(|_| random.below(2) == 0).collect();
    let pairs = || few.iter().flat_map(|&b| few.iter().map(move |&c| (b, c)));
    let mut all: Vec<_> = pairs().flat_map(|(b, c)| few.iter().map(move |&d| [b, c, d])).collect();
    all.extend((0..3000).map(|_| [random.float(fmt), random.float(fmt), random.float(fmt)]));
    all
}

fn integers() -> Vec<[u64; 3]> {
    let mut random = Random::new(4);
    let words = INTEGERS.into_iter().chain((0..1000).map(|_| random.integer()));
    words.map(|w| [w, 0, 0]).collect()
}

#[test]
fn arithmetic() {
    for fmt in [Fmt::S, Fmt::D] {
        for code in [Opcode::FAdd, Opcode::FSub, Opcode::FMul, Opcode::FDiv] {
            check_all(op(code, fmt, 7), &binary(fmt));
        }
        check_all(op(Opcode::FSqrt, fmt, 7), &unary(fmt));
    }
}

#[test]
fn fused() {
    for fmt in [Fmt::S, Fmt::D] {
        for code in [Opcode::FMadd, Opcode::FMsub, Opcode::FNmsub, Opcode::FNmadd] {
            if host().fma {
                check_all(op(code, fmt, 7), &ternary(fmt));
            }
        }
    }
}

#[test]
fn minimum_maximum_and_comparison() {
    use Opcode::*;
    for fmt in [Fmt::S, Fmt::D] {
        for code in [FMin, FMax, FMinM, FMaxM, FEq, FLt, FLe, FLtq, FLeq] {
            check_all(op(code, fmt, 0), &binary(fmt));
        }
        check_all(op(FClass, fmt, 0), &unary(fmt));
    }
}

#[test]
fn signs() {
    for fmt in [Fmt::S, Fmt::D] {
        for code in [Opcode::FSgnj, Opcode::FSgnjn, Opcode::FSgnjx] {
            check_all(op(code, fmt, 0), &binary(fmt));
            check_all(Op { c: B, ..op(code, fmt, 0) }, &unary(fmt));
        }
    }
}

#[test]
fn moves() {
    for fmt in [Fmt::S, Fmt::D, Fmt::H] {
        check_all(op(Opcode::FMoveX, fmt, 0), &unary(fmt));
        check_all(op(Opcode::FMoveF, fmt, 0), &integers());
    }
}

#[test]
fn to_integers() {
    for fmt in [Fmt::S, Fmt::D] {
        for code in [Opcode::FToI32, Opcode::FToU32, Opcode::FToI64, Opcode::FToU64] {
            for rm in ROUNDINGS {
                let op = op(code, fmt, rm);
                let signed = matches!(code, Opcode::FToI32 | Opcode::FToI64);
                if host().sse41 || signed && matches!(rm, 1 | 7) {
                    check_all(op, &unary(fmt));
                }
            }
        }
    }
}

#[test]
fn from_integers() {
    use Opcode::*;
    for fmt in [Fmt::S, Fmt::D] {
        for code in [FFromI32, FFromU32, FFromI64, FFromU64] {
            check_all(op(code, fmt, 7), &integers());
        }
    }
    for rm in ROUNDINGS {
        check_all(op(FFromI32, Fmt::D, rm), &integers());
        check_all(op(FFromU32, Fmt::D, rm), &integers());
    }
}

#[test]
fn between_formats() {
    let cvt = |to, from, rm| {
        let op = op(Opcode::FCvt, to, rm);
        Op { aux: FpFlags(op.aux).from(from).0, ..op }
    };
    for rm in ROUNDINGS {
        check_all(cvt(Fmt::D, Fmt::S, rm), &unary(Fmt::S));
    }
    check_all(cvt(Fmt::S, Fmt::D, 7), &unary(Fmt::D));
    let halves: Vec<_> = unary(Fmt::D).into_iter().chain(unary(Fmt::S)).collect();
    assert!(code(&cvt(Fmt::S, Fmt::H, 7), host()).is_none());
    check_all(cvt(Fmt::S, Fmt::D, 7), &halves);
}

#[test]
fn to_integral_numbers() {
    for fmt in [Fmt::S, Fmt::D] {
        for code in [Opcode::FRound, Opcode::FRoundNx] {
            for rm in [0, 1, 2, 3, 7] {
                if host().sse41 {
                    check_all(op(code, fmt, rm), &unary(fmt));
                }
            }
        }
    }
}

/// What the host cannot do exactly is refused, also when its CPU has less than ours.
#[test]
fn refusals() {
    let none = Features::NONE;
    for fmt in [Fmt::S, Fmt::D] {
        for rm in [0, 1, 2, 3, 4] {
            for code in [Opcode::FAdd, Opcode::FSqrt, Opcode::FMadd, Opcode::FFromI64] {
                assert!(super::code(&op(code, fmt, rm), host()).is_none(), "{code:?} {rm}");
            }
        }
        assert!(code(&op(Opcode::FMadd, fmt, 7), none).is_none());
        assert!(code(&op(Opcode::FRound, fmt, 7), none).is_none());
        assert!(code(&op(Opcode::FToU64, fmt, 7), none).is_none());
        assert!(code(&op(Opcode::FToI64, fmt, 2), none).is_none());
    }
    assert!(code(&op(Opcode::FAdd, Fmt::H, 7), host()).is_none());
    let unboxed = FpFlags(FpFlags::boxed(Fmt::S, 7).0 & !(1 << 15));
    assert!(code(&Op { aux: unboxed.0, ..op(Opcode::FAdd, Fmt::S, 7) }, host()).is_none());
}
