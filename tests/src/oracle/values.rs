//! Operand values at the edges, and a generator for those between.

use super::isa::Fmt;

/// xorshift64*, seeded, so that every run has the same cases.
#[derive(Clone)]
pub struct Rng(u64);

impl Rng {
    /// Seeded; zero is as good as any.
    pub fn new(seed: u64) -> Rng {
        let mut r = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d);
        if r.0 == 0 {
            r.0 = 1;
        }
        (0..4).for_each(|_| {
            r.next();
        });
        r
    }
    /// 64 random bits.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    /// Uniform below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        ((self.next() >> 32) * n) >> 32
    }
    /// True once in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
    /// One of `of`.
    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }
    /// Integers of every size, runs of ones, near powers of two.
    pub fn integer(&mut self) -> u64 {
        let x = self.next();
        match self.below(6) {
            0 => x,
            1 => x >> self.below(64),
            2 => (x as i64 >> self.below(64)) as u64,
            3 => (1u64 << self.below(64)).wrapping_add(self.below(5)).wrapping_sub(2),
            4 => (u64::MAX << self.below(64)) ^ (u64::MAX << self.below(64)),
            _ => self.pick(&INTEGERS),
        }
    }
    /// A value of `f`, boxed (mostly), with exponents and significands where rounding happens.
    pub fn float(&mut self, f: Fmt) -> u64 {
        let (e_bits, m_bits) = shape(f);
        let bias = (1u64 << (e_bits - 1)) - 1;
        let exponent = match self.below(5) {
            0 => self.below(1 << e_bits),
            1 => bias + self.below(2 * m_bits) - m_bits.min(bias),
            2 => bias + self.below(70.min(bias)),
            3 => self.below(m_bits + 3),
            _ => bias + self.below(4) - 2,
        };
        let m = match self.below(5) {
            0 => 0,
            1 => (u64::MAX << self.below(m_bits)) ^ (u64::MAX << self.below(m_bits)),
            2 => 1 << self.below(m_bits),
            _ => self.next(),
        } & ((1 << m_bits) - 1);
        let bits = self.below(2) << (e_bits + m_bits) | exponent.min((1 << e_bits) - 1) << m_bits | m;
        match f {
            Fmt::D => bits,
            _ if self.one_in(40) => self.next() << 32 | bits,
            _ => boxed(f, bits),
        }
    }
}

/// Exponent and significand bits.
pub fn shape(f: Fmt) -> (u64, u64) {
    match f {
        Fmt::H => (5, 10),
        Fmt::S => (8, 23),
        Fmt::D => (11, 52),
    }
}

/// NaN-boxed.
pub fn boxed(f: Fmt, bits: u64) -> u64 {
    match f {
        Fmt::H => 0xffff_ffff_ffff_0000 | bits,
        Fmt::S => 0xffff_ffff_0000_0000 | bits,
        Fmt::D => bits,
    }
}

/// Integer edges.
pub const INTEGERS: [u64; 40] = [
    0,
    1,
    2,
    3,
    7,
    8,
    31,
    32,
    33,
    63,
    64,
    65,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_ffff,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ff80,
    0xffff_ffff_ffff_8000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_7fff_ffff,
    0x8000_0000_0000_0001,
    0x5555_5555_5555_5555,
    0xaaaa_aaaa_aaaa_aaaa,
    0x0123_4567_89ab_cdef,
    0xfedc_ba98_7654_3210,
    0x0000_ffff_0000_ffff,
    0x00ff_0080_7f01_00ff,
    0x0000_0001_8000_0000,
];

