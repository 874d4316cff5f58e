//! Comparisons, minima and maxima against the host's comparisons, to which every format widens exactly.

use super::super::{
    Env, F16, F32, F64, Format, Round, classify, compare_quiet, compare_signalling, eq, eq_signalling, flag,
    le, le_quiet, lt, lt_quiet, maximum, maximum_number, minimum, minimum_number, soft,
};
use super::{Random, edges, env};

fn host<F: Format>(bits: u64) -> f64 {
    f64::from_bits(soft::convert::<F, F64>(bits, &mut env(Round::NearestEven, false)))
}

fn run<T>(op: impl Fn(&mut Env) -> T) -> (T, u8) {
    let mut env = env(Round::NearestEven, false);
    (op(&mut env), env.flags)
}

fn check<F: Format>(a: u64, b: u64) {
    let (x, y) = (host::<F>(a), host::<F>(b));
    let unordered = x.is_nan() || y.is_nan();
    let signals = F::is_signalling(a) || F::is_signalling(b);
    let quiet = if signals { flag::NV } else { 0 };
    let loud = if unordered { flag::NV } else { 0 };
    assert_eq!(run(|env| compare_quiet::<F>(a, b, env)), (x.partial_cmp(&y), quiet), "{a:#x} {b:#x}");
    assert_eq!(run(|env| compare_signalling::<F>(a, b, env)), (x.partial_cmp(&y), loud), "{a:#x} {b:#x}");
    assert_eq!(run(|env| eq::<F>(a, b, env)), (x == y, quiet), "{a:#x} {b:#x}");
    assert_eq!(run(|env| eq_signalling::<F>(a, b, env)), (x == y, loud), "{a:#x} {b:#x}");
    assert_eq!(run(|env| lt::<F>(a, b, env)), (x < y, loud), "{a:#x} {b:#x}");
    assert_eq!(run(|env| le::<F>(a, b, env)), (x <= y, loud), "{a:#x} {b:#x}");
    assert_eq!(run(|env| lt_quiet::<F>(a, b, env)), (x < y, quiet), "{a:#x} {b:#x}");
    assert_eq!(run(|env| le_quiet::<F>(a, b, env)), (x <= y, quiet), "{a:#x} {b:#x}");

    let a_is_less = x < y || (x == y && x.is_sign_negative() && y.is_sign_positive());
    let (smaller, larger) = if a_is_less { (a, b) } else { (b, a) };
    let nan = F::CANONICAL_NAN;
    let (strict, number) = match (x.is_nan(), y.is_nan()) {
        (false, false) => ((smaller, larger), (smaller, larger)),
        (true, true) => ((nan, nan), (nan, nan)),
        (true, false) => ((nan, nan), (b, b)),
        (false, true) => ((nan, nan), (a, a)),
    };
    assert_eq!(run(|env| minimum::<F>(a, b, env)), (strict.0, quiet), "{a:#x} {b:#x}");
    assert_eq!(run(|env| maximum::<F>(a, b, env)), (strict.1, quiet), "{a:#x} {b:#x}");
    assert_eq!(run(|env| minimum_number::<F>(a, b, env)), (number.0, quiet), "{a:#x} {b:#x}");
    assert_eq!(run(|env| maximum_number::<F>(a, b, env)), (number.1, quiet), "{a:#x} {b:#x}");
}

fn format<F: Format>(seed: u64) {
    let values = edges::<F>();
    for &a in &values {
        for &b in &values {
            check::<F>(a, b);
        }
    }
    let mut random = Random::new(seed);
    for _ in 0..50_000 {
        check::<F>(random.operand::<F>(), random.operand::<F>());
    }
}

#[test]
fn comparisons_and_extrema_are_the_hosts() {
    format::<F16>(51);
    format::<F32>(52);
    format::<F64>(53);
}

#[test]
fn every_half_is_classified_as_its_double_would_be() {
    for a in 0..=0xffff {
        let x = host::<F16>(a);
        let smallest = 2f64.powi(-14);
        let bit = match (x.is_nan(), x.is_sign_negative()) {
            (true, _) if a & 0x200 == 0 => 8,
            (true, _) => 9,
            (_, true) if x == f64::NEG_INFINITY => 0,
            (_, true) if x <= -smallest => 1,
            (_, true) if x < 0.0 => 2,
            (_, true) => 3,
            (_, false) if x == 0.0 => 4,
            (_, false) if x < smallest => 5,
            (_, false) if x < f64::INFINITY => 6,
            (_, false) => 7,
        };
        assert_eq!(classify::<F16>(a), 1 << bit, "{a:#x}");
    }
}

#[test]
fn single_and_double_precision_are_classified() {
    use std::num::FpCategory;
    for a in edges::<F64>() {
        let x = f64::from_bits(a);
        let (negative, positive) = match x.classify() {
            FpCategory::Infinite => (0, 7),
            FpCategory::Normal => (1, 6),
            FpCategory::Subnormal => (2, 5),
            FpCategory::Zero => (3, 4),
            FpCategory::Nan if F64::is_signalling(a) => (8, 8),
            FpCategory::Nan => (9, 9),
        };
        assert_eq!(classify::<F64>(a), 1 << if x.is_sign_negative() { negative } else { positive }, "{a:#x}");
    }
    assert_eq!(classify::<F32>(0x8000_0001), 1 << 2);
    assert_eq!(classify::<F32>(0x0080_0000), 1 << 6);
    assert_eq!(classify::<F32>(0x7fa0_0000), 1 << 8);
    assert_eq!(classify::<F32>(0xffc0_0000), 1 << 9);
}
