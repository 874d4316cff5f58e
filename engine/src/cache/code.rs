//! The shared map of blocks: physical address and mode to code, for all harts of a machine.
//!
//! The problem: guest code changes under us. Blocks are found by the physical page they were read from; a page with
//! blocks has its code bit set, which keeps every hart's stores to it on the slow path, and that path ends in
//! [`CodeMap::invalidate`]. A block that a write touched is marked dead, which is all that a hart that still holds it needs
//! to see: it looks at the mark at each entry.
//!
//! Publication (DESIGN.md, "Self-modifying code"): set the page's code bit, have every hart drop its store entries for the
//! page and acknowledge, read the bytes again, publish only if nothing changed. The page's generation says so: every write
//! that reaches the hook while the bit is set moves it. Whoever finds the bit set but not yet acknowledged by all asks for
//! himself: what he published sooner could be overwritten unseen.

use crate::ir::op::{SINK, Shape};
use crate::ir::{Block, Boundary, Op};
use crate::jit::translations::Translations;
use crate::mem::ram::Memory;
use crate::mem::{PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// A block of guest code in the cache.
#[derive(Debug)]
pub struct Code {
    /// What to run.
    pub ops: Box<[Op]>,
    /// Guest instruction boundaries.
    pub bounds: Box<[Boundary]>,
    /// Guest instructions.
    pub insns: u32,
    /// Guest bytes.
    pub bytes: u32,
    /// Physical address of the first byte.
    pub pa: u64,
    /// Physical page of the last byte, where the block's only instruction spans two pages.
    pub second_page: Option<u64>,
    /// The mode it was lifted for, see `Guest::block_key`.
    pub key: u32,
    dead: AtomicBool,
    /// Address of the record of its best translation; 0 = none.
    record: AtomicU64,
    /// Address of the record of its tier 1 code, which may be gone.
    tier1_record: AtomicU64,
    /// How often its translations were dropped for room.
    forgotten: AtomicU32,
    /// Waits for tier 2, or tier 2 will not have it.
    asked: AtomicBool,
    /// Tier 1 will not have it.
    refused: AtomicBool,
}

impl Code {
    /// Wraps a lifted block.
    pub fn new(block: Block, pa: u64, second_page: Option<u64>, key: u32) -> Code {
        Code {
            insns: block.insns(),
            bytes: block.bytes,
            ops: block.ops.into(),
            bounds: block.bounds.into(),
            pa,
            second_page,
            key,
            dead: AtomicBool::new(false),
            record: AtomicU64::new(0),
            tier1_record: AtomicU64::new(0),
            forgotten: AtomicU32::new(0),
            asked: AtomicBool::new(false),
            refused: AtomicBool::new(false),
        }
    }

    /// Address of the record of its best translation; 0 = none. See [`crate::jit::translations`].
    #[inline(always)]
    pub fn record(&self) -> u64 {
        self.record.load(Ordering::Acquire)
    }

    /// Names its best translation.
    pub fn set_record(&self, record: u64) {
        self.record.store(record, Ordering::Release);
    }

    /// Address of the record that its tier 1 code had when it was last compiled; 0 = never.
    pub fn tier1_record(&self) -> u64 {
        self.tier1_record.load(Ordering::Relaxed)
    }

    /// Names its tier 1 code.
    pub fn set_tier1_record(&self, record: u64) {
        self.tier1_record.store(record, Ordering::Relaxed);
    }

    /// How often its runs were [forgotten](Code::forget_runs).
    pub fn forgotten(&self) -> u32 {
        self.forgotten.load(Ordering::Relaxed)
    }

    /// It was not used enough to keep its translation: all harts count its runs anew.
    pub fn forget_runs(&self) {
        self.forgotten.fetch_add(1, Ordering::Relaxed);
    }

    /// Marks it as asked for at tier 2; false if it was.
    pub fn ask(&self) -> bool {
        !self.asked.swap(true, Ordering::AcqRel)
    }

    /// Whether tier 1 will not have it.
    pub fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Tier 1 will not have it.
    pub fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Lets it be asked for again.
    pub fn ask_again(&self) {
        self.asked.store(false, Ordering::Release);
    }

    /// Whether its guest bytes have been written since it was lifted.
    #[inline(always)]
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// As if its bytes had been written.
    #[cfg(test)]
    pub fn mark_dead(&self) {
        self.dead.store(true, Ordering::Release);
    }

    /// Whether it ends with a branch back, to itself included, that is not a call.
    pub fn closes_loop(&self) -> bool {
        self.ops.last().is_some_and(|op| match op.code.shape() {
            Shape::Branch => op.imm <= 0,
            Shape::Jump => op.imm <= 0 && op.a == SINK,
            _ => false,
        })
    }

    /// Number of the guest instruction that op `index` belongs to.
    pub fn insn_of(&self, index: usize) -> usize {
        self.bounds.partition_point(|b| b.op as usize <= index).saturating_sub(1)
    }

    /// Where its bytes in its first page end.
    fn end_in_page(&self) -> u64 {
        (self.pa + self.bytes as u64).min((self.pa & PAGE_MASK) + PAGE_SIZE)
    }

    /// Whether some of its bytes in `page` lie in `from..to`.
    fn touches(&self, page: u64, from: u64, to: u64) -> bool {
        let spill = (self.pa + self.bytes as u64).saturating_sub(self.end_in_page());
        let first = self.pa & PAGE_MASK == page && self.pa < to && from < self.end_in_page();
        first || self.second_page == Some(page) && page < to && from < page + spill
    }

    /// Bytes of host memory that it takes.
    pub fn host_bytes(&self) -> u64 {
        (self.ops.len() * size_of::<Op>() + self.bounds.len() * size_of::<Boundary>() + size_of::<Code>())
            as u64
    }
}

/// Granules of a page for which [`PageCode::covered`] keeps a bit each: 64 bytes.
const GRANULE_SHIFT: u32 = PAGE_SHIFT - 6;

#[derive(Default)]
struct PageCode {
    /// By offset in the page and key.
    blocks: FxHashMap<(u16, u32), Arc<Code>>,
    /// Blocks of the page before that run into this one.
    spilled: Vec<Arc<Code>>,
    /// Which granules hold code of live blocks: most writes to a page with code and data touch none.
    covered: u64,
    generation: u64,
    /// Every hart has dropped its store entries for the page since the code bit was set.
    guarded: bool,
    /// How often the bit has been cleared.
    clears: u64,
}

/// What [`CodeMap::prepare`] found: the state of a page before its bytes were read.
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    /// Some hart may still hold a store entry for the page: have all drop theirs, then call [`CodeMap::confirm`].
    pub unguarded: bool,
    page: u64,
    generation: u64,
    clears: u64,
}

