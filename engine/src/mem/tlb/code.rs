//! What a hart's code look-ups are tagged with.
//!
//! The problem: an answer in the jump cache names a virtual address, so it holds for one address space, and a kernel's code
//! would be looked up anew after each switch to another process, although it lies in global pages (privileged specification,
//! 10.3.1: global mappings exist in all address spaces). So answers that rest on a global page are tagged for all address
//! spaces, under a generation of their own: it moves as soon as a global mapping is dropped on which one of them may rest. The
//! tables cannot say that, because an answer found in one address space is used in others, whose tables never had the page.
//! So the mappings are remembered here.

use super::ranges::Ranges;
use super::{INDICES, Tlb, UNTRANSLATED};
use crate::mem::PAGE_MASK;

/// Stands for the number of a set in tags of answers that hold in all of them.
const ALL_SETS: u64 = 0x80;
const _: () = assert!(super::SETS as u64 <= ALL_SETS && INDICES as u64 <= ALL_SETS);

/// Where an answer holds: half of a tag, see [`Jumps::tag`](crate::cache::jump::Jumps::tag).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeSpace {
    /// Moves whenever a fetch translation was dropped on which an answer may rest; no two spaces have the same.
    pub generation: u64,
    /// Eight bits more.
    pub set: u64,
}

/// Global mappings behind code look-ups.
pub(super) struct GlobalCode {
    generation: u64,
    /// Mappings on which answers under this generation rest.
    behind: Ranges,
    /// By MMU index: the last answer rested on a global page, so the next is likely to.
    likely: [bool; INDICES],
}

impl GlobalCode {
    /// None; `generation` is one that nobody had.
    pub fn new(generation: u64) -> GlobalCode {
        GlobalCode { generation, behind: Ranges::default(), likely: [false; INDICES] }
    }

    /// All global mappings are dropped. `fresh` makes a generation that nobody had.
    pub fn drop_all(&mut self, fresh: impl FnOnce() -> u64) {
        if !self.behind.is_empty() {
            self.behind.clear();
            self.generation = fresh();
        }
    }

    /// The global mappings around `va` are dropped.
    pub fn drop_page(&mut self, va: u64, fresh: impl FnOnce() -> u64) {
        if self.behind.may_have(va) {
            self.behind.remove(va);
            self.generation = fresh();
        }
    }
}

impl Tlb {
    /// Where answers hold that a look-up may use now: the likelier first.
    #[inline]
    pub fn code_spaces(&self) -> (CodeSpace, Option<CodeSpace>) {
        let set = &self.sets[self.fetch];
        let here = CodeSpace { generation: set.generation, set: self.fetch as u64 };
        if set.context == UNTRANSLATED {
            return (here, None);
        }
        let index = set.index as usize % INDICES;
        let all = CodeSpace { generation: self.code.generation, set: ALL_SETS | index as u64 };
        if self.code.likely[index] { (all, Some(here)) } else { (here, Some(all)) }
    }

    /// Where an answer for `va` holds, which the fetch table has. It stays good until the generation moves, whatever
    /// happens to the tables between this call and the time at which the answer is kept.
    pub fn answer_space(&mut self, va: u64) -> CodeSpace {
        let set = &self.sets[self.fetch];
        let size = set.fetch.table.size_of(va).filter(|s| s.is_global() && set.context != UNTRANSLATED);
        let index = set.index as usize % INDICES;
        self.code.likely[index] = size.is_some();
        let Some(size) = size else {
            return CodeSpace { generation: set.generation, set: self.fetch as u64 };
        };
        // Though another mapping round the page may be there: this one may be larger.
        self.code.behind.add(va & PAGE_MASK, size.log2());
        CodeSpace { generation: self.code.generation, set: ALL_SETS | index as u64 }
    }

    /// [`Tlb::answer_space`] for an instruction that begins in the page of `va` and ends in the page of `next`, both of which the
    /// fetch table has: in all address spaces if both pages are global.
    pub fn answer_space_of_two(&mut self, va: u64, next: u64) -> CodeSpace {
        let [first, second] = [va, next].map(|va| self.answer_space(va));
        let set = &self.sets[self.fetch];
        if first == second { first } else { CodeSpace { generation: set.generation, set: self.fetch as u64 } }
    }
}
