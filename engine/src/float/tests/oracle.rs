//! LLVM's software floating point as the reference, with its differences from IEEE 754 and RISC-V put right
//! by argument:
//!
//! - *Underflow.* It raises it if the delivered number is subnormal and inexact. The standard asks about the
//!   number before it is rounded, or rounded with an unbounded exponent; these differ where the delivered
//!   number is the smallest normal one. So the operation is done once more in a format of the same precision
//!   with 15 exponent bits, in which no result here can underflow, and its magnitude is compared (rounded
//!   towards zero, it tells about the number before rounding).
//! - *Overflow.* It raises it only if the result is infinite, not if the largest finite number is delivered.
//!   The standard asks whether the number rounded with an unbounded exponent exceeds that: the wide result
//!   tells.
//! - *NaNs.* It propagates payloads: NaN results are made canonical. Invalid is decided here: by a signalling
//!   operand, or (fused) an undefined product, which RISC-V signals whatever the addend is.

use std::ops::Neg;

use rustc_apfloat::ieee::{BFloatS, DoubleS, HalfS, IeeeFloat, Semantics, SingleS};
use rustc_apfloat::{Float, FloatConvert, Round as Rounding, Status, StatusAnd};

use super::super::{Bf16, Env, F16, F32, F64, Format, Round, flag};

macro_rules! wide {
    ($name:ident, $sig:literal) => {
        pub(super) struct $name;
        impl Semantics for $name {
            const BITS: usize = 16 + $sig;
            const EXP_BITS: usize = 15;
        }
    };
}
wide!(WideHalf, 10);
wide!(WideBFloat, 7);
wide!(WideSingle, 23);
wide!(WideDouble, 52);

/// A format's counterpart in the reference, and the one of equal precision with a wide exponent.
pub(super) trait Reference: Format {
    type Narrow: Semantics;
    type Wide: Semantics;
}
impl Reference for F16 {
    type Narrow = HalfS;
    type Wide = WideHalf;
}
impl Reference for Bf16 {
    type Narrow = BFloatS;
    type Wide = WideBFloat;
}
impl Reference for F32 {
    type Narrow = SingleS;
    type Wide = WideSingle;
}
impl Reference for F64 {
    type Narrow = DoubleS;
    type Wide = WideDouble;
}

pub(super) fn rounding(round: Round) -> Rounding {
    match round {
        Round::NearestEven => Rounding::NearestTiesToEven,
        Round::TowardZero => Rounding::TowardZero,
        Round::Down => Rounding::TowardNegative,
        Round::Up => Rounding::TowardPositive,
        Round::NearestMaxMagnitude => Rounding::NearestTiesToAway,
        Round::Odd => unreachable!("the reference has no rounding to odd"),
    }
}

pub(super) fn number<F: Reference>(bits: u64) -> IeeeFloat<F::Narrow> {
    IeeeFloat::from_bits(u128::from(bits))
}

/// A number in a format that holds it exactly.
pub(super) fn widen<S: Semantics, W: Semantics>(value: IeeeFloat<S>) -> IeeeFloat<W> {
    let mut loses = false;
    let result = value.convert_r(Rounding::NearestTiesToEven, &mut loses).value;
    assert!(!loses || value.is_nan(), "the wide format is too narrow");
    result
}

/// The bits and flags that `env` asks for, from the reference's result and the same operation done in the
/// wide format.
pub(super) fn expected<F: Reference>(
    env: &Env,
    invalid: bool,
    result: StatusAnd<IeeeFloat<F::Narrow>>,
    wide: impl Fn(Rounding) -> IeeeFloat<F::Wide>,
) -> (u64, u8) {
    let bits = if result.value.is_nan() { F::CANONICAL_NAN } else { result.value.to_bits() as u64 };
    let mut flags = 0;
    for (status, flag) in
        [(Status::INVALID_OP, flag::NV), (Status::DIV_BY_ZERO, flag::DZ), (Status::INEXACT, flag::NX)]
    {
        if result.status.contains(status) {
            flags |= flag;
        }
    }
    if invalid {
        flags |= flag::NV;
    }
    if flags & flag::NX != 0 {
        let limit = |bits| widen::<F::Narrow, F::Wide>(number::<F>(bits));
        let unbounded = wide(rounding(env.round));
        let before = wide(Rounding::TowardZero);
        if magnitude(unbounded) > limit(F::MAX) {
            flags |= flag::OF;
        }
        if magnitude(if env.tininess_before_rounding { before } else { unbounded }) < limit(F::MIN_NORMAL) {
            flags |= flag::UF;
        }
    }
    (bits, flags)
}

fn magnitude<S: Semantics>(value: IeeeFloat<S>) -> IeeeFloat<S> {
    if value.is_negative() { value.neg() } else { value }
}
