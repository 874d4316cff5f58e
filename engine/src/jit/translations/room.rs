//! Room for code: which translations go when memory for code is full.
//!
//! The problem: to drop what is not used one has to know what is used, but a store per block run to tell would cost more than it saves.
//! So code that may go soon is first made *cool*: links to it and its entry lead to the dispatcher. It stays where it is, and who
//! wants to enter it again opens it, at the cost of one way through the dispatcher for each link; what was not asked for by
//! the time that room is needed is dropped. So there are two lists, each with what was used longest ago at its front: the *used*, at whose
//! back new code and reopened code go, and the *cool*, which is filled from the front of the used while memory is nearly full. It
//! is a second chance for each block, as virtual memory gives pages by unmapping them.

use super::units::{Id, Unit, Units};
use crate::jit::arena::Arena;

/// A place in a list of translations.
#[derive(Default)]
pub(super) struct Age {
    older: Id,
    younger: Id,
    cool: bool,
}

/// A list of translations, the one that was used longest ago first.
#[derive(Default)]
struct List {
    oldest: Id,
    youngest: Id,
    /// Bytes of their code.
    bytes: u64,
}

/// Both lists.
#[derive(Default)]
pub(super) struct Ages {
    lists: [List; 2],
}

impl Ages {
    /// Bytes of code that is not waiting to be freed.
    pub fn bytes(&self) -> u64 {
        self.lists.iter().map(|l| l.bytes).sum()
    }
}

/// Of the memory for code, this part may be in use before any is made cool.
const CALM: (u64, u64) = (3, 4);
/// This part of it is cool while more is in use. Twice as much found hardly more that is used, and cost two and a half times the
/// reopening.
const COOL: (u64, u64) = (1, 4);
/// To this part of it cool code is dropped when there is too much: in lots, because each lot costs all harts their jump caches.
const KEPT: (u64, u64) = (3, 4);
/// To this part of it the oldest of what may well be used is dropped, where all that was cool would not be enough.
const FORCED: (u64, u64) = (7, 8);

fn part(whole: u64, (n, of): (u64, u64)) -> u64 {
    whole / of * n
}

/// Whether something is to be done about room, with `used` bytes of code of at most `limit`.
pub(super) fn is_tight(used: u64, limit: u64) -> bool {
    used > part(limit, CALM)
}

fn bytes(unit: &Unit) -> u64 {
    unit.place.code_bytes() as u64
}

impl Units {
    /// Puts a translation that is in no list at the back of that of the used, or of the cool.
    fn append(&mut self, id: Id, cool: bool) {
        let list = &mut self.ages.lists[usize::from(cool)];
        let older = std::mem::replace(&mut list.youngest, id);
        if older == 0 {
            list.oldest = id;
        }
        if let Some(before) = self.get_mut(older) {
            before.age.younger = id;
        }
        if let Some(unit) = self.get_mut(id) {
            unit.age = Age { older, younger: 0, cool };
            let n = bytes(unit);
            self.ages.lists[usize::from(cool)].bytes += n;
        }
    }

    pub(super) fn add_youngest(&mut self, id: Id) {
        self.append(id, false);
    }

    /// Takes a translation out of the list that it is in.
    pub(super) fn leave_ages(&mut self, id: Id) {
        let Some(unit) = self.get(id) else { return };
        let (Age { older, younger, cool }, n) = (&unit.age, bytes(unit));
        let (older, younger, list) = (*older, *younger, usize::from(*cool));
        match self.get_mut(older) {
            Some(before) => before.age.younger = younger,
            None => self.ages.lists[list].oldest = younger,
        }
        match self.get_mut(younger) {
            Some(behind) => behind.age.older = older,
            None => self.ages.lists[list].youngest = older,
        }
        self.ages.lists[list].bytes -= n;
    }

    /// Whether a translation is cool.
    pub(super) fn is_cool(&self, id: Id) -> bool {
        self.get(id).is_some_and(|unit| unit.age.cool)
    }

    /// A cool translation is used again.
    pub(super) fn reopen(&mut self, arena: &Arena, id: Id) {
        self.leave_ages(id);
        self.append(id, false);
        self.open(arena, id, true);
    }

    /// Makes the translation cool that was used longest ago. False if there is none.
    fn cool_one(&mut self, arena: &Arena) -> bool {
        let id = self.ages.lists[0].oldest;
        let Some(unit) = self.get(id) else { return false };
        if unit.is_current(arena) {
            self.open(arena, id, false);
            self.unlink_incoming(arena, id);
        }
        self.leave_ages(id);
        self.append(id, true);
        true
    }

    /// Adds the oldest translations of a list to `out`, until no more than `to` bytes are left.
    fn oldest_of(&self, list: usize, left: &mut u64, to: u64, out: &mut Vec<Id>) {
        let mut next = self.ages.lists[list].oldest;
        while let Some(unit) = self.get(next).filter(|_| *left > to) {
            out.push(next);
            *left = left.saturating_sub(bytes(unit));
            next = unit.age.younger;
        }
    }

    /// Makes room if need be: what is to be dropped, so that at most `limit` bytes are in use.
    pub(super) fn make_room(&mut self, arena: &Arena, limit: u64) -> Vec<Id> {
        let mut out = Vec::new();
        let mut left = self.ages.bytes();
        if left > limit {
            self.oldest_of(1, &mut left, part(limit, KEPT), &mut out);
        }
        if left > limit {
            self.oldest_of(0, &mut left, part(limit, FORCED), &mut out);
        }
        let goes: u64 = out.iter().filter_map(|&id| self.get(id)).filter(|u| u.age.cool).map(bytes).sum();
        let wanted = part(limit, COOL) + goes;
        while self.ages.lists[1].bytes < wanted && self.cool_one(arena) {}
        out
    }
}