fn granules(from: u64, to: u64) -> u64 {
    let (a, b) = ((from % PAGE_SIZE) >> GRANULE_SHIFT, ((to - 1) % PAGE_SIZE) >> GRANULE_SHIFT);
    (!0u64 << a) & (!0u64 >> (63 - b))
}

const SHARDS: usize = 64;
/// Lifted code of a machine may take this much; then all of it is dropped and what is still hot is lifted again.
const LIMIT_BYTES: u64 = 192 << 20;

/// Counts for the whole machine.
#[derive(Debug, Default)]
pub struct CodeCounts {
    /// Blocks lifted and published.
    pub published: AtomicU64,
    /// Blocks dropped because their bytes were written.
    pub invalidated: AtomicU64,
    /// Publications refused because the bytes changed meanwhile.
    pub refused: AtomicU64,
    /// Times the whole map was dropped for its size.
    pub drops: AtomicU64,
}

/// The map.
pub struct CodeMap {
    memory: Arc<Memory>,
    shards: [Mutex<FxHashMap<u64, PageCode>>; SHARDS],
    bytes: AtomicU64,
    translations: Arc<Translations>,
    /// Called after blocks with translations died: harts may be inside of them.
    on_kill: Box<dyn Fn() + Send + Sync>,
    /// Counts.
    pub counts: CodeCounts,
}

