//! The fast path gives what the soft operations give: bits and flags, in every mode, whether inexact is known
//! or not.

use super::super::{self as float, Env, F16, F32, F64, Format, NanPolicy, Round, flag, soft};
use super::{MODES, Random, edges, few_edges};

type Binary = fn(u64, u64, &mut Env) -> u64;

fn environments() -> Vec<Env> {
    let mut all = Vec::new();
    for round in MODES {
        for flags in [0, flag::NX] {
            all.push(Env::riscv(round, flags));
        }
    }
    let x86 = Env { nan: NanPolicy::OperandOrder, ..Env::riscv(Round::NearestEven, flag::NX) };
    let arm = Env {
        nan: NanPolicy::SignallingFirst,
        tininess_before_rounding: true,
        ..Env::riscv(Round::NearestEven, flag::NX)
    };
    all.extend([x86, arm]);
    all
}

fn same<T: PartialEq + std::fmt::Debug>(
    asked: Env,
    fast: impl Fn(&mut Env) -> T,
    slow: impl Fn(&mut Env) -> T,
    operands: &[u64],
) {
    let (mut fast_env, mut slow_env) = (asked, asked);
    let (got, want) = (fast(&mut fast_env), slow(&mut slow_env));
    assert_eq!((got, fast_env), (want, slow_env), "{operands:#x?} {asked:?}");
}

fn binary<F: Format>(a: u64, b: u64, env: Env) {
    let pairs: [(Binary, Binary); 4] = [
        (float::add::<F>, soft::add::<F>),
        (float::sub::<F>, soft::sub::<F>),
        (float::mul::<F>, soft::mul::<F>),
        (float::div::<F>, soft::div::<F>),
    ];
    for (fast, slow) in pairs {
        same(env, |env| fast(a, b, env), |env| slow(a, b, env), &[a, b]);
    }
}

fn unary<F: Format>(a: u64, env: Env) {
    same(env, |env| float::sqrt::<F>(a, env), |env| soft::sqrt::<F>(a, env), &[a]);
    same(env, |env| float::convert::<F, F16>(a, env), |env| soft::convert::<F, F16>(a, env), &[a]);
    same(env, |env| float::convert::<F, F32>(a, env), |env| soft::convert::<F, F32>(a, env), &[a]);
    same(env, |env| float::convert::<F, F64>(a, env), |env| soft::convert::<F, F64>(a, env), &[a]);
    same(env, |env| float::to_i32::<F>(a, env), |env| soft::to_i32::<F>(a, env), &[a]);
    same(env, |env| float::to_u32::<F>(a, env), |env| soft::to_u32::<F>(a, env), &[a]);
    same(env, |env| float::to_i64::<F>(a, env), |env| soft::to_i64::<F>(a, env), &[a]);
    same(env, |env| float::to_u64::<F>(a, env), |env| soft::to_u64::<F>(a, env), &[a]);
}

fn from_integer<F: Format>(value: u64, env: Env) {
    same(env, |env| float::from_u64::<F>(value, env), |env| soft::from_u64::<F>(value, env), &[value]);
    let signed = value as i64;
    same(env, |env| float::from_i64::<F>(signed, env), |env| soft::from_i64::<F>(signed, env), &[value]);
}

fn fma<F: Format>(a: u64, b: u64, c: u64, env: Env) {
    same(
        env,
        |env| float::fused_multiply_add::<F>(a, b, c, env),
        |env| soft::fused_multiply_add::<F>(a, b, c, env),
        &[a, b, c],
    );
}

fn format<F: Format>(seed: u64) {
    let environments = environments();
    let values = edges::<F>();
    for &env in &environments {
        for &a in &values {
            unary::<F>(a, env);
            values.iter().for_each(|&b| binary::<F>(a, b, env));
        }
    }
    let few = few_edges::<F>();
    for &env in &environments {
        for &a in &few {
            for &b in &few {
                few.iter().for_each(|&c| fma::<F>(a, b, c, env));
            }
        }
    }
    let mut random = Random::new(seed);
    for _ in 0..300_000 {
        let env = environments[random.below(environments.len() as u64) as usize];
        let (a, b, c) = (random.operand::<F>(), random.operand::<F>(), random.operand::<F>());
        binary::<F>(a, b, env);
        unary::<F>(a, env);
        from_integer::<F>(random.next() >> random.below(64), env);
        fma::<F>(a, b, c, env);
    }
}

#[test]
fn half_precision_is_the_same() {
    format::<F16>(61);
}

#[test]
fn single_precision_is_the_same() {
    format::<F32>(62);
}

#[test]
fn double_precision_is_the_same() {
    format::<F64>(63);
}

/// Operands built so that the fused sum in `f64` is a midpoint between two `f32`, or one bit beside it: where
/// a second rounding would go wrong.
#[test]
fn single_precision_fma_at_midpoints() {
    let mut random = Random::new(64);
    for _ in 0..300_000 {
        let near_one = |random: &mut Random| {
            (0x7f << 23 | random.next() & F32::FRACTION) & !(0x7f_ffff >> random.below(24))
        };
        let (a, b) = (near_one(&mut random), near_one(&mut random));
        let c = random.next() & F32::SIGN
            | (0x7f - 60 + random.below(120)) << 23
            | near_one(&mut random) & F32::FRACTION;
        fma::<F32>(a, b, c, Env::riscv(Round::NearestEven, flag::NX * random.below(2) as u8));
    }
}

/// The short cut is taken where it should be: ordinary operands, with inexact known or exact results.
#[test]
fn ordinary_operands_take_the_fast_path() {
    use super::super::fast::Host;
    let (third, three) = ((1.0f64 / 3.0).to_bits(), 3.0f64.to_bits());
    let (known, unknown) = (Env::riscv(Round::NearestEven, flag::NX), Env::riscv(Round::NearestEven, 0));
    for env in [known, unknown] {
        assert_eq!(F64::add(three, three, &env), Some(6.0f64.to_bits()));
        assert_eq!(F64::sub(three, three, &env), Some(0));
        assert_eq!(F64::mul(three, three, &env), Some(9.0f64.to_bits()));
        assert_eq!(F64::div(9.0f64.to_bits(), three, &env), Some(three));
        assert_eq!(F64::sqrt(9.0f64.to_bits(), &env), Some(three));
    }
    assert_eq!(F64::add(third, three, &known), Some((1.0f64 / 3.0 + 3.0).to_bits()));
    assert_eq!(F64::mul(third, third, &known), Some((1.0f64 / 3.0 * (1.0 / 3.0)).to_bits()));
    assert!(F64::fma(third, third, three, &known).is_some());
    assert!(F64::mul(third, third, &unknown).is_none());
    assert!(F64::add(third, three, &unknown).is_none());
    let down = Env::riscv(Round::Down, flag::NX);
    assert!(F64::mul(three, three, &down).is_none());
    assert!(F64::div(three, 0, &known).is_none());
    let single = |value: f32| u64::from(value.to_bits());
    assert!(F32::fma(single(0.1), single(0.2), single(0.3), &known).is_some());
    assert!(F32::fma(single(0.5), single(3.0), single(7.0), &unknown).is_some());
}