/// Float edges of one format: zeros, subnormals, ends of the normal range, one and its neighbours, infinities, NaNs with
/// payloads, badly boxed values.
pub fn floats(f: Fmt) -> Vec<u64> {
    let (e, m) = shape(f);
    let bias = (1u64 << (e - 1)) - 1;
    let sign = 1u64 << (e + m);
    let inf = ((1u64 << e) - 1) << m;
    let one = bias << m;
    let ones = (1u64 << m) - 1;
    let mut v = vec![
        0,
        1,
        ones,         // largest subnormal
        1 << (m - 1), // middle subnormal
        ones + 1,     // smallest normal
        ones + 2,
        one,
        one + 1,
        one - 1,
        one | 1 << (m - 1), // 1.5
        one + ones + 1,     // 2
        (bias + m) << m,    // 2^m: the last bit is worth one
        (bias + m + 1) << m | 1,
        (bias - m - 1) << m | if bias > m { 0 } else { ones },
        (bias / 2) << m | 0x155 & ones,
        inf - 1,
        inf,
        inf | 1 << (m - 1),     // quiet
        inf | 1 << (m - 1) | 3, // quiet, payload
        inf | 1,                // signalling
        inf | ones >> 1,        // signalling, payload
    ];
    v.truncate(21);
    let mut all: Vec<u64> =
        v.iter().flat_map(|x| [*x, *x | sign]).map(|x| boxed(f, x & (sign | (sign - 1)))).collect();
    match f {
        Fmt::D => {}
        Fmt::S => all.extend([
            one,
            0x0000_0001_0000_0000 | one,
            0xffff_fffe_0000_0000 | one,
            0x7fff_ffff_0000_0000 | inf,
            0x4000_0000_0000_0000,
        ]),
        Fmt::H => all.extend([
            one,
            0xffff_ffff_0000_0000 | one,
            0xffff_ffff_fffe_0000 | one,
            0x7fff_ffff_ffff_0000 | inf,
            0xffff_ffff_3f80_0000,
        ]),
    }
    all
}

/// A smaller set for products of three.
pub fn few_floats(f: Fmt) -> Vec<u64> {
    let (e, m) = shape(f);
    let bias = (1u64 << (e - 1)) - 1;
    let sign = 1u64 << (e + m);
    let inf = ((1u64 << e) - 1) << m;
    let one = bias << m;
    let ones = (1u64 << m) - 1;
    let v = [
        0,
        sign,
        1,
        sign | ones,
        ones + 1,
        one,
        sign | one,
        one + 1,
        one - 1,
        sign | one | 1 << (m - 1),
        one + ones,
        inf - 1,
        sign | (inf - 1),
    ];
    let special = [inf, sign | inf, inf | 1 << (m - 1) | 5, inf | 1];
    let mut all: Vec<u64> = v.into_iter().chain(special).map(|x| boxed(f, x)).collect();
    if f != Fmt::D {
        all.push(one);
    }
    all
}

/// Values round the ends of the integer types and round halves, as floats of `f`.
pub fn integer_boundaries(f: Fmt) -> Vec<u64> {
    let (e, m) = shape(f);
    let bias = (1u64 << (e - 1)) - 1;
    let sign = 1u64 << (e + m);
    let inf = ((1u64 << e) - 1) << m;
    let mut v = Vec::new();
    for power in [0, 1, 2, 3, 7, 8, 10, 11, 15, 16, 23, 24, 31, 32, 52, 53, 62, 63, 64, 65, 83, 84] {
        let x = (bias + power) << m;
        if x < inf {
            v.extend((0..5).map(|k| x + k));
            v.extend((1..4).map(|k| x - k));
            v.push(x | 1 << (m - 1));
            // x - 1/2, x + 1/2 and neighbours where the format has them
            if power < m {
                let half = 1u64 << (m - power - 1);
                v.extend([x + half, x + half + 1, x + half - 1, x + 2 * half, x + 3 * half]);
            }
        }
    }
    let half = (bias - 1) << m;
    v.extend([half, half + 1, half - 1, half - (1 << m), (bias << m) | 3 << (m - 2), 1, 2, 1 << m]);
    v.iter().flat_map(|x| [*x, *x | sign]).map(|x| boxed(f, x)).collect()
}
