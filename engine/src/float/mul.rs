//! Multiplication (IEEE 754-2019 section 5.4.1).

use super::parts::{Class, Parts, narrow_sticky};
use super::round::round_pack;
use super::{Env, Format, nan};

/// `a * b`.
pub fn mul<F: Format>(a: u64, b: u64, env: &mut Env) -> u64 {
    let x = Parts::of::<F>(a);
    let y = Parts::of::<F>(b);
    let negative = x.negative != y.negative;
    match (x.class, y.class) {
        (Class::Finite, Class::Finite) => {
            // Both are in [1, 2) * 2^63, so the product is in [1, 4) * 2^126.
            let product = u128::from(x.sig) * u128::from(y.sig);
            let zeros = product.leading_zeros();
            let exp = x.exp + y.exp + 1 - zeros as i32;
            round_pack::<F>(env, negative, exp, narrow_sticky(product << zeros))
        }
        (Class::Nan, _) | (_, Class::Nan) => nan::propagate::<F>(env, &[a, b]),
        (Class::Infinity, Class::Zero) | (Class::Zero, Class::Infinity) => nan::invalid::<F>(env),
        (Class::Infinity, _) | (_, Class::Infinity) => F::signed(negative, F::INFINITY),
        (Class::Zero, _) | (_, Class::Zero) => F::signed(negative, 0),
    }
}
