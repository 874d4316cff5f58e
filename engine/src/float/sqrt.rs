//! Square root (IEEE 754-2019 section 5.4.1).

use super::parts::{Class, Parts};
use super::round::round_pack;
use super::{Env, Format, nan};

/// The square root of `a`; that of -0 is -0.
pub fn sqrt<F: Format>(a: u64, env: &mut Env) -> u64 {
    let x = Parts::of::<F>(a);
    match x.class {
        Class::Nan => nan::propagate::<F>(env, &[a]),
        Class::Zero => a,
        _ if x.negative => nan::invalid::<F>(env),
        Class::Infinity => a,
        Class::Finite => {
            // With an even exponent 2e the root of s / 2^126 * 2^2e is root(s) / 2^63 * 2^e, and s in [2^126,
            // 2^128) has its root in [2^63, 2^64).
            let odd = x.exp & 1;
            let radicand = u128::from(x.sig) << (63 + odd);
            let root = radicand.isqrt();
            let sig = root as u64 | u64::from(root * root != radicand);
            round_pack::<F>(env, false, (x.exp - odd) / 2, sig)
        }
    }
}
