//! The one place where results are rounded, and where overflow, underflow and inexact are raised.

use super::parts::shift_right_sticky;
use super::{Env, Format, Round, flag};

/// Rounds `sig / 2^63 * 2^exp` to the format. `sig` has its leading one at bit 63; its lowest bit may be a
/// sticky one, since every format discards at least 11 bits.
#[inline]
pub(super) fn round_pack<F: Format>(env: &mut Env, negative: bool, exp: i32, sig: u64) -> u64 {
    let biased = exp + F::BIAS;
    if biased <= 0 {
        return round_subnormal::<F>(env, negative, biased, sig);
    }
    if biased > 2 * F::BIAS {
        return overflow::<F>(env, negative);
    }
    let (kept, inexact) = round_at::<F>(env.round, negative, sig);
    // `kept` includes the hidden bit, hence the 1; a carry out of it moves into the exponent field as it
    // should.
    let magnitude = ((biased as u64 - 1) << F::SIG_BITS) + kept;
    if magnitude >= F::INFINITY {
        return overflow::<F>(env, negative);
    }
    if inexact {
        env.raise(flag::NX);
    }
    F::signed(negative, magnitude)
}

/// Rounds `sig` to the format's precision: the kept bits, and whether any discarded one was set.
#[inline]
fn round_at<F: Format>(round: Round, negative: bool, sig: u64) -> (u64, bool) {
    let drop = 63 - F::SIG_BITS;
    let kept = sig >> drop;
    let rest = sig & ((1 << drop) - 1);
    let away = round.moves_away(negative, kept & 1 != 0, rest, 1 << (drop - 1));
    (kept + u64::from(away), rest != 0)
}

/// A magnitude below the normal numbers loses precision as it loses exponent (IEEE 754-2019 section 7.5).
#[cold]
fn round_subnormal<F: Format>(env: &mut Env, negative: bool, biased: i32, sig: u64) -> u64 {
    let (kept, inexact) = round_at::<F>(env.round, negative, shift_right_sticky(sig, biased.abs_diff(1)));
    if inexact {
        env.raise(flag::NX);
        // After rounding, only a number just below the smallest normal one may cease to be tiny: its
        // significand at full precision carries out.
        let carries = || round_at::<F>(env.round, negative, sig).0 > F::MIN_NORMAL | F::FRACTION;
        let tiny = env.tininess_before_rounding || biased < 0 || !carries();
        if tiny {
            env.raise(flag::UF);
        }
    }
    // If the rounding reached the smallest normal number, `kept` is its encoding.
    F::signed(negative, kept)
}

/// Overflow delivers infinity or the largest finite number (IEEE 754-2019 section 7.4).
#[cold]
fn overflow<F: Format>(env: &mut Env, negative: bool) -> u64 {
    env.raise(flag::OF | flag::NX);
    let to_infinity = match env.round {
        Round::NearestEven | Round::NearestMaxMagnitude => true,
        Round::TowardZero | Round::Odd => false,
        Round::Down => negative,
        Round::Up => !negative,
    };
    F::signed(negative, if to_infinity { F::INFINITY } else { F::MAX })
}
