//! The fetch table of a set, and the generation of the look-ups that were made through it.
//!
//! The problem: a hart's jump cache answers by guest address without asking the TLB, so it must be void as soon as a
//! translation that it may rest on is dropped; but a guest fences one data page after the other, and code look-ups are what a
//! fence must not cost. An answer goes into the jump cache only while the fetch table holds its page. So a page that is not in
//! the table, and has not left it under this generation, stands behind no answer: dropping it moves nothing. Pages that
//! left the table for another one are remembered in a filter that may say yes too often, never no too often.

use super::{EMPTY, Entry, NONE, slot};
use crate::mem::{PAGE_MASK, PAGE_SHIFT};

/// Entries of a fetch table.
pub(super) const ENTRIES: usize = 256;

/// Pages that were dropped from a table without telling anybody.
#[derive(Default)]
struct Lost {
    bits: [u64; 16],
    any: bool,
}

impl Lost {
    fn bit(page: u64) -> (usize, u64) {
        let hash = (page >> PAGE_SHIFT).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        (hash as usize >> 6, 1 << (hash & 63))
    }

    fn add(&mut self, page: u64) {
        let (word, bit) = Lost::bit(page);
        self.bits[word] |= bit;
        self.any = true;
    }

    fn may_have(&self, page: u64) -> bool {
        let (word, bit) = Lost::bit(page);
        self.bits[word] & bit != 0
    }

    fn clear(&mut self) {
        if self.any {
            *self = Lost::default();
        }
    }
}

/// A fetch table. Methods that drop entries say whether look-ups may have rested on them.
pub(super) struct Fetch {
    entries: Box<[Entry; ENTRIES]>,
    lost: Lost,
    /// Something was entered since the table was cleared.
    used: bool,
}

impl Fetch {
    pub fn new() -> Fetch {
        Fetch { entries: Box::new([NONE; ENTRIES]), lost: Lost::default(), used: false }
    }

    /// The physical address of `va`.
    #[inline]
    pub fn get(&self, va: u64) -> Option<u64> {
        let e = &self.entries[slot(va, ENTRIES)];
        (e.tag == va & PAGE_MASK).then(|| va.wrapping_add(e.addend))
    }

    /// Enters the page of `va`.
    pub fn put(&mut self, va: u64, pa: u64) {
        let page = va & PAGE_MASK;
        let entry = Entry { tag: page, addend: (pa & PAGE_MASK).wrapping_sub(page) };
        let old = std::mem::replace(&mut self.entries[slot(va, ENTRIES)], entry);
        if old.tag != EMPTY && old.tag != page {
            self.lost.add(old.tag);
        }
        self.used = true;
    }

    /// Drops the page of `va`. True if look-ups may rest on it.
    #[must_use]
    pub fn drop_page(&mut self, va: u64) -> bool {
        let page = va & PAGE_MASK;
        let entry = &mut self.entries[slot(va, ENTRIES)];
        let here = entry.tag == page;
        if here {
            *entry = NONE;
        }
        let moved = here || self.lost.may_have(page);
        if moved {
            self.lost.clear();
        }
        moved
    }

    /// Drops everything. True if look-ups may rest on some of it.
    #[must_use]
    pub fn clear(&mut self) -> bool {
        self.lost.clear();
        let used = std::mem::take(&mut self.used);
        if used {
            self.entries.fill(NONE);
        }
        used
    }
}
