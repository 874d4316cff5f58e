//! The software TLB of a hart.
//!
//! The problem: every guest access needs a translation, and a walk costs hundreds of host instructions, so a hit must
//! cost one compare. Entries are 16 bytes, a tag and an addend. The tag is compared with the address masked to its page
//! *and* to its alignment, so that a misaligned access misses without a check of its own.
//!
//! A *table set* holds load, store and fetch tables of one (context, MMU index): an address space seen with one set of
//! rights. Switching mode, SUM, MPRV or `satp` selects another set and flushes nothing. Sets are reused least recently
//! used first. Entries only ever point into the [`Memory`] that the TLB keeps alive; pages with translated code never get
//! a store entry.

mod fetch;

use super::host::HostRef;
use super::ram::Memory;
use super::{PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};
use crate::guest::Access;
use fetch::Fetch;
use std::ptr::NonNull;
use std::sync::Arc;

/// Entries of a data table, a power of two.
const DATA: usize = 512;
/// Table sets of a hart.
const SETS: usize = 24;

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

struct Set {
    context: u64,
    index: u8,
    used: u64,
    /// Covers all mappings in the set that are larger than a page: an address flush inside drops the set.
    large: Option<(u64, u64)>,
    /// The store table may have entries.
    stores: bool,
    /// Moves when a fetch translation on which look-ups may rest is dropped. No other set ever had this one.
    generation: u64,
    load: Box<[Entry; DATA]>,
    store: Box<[Entry; DATA]>,
    fetch: Fetch,
}

impl Set {
    fn new(generation: u64) -> Set {
        Set {
            context: 0,
            index: u8::MAX,
            used: 0,
            large: None,
            stores: false,
            generation,
            load: Box::new([NONE; DATA]),
            store: Box::new([NONE; DATA]),
            fetch: Fetch::new(),
        }
    }

    /// Drops everything. True if code look-ups may rest on some of it.
    #[must_use]
    fn clear(&mut self) -> bool {
        self.load.fill(NONE);
        if self.stores {
            self.store.fill(NONE);
        }
        (self.large, self.stores) = (None, false);
        self.fetch.clear()
    }

    /// Drops the page of `va`, or everything if a large mapping covers it. True if code look-ups may rest on what went.
    #[must_use]
    fn drop_page(&mut self, va: u64) -> bool {
        let page = va & PAGE_MASK;
        if self.large.is_some_and(|(from, to)| (from..=to).contains(&page)) {
            return self.clear();
        }
        for e in [&mut self.load[slot(va, DATA)], &mut self.store[slot(va, DATA)]] {
            if e.tag == page {
                *e = NONE;
            }
        }
        self.fetch.drop_page(va)
    }
}

#[inline(always)]
fn slot(va: u64, entries: usize) -> usize {
    (va >> PAGE_SHIFT) as usize & (entries - 1)
}

/// Counts of one hart's TLB. Plain adds.
#[derive(Clone, Copy, Default, Debug)]
pub struct TlbCounts {
    /// Walks for loads, stores, fetches.
    pub fills: [u64; 3],
    /// Whole table sets dropped, single pages dropped.
    pub flushes: [u64; 2],
    /// Times that flushes voided the code look-ups of a set.
    pub voided: u64,
    /// Sets reused for another address space.
    pub evicted_sets: u64,
}

/// What emitted code reads of a TLB: the tables of the set that plain data accesses use now.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Fast {
    load_table: NonNull<[Entry; DATA]>,
    /// Size of the load table less one entry, in bytes: `(va >> 8) & mask` is the byte offset of an address's entry.
    load_mask: u64,
    store_table: NonNull<[Entry; DATA]>,
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
    tick: u64,
    /// The newest generation of any set.
    newest: u64,
    counts: TlbCounts,
    /// The hot part.
    pub fast: Fast,
}

// SAFETY: the table pointers point into boxes owned by `sets`, so they move with the value.
unsafe impl Send for Tlb {}

