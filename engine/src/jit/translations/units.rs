//! The translations of a machine, how they are found, and the links between them.
//!
//! The problem: tens of thousands are made and dropped each second, so each has to be entered and taken out with few allocations
//! and look-ups. They lie in a slab and know each other by number; a record's number is beside it, in a table by address; a block
//! names the record of its tier 1 code itself. Only what regions were made from is in a hash map.

use super::room::{Age, Ages};
use super::{Parts, Tier};
use crate::cache::code::Code;
use crate::host;
use crate::jit::across::{Across, CERTIFICATE_WORDS};
use crate::jit::arena::{Arena, Place};
use crate::jit::block::Profile;
use crate::jit::emitted::Emitted;
use crate::jit::shape::Shape;
use crate::jit::wanted::Made;
use crate::jit::ways::{Settled, Site};
use crate::tier::heat::Heat;
use crate::watch::Stage;
use crate::watch::list::Listed;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Number of a translation, from 1. Used again when it is gone; nothing names a translation that is.
pub(super) type Id = u32;

/// A link slot: translation and number of the slot.
pub(super) type Slot = (Id, u32);

/// Where a link slot leads.
pub(super) struct Link {
    /// Offset in the code of what it holds while it is not linked.
    stub: u32,
    /// The translation, or 0.
    to: Id,
    /// It has been linked: the exit was taken.
    taken: bool,
}

pub(super) struct Unit {
    pub tier: Tier,
    pub place: Place,
    /// Blocks that it was made from, the entry first. It lives no longer than any of them.
    pub parts: Parts,
    pub links: SmallVec<[Link; 2]>,
    /// Slots that lead here.
    pub incoming: SmallVec<[Slot; 2]>,
    /// Runs counted before the counter was last set, and what it was set to.
    pub counter: (u64, i32),
    /// How hot it was when its counter last ran out.
    pub heat: Heat,
    /// What it counts.
    pub profile: Profile,
    pub age: Age,
    /// Exits that count.
    pub sites: Vec<Site>,
    /// What was known of a region when it was formed again.
    pub known: Option<Arc<Settled>>,
    /// Of a region across pages.
    pub across: Option<Box<Across>>,
    /// Host bytes, and nanoseconds that it took to compile.
    pub cost: (u32, u64),
    /// Of a region.
    pub shape: Option<Box<Shape>>,
}

impl Unit {
    /// A translation in its place. `counter`: what it counts, and what its counter of runs begins with.
    pub fn new(
        tier: Tier,
        place: Place,
        parts: Parts,
        emitted: &Emitted,
        (profile, heat): (Profile, i32),
        now: Heat,
    ) -> Unit {
        let links = emitted.stubs.iter().map(|&stub| Link { stub, to: 0, taken: false }).collect();
        let (incoming, counter) = (SmallVec::new(), (0, heat));
        let (age, sites) = (Age::default(), emitted.sites.clone());
        let across = (!emitted.pages.is_empty()).then(|| Box::new(Across::new(emitted.pages.clone())));
        let (known, cost) = (None, (emitted.code.len() as u32, emitted.compile_ns));
        Unit {
            tier,
            place,
            parts,
            links,
            incoming,
            counter,
            heat: now,
            profile,
            age,
            sites,
            known,
            across,
            cost,
            shape: None,
        }
    }

    pub fn head(&self) -> &Arc<Code> {
        &self.parts[0]
    }

    /// Whether `code` is its entry.
    pub fn begins_with(&self, code: &Code) -> bool {
        std::ptr::eq(&raw const **self.head(), code)
    }

    /// Whether its entry block is entered by it.
    pub fn is_current(&self, arena: &Arena) -> bool {
        self.head().record() == arena.record_address(&self.place)
    }

    pub fn made(&self, arena: &Arena) -> Made<'_> {
        Made { tier: self.tier, parts: &self.parts, profile: self.profile, current: self.is_current(arena) }
    }

    pub fn stage(&self) -> Stage {
        match self.tier {
            Tier::One => Stage::Tier1,
            Tier::Two if self.known.as_ref().is_some_and(|known| known.settled) => Stage::Settled,
            Tier::Two => Stage::Tier2,
        }
    }

    /// What a table says of it.
    pub fn listed(&self, arena: &Arena, id: Id) -> Listed {
        let head = self.head();
        let (host_bytes, compile_ns) = self.cost;
        let counts = self.profile == Profile::Runs;
        let linked = self.links.iter().filter(|l| l.to != 0).count();
        Listed {
            id,
            pa: head.pa,
            key: head.key,
            stage: self.stage(),
            current: self.is_current(arena),
            blocks: self.parts.iter().map(|part| part.pa).collect(),
            insns: self.parts.iter().map(|part| part.insns).sum(),
            bytes: self.parts.iter().map(|part| part.bytes).sum(),
            host_bytes,
            exits: [self.links.len(), linked].map(|n| n as u16),
            runs: counts.then(|| self.counter.0 + self.counted(arena)),
            compile_ns,
        }
    }

    /// Runs counted since the counter was last set.
    pub fn counted(&self, arena: &Arena) -> u64 {
        let left = arena.record(&self.place).heat.load(Ordering::Relaxed);
        (i64::from(self.counter.1) - i64::from(left)).max(0) as u64
    }

    /// Which exits were ever taken.
    pub fn taken(&self) -> [bool; 2] {
        [0, 1].map(|n| self.links.get(n).is_some_and(|l| l.taken))
    }

    /// The first word of a hart's certificate.
    pub fn certificate(&self, hart: u32) -> usize {
        let words = self.links.len() + self.sites.iter().map(Site::words).sum::<usize>();
        words + hart as usize * CERTIFICATE_WORDS
    }

    /// What slot `n` holds while it is not linked.
    fn stub(&self, arena: &Arena, n: usize) -> u64 {
        arena.address(&self.place, self.links[n].stub)
    }
}

