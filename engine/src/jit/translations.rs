//! All translations of a machine: who owns which code, who links to whom, and how each goes away.
//!
//! The problem: harts run code, and jump from translation to translation, while others compile, write guest code or make
//! room. So there is one owner of all links. A translation goes in steps: its record's entry and every link into it are set to
//! leave for the dispatcher; then its memory waits until every hart has begun another slice, because a hart can be inside until
//! then; records wait longer, until every hart has cleared its jump cache, which names them. [`room`] says which go when memory is
//! full.
//!
//! Lock order: a shard of the [code map](crate::cache::code) before the lock here.

use super::across::{Look, PageMap, page_of, place};
use super::arena::{Arena, Place};
use super::block::Profile;
use super::emitted::Emitted;
use super::shape::Shape;
use super::wanted::{Flavour, Made, Wanted};
use super::ways::{Left, Settled, Site};
use crate::cache::code::Code;
use crate::host;
use crate::tier::events::{Events, What};
use crate::tier::heat::Heat;
use crate::tier::pins::Pins;
use crate::watch::Stage;
use crate::watch::apart::Piece;
use crate::watch::list::{self, Listed};
use crate::watch::samples::Samples;
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use units::{Id, Unit, Units};

mod room;
#[cfg(test)]
mod tests;
mod units;

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

/// Blocks that a translation is made from, the entry first.
pub type Parts = SmallVec<[Arc<Code>; 1]>;

struct Retired {
    epoch: u64,
    place: Place,
}

#[derive(Default)]
struct Inner {
    units: Units,
    retired: VecDeque<Retired>,
    /// Nothing is installed that does not fit this.
    wanted: Arc<Wanted>,
}

impl Inner {
    /// The translations that a block is part of, tier 1 first, then the oldest.
    fn units_of(&self, arena: &Arena, code: &Code) -> impl Iterator<Item = &Unit> {
        self.units.of(arena, code).into_iter().filter_map(|id| self.units.get(id))
    }

