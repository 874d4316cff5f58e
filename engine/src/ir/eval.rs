//! What every pure integer op computes.
//!
//! The problem: the interpreter, constant folding and the tests of both compilers must agree on the result of an op,
//! to the bit and for every edge value. So the arithmetic is written once, here. Ops that are one Rust operator
//! stand in [`pure`] and [`taken`]; the others have a function of their own, named after the op in snake case.
//!
//! Names ending in `_w` take the low 32 bits of their operands and sign-extend a 32-bit result.

use super::op::Opcode;

/// Sign-extends the low 32 bits.
#[inline(always)]
pub const fn sext_w(x: u64) -> u64 {
    x as i32 as u64
}

/// Rotates left, by `n` modulo 64.
#[inline(always)]
pub const fn rol(x: u64, n: u64) -> u64 {
    x.rotate_left(n as u32 & 63)
}

/// Rotates right, by `n` modulo 64.
#[inline(always)]
pub const fn ror(x: u64, n: u64) -> u64 {
    x.rotate_right(n as u32 & 63)
}

/// Shifts 32 bits left, by `n` modulo 32.
#[inline(always)]
pub const fn sll_w(x: u64, n: u64) -> u64 {
    sext_w((x as u32).wrapping_shl(n as u32) as u64)
}

/// Shifts 32 bits right, zeros in, by `n` modulo 32.
#[inline(always)]
pub const fn srl_w(x: u64, n: u64) -> u64 {
    sext_w((x as u32).wrapping_shr(n as u32) as u64)
}

/// Shifts 32 bits right, sign in, by `n` modulo 32.
#[inline(always)]
pub const fn sra_w(x: u64, n: u64) -> u64 {
    (x as i32).wrapping_shr(n as u32) as u64
}

/// Rotates 32 bits left, by `n` modulo 32.
#[inline(always)]
pub const fn rol_w(x: u64, n: u64) -> u64 {
    sext_w((x as u32).rotate_left(n as u32 & 31) as u64)
}

/// Rotates 32 bits right, by `n` modulo 32.
#[inline(always)]
pub const fn ror_w(x: u64, n: u64) -> u64 {
    sext_w((x as u32).rotate_right(n as u32 & 31) as u64)
}

/// High half of the signed product.
#[inline(always)]
pub const fn mul_h(a: u64, b: u64) -> u64 {
    ((a as i64 as i128 * b as i64 as i128) >> 64) as u64
}

/// High half of the unsigned product.
#[inline(always)]
pub const fn mul_hu(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 64) as u64
}

/// High half of the product of signed `a` and unsigned `b`.
#[inline(always)]
pub const fn mul_hsu(a: u64, b: u64) -> u64 {
    ((a as i64 as i128).wrapping_mul(b as i128) >> 64) as u64
}

/// 32-bit product.
#[inline(always)]
pub const fn mul_w(a: u64, b: u64) -> u64 {
    sext_w(a.wrapping_mul(b))
}

/// Signed quotient; all ones for a zero divisor, the dividend on overflow.
#[inline(always)]
pub const fn div(a: u64, b: u64) -> u64 {
    if b == 0 { u64::MAX } else { (a as i64).wrapping_div(b as i64) as u64 }
}

/// Unsigned quotient; all ones for a zero divisor.
#[inline(always)]
pub const fn divu(a: u64, b: u64) -> u64 {
    match a.checked_div(b) {
        Some(quotient) => quotient,
        None => u64::MAX,
    }
}

/// Signed remainder; the dividend for a zero divisor, zero on overflow.
#[inline(always)]
pub const fn rem(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { (a as i64).wrapping_rem(b as i64) as u64 }
}

/// Unsigned remainder; the dividend for a zero divisor.
#[inline(always)]
pub const fn remu(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { a % b }
}

/// 32-bit [`div`].
#[inline(always)]
pub const fn div_w(a: u64, b: u64) -> u64 {
    if b as i32 == 0 { u64::MAX } else { (a as i32).wrapping_div(b as i32) as u64 }
}

