//! Fused multiply-add (IEEE 754-2019 section 5.4.1): one rounding of the exact product and sum.

use super::add::exact_zero;
use super::parts::{Class, Parts, narrow_sticky, shift_right_sticky_wide};
use super::round::round_pack;
use super::{Env, Format, NanPolicy, flag, nan};

/// `a * b + c`. For the negated and subtracting forms flip sign bits: `a`'s negates the product, `c`'s the
/// addend. (With policies that propagate payloads flip a NaN's sign only where the guest does.)
pub fn fused_multiply_add<F: Format>(a: u64, b: u64, c: u64, env: &mut Env) -> u64 {
    let (x, y, z) = (Parts::of::<F>(a), Parts::of::<F>(b), Parts::of::<F>(c));
    let undefined_product =
        matches!((x.class, y.class), (Class::Infinity, Class::Zero) | (Class::Zero, Class::Infinity));
    if [x.class, y.class, z.class].contains(&Class::Nan) {
        return nan_result::<F>(env, [a, b, c], undefined_product);
    }
    if undefined_product {
        return nan::invalid::<F>(env);
    }
    let negative = x.negative != y.negative;
    if x.class == Class::Infinity || y.class == Class::Infinity {
        if z.class == Class::Infinity && z.negative != negative {
            return nan::invalid::<F>(env);
        }
        return F::signed(negative, F::INFINITY);
    }
    if z.class == Class::Infinity {
        return F::signed(z.negative, F::INFINITY);
    }
    if x.class == Class::Zero || y.class == Class::Zero {
        // The sum of two zeros of different signs is exact zero; any other sum is c.
        let cancels = z.class == Class::Zero && z.negative != negative;
        return if cancels { exact_zero::<F>(env) } else { c };
    }
    finite_sum::<F>(env, negative, x, y, z)
}

/// Section 7.2 leaves it to the implementation whether an undefined product with a quiet NaN addend is
/// invalid.
#[cold]
fn nan_result<F: Format>(env: &mut Env, [a, b, c]: [u64; 3], undefined_product: bool) -> u64 {
    match env.nan {
        NanPolicy::OperandOrder => nan::propagate::<F>(env, &[a, b, c]),
        NanPolicy::Canonical | NanPolicy::SignallingFirst => {
            if undefined_product {
                env.raise(flag::NV);
                if !F::is_signalling(c) {
                    return nan::default_nan::<F>(env);
                }
            }
            nan::propagate::<F>(env, &[c, a, b])
        }
    }
}

/// A term of the sum: `sig / 2^126 * 2^exp` with the leading one at bit 126, head room for one carry.
struct Term {
    negative: bool,
    exp: i32,
    sig: u128,
}

fn finite_sum<F: Format>(env: &mut Env, negative: bool, x: Parts, y: Parts, z: Parts) -> u64 {
    let product = u128::from(x.sig) * u128::from(y.sig);
    // Bit 127 or bit 126 leads. A product has at least 22 zero bits at the bottom, so the shift is exact.
    let carry = (product >> 127) as u32;
    let p = Term { negative, exp: x.exp + y.exp + carry as i32, sig: product >> carry };
    // A zero addend changes neither sign nor value of a product that is not zero.
    let q = Term { negative: z.negative, exp: z.exp, sig: u128::from(z.sig) << 63 };
    let product_leads = q.sig == 0 || (p.exp, p.sig) >= (q.exp, q.sig);
    let (big, small) = if product_leads { (p, q) } else { (q, p) };
    // As in plain addition: at least 21 bits lie below either term, so where bits fall off the exponents
    // differ by more than that, and the difference loses one leading bit at most.
    let low = shift_right_sticky_wide(small.sig, big.exp.abs_diff(small.exp));
    let sum = if big.negative == small.negative { big.sig + low } else { big.sig - low };
    if sum == 0 {
        return exact_zero::<F>(env);
    }
    let zeros = sum.leading_zeros();
    round_pack::<F>(env, big.negative, big.exp + 1 - zeros as i32, narrow_sticky(sum << zeros))
}
