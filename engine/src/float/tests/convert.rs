//! Conversions between formats and from integers, against the reference.

use rustc_apfloat::{Float, FloatConvert};

use super::super::{Bf16, Env, F16, F32, F64, soft};
use super::oracle::{Reference, expected, number, rounding, widen};
use super::{MODES, Random, edges, env};

fn check<F: Reference, G: Reference>(a: u64, mut env: Env) {
    let x = number::<F>(a);
    let mut loses = false;
    let result = x.convert_r(rounding(env.round), &mut loses);
    let wide = |round| widen::<_, super::oracle::WideDouble>(x).convert_r(round, &mut false).value;
    let want = expected::<G>(&env, F::is_signalling(a), result, wide);
    let asked = env;
    let got = soft::convert::<F, G>(a, &mut env);
    assert_eq!((got, env.flags), want, "{a:#x} {asked:?}");
}

fn pair<F: Reference, G: Reference>(seed: u64) {
    let mut random = Random::new(seed);
    let edges_of_target =
        edges::<G>().into_iter().map(|bits| soft::convert::<G, F>(bits, &mut env(MODES[0], false)));
    let values =
        edges::<F>().into_iter().chain(edges_of_target).chain((0..50_000).map(|_| random.operand::<F>()));
    for a in values.collect::<Vec<_>>() {
        for round in MODES {
            check::<F, G>(a, env(round, random.below(2) == 0));
        }
    }
}

#[test]
fn every_half_converts_as_in_the_reference() {
    for a in 0..=0xffff {
        for round in MODES {
            check::<F16, F32>(a, env(round, false));
            check::<F16, F64>(a, env(round, false));
            check::<F16, Bf16>(a, env(round, false));
        }
    }
}

#[test]
fn conversions_between_formats_are_the_references() {
    pair::<F32, F16>(21);
    pair::<F64, F16>(22);
    pair::<F64, F32>(23);
    pair::<F32, F64>(24);
    pair::<F32, Bf16>(25);
    pair::<F64, Bf16>(26);
    pair::<Bf16, F16>(27);
}

fn from_integers<F: Reference>(seed: u64) {
    let mut random = Random::new(seed);
    let mut values = vec![0, 1, 2, 3, u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, 65_519, 65_520];
    for shift in 1..64 {
        values.extend([1 << shift, (1 << shift) - 1, (1 << shift) + 1, 3 << (shift - 1), u64::MAX << shift]);
        // Halfway between neighbours of every format.
        values
            .extend([11, 12, 24, 25, 53, 54].map(|bits| ((1u64 << 63) | (1 << (64 - bits))) >> (63 - shift)));
    }
    values.extend((0..50_000).map(|_| random.next() >> random.below(64)));
    for value in values {
        for round in MODES {
            let mut unsigned = env(round, false);
            let exact = u128::from(value);
            let (result, wide) =
                (Float::from_u128_r(exact, rounding(round)), |r| Float::from_u128_r(exact, r).value);
            let want = expected::<F>(&unsigned, false, result, wide);
            let got = soft::from_u64::<F>(value, &mut unsigned);
            assert_eq!((got, unsigned.flags), want, "{value:#x} {round:?}");

            let mut signed = env(round, false);
            let exact = i128::from(value as i64);
            let (result, wide) =
                (Float::from_i128_r(exact, rounding(round)), |r| Float::from_i128_r(exact, r).value);
            let want = expected::<F>(&signed, false, result, wide);
            let got = soft::from_i64::<F>(value as i64, &mut signed);
            assert_eq!((got, signed.flags), want, "{exact} {round:?}");
        }
    }
}

#[test]
fn conversions_from_integers_are_the_references() {
    from_integers::<F16>(31);
    from_integers::<F32>(32);
    from_integers::<F64>(33);
}
