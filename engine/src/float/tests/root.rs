//! Square roots against exact squares of integers, and against the host.

use std::cmp::Ordering;

use super::super::{Env, F16, F32, F64, Format, Round, flag, soft};
use super::{MODES, Random, edges, env};

/// A positive finite number as an integer times a power of two.
fn integer<F: Format>(bits: u64) -> (u128, i32) {
    let field = (bits >> F::SIG_BITS) as i32;
    let hidden = if field == 0 { 0 } else { F::MIN_NORMAL };
    (u128::from(hidden | (bits & F::FRACTION)), field.max(1) - F::BIAS - F::SIG_BITS as i32)
}

/// How the square of `root`, moved by `quarters` of a unit in its last place, compares to `x`.
fn square_against<F: Format>(root: u64, quarters: i128, x: u64) -> Ordering {
    let (significand, exp) = integer::<F>(root);
    let moved = significand.checked_mul(4).and_then(|s| s.checked_add_signed(quarters)).expect("in range");
    let (x, x_exp) = integer::<F>(x);
    let shift = x_exp - 2 * (exp - 2);
    assert!((0..=112).contains(&shift), "the root is off by orders of magnitude");
    (moved * moved).cmp(&(x << shift))
}

/// Roots of numbers are normal and never halfway between two numbers, so there is exactly one right answer.
fn check<F: Format>(x: u64, mut env: Env) {
    let round = env.round;
    let root = soft::sqrt::<F>(x, &mut env);
    assert!(root >= F::MIN_NORMAL && root < F::INFINITY, "{x:#x} {round:?}: {root:#x}");
    let from = |quarters| square_against::<F>(root, quarters, x);
    let right = match round {
        Round::TowardZero | Round::Down => from(0).is_le() && from(4).is_gt(),
        // Below a power of two the neighbour is half a unit away.
        Round::Up => from(0).is_ge() && from(if root & F::FRACTION == 0 { -2 } else { -4 }).is_lt(),
        _ => from(2).is_gt() && from(if root & F::FRACTION == 0 { -1 } else { -2 }).is_lt(),
    };
    assert!(right, "{x:#x} {round:?}: {root:#x}");
    assert_eq!(env.flags, if from(0).is_eq() { 0 } else { flag::NX }, "{x:#x} {round:?}");
}

fn is_positive_finite<F: Format>(bits: u64) -> bool {
    bits > 0 && bits < F::INFINITY
}

#[test]
fn every_half_precision_root_is_rounded_correctly() {
    for x in 1..F16::INFINITY {
        for round in MODES {
            check::<F16>(x, env(round, false));
        }
    }
}

fn wider<F: Format>(seed: u64) {
    let mut random = Random::new(seed);
    let drawn = (0..50_000).map(|_| random.operand::<F>()).collect::<Vec<_>>();
    for x in edges::<F>().into_iter().chain(drawn).filter(|&x| is_positive_finite::<F>(x)) {
        for round in MODES {
            check::<F>(x, env(round, false));
        }
    }
    // Squares of short significands, and their neighbours.
    for _ in 0..20_000 {
        let short = (F::BIAS as u64) << F::SIG_BITS
            | random.next() & F::FRACTION & !(F::FRACTION >> (F::SIG_BITS / 2 - 1));
        let square = soft::mul::<F>(short, short, &mut env(Round::NearestEven, false));
        for x in [square - 1, square, square + 1] {
            for round in MODES {
                check::<F>(x, env(round, false));
            }
        }
    }
}

#[test]
fn single_and_double_precision_roots_are_rounded_correctly() {
    wider::<F32>(11);
    wider::<F64>(12);
}

#[test]
fn roots_to_nearest_are_the_hosts() {
    let mut random = Random::new(13);
    for _ in 0..100_000 {
        let x = random.operand::<F64>() & F64::MAGNITUDE;
        if is_positive_finite::<F64>(x) {
            let got = soft::sqrt::<F64>(x, &mut env(Round::NearestEven, false));
            assert_eq!(got, f64::from_bits(x).sqrt().to_bits(), "{x:#x}");
        }
    }
}

fn special<F: Format>() {
    let sqrt = |x: u64| {
        let mut env = env(Round::Down, false);
        (soft::sqrt::<F>(x, &mut env), env.flags)
    };
    assert_eq!(sqrt(0), (0, 0));
    assert_eq!(sqrt(F::SIGN), (F::SIGN, 0));
    assert_eq!(sqrt(F::INFINITY), (F::INFINITY, 0));
    for negative in [1, F::MIN_NORMAL, F::MAX, F::INFINITY] {
        assert_eq!(sqrt(F::SIGN | negative), (F::CANONICAL_NAN, flag::NV));
    }
    assert_eq!(sqrt(F::CANONICAL_NAN | F::SIGN | 1), (F::CANONICAL_NAN, 0));
    assert_eq!(sqrt(F::INFINITY | 1), (F::CANONICAL_NAN, flag::NV));
}

#[test]
fn roots_of_zeros_infinities_negatives_and_nans() {
    special::<F16>();
    special::<F32>();
    special::<F64>();
}
