//! The arithmetic against a second formulation, in 128-bit integers or bit by bit, over all pairs of edge values.

use super::*;
use Opcode::*;

/// Values at which integer arithmetic changes its mind.
const EDGES: &[u64] = &[
    0,
    1,
    2,
    3,
    7,
    31,
    32,
    33,
    63,
    64,
    65,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0001,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_8000_0000,
    0x0123_4567_89ab_cdef,
    0x0100_0080_ff00_7f01,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0x8000_0000_0000_0001,
    0xffff_ffff_0000_0000,
    0xffff_ffff_7fff_ffff,
    0xffff_ffff_8000_0000,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
];

fn value(code: Opcode, b: u64, c: u64) -> u64 {
    pure(code, b, c, c as i64, 0x1000, 0).unwrap()
}

fn s(x: u64) -> i128 {
    x as i64 as i128
}

fn s32(x: u64) -> i128 {
    x as i32 as i128
}

fn check(code: Opcode, expect: impl Fn(u64, u64) -> u64) {
    for &b in EDGES {
        for &c in EDGES {
            assert_eq!(value(code, b, c), expect(b, c), "{} {b:#x} {c:#x}", code.text());
        }
    }
}

/// The low 64 bits of a wide value.
fn low(x: i128) -> u64 {
    x as u64
}

/// The low 32 bits of a wide value, sign-extended.
fn low_w(x: i128) -> u64 {
    (x as u64 as u32 as u64 ^ 0x8000_0000).wrapping_sub(0x8000_0000)
}

fn bit(x: u128, n: u32) -> bool {
    x >> n & 1 == 1
}

/// A word put together bit by bit.
fn bits(width: u32, f: impl Fn(u32) -> bool) -> u64 {
    (0..width).fold(0, |x, n| x | (f(n) as u64) << n)
}

/// A 32-bit word put together bit by bit, sign-extended.
fn bits_w(f: impl Fn(u32) -> bool) -> u64 {
    low_w(bits(32, f) as i128)
}

#[test]
fn sums() {
    check(Add, |b, c| low(s(b) + s(c)));
    check(AddI, |b, c| low(s(b) + s(c)));
    check(Sub, |b, c| low(s(b) - s(c)));
    check(AddW, |b, c| low_w(s(b) + s(c)));
    check(AddIW, |b, c| low_w(s(b) + s(c)));
    check(SubW, |b, c| low_w(s(b) - s(c)));
    check(Sh1Add, |b, c| low(s(b) * 2 + s(c)));
    check(Sh2Add, |b, c| low(s(b) * 4 + s(c)));
    check(Sh3Add, |b, c| low(s(b) * 8 + s(c)));
    check(AddUw, |b, c| low((b & 0xffff_ffff) as i128 + s(c)));
    check(Sh1AddUw, |b, c| low((b & 0xffff_ffff) as i128 * 2 + s(c)));
    check(Sh2AddUw, |b, c| low((b & 0xffff_ffff) as i128 * 4 + s(c)));
    check(Sh3AddUw, |b, c| low((b & 0xffff_ffff) as i128 * 8 + s(c)));
    check(AddPc, |_, c| low(0x1000 + s(c)));
}

#[test]
fn products() {
    check(Mul, |b, c| (b as u128).wrapping_mul(c as u128) as u64);
    check(MulW, |b, c| low_w(s32(b) * s32(c)));
    check(MulH, |b, c| ((s(b) * s(c)) >> 64) as u64);
    check(MulHu, |b, c| ((b as u128 * c as u128) >> 64) as u64);
    // The signed factor split into sign and magnitude, so that the product is an unsigned one.
    check(MulHsu, |b, c| {
        let magnitude = s(b).unsigned_abs() * c as u128;
        let product = if (b as i64) < 0 { magnitude.wrapping_neg() } else { magnitude };
        (product >> 64) as u64
    });
}

#[test]
fn quotients() {
    let quotient = |b: i128, c: i128| if c == 0 { -1 } else { b / c };
    let remainder = |b: i128, c: i128| if c == 0 { b } else { b % c };
    let u = |x: u64| x as i128;
    let u32 = |x: u64| x as u32 as i128;
    check(Div, |b, c| low(quotient(s(b), s(c))));
    check(Rem, |b, c| low(remainder(s(b), s(c))));
    check(Divu, |b, c| low(quotient(u(b), u(c))));
    check(Remu, |b, c| low(remainder(u(b), u(c))));
    check(DivW, |b, c| low_w(quotient(s32(b), s32(c))));
    check(RemW, |b, c| low_w(remainder(s32(b), s32(c))));
    check(DivuW, |b, c| low_w(quotient(u32(b), u32(c))));
    check(RemuW, |b, c| low_w(remainder(u32(b), u32(c))));
    // The table of RISC-V's M extension.
    let min = i64::MIN as u64;
    assert_eq!([div(min, u64::MAX), rem(min, u64::MAX)], [min, 0]);
    assert_eq!([div(5, 0), divu(5, 0), rem(5, 0), remu(5, 0)], [u64::MAX, u64::MAX, 5, 5]);
    assert_eq!([div_w(0x8000_0000, u64::MAX), rem_w(0x8000_0000, u64::MAX)], [sext_w(0x8000_0000), 0]);
    assert_eq!([divu_w(5, 1 << 32), remu_w(0x8000_0000, 0)], [u64::MAX, sext_w(0x8000_0000)]);
}

