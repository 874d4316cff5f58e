//! Operands: edges of formats and of integer ranges, and random ones around them.

use crate::ir::op::Fmt;

/// A small generator (xorshift64*), the same numbers on every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    pub fn of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len() as u64) as usize]
    }

    /// A word for an operand of format `fmt`, now and then of the other.
    pub fn float(&mut self, fmt: Fmt) -> u64 {
        let other = if fmt == Fmt::S { Fmt::D } else { Fmt::S };
        match (self.below(16), fmt) {
            (0, _) => self.next(),
            (1, _) => self.of(&floats(other)),
            (2..6, _) => self.of(&floats(fmt)),
            (_, Fmt::S) => boxed(self.near(8, 23) as u32),
            _ => self.near(11, 52),
        }
    }

    /// Any bits; or close to one, where operands interact; or with few significant bits, where results are exact or halfway;
    /// or at the ends of the range.
    fn near(&mut self, exponent_bits: u32, fraction_bits: u32) -> u64 {
        let bits = self.next() >> (63 - exponent_bits - fraction_bits);
        let fraction = bits & ((1 << fraction_bits) - 1);
        let sign = bits & 1 << (exponent_bits + fraction_bits);
        let top = (1u64 << exponent_bits) - 1;
        let with = |exponent: u64, fraction: u64| sign | exponent << fraction_bits | fraction;
        match self.below(6) {
            0 => bits,
            1 => with(top / 2 - 3 + self.below(8), fraction),
            2 => with(1 + self.below(top), fraction & !((1 << (fraction_bits - 8)) - 1)),
            3 => with(self.below(4), fraction >> self.below(u64::from(fraction_bits))),
            4 => with(top - self.below(4), fraction),
            // Around the ends of the integers.
            _ => with(top / 2 + self.of(&[0, 1, 22, 23, 24, 30, 31, 32, 51, 52, 53, 62, 63, 64]), fraction),
        }
    }

    /// An integer of any length.
    pub fn integer(&mut self) -> u64 {
        match self.below(4) {
            0 => self.of(&INTEGERS),
            1 => self.next() >> self.below(64),
            2 => (self.next() as i64 >> self.below(64)) as u64,
            // Few significant bits and a tail: halfway cases.
            _ => (self.next() << 40 >> self.below(40)).wrapping_add(self.below(3)).wrapping_sub(1),
        }
    }
}

pub const INTEGERS: [u64; 22] = [
    0,
    1,
    2,
    u64::MAX,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0001,
    0xffff_ffff,
    0x1_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_7fff_ffff,
    (1 << 24) + 1,
    (1 << 24) - 1,
    (1 << 53) + 1,
    (1 << 53) - 1,
    (1 << 54) + 2,
    0x7fff_ffff_ffff_ffff,
    0x7fff_ffff_ffff_fc00,
    0x8000_0000_0000_0000,
    0x8000_0000_0000_0001,
    0x8000_0000_0000_0400,
    0xffff_ffff_ffff_fbff,
];

/// A single, boxed.
pub const fn boxed(bits: u32) -> u64 {
    bits as u64 | 0xffff_ffff_0000_0000
}

/// Numbers at which conversions to integers decide; each is used with its neighbours and both signs.
const LIMITS: [f64; 20] = [
    0.5,
    0.499_999_999_999_999_94,
    0.75,
    1.0,
    1.5,
    2.5,
    2_147_483_647.0,
    2_147_483_647.5,
    2_147_483_648.0,
    2_147_483_648.5,
    4_294_967_295.0,
    4_294_967_295.5,
    4_294_967_296.0,
    4_294_967_296.5,
    4_503_599_627_370_495.5,
    9_007_199_254_740_991.0,
    9_223_372_036_854_774_784.0,
    9_223_372_036_854_775_808.0,
    18_446_744_073_709_549_568.0,
    18_446_744_073_709_551_616.0,
];

/// The edges of a format as words.
pub fn floats(fmt: Fmt) -> Vec<u64> {
    let mut words = Vec::new();
    if fmt == Fmt::S {
        // Zero, subnormals, normals, infinity, NaNs.
        let edges = [
            0,
            1,
            0x7f_ffff,
            0x80_0000,
            0x80_0001,
            0x3f7f_ffff,
            0x3f80_0000,
            0x7f7f_ffff,
            0x7f80_0000,
            0x7f80_0001,
            0x7fa0_0000,
            0x7fc0_0000,
            0x7fff_ffff,
        ];
        words.extend(edges.iter().flat_map(|&e| [boxed(e), boxed(e | 1 << 31)]));
        words.extend([0x3f80_0000, 0x7f80_0000, 0xffff_fffe_3f80_0000, 0x7fff_ffff_0000_0000]);
    } else {
        let edges = [
            0,
            1,
            0xf_ffff_ffff_ffff,
            0x10_0000_0000_0000,
            0x10_0000_0000_0001,
            0x3fef_ffff_ffff_ffff,
            0x3ff0_0000_0000_0000,
            0x7fef_ffff_ffff_ffff,
            0x7ff0_0000_0000_0000,
            0x7ff0_0000_0000_0001,
            0x7ff4_0000_0000_0000,
            0x7ff8_0000_0000_0000,
            0x7fff_ffff_ffff_ffff,
            // Around the smallest and largest singles, and between two of them.
            0x36a0_0000_0000_0000,
            0x380f_ffff_ffff_ffff,
            0x3810_0000_0000_0000,
            0x47ef_ffff_efff_ffff,
            0x47ef_ffff_f000_0000,
            0x3ff0_0000_1000_0000,
        ];
        words.extend(edges.iter().flat_map(|&e: &u64| [e, e | 1 << 63]));
        words.extend([boxed(0x7f80_0000), boxed(0x3f80_0000)]);
    }
    words
}

/// The edges and, for operations of one operand, what lies around the limits of integers.
pub fn floats_and_limits(fmt: Fmt) -> Vec<u64> {
    let mut words = floats(fmt);
    for limit in LIMITS {
        for step in -1..=1i64 {
            let word = match fmt {
                Fmt::S => boxed((limit as f32).to_bits().wrapping_add_signed(step as i32)),
                _ => limit.to_bits().wrapping_add_signed(step),
            };
            let sign = if fmt == Fmt::S { 1 << 31 } else { 1 << 63 };
            words.extend([word, word | sign]);
        }
    }
    words
}
