//! Division (IEEE 754-2019 sections 5.4.1 and 7.3).

use super::parts::{Class, Parts};
use super::round::round_pack;
use super::{Env, Format, flag, nan};

/// `a / b`.
pub fn div<F: Format>(a: u64, b: u64, env: &mut Env) -> u64 {
    let x = Parts::of::<F>(a);
    let y = Parts::of::<F>(b);
    let negative = x.negative != y.negative;
    match (x.class, y.class) {
        (Class::Finite, Class::Finite) => finite_quotient::<F>(env, negative, x, y),
        (Class::Nan, _) | (_, Class::Nan) => nan::propagate::<F>(env, &[a, b]),
        (Class::Infinity, Class::Infinity) | (Class::Zero, Class::Zero) => nan::invalid::<F>(env),
        (Class::Infinity, _) => F::signed(negative, F::INFINITY),
        (Class::Zero, _) | (_, Class::Infinity) => F::signed(negative, 0),
        (Class::Finite, Class::Zero) => {
            env.raise(flag::DZ);
            F::signed(negative, F::INFINITY)
        }
    }
}

fn finite_quotient<F: Format>(env: &mut Env, negative: bool, x: Parts, y: Parts) -> u64 {
    // Significands are in [2^63, 2^64), so this quotient is in (2^62, 2^64) and has at least nine bits more
    // than any format keeps: a remainder is below them, a sticky bit.
    let dividend = u128::from(x.sig) << 63;
    let divisor = u128::from(y.sig);
    let quotient = (dividend / divisor) as u64;
    let remainder = dividend - u128::from(quotient) * divisor;
    let zeros = quotient.leading_zeros();
    let sig = (quotient << zeros) | u64::from(remainder != 0);
    round_pack::<F>(env, negative, x.exp - y.exp - zeros as i32, sig)
}
