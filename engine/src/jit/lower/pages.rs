//! Which accesses are compared with the page of an access before them, instead of with the TLB.
//!
//! The problem: the inline TLB check is eight instructions with four loads, before each access. Most accesses lie in a page that
//! was looked up a moment ago: fields of one structure, the stack frame, the next element of an array. So the page and the
//! addend of a look-up may be kept in a *slot*, and later accesses through the same base register, not far off, compare with
//! that: three instructions. Where it is another page the look-up is done after all, in a cold block, and the slot
//! filled anew. What a slot holds stays true until a helper is called: nothing else that a region does can take a
//! translation away, and the slot dies with the region's run. Loads and stores have slots of their own.
//!
//! A slot is two variables. Of a loop with many of them the others are two words of the state each ([`Core::pages`](crate::exec::core::Core::pages)): to
//! compare with memory and load from there costs less than the spills that more variables would cause.

use super::flow::Flow;
use super::kind::{Kind, kind};
use super::loops::{Loops, WIDEST};
use crate::exec::core::PAGE_SLOTS;
use crate::ir::op::Reg;
use crate::ir::{Op, Opcode};
use crate::jit::region::{GuestRules, Region};
use rustc_hash::{FxHashMap, FxHashSet};

/// How an access finds its page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// By the TLB.
    Look,
    /// By the TLB, and keeps what it found.
    Keep(usize),
    /// By the slot, if its page is the one, else by asking for the page.
    Try(usize),
    /// By the slot, else by the TLB.
    TryLook(usize),
}

/// Where a slot is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Home {
    /// In two variables.
    Variables,
    /// In two words of the state.
    State,
}

/// The slots of a region and who uses them.
pub struct Pages {
    modes: FxHashMap<(usize, usize), Mode>,
    /// Where each slot is.
    pub slots: Vec<Home>,
}

/// Loads or stores through one base register, which of its [values](value_of), and which of its [near](Near) groups. Of accesses
/// that are not far from [one word](Loops::root) that is the base, and they are a group of their own.
type Key = (bool, Reg, u16, u16);

/// A pointer that moves further in an iteration leaves its page too often to ask for the next one each time.
const FARTHEST: i64 = 128;
/// Offsets from one base that are further apart than this are in different pages too often for one slot.
const NEAR: i64 = 256;
/// More slots of a loop than this in variables leave too few registers for the guest's words.
const LOOP_SLOTS: usize = 3;

fn access(rules: &GuestRules, op: &Op) -> Option<(bool, Reg)> {
    match kind(rules, op) {
        Kind::Load => Some((false, op.b)),
        Kind::Store => Some((true, op.b)),
        Kind::Atomic => Some((op.code != Opcode::LoadReserved, op.b)),
        _ => None,
    }
}

/// The accesses of a region by base, and within that in groups whose offsets are near each other.
struct Near<'a> {
    region: &'a Region,
    flow: &'a Flow,
    loops: &'a Loops,
    rules: GuestRules,
    /// Where groups start.
    starts: FxHashMap<(bool, Reg), Vec<i64>>,
}

