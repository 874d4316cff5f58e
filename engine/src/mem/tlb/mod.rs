//! The software TLB of a hart.
//!
//! The problem: every guest access needs a translation, and a walk costs hundreds of host instructions, so a hit must
//! cost one compare. Entries are 16 bytes, a tag and an addend. The tag is compared with the address masked to its page
//! *and* to its alignment, so that a misaligned access misses without a check of its own.
//!
//! A *table set* holds load, store and fetch tables of one (context, MMU index): an address space seen with one set of
//! rights. Switching mode, SUM, MPRV or `satp` selects another set and flushes nothing. Sets are reused least recently
//! used first. Behind the tables, translations are [held](held) for when a table gave them up. Entries only ever point into
//! the [`Memory`] that the TLB keeps alive; pages with translated code never get a store entry.
//!
//! What the data tables hold is a function of the data accesses and flushes that the guest made, whichever tier made
//! them: fetches, of which tiers make different ones, have tables of their own.

mod access;
mod code;
mod counts;
mod fetch;
mod flush;
mod held;
mod ranges;
mod set;
mod size;
mod table;

use super::ram::Memory;
use super::{PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};
use crate::guest::{Access, Translation};
pub use code::CodeSpace;
use code::GlobalCode;
pub use counts::TlbCounts;
use held::{Held, HeldTable};
use ranges::Ranges;
use set::Set;
use size::Size;
use std::ptr::NonNull;
use std::sync::Arc;

/// The context in which nothing is translated: it sees no global mappings.
pub const UNTRANSLATED: u64 = 0;

/// Table sets of a hart.
const SETS: usize = 32;
/// Entries of a load or store table at most.
const MOST_DATA: usize = 32768;
/// Entries of a fetch table at most.
const MOST_FETCH: usize = 1024;
/// Entries of all load and store tables of a hart at most, 17 bytes each.
const MOST_ALL: usize = 1 << 18;
/// MMU indices.
const INDICES: usize = 16;

/// A TLB entry as emitted code will read it.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Entry {
    /// Page address, or [`EMPTY`].
    tag: u64,
    /// What to add to the address: to get a host address (data) or a physical one (fetch).
    addend: u64,
}

/// No page address has these low bits.
const EMPTY: u64 = !0;
const NONE: Entry = Entry { tag: EMPTY, addend: 0 };

/// What emitted code reads of a TLB: the tables of the set that plain data accesses use now. They may be others after any slow
/// path or helper.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Fast {
    load_table: NonNull<Entry>,
    /// Size of the load table less one entry, in bytes: `(va >> 8) & mask` is the byte offset of an address's entry.
    load_mask: u64,
    store_table: NonNull<Entry>,
    /// As `load_mask`, of the store table.
    store_mask: u64,
}

/// Offsets in [`Fast`] for emitted code: load table, load mask, store table, store mask.
pub const FAST: [usize; 4] = [
    std::mem::offset_of!(Fast, load_table),
    std::mem::offset_of!(Fast, load_mask),
    std::mem::offset_of!(Fast, store_table),
    std::mem::offset_of!(Fast, store_mask),
];

/// The TLB of one hart. `repr(C)` so that what emitted code reads lies last, beside the scalars of
/// [`Core`](crate::exec::core::Core).
#[repr(C)]
pub struct Tlb {
    memory: Arc<Memory>,
    sets: Vec<Set>,
    data: usize,
    fetch: usize,
    /// The set last selected for each MMU index.
    recent: [u8; INDICES],
    tick: u64,
    /// The newest generation or owner number of any set.
    newest: u64,
    held: HeldTable,
    /// Large mappings among the global translations that are held.
    large_globals: Ranges,
    code: GlobalCode,
    /// Host pages to which there may be store entries, by [`stored_bit`].
    stored: Box<[u64; 64]>,
    counts: TlbCounts,
    /// The hot part.
    pub fast: Fast,
}

// SAFETY: the table pointers point to what `sets` own, so they move with the value.
unsafe impl Send for Tlb {}

/// The bit for a host page in [`Tlb::stored`].
fn stored_bit(host: u64) -> (usize, u64) {
    let n = host >> PAGE_SHIFT;
    (n as usize >> 6 & 63, 1 << (n & 63))
}

