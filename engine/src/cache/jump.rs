//! What one hart knows of the code map: its own table of blocks with direct links, and a cache by guest pc.
//!
//! A link joins two blocks of one guest page: while a hart runs in the page its translation stands, so the link needs no
//! check but the death mark of the target. Everything else (other pages, indirect jumps) goes through the jump cache, whose
//! entries are tagged with the generation of fetch translations, the address space and the block key.

use super::code::Code;
use crate::exec::core::JumpEntry;
use crate::jit::record::no_record;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Entries of the jump cache, a power of two.
pub const ENTRIES: usize = 8192;
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
    /// Entries by this hart.
    pub runs: u64,
}

/// Counts of one hart's look-ups. Plain adds.
#[derive(Clone, Copy, Debug, Default)]
pub struct JumpCounts {
    /// Look-ups that the jump cache answered.
    pub hits: u64,
    /// That it did not.
    pub misses: u64,
    /// Of the misses, those that the hart's own table did not answer either.
    pub map_lookups: u64,
    /// Times the table was forgotten.
    pub resets: u64,
}

/// One hart's view of the code.
pub struct Jumps {
    /// Shared with emitted code, which goes on to records without a look at the blocks.
    entries: Box<[JumpEntry; ENTRIES]>,
    locals: Vec<Local>,
    by_pa: FxHashMap<(u64, u32), u32>,
    /// Host bytes of all blocks in `locals`.
    bytes: u64,
    /// Counts.
    pub counts: JumpCounts,
}

impl Default for Jumps {
    fn default() -> Jumps {
        Jumps {
            entries: Box::new([no_jump(); ENTRIES]),
            locals: Vec::new(),
            by_pa: FxHashMap::default(),
            bytes: 0,
            counts: JumpCounts::default(),
        }
    }
}

fn no_jump() -> JumpEntry {
    JumpEntry { pc: 0, tag: 0, record: no_record(), local: NO_LINK }
}

#[inline(always)]
fn slot(pc: u64) -> usize {
    ((pc >> 1) ^ (pc >> 13)) as usize & (ENTRIES - 1)
}

impl Jumps {
    /// The tag of look-ups now. Never 0, so that empty entries match nothing.
    #[inline]
    pub fn tag(generation: u64, fetch_set: usize, key: u32) -> u64 {
        generation << 16 | (fetch_set as u64 & 0xff) << 8 | (key as u64 & 0xff)
    }

    /// The block last entered at `pc` under `tag`.
    #[inline]
    pub fn get(&mut self, pc: u64, tag: u64) -> Option<u32> {
        let e = self.entries[slot(pc)];
        if e.pc == pc && e.tag == tag {
            self.counts.hits += 1;
            return Some(e.local);
        }
        self.counts.misses += 1;
        None
    }

    /// Remembers that `pc` under `tag` is block `local`.
    pub fn put(&mut self, pc: u64, tag: u64, local: u32) {
        self.entries[slot(pc)] = JumpEntry { pc, tag, record: no_record(), local };
    }

    /// Lets emitted code find the translation with this record at `pc` under `tag`, if the block is remembered there.
    #[inline]
    pub fn put_record(&mut self, pc: u64, tag: u64, record: u64) {
        let e = &mut self.entries[slot(pc)];
        if e.pc == pc && e.tag == tag {
            e.record = record;
        }
    }

    /// Forgets all records, not the blocks.
    pub fn forget_records(&mut self) {
        let none = no_record();
        self.entries.iter_mut().for_each(|e| e.record = none);
    }

    /// Where emitted code looks.
    pub fn table(&mut self) -> *mut JumpEntry {
        self.entries.as_mut_ptr()
    }

    /// The live block at physical address `pa`.
    #[inline]
    pub fn by_pa(&mut self, pa: u64, key: u32) -> Option<u32> {
        let i = *self.by_pa.get(&(pa, key))?;
        if self.locals[i as usize].code.is_dead() {
            self.by_pa.remove(&(pa, key));
            return None;
        }
        Some(i)
    }

    /// Adds a block.
    pub fn add(&mut self, code: Arc<Code>) -> u32 {
        if self.locals.len() >= LIMIT || self.bytes >= LIMIT_BYTES {
            self.reset();
        }
        self.bytes += code.host_bytes();
        let i = self.locals.len() as u32;
        self.by_pa.insert((code.pa, code.key), i);
        self.locals.push(Local { code, links: [NO_LINK; 2], runs: 0 });
        i
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.counts.resets += 1;
        self.locals.clear();
        self.by_pa.clear();
        self.bytes = 0;
        self.entries.fill(no_jump());
    }

    /// A block by number.
    #[inline(always)]
    pub fn local(&mut self, i: u32) -> &mut Local {
        &mut self.locals[i as usize]
    }

    /// How often the table has been forgotten; block numbers from before are void.
    pub fn epoch(&self) -> u64 {
        self.counts.resets
    }

    /// All blocks that this hart has entered and not forgotten.
    pub fn locals(&self) -> &[Local] {
        &self.locals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Block, Op, Opcode};

    #[test]
    fn blocks_that_died_are_let_go() {
        let mut jumps = Jumps::default();
        let ops = 10_000;
        let block = Block { ops: vec![Op::new(Opcode::Li); ops], bounds: Vec::new(), bytes: 4 };
        let code = Arc::new(Code::new(block, 0x8000_0000, None, 0));
        let most = LIMIT_BYTES / (ops * size_of::<Op>()) as u64 + 1;
        for _ in 0..2 * most {
            jumps.add(code.clone());
            assert!(jumps.locals().len() as u64 <= most);
        }
        assert!(jumps.counts.resets > 0);
    }
}