/// 32-bit [`divu`].
#[inline(always)]
pub const fn divu_w(a: u64, b: u64) -> u64 {
    match (a as u32).checked_div(b as u32) {
        Some(quotient) => sext_w(quotient as u64),
        None => u64::MAX,
    }
}

/// 32-bit [`rem`].
#[inline(always)]
pub const fn rem_w(a: u64, b: u64) -> u64 {
    if b as i32 == 0 { sext_w(a) } else { (a as i32).wrapping_rem(b as i32) as u64 }
}

/// 32-bit [`remu`].
#[inline(always)]
pub const fn remu_w(a: u64, b: u64) -> u64 {
    if b as u32 == 0 { sext_w(a) } else { sext_w((a as u32 % b as u32) as u64) }
}

/// `(a << n) + b`
#[inline(always)]
pub const fn sh_add(a: u64, b: u64, n: u32) -> u64 {
    (a << (n & 63)).wrapping_add(b)
}

/// `(zext32(a) << n) + b`
#[inline(always)]
pub const fn sh_add_uw(a: u64, b: u64, n: u32) -> u64 {
    sh_add(a as u32 as u64, b, n)
}

/// The whole carry-less product.
#[inline]
const fn clmul_wide(a: u64, b: u64) -> u128 {
    let wide = a as u128;
    let mut rest = b;
    let mut sum = 0;
    while rest != 0 {
        sum ^= wide << rest.trailing_zeros();
        rest &= rest - 1;
    }
    sum
}

/// Low half of the carry-less product.
#[inline]
pub const fn clmul(a: u64, b: u64) -> u64 {
    clmul_wide(a, b) as u64
}

/// High half of the carry-less product.
#[inline]
pub const fn clmul_h(a: u64, b: u64) -> u64 {
    (clmul_wide(a, b) >> 64) as u64
}

/// Bits 63 to 126 of the carry-less product, which is the product of the bit-reversed operands, reversed.
#[inline]
pub const fn clmul_r(a: u64, b: u64) -> u64 {
    (clmul_wide(a, b) >> 63) as u64
}

/// Clears bit `n` modulo 64.
#[inline(always)]
pub const fn bit_clear(x: u64, n: u64) -> u64 {
    x & !(1 << (n & 63))
}

/// Bit `n` modulo 64, as 0 or 1.
#[inline(always)]
pub const fn bit_extract(x: u64, n: u64) -> u64 {
    x >> (n & 63) & 1
}

/// Inverts bit `n` modulo 64.
#[inline(always)]
pub const fn bit_invert(x: u64, n: u64) -> u64 {
    x ^ 1 << (n & 63)
}

/// Sets bit `n` modulo 64.
#[inline(always)]
pub const fn bit_set(x: u64, n: u64) -> u64 {
    x | 1 << (n & 63)
}

/// `cond == 0 ? 0 : x`
#[inline(always)]
pub const fn zero_if_zero(x: u64, cond: u64) -> u64 {
    if cond == 0 { 0 } else { x }
}

/// `cond != 0 ? 0 : x`
#[inline(always)]
pub const fn zero_if_not(x: u64, cond: u64) -> u64 {
    if cond != 0 { 0 } else { x }
}

/// `cond != 0 ? yes : no`
#[inline(always)]
pub const fn select(yes: u64, no: u64, cond: u64) -> u64 {
    if cond != 0 { yes } else { no }
}

/// Carry out of the 64-bit sum `a + b + carry`; `carry` is 0 or 1.
#[inline(always)]
pub const fn carry_add(a: u64, b: u64, carry: u64) -> u64 {
    ((a as u128 + b as u128 + carry as u128) >> 64) as u64
}

/// Carry out of the 32-bit sum `a + b + carry`; `carry` is 0 or 1.
#[inline(always)]
pub const fn carry_add_w(a: u64, b: u64, carry: u64) -> u64 {
    (a as u32 as u64).wrapping_add(b as u32 as u64).wrapping_add(carry) >> 32
}

