//! Comparison and classification (IEEE 754-2019 sections 5.6.1, 5.7.2 and 5.11).
//!
//! There is no host path: on the bits a comparison costs a few integer instructions, as much as the check
//! that a host comparison would raise nothing.

use std::cmp::Ordering;

use super::{Env, Format, flag};

/// The order of two operands, `None` if one is a NaN. Invalid for signalling NaNs only.
#[inline]
pub fn compare_quiet<F: Format>(a: u64, b: u64, env: &mut Env) -> Option<Ordering> {
    let order = order::<F>(a, b);
    if order.is_none() && (F::is_signalling(a) || F::is_signalling(b)) {
        env.raise(flag::NV);
    }
    order
}

/// The order of two operands, `None` if one is a NaN. Invalid for every NaN.
#[inline]
pub fn compare_signalling<F: Format>(a: u64, b: u64, env: &mut Env) -> Option<Ordering> {
    let order = order::<F>(a, b);
    if order.is_none() {
        env.raise(flag::NV);
    }
    order
}

/// `a == b`, quiet (`feq`).
#[inline]
pub fn eq<F: Format>(a: u64, b: u64, env: &mut Env) -> bool {
    compare_quiet::<F>(a, b, env) == Some(Ordering::Equal)
}

/// `a == b`, signalling.
#[inline]
pub fn eq_signalling<F: Format>(a: u64, b: u64, env: &mut Env) -> bool {
    compare_signalling::<F>(a, b, env) == Some(Ordering::Equal)
}

/// `a < b`, signalling (`flt`).
#[inline]
pub fn lt<F: Format>(a: u64, b: u64, env: &mut Env) -> bool {
    compare_signalling::<F>(a, b, env) == Some(Ordering::Less)
}

/// `a <= b`, signalling (`fle`).
#[inline]
pub fn le<F: Format>(a: u64, b: u64, env: &mut Env) -> bool {
    compare_signalling::<F>(a, b, env).is_some_and(Ordering::is_le)
}

/// `a < b`, quiet (`fltq`, Zfa).
#[inline]
pub fn lt_quiet<F: Format>(a: u64, b: u64, env: &mut Env) -> bool {
    compare_quiet::<F>(a, b, env) == Some(Ordering::Less)
}

/// `a <= b`, quiet (`fleq`, Zfa).
#[inline]
pub fn le_quiet<F: Format>(a: u64, b: u64, env: &mut Env) -> bool {
    compare_quiet::<F>(a, b, env).is_some_and(Ordering::is_le)
}

/// The class of a number as RISC-V's `fclass` has it, one bit of ten: 0 negative infinity, 1 negative normal,
/// 2 negative subnormal, 3 -0, 4 +0, 5 positive subnormal, 6 positive normal, 7 positive infinity, 8
/// signalling NaN, 9 quiet NaN.
#[must_use]
pub fn classify<F: Format>(a: u64) -> u64 {
    let magnitude = a & F::MAGNITUDE;
    if magnitude > F::INFINITY {
        return if F::is_signalling(a) { 1 << 8 } else { 1 << 9 };
    }
    let rank = match magnitude {
        0 => 0,
        _ if magnitude < F::MIN_NORMAL => 1,
        _ if magnitude < F::INFINITY => 2,
        _ => 3,
    };
    if F::is_negative(a) { 1 << (3 - rank) } else { 1 << (4 + rank) }
}

#[inline]
fn order<F: Format>(a: u64, b: u64) -> Option<Ordering> {
    if F::is_nan(a) || F::is_nan(b) { None } else { Some(number_key::<F>(a).cmp(&number_key::<F>(b))) }
}

/// An integer that sorts as the numbers do, the two zeros alike.
#[inline]
fn number_key<F: Format>(bits: u64) -> i64 {
    // A magnitude has at most 63 bits.
    let magnitude = (bits & F::MAGNITUDE) as i64;
    if F::is_negative(bits) { -magnitude } else { magnitude }
}
