//! The binary interchange formats (IEEE 754-2019 section 3.4) as types, so that one generic text of each
//! operation serves all of them.

use super::fast::Host;

/// A binary format of at most 64 bits with a hidden leading bit. Sealed: the operations are proved for the
/// formats here.
///
/// The significand must have at most 53 bits: sums and products rely on the spare bits.
pub trait Format: Copy + 'static + Host {
    /// Bits of the exponent field.
    const EXP_BITS: u32;
    /// Bits of the fraction field, without the hidden bit.
    const SIG_BITS: u32;

    /// Bits of the whole format.
    const WIDTH: u32 = 1 + Self::EXP_BITS + Self::SIG_BITS;
    /// Exponent bias, which is also the largest exponent.
    const BIAS: i32 = (1 << (Self::EXP_BITS - 1)) - 1;
    /// The sign bit.
    const SIGN: u64 = 1 << (Self::WIDTH - 1);
    /// All bits but the sign.
    const MAGNITUDE: u64 = Self::SIGN - 1;
    /// The fraction field.
    const FRACTION: u64 = (1 << Self::SIG_BITS) - 1;
    /// Positive infinity.
    const INFINITY: u64 = Self::MAGNITUDE & !Self::FRACTION;
    /// The fraction bit that makes a NaN quiet.
    const QUIET: u64 = 1 << (Self::SIG_BITS - 1);
    /// The positive quiet NaN without payload.
    const CANONICAL_NAN: u64 = Self::INFINITY | Self::QUIET;
    /// The largest finite number.
    const MAX: u64 = Self::INFINITY - 1;
    /// The smallest positive normal number.
    const MIN_NORMAL: u64 = 1 << Self::SIG_BITS;

    /// Any NaN.
    #[inline]
    #[must_use]
    fn is_nan(bits: u64) -> bool {
        bits & Self::MAGNITUDE > Self::INFINITY
    }

    /// A NaN whose quiet bit is clear.
    #[inline]
    #[must_use]
    fn is_signalling(bits: u64) -> bool {
        Self::is_nan(bits) && bits & Self::QUIET == 0
    }

    /// Either zero.
    #[inline]
    #[must_use]
    fn is_zero(bits: u64) -> bool {
        bits & Self::MAGNITUDE == 0
    }

    /// The sign bit, of NaNs and zeros too.
    #[inline]
    #[must_use]
    fn is_negative(bits: u64) -> bool {
        bits & Self::SIGN != 0
    }

    /// `magnitude` with a sign.
    #[inline]
    #[must_use]
    fn signed(negative: bool, magnitude: u64) -> u64 {
        (u64::from(negative) << (Self::WIDTH - 1)) | magnitude
    }
}

macro_rules! format {
    ($(#[$doc:meta])* $name:ident, $exp:literal, $sig:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl Format for $name {
            const EXP_BITS: u32 = $exp;
            const SIG_BITS: u32 = $sig;
        }
    };
}

format!(
    /// binary16, half precision.
    F16, 5, 10
);
format!(
    /// bfloat16: single precision's range with 8 significant bits.
    Bf16, 8, 7
);
format!(
    /// binary32, single precision.
    F32, 8, 23
);
format!(
    /// binary64, double precision.
    F64, 11, 52
);
