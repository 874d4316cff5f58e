//! Which accesses are compared with the page of an access before them, instead of with the TLB.
//!
//! The problem: the inline TLB check is eight instructions with four loads, before each access. Most accesses lie in a page that
//! was looked up a moment ago: fields of one structure, the stack frame, the next element of an array. So the page and the
//! addend of a look-up may be kept in a *slot* (two variables), and later accesses through the same base register compare with
//! that: three instructions and no load. Where it is another page the look-up is done after all, in a cold block, and the slot
//! filled anew. What a slot holds stays true until a helper is called: nothing else that a region does can take a
//! translation away, and the slot dies with the region's run. Loads and stores have slots of their own.

use super::flow::Flow;
use super::kind::{Kind, kind};
use super::loops::Loops;
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

/// The slots of a region and who uses them.
pub struct Pages {
    modes: FxHashMap<(usize, usize), Mode>,
    /// How many slots there are.
    pub slots: usize,
}

/// Loads or stores through one base register.
type Key = (bool, Reg);

/// A pointer that moves further in an iteration leaves its page too often to ask for the next one each time.
const FARTHEST: i64 = 128;
/// One that moves further than this, as to anywhere in a table, leaves it too often for a slot.
const WIDEST: i64 = 2048;
/// More slots in a loop than this leave too few registers for the guest's.
const LOOP_SLOTS: usize = 3;

fn key(rules: &GuestRules, op: &Op) -> Option<Key> {
    match kind(rules, op) {
        Kind::Load => Some((false, op.b)),
        Kind::Store => Some((true, op.b)),
        Kind::Atomic => Some((op.code != Opcode::LoadReserved, op.b)),
        _ => None,
    }
}

/// Keys for which on every way an access was made and the base has not changed much since.
type Known = FxHashSet<Key>;

fn pass(rules: &GuestRules, known: &mut Known, op: &Op) {
    if kind(rules, op) == Kind::Call {
        known.clear();
    }
    if let Some(key) = key(rules, op) {
        known.insert(key);
    }
    if let Some(word) = op.dest() {
        let moved = matches!(op.code, Opcode::AddI) && op.b == word;
        if !moved {
            known.retain(|k| k.1 != word);
        }
    }
}

impl Pages {
    /// Decides for each access of `region`.
    pub fn new(region: &Region, flow: &Flow) -> Pages {
        let loops = Loops::new(region, flow);
        let carried = carried(region, flow, &loops);
        let mut pages = Pages { modes: FxHashMap::default(), slots: 0 };
        let mut slots: FxHashMap<Key, usize> = FxHashMap::default();
        let mut ends: Vec<Option<Known>> = vec![None; region.blocks.len()];
        for &block in &flow.order {
            let mut known = starts_with(region, flow, block, &ends);
            for (at, op) in region.blocks[block].ops.iter().enumerate() {
                if let Some(key) = key(&region.rules, op) {
                    let of_loop = loops.innermost[block].is_some_and(|l| carried[l].contains(&key));
                    let moves = of_loop.then(|| moves(&loops, region, block, at, op)).flatten();
                    if moves.is_some() || known.contains(&key) {
                        let next = slots.len();
                        let slot = *slots.entry(key).or_insert(next);
                        let far = !known.contains(&key) && moves > Some(FARTHEST);
                        let mode = if far { Mode::TryLook(slot) } else { Mode::Try(slot) };
                        pages.modes.insert((block, at), mode);
                    }
                }
                pass(&region.rules, &mut known, op);
            }
            ends[block] = Some(known);
        }
        pages.slots = slots.len();
        // Whoever looks up for a key that has a slot keeps what it found.
        for &block in &flow.order {
            for (at, op) in region.blocks[block].ops.iter().enumerate() {
                if let Some(&slot) = key(&region.rules, op).and_then(|k| slots.get(&k)) {
                    pages.modes.entry((block, at)).or_insert(Mode::Keep(slot));
                }
            }
        }
        pages
    }

    /// How op `at` of `block` finds its page.
    pub fn mode(&self, block: usize, at: usize) -> Mode {
        self.modes.get(&(block, at)).copied().unwrap_or(Mode::Look)
    }
}

/// How far the access moves in an iteration, if that is not too far for a slot.
fn moves(loops: &Loops, region: &Region, block: usize, at: usize, op: &Op) -> Option<i64> {
    loops.stride(region, block, at, op.b).filter(|&s| s <= WIDEST)
}

/// What is known at the start of a block: what is known at the end of all blocks before it.
fn starts_with(region: &Region, flow: &Flow, block: usize, ends: &[Option<Known>]) -> Known {
    if flow.header[block] {
        return Known::default();
    }
    let mut before = flow.order.iter().filter(|&&b| flow.successors(region, b).contains(&block));
    let Some(first) = before.next() else { return Known::default() };
    let mut known = ends[*first].clone().unwrap_or_default();
    for other in before {
        known.retain(|k| ends[*other].as_ref().is_some_and(|e| e.contains(k)));
    }
    known
}

/// By loop, the keys whose slot is carried from iteration to iteration: those with the most steady accesses.
fn carried(region: &Region, flow: &Flow, loops: &Loops) -> Vec<Vec<Key>> {
    let mut counts: Vec<FxHashMap<Key, usize>> = vec![FxHashMap::default(); loops.all.len()];
    for &block in &flow.order {
        let Some(inside) = loops.innermost[block] else { continue };
        for (at, op) in region.blocks[block].ops.iter().enumerate() {
            if let Some(key) = key(&region.rules, op)
                && moves(loops, region, block, at, op).is_some()
            {
                *counts[inside].entry(key).or_default() += 1;
            }
        }
    }
    let most = |counts: FxHashMap<Key, usize>| {
        let mut keys: Vec<(Key, usize)> = counts.into_iter().collect();
        keys.sort_by_key(|&(key, n)| (std::cmp::Reverse(n), key));
        keys.into_iter().take(LOOP_SLOTS).map(|(key, _)| key).collect()
    };
    counts.into_iter().map(most).collect()
}
