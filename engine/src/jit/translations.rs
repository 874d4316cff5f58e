//! All translations of a machine: who owns which code, who links to whom, and how each goes away.
//!
//! The problem: harts run code, and jump from translation to translation, while others compile, write guest code or make
//! room. So there is one owner of all links. A translation goes in steps: its record's entry and every link into it are set to
//! leave for the dispatcher; then its memory waits until every hart has begun another slice, because a hart can be inside until
//! then; records wait longer, until every hart has cleared its jump cache, which names them.
//!
//! Lock order: a shard of the [code map](crate::cache::code) before the lock here.

use super::arena::{Arena, Place};
use super::emitted::Emitted;
use super::record::link_offset;
use super::wanted::{Flavour, Made, Wanted};
use crate::cache::code::Code;
use crate::host;
use crate::tier::events::{Events, What};
use crate::tier::heat::Heat;
use crate::tier::pins::Pins;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Which compiler made a translation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Tier {
    /// One block, emitted directly.
    One = 1,
    /// A region, by Cranelift.
    Two = 2,
}

/// Most link slots of a translation.
pub const MAX_LINKS: usize = 512;

/// Number of a translation; never used twice.
type Id = u64;

/// A link slot: translation and number of the slot.
type Slot = (Id, usize);

struct Unit {
    tier: Tier,
    place: Place,
    /// Blocks that it was made from, the entry first. It lives no longer than any of them.
    parts: Vec<Arc<Code>>,
    /// What each slot holds while it is not linked.
    stubs: Vec<u64>,
    /// Where each slot leads.
    targets: Vec<Option<Id>>,
    /// Slots that lead here.
    incoming: Vec<Slot>,
    /// Runs counted before the counter was last set, and what it was set to.
    counter: (u64, i32),
    /// How hot it was when its counter last ran out.
    heat: Heat,
    /// It counts its runs.
    counts: bool,
}

impl Unit {
    fn made(&self, arena: &Arena) -> Made<'_> {
        let current = self.parts.first().is_some_and(|c| c.record() == address(arena, &self.place));
        Made { tier: self.tier, parts: &self.parts, counts: self.counts, current }
    }

    /// Whether `code` is its entry.
    fn begins_with(&self, code: &Arc<Code>) -> bool {
        self.parts.first().is_some_and(|c| Arc::ptr_eq(c, code))
    }
}

struct Retired {
    epoch: u64,
    place: Place,
}

#[derive(Default)]
struct Inner {
    next: Id,
    /// By number, which is by age.
    units: BTreeMap<Id, Unit>,
    /// By address of the record.
    by_record: FxHashMap<u64, Id>,
    /// Translations that a block is part of, by the block's address.
    by_code: FxHashMap<usize, Vec<Id>>,
    retired: VecDeque<Retired>,
    /// Nothing is installed that does not fit this.
    wanted: Arc<Wanted>,
}

impl Inner {
    /// The translations that a block is part of, oldest first.
    fn units_of(&self, code: &Arc<Code>) -> impl Iterator<Item = &Unit> {
        let ids = self.by_code.get(&key(code)).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.units.get(id))
    }
}

/// What the translations of a machine have done.
#[derive(Debug, Default)]
pub struct TranslationCounts {
    /// Installed, by tier.
    pub installed: [AtomicU64; 2],
    /// Guest instructions in them.
    pub insns: [AtomicU64; 2],
    /// Host bytes.
    pub host_bytes: [AtomicU64; 2],
    /// Nanoseconds of compiling.
    pub compile_ns: [AtomicU64; 2],
    /// Compiles that failed.
    pub failed: [AtomicU64; 2],
    /// Dropped because a part died.
    pub invalidated: AtomicU64,
    /// Dropped for room.
    pub evicted: AtomicU64,
    /// Links made.
    pub linked: AtomicU64,
}

/// The translations.
pub struct Translations {
    /// Made when the first translation comes.
    arena: OnceLock<Option<Arena>>,
    inner: Mutex<Inner>,
    /// Moves when something was retired; harts publish what they have seen at the start of each slice.
    epoch: AtomicU64,
    /// What each hart had seen when it last began a slice; `u64::MAX` while it runs no guest code.
    seen: Vec<AtomicU64>,
    /// Moves when something else is wanted.
    wants: AtomicU64,
    /// Counts.
    pub counts: TranslationCounts,
    /// What was decided, and why.
    pub events: Events,
}