/// Signed overflow of the 64-bit sum `a + b + carry`; `carry` is 0 or 1.
#[inline(always)]
pub const fn overflow_add(a: u64, b: u64, carry: u64) -> u64 {
    let sum = a.wrapping_add(b).wrapping_add(carry);
    ((a ^ sum) & (b ^ sum)) >> 63
}

/// Signed overflow of the 32-bit sum `a + b + carry`; `carry` is 0 or 1.
#[inline(always)]
pub const fn overflow_add_w(a: u64, b: u64, carry: u64) -> u64 {
    let sum = a.wrapping_add(b).wrapping_add(carry);
    ((a ^ sum) & (b ^ sum)) >> 31 & 1
}

/// Signed overflow of the 64-bit difference `a - b - borrow`; `borrow` is 0 or 1.
#[inline(always)]
pub const fn overflow_sub(a: u64, b: u64, borrow: u64) -> u64 {
    let difference = a.wrapping_sub(b).wrapping_sub(borrow);
    ((a ^ b) & (a ^ difference)) >> 63
}

/// Signed overflow of the 32-bit difference `a - b - borrow`; `borrow` is 0 or 1.
#[inline(always)]
pub const fn overflow_sub_w(a: u64, b: u64, borrow: u64) -> u64 {
    let difference = a.wrapping_sub(b).wrapping_sub(borrow);
    ((a ^ b) & (a ^ difference)) >> 31 & 1
}

/// Leading zeros; 64 for zero.
#[inline(always)]
pub const fn clz(x: u64) -> u64 {
    x.leading_zeros() as u64
}

/// Trailing zeros; 64 for zero.
#[inline(always)]
pub const fn ctz(x: u64) -> u64 {
    x.trailing_zeros() as u64
}

/// Bits that are set.
#[inline(always)]
pub const fn cpop(x: u64) -> u64 {
    x.count_ones() as u64
}

/// Leading zeros of the low word; 32 for zero.
#[inline(always)]
pub const fn clz_w(x: u64) -> u64 {
    (x as u32).leading_zeros() as u64
}

/// Trailing zeros of the low word; 32 for zero.
#[inline(always)]
pub const fn ctz_w(x: u64) -> u64 {
    (x as u32).trailing_zeros() as u64
}

/// Bits of the low word that are set.
#[inline(always)]
pub const fn cpop_w(x: u64) -> u64 {
    (x as u32).count_ones() as u64
}

/// Reverses the bytes.
#[inline(always)]
pub const fn rev8(x: u64) -> u64 {
    x.swap_bytes()
}

/// Each byte that is not zero becomes all ones.
#[inline(always)]
pub const fn orc_b(x: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // Bit 7 of each byte: set by the carry out of its low bits, or set already.
    let any = (((x & LOW) + LOW) | x) & !LOW;
    (any >> 7) * 0xff
}

