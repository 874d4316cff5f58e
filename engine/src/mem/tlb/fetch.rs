//! The fetch table of a set, and what the code look-ups made through it rest on.
//!
//! The problem: a hart's jump cache answers by guest address without asking the TLB, so it must be void as soon as a
//! translation that it may rest on is dropped; but a guest fences one data page after the other, and code look-ups are what a
//! fence must not cost. An answer goes into the jump cache only while the fetch table holds its page. So a page that is not in
//! the table, and has not left it under this generation, stands behind no answer: dropping it moves nothing. Pages that
//! left the table for another one are remembered in a filter that may say yes too often, never no too often.

use super::size::Size;
use super::table::Table;
use crate::mem::{PAGE_MASK, PAGE_SHIFT};

/// Pages that left a table without telling anybody.
#[derive(Default)]
struct Lost {
    bits: [u64; 16],
    any: bool,
    /// One of them belonged to a mapping larger than a page.
    large: bool,
}

impl Lost {
    fn bit(page: u64) -> (usize, u64) {
        let hash = (page >> PAGE_SHIFT).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        (hash as usize >> 6, 1 << (hash & 63))
    }

    fn add(&mut self, page: u64, size: Size) {
        let (word, bit) = Lost::bit(page);
        self.bits[word] |= bit;
        (self.any, self.large) = (true, self.large | size.is_large());
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

/// A fetch table. Methods that drop entries say whether look-ups may have rested on them: then all look-ups of the set are
/// void.
pub(super) struct Fetch {
    pub table: Table,
    lost: Lost,
}

impl Fetch {
    pub fn new() -> Fetch {
        Fetch { table: Table::new(), lost: Lost::default() }
    }

    /// The physical address of `va`.
    #[inline]
    pub fn get(&self, va: u64) -> Option<u64> {
        self.table.get(va).map(|addend| va.wrapping_add(addend))
    }

    /// Enters the page of `va`.
    pub fn put(&mut self, va: u64, pa: u64, size: Size) {
        let addend = (pa & PAGE_MASK).wrapping_sub(va & PAGE_MASK);
        if let Some((page, size)) = self.table.put(va, addend, size) {
            self.lost.add(page, size);
        }
    }

    fn void(&mut self, gone: bool) -> bool {
        if gone {
            self.lost.clear();
        }
        gone
    }

    /// Drops the page of `va` unless it is global and `globals` is false.
    #[must_use]
    pub fn drop_page(&mut self, va: u64, globals: bool) -> bool {
        let here = self.table.drop_page(va, globals);
        self.void(here || self.lost.may_have(va & PAGE_MASK))
    }

    /// Drops what belongs to mappings that cover `va`, some of which may be large.
    #[must_use]
    pub fn drop_covering(&mut self, va: u64) -> bool {
        let used = self.table.used();
        self.table.drop_where(|e, size| size.covers(e.tag, va));
        let gone = self.table.used() != used || self.lost.large || self.lost.may_have(va & PAGE_MASK);
        self.void(gone)
    }

    /// Drops all but global mappings.
    #[must_use]
    pub fn drop_locals(&mut self) -> bool {
        let gone = self.table.has_locals();
        self.table.drop_locals();
        self.void(gone)
    }

    /// Drops everything.
    #[must_use]
    pub fn clear(&mut self) -> bool {
        let gone = !self.table.is_clear() || self.lost.any;
        self.table.clear();
        self.void(gone)
    }
}