impl<'a> Near<'a> {
    fn new(region: &'a Region, flow: &'a Flow, loops: &'a Loops) -> Near<'a> {
        let rules = region.rules;
        let mut offsets: FxHashMap<(bool, Reg), Vec<i64>> = FxHashMap::default();
        for op in region.blocks.iter().flat_map(|b| &b.ops) {
            if let Some(of) = access(&rules, op) {
                offsets.entry(of).or_default().push(op.imm);
            }
        }
        for starts in offsets.values_mut() {
            starts.sort_unstable();
            let mut group = None;
            starts.retain(|&at| {
                let new = group.is_none_or(|start: i64| at.saturating_sub(start) > NEAR);
                group = if new { Some(at) } else { group };
                new
            });
        }
        Near { region, flow, loops, rules, starts: offsets }
    }

    /// The key of op `at` of `block`, if it is an access.
    fn key(&self, block: usize, at: usize) -> Option<Key> {
        let ops = &self.region.blocks[block].ops;
        let op = ops.get(at)?;
        let (store, base) = access(&self.rules, op)?;
        if let Some(root) = self.loops.root(self.region, self.flow, (block, at), base) {
            return Some((store, root, 0, u16::MAX));
        }
        let starts = self.starts.get(&(store, base))?;
        let group = starts.partition_point(|&start| start <= op.imm).saturating_sub(1);
        let number = |n| u16::try_from(n).unwrap_or(u16::MAX);
        Some((store, base, number(value_of(ops, at, base)), number(group)))
    }

    /// How far the access moves in an iteration, if that is not too far for a slot.
    fn moves(&self, block: usize, at: usize, op: &Op) -> Option<i64> {
        if self.loops.root(self.region, self.flow, (block, at), op.b).is_some() {
            return Some(WIDEST);
        }
        self.loops.stride(self.region, self.flow, (block, at), op.b).filter(|&s| s <= WIDEST)
    }
}

/// Whether `word` is something else after the op, rather than itself and a number.
fn replaces(op: &Op, word: Reg) -> bool {
    op.dest() == Some(word) && !(op.code == Opcode::AddI && op.b == word)
}

/// Which of the values that a word has in a block it has before op `at`: 0 is the one that comes in and the one that goes out, because those
/// are what other blocks see and what a loop carries.
fn value_of(ops: &[Op], at: usize, word: Reg) -> usize {
    let count = |ops: &[Op]| ops.iter().filter(|op| replaces(op, word)).count();
    let (before, after) = (count(&ops[..at]), count(&ops[at..]));
    if after == 0 { 0 } else { before }
}

/// Keys for which on every way an access was made and the base has not changed much since.
type Known = FxHashSet<Key>;

fn pass(rules: &GuestRules, known: &mut Known, op: &Op, key: Option<Key>) {
    if kind(rules, op) == Kind::Call {
        known.clear();
    }
    known.extend(key);
    if let Some(word) = op.dest()
        && replaces(op, word)
    {
        known.retain(|k| k.1 != word);
    }
}

impl Pages {
    /// Decides for each access of `region`.
    pub fn new(region: &Region, flow: &Flow) -> Pages {
        let loops = Loops::new(region, flow);
        let near = Near::new(region, flow, &loops);
        let carried = carried(region, flow, &loops, &near);
        let mut pages = Pages { modes: FxHashMap::default(), slots: Vec::new() };
        let mut slots: FxHashMap<Key, usize> = FxHashMap::default();
        let mut ends: Vec<Option<Known>> = vec![None; region.blocks.len()];
        for &block in &flow.order {
            let mut known = starts_with(flow, block, &ends);
            let ops = &region.blocks[block].ops;
            for (at, op) in ops.iter().enumerate() {
                let key = near.key(block, at);
                if let Some(key) = key {
                    let home = loops.innermost[block].and_then(|l| carried[l].get(&key));
                    let moves = home.and_then(|_| near.moves(block, at, op));
                    if (moves.is_some() || known.contains(&key))
                        && let Some(slot) = pages.slot(&mut slots, key, home)
                    {
                        let far = !known.contains(&key) && moves > Some(FARTHEST);
                        let mode = if far { Mode::TryLook(slot) } else { Mode::Try(slot) };
                        pages.modes.insert((block, at), mode);
                    }
                }
                pass(&region.rules, &mut known, op, key);
            }
            ends[block] = Some(known);
        }
        // Whoever looks up for a key that has a slot keeps what it found.
        for &block in &flow.order {
            for at in 0..region.blocks[block].ops.len() {
                if let Some(&slot) = near.key(block, at).and_then(|k| slots.get(&k)) {
                    pages.modes.entry((block, at)).or_insert(Mode::Keep(slot));
                }
            }
        }
        pages
    }

    /// The slot of a key; a new one is where the loop wants it.
    fn slot(&mut self, slots: &mut FxHashMap<Key, usize>, key: Key, home: Option<&Home>) -> Option<usize> {
        if let Some(&slot) = slots.get(&key) {
            return Some(slot);
        }
        let home = home.copied().unwrap_or(Home::Variables);
        if home == Home::State && self.slots.iter().filter(|h| **h == home).count() == PAGE_SLOTS {
            return None;
        }
        slots.insert(key, self.slots.len());
        self.slots.push(home);
        Some(self.slots.len() - 1)
    }

    /// How op `at` of `block` finds its page.
    pub fn mode(&self, block: usize, at: usize) -> Mode {
        self.modes.get(&(block, at)).copied().unwrap_or(Mode::Look)
    }
}

/// What is known at the start of a block: what is known at the end of all blocks before it.
fn starts_with(flow: &Flow, block: usize, ends: &[Option<Known>]) -> Known {
    if flow.header[block] {
        return Known::default();
    }
    let mut before = flow.before(block).iter();
    let Some(first) = before.next() else { return Known::default() };
    let mut known = ends[*first].clone().unwrap_or_default();
    for other in before {
        known.retain(|k| ends[*other].as_ref().is_some_and(|e| e.contains(k)));
    }
    known
}

/// By loop, the keys whose slot is carried from iteration to iteration, those with the most steady accesses, and where.
fn carried(region: &Region, flow: &Flow, loops: &Loops, near: &Near) -> Vec<FxHashMap<Key, Home>> {
    let mut counts: Vec<FxHashMap<Key, usize>> = vec![FxHashMap::default(); loops.all.len()];
    for &block in &flow.order {
        let Some(inside) = loops.innermost[block] else { continue };
        let ops = &region.blocks[block].ops;
        for (at, op) in ops.iter().enumerate() {
            if let Some(key) = near.key(block, at)
                && near.moves(block, at, op).is_some()
            {
                *counts[inside].entry(key).or_default() += 1;
            }
        }
    }
    let homes = |counts: FxHashMap<Key, usize>| {
        let mut keys: Vec<(Key, usize)> = counts.into_iter().collect();
        keys.sort_by_key(|&(key, n)| (std::cmp::Reverse(n), key));
        let home = |i| if i < LOOP_SLOTS { Home::Variables } else { Home::State };
        keys.into_iter().map(|(key, _)| key).zip((0..LOOP_SLOTS + PAGE_SLOTS).map(home)).collect()
    };
    counts.into_iter().map(homes).collect()
}