impl Tlb {
    /// An empty TLB over `memory`.
    pub fn new(memory: Arc<Memory>) -> Tlb {
        let mut sets = vec![Set::new(1)];
        let load_table = NonNull::from(&mut *sets[0].load);
        let store_table = NonNull::from(&mut *sets[0].store);
        let counts = TlbCounts::default();
        let mask = ((DATA - 1) * size_of::<Entry>()) as u64;
        let fast = Fast { load_table, load_mask: mask, store_table, store_mask: mask };
        Tlb { memory, sets, data: 0, fetch: 0, tick: 0, newest: 1, counts, fast }
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

    /// Number of the set of (context, index); makes or reuses one.
    fn set_of(&mut self, context: u64, index: u8) -> usize {
        // Most fills are for the sets in use.
        for i in [self.data, self.fetch] {
            if self.sets[i].index == index && self.sets[i].context == context {
                return i;
            }
        }
        self.tick += 1;
        if let Some(i) = self.sets.iter().position(|s| s.index == index && s.context == context) {
            self.sets[i].used = self.tick;
            return i;
        }
        let i = if self.sets.len() < SETS {
            self.sets.push(Set::new(0));
            self.sets.len() - 1
        } else {
            self.counts.evicted_sets += 1;
            let keep = (self.data, self.fetch);
            let old = (0..self.sets.len())
                .filter(|&i| i != keep.0 && i != keep.1)
                .min_by_key(|&i| self.sets[i].used);
            old.unwrap_or(0)
        };
        let set = &mut self.sets[i];
        // The set means another address space from now on, so its look-ups are void whatever it held.
        let _ = set.clear();
        self.newest += 1;
        (set.context, set.index, set.used, set.generation) = (context, index, self.tick, self.newest);
        i
    }

    /// Selects the set for plain data accesses.
    pub fn select_data(&mut self, context: u64, index: u8) {
        let now = &self.sets[self.data];
        if now.index != index || now.context != context {
            self.data = self.set_of(context, index);
        }
        let set = &mut self.sets[self.data];
        self.fast.load_table = NonNull::from(&mut *set.load);
        self.fast.store_table = NonNull::from(&mut *set.store);
    }

    /// Selects the set for fetches. Its number identifies the address space together with [`Tlb::generation`].
    pub fn select_fetch(&mut self, context: u64, index: u8) {
        let now = &self.sets[self.fetch];
        if now.index != index || now.context != context {
            self.fetch = self.set_of(context, index);
        }
    }

    /// Number of the set that fetches use now.
    #[inline]
    pub fn fetch_set(&self) -> usize {
        self.fetch
    }

    /// Reads through the current load table; `None` on a miss.
    #[inline(always)]
    pub fn load(&self, va: u64, size_log2: u32) -> Option<u64> {
        // SAFETY: `load_table` points into a box owned by `self.sets`; nobody holds it mutably during `&self`.
        let e = unsafe { &self.fast.load_table.as_ref()[slot(va, DATA)] };
        if e.tag != va & (PAGE_MASK | ((1 << size_log2) - 1)) {
            return None;
        }
        // SAFETY: an entry's addend was computed from a page of `self.memory` mapped for its life; the tag matched the
        // whole page number and the alignment, so the access lies in that page.
        Some(
            unsafe { HostRef::new(va.wrapping_add(e.addend) as *mut u8, 1 << size_log2) }
                .load_aligned(size_log2),
        )
    }

    /// Writes through the current store table; false on a miss.
    #[inline(always)]
    pub fn store(&mut self, va: u64, size_log2: u32, value: u64) -> bool {
        // SAFETY: as in `load`.
        let e = unsafe { &self.fast.store_table.as_ref()[slot(va, DATA)] };
        if e.tag != va & (PAGE_MASK | ((1 << size_log2) - 1)) {
            return false;
        }
        // SAFETY: as in `load`; store entries exist for writable pages only.
        unsafe { HostRef::new(va.wrapping_add(e.addend) as *mut u8, 1 << size_log2) }
            .store_aligned(size_log2, value);
        true
    }

    /// The host memory of an access that may be written, by the current store table (atomics).
    #[inline]
    pub fn store_ref(&self, va: u64, size_log2: u32) -> Option<HostRef<'_>> {
        // SAFETY: as in `load`.
        let e = unsafe { &self.fast.store_table.as_ref()[slot(va, DATA)] };
        if e.tag != va & (PAGE_MASK | ((1 << size_log2) - 1)) {
            return None;
        }
        // SAFETY: as in `load`; at least `1 << size_log2` bytes of the page follow because the access is aligned.
        Some(unsafe { HostRef::new(va.wrapping_add(e.addend) as *mut u8, 1 << size_log2) })
    }

