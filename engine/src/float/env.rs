//! What a floating-point operation depends on beside its operands: rounding, flags, and the choices that IEEE
//! 754 leaves to the architecture.

/// The exception flags, in the bit order of the RISC-V `fflags` register (unprivileged specification, "F"
/// extension, "Floating-Point Control and Status Register").
pub mod flag {
    /// Inexact: the result was rounded.
    pub const NX: u8 = 1;
    /// Underflow: the result is tiny and was rounded.
    pub const UF: u8 = 2;
    /// Overflow: the rounded result exceeds the largest finite number.
    pub const OF: u8 = 4;
    /// Division of a finite number by zero.
    pub const DZ: u8 = 8;
    /// Invalid operation.
    pub const NV: u8 = 16;
}

/// Rounding direction. The values up to 4 are RISC-V's `frm` encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Round {
    /// To nearest, ties to even.
    NearestEven = 0,
    /// Towards zero.
    TowardZero = 1,
    /// Towards negative infinity.
    Down = 2,
    /// Towards positive infinity.
    Up = 3,
    /// To nearest, ties away from zero.
    NearestMaxMagnitude = 4,
    /// To odd: an inexact result gets an odd significand, so that a second rounding is still correct. No
    /// `frm` value selects it; vector narrowing (`vfncvt.rod`) and AArch64's `FCVTXN` do.
    Odd = 6,
}

impl Round {
    /// The mode that `frm` or an instruction's static `rm` field names; `None` for the reserved values and
    /// for 7 (dynamic).
    #[must_use]
    pub const fn from_rm(rm: u8) -> Option<Round> {
        match rm {
            0 => Some(Round::NearestEven),
            1 => Some(Round::TowardZero),
            2 => Some(Round::Down),
            3 => Some(Round::Up),
            4 => Some(Round::NearestMaxMagnitude),
            _ => None,
        }
    }

    /// Whether a magnitude moves up to the next representable one: `odd` is the lowest kept bit, `rest` the
    /// discarded part and `half` what `rest` is at the midpoint.
    #[inline]
    pub(super) fn moves_away(self, negative: bool, odd: bool, rest: u64, half: u64) -> bool {
        match self {
            Round::NearestEven => rest > half || (rest == half && odd),
            Round::TowardZero => false,
            Round::Down => negative && rest != 0,
            Round::Up => !negative && rest != 0,
            Round::NearestMaxMagnitude => rest >= half,
            Round::Odd => rest != 0 && !odd,
        }
    }
}

/// Which NaN an operation delivers (IEEE 754-2019 section 6.2.3 leaves it open).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NanPolicy {
    /// RISC-V, and AArch64 with `FPCR.DN` set: always the positive quiet NaN without payload. Infinity times
    /// zero plus a quiet NaN is invalid.
    Canonical,
    /// AArch64 with `FPCR.DN` clear: the first signalling operand, else the first quiet one, made quiet; a
    /// fused multiply-add looks at the addend first. Infinity times zero plus a quiet NaN is invalid and
    /// gives the default NaN.
    SignallingFirst,
    /// x86 SSE, AVX and FMA: the first NaN operand, made quiet; the default NaN is negative. Infinity times
    /// zero plus a quiet NaN is that NaN and raises nothing.
    OperandOrder,
}

/// Modes and accumulated flags of one operation or of a run of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Env {
    /// Rounding direction.
    pub round: Round,
    /// Accumulated exceptions, see [`flag`]; operations only set bits.
    pub flags: u8,
    /// NaN results.
    pub nan: NanPolicy,
    /// Where tininess is detected for the underflow flag: before rounding (AArch64) or after it, as if the
    /// exponent were unbounded (RISC-V, x86). IEEE 754-2019 section 7.5.
    pub tininess_before_rounding: bool,
}

impl Env {
    /// RISC-V's choices: canonical NaNs, tininess after rounding.
    #[must_use]
    pub const fn riscv(round: Round, flags: u8) -> Env {
        Env { round, flags, nan: NanPolicy::Canonical, tininess_before_rounding: false }
    }

    /// Adds exceptions to the accumulated ones.
    #[inline]
    pub fn raise(&mut self, flags: u8) {
        self.flags |= flags;
    }

    /// Whether one more inexact result would change nothing.
    #[inline]
    pub(super) fn inexact_known(&self) -> bool {
        self.flags & flag::NX != 0
    }
}
