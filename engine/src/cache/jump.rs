//! The jump cache of a hart: code by guest pc.
//!
//! What is not linked (other pages, indirect jumps) goes through it. Entries are tagged with the generation of fetch
//! translations, the address space and the block key. Blocks in global pages are tagged for all address spaces; so there are
//! two tags under which a look-up may find its answer.
//!
//! Behind it is a cache by physical address, which outlives address spaces: it answers without a look at the blocks, each of
//! which would be several misses of the host's caches.

use super::local::NO_LINK;
use crate::exec::core::JumpEntry;
use crate::jit::record::no_record;
use crate::mem::tlb::CodeSpace;

/// Entries of the jump cache, a power of two.
pub const ENTRIES: usize = 8192;

/// Where in the jump cache a guest pc is: `((pc >> FOLD ^ pc) & MASK) << SHIFT` is the byte offset of its entry. Every compiler
/// computes it so; instructions are at even addresses, so bit 0 says nothing.
pub mod index {
    use super::ENTRIES;
    use crate::exec::core::JumpEntry;

    /// By how much the pc is shifted before it is mixed with itself: pages in which the same offset is used part.
    pub const FOLD: u32 = 12;
    /// Of the mixed bits, those that count.
    pub const MASK: u32 = (ENTRIES as u32 - 1) << 1;
    /// From those to bytes.
    pub const SHIFT: u32 = size_of::<JumpEntry>().trailing_zeros() - 1;
    const _: () = assert!(ENTRIES.is_power_of_two() && size_of::<JumpEntry>().is_power_of_two());

    /// The number of a pc's entry.
    #[inline(always)]
    pub const fn of(pc: u64) -> usize {
        ((pc >> FOLD ^ pc) & MASK as u64) as usize >> 1
    }
}
/// Entries of the cache by physical address, a power of two.
const PHYSICAL: usize = 32768;

/// A tag that no answer has: where there is no second tag. Another than that of empty entries.
pub const NO_TAG: u64 = u64::MAX;

/// Counts of one hart's look-ups. Plain adds.
#[derive(Clone, Copy, Debug, Default)]
pub struct JumpCounts {
    /// Look-ups that the jump cache answered.
    pub hits: u64,
    /// That it did not.
    pub misses: u64,
    /// Of the misses, those that the hart's own table did not answer either.
    pub map_lookups: u64,
    /// Times the table was forgotten; block numbers from before are void.
    pub resets: u64,
}

/// A block by its physical address.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
struct Physical {
    /// See [`Physical::key`]. 0: nothing.
    key: u64,
    /// Address of the record of its translation, 0: none.
    record: u64,
    /// Number of times that records had been forgotten then.
    epoch: u64,
    /// The block's number in the hart's table.
    local: u32,
}

impl Physical {
    const NONE: Physical = Physical { key: 0, record: 0, epoch: 0, local: NO_LINK };

    /// Physical address and block key in one, as far as they fit.
    fn key(pa: u64, key: u32) -> Option<u64> {
        (pa != 0 && pa >> 56 == 0 && key < 0x100).then_some(pa << 8 | key as u64)
    }
}

/// The cache.
pub struct Jumps {
    /// Shared with emitted code, which goes on to records without a look at the blocks.
    entries: Box<[JumpEntry; ENTRIES]>,
    physical: Box<[Physical]>,
    /// Number of times that records were forgotten.
    epoch: u64,
    /// Counts.
    pub counts: JumpCounts,
}

impl Default for Jumps {
    fn default() -> Jumps {
        Jumps {
            entries: Box::new([no_jump(); ENTRIES]),
            physical: vec![Physical::NONE; PHYSICAL].into(),
            epoch: 0,
            counts: JumpCounts::default(),
        }
    }
}

fn no_jump() -> JumpEntry {
    JumpEntry { pc: 0, tag: 0, record: no_record(), local: NO_LINK }
}

#[inline(always)]
fn physical_slot(pa: u64) -> usize {
    ((pa >> 1) ^ (pa >> 14)) as usize & (PHYSICAL - 1)
}

impl Jumps {
    /// The tag of answers that hold in `space`. Never 0, so that empty entries match nothing.
    #[inline]
    pub fn tag(space: CodeSpace, key: u32) -> u64 {
        space.generation << 16 | (space.set & 0xff) << 8 | (key as u64 & 0xff)
    }

    /// The block last entered at `pc` under one of `tags`.
    #[inline]
    pub fn get(&mut self, pc: u64, tags: [u64; 2]) -> Option<u32> {
        let e = self.entries[index::of(pc)];
        if e.pc == pc && tags.contains(&e.tag) && e.local != NO_LINK {
            self.counts.hits += 1;
            return Some(e.local);
        }
        self.counts.misses += 1;
        None
    }