    /// What to add to addresses in the page of `va`, by the current table of loads or of stores.
    pub fn addend(&self, va: u64, access: Access) -> Option<u64> {
        let table = if access == Access::Store { self.fast.store_table } else { self.fast.load_table };
        // SAFETY: as in `load`.
        let e = unsafe { &table.as_ref()[slot(va, DATA)] };
        (e.tag == va & PAGE_MASK).then_some(e.addend)
    }

    /// From `va` to the end of its page, by a table of the set for data.
    fn page_ref(&self, table: NonNull<[Entry; DATA]>, va: u64) -> Option<HostRef<'_>> {
        // SAFETY: as in `load`; `table` is one of this TLB's.
        let e = unsafe { &table.as_ref()[slot(va, DATA)] };
        if e.tag != va & PAGE_MASK {
            return None;
        }
        let len = (PAGE_SIZE - va % PAGE_SIZE) as usize;
        // SAFETY: as in `load`; the tag matched, so the rest of the page is mapped.
        Some(unsafe { HostRef::new(va.wrapping_add(e.addend) as *mut u8, len) })
    }

    /// Both pages of an access of `size` bytes; the second is the first again if it has none of them.
    fn both(&self, table: NonNull<[Entry; DATA]>, va: u64, size: usize) -> Option<[HostRef<'_>; 2]> {
        let first = self.page_ref(table, va)?;
        if first.len() >= size {
            return Some([first; 2]);
        }
        Some([first, self.page_ref(table, va.wrapping_add(first.len() as u64))?])
    }

    /// [`Tlb::load`] of a misaligned access, byte by byte.
    pub fn load_split(&self, va: u64, size_log2: u32) -> Option<u64> {
        let mut bytes = [0; 8];
        let size = 1 << size_log2;
        let [first, second] = self.both(self.fast.load_table, va, size)?;
        let (a, b) = bytes[..size].split_at_mut(first.len().min(size));
        first.read_bytes(a);
        second.read_bytes(b);
        Some(u64::from_le_bytes(bytes))
    }

    /// [`Tlb::store`] of a misaligned access, byte by byte. On a miss nothing has been written.
    pub fn store_split(&mut self, va: u64, size_log2: u32, value: u64) -> bool {
        let size = 1 << size_log2;
        let Some([first, second]) = self.both(self.fast.store_table, va, size) else { return false };
        let bytes = value.to_le_bytes();
        let (a, b) = bytes[..size].split_at(first.len().min(size));
        first.write_bytes(a);
        second.write_bytes(b);
        true
    }

    /// The physical address of a fetch by the current fetch table.
    #[inline]
    pub fn fetch(&self, va: u64) -> Option<u64> {
        self.sets[self.fetch].fetch.get(va)
    }

    /// Enters the page of `va` → `pa` for `access` into the set of (context, index). `writable`: stores may use it too.
    /// Memory outside RAM and ROM never enters, nor do store entries for pages with code.
    pub fn fill(&mut self, context: u64, index: u8, access: Access, va: u64, pa: u64, size_log2: u8) {
        self.counts.fills[access as usize] += 1;
        let Some((host, writable)) = self.memory.page_at(pa & PAGE_MASK) else { return };
        let host = host.addr() as u64;
        let number = self.set_of(context, index);
        let memory = &self.memory;
        let set = &mut self.sets[number];
        let page = va & PAGE_MASK;
        match access {
            Access::Fetch => set.fetch.put(va, pa),
            Access::Load => set.load[slot(va, DATA)] = Entry { tag: page, addend: host.wrapping_sub(page) },
            Access::Store if writable && !memory.has_code(pa) => {
                set.store[slot(va, DATA)] = Entry { tag: page, addend: host.wrapping_sub(page) };
                set.stores = true;
            }
            Access::Store => {}
        }
        if u32::from(size_log2) > PAGE_SHIFT {
            let size = 1u64.checked_shl(size_log2.into()).unwrap_or(0);
            let (from, to) = if size == 0 { (0, !0) } else { (va & !(size - 1), va | (size - 1)) };
            set.large = Some(set.large.map_or((from, to), |(f, t)| (f.min(from), t.max(to))));
        }
    }

    /// Drops everything.
    pub fn flush_all(&mut self) {
        self.flush_where(|_, _| true);
    }

    /// Drops the sets for which `hit(context, index)`.
    pub fn flush_where(&mut self, hit: impl Fn(u64, u8) -> bool) {
        for set in self.sets.iter_mut().filter(|s| hit(s.context, s.index)) {
            self.counts.flushes[0] += 1;
            if set.clear() {
                self.newest += 1;
                set.generation = self.newest;
                self.counts.voided += 1;
            }
        }
    }

    /// Drops the page of `va` in the sets for which `hit(context, index)`; all of a set if a large mapping covers it.
    pub fn flush_page(&mut self, va: u64, hit: impl Fn(u64, u8) -> bool) {
        self.counts.flushes[1] += 1;
        for set in self.sets.iter_mut().filter(|s| hit(s.context, s.index)) {
            if set.drop_page(va) {
                self.newest += 1;
                set.generation = self.newest;
                self.counts.voided += 1;
            }
        }
    }

    /// Drops store entries to the physical page of `pa`, whose code bit was just set.
    pub fn protect(&mut self, pa: u64) {
        let Some((host, _)) = self.memory.page_at(pa & PAGE_MASK) else { return };
        let host = host.addr() as u64;
        for set in self.sets.iter_mut().filter(|s| s.stores) {
            for e in set.store.iter_mut() {
                if e.tag != EMPTY && e.tag.wrapping_add(e.addend) == host {
                    *e = NONE;
                }
            }
        }
    }
}

