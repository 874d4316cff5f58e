//! What a compiler hands over: code bytes before they have an address.

use super::across::{CERTIFICATE_WORDS, PageMap};
use super::ways::Site;
use crate::watch::apart::Mark;

/// A place in code that names a word of the translation's record: a 32-bit displacement, relative to the four bytes behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordRef {
    /// Offset of the displacement in the code.
    pub at: u32,
    /// Offset of the word in the record, plus how much shorter than usual the distance is counted (0 unless bytes of an
    /// immediate follow the displacement).
    pub offset: i32,
}

/// Position-independent code but for its references to its record.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Emitted {
    /// The bytes; the entry is the first.
    pub code: Vec<u8>,
    /// Where the cold part begins, if there is one: from there to the end the code may lie elsewhere.
    pub cold: Option<u32>,
    /// Displacements, of 32 bits, from one part to the other: what they hold is good where cold code lies behind hot.
    pub joins: Vec<u32>,
    /// Where the distance to the record is to be filled in.
    pub refs: Vec<RecordRef>,
    /// For each link slot of the record the offset in `code` of the cold stub that it holds while it is not linked.
    pub stubs: Vec<u32>,
    /// Exits that count, whose words lie behind the link slots.
    pub sites: Vec<Site>,
    /// The pages of which it makes sure at its entry, if there are several: certificates of the harts lie behind the counters.
    pub pages: PageMap,
    /// Nanoseconds that it took to compile, once that is known.
    pub compile_ns: u64,
    /// What the code is from which offset on, in order, if the compiler was asked to note it; instructions by [`name`].
    pub marks: Vec<(u32, Mark)>,
}

/// How compilers name guest instruction `insn` of block `block`.
pub const fn name(block: usize, insn: usize) -> u32 {
    ((block as u32) << 8) | (insn as u32 & 0xff)
}

/// Block and instruction of a [`name`].
pub const fn names(name: u32) -> (u32, u32) {
    (name >> 8, name & 0xff)
}

impl Emitted {
    /// Bytes that are run most, and the rest.
    pub fn parts(&self) -> (usize, usize) {
        let hot = self.cold.map_or(self.code.len(), |at| at as usize);
        (hot, self.code.len() - hot)
    }

    /// Words of the record behind its head and before the certificates.
    pub fn words(&self) -> usize {
        self.stubs.len() + self.sites.iter().map(Site::words).sum::<usize>()
    }

    /// Words of the certificates of so many harts.
    pub fn certificate_words(&self, harts: usize) -> usize {
        if self.pages.is_empty() { 0 } else { harts * CERTIFICATE_WORDS }
    }
}
