//! Dropping translations: what fences, mode registers and published code ask for.

use super::set::{Dropped, Set};
use super::{Tlb, stored_bit};
use crate::mem::PAGE_MASK;
use std::cell::Cell;

/// A number that nobody had.
fn fresh(newest: &mut u64) -> u64 {
    *newest += 1;
    *newest
}

impl Tlb {
    /// Drops everything.
    pub fn flush_all(&mut self) {
        self.flush_where(true, |_, _| true);
    }

    /// Drops what the address spaces have for which `hit(context, index)`, but for their global pages if `globals` is false.
    pub fn flush_where(&mut self, globals: bool, hit: impl Fn(u64, u8) -> bool) {
        self.counts.flushes[!globals as usize] += 1;
        self.drop_in(hit, |set| if globals { set.clear() } else { set.drop_locals() });
        if globals {
            self.drop_held_globals();
            self.code.drop_all(|| fresh(&mut self.newest));
        }
    }

    /// Drops the page of `va`, with all of the mapping that it was found in, from the address spaces for which
    /// `hit(context, index)`; if `globals` is false, global pages may stay.
    pub fn flush_page(&mut self, va: u64, globals: bool, hit: impl Fn(u64, u8) -> bool) {
        self.counts.flushes[2 + !globals as usize] += 1;
        self.drop_in(hit, |set| set.drop_page(va, globals));
        self.held.drop_page(va, globals);
        if globals {
            self.code.drop_page(va & PAGE_MASK, || fresh(&mut self.newest));
            if self.large_globals.may_have(va & PAGE_MASK) {
                self.drop_held_globals();
            }
        }
    }

    fn drop_in(&mut self, hit: impl Fn(u64, u8) -> bool, drop: impl Fn(&mut Set) -> Dropped) {
        for set in self.sets.iter_mut().filter(|s| !s.is_clear() && hit(s.context, s.index)) {
            let dropped = drop(set);
            self.counts.cleared += set.is_clear() as u64;
            self.counts.shrunk += dropped.shrunk;
            if dropped.look_ups {
                self.newest += 1;
                set.generation = self.newest;
                self.counts.voided += 1;
            }
            if dropped.held {
                self.newest += 1;
                set.owner = self.newest;
            }
        }
        // A cleared table may have shrunk.
        self.sync();
    }

    fn drop_held_globals(&mut self) {
        self.newest += 1;
        self.held.drop_globals(self.newest);
        self.large_globals.clear();
    }

    /// Drops store entries to the physical page of `pa`, whose code bit was just set.
    pub fn protect(&mut self, pa: u64) {
        let Some((host, _)) = self.memory.page_at(pa & PAGE_MASK) else { return };
        let host = host.addr() as u64;
        let (word, bit) = stored_bit(host);
        if self.stored[word] & bit == 0 {
            return;
        }
        // Other pages share the bit.
        let others = Cell::new(false);
        for set in &mut self.sets {
            set.store.drop_where(|e, _| {
                let page = e.tag.wrapping_add(e.addend);
                others.set(others.get() || page != host && stored_bit(page) == (word, bit));
                page == host
            });
        }
        if !others.get() {
            self.stored[word] &= !bit;
        }
    }
}
