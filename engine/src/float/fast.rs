//! The host's arithmetic as a short cut: when its result, and the flags that the operation raises, are known
//! without doing the operation by hand.
//!
//! Rust computes `f32` and `f64` as IEEE 754 does, to nearest even, without flushing subnormals and with its
//! flags unobserved (emitted code, which sets the host's float control for the guest, restores it before it
//! calls Rust). So the host's *number* is right whenever the guest rounds to nearest even; what remains is to
//! know the *flags*. The arguments, which the functions below refer to:
//!
//! 1. *No invalid, division by zero, overflow.* To nearest even each of these delivers a NaN or an infinity.
//!    A finite result excludes them, and with them NaN and infinite operands as far as they matter for NaN
//!    rules.
//! 2. *No underflow.* A result whose magnitude is above the smallest normal number was not tiny before
//!    rounding nor after it. A sum, too, is never both tiny and inexact: it is a multiple of the smallest
//!    subnormal number.
//! 3. *Inexact*, by one of two ways: it is set already, so that raising it again changes nothing (usual:
//!    programs seldom clear it); or the result is proved exact. A result that is exact raises nothing at all.
//!
//! Exactness of `f64` products is decided by counting significant bits, of `f32` products by computing in
//! `f64`, where they fit. Everything else goes to the soft operation, which is also the one that first sets
//! inexact.

use super::{Bf16, Env, F16, F32, F64, Format, Round, soft};

/// A format's arithmetic on the host; `None` where there is none or the flags are not known.
///
/// The module is private, which seals [`Format`].
pub trait Host {
    /// See [`add`](fn@super::add).
    fn add(_a: u64, _b: u64, _env: &Env) -> Option<u64> {
        None
    }
    /// See [`sub`](fn@super::sub).
    fn sub(_a: u64, _b: u64, _env: &Env) -> Option<u64> {
        None
    }
    /// See [`mul`](fn@super::mul).
    fn mul(_a: u64, _b: u64, _env: &Env) -> Option<u64> {
        None
    }
    /// See [`div`](fn@super::div).
    fn div(_a: u64, _b: u64, _env: &Env) -> Option<u64> {
        None
    }
    /// See [`sqrt`](fn@super::sqrt).
    fn sqrt(_a: u64, _env: &Env) -> Option<u64> {
        None
    }
    /// See [`fused_multiply_add`](fn@super::fused_multiply_add).
    fn fma(_a: u64, _b: u64, _c: u64, _env: &Env) -> Option<u64> {
        None
    }
    /// The value as a host number, where that is exact.
    fn to_host(_a: u64) -> Option<f64> {
        None
    }
    /// A host number rounded to the format.
    fn from_host(_value: f64, _env: &Env) -> Option<u64> {
        None
    }
}

impl Host for F16 {}
impl Host for Bf16 {}

/// `a + b`.
#[inline]
pub fn add<F: Format>(a: u64, b: u64, env: &mut Env) -> u64 {
    F::add(a, b, env).unwrap_or_else(|| soft::add::<F>(a, b, env))
}

/// `a - b`.
#[inline]
pub fn sub<F: Format>(a: u64, b: u64, env: &mut Env) -> u64 {
    F::sub(a, b, env).unwrap_or_else(|| soft::sub::<F>(a, b, env))
}

/// `a * b`.
#[inline]
pub fn mul<F: Format>(a: u64, b: u64, env: &mut Env) -> u64 {
    F::mul(a, b, env).unwrap_or_else(|| soft::mul::<F>(a, b, env))
}

/// `a / b`.
#[inline]
pub fn div<F: Format>(a: u64, b: u64, env: &mut Env) -> u64 {
    F::div(a, b, env).unwrap_or_else(|| soft::div::<F>(a, b, env))
}

/// The square root of `a`; that of -0 is -0.
#[inline]
pub fn sqrt<F: Format>(a: u64, env: &mut Env) -> u64 {
    F::sqrt(a, env).unwrap_or_else(|| soft::sqrt::<F>(a, env))
}

/// `a * b + c` with one rounding. For the negated and subtracting forms flip sign bits: `a`'s negates the
/// product, `c`'s the addend. (With policies that propagate payloads flip a NaN's sign only where the guest
/// does.)
#[inline]
pub fn fused_multiply_add<F: Format>(a: u64, b: u64, c: u64, env: &mut Env) -> u64 {
    F::fma(a, b, c, env).unwrap_or_else(|| soft::fused_multiply_add::<F>(a, b, c, env))
}

/// `a`, a number of format `F`, in format `G`.
#[inline]
pub fn convert<F: Format, G: Format>(a: u64, env: &mut Env) -> u64 {
    F::to_host(a).and_then(|value| G::from_host(value, env)).unwrap_or_else(|| soft::convert::<F, G>(a, env))
}