impl Tlb {
    /// An empty TLB over `memory`.
    pub fn new(memory: Arc<Memory>) -> Tlb {
        let sets = vec![Set::new(1, 2)];
        let ((load_table, load_mask), (store_table, store_mask)) =
            (sets[0].load.fast(), sets[0].store.fast());
        Tlb {
            memory,
            sets,
            data: 0,
            fetch: 0,
            recent: [0; INDICES],
            tick: 0,
            newest: 4,
            held: HeldTable::new(3),
            large_globals: Ranges::default(),
            code: GlobalCode::new(4),
            stored: Box::new([0; 64]),
            counts: TlbCounts::default(),
            fast: Fast { load_table, load_mask, store_table, store_mask },
        }
    }

    /// As new, but for its counts; no generation comes again. Then sets must be selected.
    pub fn reset(&mut self) {
        let mut new = Tlb::new(self.memory.clone());
        new.newest = self.newest + 3;
        (new.sets[0].generation, new.sets[0].owner) = (self.newest + 1, self.newest + 2);
        new.code = GlobalCode::new(self.newest + 3);
        new.counts = self.counts;
        *self = new;
    }

    /// The memory behind it.
    #[inline]
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Counts since power-on.
    pub fn counts(&self) -> TlbCounts {
        self.counts
    }

