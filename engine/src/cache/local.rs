//! The blocks that one hart has entered, with direct links between them.
//!
//! A link joins two blocks of one guest page: while a hart runs in the page its translation stands, so the link needs no
//! check but the death mark of the target. Everything else goes through the [jump cache](super::jump).

use super::code::Code;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Blocks after which a hart forgets all it knows; the shared map still has them.
const LIMIT: usize = 1 << 18;
/// Host bytes of blocks after which it does so too: a guest that rewrites its code leaves dead ones behind.
const LIMIT_BYTES: u64 = 96 << 20;

/// No block.
pub const NO_LINK: u32 = u32::MAX;

/// A block as one hart holds it.
pub struct Local {
    /// The block.
    pub code: Arc<Code>,
    /// Successors by exit, or [`NO_LINK`].
    pub links: [u32; 2],
    /// Entries by this hart, since they were last forgotten.
    pub runs: u64,
    /// [`Code::forgotten`] as this hart has seen it.
    pub forgotten: u32,
}

/// One hart's blocks.
#[derive(Default)]
pub struct Locals {
    blocks: Vec<Local>,
    by_pa: FxHashMap<(u64, u32), u32>,
    /// Host bytes of all blocks.
    bytes: u64,
}

impl Locals {
    /// The live block at physical address `pa`.
    #[inline]
    pub fn by_pa(&mut self, pa: u64, key: u32) -> Option<u32> {
        let i = *self.by_pa.get(&(pa, key))?;
        if self.blocks[i as usize].code.is_dead() {
            self.by_pa.remove(&(pa, key));
            return None;
        }
        Some(i)
    }

    /// Whether they are to be [forgotten](Locals::reset) before another is added.
    pub fn is_full(&self) -> bool {
        self.blocks.len() >= LIMIT || self.bytes >= LIMIT_BYTES
    }

    /// Adds a block.
    pub fn add(&mut self, code: Arc<Code>) -> u32 {
        self.bytes += code.host_bytes();
        let i = self.blocks.len() as u32;
        self.by_pa.insert((code.pa, code.key), i);
        let forgotten = code.forgotten();
        self.blocks.push(Local { code, links: [NO_LINK; 2], runs: 0, forgotten });
        i
    }

    /// Forgets everything. Numbers of blocks are void then, in the jump cache too.
    pub fn reset(&mut self) {
        *self = Locals::default();
    }

    /// A block by number.
    #[inline(always)]
    pub fn get(&mut self, i: u32) -> &mut Local {
        &mut self.blocks[i as usize]
    }

    /// All blocks that this hart has entered and not forgotten.
    pub fn all(&self) -> &[Local] {
        &self.blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Block, Op, Opcode};

    #[test]
    fn blocks_that_died_are_let_go() {
        let mut locals = Locals::default();
        let ops = 10_000;
        let block = Block { ops: vec![Op::new(Opcode::Li); ops], bounds: Vec::new(), bytes: 4 };
        let code = Arc::new(Code::new(block, 0x8000_0000, None, 0));
        let most = LIMIT_BYTES / (ops * size_of::<Op>()) as u64 + 1;
        for n in 0..=most {
            assert!(n < most || locals.is_full());
            if !locals.is_full() {
                locals.add(code.clone());
            }
        }
        locals.reset();
        assert!(!locals.is_full() && locals.all().is_empty() && locals.by_pa(code.pa, 0).is_none());
    }
}
