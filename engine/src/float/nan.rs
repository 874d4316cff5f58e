//! NaN operands and NaN results (IEEE 754-2019 sections 6.2 and 7.2).

use super::{Env, Format, NanPolicy, flag};

/// The NaN that an invalid operation makes out of numbers.
#[inline]
pub(super) fn default_nan<F: Format>(env: &Env) -> u64 {
    match env.nan {
        NanPolicy::Canonical | NanPolicy::SignallingFirst => F::CANONICAL_NAN,
        NanPolicy::OperandOrder => F::SIGN | F::CANONICAL_NAN,
    }
}

/// Raises invalid and gives the default NaN.
#[cold]
pub(super) fn invalid<F: Format>(env: &mut Env) -> u64 {
    env.raise(flag::NV);
    default_nan::<F>(env)
}

/// The result of an operation of which at least one operand is a NaN; operands in the order of the policy's
/// preference.
#[cold]
pub(super) fn propagate<F: Format>(env: &mut Env, operands: &[u64]) -> u64 {
    let signalling = operands.iter().copied().find(|&bits| F::is_signalling(bits));
    if signalling.is_some() {
        env.raise(flag::NV);
    }
    let first = operands.iter().copied().find(|&bits| F::is_nan(bits));
    let chosen = match env.nan {
        NanPolicy::Canonical => None,
        NanPolicy::SignallingFirst => signalling.or(first),
        NanPolicy::OperandOrder => first,
    };
    chosen.map_or_else(|| default_nan::<F>(env), |bits| bits | F::QUIET)
}

/// A NaN in another format: sign and the leading payload bits stay, unless the policy has one NaN only.
#[cold]
pub(super) fn convert<F: Format, G: Format>(env: &mut Env, bits: u64) -> u64 {
    if F::is_signalling(bits) {
        env.raise(flag::NV);
    }
    if env.nan == NanPolicy::Canonical {
        return G::CANONICAL_NAN;
    }
    let payload = (bits & F::FRACTION) << (63 - F::SIG_BITS) >> (63 - G::SIG_BITS);
    G::signed(F::is_negative(bits), G::CANONICAL_NAN | payload)
}
