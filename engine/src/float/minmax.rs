//! Minimum and maximum (IEEE 754-2019 section 9.6), in which -0 is less than +0.
//!
//! RISC-V's F 2.2 `fmin` and `fmax` are the `number` forms, Zfa's `fminm` and `fmaxm` the others. x86's
//! `MINSD` is neither (its second operand wins in doubt): a comparison and a select.

use super::{Env, Format, flag, nan};

/// `minimumNumber`: a NaN loses against a number; two NaNs give a NaN. Invalid for signalling NaNs.
pub fn minimum_number<F: Format>(a: u64, b: u64, env: &mut Env) -> u64 {
    number::<F>(a, b, env, false)
}

/// `maximumNumber`: a NaN loses against a number; two NaNs give a NaN. Invalid for signalling NaNs.
pub fn maximum_number<F: Format>(a: u64, b: u64, env: &mut Env) -> u64 {
    number::<F>(a, b, env, true)
}

/// `minimum`: a NaN wins. Invalid for signalling NaNs.
pub fn minimum<F: Format>(a: u64, b: u64, env: &mut Env) -> u64 {
    strict::<F>(a, b, env, false)
}

/// `maximum`: a NaN wins. Invalid for signalling NaNs.
pub fn maximum<F: Format>(a: u64, b: u64, env: &mut Env) -> u64 {
    strict::<F>(a, b, env, true)
}

fn number<F: Format>(a: u64, b: u64, env: &mut Env, greater: bool) -> u64 {
    let number = match (F::is_nan(a), F::is_nan(b)) {
        (false, false) => return pick::<F>(a, b, greater),
        (true, true) => return nan::propagate::<F>(env, &[a, b]),
        (true, false) => b,
        (false, true) => a,
    };
    if F::is_signalling(a) || F::is_signalling(b) {
        env.raise(flag::NV);
    }
    number
}

fn strict<F: Format>(a: u64, b: u64, env: &mut Env, greater: bool) -> u64 {
    if F::is_nan(a) || F::is_nan(b) {
        return nan::propagate::<F>(env, &[a, b]);
    }
    pick::<F>(a, b, greater)
}

fn pick<F: Format>(a: u64, b: u64, greater: bool) -> u64 {
    if (total_key::<F>(a) > total_key::<F>(b)) == greater { a } else { b }
}

/// An integer that sorts as the numbers do, with -0 just below +0.
fn total_key<F: Format>(bits: u64) -> i64 {
    let magnitude = (bits & F::MAGNITUDE) as i64;
    if F::is_negative(bits) { !magnitude } else { magnitude }
}