/// A signed integer in format `F`; widen a 32-bit one.
#[inline]
pub fn from_i64<F: Format>(value: i64, env: &mut Env) -> u64 {
    // Exact in the host's f64, so that there is one rounding.
    let exact = (value.unsigned_abs() <= 1 << 53).then_some(value as f64);
    exact.and_then(|exact| F::from_host(exact, env)).unwrap_or_else(|| soft::from_i64::<F>(value, env))
}

/// An unsigned integer in format `F`; widen a 32-bit one.
#[inline]
pub fn from_u64<F: Format>(value: u64, env: &mut Env) -> u64 {
    let exact = (value <= 1 << 53).then_some(value as f64);
    exact.and_then(|exact| F::from_host(exact, env)).unwrap_or_else(|| soft::from_u64::<F>(value, env))
}

macro_rules! to_integer {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[inline]
        pub fn $name<F: Format>(a: u64, env: &mut Env) -> $int {
            // The cast truncates and saturates. If it changes nothing, the number was an integer in range;
            // except that the largest integer may round up to the saturated number, hence the second
            // comparison.
            if let Some(value) = F::to_host(a) {
                let integer = value as $int;
                let back = integer as f64;
                let exact = back == value && integer != <$int>::MAX;
                let truncates = env.round == Round::TowardZero && env.inexact_known();
                let inside = value > <$int>::MIN as f64 && value < <$int>::MAX as f64;
                if exact || (truncates && inside) {
                    return integer;
                }
            }
            soft::$name::<F>(a, env)
        }
    };
}

to_integer!(
    /// `a` as a signed 32-bit integer, rounded as `env` says.
    ///
    /// What does not fit is invalid (and not inexact) and saturates; NaN is the largest integer, as RISC-V
    /// has it. AArch64 wants 0 for NaN, x86 the smallest integer whenever invalid is raised; such a guest
    /// asks [`Format::is_nan`] or the flags.
    to_i32, i32
);
to_integer!(
    /// `a` as an unsigned 32-bit integer, see [`to_i32`]; what rounds to a negative number is invalid and 0.
    to_u32, u32
);
to_integer!(
    /// `a` as a signed 64-bit integer, see [`to_i32`].
    to_i64, i64
);
to_integer!(
    /// `a` as an unsigned 64-bit integer, see [`to_u32`].
    to_u64, u64
);

/// The parts that are the same text for both host formats.
macro_rules! host_format {
    ($float:ty, $bits:ty, $product_is_exact:path, $fma:path) => {
        #[inline]
        fn add(a: u64, b: u64, env: &Env) -> Option<u64> {
            let (x, y) = (<$float>::from_bits(a as $bits), <$float>::from_bits(b as $bits));
            let sum = x + y;
            // The error term of Knuth's two-sum is the exact error; where it overflows it is not zero.
            let exact = || {
                let y_part = sum - x;
                (x - (sum - y_part)) + (y - y_part) == 0.0
            };
            let known = nearest(env) && sum.is_finite() && (env.inexact_known() || exact());
            known.then(|| u64::from(sum.to_bits()))
        }

        #[inline]
        fn sub(a: u64, b: u64, env: &Env) -> Option<u64> {
            // A NaN's sign does not matter: its sum is not finite.
            Self::add(a, b ^ <Self as Format>::SIGN, env)
        }

        #[inline]
        fn mul(a: u64, b: u64, env: &Env) -> Option<u64> {
            let (x, y) = (<$float>::from_bits(a as $bits), <$float>::from_bits(b as $bits));
            let product = x * y;
            let in_range = is_normal_range!($float, product)
                && (env.inexact_known() || $product_is_exact(x, y, product));
            // Zero times a finite number is exact.
            let zero = (x == 0.0 || y == 0.0) && product.is_finite();
            (nearest(env) && (in_range || zero)).then(|| u64::from(product.to_bits()))
        }

        #[inline]
        fn div(a: u64, b: u64, env: &Env) -> Option<u64> {
            let (x, y) = (<$float>::from_bits(a as $bits), <$float>::from_bits(b as $bits));
            let quotient = x / y;
            // The quotient is exact if its product with the divisor is, and is the dividend.
            let exact = || is_normal_range!($float, x) && $product_is_exact(quotient, y, x);
            let in_range = is_normal_range!($float, quotient) && (env.inexact_known() || exact());
            let zero = x == 0.0 && quotient.is_finite();
            (nearest(env) && (in_range || zero)).then(|| u64::from(quotient.to_bits()))
        }

        #[inline]
        fn sqrt(a: u64, env: &Env) -> Option<u64> {
            let x = <$float>::from_bits(a as $bits);
            let root = x.sqrt();
            // Roots of numbers are in the middle of the range, those of negative numbers NaN.
            let exact = || is_normal_range!($float, x) && $product_is_exact(root, root, x);
            let in_range = is_normal_range!($float, root) && (env.inexact_known() || exact());
            (nearest(env) && in_range).then(|| u64::from(root.to_bits()))
        }

        #[inline]
        fn fma(a: u64, b: u64, c: u64, env: &Env) -> Option<u64> {
            let number = |bits: u64| <$float>::from_bits(bits as $bits);
            if !nearest(env) {
                return None;
            }
            $fma(number(a), number(b), number(c), env).map(|result| u64::from(result.to_bits()))
        }
    };
}