fn key(code: &Arc<Code>) -> usize {
    Arc::as_ptr(code) as usize
}

impl Translations {
    /// None yet, for a machine of `harts`.
    pub fn new(harts: usize) -> Translations {
        Translations {
            arena: OnceLock::new(),
            inner: Mutex::default(),
            epoch: AtomicU64::new(1),
            seen: (0..harts).map(|_| AtomicU64::new(u64::MAX)).collect(),
            wants: AtomicU64::new(1),
            counts: TranslationCounts::default(),
            events: Events::default(),
        }
    }

    fn arena(&self) -> Option<&Arena> {
        let make =
            || Arena::new().map_err(|e| tracing::error!("guest code is interpreted, not compiled: {e}")).ok();
        self.arena.get_or_init(make).as_ref()
    }

    /// A hart begins a slice, outside of all code. The epoch, which moves whenever a hart's jump cache may name what is gone.
    pub fn enter(&self, hart: usize) -> u64 {
        loop {
            let epoch = self.epoch.load(Ordering::SeqCst);
            if let Some(seen) = self.seen.get(hart) {
                seen.store(epoch, Ordering::SeqCst);
            }
            // What was retired before the store may be freed already: only an epoch that still stands protects.
            if self.epoch.load(Ordering::SeqCst) == epoch {
                return epoch;
            }
        }
    }

    /// A hart stops running guest code for a while. It must clear its jump cache when it comes back to another epoch.
    pub fn rest(&self, hart: usize) {
        if let Some(seen) = self.seen.get(hart) {
            seen.store(u64::MAX, Ordering::SeqCst);
        }
    }

    /// Bytes of code memory in use, what waits to be freed included.
    pub fn code_bytes(&self) -> u64 {
        self.arena.get().and_then(Option::as_ref).map_or(0, |a| a.code_bytes() as u64)
    }

    /// Installs a translation of `parts` (entry first). If all of them live, entries and links to the entry block lead to it
    /// from now on. `heat`: the runs after which it asks for the tier above; `None` if it does not count them. False if a part has died, there
    /// is no room, or it is not what is wanted (any more).
    pub fn install(&self, tier: Tier, parts: Vec<Arc<Code>>, emitted: &Emitted, heat: Option<i32>) -> bool {
        let (Some(head), Some(arena)) = (parts.first().cloned(), self.arena()) else { return false };
        let mut inner = self.inner.lock();
        // Whoever kills a block marks it dead first and then comes here.
        if parts.iter().any(|c| c.is_dead()) {
            return false;
        }
        // The mode or a pin may have changed while it was compiled.
        let made = Made { tier, parts: &parts, counts: heat.is_some(), current: true };
        if !inner.wanted.fits(&made) {
            return false;
        }
        let (counts, heat) = (heat.is_some(), heat.unwrap_or(i32::MAX));
        if tier == Tier::One && head.record() != 0 {
            // Another hart was first.
            return true;
        }
        let Some(place) = arena.install(emitted, heat, host::gone()) else { return false };
        let (entry, record) = (arena.entry(&place), address(arena, &place));
        let id = inner.next;
        inner.next += 1;
        let i = tier as usize - 1;
        self.counts.installed[i].fetch_add(1, Ordering::Relaxed);
        self.counts.insns[i].fetch_add(parts.iter().map(|c| c.insns as u64).sum(), Ordering::Relaxed);
        self.counts.host_bytes[i].fetch_add(emitted.code.len() as u64, Ordering::Relaxed);
        for part in &parts {
            inner.by_code.entry(key(part)).or_default().push(id);
        }
        inner.by_record.insert(record, id);
        let stubs: Vec<u64> = emitted.stubs.iter().map(|&s| entry + s as u64).collect();
        let targets = vec![None; stubs.len()];
        let mut unit = Unit {
            tier,
            place,
            parts,
            stubs,
            targets,
            incoming: Vec::new(),
            counter: (0, heat),
            heat: Heat::new(Instant::now()),
            counts,
        };
        let old = head.record();
        if let Some(&lower) = inner.by_record.get(&old) {
            take_over(arena, &mut inner, lower, id, &mut unit);
        }
        inner.units.insert(id, unit);
        head.set_record(record);
        true
    }

