//! The index of the decode table, built at compile time.
//!
//! Full-size encodings fall into buckets by major opcode and third function field, float arithmetic (whose third
//! field is a rounding mode) by the seventh; compressed ones by quadrant and their upper six bits. A bucket lists
//! the rows that can match in it, in table order.

use super::row::Row;
use super::{table_a, table_b, table_c, table_f, table_i, table_sys};

const PARTS: [&[Row]; 7] = [
    table_i::HINTS,
    table_i::ROWS,
    table_b::ROWS,
    table_a::ROWS,
    table_f::ROWS,
    table_sys::ROWS,
    table_c::ROWS,
];

const ROWS: usize = {
    let mut n = 0;
    let mut i = 0;
    while i < PARTS.len() {
        n += PARTS[i].len();
        i += 1;
    }
    n
};

/// Every row.
pub static TABLE: [Row; ROWS] = {
    let mut table = [PARTS[0][0]; ROWS];
    let (mut n, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut i = 0;
        while i < PARTS[part].len() {
            table[n] = PARTS[part][i];
            n += 1;
            i += 1;
        }
        part += 1;
    }
    table
};

const OP_FP: u32 = 0x53;
/// Buckets of full-size encodings by opcode and third field, of float arithmetic, of compressed encodings.
const BY_F3: usize = 256;
const BY_F7: usize = 128;
const BY_HALF: usize = 256;
const BUCKETS: usize = BY_F3 + BY_F7 + BY_HALF;

#[inline]
const fn bucket(raw: u32) -> usize {
    if raw & 3 != 3 {
        BY_F3 + BY_F7 + (raw >> 8 & 0xfc | raw & 3) as usize
    } else if raw & 0x7f == OP_FP {
        BY_F3 + (raw >> 25) as usize
    } else {
        ((raw & 0x7c) << 1 | raw >> 12 & 7) as usize
    }
}

/// The bits that all encodings of a bucket share, and which those are.
const fn shared(bucket: usize) -> (u32, u32) {
    let n = bucket as u32;
    if bucket < BY_F3 {
        ((n & 0xf8) >> 1 | 3 | (n & 7) << 12, 0x707f)
    } else if bucket < BY_F3 + BY_F7 {
        (OP_FP | (n - BY_F3 as u32) << 25, 0xfe00_007f)
    } else {
        let k = n - (BY_F3 + BY_F7) as u32;
        ((k & 0xfc) << 8 | k & 3, 0xfc03)
    }
}

struct Index {
    /// Where each bucket's entries start; one more for the end of the last.
    start: [u16; BUCKETS + 1],
    /// Row numbers.
    entries: [u16; CAPACITY],
}

/// Room for the entries of all buckets (rows that span buckets are listed in each).
const CAPACITY: usize = 1024;

#[allow(long_running_const_eval)]
static INDEX: Index = {
    let mut index = Index { start: [0; BUCKETS + 1], entries: [0; CAPACITY] };
    let (mut b, mut n) = (0, 0);
    while b < BUCKETS {
        index.start[b] = n as u16;
        let (bits, mask) = shared(b);
        let mut i = 0;
        while i < ROWS {
            let row = &TABLE[i];
            // Float arithmetic has buckets of its own, and quadrant 3 is not compressed.
            let used = if b < BY_F3 { bits & 0x7f != OP_FP } else { b < BY_F3 + BY_F7 || bits & 3 != 3 };
            if used && (row.bits ^ bits) & row.mask & mask == 0 {
                index.entries[n] = i as u16;
                n += 1;
            }
            i += 1;
        }
        b += 1;
    }
    index.start[BUCKETS] = n as u16;
    index
};

/// The rows that may match `raw`, in table order. The caller compares the bits.
#[inline]
pub fn rows(raw: u32) -> impl Iterator<Item = &'static Row> {
    let b = bucket(raw);
    let range = INDEX.start[b] as usize..INDEX.start[b + 1] as usize;
    INDEX.entries[range].iter().map(|&i| &TABLE[i as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_through_its_bucket() {
        for row in &TABLE {
            assert!(rows(row.bits).any(|r| std::ptr::eq(r, row)), "{}", row.name);
            let full = row.bits & 3 == 3;
            assert_eq!(row.mask & 3, 3, "{}", row.name);
            assert!(full || row.mask >> 16 == 0, "{}", row.name);
        }
    }

    #[test]
    fn buckets_are_short() {
        let longest = (0..BUCKETS).map(|b| INDEX.start[b + 1] - INDEX.start[b]).max();
        assert!(longest.is_some_and(|n| n <= 24), "{longest:?}");
    }
}