#[test]
fn logic() {
    let each = |code, f: fn(bool, bool) -> bool| {
        check(code, |b, c| bits(64, |n| f(bit(b.into(), n), bit(c.into(), n))))
    };
    each(And, |b, c| b && c);
    each(AndI, |b, c| b && c);
    each(Or, |b, c| b || c);
    each(OrI, |b, c| b || c);
    each(Xor, |b, c| b != c);
    each(XorI, |b, c| b != c);
    each(AndNot, |b, c| b && !c);
    each(OrNot, |b, c| b || !c);
    each(XorNot, |b, c| b == c);
    each(Mov, |b, _| b);
    each(Li, |_, c| c);
}

#[test]
fn shifts() {
    let n64 = |c: u64| (c % 64) as u32;
    let n32 = |c: u64| (c % 32) as u32;
    for code in [Sll, SllI] {
        check(code, |b, c| bits(64, |n| n >= n64(c) && bit(b.into(), n - n64(c))));
    }
    for code in [Srl, SrlI] {
        check(code, |b, c| bits(64, |n| n + n64(c) < 64 && bit(b.into(), n + n64(c))));
    }
    for code in [Sra, SraI] {
        check(code, |b, c| bits(64, |n| bit(b.into(), (n + n64(c)).min(63))));
    }
    for code in [Ror, RorI] {
        check(code, |b, c| bits(64, |n| bit(b.into(), (n + n64(c)) % 64)));
    }
    check(Rol, |b, c| bits(64, |n| bit(b.into(), (n + 64 - n64(c)) % 64)));
    for code in [SllW, SllIW] {
        check(code, |b, c| bits_w(|n| n >= n32(c) && bit(b.into(), n - n32(c))));
    }
    for code in [SrlW, SrlIW] {
        check(code, |b, c| bits_w(|n| n + n32(c) < 32 && bit(b.into(), n + n32(c))));
    }
    for code in [SraW, SraIW] {
        check(code, |b, c| bits_w(|n| bit(b.into(), (n + n32(c)).min(31))));
    }
    for code in [RorW, RorIW] {
        check(code, |b, c| bits_w(|n| bit(b.into(), (n + n32(c)) % 32)));
    }
    check(RolW, |b, c| bits_w(|n| bit(b.into(), (n + 32 - n32(c)) % 32)));
    check(SllIUw, |b, c| bits(64, |n| n >= n64(c) && n - n64(c) < 32 && bit(b.into(), n - n64(c))));
}

#[test]
fn comparisons() {
    for code in [Slt, SltI] {
        check(code, |b, c| (s(b) < s(c)).into());
    }
    for code in [Sltu, SltuI] {
        check(code, |b, c| (b < c).into());
    }
    for code in [Seq, SeqI] {
        check(code, |b, c| (b ^ c == 0).into());
    }
    check(Min, |b, c| s(b).min(s(c)) as u64);
    check(Max, |b, c| s(b).max(s(c)) as u64);
    check(Minu, |b, c| b.min(c));
    check(Maxu, |b, c| b.max(c));
    for &b in EDGES {
        for &c in EDGES {
            assert_eq!(taken(BrEq, b, c), Some(b == c));
            assert_eq!(taken(BrNe, b, c), Some(b != c));
            assert_eq!(taken(BrLt, b, c), Some(s(b) < s(c)));
            assert_eq!(taken(BrGe, b, c), Some(s(b) >= s(c)));
            assert_eq!(taken(BrLtu, b, c), Some((b as u128) < c as u128));
            assert_eq!(taken(BrGeu, b, c), Some(b as u128 >= c as u128));
        }
    }
}

