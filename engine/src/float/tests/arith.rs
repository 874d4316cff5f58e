//! Sums, products, quotients and fused multiply-add against the reference.

use rustc_apfloat::ieee::{IeeeFloat, Semantics};
use rustc_apfloat::{Float, Round as Rounding, StatusAnd};

use super::super::{Bf16, Env, F16, F32, F64, Format, Round, flag, soft};
use super::oracle::{Reference, expected, number, rounding, widen};
use super::{MODES, Random, edges, env, few_edges};

#[derive(Clone, Copy, Debug)]
enum Op {
    Add,
    Sub,
    Mul,
    Div,
}

const OPS: [Op; 4] = [Op::Add, Op::Sub, Op::Mul, Op::Div];

fn reference<S: Semantics>(
    op: Op,
    a: IeeeFloat<S>,
    b: IeeeFloat<S>,
    round: Rounding,
) -> StatusAnd<IeeeFloat<S>> {
    match op {
        Op::Add => a.add_r(b, round),
        Op::Sub => a.sub_r(b, round),
        Op::Mul => a.mul_r(b, round),
        Op::Div => a.div_r(b, round),
    }
}

fn ours<F: Format>(op: Op, a: u64, b: u64, env: &mut Env) -> u64 {
    match op {
        Op::Add => soft::add::<F>(a, b, env),
        Op::Sub => soft::sub::<F>(a, b, env),
        Op::Mul => soft::mul::<F>(a, b, env),
        Op::Div => soft::div::<F>(a, b, env),
    }
}

fn check<F: Reference>(op: Op, a: u64, b: u64, mut env: Env) {
    let invalid = F::is_signalling(a) || F::is_signalling(b);
    let (x, y) = (number::<F>(a), number::<F>(b));
    let wide = |round| reference(op, widen::<_, F::Wide>(x), widen::<_, F::Wide>(y), round).value;
    let want = expected::<F>(&env, invalid, reference(op, x, y, rounding(env.round)), wide);
    let asked = env;
    let got = ours::<F>(op, a, b, &mut env);
    assert_eq!((got, env.flags), want, "{op:?} {a:#x} {b:#x} {asked:?}");
}

fn binary_edges<F: Reference>() {
    let values = edges::<F>();
    for op in OPS {
        for &a in &values {
            for &b in &values {
                for round in MODES {
                    check::<F>(op, a, b, env(round, false));
                }
                check::<F>(op, a, b, env(Round::NearestEven, true));
            }
        }
    }
}

fn binary_random<F: Reference>(seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..60_000 {
        let (a, b) = (random.operand::<F>(), random.operand::<F>());
        for op in OPS {
            check::<F>(op, a, b, env(random.mode(), random.below(2) == 0));
        }
    }
}

#[test]
fn half_precision_arithmetic_is_the_references() {
    binary_edges::<F16>();
    binary_random::<F16>(1);
}

#[test]
fn bfloat_arithmetic_is_the_references() {
    binary_random::<Bf16>(2);
}

#[test]
fn single_precision_arithmetic_is_the_references() {
    binary_edges::<F32>();
    binary_random::<F32>(3);
}

#[test]
fn double_precision_arithmetic_is_the_references() {
    binary_edges::<F64>();
    binary_random::<F64>(4);
}

fn check_fma<F: Reference>(a: u64, b: u64, c: u64, mut env: Env) {
    let invalid = [a, b, c].into_iter().any(F::is_signalling)
        || (F::is_zero(a) && b & F::MAGNITUDE == F::INFINITY)
        || (F::is_zero(b) && a & F::MAGNITUDE == F::INFINITY);
    let (x, y, z) = (number::<F>(a), number::<F>(b), number::<F>(c));
    let wide = |round| {
        let (x, y, z) = (widen::<_, F::Wide>(x), widen::<_, F::Wide>(y), widen::<_, F::Wide>(z));
        x.mul_add_r(y, z, round).value
    };
    let want = expected::<F>(&env, invalid, x.mul_add_r(y, z, rounding(env.round)), wide);
    let asked = env;
    let got = soft::fused_multiply_add::<F>(a, b, c, &mut env);
    assert_eq!((got, env.flags), want, "fma {a:#x} {b:#x} {c:#x} {asked:?}");
}

fn fma<F: Reference>(seed: u64) {
    let values = few_edges::<F>();
    for &a in &values {
        for &b in &values {
            for &c in &values {
                for round in MODES {
                    check_fma::<F>(a, b, c, env(round, false));
                }
                check_fma::<F>(a, b, c, env(Round::NearestEven, true));
            }
        }
    }
    let mut random = Random::new(seed);
    for _ in 0..100_000 {
        let (a, b) = (random.operand::<F>(), random.operand::<F>());
        let c = match random.below(2) {
            0 => random.operand::<F>(),
            // Close to the product, so that most of it cancels.
            _ => {
                let product = soft::mul::<F>(a, b, &mut env(Round::NearestEven, false));
                product ^ F::SIGN ^ random.below(4)
            }
        };
        check_fma::<F>(a, b, c, env(random.mode(), random.below(2) == 0));
    }
}

#[test]
fn half_precision_fma_is_the_references() {
    fma::<F16>(5);
}

#[test]
fn single_precision_fma_is_the_references() {
    fma::<F32>(6);
}

#[test]
fn double_precision_fma_is_the_references() {
    fma::<F64>(7);
}

/// Rounding to odd is truncation with the lost part as a sticky lowest bit.
#[test]
fn rounding_to_odd_is_truncation_with_a_sticky_bit() {
    let mut random = Random::new(8);
    for _ in 0..100_000 {
        let (a, b) = (random.operand::<F32>(), random.operand::<F32>());
        for op in OPS {
            let (mut odd, mut truncating) = (env(Round::Odd, false), env(Round::TowardZero, false));
            let got = ours::<F32>(op, a, b, &mut odd);
            let truncated = ours::<F32>(op, a, b, &mut truncating);
            let sticky = u64::from(truncating.flags & flag::NX);
            assert_eq!((got, odd.flags), (truncated | sticky, truncating.flags), "{op:?} {a:#x} {b:#x}");
        }
    }
}

/// The tininess rules differ exactly where a number just below the normal ones rounds up to them at full
/// precision.
#[test]
fn tininess_before_and_after_rounding() {
    // 1 - 2^-24 has 24 significant bits and stays below one at full precision; 1 - 2^-26 rounds to one.
    let nearly = |bits: i32| (1.0 - 2f64.powi(bits)) * 2f64.powi(-126);
    let flags = |value: f64, before| {
        let mut env = env(Round::NearestEven, before);
        assert_eq!(soft::convert::<F64, F32>(value.to_bits(), &mut env), F32::MIN_NORMAL);
        env.flags
    };
    assert_eq!(flags(nearly(-24), false), flag::NX | flag::UF);
    assert_eq!(flags(nearly(-24), true), flag::NX | flag::UF);
    assert_eq!(flags(nearly(-26), false), flag::NX);
    assert_eq!(flags(nearly(-26), true), flag::NX | flag::UF);
}
