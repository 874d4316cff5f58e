//! Operands taken apart: sign, exponent and a significand with its leading one at bit 63.

use super::Format;

/// What kind of number an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Zero,
    /// Normal or subnormal: `exp` and `sig` are valid.
    Finite,
    Infinity,
    Nan,
}

/// An operand, taken apart. A finite one is `sig / 2^63 * 2^exp`, so `sig` is in [1, 2) whether the operand
/// was normal or not, and has at least 11 zero bits at the bottom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    pub negative: bool,
    pub class: Class,
    pub exp: i32,
    pub sig: u64,
}

impl Parts {
    #[inline]
    pub(super) fn of<F: Format>(bits: u64) -> Parts {
        let fraction = bits & F::FRACTION;
        let field = (bits & F::INFINITY) >> F::SIG_BITS;
        let negative = F::is_negative(bits);
        if field == F::INFINITY >> F::SIG_BITS {
            let class = if fraction == 0 { Class::Infinity } else { Class::Nan };
            return Parts { negative, class, exp: 0, sig: 0 };
        }
        if field == 0 {
            return Parts::subnormal::<F>(negative, fraction);
        }
        // The field has at most 11 bits.
        let exp = field as i32 - F::BIAS;
        Parts { negative, class: Class::Finite, exp, sig: (F::MIN_NORMAL | fraction) << (63 - F::SIG_BITS) }
    }

    fn subnormal<F: Format>(negative: bool, fraction: u64) -> Parts {
        if fraction == 0 {
            return Parts { negative, class: Class::Zero, exp: 0, sig: 0 };
        }
        let zeros = fraction.leading_zeros();
        let exp = 1 - F::BIAS - (zeros as i32 - (63 - F::SIG_BITS as i32));
        Parts { negative, class: Class::Finite, exp, sig: fraction << zeros }
    }
}

/// Shifts right; a one that falls off sticks to the lowest bit, so that the result still rounds as the full
/// number would.
#[inline]
pub(super) fn shift_right_sticky(value: u64, count: u32) -> u64 {
    match count {
        0 => value,
        1..64 => (value >> count) | u64::from(value << (64 - count) != 0),
        _ => u64::from(value != 0),
    }
}

/// [`shift_right_sticky`] for the double width of fused multiply-add.
#[inline]
pub(super) fn shift_right_sticky_wide(value: u128, count: u32) -> u128 {
    match count {
        0 => value,
        1..128 => (value >> count) | u128::from(value << (128 - count) != 0),
        _ => u128::from(value != 0),
    }
}

/// The high half of a double-width significand, with the low half as a sticky bit.
#[inline]
pub(super) fn narrow_sticky(wide: u128) -> u64 {
    (wide >> 64) as u64 | u64::from(wide as u64 != 0)
}
