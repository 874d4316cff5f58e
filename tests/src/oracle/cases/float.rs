//! Float computation: edges of the format against each other, values where rounding happens, all rounding modes, static and
//! dynamic, and the invalid ones.

use super::*;
use crate::oracle::isa::Fmt;
use crate::oracle::values::{few_floats, floats, integer_boundaries, shape};

/// Rounding modes: field, `fcsr` before, whether on the whole list. Flags are set before in some, to see that they stay.
const MODES: [(u32, u64, bool); 15] = [
    (0, 3 << 5, true),
    (1, 0, true),
    (2, 1 << 5, true),
    (3, 2 << 5, true),
    (4, 7 << 5, true),
    (7, 0, false),
    (7, 1 << 5, false),
    (7, 2 << 5 | 0x1f, false),
    (7, 3 << 5 | 0x0a, false),
    (7, 4 << 5 | 0x15, false),
    // invalid
    (5, 0, false),
    (6, 0, false),
    (7, 5 << 5, false),
    (7, 6 << 5, false),
    (7, 7 << 5, false),
];

pub(super) fn fill(b: &mut Builder, rows: &[Row]) {
    for row in rows {
        let tests = match row.kind {
            Kind::Fff(f, rm) => binary(b, row, f, rm, false),
            Kind::Xff(f) => binary(b, row, f, false, true),
            Kind::Ff(f, rm) => unary(b, row, f, rm, false),
            Kind::Xf(f, rm) => unary(b, row, f, rm, true),
            Kind::Ffff(f) => fused(b, row, f),
            Kind::Fx(rm) => from_integer(b, row, rm),
            Kind::Fli => constants(b, row),
            _ => continue,
        };
        b.group(row.name.clone(), tests);
    }
}

/// The word in every mode that the row has, on `all` or, where a sample does, on `few`.
fn modes(row: &Row, text: &str, word: u32, rm: bool, all: usize, few: usize) -> Vec<Test> {
    let name = &row.name;
    if !rm {
        let with = |fcsr, list| Test { fcsr, ..light(format!("{name} {text}, fcsr {fcsr:#x}"), word, list) };
        // An invalid dynamic mode is nothing to an instruction that does not round.
        return vec![with(0, all), with(0x1f, few), with(7 << 5, few)];
    }
    let one = |(mode, fcsr, whole): (u32, u64, bool)| {
        let text = format!("{name} {text}, rm {mode}, fcsr {fcsr:#x}");
        Test { fcsr, ..light(text, word | mode << 12, if whole { all } else { few }) }
    };
    MODES.into_iter().map(one).collect()
}

fn two_operands(b: &mut Builder, f: Fmt) -> (usize, usize) {
    let all = b.list(&format!("{f:?} pairs"), |rng| {
        let edges = floats(f);
        let mut v = Vec::new();
        for x in &edges {
            for y in &edges {
                v.extend([*x, *y, rng.float(f), 0]);
            }
        }
        for _ in 0..3000 {
            v.extend([rng.float(f), rng.float(f), 0, 0]);
        }
        // Neighbours, for cancellation and ties.
        for _ in 0..500 {
            let x = rng.float(f);
            v.extend([
                x,
                x.wrapping_add(rng.below(5)).wrapping_sub(2) ^ rng.below(2) << (shape(f).0 + shape(f).1),
                0,
                0,
            ]);
        }
        v
    });
    let few = b.list(&format!("{f:?} few pairs"), |rng| {
        let edges = few_floats(f);
        let mut v: Vec<u64> = edges.iter().flat_map(|x| edges.iter().flat_map(|y| [*x, *y, 0, 0])).collect();
        for _ in 0..200 {
            v.extend([rng.float(f), rng.float(f), 0, 0]);
        }
        v
    });
    (all, few)
}

fn binary(b: &mut Builder, row: &Row, f: Fmt, rm: bool, integer: bool) -> Vec<Test> {
    let (all, few) = two_operands(b, f);
    let mut tests = modes(row, "12, f10, f11", place(row, 12, 10, 11), rm, all, few);
    let aliases = if integer {
        [(0, 10, 11), (12, 10, 10), (12, 11, 10)]
    } else {
        [(10, 10, 11), (11, 10, 11), (10, 10, 10)]
    };
    for (d, s1, s2) in aliases {
        tests.push(light(format!("{} {d}, f{s1}, f{s2}", row.name), place(row, d, s1, s2), few));
    }
    tests
}

fn one_operand(b: &mut Builder, f: Fmt) -> (usize, usize) {
    let all = b.list(&format!("{f:?}"), |rng| {
        let edges = floats(f).into_iter().chain(integer_boundaries(f)).collect::<Vec<_>>();
        let random = (0..4000).map(|_| rng.float(f)).collect::<Vec<_>>();
        edges.into_iter().chain(random).flat_map(|x| [x, 0, 0, 0]).collect()
    });
    let few = b.list(&format!("{f:?} few"), |rng| {
        let edges = floats(f).into_iter().chain(integer_boundaries(f)).collect::<Vec<_>>();
        let random = (0..200).map(|_| rng.float(f)).collect::<Vec<_>>();
        edges.into_iter().chain(random).flat_map(|x| [x, 0, 0, 0]).collect()
    });
    (all, few)
}