    /// Remembers that `pc` under `tag` is block `local`.
    pub fn put(&mut self, pc: u64, tag: u64, local: u32) {
        self.entries[index::of(pc)] = JumpEntry { pc, tag, record: no_record(), local };
    }

    /// The record of the translation last entered at `pc` under one of `tags`.
    #[inline]
    pub fn record(&self, pc: u64, tags: [u64; 2]) -> Option<u64> {
        let e = &self.entries[index::of(pc)];
        (e.pc == pc && tags.contains(&e.tag)).then_some(e.record)
    }

    /// Remembers that `pc` under `tag` is the translation with this record, of block `local`.
    pub fn put_found(&mut self, pc: u64, tag: u64, record: u64, local: u32) {
        self.entries[index::of(pc)] = JumpEntry { pc, tag, record, local };
    }

    /// The block that was last found at physical address `pa`.
    #[inline]
    fn physical(&self, pa: u64, key: u32) -> Option<&Physical> {
        let e = &self.physical[physical_slot(pa)];
        (e.key != 0 && Physical::key(pa, key) == Some(e.key)).then_some(e)
    }

    /// The translation that was last found at physical address `pa`: record and number of its block.
    #[inline]
    pub fn record_at(&self, pa: u64, key: u32) -> Option<(u64, u32)> {
        let e = self.physical(pa, key)?;
        (e.record != 0 && e.epoch == self.epoch).then_some((e.record, e.local))
    }

    /// The block that was last found at physical address `pa`; it may be dead.
    #[inline]
    pub fn block_at(&self, pa: u64, key: u32) -> Option<u32> {
        self.physical(pa, key).map(|e| e.local)
    }

    /// Remembers a block and its translation's record, 0 if it has none, by its physical address.
    pub fn put_physical(&mut self, pa: u64, key: u32, record: u64, local: u32) {
        if let Some(key) = Physical::key(pa, key) {
            self.physical[physical_slot(pa)] = Physical { key, record, epoch: self.epoch, local };
        }
    }

    /// Lets emitted code find the translation with this record at `pc` under one of `tags`, if the block is remembered there.
    #[inline]
    pub fn put_record(&mut self, pc: u64, tags: [u64; 2], record: u64) {
        let e = &mut self.entries[index::of(pc)];
        if e.pc == pc && tags.contains(&e.tag) {
            e.record = record;
        }
    }

    /// Forgets all records, not the blocks.
    pub fn forget_records(&mut self) {
        let none = no_record();
        self.entries.iter_mut().for_each(|e| e.record = none);
        self.epoch += 1;
    }

    /// Where emitted code looks.
    pub fn table(&mut self) -> *mut JumpEntry {
        self.entries.as_mut_ptr()
    }

    /// Forgets everything, because the numbers of blocks are void.
    pub fn reset(&mut self) {
        self.counts.resets += 1;
        self.entries.fill(no_jump());
        self.physical.fill(Physical::NONE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PA: u64 = 0x8000_1000;

    #[test]
    fn physical_addresses_keep_blocks_longer_than_records() {
        let mut jumps = Jumps::default();
        jumps.put_physical(PA, 3, 0x1230, 7);
        assert_eq!((jumps.record_at(PA, 3), jumps.block_at(PA, 3)), (Some((0x1230, 7)), Some(7)));
        assert_eq!((jumps.record_at(PA, 2), jumps.block_at(PA + 2, 3)), (None, None));
        jumps.forget_records();
        assert_eq!((jumps.record_at(PA, 3), jumps.block_at(PA, 3)), (None, Some(7)));
        jumps.put_physical(PA, 3, 0, 7);
        assert_eq!(jumps.record_at(PA, 3), None, "not compiled");
        jumps.put_physical(PA, 3, 0x4560, 7);
        assert_eq!(jumps.record_at(PA, 3), Some((0x4560, 7)));
        jumps.reset();
        assert_eq!((jumps.record_at(PA, 3), jumps.block_at(PA, 3)), (None, None));
        assert_eq!((jumps.block_at(0, 0), jumps.block_at(1 << 60, 0)), (None, None));
    }

    #[test]
    fn either_tag_finds_an_answer() {
        let mut jumps = Jumps::default();
        jumps.put(0x1000, 5, 9);
        assert_eq!(jumps.get(0x1000, [4, 5]), Some(9));
        assert_eq!(jumps.get(0x1000, [5, NO_TAG]), Some(9));
        assert_eq!(jumps.get(0x1000, [4, NO_TAG]), None);
        assert_eq!((jumps.get(0, [0, NO_TAG]), jumps.record(0, [1, NO_TAG])), (None, None));
        jumps.put_record(0x1000, [4, NO_TAG], 0x10);
        assert_eq!(jumps.record(0x1000, [4, 5]), Some(no_record()), "of another tag");
        jumps.put_record(0x1000, [4, 5], 0x10);
        assert_eq!(jumps.record(0x1000, [4, 5]), Some(0x10));
    }
}
