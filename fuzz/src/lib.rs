//! What the fuzz targets share: a reader that makes choices of the fuzzer's bytes.

/// The fuzzer's bytes as a stream of choices; zeroes when they run out.
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// Choices from `bytes`.
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices(bytes)
    }

    /// Whether there are no more.
    pub fn done(&self) -> bool {
        self.0.is_empty()
    }

    /// Next byte.
    pub fn u8(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Next two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    /// Next four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) | u32::from(self.u16()) << 16
    }

    /// Next eight bytes.
    pub fn u64(&mut self) -> u64 {
        u64::from(self.u32()) | u64::from(self.u32()) << 32
    }

    /// Less than `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        if n <= 256 { self.u8() as usize % n } else { self.u32() as usize % n }
    }

    /// Up to `max` bytes.
    pub fn bytes(&mut self, max: usize) -> &'a [u8] {
        let wanted = if max <= 255 { self.u8() as usize } else { self.u16() as usize };
        let (now, rest) = self.0.split_at(wanted.min(max).min(self.0.len()));
        self.0 = rest;
        now
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// A value that hardware may care about: small, near an edge, one bit, an address, or anything.
    pub fn value(&mut self, address: u64) -> u64 {
        match self.u8() % 8 {
            0 => u64::from(self.u8()),
            1 => u64::MAX - u64::from(self.u8()),
            2 => 1 << (self.u8() & 63),
            3 | 4 => address.wrapping_add(u64::from(self.u16())),
            5 => u64::from(self.u16()),
            6 => u64::from(self.u32()),
            _ => self.u64(),
        }
    }
}

/// Changes some of `bytes`, or their number.
pub fn mutate(bytes: &mut Vec<u8>, c: &mut Choices<'_>) {
    for _ in 0..=c.u8() % 4 {
        let at = c.below(bytes.len().max(1));
        match c.u8() % 4 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), c.u8()),
            2 => {
                let new = c.bytes(16);
                bytes.iter_mut().skip(at).zip(new).for_each(|(b, n)| *b = *n);
            }
            _ => {
                let new = c.u8();
                bytes.iter_mut().skip(at).take(1).for_each(|b| *b = new);
            }
        }
    }
}
