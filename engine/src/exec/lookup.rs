//! A hart's look-ups of code without the run loop: by the jump cache, and behind it by physical address.
//!
//! The problem: after a trap, and where the jump cache has lost an address, compiled code is to go on in other compiled code
//! at the cost of a few loads. Whatever needs more (a walk, a block that is not compiled, an exception) is left to
//! the run loop.

use super::core::FORCED;
use super::cpu::Cpu;
use crate::cache::jump::{Jumps, NO_TAG};
use crate::guest::Guest;
use crate::jit::across::{Look, MOST_PAGES, PageMap, page_address};
use crate::jit::record::Record;
use crate::mem::{PAGE_MASK, PAGE_SIZE};
use smallvec::SmallVec;
use std::sync::atomic::Ordering;

impl<G: Guest> Cpu<G> {
    /// The tags under which an answer holds now, the likelier first; [`NO_TAG`] if there is one only.
    #[inline]
    pub fn tags(&self) -> [u64; 2] {
        let key = G::block_key(self);
        let (first, second) = self.tlb.code_spaces();
        [Jumps::tag(first, key), second.map_or(NO_TAG, |s| Jumps::tag(s, key))]
    }

    /// The tag for an answer at `pc`, whose page the fetch table has. See [`Tlb::answer_space`](crate::mem::tlb::Tlb::answer_space).
    pub fn answer_tag(&mut self, pc: u64) -> u64 {
        let space = self.tlb.answer_space(pc);
        Jumps::tag(space, G::block_key(self))
    }

    /// As [`Cpu::answer_tag`], for an instruction at `pc` that ends in the next page. `None` if the fetch table lacks one of the two.
    pub fn answer_tag_of_two(&mut self, pc: u64) -> Option<u64> {
        let next = (pc & PAGE_MASK).wrapping_add(PAGE_SIZE);
        self.tlb.fetch(pc).and(self.tlb.fetch(next))?;
        let space = self.tlb.answer_space_of_two(pc, next);
        Some(Jumps::tag(space, G::block_key(self)))
    }

    /// Looks whether all pages of a region across pages are mapped as it wants, where its entry is at the pc.
    pub fn look_at_pages(&mut self, pages: &PageMap) -> Look {
        let entry = self.core.pc & PAGE_MASK;
        let address = |number| page_address(entry, number);
        for (number, pa) in pages.iter() {
            match self.peek_fetch(address(number)) {
                Some(mapped) if mapped & PAGE_MASK == pa => {}
                Some(_) => return Look::Other,
                None => return Look::Absent,
            }
        }
        if pages.iter().any(|(number, _)| self.tlb.fetch(address(number)).is_none()) {
            // They contend for a place in the table.
            return Look::Absent;
        }
        let spaces: SmallVec<[_; MOST_PAGES]> =
            pages.iter().map(|(number, _)| self.tlb.answer_space(address(number))).collect();
        // Global pages beside others: no one tag moves with all of them.
        let Some(space) = spaces.first().filter(|first| spaces.iter().all(|s| s == *first)) else {
            return Look::Other;
        };
        let tag = Jumps::tag(*space, G::block_key(self));
        self.refresh_tag();
        if tag == self.core.tag { Look::Good { tag, page: entry } } else { Look::Absent }
    }

    /// Brings the tags of code look-ups up to date. Call after whatever may have changed fetch translations, mode or block key.
    #[inline]
    pub fn refresh_tag(&mut self) {
        let [first, second] = self.tags();
        (self.core.tag, self.core.other_tag) = (first, second);
    }

    /// Where the compiled code at the pc begins, if this hart knows any. The tags are up to date. Only for compiled code that
    /// passes control on: what comes back is good while the hart is in its slice.
    pub fn known_entry(&mut self) -> Option<u64> {
        if std::ptr::eq(self.core.limit, &FORCED) {
            // Code has died: the run loop looks first.
            return None;
        }
        let pc = self.core.pc;
        let record =
            self.jumps.record(pc, [self.core.tag, self.core.other_tag]).or_else(|| self.recall(pc))?;
        // SAFETY: the jump cache and what is behind it name records of the arena, or the one without code, which is static; a
        // record is not reused before every hart has begun another slice and forgotten it (see `jit::translations`).
        Some(unsafe { &*(record as *const Record) }.entry.load(Ordering::Acquire))
    }

    /// The record of the block at `pc` by its physical address; the jump cache knows it from now on.
    fn recall(&mut self, pc: u64) -> Option<u64> {
        let pa = match self.tlb.fetch(pc) {
            Some(pa) => pa,
            None => {
                // If it faults, the run loop finds that out again and raises the exception.
                let pa = self.fetch_address(pc).ok()?;
                self.refresh_tag();
                // Only what the table holds may be kept.
                self.tlb.fetch(pc)?;
                pa
            }
        };
        let (record, local) = self.jumps.record_at(pa, G::block_key(self))?;
        let tag = self.answer_tag(pc);
        self.jumps.put_found(pc, tag, record, local);
        Some(record)
    }
}
