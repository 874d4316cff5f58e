//! Software floating point: IEEE 754 arithmetic on raw bits with exact exception flags.
//!
//! The problem: a guest's arithmetic must give the same bits and the same flags on every host, in every
//! engine tier, under rounding modes and NaN rules which the host may not have. Here everything is computed
//! with integers, and host arithmetic serves only as a short cut where it is provably the same.
//!
//! # Conventions
//! - A value is the bit pattern of its [`Format`] in the low bits of a `u64`; the bits above are zero
//!   (whoever reads a register removes the NaN box first).
//! - Everything that is not an operand is in [`Env`]: rounding mode, NaN rule, tininess rule and the
//!   accumulated flags, to which operations only add.
//! - Operations follow IEEE 754-2019. Where the standard leaves a choice, the NaN rule decides; where guests
//!   differ beyond that (integer conversions that do not fit), RISC-V's answer is given and the function says
//!   how another guest gets its own from it.
//!
//! # Fast path
//! [`add()`], [`sub`], [`mul()`], [`div()`], [`sqrt()`], [`fused_multiply_add`], [`convert()`] and the integer
//! conversions try the host's arithmetic first. [`soft`] has the same operations without the short cut.

mod add;
mod compare;
mod convert;
mod div;
mod env;
mod fast;
mod fma;
mod format;
mod integer;
mod minmax;
mod mul;
mod nan;
mod parts;
mod round;
mod sqrt;
#[cfg(test)]
mod tests;

pub use compare::{
    classify, compare_quiet, compare_signalling, eq, eq_signalling, le, le_quiet, lt, lt_quiet,
};
pub use env::{Env, NanPolicy, Round, flag};
pub use fast::{
    add, convert, div, from_i64, from_u64, fused_multiply_add, mul, sqrt, sub, to_i32, to_i64, to_u32, to_u64,
};
pub use format::{Bf16, F16, F32, F64, Format};
pub use integer::{round_to_integral, round_to_integral_exact, to_i32_modular};
pub use minmax::{maximum, maximum_number, minimum, minimum_number};

/// The integer-only operations behind the fast path: the same signatures, the same results, and no use of the
/// host's floating-point unit.
pub mod soft {
    pub use super::add::{add, sub};
    pub use super::convert::{convert, from_i64, from_u64};
    pub use super::div::div;
    pub use super::fma::fused_multiply_add;
    pub use super::integer::{to_i32, to_i64, to_u32, to_u64};
    pub use super::mul::mul;
    pub use super::sqrt::sqrt;
}