const _: () = assert!(PAGE_SIZE == 4096 && DATA.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::bus::NoBus;
    use crate::mem::ram::RegionSpec;

    const RAM: u64 = 0x8000_0000;

    fn tlb() -> Tlb {
        let spec = RegionSpec { base: RAM, len: 0x10000, writable: true };
        Tlb::new(Memory::new(&[spec], Arc::new(NoBus)).expect("memory"))
    }

    #[test]
    fn a_set_that_data_took_over_moves_the_generation() {
        let mut t = tlb();
        t.select_fetch(1, 0);
        let before = (t.fetch_set(), t.generation());
        t.select_fetch(2, 0);
        // Data accesses in many address spaces reuse the set in which code was found.
        for context in 100..100 + SETS as u64 {
            t.select_data(context, 1);
            t.select_fetch(context, 1);
            assert_ne!((t.fetch_set(), t.generation()), before, "context {context}");
        }
    }

    /// A set that fetches use, with the pages 1 to `n` in its fetch table.
    fn fetching(n: u64) -> Tlb {
        let mut t = tlb();
        t.select_fetch(1, 0);
        for page in 1..=n {
            t.fill(1, 0, Access::Fetch, page * PAGE_SIZE, RAM, 12);
        }
        t
    }

    #[test]
    fn look_ups_survive_fences_of_pages_that_hold_no_code() {
        let mut t = fetching(8);
        t.select_data(1, 0);
        t.fill(1, 0, Access::Load, 0x20_000, RAM, 12);
        let before = t.generation();
        for page in 9..200 {
            t.flush_page(page * PAGE_SIZE, |_, _| true);
        }
        assert_eq!((t.generation(), t.load(0x20_000, 3)), (before, None));
        t.flush_page(8 * PAGE_SIZE + 0x123, |_, _| true);
        assert_ne!(t.generation(), before);
        assert_eq!(t.fetch(8 * PAGE_SIZE), None);
    }

    #[test]
    fn fences_void_look_ups_of_pages_that_have_left_the_table() {
        let n = fetch::ENTRIES as u64;
        for page in 1..=n {
            // Page `n + page` has taken the place of page `page`, whose look-ups stand.
            let mut t = fetching(n + page);
            let before = t.generation();
            assert_eq!(t.fetch(page * PAGE_SIZE), None);
            t.flush_page(page * PAGE_SIZE, |_, _| true);
            assert_ne!(t.generation(), before, "page {page}");
            let before = t.generation();
            t.flush_page(page * PAGE_SIZE, |_, _| true);
            assert_eq!(t.generation(), before, "the second time nothing rests on it");
        }
    }

    #[test]
    fn flushes_void_the_look_ups_of_the_sets_they_hit_only() {
        let mut t = tlb();
        let mut before = Vec::new();
        for context in 1..4 {
            t.select_fetch(context, 0);
            t.fill(context, 0, Access::Fetch, 0x4000, RAM, 12);
            before.push(t.generation());
        }
        t.flush_page(0x4000, |context, _| context == 1);
        t.flush_where(|context, _| context == 2);
        let after: Vec<_> = (1..4)
            .map(|context| {
                t.select_fetch(context, 0);
                (t.generation(), t.fetch(0x4000).is_some())
            })
            .collect();
        assert!(after[0] != (before[0], true) && !after[0].1);
        assert!(after[1].0 != before[1] && !after[1].1);
        assert_eq!(after[2], (before[2], true));
        // Nothing has been fetched there since.
        t.select_fetch(2, 0);
        t.flush_all();
        assert_eq!(t.generation(), after[1].0);
    }

    #[test]
    fn protected_pages_have_no_store_entry_in_any_set() {
        let mut t = tlb();
        for context in 0..4 {
            t.fill(context, 1, Access::Store, 0x5000 + context * PAGE_SIZE, RAM + 0x3000, 12);
            t.fill(context, 1, Access::Load, 0x5000 + context * PAGE_SIZE, RAM + 0x3000, 12);
        }
        t.memory().set_code(RAM + 0x3000);
        t.protect(RAM + 0x3008);
        for context in 0..4 {
            let va = 0x5000 + context * PAGE_SIZE;
            t.select_data(context, 1);
            assert!(!t.store(va, 3, 1) && t.store_ref(va, 3).is_none());
            assert_eq!(t.load(va, 3), Some(0));
            t.fill(context, 1, Access::Store, va, RAM + 0x3000, 12);
            assert!(!t.store(va, 3, 1));
        }
    }

    #[test]
    fn a_flush_in_a_large_mapping_drops_all_of_it() {
        let mut t = tlb();
        t.select_data(7, 1);
        t.fill(7, 1, Access::Store, 0x20_0000, RAM, 21);
        t.fill(7, 1, Access::Store, 0x20_5000, RAM + 0x5000, 21);
        assert!(t.store(0x20_0008, 3, 1) && t.store(0x20_5008, 3, 2));
        t.flush_page(0x20_9000, |_, _| true);
        assert!(!t.store(0x20_0008, 3, 1) && !t.store(0x20_5008, 3, 2));
    }

    #[test]
    fn addresses_at_the_top_match_no_empty_entry() {
        let mut t = tlb();
        for size in 0..4 {
            for back in 1..16 {
                assert_eq!(t.load(0u64.wrapping_sub(back), size), None);
                assert!(!t.store(0u64.wrapping_sub(back), size, 0));
            }
        }
    }
}