/// Finite and above the smallest normal number in magnitude (arguments 1 and 2).
macro_rules! is_normal_range {
    ($float:ty, $value:expr) => {{
        let magnitude = $value.abs();
        magnitude > <$float>::MIN_POSITIVE && magnitude <= <$float>::MAX
    }};
}
impl Host for F32 {
    host_format!(f32, u32, product_is_exact_f32, fma_f32);

    #[inline]
    fn to_host(a: u64) -> Option<f64> {
        Some(f64::from(f32::from_bits(a as u32)))
    }

    #[inline]
    fn from_host(value: f64, env: &Env) -> Option<u64> {
        let narrow = value as f32;
        // An exact conversion, of infinities too, is the same in every rounding mode and raises nothing. NaNs
        // are equal to nothing.
        let exact = f64::from(narrow) == value;
        let rounded = nearest(env) && env.inexact_known() && is_normal_range!(f32, narrow);
        (exact || rounded).then(|| u64::from(narrow.to_bits()))
    }
}

impl Host for F64 {
    host_format!(f64, u64, product_is_exact_f64, fma_f64);

    #[inline]
    fn to_host(a: u64) -> Option<f64> {
        Some(f64::from_bits(a))
    }

    #[inline]
    fn from_host(value: f64, _env: &Env) -> Option<u64> {
        (!value.is_nan()).then(|| value.to_bits())
    }
}

#[inline]
fn nearest(env: &Env) -> bool {
    env.round == Round::NearestEven
}

/// Whether `x * y` is `product` exactly. The product of two 24-bit significands fits in 53 bits, its exponent
/// in the range of `f64`.
#[inline]
fn product_is_exact_f32(x: f32, y: f32, product: f32) -> bool {
    f64::from(x) * f64::from(y) == f64::from(product)
}

/// Whether `x * y` is `product` exactly, or `false` in doubt, for a `product` above the smallest normal
/// number.
///
/// If the factors' significands together have at most 53 bits, then so has their product. The host's product
/// is then exact, unless it left the normal range; that it equals `product` says that it did not: an exact
/// product below the smallest normal number would not round above it.
#[inline]
fn product_is_exact_f64(x: f64, y: f64, product: f64) -> bool {
    // The hidden bit bounds the count. That a subnormal has no hidden bit makes the count too small at worst.
    let spare = |value: f64| (value.to_bits() | F64::MIN_NORMAL).trailing_zeros();
    spare(x) + spare(y) >= 53 && x * y == product
}

/// The fused operation in `f64`, where the product is exact, and the sum rounded there and then once more to
/// `f32`.
///
/// If that sum is not a midpoint between two neighbouring `f32`, it lies on the same side of every midpoint
/// as the exact one, because rounding is monotonic and midpoints are `f64` numbers: then the second rounding
/// gives what one rounding would. If nothing was lost in either step, the result is exact, zeros and
/// subnormals included.
#[inline]
fn fma_f32(x: f32, y: f32, z: f32, env: &Env) -> Option<f32> {
    const MIDPOINT: u64 = 1 << 28;
    let (product, z) = (f64::from(x) * f64::from(y), f64::from(z));
    let sum = product + z;
    let result = sum as f32;
    let is_midpoint = sum.to_bits() & (2 * MIDPOINT - 1) == MIDPOINT;
    if env.inexact_known() && !is_midpoint && is_normal_range!(f32, result) {
        return Some(result);
    }
    let z_part = sum - product;
    let error = (product - (sum - z_part)) + (z - z_part);
    (error == 0.0 && f64::from(result) == sum).then_some(result)
}

/// The host's fused operation, if inexact is known: there is no cheap proof of exactness. `mul_add` rounds
/// once on every host; where the CPU has the instruction the mathematics library uses it.
#[inline]
fn fma_f64(x: f64, y: f64, z: f64, env: &Env) -> Option<f64> {
    if !env.inexact_known() {
        return None;
    }
    let result = x.mul_add(y, z);
    is_normal_range!(f64, result).then_some(result)
}
