//! What the chips say of themselves.

/// Manufacturer (Intel) and device, by word.
pub(super) fn identity(word: u64) -> u16 {
    match word & 0xff {
        0 => 0x89,
        1 => 0x18,
        _ => 0,
    }
}

const CHIPS: u64 = 2;

/// The query table of one chip (JESD68.01, table 1; vendor table of the Intel command set behind it).
pub(super) struct Query([u8; 0x40]);

impl Query {
    /// For a bank of `size` bytes, a power of two.
    pub(super) fn new(size: u64) -> Query {
        let blocks = (size / super::SECTOR).max(1) - 1;
        let block = super::SECTOR / CHIPS / 256;
        let mut t = [0; 0x40];
        let fields: [(usize, &[u8]); 7] = [
            // Command set 1 (Intel extended), its table at 0x31, no alternative.
            (0x10, &[b'Q', b'R', b'Y', 1, 0, 0x31, 0, 0, 0, 0, 0]),
            // 4.5 to 5.5 V, no programming voltage.
            (0x1b, &[0x45, 0x55, 0, 0]),
            // Typical times as powers of two: word and buffer in µs, sector in ms; then their maxima as factors.
            (0x1f, &[7, 7, 10, 0, 4, 4, 4, 0]),
            (0x27, &[(size / CHIPS).trailing_zeros() as u8, 2, 0]),
            (0x2a, &[(super::BUFFER / CHIPS).trailing_zeros() as u8, 0, 1]),
            (0x2d, &[blocks as u8, (blocks >> 8) as u8, block as u8, (block >> 8) as u8]),
            (0x31, &[b'P', b'R', b'I', b'1', b'0', 0, 0, 0, 0, 0, 0, 0]),
        ];
        for (at, bytes) in fields {
            t[at..at + bytes.len()].copy_from_slice(bytes);
        }
        Query(t)
    }

    /// Byte `word` of the table.
    pub(super) fn byte(&self, word: u64) -> u8 {
        usize::try_from(word).ok().and_then(|w| self.0.get(w).copied()).unwrap_or(0)
    }
}