    /// Generation of the set that fetches use now: changes whenever a fetch translation was dropped on which a code look-up
    /// may rest. Per-hart look-ups are tagged with it; they may keep an answer under it only if [`Tlb::fetch`] knew the page
    /// when the answer was found. What they know of other address spaces stays good.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.sets[self.fetch].generation
    }

    /// Number of the set of (context, index); makes or reuses one. `index` is less than 16.
    pub fn set_of(&mut self, context: u64, index: u8) -> usize {
        let is = |s: &Set| s.index == index && s.context == context;
        let slot = index as usize % INDICES;
        let recent = self.recent[slot] as usize;
        self.tick += 1;
        let i = if is(&self.sets[recent]) {
            recent
        } else {
            self.sets.iter().position(is).unwrap_or_else(|| self.new_set(context, index))
        };
        self.recent[slot] = i as u8;
        self.sets[i].selected = self.tick;
        i
    }

    fn new_set(&mut self, context: u64, index: u8) -> usize {
        let i = if self.sets.len() < SETS {
            self.sets.push(Set::new(0, 0));
            self.sets.len() - 1
        } else {
            self.counts.evicted_sets += 1;
            let others = (0..SETS).filter(|&i| i != self.data && i != self.fetch);
            others.min_by_key(|&i| self.sets[i].selected).unwrap_or(0)
        };
        // The set means another address space from now on, so its look-ups are void whatever it held.
        self.recycle(i, context, index);
        i
    }

    /// Empties set `i`, which is of this address space from now on.
    fn recycle(&mut self, i: usize, context: u64, index: u8) {
        let fresh = [self.newest + 1, self.newest + 2];
        self.newest += 2;
        self.counts.shrunk += self.sets[i].recycle(context, index, fresh);
    }

    /// Selects the set for plain data accesses.
    pub fn select_data(&mut self, context: u64, index: u8) {
        let now = &self.sets[self.data];
        if now.index != index || now.context != context {
            self.data = self.set_of(context, index);
        }
        self.sync();
    }

    /// Selects the set for fetches. Its number identifies the address space together with [`Tlb::generation`].
    pub fn select_fetch(&mut self, context: u64, index: u8) {
        let now = &self.sets[self.fetch];
        if now.index != index || now.context != context {
            self.fetch = self.set_of(context, index);
        }
    }

    /// Number of the set that plain data accesses use now.
    #[inline]
    pub fn data_set(&self) -> usize {
        self.data
    }

    /// Number of the set that fetches use now.
    #[inline]
    pub fn fetch_set(&self) -> usize {
        self.fetch
    }

    /// Brings what emitted code reads in step with the set for data.
    #[inline]
    fn sync(&mut self) {
        let set = &self.sets[self.data];
        (self.fast.load_table, self.fast.load_mask) = set.load.fast();
        (self.fast.store_table, self.fast.store_mask) = set.store.fast();
    }

    /// The physical address of a fetch by the current fetch table.
    #[inline]
    pub fn fetch(&self, va: u64) -> Option<u64> {
        self.sets[self.fetch].fetch.get(va)
    }

    /// Counts an access that the tables did not answer.
    #[inline]
    pub fn count_miss(&mut self, access: Access) {
        self.counts.misses[access as usize] += 1;
    }

    /// The physical address of a load or store that the tables of this set did not answer, from what is held; enters it
    /// again. `None`: walk, and [`Tlb::fill`].
    #[inline]
    pub fn recall(&mut self, set: usize, access: Access, va: u64) -> Option<u64> {
        self.count_miss(access);
        let s = &self.sets[set];
        let held = self.held.get(s.owner, s.context != UNTRANSLATED, s.index, va)?;
        let allowed = match access {
            Access::Load => held.read,
            Access::Store => held.write,
            Access::Fetch => false,
        };
        if !allowed {
            return None;
        }
        self.counts.held[access as usize] += 1;
        self.enter(set, access, va, held);
        Some(held.pa | va & !PAGE_MASK)
    }

    /// Enters what a walk for `access` at `va` found into a set. Memory outside RAM and ROM never enters the tables, nor do
    /// pages with code the table for stores.
    pub fn fill(&mut self, set: usize, access: Access, va: u64, t: &Translation) {
        let size = Size::new(t.size_log2, t.global);
        let held = Held { pa: t.pa & PAGE_MASK, read: t.read, write: t.write, size };
        let s = &mut self.sets[set];
        if access == Access::Fetch {
            if self.memory.is_memory(held.pa) {
                s.note(va, size);
                s.fetch.put(va, held.pa, size);
                self.grow_if_tight(set, access);
            }
            return;
        }
        self.held.put(s.owner, s.index, va, held);
        if size.is_large() && size.is_global() {
            self.large_globals.add(va, size.log2());
        }
        self.enter(set, access, va, held);
    }

    /// Enters a translation into the table for `access`; into the other data table too, if that pushes out nothing.
    fn enter(&mut self, set: usize, access: Access, va: u64, held: Held) {
        // Before anything else: it is held for the set, even if it is no memory.
        self.sets[set].note(va, held.size);
        let Some((host, writable)) = self.memory.page_at(held.pa) else { return };
        let host = host.addr() as u64;
        let addend = host.wrapping_sub(va & PAGE_MASK);
        let storable = held.write && writable && !self.memory.has_code(held.pa);
        let s = &mut self.sets[set];
        if access == Access::Load || held.read && s.load.is_free(va) {
            s.load.put(va, addend, held.size);
        }
        if storable && (access == Access::Store || s.store.is_free(va)) {
            s.store.put(va, addend, held.size);
            let (word, bit) = stored_bit(host);
            self.stored[word] |= bit;
            // Stores by the entry tell nobody.
            self.memory.mark_dirty(held.pa);
        }
        self.grow_if_tight(set, access);
        // A table's first entry moves it.
        self.sync();
    }

    /// Sees that so many more entries of load and store tables are no more than a hart may have: address spaces that were not
    /// selected for long give theirs up. `set` keeps its own.
    fn make_room(&mut self, set: usize, more: usize) -> bool {
        let data = |s: &Set| s.load.len() + s.store.len();
        let mut all: usize = self.sets.iter().map(data).sum();
        while all + more > MOST_ALL {
            let large = |i: &usize| data(&self.sets[*i]) > 2 * table::REUSED;
            let others = (0..self.sets.len()).filter(|&i| i != set && i != self.data && i != self.fetch);
            let Some(i) = others.filter(large).min_by_key(|&i| self.sets[i].selected) else { return false };
            let s = &self.sets[i];
            all -= data(s);
            self.recycle(i, s.context, s.index);
            all += data(&self.sets[i]);
        }
        true
    }

    /// Doubles a table in which pages push each other out, while there is room.
    fn grow_if_tight(&mut self, set: usize, access: Access) {
        let s = &self.sets[set];
        let (table, most) = match access {
            Access::Load => (&s.load, MOST_DATA),
            Access::Store => (&s.store, MOST_DATA),
            Access::Fetch => (&s.fetch.table, MOST_FETCH),
        };
        let len = 2 * table.len();
        // Fetches grow before pages are lost.
        let tight = table.is_tight() || access == Access::Fetch && table.used() >= table.len() / 2;
        if !tight || len > most {
            return;
        }
        if access != Access::Fetch && !self.make_room(set, len / 2) {
            return;
        }
        self.counts.grown += 1;
        let s = &mut self.sets[set];
        match access {
            Access::Load => s.load.resize(len),
            Access::Store => s.store.resize(len),
            Access::Fetch => s.fetch.table.resize(len),
        }
    }
}

const _: () = assert!(PAGE_SIZE == 4096 && SETS <= u8::MAX as usize);

#[cfg(test)]
mod tests;