impl CodeMap {
    /// An empty map of its own, hooked to writes to `memory`.
    pub fn new(memory: Arc<Memory>) -> Arc<CodeMap> {
        CodeMap::with(memory, Arc::new(Translations::new(1)), Box::new(|| {}))
    }

    /// An empty map, hooked to writes to `memory`. `on_kill` is called when blocks died whose translations a hart may be in.
    pub fn with(
        memory: Arc<Memory>,
        translations: Arc<Translations>,
        on_kill: Box<dyn Fn() + Send + Sync>,
    ) -> Arc<CodeMap> {
        let map = Arc::new(CodeMap {
            translations,
            on_kill,
            memory: memory.clone(),
            shards: std::array::from_fn(|_| Mutex::default()),
            bytes: AtomicU64::new(0),
            counts: CodeCounts::default(),
        });
        let weak = Arc::downgrade(&map);
        memory.on_code_write(Box::new(move |pa, len| {
            if let Some(map) = weak.upgrade() {
                map.invalidate(pa, len);
            }
        }));
        map
    }

    /// The memory that the code lies in.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// What was translated from the blocks.
    pub fn translations(&self) -> &Arc<Translations> {
        &self.translations
    }

    fn shard(&self, page: u64) -> &Mutex<FxHashMap<u64, PageCode>> {
        &self.shards[(page >> PAGE_SHIFT) as usize % SHARDS]
    }

    /// Finds the block at `pa` for `key`.
    pub fn find(&self, pa: u64, key: u32) -> Option<Arc<Code>> {
        let page = pa & PAGE_MASK;
        let shard = self.shard(page).lock();
        // A block that was killed by a write to its second page is still in the map of its first.
        shard.get(&page)?.blocks.get(&((pa % PAGE_SIZE) as u16, key)).filter(|c| !c.is_dead()).cloned()
    }

    /// Marks the page of `pa` as holding code. What comes back goes to [`CodeMap::publish`].
    pub fn prepare(&self, pa: u64) -> Prepared {
        let page = pa & PAGE_MASK;
        let mut shard = self.shard(page).lock();
        self.memory.set_code(page);
        let entry = shard.entry(page).or_default();
        Prepared { unguarded: !entry.guarded, page, generation: entry.generation, clears: entry.clears }
    }

    /// Says that no hart holds a store entry for the page any more.
    pub fn confirm(&self, prepared: &Prepared) {
        if let Some(entry) = self.shard(prepared.page).lock().get_mut(&prepared.page)
            && entry.clears == prepared.clears
        {
            entry.guarded = true;
        }
    }

    /// Publishes `code`, lifted from bytes read after [`CodeMap::prepare`] of its page, and of its second page if it has
    /// one, and after the acknowledgements. `None` if a page was written meanwhile: read again. If another hart was first,
    /// its block is returned.
    pub fn publish(&self, code: Code, first: &Prepared, second: Option<&Prepared>) -> Option<Arc<Code>> {
        let code = Arc::new(code);
        // In the second page first, so that there is no time at which writes to it are not seen.
        let placed = second.is_none_or(|s| self.place_spilled(&code, s));
        let published = if placed { self.place(&code, first) } else { None };
        match &published {
            Some(winner) if Arc::ptr_eq(winner, &code) => {}
            _ => code.dead.store(true, Ordering::Release),
        }
        if published.is_none() {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
        }
        if self.host_bytes() > LIMIT_BYTES {
            self.drop_all();
        }
        published
    }

    fn is_unchanged(&self, entry: &PageCode, prepared: &Prepared) -> bool {
        entry.generation == prepared.generation && self.memory.has_code(prepared.page)
    }

    fn place_spilled(&self, code: &Arc<Code>, prepared: &Prepared) -> bool {
        let mut shard = self.shard(prepared.page).lock();
        let entry = shard.entry(prepared.page).or_default();
        if !self.is_unchanged(entry, prepared) {
            return false;
        }
        entry.spilled.retain(|c| !c.is_dead());
        entry.spilled.push(code.clone());
        entry.covered |= 1;
        true
    }

