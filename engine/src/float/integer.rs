//! Rounding to integers: conversions to integer formats (IEEE 754-2019 section 5.8), to integral numbers in
//! the same format (5.9), and modulo 2^32.

use super::convert::from_magnitude;
use super::parts::{Class, Parts};
use super::{Env, Format, Round, flag, nan};

/// `a` as a signed 32-bit integer, rounded as `env` says.
///
/// What does not fit is invalid (and not inexact) and saturates; NaN is the largest integer, as RISC-V has
/// it. AArch64 wants 0 for NaN, x86 the smallest integer whenever invalid is raised; such a guest asks
/// [`Format::is_nan`] or the flags.
pub fn to_i32<F: Format>(a: u64, env: &mut Env) -> i32 {
    to_integer::<F>(a, env, 1 << 31, i32::MAX as u64) as i32
}

/// `a` as an unsigned 32-bit integer, see [`to_i32`]; what rounds to a negative number is invalid and 0.
pub fn to_u32<F: Format>(a: u64, env: &mut Env) -> u32 {
    to_integer::<F>(a, env, 0, u64::from(u32::MAX)) as u32
}

/// `a` as a signed 64-bit integer, see [`to_i32`].
pub fn to_i64<F: Format>(a: u64, env: &mut Env) -> i64 {
    to_integer::<F>(a, env, 1 << 63, i64::MAX as u64) as i64
}

/// `a` as an unsigned 64-bit integer, see [`to_u32`].
pub fn to_u64<F: Format>(a: u64, env: &mut Env) -> u64 {
    to_integer::<F>(a, env, 0, u64::MAX)
}

/// `a` truncated, modulo 2^32, as a signed integer (`fcvtmod.w.d`, Zfa): 0 for infinities and NaNs. The flags
/// are those of [`to_i32`] towards zero; the rounding mode of `env` does not matter.
pub fn to_i32_modular<F: Format>(a: u64, env: &mut Env) -> i32 {
    let mut truncating = Env { round: Round::TowardZero, ..*env };
    to_i32::<F>(a, &mut truncating);
    env.raise(truncating.flags);
    let x = Parts::of::<F>(a);
    if x.class != Class::Finite {
        return 0;
    }
    let low = match split(x) {
        Some((integer, _)) => integer,
        // Zeros come in from the right; from 2^64 * 2^63 on nothing else is left.
        None => x.sig.checked_shl((x.exp - 63).unsigned_abs()).unwrap_or(0),
    };
    let low = if x.negative { low.wrapping_neg() } else { low };
    low as i32
}

/// `a` rounded to an integral number, without raising inexact (Zfa's `fround`).
pub fn round_to_integral<F: Format>(a: u64, env: &mut Env) -> u64 {
    integral::<F>(a, env).0
}

/// `a` rounded to an integral number; inexact if that changes it (`roundToIntegralExact`, Zfa's `froundnx`).
pub fn round_to_integral_exact<F: Format>(a: u64, env: &mut Env) -> u64 {
    let (result, inexact) = integral::<F>(a, env);
    if inexact {
        env.raise(flag::NX);
    }
    result
}

/// The integral number, and whether it differs from `a`.
fn integral<F: Format>(a: u64, env: &mut Env) -> (u64, bool) {
    let x = Parts::of::<F>(a);
    match x.class {
        Class::Nan => (nan::propagate::<F>(env, &[a]), false),
        Class::Zero | Class::Infinity => (a, false),
        // From 2^SIG_BITS on there are integers only.
        Class::Finite if x.exp >= F::SIG_BITS as i32 => (a, false),
        Class::Finite => {
            let (magnitude, inexact) = rounded(x, env.round).unwrap_or((x.sig, false));
            // At most 2^SIG_BITS, so this is exact; a result of zero keeps the operand's sign.
            let result = from_magnitude::<F>(false, magnitude, env);
            (F::signed(x.negative, result), inexact)
        }
    }
}

/// The conversion for every width: `lowest` is the magnitude of the smallest integer, `highest` the largest.
fn to_integer<F: Format>(a: u64, env: &mut Env, lowest: u64, highest: u64) -> u64 {
    let x = Parts::of::<F>(a);
    let in_range = match x.class {
        Class::Zero => return 0,
        Class::Finite => rounded(x, env.round),
        Class::Infinity | Class::Nan => None,
    };
    let limit = if x.negative { lowest } else { highest };
    match in_range {
        Some((magnitude, inexact)) if magnitude <= limit => {
            if inexact {
                env.raise(flag::NX);
            }
            if x.negative { magnitude.wrapping_neg() } else { magnitude }
        }
        _ => {
            env.raise(flag::NV);
            if x.negative && x.class != Class::Nan { lowest.wrapping_neg() } else { highest }
        }
    }
}

/// A finite magnitude rounded to an integer, and whether that is inexact; `None` from 2^64 on.
fn rounded(x: Parts, round: Round) -> Option<(u64, bool)> {
    let (integer, fraction) = split(x)?;
    let away = round.moves_away(x.negative, integer & 1 != 0, fraction, 1 << 63);
    // A fraction leaves the integer below 2^63, so this cannot overflow.
    Some((integer + u64::from(away), fraction != 0))
}

/// Integer part and fraction (in units of 2^-64, sticky) of a finite magnitude; `None` from 2^64 on.
fn split(x: Parts) -> Option<(u64, u64)> {
    match x.exp {
        64.. => None,
        63 => Some((x.sig, 0)),
        0..63 => Some((x.sig >> (63 - x.exp), x.sig << (x.exp + 1))),
        -1 => Some((0, x.sig)),
        _ => Some((0, 1)),
    }
}
