//! Operands for the tests, and the tests by subject. The reference is LLVM's software floating point
//! (`oracle`), exact integer arithmetic, or the host's arithmetic, whichever is independent of what is
//! tested.

mod arith;
mod convert;
mod fast;
mod integer;
mod nan;
mod oracle;
mod order;
mod root;

use super::{Env, Format, Round};

/// RISC-V's rounding modes.
const MODES: [Round; 5] =
    [Round::NearestEven, Round::TowardZero, Round::Down, Round::Up, Round::NearestMaxMagnitude];

/// RISC-V's environment with the tininess rule as given.
fn env(round: Round, tininess_before_rounding: bool) -> Env {
    Env { tininess_before_rounding, ..Env::riscv(round, 0) }
}

/// A small generator (xorshift64*), the same numbers on every run.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    fn mode(&mut self) -> Round {
        MODES[self.below(5) as usize]
    }

    /// Any bits; or close to one, where operands interact; or with few significant bits, where results are
    /// exact or halfway; or at the edges of the range.
    fn operand<F: Format>(&mut self) -> u64 {
        let bits = self.next() & (F::SIGN | F::MAGNITUDE);
        let (sign, fraction) = (bits & F::SIGN, bits & F::FRACTION);
        let exponent = |field: u64| sign | field << F::SIG_BITS;
        let largest = F::INFINITY >> F::SIG_BITS;
        match self.below(6) {
            0 => bits,
            1 => exponent(F::BIAS as u64 - 3 + self.below(7)) | fraction,
            2 => exponent(1 + self.below(largest)) | (fraction & !(F::FRACTION >> self.below(12))),
            3 => exponent(self.below(4)) | (fraction >> self.below(u64::from(F::SIG_BITS))),
            4 => exponent(largest - self.below(4)) | (fraction & !(F::FRACTION >> self.below(5))),
            _ => exponent(F::BIAS as u64 + self.below(u64::from(F::SIG_BITS) + 4)) | fraction,
        }
    }
}

/// Both signs of zeros, subnormals, powers of two and their neighbours over the range, infinity, and NaNs of
/// both kinds.
fn edges<F: Format>() -> Vec<u64> {
    let bias = F::BIAS as u64;
    let sig = u64::from(F::SIG_BITS);
    let top = F::INFINITY >> F::SIG_BITS;
    let fields = [
        1,
        2,
        sig,
        sig + 2,
        bias / 2 + 1,
        bias - sig,
        bias - 1,
        bias,
        bias + 1,
        bias + sig,
        top - 2,
        top - 1,
    ];
    let mut magnitudes = vec![0, 1, 2, 3, F::QUIET, F::FRACTION - 1, F::INFINITY];
    for field in fields {
        let power = field << F::SIG_BITS;
        magnitudes.extend([power - 1, power, power + 1, power | F::QUIET, power | F::FRACTION]);
        magnitudes.push(power | (0x5555_5555_5555_5555 & F::FRACTION));
    }
    magnitudes.extend([F::CANONICAL_NAN, F::CANONICAL_NAN | 5, F::INFINITY | 1, F::CANONICAL_NAN - 1]);
    with_both_signs::<F>(&magnitudes)
}

/// A selection of [`edges`] for operations with three operands.
fn few_edges<F: Format>() -> Vec<u64> {
    let one = (F::BIAS as u64) << F::SIG_BITS;
    let magnitudes = [
        0,
        1,
        F::FRACTION,
        F::MIN_NORMAL,
        F::MIN_NORMAL + 1,
        one - u64::from(F::SIG_BITS) * F::MIN_NORMAL + 1,
        one - 1,
        one,
        one + 1,
        one | F::QUIET,
        one + F::MIN_NORMAL + 3,
        F::MAX - F::MIN_NORMAL,
        F::MAX,
        F::INFINITY,
        F::CANONICAL_NAN | 2,
        F::INFINITY | 3,
    ];
    with_both_signs::<F>(&magnitudes)
}

fn with_both_signs<F: Format>(magnitudes: &[u64]) -> Vec<u64> {
    magnitudes.iter().flat_map(|&magnitude| [magnitude, F::SIGN | magnitude]).collect()
}