    fn place(&self, code: &Arc<Code>, prepared: &Prepared) -> Option<Arc<Code>> {
        let mut shard = self.shard(prepared.page).lock();
        let entry = shard.entry(prepared.page).or_default();
        if !self.is_unchanged(entry, prepared) {
            return None;
        }
        let slot = ((code.pa % PAGE_SIZE) as u16, code.key);
        if let Some(old) = entry.blocks.get(&slot) {
            if !old.is_dead() && old.second_page == code.second_page {
                return Some(old.clone());
            }
            // The page is followed by another one in this address space. Whoever holds the old block must let go of it,
            // because writes are told to blocks in the map only.
            self.kill(old);
        }
        entry.covered |= granules(code.pa, code.end_in_page());
        entry.blocks.insert(slot, code.clone());
        drop(shard);
        self.counts.published.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(code.host_bytes(), Ordering::Relaxed);
        Some(code.clone())
    }

    /// Marks a published block dead and drops what was translated from it. False if it was.
    fn kill(&self, code: &Arc<Code>) -> bool {
        let fresh = !code.dead.swap(true, Ordering::AcqRel);
        if fresh {
            if self.translations.discard(code) {
                self.memory.note_kill();
                (self.on_kill)();
            }
            let less = |bytes: u64| Some(bytes.saturating_sub(code.host_bytes()));
            let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
        fresh
    }

    /// Drops the blocks on bytes `pa..pa + len`, which lie in one page.
    pub fn invalidate(&self, pa: u64, len: u64) {
        let page = pa & PAGE_MASK;
        let mut shard = self.shard(page).lock();
        let Some(entry) = shard.get_mut(&page) else { return };
        entry.generation += 1;
        if len == 0 || entry.covered & granules(pa, pa + len) == 0 {
            return;
        }
        let mut dropped = 0;
        let mut stays = |c: &Arc<Code>| {
            let hit = c.touches(page, pa, pa + len);
            dropped += u64::from(hit && self.kill(c));
            !hit && !c.is_dead()
        };
        entry.blocks.retain(|_, c| stays(c));
        entry.spilled.retain(|c| stays(c));
        entry.covered = u64::from(!entry.spilled.is_empty());
        for c in entry.blocks.values() {
            entry.covered |= granules(c.pa, c.end_in_page());
        }
        if entry.blocks.is_empty() && entry.spilled.is_empty() {
            self.memory.clear_code(page);
            entry.guarded = false;
            entry.clears += 1;
        }
        self.counts.invalidated.fetch_add(dropped, Ordering::Relaxed);
    }

    /// Drops everything.
    pub fn drop_all(&self) {
        self.counts.drops.fetch_add(1, Ordering::Relaxed);
        self.translations.discard_all();
        for shard in &self.shards {
            for (page, entry) in shard.lock().iter_mut() {
                entry
                    .blocks
                    .values()
                    .chain(&entry.spilled)
                    .for_each(|c| c.dead.store(true, Ordering::Release));
                *entry = PageCode {
                    generation: entry.generation + 1,
                    clears: entry.clears + 1,
                    ..PageCode::default()
                };
                self.memory.clear_code(*page);
            }
        }
        self.bytes.store(0, Ordering::Relaxed);
        // Once more: a hart may have compiled a block that was not dead yet.
        self.translations.discard_all();
        self.memory.note_kill();
        (self.on_kill)();
    }

    /// Host bytes of all blocks, about.
    pub fn host_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::bus::NoBus;
    use crate::mem::ram::RegionSpec;

    fn map() -> (Arc<Memory>, Arc<CodeMap>) {
        let spec = RegionSpec { base: 0x8000_0000, len: 0x10000, writable: true };
        let memory = Memory::new(&[spec], Arc::new(NoBus)).expect("memory");
        let map = CodeMap::new(memory.clone());
        (memory, map)
    }

    fn code(pa: u64, bytes: u32) -> Code {
        Code::new(Block { ops: vec![], bounds: vec![], bytes }, pa, None, 0)
    }

    #[test]
    fn a_write_kills_only_the_blocks_on_its_bytes() {
        let (memory, map) = map();
        let page = map.prepare(0x8000_1000);
        let a = map.publish(code(0x8000_1000, 16), &page, None).expect("first");
        let b = map.publish(code(0x8000_1010, 16), &page, None).expect("second");
        assert_eq!(memory.write(0x8000_100c, 2, 1), Ok(()));
        assert!(a.is_dead() && !b.is_dead());
        assert!(map.find(0x8000_1000, 0).is_none() && map.find(0x8000_1010, 0).is_some());
        assert!(memory.has_code(0x8000_1000));
        assert_eq!(memory.write(0x8000_101f, 0, 1), Ok(()));
        assert!(b.is_dead() && !memory.has_code(0x8000_1000));
    }

    #[test]
    fn publication_is_refused_after_a_write() {
        let (memory, map) = map();
        let page = map.prepare(0x8000_2000);
        assert_eq!(memory.write(0x8000_2800, 3, 1), Ok(()));
        assert!(map.publish(code(0x8000_2000, 8), &page, None).is_none());
        let page = map.prepare(0x8000_2000);
        assert!(map.publish(code(0x8000_2000, 8), &page, None).is_some());
    }

    #[test]
    fn a_page_stays_unguarded_until_all_have_acknowledged() {
        let (memory, map) = map();
        let first = map.prepare(0x8000_2000);
        let meanwhile = map.prepare(0x8000_2004);
        assert!(first.unguarded && meanwhile.unguarded);
        map.confirm(&first);
        assert!(!map.prepare(0x8000_2000).unguarded);
        assert!(map.publish(code(0x8000_2000, 8), &first, None).is_some());
        // The last block goes and the bit with it; a confirmation from before counts no more.
        assert_eq!(memory.write(0x8000_2000, 0, 1), Ok(()));
        assert!(!memory.has_code(0x8000_2000));
        let again = map.prepare(0x8000_2000);
        assert!(again.unguarded);
        map.confirm(&meanwhile);
        assert!(map.prepare(0x8000_2000).unguarded);
    }

    const LAST: u64 = 0x8000_3ffe;
    const NEXT: u64 = 0x8000_4000;

    fn spanning(second: u64) -> Code {
        Code { second_page: Some(second), ..code(LAST, 4) }
    }

    fn publish_spanning(map: &CodeMap, second: u64) -> Arc<Code> {
        let (a, b) = (map.prepare(LAST), map.prepare(second));
        map.publish(spanning(second), &a, Some(&b)).expect("published")
    }

    #[test]
    fn blocks_across_pages_die_by_either_page() {
        let (memory, map) = map();
        for (written, dies) in [(LAST - 1, false), (LAST, true), (NEXT + 1, true), (NEXT + 2, false)] {
            let c = publish_spanning(&map, NEXT);
            assert_eq!(memory.write(written, 0, 0), Ok(()));
            assert_eq!(c.is_dead(), dies, "{written:#x}");
            assert_eq!(map.find(LAST, 0).is_none(), dies);
            // What has died does not stand in the way of its successor.
            assert!(!publish_spanning(&map, NEXT).is_dead());
            map.drop_all();
        }
        assert_eq!(map.host_bytes(), 0);
    }

    #[test]
    fn a_page_followed_by_another_one_gets_a_block_of_its_own() {
        let (_, map) = map();
        let old = publish_spanning(&map, NEXT);
        let new = publish_spanning(&map, 0x8000_6000);
        assert_eq!(new.second_page, Some(0x8000_6000));
        assert!(old.is_dead() && !new.is_dead());
    }

    #[test]
    fn publication_is_refused_after_a_write_to_the_second_page() {
        let (memory, map) = map();
        let (a, b) = (map.prepare(LAST), map.prepare(NEXT));
        assert_eq!(memory.write(NEXT, 0, 1), Ok(()));
        assert!(map.publish(spanning(NEXT), &a, Some(&b)).is_none());
        assert!(map.find(LAST, 0).is_none());
    }
}