#[test]
fn carryless_products() {
    // Bit n of the product is the parity of the pairs of bits whose numbers sum to n.
    let product = |b: u64, c: u64, n: u32| {
        (0..=n.min(63)).filter(|&i| n - i < 64 && bit(b.into(), i) && bit(c.into(), n - i)).count() % 2 == 1
    };
    check(Clmul, |b, c| bits(64, |n| product(b, c, n)));
    check(ClmulH, |b, c| bits(64, |n| product(b, c, n + 64)));
    check(ClmulR, |b, c| clmul(b.reverse_bits(), c.reverse_bits()).reverse_bits());
}

#[test]
fn single_bits() {
    let at = |c: u64| (c % 64) as u32;
    for code in [BitClear, BitClearI] {
        check(code, |b, c| bits(64, |n| n != at(c) && bit(b.into(), n)));
    }
    for code in [BitSet, BitSetI] {
        check(code, |b, c| bits(64, |n| n == at(c) || bit(b.into(), n)));
    }
    for code in [BitInvert, BitInvertI] {
        check(code, |b, c| bits(64, |n| (n == at(c)) != bit(b.into(), n)));
    }
    for code in [BitExtract, BitExtractI] {
        check(code, |b, c| bit(b.into(), at(c)).into());
    }
}

#[test]
fn counts_and_extensions() {
    let count = |range: std::ops::Range<u32>, b: u64, set: bool| {
        range.take_while(|&n| bit(b.into(), n) == set).count() as u64
    };
    let count_down = |width: u32, b: u64| (0..width).rev().take_while(|&n| !bit(b.into(), n)).count() as u64;
    check(Clz, |b, _| count_down(64, b));
    check(ClzW, |b, _| count_down(32, b));
    check(Ctz, |b, _| count(0..64, b, false));
    check(CtzW, |b, _| count(0..32, b, false));
    check(Cpop, |b, _| (0..64).filter(|&n| bit(b.into(), n)).count() as u64);
    check(CpopW, |b, _| (0..32).filter(|&n| bit(b.into(), n)).count() as u64);
    for (code, width) in [(SextB, 8), (SextH, 16), (SextW, 32)] {
        check(code, |b, _| bits(64, |n| bit(b.into(), n.min(width - 1))));
    }
    for (code, width) in [(ZextB, 8), (ZextH, 16), (ZextW, 32)] {
        check(code, |b, _| bits(width, |n| bit(b.into(), n)));
    }
    check(Rev8, |b, _| bits(64, |n| bit(b.into(), (7 - n / 8) * 8 + n % 8)));
    check(OrcB, |b, _| bits(64, |n| (n / 8 * 8..n / 8 * 8 + 8).any(|i| bit(b.into(), i))));
}

#[test]
fn conditional() {
    check(ZeroIfZero, |b, c| if c == 0 { 0 } else { b });
    check(ZeroIfNot, |b, c| if c == 0 { b } else { 0 });
    for &d in EDGES {
        assert_eq!(pure(Select, 5, 6, 0, 0, d), Some(if d == 0 { 6 } else { 5 }));
    }
}

#[test]
fn carries() {
    for &b in EDGES {
        for &c in EDGES {
            for d in 0..2u64 {
                let of = |code| pure(code, b, c, 0, 0, d) == Some(1);
                let zero_or_one = |code| pure(code, b, c, 0, 0, d).is_some_and(|x| x < 2);
                let (e, fits) = (d as i128, |x: i128| i64::try_from(x).is_ok());
                let fits_w = |x: i128| i32::try_from(x).is_ok();
                assert_eq!(of(CarryAdd), b as i128 + c as i128 + e > u64::MAX as i128);
                assert_eq!(of(CarryAddW), b as u32 as i128 + c as u32 as i128 + e > u32::MAX as i128);
                assert_eq!(of(OverflowAdd), !fits(s(b) + s(c) + e));
                assert_eq!(of(OverflowAddW), !fits_w(s32(b) + s32(c) + e));
                assert_eq!(of(OverflowSub), !fits(s(b) - s(c) - e));
                assert_eq!(of(OverflowSubW), !fits_w(s32(b) - s32(c) - e));
                for code in [CarryAdd, CarryAddW, OverflowAdd, OverflowAddW, OverflowSub, OverflowSubW] {
                    assert!(zero_or_one(code));
                }
            }
        }
    }
}

/// Whether `pure` covers every pure op but the float moves, and nothing else.
#[test]
fn covers_the_pure_integer_ops() {
    use crate::ir::op::{Effects, Shape};
    for &code in Opcode::ALL {
        let integer = code.effects() == Effects::PURE && code.shape() != Shape::Float;
        assert_eq!(pure(code, 1, 2, 3, 4, 1).is_some(), integer, "{}", code.text());
        assert_eq!(taken(code, 1, 2).is_some(), code.shape() == Shape::Branch, "{}", code.text());
    }
}
