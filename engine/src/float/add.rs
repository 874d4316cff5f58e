//! Addition and subtraction (IEEE 754-2019 section 5.4.1).

use super::parts::{Class, Parts, shift_right_sticky};
use super::round::round_pack;
use super::{Env, Format, Round, nan};

/// `a + b`.
pub fn add<F: Format>(a: u64, b: u64, env: &mut Env) -> u64 {
    sum::<F>(a, b, false, env)
}

/// `a - b`.
pub fn sub<F: Format>(a: u64, b: u64, env: &mut Env) -> u64 {
    sum::<F>(a, b, true, env)
}

/// The sign of `b` is flipped after the NaNs are dealt with, because a NaN that is propagated keeps its own.
fn sum<F: Format>(a: u64, b: u64, negate: bool, env: &mut Env) -> u64 {
    let x = Parts::of::<F>(a);
    let mut y = Parts::of::<F>(b);
    if x.class == Class::Nan || y.class == Class::Nan {
        return nan::propagate::<F>(env, &[a, b]);
    }
    y.negative ^= negate;
    match (x.class, y.class) {
        (Class::Infinity, Class::Infinity) if x.negative != y.negative => nan::invalid::<F>(env),
        (Class::Infinity, _) => F::signed(x.negative, F::INFINITY),
        (_, Class::Infinity) => F::signed(y.negative, F::INFINITY),
        (Class::Zero, Class::Zero) if x.negative == y.negative => F::signed(x.negative, 0),
        (Class::Zero, Class::Zero) => exact_zero::<F>(env),
        (_, Class::Zero) => F::signed(x.negative, a & F::MAGNITUDE),
        (Class::Zero, _) => F::signed(y.negative, b & F::MAGNITUDE),
        _ => finite_sum::<F>(env, x, y),
    }
}

/// The sum of numbers that cancel is +0, or -0 when rounding down (IEEE 754-2019 section 6.3).
pub(super) fn exact_zero<F: Format>(env: &Env) -> u64 {
    F::signed(env.round == Round::Down, 0)
}

fn finite_sum<F: Format>(env: &mut Env, x: Parts, y: Parts) -> u64 {
    let (big, small) = if (x.exp, x.sig) >= (y.exp, y.sig) { (x, y) } else { (y, x) };
    // One bit of head room for the carry. The ten bits left below the 53 significant ones make sticky
    // alignment safe: where bits fall off, the exponents differ by more than ten and the difference loses one
    // leading bit at most.
    let high = big.sig >> 1;
    let low = shift_right_sticky(small.sig >> 1, big.exp.abs_diff(small.exp));
    let sum = if big.negative == small.negative { high + low } else { high - low };
    if sum == 0 {
        return exact_zero::<F>(env);
    }
    let zeros = sum.leading_zeros();
    round_pack::<F>(env, big.negative, big.exp + 1 - zeros as i32, sum << zeros)
}
