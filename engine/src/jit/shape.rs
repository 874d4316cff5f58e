//! Of which blocks a region was made, and how: enough to make it again, from the blocks that its translation holds.
//!
//! For whoever wants to see it (see [`crate::watch::apart`]): what was known when it was formed has changed since.

use super::across::PageMap;
use super::region::{Context, GuestRules, Region, RegionBlock};
use super::ways::{Counts, Guess};
use crate::cache::code::Code;
use std::sync::Arc;

#[derive(Clone, Debug)]
struct Copy {
    context: u16,
    offset: i32,
    guess: Guess,
    /// Which of the translation's blocks it is a copy of.
    part: u16,
}

/// A region without its blocks' ops.
#[derive(Clone, Debug)]
pub struct Shape {
    copies: Box<[Copy]>,
    contexts: Box<[Context]>,
    counts: Counts,
    page_offset: u16,
    pages: PageMap,
}

impl Shape {
    /// That of a region, of which block n was made from `blocks[n]`; `parts` are the same, each once.
    pub fn of(region: &Region, blocks: &[Arc<Code>], parts: &[Arc<Code>]) -> Shape {
        let part =
            |code: &Arc<Code>| parts.iter().position(|p| Arc::ptr_eq(p, code)).unwrap_or_default() as u16;
        let copy = |(b, code): (&RegionBlock, &Arc<Code>)| Copy {
            context: b.context,
            offset: b.offset,
            guess: b.guess.clone(),
            part: part(code),
        };
        Shape {
            copies: region.blocks.iter().zip(blocks).map(copy).collect(),
            contexts: region.contexts.clone().into(),
            counts: region.counts,
            page_offset: region.page_offset,
            pages: region.pages.clone(),
        }
    }

    /// The blocks, some of them several times, with their guest addresses relative to the entry's.
    pub fn blocks<'a>(&'a self, parts: &'a [Arc<Code>]) -> impl Iterator<Item = (&'a Arc<Code>, i32)> {
        self.copies.iter().filter_map(|c| Some((parts.get(usize::from(c.part))?, c.offset)))
    }

    /// The region.
    pub fn region(&self, parts: &[Arc<Code>], rules: GuestRules) -> Region {
        let block = |(copy, (code, _)): (&Copy, (&Arc<Code>, i32))| RegionBlock {
            context: copy.context,
            offset: copy.offset,
            guess: copy.guess.clone(),
            ops: code.ops.clone(),
            bounds: code.bounds.clone(),
            insns: code.insns,
        };
        Region {
            blocks: self.copies.iter().zip(self.blocks(parts)).map(block).collect(),
            contexts: self.contexts.to_vec(),
            counts: self.counts,
            page_offset: self.page_offset,
            pages: self.pages.clone(),
            rules,
        }
    }
}