    /// Where to enter the translation with this record.
    #[inline]
    pub fn entry(&self, code: &Code) -> Option<u64> {
        let record = code.record();
        if record == 0 {
            return None;
        }
        // SAFETY: a block's record word is the address of a record of this arena; records are not reused before every hart
        // has begun another slice after the word changed, and the caller is in one.
        Some(unsafe { &*(record as *const super::record::Record) }.entry.load(Ordering::Acquire))
    }

    /// Leads the link slot at address `slot` to the translation of `to`, if `accept` agrees with the block that the slot's
    /// translation begins with.
    pub fn link(&self, slot: u64, to: &Code, accept: impl FnOnce(&Code) -> bool) -> bool {
        let Some(arena) = self.arena() else { return false };
        let mut inner = self.inner.lock();
        let Some((from, n)) = owner(&inner, arena, slot) else { return false };
        let Some(&target) = inner.by_record.get(&to.record()) else { return false };
        if to.is_dead() || !inner.units.get(&from).is_some_and(|u| u.parts.first().is_some_and(|c| accept(c)))
        {
            return false;
        }
        let Some(unit) = inner.units.get_mut(&target) else { return false };
        let entry = arena.entry(&unit.place);
        unit.incoming.push((from, n));
        if let Some(source) = inner.units.get_mut(&from) {
            let before = source.targets[n].replace(target);
            arena.link(&source.place, n).store(entry, Ordering::Release);
            if let Some(before) = before
                && before != target
                && let Some(unit) = inner.units.get_mut(&before)
            {
                unit.incoming.retain(|&s| s != (from, n));
            }
        }
        self.counts.linked.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Leads the link slot at address `slot` to the thunk that looks in the jump cache, for good: what lies at its target may change.
    pub fn link_to_probe(&self, slot: u64, probe: u64) {
        let Some(arena) = self.arena() else { return };
        let inner = self.inner.lock();
        if let Some((from, n)) = owner(&inner, arena, slot)
            && let Some(unit) = inner.units.get(&from)
            && unit.targets.get(n).is_some_and(Option::is_none)
        {
            arena.link(&unit.place, n).store(probe, Ordering::Release);
        }
    }

    /// The counter in this record ran out: the entry block of its translation, its tier, and its heat now.
    pub fn hot(&self, record: u64) -> Option<(Arc<Code>, Tier, f64)> {
        let mut inner = self.inner.lock();
        let id = *inner.by_record.get(&record)?;
        let unit = inner.units.get_mut(&id)?;
        let heat = unit.heat.add(unit.counter.1.max(0) as u64, Instant::now());
        Some((unit.parts.first()?.clone(), unit.tier, heat))
    }

    /// What the tier 1 translation of a block has counted: runs, and how often exit 1 was taken.
    pub fn profile(&self, code: &Arc<Code>) -> Option<(u64, u64)> {
        let arena = self.arena()?;
        let inner = self.inner.lock();
        inner.units_of(code).find(|u| u.tier == Tier::One).map(|u| {
            let record = arena.record(&u.place);
            let runs = u.counter.1.wrapping_sub(record.heat.load(Ordering::Relaxed)).max(0) as u64;
            (u.counter.0 + runs, record.taken.load(Ordering::Relaxed) as u32 as u64)
        })
    }

    /// The tiers of all translations that a block is part of, oldest first.
    pub fn tiers_of(&self, code: &Arc<Code>) -> Vec<Tier> {
        self.inner.lock().units_of(code).map(|u| u.tier).collect()
    }

    /// The blocks with which translations of `tier` begin that are linked to `code`.
    pub fn linked_from(&self, code: &Arc<Code>, tier: Tier) -> Vec<Arc<Code>> {
        let inner = self.inner.lock();
        let own = inner.units_of(code).filter(|u| u.begins_with(code));
        let from = own.flat_map(|u| &u.incoming).filter_map(|(id, _)| inner.units.get(id));
        from.filter(|u| u.tier == tier).filter_map(|u| u.parts.first()).cloned().collect()
    }

    /// Which exits of a block's tier 1 code are linked, which is: were taken.
    pub fn linked_exits(&self, code: &Arc<Code>) -> Option<[bool; 2]> {
        let inner = self.inner.lock();
        let unit = inner.units_of(code).find(|u| u.tier == Tier::One)?;
        Some([0, 1].map(|n| unit.targets.get(n).is_some_and(Option::is_some)))
    }

    /// Whether a region begins with `code`.
    pub fn is_head(&self, code: &Arc<Code>) -> bool {
        self.inner.lock().units_of(code).any(|u| u.tier == Tier::Two && u.begins_with(code))
    }

    /// Sets the heat counter of the record at this address, if a translation still has it.
    pub fn set_heat(&self, record: u64, heat: i32) {
        let Some(arena) = self.arena() else { return };
        let mut inner = self.inner.lock();
        let id = inner.by_record.get(&record).copied();
        if let Some(unit) = id.and_then(|id| inner.units.get_mut(&id)) {
            let counter = &arena.record(&unit.place).heat;
            let runs = unit.counter.1.wrapping_sub(counter.load(Ordering::Relaxed)).max(0) as u64;
            unit.counter = (unit.counter.0 + runs, heat);
            counter.store(heat, Ordering::Relaxed);
        }
    }

    /// Drops all translations that a dead block is part of. Whether there were any.
    pub fn discard(&self, code: &Arc<Code>) -> bool {
        let mut inner = self.inner.lock();
        let Some(ids) = inner.by_code.remove(&key(code)) else { return false };
        self.counts.invalidated.fetch_add(ids.len() as u64, Ordering::Relaxed);
        self.events.push(code.pa, What::Invalidated { count: ids.len() as u32 }, 0, 0);
        self.retire_all(&mut inner, &ids);
        true
    }

    /// What is wanted, and the number of its version.
    pub fn wanted(&self) -> (Arc<Wanted>, u64) {
        let inner = self.inner.lock();
        (inner.wanted.clone(), self.wants.load(Ordering::Acquire))
    }

    /// The number of the version of [`Translations::wanted`].
    pub fn wants(&self) -> u64 {
        self.wants.load(Ordering::Acquire)
    }

    /// Says which blocks count their runs in tier 1 from now on, and whether tier 2 may follow.
    pub fn set_flavour(&self, flavour: Flavour) {
        let mut inner = self.inner.lock();
        if inner.wanted.flavour != flavour {
            let pins = inner.wanted.pins.clone();
            self.want(&mut inner, Wanted { flavour, pins });
        }
    }

    /// Changes what is pinned. What does not fit is unlinked when this returns; harts that are inside leave at their next poll.
    pub fn change_pins<T>(&self, change: impl FnOnce(&mut Pins) -> T) -> T {
        let mut inner = self.inner.lock();
        let mut wanted = Wanted::clone(&inner.wanted);
        let result = change(&mut wanted.pins);
        if wanted.pins != inner.wanted.pins {
            self.want(&mut inner, wanted);
        }
        result
    }

    fn want(&self, inner: &mut Inner, wanted: Wanted) {
        let before = std::mem::replace(&mut inner.wanted, Arc::new(wanted));
        self.wants.fetch_add(1, Ordering::AcqRel);
        let (wanted, Some(arena)) = (&inner.wanted, self.arena.get().and_then(Option::as_ref)) else {
            return;
        };
        let goes = |unit: &Unit| {
            let made = unit.made(arena);
            // Counters of blocks that are pinned, or were, are set for that.
            let moved = made.tier == Tier::One && made.current && !wanted.same_level(&before, made.parts);
            moved || !wanted.fits(&made)
        };
        let ids: Vec<Id> = inner.units.iter().filter(|(_, u)| goes(u)).map(|(&id, _)| id).collect();
        self.retire_all(inner, &ids);
    }

    /// Drops everything.
    pub fn discard_all(&self) {
        let mut inner = self.inner.lock();
        let ids: Vec<Id> = inner.units.keys().copied().collect();
        self.retire_all(&mut inner, &ids);
    }

    fn retire_all(&self, inner: &mut Inner, ids: &[Id]) {
        if let Some(arena) = self.arena()
            && !ids.is_empty()
        {
            // The epoch moves after all is unlinked, so a hart that has seen the next one has begun a slice since.
            let epoch = self.epoch.load(Ordering::SeqCst) + 1;
            ids.iter().for_each(|&id| retire(arena, inner, epoch, id));
            self.epoch.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Makes room: drops the oldest translations until at most `bytes` of code are in use that is not waiting to be freed.
    pub fn evict_to(&self, bytes: u64) {
        let mut inner = self.inner.lock();
        let waiting: u64 = inner.retired.iter().map(|r| r.place.code_bytes() as u64).sum();
        let mut used = self.code_bytes().saturating_sub(waiting);
        let mut out = Vec::new();
        for (&id, unit) in &inner.units {
            if used <= bytes {
                break;
            }
            used = used.saturating_sub(unit.place.code_bytes() as u64);
            out.push(id);
        }
        if out.is_empty() {
            return;
        }
        self.counts.evicted.fetch_add(out.len() as u64, Ordering::Relaxed);
        self.events.push(0, What::Evicted { count: out.len() as u32 }, 0, 0);
        self.retire_all(&mut inner, &out);
    }

    /// Frees what no hart can be inside of any more.
    pub fn reclaim(&self) {
        let oldest = self.seen.iter().map(|s| s.load(Ordering::SeqCst)).min().unwrap_or(u64::MAX);
        let mut inner = self.inner.lock();
        while inner.retired.front().is_some_and(|r| r.epoch <= oldest) {
            if let (Some(r), Some(arena)) = (inner.retired.pop_front(), self.arena()) {
                arena.free(r.place);
            }
        }
    }
}

fn address(arena: &Arena, place: &Place) -> u64 {
    std::ptr::from_ref(arena.record(place)) as u64
}

/// Leads what led to `lower` to the new translation `id` instead.
fn take_over(arena: &Arena, inner: &mut Inner, lower: Id, id: Id, unit: &mut Unit) {
    let entry = arena.entry(&unit.place);
    let Some(old) = inner.units.get_mut(&lower) else { return };
    arena.record(&old.place).entry.store(entry, Ordering::Release);
    unit.incoming = std::mem::take(&mut old.incoming);
    for &(from, slot) in &unit.incoming {
        if let Some(source) = inner.units.get_mut(&from) {
            source.targets[slot] = Some(id);
            arena.link(&source.place, slot).store(entry, Ordering::Release);
        }
    }
}

/// The translation to which a link slot belongs, and the number of the slot.
fn owner(inner: &Inner, arena: &Arena, slot: u64) -> Option<Slot> {
    // Slots lie behind the head of their record, and records do not overlap.
    (0..MAX_LINKS as u64).find_map(|i| {
        let id = *inner.by_record.get(&(slot & !15).checked_sub(i * 16)?)?;
        let unit = inner.units.get(&id)?;
        let first = address(arena, &unit.place) + link_offset(0) as u64;
        let n = (slot.checked_sub(first)? / 8) as usize;
        (n < unit.stubs.len()).then_some((id, n))
    })
}

/// Unlinks a translation and lets its memory wait.
fn retire(arena: &Arena, inner: &mut Inner, epoch: u64, id: Id) {
    let Some(unit) = inner.units.remove(&id) else { return };
    arena.record(&unit.place).entry.store(host::gone(), Ordering::Release);
    for &(from, slot) in &unit.incoming {
        if let Some(source) = inner.units.get_mut(&from) {
            source.targets[slot] = None;
            arena.link(&source.place, slot).store(source.stubs[slot], Ordering::Release);
        }
    }
    for (n, target) in unit.targets.iter().enumerate() {
        arena.link(&unit.place, n).store(unit.stubs[n], Ordering::Release);
        if let Some(t) = target.and_then(|t| inner.units.get_mut(&t)) {
            t.incoming.retain(|&s| s != (id, n));
        }
    }
    if let Some(head) = unit.parts.first().filter(|_| unit.tier == Tier::Two) {
        // Whoever dropped it (a mode, a pin, want of room) did not mean for ever.
        head.ask_again();
    }
    let record = address(arena, &unit.place);
    inner.by_record.remove(&record);
    for part in &unit.parts {
        if let Some(ids) = inner.by_code.get_mut(&key(part)) {
            ids.retain(|&i| i != id);
            if ids.is_empty() {
                inner.by_code.remove(&key(part));
            }
        }
    }
    fall_back(arena, inner, &unit, record);
    inner.retired.push_back(Retired { epoch, place: unit.place });
}

/// The entry block of a translation that goes runs in the tier below, if that is still there.
fn fall_back(arena: &Arena, inner: &Inner, gone: &Unit, record: u64) {
    let Some(head) = gone.parts.first().filter(|c| c.record() == record) else { return };
    let is_lower = |u: &&Unit| u.tier < gone.tier && u.begins_with(head);
    let lower = if head.is_dead() { None } else { inner.units_of(head).find(is_lower) };
    if let Some(unit) = lower {
        arena.record(&unit.place).entry.store(arena.entry(&unit.place), Ordering::Release);
    }
    head.set_record(lower.map_or(0, |unit| address(arena, &unit.place)));
}