/// The result of a pure integer op from the values of its operands, `None` for every other op.
///
/// `b`, `c` and `d` are the values of the registers of those names, `pc` the address of the block. Fields that the op
/// does not use are ignored. With a constant `code` this is the op alone.
#[inline(always)]
pub const fn pure(code: Opcode, b: u64, c: u64, imm: i64, pc: u64, d: u64) -> Option<u64> {
    use Opcode::*;
    let i = imm as u64;
    Some(match code {
        Mov => b,
        Li => i,
        AddPc => pc.wrapping_add(i),
        Add => b.wrapping_add(c),
        Sub => b.wrapping_sub(c),
        And => b & c,
        Or => b | c,
        Xor => b ^ c,
        AndNot => b & !c,
        OrNot => b | !c,
        XorNot => !(b ^ c),
        Sll => b << (c & 63),
        Srl => b >> (c & 63),
        Sra => ((b as i64) >> (c & 63)) as u64,
        Rol => rol(b, c),
        Ror => ror(b, c),
        Slt => ((b as i64) < c as i64) as u64,
        Sltu => (b < c) as u64,
        Seq => (b == c) as u64,
        Min => select(b, c, ((b as i64) < c as i64) as u64),
        Minu => select(b, c, (b < c) as u64),
        Max => select(c, b, ((b as i64) < c as i64) as u64),
        Maxu => select(c, b, (b < c) as u64),
        AddW => sext_w(b.wrapping_add(c)),
        SubW => sext_w(b.wrapping_sub(c)),
        SllW => sll_w(b, c),
        SrlW => srl_w(b, c),
        SraW => sra_w(b, c),
        RolW => rol_w(b, c),
        RorW => ror_w(b, c),
        Mul => b.wrapping_mul(c),
        MulH => mul_h(b, c),
        MulHu => mul_hu(b, c),
        MulHsu => mul_hsu(b, c),
        MulW => mul_w(b, c),
        Div => div(b, c),
        Divu => divu(b, c),
        Rem => rem(b, c),
        Remu => remu(b, c),
        DivW => div_w(b, c),
        DivuW => divu_w(b, c),
        RemW => rem_w(b, c),
        RemuW => remu_w(b, c),
        Sh1Add => sh_add(b, c, 1),
        Sh2Add => sh_add(b, c, 2),
        Sh3Add => sh_add(b, c, 3),
        AddUw => sh_add_uw(b, c, 0),
        Sh1AddUw => sh_add_uw(b, c, 1),
        Sh2AddUw => sh_add_uw(b, c, 2),
        Sh3AddUw => sh_add_uw(b, c, 3),
        Clmul => clmul(b, c),
        ClmulH => clmul_h(b, c),
        ClmulR => clmul_r(b, c),
        BitClear => bit_clear(b, c),
        BitExtract => bit_extract(b, c),
        BitInvert => bit_invert(b, c),
        BitSet => bit_set(b, c),
        ZeroIfZero => zero_if_zero(b, c),
        ZeroIfNot => zero_if_not(b, c),
        Select => select(b, c, d),
        CarryAdd => carry_add(b, c, d),
        CarryAddW => carry_add_w(b, c, d),
        OverflowAdd => overflow_add(b, c, d),
        OverflowAddW => overflow_add_w(b, c, d),
        OverflowSub => overflow_sub(b, c, d),
        OverflowSubW => overflow_sub_w(b, c, d),
        AddI => b.wrapping_add(i),
        AndI => b & i,
        OrI => b | i,
        XorI => b ^ i,
        SllI => b << (i & 63),
        SrlI => b >> (i & 63),
        SraI => ((b as i64) >> (i & 63)) as u64,
        RorI => ror(b, i),
        SltI => ((b as i64) < imm) as u64,
        SltuI => (b < i) as u64,
        SeqI => (b == i) as u64,
        AddIW => sext_w(b.wrapping_add(i)),
        SllIW => sll_w(b, i),
        SrlIW => srl_w(b, i),
        SraIW => sra_w(b, i),
        RorIW => ror_w(b, i),
        SllIUw => (b as u32 as u64) << (i & 63),
        BitClearI => bit_clear(b, i),
        BitExtractI => bit_extract(b, i),
        BitInvertI => bit_invert(b, i),
        BitSetI => bit_set(b, i),
        Clz => clz(b),
        Ctz => ctz(b),
        Cpop => cpop(b),
        ClzW => clz_w(b),
        CtzW => ctz_w(b),
        CpopW => cpop_w(b),
        SextB => b as i8 as u64,
        SextH => b as i16 as u64,
        SextW => sext_w(b),
        ZextB => b as u8 as u64,
        ZextH => b as u16 as u64,
        ZextW => b as u32 as u64,
        Rev8 => rev8(b),
        OrcB => orc_b(b),
        _ => return None,
    })
}

/// Whether a compare-and-branch op takes exit 1, `None` for every other op.
#[inline(always)]
pub const fn taken(code: Opcode, b: u64, c: u64) -> Option<bool> {
    Some(match code {
        Opcode::BrEq => b == c,
        Opcode::BrNe => b != c,
        Opcode::BrLt => (b as i64) < c as i64,
        Opcode::BrGe => b as i64 >= c as i64,
        Opcode::BrLtu => b < c,
        Opcode::BrGeu => b >= c,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
