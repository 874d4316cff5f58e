//! Conversions to integers and rounding to integral numbers, against the reference and the host's 128-bit
//! integers.

use rustc_apfloat::{Float, Round as Rounding, Status};

use super::super::{
    Env, F16, F32, F64, Format, Round, flag, round_to_integral, round_to_integral_exact, soft, to_i32_modular,
};
use super::oracle::{Reference, number, rounding};
use super::{MODES, Random, edges, env};

fn flags_of(status: Status) -> u8 {
    match status {
        Status::OK => 0,
        Status::INEXACT => flag::NX,
        Status::INVALID_OP => flag::NV,
        _ => panic!("{status:?}"),
    }
}

fn check<F: Reference>(a: u64, round: Round) {
    let x = number::<F>(a);
    let mut exact = false;
    let signed = [32, 64].map(|width| {
        let result = x.to_i128_r(width, rounding(round), &mut exact);
        let value = if x.is_nan() { (1 << (width - 1)) - 1 } else { result.value };
        (value, flags_of(result.status))
    });
    let unsigned = [32, 64].map(|width| {
        let result = x.to_u128_r(width, rounding(round), &mut exact);
        let value = if x.is_nan() { (1 << width) - 1 } else { result.value };
        (value, flags_of(result.status))
    });
    let run = |convert: &dyn Fn(&mut Env) -> i128| {
        let mut env = env(round, false);
        (convert(&mut env), env.flags)
    };
    assert_eq!(run(&|env| soft::to_i32::<F>(a, env).into()), signed[0], "i32 {a:#x} {round:?}");
    assert_eq!(run(&|env| soft::to_i64::<F>(a, env).into()), signed[1], "i64 {a:#x} {round:?}");
    let unsigned = unsigned.map(|(value, flags)| (value as i128, flags));
    assert_eq!(run(&|env| soft::to_u32::<F>(a, env).into()), unsigned[0], "u32 {a:#x} {round:?}");
    assert_eq!(run(&|env| soft::to_u64::<F>(a, env).into()), unsigned[1], "u64 {a:#x} {round:?}");
    check_integral::<F>(a, round);
}

fn check_integral<F: Reference>(a: u64, round: Round) {
    let want = if F::is_nan(a) {
        F::CANONICAL_NAN
    } else {
        number::<F>(a).round_to_integral(rounding(round)).value.to_bits() as u64
    };
    let invalid = if F::is_signalling(a) { flag::NV } else { 0 };
    let inexact = if !F::is_nan(a) && want != a { flag::NX } else { 0 };
    let mut quiet = env(round, false);
    assert_eq!((round_to_integral::<F>(a, &mut quiet), quiet.flags), (want, invalid), "{a:#x} {round:?}");
    let mut exact = env(round, false);
    let got = round_to_integral_exact::<F>(a, &mut exact);
    assert_eq!((got, exact.flags), (want, invalid | inexact), "{a:#x} {round:?}");
}

#[test]
fn every_half_rounds_to_integers_as_in_the_reference() {
    for a in 0..=0xffff {
        for round in MODES {
            check::<F16>(a, round);
        }
    }
}

fn wider<F: Reference>(seed: u64) {
    let mut random = Random::new(seed);
    let mut values = edges::<F>();
    // Every exponent about the integers' limits, with every fraction near a half.
    for exp in 0..70 {
        let power = (F::BIAS as u64 - 2 + exp) << F::SIG_BITS;
        for position in 0..F::SIG_BITS {
            values.extend([power | 1 << position, power | (F::FRACTION & (u64::MAX << position))]);
            values.push(F::SIGN | power | (3 << position & F::FRACTION));
        }
        values.extend([power, power - 1, F::SIGN | power, F::SIGN | (power - 1)]);
    }
    values.extend((0..50_000).map(|_| random.operand::<F>()));
    for a in values {
        for round in MODES {
            check::<F>(a, round);
        }
    }
}

#[test]
fn single_and_double_precision_round_to_integers_as_in_the_reference() {
    wider::<F32>(41);
    wider::<F64>(42);
}

#[test]
fn limits_of_the_integer_conversions() {
    let run = |x: f64, round| {
        let mut env = env(round, false);
        (soft::to_u32::<F64>(x.to_bits(), &mut env), env.flags)
    };
    assert_eq!(run(-0.75, Round::TowardZero), (0, flag::NX));
    assert_eq!(run(-0.75, Round::NearestEven), (0, flag::NV));
    assert_eq!(run(4_294_967_295.5, Round::TowardZero), (u32::MAX, flag::NX));
    assert_eq!(run(4_294_967_295.5, Round::NearestEven), (u32::MAX, flag::NV));
    assert_eq!(run(f64::NAN, Round::NearestEven), (u32::MAX, flag::NV));
    assert_eq!(run(f64::NEG_INFINITY, Round::NearestEven), (0, flag::NV));
}

/// Truncation in 128 bits, of which the low 32 are kept; from 2^117 on a double is a multiple of 2^64.
#[test]
fn modular_conversion_keeps_the_low_bits() {
    let mut random = Random::new(43);
    let mut values = edges::<F64>();
    values.extend((0..200_000).map(|_| {
        let exp = (F64::BIAS as u64 - 2 + random.below(130)) << F64::SIG_BITS;
        exp | random.next() & (F64::SIGN | F64::FRACTION)
    }));
    for a in values {
        let x = f64::from_bits(a);
        let low = if x.is_finite() && x.abs() < 2f64.powi(120) { x as i128 as i32 } else { 0 };
        let flags = if !(x.trunc() >= -2_147_483_648.0 && x.trunc() <= 2_147_483_647.0) {
            flag::NV
        } else if x.trunc() != x {
            flag::NX
        } else {
            0
        };
        let mut env = env(Round::Up, false);
        assert_eq!((to_i32_modular::<F64>(a, &mut env), env.flags), (low, flags), "{a:#x}");
        assert_eq!(env.round, Round::Up);
    }
    assert!(number::<F64>(1).to_i128_r(32, Rounding::TowardZero, &mut false).value == 0);
}