/// Translations are moved into the slab in pieces of so many, so that it grows without moving them.
const PIECE: usize = 256;

#[derive(Default)]
pub(super) struct Units {
    slab: Vec<Box<[Option<Unit>]>>,
    free: Vec<Id>,
    /// By number of a record's first granule: the translation, or 0.
    by_record: Vec<Id>,
    /// Regions that a block is part of, by the block's address.
    regions: FxHashMap<usize, SmallVec<[Id; 2]>>,
    pub ages: Ages,
}

fn key(code: &Code) -> usize {
    std::ptr::from_ref(code) as usize
}

impl Units {
    pub fn get(&self, id: Id) -> Option<&Unit> {
        let i = (id as usize).checked_sub(1)?;
        self.slab.get(i / PIECE)?[i % PIECE].as_ref()
    }

    pub fn get_mut(&mut self, id: Id) -> Option<&mut Unit> {
        let i = (id as usize).checked_sub(1)?;
        self.slab.get_mut(i / PIECE)?[i % PIECE].as_mut()
    }

    /// All of them, by number.
    pub fn all(&self) -> impl Iterator<Item = (Id, &Unit)> {
        (1..).zip(self.slab.iter().flatten()).filter_map(|(id, unit)| Some((id, unit.as_ref()?)))
    }

    /// Those with numbers from `from` on, at most so many numbers; and the number to go on from, if there may be more.
    pub fn piece(&self, from: Id, most: usize) -> (impl Iterator<Item = (Id, &Unit)>, Option<Id>) {
        let first = (from as usize).saturating_sub(1);
        let end = first.saturating_add(most).min(self.slab.len() * PIECE);
        let ids = (first..end).map(|i| i as Id + 1);
        let more = (end < self.slab.len() * PIECE).then_some(end as Id + 1);
        (ids.filter_map(|id| Some((id, self.get(id)?))), more)
    }

    /// Enters a translation, as the youngest.
    pub fn insert(&mut self, arena: &Arena, unit: Unit) -> Id {
        if self.free.is_empty() {
            let first = (self.slab.len() * PIECE) as Id + 1;
            self.slab.push(std::iter::repeat_with(|| None).take(PIECE).collect());
            self.free.extend((first..first + PIECE as Id).rev());
        }
        let id = self.free.pop().unwrap_or_default();
        let granule = arena.record_granule(arena.record_address(&unit.place)).unwrap_or_default();
        if self.by_record.len() <= granule {
            self.by_record.resize((granule + 1).next_power_of_two(), 0);
        }
        self.by_record[granule] = id;
        if unit.tier == Tier::Two {
            for part in &unit.parts {
                self.regions.entry(key(part)).or_default().push(id);
            }
        }
        let i = id as usize - 1;
        self.slab[i / PIECE][i % PIECE] = Some(unit);
        self.add_youngest(id);
        id
    }

    /// Takes a translation out. Links from and to it have gone.
    pub fn remove(&mut self, arena: &Arena, id: Id) -> Option<Unit> {
        self.leave_ages(id);
        let i = (id as usize).checked_sub(1)?;
        let unit = self.slab.get_mut(i / PIECE)?[i % PIECE].take()?;
        self.free.push(id);
        if let Some(granule) = arena.record_granule(arena.record_address(&unit.place)) {
            self.by_record[granule] = 0;
        }
        if unit.tier == Tier::Two {
            for part in &unit.parts {
                if let Some(ids) = self.regions.get_mut(&key(part)) {
                    ids.retain(|i| *i != id);
                    if ids.is_empty() {
                        self.regions.remove(&key(part));
                    }
                }
            }
        }
        Some(unit)
    }

    /// The translation with the record at this address.
    pub fn by_record(&self, arena: &Arena, record: u64) -> Option<Id> {
        let id = *self.by_record.get(arena.record_granule(record)?)?;
        let unit = self.get(id)?;
        (arena.record_address(&unit.place) == record).then_some(id)
    }

