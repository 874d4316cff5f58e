//! Integer computation on edges, with aliased registers and extreme immediates.

use super::*;

/// rd, rs1, rs2 of the aliasing variants: each overlap, and x0 in each place.
const ALIASES: [(u32, u32, u32); 8] = [
    (10, 10, 11),
    (11, 10, 11),
    (12, 10, 10),
    (10, 10, 10),
    (0, 10, 11),
    (12, 0, 11),
    (12, 10, 0),
    (12, 0, 0),
];

pub(super) fn fill(b: &mut Builder, rows: &[Row]) {
    for row in rows {
        let tests = match row.kind {
            Kind::Rrr => three(b, row),
            Kind::Rr => two(b, row),
            Kind::Imm => immediate(b, row),
            Kind::Shift6 => shift(b, row, 64),
            Kind::Shift5 => shift(b, row, 32),
            Kind::Upper => upper(b, row),
            _ => continue,
        };
        b.group(row.name.clone(), tests);
    }
    // Hints and prefetches: `ori x0` in all forms, `pause`.
    let list = short_pairs(b);
    let mut hints = vec![light("pause".into(), 0x0100_000f, list)];
    for (name, n) in [("prefetch.i", 0), ("prefetch.r", 1), ("prefetch.w", 3)] {
        for offset in [0u32, 0x7e0, 0x800, 0xfe0] {
            hints.push(light(
                format!("{name} {offset:#x}(x10)"),
                (offset | n) << 20 | 10 << 15 | 6 << 12 | 0x13,
                list,
            ));
        }
    }
    b.group("hints", hints);
}

fn three(b: &mut Builder, row: &Row) -> Vec<Test> {
    let all = pairs(b);
    let few = short_pairs(b);
    let name = &row.name;
    let mut tests = vec![light(format!("{name} x12, x10, x11"), place(row, 12, 10, 11), all)];
    for (d, s1, s2) in ALIASES {
        tests.push(light(format!("{name} x{d}, x{s1}, x{s2}"), place(row, d, s1, s2), few));
    }
    tests
}

fn two(b: &mut Builder, row: &Row) -> Vec<Test> {
    let all = pairs(b);
    let few = short_pairs(b);
    let mut tests = vec![light(format!("{} x12, x11", row.name), place(row, 12, 11, 0), all)];
    for (d, s) in [(10, 10), (0, 10), (12, 0)] {
        tests.push(light(format!("{} x{d}, x{s}", row.name), place(row, d, s, 0), few));
    }
    tests
}

fn immediate(b: &mut Builder, row: &Row) -> Vec<Test> {
    let few = short_pairs(b);
    let mut values = vec![0, 1, -1, 2, -2, 31, 32, 63, 64, 0x7ff, 0x7fe, -2048, -2047, 0x555, -0x556];
    values.extend((0..8).map(|_| b.rng.below(4096) as i32 - 2048));
    let mut tests = Vec::new();
    for imm in values {
        for (d, s) in [(12, 10), (10, 10), (0, 10), (12, 0)] {
            let word = place(row, d, s, 0) | (imm as u32 & 0xfff) << 20;
            tests.push(light(format!("{} x{d}, x{s}, {imm}", row.name), word, few));
        }
    }
    tests
}

fn shift(b: &mut Builder, row: &Row, width: u32) -> Vec<Test> {
    let few = short_pairs(b);
    let one = |d, s, n| light(format!("{} x{d}, x{s}, {n}", row.name), place(row, d, s, 0) | n << 20, few);
    let mut tests: Vec<_> = (0..width).map(|n| one(12, 10, n)).collect();
    tests.extend([(10, 10), (0, 10), (12, 0)].map(|(d, s)| one(d, s, 5)));
    tests
}

fn upper(b: &mut Builder, row: &Row) -> Vec<Test> {
    let few = short_pairs(b);
    let mut values = vec![0, 1, 0x7ffff, 0x80000, 0xfffff, 0xffffe, 0x55555, 0xaaaaa];
    values.extend((0..8).map(|_| b.rng.below(1 << 20) as u32));
    let one =
        |d: u32, imm: u32| light(format!("{} x{d}, {imm:#x}", row.name), row.bits | imm << 12 | d << 7, few);
    values.iter().flat_map(|v| [one(12, *v), one(0, *v)]).collect()
}