/// From one float; narrowing conversions also get values round the edges of the narrow format.
fn unary(b: &mut Builder, row: &Row, f: Fmt, rm: bool, integer: bool) -> Vec<Test> {
    let (all, few) = if row.name.starts_with("fcvt.h.") || row.name == "fcvt.s.d" {
        let all = b.list(&format!("{f:?} to narrow"), |rng| narrowing(rng, f));
        (all, one_operand(b, f).1)
    } else if f == Fmt::H {
        // There are only 65,536 of them.
        let all = b.list("every half", |_| {
            (0..0x1_0000u64).flat_map(|h| [0xffff_ffff_ffff_0000 | h, 0, 0, 0]).collect()
        });
        (if rm { one_operand(b, f).0 } else { all }, one_operand(b, f).1)
    } else {
        one_operand(b, f)
    };
    let mut tests = modes(row, "12, f10", place(row, 12, 10, 0), rm, all, few);
    let d = if integer { 0 } else { 10 };
    tests.push(light(format!("{} {d}, f10", row.name), place(row, d, 10, 0), few));
    tests
}

/// Values near the narrow formats' values, halves between them and their ends.
fn narrowing(rng: &mut Rng, from: Fmt) -> Vec<u64> {
    let mut v: Vec<u64> = floats(from);
    for to in [Fmt::S, Fmt::H] {
        if to == from {
            continue;
        }
        let (te, tm) = shape(to);
        let (fe, fm) = shape(from);
        let (tb, fb) = ((1u64 << (te - 1)) - 1, (1u64 << (fe - 1)) - 1);
        for _ in 0..3000 {
            let exponent = fb + rng.below(2 * tb + tm + 6) - tb - tm - 2;
            let tail = rng.pick(&[
                0,
                1,
                1 << (fm - tm - 1),
                (1 << (fm - tm - 1)) + 1,
                (1 << (fm - tm - 1)) - 1,
                (1 << (fm - tm)) - 1,
            ]);
            let head = if rng.one_in(3) { u64::MAX } else { rng.next() } & ((1 << tm) - 1);
            let bits = rng.below(2) << (fe + fm) | exponent << fm | head << (fm - tm) | tail;
            v.push(super::super::values::boxed(from, bits));
            // Subnormal results lose more bits: ties there need a shorter head.
            let cut = rng.below(fm);
            v.push(super::super::values::boxed(from, bits >> cut << cut));
        }
    }
    v.into_iter().flat_map(|x| [x, 0, 0, 0]).collect()
}

fn fused(b: &mut Builder, row: &Row, f: Fmt) -> Vec<Test> {
    let all = b.list(&format!("{f:?} triples"), |rng| {
        let edges = few_floats(f);
        let mut v = Vec::new();
        for x in &edges {
            for y in &edges {
                for z in &edges {
                    v.extend([*x, *y, *z, 0]);
                }
            }
        }
        for _ in 0..3000 {
            v.extend([rng.float(f), rng.float(f), rng.float(f), 0]);
        }
        // Near cancellation: the third is about the product of the first two.
        let (e, m) = shape(f);
        let bias = (1u64 << (e - 1)) - 1;
        for _ in 0..1000 {
            let near_one = |rng: &mut Rng| {
                (bias + rng.below(4)) << m | (u64::MAX << rng.below(m) & ((1 << m) - 1)) | rng.below(4)
            };
            let (x, y) = (near_one(rng), near_one(rng));
            let z = (x + y).wrapping_sub(bias << m).wrapping_add(rng.below(7)).wrapping_sub(3)
                | rng.below(2) << (e + m);
            v.extend([x, y, z].map(|k| super::super::values::boxed(f, k)));
            v.push(0);
        }
        v
    });
    let few = b.list(&format!("{f:?} few triples"), |rng| {
        let edges = few_floats(f);
        let mut v = Vec::new();
        for _ in 0..500 {
            v.extend([rng.pick(&edges), rng.pick(&edges), rng.pick(&edges), 0]);
            v.extend([rng.float(f), rng.float(f), rng.float(f), 0]);
        }
        v
    });
    let word = |d: u32, s1: u32, s2: u32, s3: u32| place(row, d, s1, s2) | s3 << 27;
    let mut tests = modes(row, "f13, f10, f11, f12", word(13, 10, 11, 12), true, all, few);
    for (d, s1, s2, s3) in [(10, 10, 11, 12), (12, 10, 11, 12), (10, 10, 10, 10), (13, 10, 11, 11)] {
        tests.push(light(format!("{} f{d}, f{s1}, f{s2}, f{s3}", row.name), word(d, s1, s2, s3), few));
    }
    tests
}

fn from_integer(b: &mut Builder, row: &Row, rm: bool) -> Vec<Test> {
    let all = b.list("integers to floats", |rng| {
        let mut v = INTEGERS.to_vec();
        for power in 0..64 {
            for tail in [10u32, 11, 12, 23, 24, 25, 26, 52, 53, 54, 55] {
                let x = 1u64 << power;
                let half = x.checked_shr(tail).unwrap_or(0);
                v.extend([
                    x + half,
                    (x + half).wrapping_add(1),
                    (x + half).wrapping_sub(1),
                    x.wrapping_add(3 * half),
                    (x + half).wrapping_neg(),
                ]);
            }
        }
        v.extend((0..2000).map(|_| rng.integer()));
        v.into_iter().flat_map(|x| [x, rng.next(), 0, 0]).collect()
    });
    let few = short_pairs(b);
    let mut tests = modes(row, "f12, x10", place(row, 12, 10, 0), rm, all, few);
    tests.push(light(format!("{} f12, x0", row.name), place(row, 12, 0, 0), few));
    tests
}

fn constants(b: &mut Builder, row: &Row) -> Vec<Test> {
    let few = b.list("one", |rng| vec![rng.next(), rng.next(), rng.next(), 0]);
    (0..32).map(|k| light(format!("{} f12, {k}", row.name), place(row, 12, k, 0), few)).collect()
}