    /// The translation to which a link slot belongs, and the number of the slot.
    pub fn owner(&self, arena: &Arena, slot: u64) -> Option<Slot> {
        // Slots lie behind the head of their record, and records do not overlap.
        let granule = arena.record_granule(slot)?;
        let id =
            *self.by_record.get(..=granule)?.iter().rev().take(Arena::MOST_GRANULES).find(|id| **id != 0)?;
        let unit = self.get(id)?;
        let n = slot.checked_sub(std::ptr::from_ref(arena.link(&unit.place, 0)) as u64)? / 8;
        (n < unit.links.len() as u64).then_some((id, n as u32))
    }

    /// The tier 1 code of a block.
    pub fn tier1_of(&self, arena: &Arena, code: &Code) -> Option<Id> {
        let id = self.by_record(arena, code.tier1_record())?;
        self.get(id).is_some_and(|u| u.tier == Tier::One && u.begins_with(code)).then_some(id)
    }

    /// The translations that a block is part of, tier 1 first, then the oldest.
    pub fn of(&self, arena: &Arena, code: &Code) -> SmallVec<[Id; 4]> {
        let regions = self.regions.get(&key(code)).map_or(&[][..], |ids| ids);
        self.tier1_of(arena, code).into_iter().chain(regions.iter().copied()).collect()
    }

    /// Leads a slot to `to`.
    pub fn link(&mut self, arena: &Arena, (from, n): Slot, to: Id) -> bool {
        let Some(entry) = self.get(to).map(|unit| arena.entry(&unit.place)) else { return false };
        let Some(source) = self.get_mut(from) else { return false };
        let Some(link) = source.links.get_mut(n as usize) else { return false };
        let before = std::mem::replace(&mut link.to, to);
        link.taken = true;
        arena.link(&source.place, n as usize).store(entry, Ordering::Release);
        if before != to {
            self.forget_incoming(before, (from, n));
            if let Some(unit) = self.get_mut(to) {
                unit.incoming.push((from, n));
            }
        }
        true
    }

    /// Leads a slot that leads to no translation to this host address.
    pub fn lead_out(&mut self, arena: &Arena, (from, n): Slot, to: u64) {
        let Some(unit) = self.get_mut(from) else { return };
        if let Some(link) = unit.links.get_mut(n as usize).filter(|l| l.to == 0) {
            link.taken = true;
            arena.link(&unit.place, n as usize).store(to, Ordering::Release);
        }
    }

    fn forget_incoming(&mut self, to: Id, slot: Slot) {
        if let Some(unit) = self.get_mut(to)
            && let Some(i) = unit.incoming.iter().position(|s| *s == slot)
        {
            unit.incoming.swap_remove(i);
        }
    }

    /// Leads all slots that lead to a translation back to their stubs.
    pub fn unlink_incoming(&mut self, arena: &Arena, id: Id) {
        let Some(unit) = self.get_mut(id) else { return };
        for (from, n) in std::mem::take(&mut unit.incoming) {
            if let Some(source) = self.get_mut(from) {
                source.links[n as usize].to = 0;
                arena
                    .link(&source.place, n as usize)
                    .store(source.stub(arena, n as usize), Ordering::Release);
            }
        }
    }

    /// Leads all slots of a translation back to their stubs.
    pub fn unlink_outgoing(&mut self, arena: &Arena, id: Id) {
        for n in 0..self.get(id).map_or(0, |unit| unit.links.len()) {
            let Some(unit) = self.get_mut(id) else { return };
            let to = std::mem::take(&mut unit.links[n].to);
            if to != 0 {
                arena.link(&unit.place, n).store(unit.stub(arena, n), Ordering::Release);
                self.forget_incoming(to, (id, n as u32));
            }
        }
    }

    /// Leads what led to `lower` to `id` instead.
    pub fn take_over(&mut self, arena: &Arena, lower: Id, id: Id) {
        let Some(entry) = self.get(id).map(|unit| arena.entry(&unit.place)) else { return };
        let Some(old) = self.get_mut(lower) else { return };
        arena.record(&old.place).entry.store(entry, Ordering::Release);
        for slot in std::mem::take(&mut old.incoming) {
            self.link(arena, slot, id);
        }
    }

    /// Lets a translation be entered, or not, by its record, and by that of the code below that it took over from.
    pub fn open(&self, arena: &Arena, id: Id, open: bool) {
        let Some(unit) = self.get(id).filter(|unit| unit.is_current(arena)) else { return };
        let entry = if open { arena.entry(&unit.place) } else { host::gone() };
        arena.record(&unit.place).entry.store(entry, Ordering::Release);
        let below = self.tier1_of(arena, unit.head()).filter(|below| *below != id);
        if let Some(below) = below.and_then(|below| self.get(below)) {
            arena.record(&below.place).entry.store(entry, Ordering::Release);
        }
    }
}