    /// The tier 1 code of a block.
    fn tier1_of(&self, arena: &Arena, code: &Code) -> Option<&Unit> {
        self.units.get(self.units.tier1_of(arena, code)?)
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
    /// Nearly dropped for room, and used again.
    pub reopened: AtomicU64,
    /// Links made.
    pub linked: AtomicU64,
    /// Regions formed again by how they were left.
    pub settled: AtomicU64,
    /// Regions that count again, because what was guessed failed too often.
    pub recounted: AtomicU64,
}

/// How a region was left.
pub struct Seen {
    /// Guest instructions in it.
    pub insns: u32,
    /// Its runs since it was made, or failed comparisons if it is settled.
    pub runs: u64,
    /// Its exits.
    pub left: Vec<Left>,
    /// What was known when it was formed.
    pub known: Arc<Settled>,
}

impl Seen {
    /// How often it was left to another page, or by an indirect jump, for each run; `head` is the page offset of its entry.
    pub fn away(&self, head: u16) -> f64 {
        let goes = |to| place(head.into(), to).is_none_or(|at| page_of(at) != 0);
        let away = self.left.iter().filter(|l| l.site.target.is_none_or(goes));
        away.map(|l| l.times as f64).sum::<f64>() / self.runs.max(1) as f64
    }
}

/// What a translation was made from, and its code.
pub struct Whole {
    /// Its tier.
    pub tier: Tier,
    /// How it runs.
    pub stage: Stage,
    /// Its blocks, each once.
    pub parts: Parts,
    /// What it counts.
    pub profile: Profile,
    /// How a region was made from the parts.
    pub shape: Option<Shape>,
    /// The code, and at which offset of it each piece begins.
    pub host: Vec<(u32, Piece)>,
}

impl Whole {
    /// Bytes of code.
    pub fn code_len(&self) -> usize {
        self.host.iter().map(|(_, piece)| piece.bytes.len()).sum()
    }
}

/// What becomes of a hart that came to a region across pages without a certificate.
pub struct Entered {
    /// The code to run: the region, or that below; none if the block is to be interpreted.
    pub entry: Option<u64>,
    /// The pages were missing too often: the entry block, and what is known of the region.
    pub give_up: Option<(Arc<Code>, Arc<Settled>)>,
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
    /// Bytes of code that is not waiting to be freed.
    live: AtomicU64,
    /// Moves when something else is wanted.
    wants: AtomicU64,
    /// Counts.
    pub counts: TranslationCounts,
    /// What was decided, and why.
    pub events: Events,
    /// Where harts are when somebody asks.
    pub samples: Samples,
}

impl Translations {
    /// None yet, for a machine of `harts`.
    pub fn new(harts: usize) -> Translations {
        Translations {
            arena: OnceLock::new(),
            inner: Mutex::default(),
            epoch: AtomicU64::new(1),
            seen: (0..harts).map(|_| AtomicU64::new(u64::MAX)).collect(),
            live: AtomicU64::new(0),
            wants: AtomicU64::new(1),
            counts: TranslationCounts::default(),
            events: Events::default(),
            samples: Samples::new(harts),
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
    /// from now on. `counter`: what it counts, and the runs after which it asks for the tier above. False if a part has died, there is no room,
    /// or it is not what is wanted (any more).
    pub fn install(
        &self,
        tier: Tier,
        parts: impl Into<Parts>,
        emitted: &Emitted,
        counter: (Profile, i32),
    ) -> bool {
        self.install_as(tier, parts.into(), emitted, counter, None)
    }

    /// As [`Translations::install`], for a region, of which so much was known. It takes the place of one with the same entry.
    pub fn install_region(
        &self,
        parts: impl Into<Parts>,
        emitted: &Emitted,
        heat: i32,
        known: Arc<Settled>,
        shape: Shape,
    ) -> bool {
        let count = if known.settled { &self.counts.settled } else { &self.counts.recounted };
        let again = known.settled || known.rounds > 0;
        let done =
            self.install_as(Tier::Two, parts.into(), emitted, (Profile::Nothing, heat), Some((known, shape)));
        if done && again {
            count.fetch_add(1, Ordering::Relaxed);
        }
        done
    }

    fn install_as(
        &self,
        tier: Tier,
        parts: Parts,
        emitted: &Emitted,
        counter: (Profile, i32),
        region: Option<(Arc<Settled>, Shape)>,
    ) -> bool {
        let (Some(head), Some(arena)) = (parts.first().cloned(), self.arena()) else { return false };
        let now = Heat::new(Instant::now());
        let mut inner = self.inner.lock();
        // Whoever kills a block marks it dead first and then comes here.
        if parts.iter().any(|c| c.is_dead()) {
            return false;
        }
        // The mode or a pin may have changed while it was compiled.
        let made = Made { tier, parts: &parts, profile: counter.0, current: true };
        if !inner.wanted.fits(&made) {
            return false;
        }
        let old = head.record();
        if tier == Tier::One && old != 0 {
            // Another hart was first.
            return true;
        }
        let harts = self.seen.len();
        let Some(place) = arena.install(emitted, counter.1, host::gone(), harts) else { return false };
        let record = arena.record_address(&place);
        let i = tier as usize - 1;
        self.counts.installed[i].fetch_add(1, Ordering::Relaxed);
        self.counts.insns[i].fetch_add(parts.iter().map(|c| c.insns as u64).sum(), Ordering::Relaxed);
        self.counts.host_bytes[i].fetch_add(emitted.code.len() as u64, Ordering::Relaxed);
        let (known, shape) = region.map(|(known, shape)| (known, Box::new(shape))).unzip();
        let unit = Unit { known, shape, ..Unit::new(tier, place, parts, emitted, counter, now) };
        let id = inner.units.insert(arena, unit);
        if let Some(lower) = inner.units.by_record(arena, old) {
            inner.units.take_over(arena, lower, id);
        }
        if tier == Tier::One {
            head.set_tier1_record(record);
        }
        head.set_record(record);
        if tier == Tier::Two {
            self.replace(arena, &mut inner, &head, id);
        }
        self.live.store(inner.units.ages.bytes(), Ordering::Relaxed);
        true
    }

    /// Region `id`, which has just been put in, is the only one that begins with `head`, and tier 1's code of it leads there.
    fn replace(&self, arena: &Arena, inner: &mut Inner, head: &Arc<Code>, id: Id) {
        let mut others = inner.units.of(arena, head);
        let is_other = |unit: &Unit| unit.tier == Tier::Two && unit.begins_with(head);
        others.retain(|i| *i != id && inner.units.get(*i).is_some_and(is_other));
        if !others.is_empty() {
            inner.units.open(arena, id, true);
            self.retire_all(inner, &others);
            // It has a region.
            head.ask();
        }
    }

    /// A hart looks at the pages of the region with this record, of which it has no certificate. What it is to run then; the region is to be
    /// formed without other pages, if that is in it.
    pub fn look_at_pages(
        &self,
        record: u64,
        hart: u32,
        look: impl FnOnce(&PageMap) -> Look,
    ) -> Option<Entered> {
        let arena = self.arena()?;
        let mut inner = self.inner.lock();
        let id = inner.units.by_record(arena, record)?;
        let unit = inner.units.get_mut(id)?;
        let across = unit.across.as_mut()?;
        let found = look(&across.pages);
        if let Look::Good { tag, page } = found {
            across.hit();
            let first = unit.certificate(hart);
            // Nobody but this hart reads or writes them.
            for (i, word) in [tag, page].into_iter().enumerate() {
                arena.link(&unit.place, first + i).store(word, Ordering::Relaxed);
            }
            return Some(Entered { entry: Some(arena.entry(&unit.place)), give_up: None });
        }
        let give_up = across.miss(found).then(|| unit.known.clone().unwrap_or_default());
        let head = unit.head().clone();
        let below = inner.tier1_of(arena, &head).map(|below| arena.entry(&below.place));
        Some(Entered { entry: below, give_up: give_up.map(|known| (head, known)) })
    }

    /// How the region with this record was left.
    pub fn seen(&self, record: u64) -> Option<Seen> {
        let arena = self.arena()?;
        let inner = self.inner.lock();
        let unit = inner.units.get(inner.units.by_record(arena, record)?)?;
        let mut first = unit.links.len();
        let read = |site: &Site| {
            let begin = first;
            first += site.words();
            Left::read(*site, |i| arena.link(&unit.place, begin + i).load(Ordering::Relaxed))
        };
        let left = unit.sites.iter().map(read).collect();
        let insns = unit.parts.iter().map(|c| c.insns).sum();
        let known = unit.known.clone().unwrap_or_default();
        Some(Seen { insns, runs: unit.counter.0 + unit.counted(arena), left, known })
    }

    /// Where to enter the best translation of a block.
    #[inline]
    pub fn entry(&self, code: &Code) -> Option<u64> {
        let record = code.record();
        if record == 0 {
            return None;
        }
        // SAFETY: a block's record word is the address of a record of this arena; records are not reused before every hart
        // has begun another slice after the word changed, and the caller is in one.
        let entry = unsafe { &*(record as *const super::record::Record) }.entry.load(Ordering::Acquire);
        if entry == host::gone() { self.reopen(code) } else { Some(entry) }
    }

    /// The entry of a block's best translation that may have been made cool, see [`room`].
    #[cold]
    fn reopen(&self, code: &Code) -> Option<u64> {
        let arena = self.arena()?;
        let mut inner = self.inner.lock();
        let id = inner.units.by_record(arena, code.record())?;
        self.use_again(arena, &mut inner, id);
        Some(arena.entry(&inner.units.get(id)?.place))
    }

    fn use_again(&self, arena: &Arena, inner: &mut Inner, id: Id) {
        if inner.units.is_cool(id) {
            inner.units.reopen(arena, id);
            self.counts.reopened.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Leads the link slot at address `slot` to the translation of `to`, if `accept` agrees with the block that the slot's
    /// translation begins with.
    pub fn link(&self, slot: u64, to: &Code, accept: impl FnOnce(&Code) -> bool) -> bool {
        let Some(arena) = self.arena() else { return false };
        let mut inner = self.inner.lock();
        let Some(from) = inner.units.owner(arena, slot) else { return false };
        let Some(target) = inner.units.by_record(arena, to.record()) else { return false };
        if to.is_dead() || !inner.units.get(from.0).is_some_and(|u| accept(u.head())) {
            return false;
        }
        self.use_again(arena, &mut inner, target);
        self.counts.linked.fetch_add(1, Ordering::Relaxed);
        inner.units.link(arena, from, target)
    }

    /// Leads the link slot at address `slot` to the thunk that looks in the jump cache, for good: what lies at its target may change.
    pub fn link_to_probe(&self, slot: u64, probe: u64) {
        let Some(arena) = self.arena() else { return };
        let mut inner = self.inner.lock();
        if let Some(from) = inner.units.owner(arena, slot) {
            inner.units.lead_out(arena, from, probe);
        }
    }

    /// The counter in this record ran out: the entry block of its translation, its tier, and its heat now.
    pub fn hot(&self, record: u64) -> Option<(Arc<Code>, Tier, f64)> {
        let arena = self.arena()?;
        let mut inner = self.inner.lock();
        let id = inner.units.by_record(arena, record)?;
        let unit = inner.units.get_mut(id)?;
        let heat = unit.heat.add(unit.counted(arena), Instant::now());
        Some((unit.head().clone(), unit.tier, heat))
    }

    /// What is known of the tier 1 translation of a block: runs, and how often its branch was taken. By samples both are about right.
    pub fn profile(&self, code: &Arc<Code>) -> Option<(u64, u64)> {
        let arena = self.arena()?;
        let inner = self.inner.lock();
        let unit = inner.tier1_of(arena, code)?;
        let left = arena.record(&unit.place).left.load(Ordering::Relaxed) as u32;
        let runs = unit.counter.0 + unit.counted(arena);
        Some((runs, runs.saturating_sub(left.into())))
    }

    /// A sample says that the tier 1 code with this record, which counts no runs itself, has run about so often since the last. Whether its
    /// counter has run out.
    pub fn sampled(&self, record: u64, runs: u64) -> bool {
        let Some(arena) = self.arena() else { return false };
        let inner = self.inner.lock();
        let unit = inner.units.by_record(arena, record).and_then(|id| inner.units.get(id));
        let Some(unit) = unit.filter(|u| u.tier == Tier::One && u.profile == Profile::Left) else {
            return false;
        };
        let heat = &arena.record(&unit.place).heat;
        let runs = runs.min(i32::MAX as u64) as i32;
        let less = |heat: i32| Some(heat.saturating_sub(runs));
        heat.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok_and(|before| before < runs)
    }

    /// The tiers of all translations that a block is part of, tier 1 first.
    pub fn tiers_of(&self, code: &Arc<Code>) -> Vec<Tier> {
        let Some(arena) = self.arena() else { return Vec::new() };
        self.inner.lock().units_of(arena, code).map(|u| u.tier).collect()
    }

    /// The youngest region that a block is part of runs as this.
    pub fn region_stage(&self, code: &Arc<Code>) -> Option<Stage> {
        let inner = self.inner.lock();
        inner.units_of(self.arena()?, code).filter(|u| u.tier == Tier::Two).last().map(Unit::stage)
    }

    /// The translation with this number in a [list](Translations::list), if it is still there.
    pub fn whole(&self, id: u32) -> Option<Whole> {
        let arena = self.arena.get()?.as_ref()?;
        let inner = self.inner.lock();
        let unit = inner.units.get(id)?;
        Some(Whole {
            tier: unit.tier,
            stage: unit.stage(),
            parts: unit.parts.clone(),
            profile: unit.profile,
            shape: unit.shape.as_deref().cloned(),
            host: arena.pieces(&unit.place, unit.cost.0 as usize),
        })
    }

    /// Adds translations to a list, from number `from` (0 at first) on. The number to go on from, if there are more: no lock is held for
    /// long.
    pub fn list(&self, from: u32, out: &mut Vec<Listed>) -> Option<u32> {
        let arena = self.arena.get()?.as_ref()?;
        let inner = self.inner.lock();
        let (units, more) = inner.units.piece(from.max(1), list::PIECE);
        out.extend(units.map(|(id, unit)| unit.listed(arena, id)));
        more
    }

    /// The blocks with which translations of `tier` begin that are linked to `code`.
    pub fn linked_from(&self, code: &Arc<Code>, tier: Tier) -> Vec<Arc<Code>> {
        let Some(arena) = self.arena() else { return Vec::new() };
        let inner = self.inner.lock();
        let own = inner.units_of(arena, code).filter(|u| u.begins_with(code));
        let from = own.flat_map(|u| &u.incoming).filter_map(|(id, _)| inner.units.get(*id));
        from.filter(|u| u.tier == tier).map(|u| u.head().clone()).collect()
    }

    /// Which exits of a block's tier 1 code have been linked, which is: were taken.
    pub fn linked_exits(&self, code: &Arc<Code>) -> Option<[bool; 2]> {
        let inner = self.inner.lock();
        Some(inner.tier1_of(self.arena()?, code)?.taken())
    }

    /// Whether a region begins with `code`.
    pub fn is_head(&self, code: &Arc<Code>) -> bool {
        let Some(arena) = self.arena() else { return false };
        self.inner.lock().units_of(arena, code).any(|u| u.tier == Tier::Two && u.begins_with(code))
    }

    /// Sets the heat counter of the record at this address, if a translation still has it.
    pub fn set_heat(&self, record: u64, heat: i32) {
        let Some(arena) = self.arena() else { return };
        let mut inner = self.inner.lock();
        let id = inner.units.by_record(arena, record);
        if let Some(unit) = id.and_then(|id| inner.units.get_mut(id)) {
            unit.counter = (unit.counter.0 + unit.counted(arena), heat);
            arena.record(&unit.place).heat.store(heat, Ordering::Relaxed);
        }
    }

    /// Drops all translations that a dead block is part of. Whether there were any.
    pub fn discard(&self, code: &Arc<Code>) -> bool {
        let mut inner = self.inner.lock();
        // Without any translation there is no memory for them either.
        let Some(arena) = self.arena.get().and_then(Option::as_ref) else { return false };
        let ids = inner.units.of(arena, code);
        if ids.is_empty() {
            return false;
        }
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
        let ids: Vec<Id> = inner.units.all().filter(|(_, u)| goes(u)).map(|(id, _)| id).collect();
        self.retire_all(inner, &ids);
    }

    /// Drops everything.
    pub fn discard_all(&self) {
        let mut inner = self.inner.lock();
        let ids: Vec<Id> = inner.units.all().map(|(id, _)| id).collect();
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
            self.live.store(inner.units.ages.bytes(), Ordering::Relaxed);
        }
    }

    /// Sees to it that at most `limit` bytes of code are in use, what waits to be freed not counted. Whether anything was dropped.
    #[inline]
    pub fn make_room(&self, limit: u64) -> bool {
        room::is_tight(self.live.load(Ordering::Relaxed), limit) && self.drop_unused(limit)
    }

    #[cold]
    fn drop_unused(&self, limit: u64) -> bool {
        let Some(arena) = self.arena() else { return false };
        let mut inner = self.inner.lock();
        let out = inner.units.make_room(arena, limit);
        if out.is_empty() {
            return false;
        }
        for id in &out {
            inner.units.get(*id).into_iter().for_each(|unit| unit.head().forget_runs());
        }
        self.counts.evicted.fetch_add(out.len() as u64, Ordering::Relaxed);
        self.events.push(0, What::Evicted { count: out.len() as u32 }, 0, 0);
        self.retire_all(&mut inner, &out);
        true
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

/// Unlinks a translation and lets its memory wait.
fn retire(arena: &Arena, inner: &mut Inner, epoch: u64, id: Id) {
    inner.units.unlink_incoming(arena, id);
    inner.units.unlink_outgoing(arena, id);
    let Some(unit) = inner.units.remove(arena, id) else { return };
    arena.record(&unit.place).entry.store(host::gone(), Ordering::Release);
    if unit.tier == Tier::Two {
        // Whoever dropped it (a mode, a pin, want of room) did not mean for ever.
        unit.head().ask_again();
    }
    fall_back(arena, &inner.units, &unit);
    inner.retired.push_back(Retired { epoch, place: unit.place });
}

/// The entry block of a translation that goes runs in the tier below, if that is still there.
fn fall_back(arena: &Arena, units: &Units, gone: &Unit) {
    let head = gone.head();
    if !gone.is_current(arena) {
        return;
    }
    let lower = if head.is_dead() || gone.tier == Tier::One { None } else { units.tier1_of(arena, head) };
    head.set_record(lower.and_then(|id| units.get(id)).map_or(0, |unit| arena.record_address(&unit.place)));
    if let Some(id) = lower {
        units.open(arena, id, !units.is_cool(id));
    }
}
