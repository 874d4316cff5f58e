//! Conversions between formats, and from integers to floating point (IEEE 754-2019 sections 5.4.1 and 5.4.2).

use super::parts::{Class, Parts};
use super::round::round_pack;
use super::{Env, Format, nan};

/// `a`, a number of format `F`, in format `G`.
pub fn convert<F: Format, G: Format>(a: u64, env: &mut Env) -> u64 {
    let x = Parts::of::<F>(a);
    match x.class {
        Class::Finite => round_pack::<G>(env, x.negative, x.exp, x.sig),
        Class::Zero => G::signed(x.negative, 0),
        Class::Infinity => G::signed(x.negative, G::INFINITY),
        Class::Nan => nan::convert::<F, G>(env, a),
    }
}

/// A signed integer in format `F`; widen a 32-bit one.
pub fn from_i64<F: Format>(value: i64, env: &mut Env) -> u64 {
    from_magnitude::<F>(value < 0, value.unsigned_abs(), env)
}

/// An unsigned integer in format `F`; widen a 32-bit one.
pub fn from_u64<F: Format>(value: u64, env: &mut Env) -> u64 {
    from_magnitude::<F>(false, value, env)
}

/// Zero is +0 in every rounding mode.
pub(super) fn from_magnitude<F: Format>(negative: bool, magnitude: u64, env: &mut Env) -> u64 {
    if magnitude == 0 {
        return 0;
    }
    let zeros = magnitude.leading_zeros();
    round_pack::<F>(env, negative, 63 - zeros as i32, magnitude << zeros)
}
