//! One table of translations: a direct-mapped array that grows under pressure.
//!
//! The problem: emitted code can afford one probe, so pages whose slots fall together miss for ever in a small table, and a
//! large one is dear to make and to clear for an address space that lives for a millisecond. So tables start with one
//! entry, double when pages keep pushing each other out, and remember which slots they filled: clearing costs what was
//! used, not what there is room for.

use super::{EMPTY, Entry, NONE, Size};
use crate::mem::{PAGE_MASK, PAGE_SHIFT};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Entries after the first one was made.
pub(super) const START: usize = 64;
/// A cleared table that is to serve another address space keeps at most so many.
pub(super) const REUSED: usize = 256;
/// So many clearings in a row that find less than an eighth in use halve the table.
const PATIENCE: u8 = 4;

/// Entries at a fixed address. Raw, because emitted code has copies of the pointer.
struct Entries {
    at: NonNull<Entry>,
    len: usize,
}

// SAFETY: they are owned.
unsafe impl Send for Entries {}

impl Entries {
    fn new(len: usize) -> Entries {
        let entries: Box<[Entry]> = vec![NONE; len].into();
        // SAFETY: a box is not null.
        Entries { at: unsafe { NonNull::new_unchecked(Box::into_raw(entries).cast()) }, len }
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        // SAFETY: from a box of this length, and owned.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.at.as_ptr(), self.len)) });
    }
}

impl Deref for Entries {
    type Target = [Entry];
    #[inline(always)]
    fn deref(&self) -> &[Entry] {
        // SAFETY: `len` entries, owned; whoever has a copy of the pointer only reads, and not while they change.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len) }
    }
}

impl DerefMut for Entries {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [Entry] {
        // SAFETY: as in `deref`.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.len) }
    }
}

/// A table.
pub(super) struct Table {
    entries: Entries,
    /// What the entry in each slot belongs to; stale where the slot is empty.
    sizes: Box<[Size]>,
    /// Slots filled since the table was cleared, some of them twice...
    filled: Vec<u16>,
    /// ...unless there were too many: all may be filled then.
    spilled: bool,
    /// Number of entries.
    used: usize,
    /// Some entry may be of a mapping that is not global.
    locals: bool,
    /// Entries pushed out by other pages since the table was cleared or resized.
    conflicts: usize,
    /// Clearings in a row that found little.
    idle: u8,
}

impl Table {
    /// A table of one entry.
    pub fn new() -> Table {
        Table::of(1)
    }

    fn of(len: usize) -> Table {
        Table {
            entries: Entries::new(len),
            sizes: vec![Size::PAGE; len].into(),
            filled: Vec::new(),
            spilled: false,
            used: 0,
            locals: false,
            conflicts: 0,
            idle: 0,
        }
    }

    /// Where the entries are, and the size of the table less one entry in bytes.
    #[inline]
    pub fn fast(&self) -> (NonNull<Entry>, u64) {
        (self.entries.at, ((self.len() - 1) * size_of::<Entry>()) as u64)
    }

    /// Number of slots.
    pub fn len(&self) -> usize {
        self.entries.len
    }

    /// Number of entries.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Whether nothing was entered since it was cleared, or all of it was found to be gone.
    pub fn is_clear(&self) -> bool {
        self.filled.is_empty() && !self.spilled
    }

    /// Whether a search looks at all slots.
    #[cfg(test)]
    pub fn is_spilled(&self) -> bool {
        self.spilled
    }

    /// Whether some entry may be of a mapping that is not global.
    pub fn has_locals(&self) -> bool {
        self.locals
    }

    #[inline]
    fn slot(&self, va: u64) -> usize {
        (va >> PAGE_SHIFT) as usize & (self.len() - 1)
    }

    /// What the entry of the page of `va` adds to an address.
    #[inline]
    pub fn get(&self, va: u64) -> Option<u64> {
        let e = self.entries[self.slot(va)];
        (e.tag == va & PAGE_MASK).then_some(e.addend)
    }

    /// What the entry of the page of `va` belongs to.
    pub fn size_of(&self, va: u64) -> Option<Size> {
        let slot = self.slot(va);
        (self.entries[slot].tag == va & PAGE_MASK).then(|| self.sizes[slot])
    }

    /// Whether entering the page of `va` pushes out nothing.
    pub fn is_free(&self, va: u64) -> bool {
        self.entries[self.slot(va)].tag == EMPTY
    }

    /// Enters the page of `va`. Returns the page that it pushed out, and what that belonged to.
    pub fn put(&mut self, va: u64, addend: u64, size: Size) -> Option<(u64, Size)> {
        if self.len() == 1 {
            self.resize(START);
        }
        let slot = self.slot(va);
        let entry = Entry { tag: va & PAGE_MASK, addend };
        let old = std::mem::replace(&mut self.entries[slot], entry);
        let old_size = std::mem::replace(&mut self.sizes[slot], size);
        self.locals |= !size.is_global();
        if old.tag == EMPTY {
            self.note_filled(slot);
        } else if old.tag != entry.tag {
            self.conflicts += 1;
            return Some((old.tag, old_size));
        }
        None
    }

    fn note_filled(&mut self, slot: usize) {
        if self.filled.len() < self.len() / 4 {
            self.filled.push(slot as u16);
        } else {
            self.spilled = true;
        }
        self.used += 1;
    }

    /// Whether pages push each other out so often that twice the size would pay: the table is half full and as many have
    /// gone as half of it holds; or, where few pages fall together, many times that.
    pub fn is_tight(&self) -> bool {
        let full = self.used >= self.len() / 2 && self.conflicts >= self.len() / 2;
        full || self.conflicts >= 8 * self.len()
    }

    /// Makes it `len` slots, a power of two no smaller than now unless it is clear.
    pub fn resize(&mut self, len: usize) {
        debug_assert!(len.is_power_of_two() && (len >= self.len() || self.is_clear()));
        let old = std::mem::replace(self, Table::of(len));
        for (e, size) in old.entries.iter().zip(&old.sizes) {
            if e.tag != EMPTY {
                self.put(e.tag, e.addend, *size);
            }
        }
    }

    /// Drops the entries for which `gone(entry, size)`.
    pub fn drop_where(&mut self, gone: impl Fn(&Entry, Size) -> bool) {
        let (entries, sizes, used) = (&mut self.entries, &self.sizes, &mut self.used);
        let mut look = |slot: usize| {
            let e = &mut entries[slot];
            if e.tag != EMPTY && gone(e, sizes[slot]) {
                *e = NONE;
                *used -= 1;
            }
        };
        if self.spilled {
            (0..sizes.len()).for_each(look);
        } else {
            self.filled.iter().for_each(|&slot| look(slot as usize));
        }
        self.note_left();
    }

    /// After a look at all entries: notes which slots are left, or a table that is never cleared as a whole would soon be
    /// searched as a whole each time.
    fn note_left(&mut self) {
        let held = |slot: u16| self.entries[slot as usize].tag != EMPTY;
        if !self.spilled {
            self.filled.retain(|&slot| held(slot));
        } else if self.used <= self.len() / 8 {
            self.filled.clear();
            self.filled.extend((0..self.sizes.len() as u16).filter(|&slot| held(slot)));
            self.spilled = false;
        }
    }

    /// Drops all entries but those of global mappings.
    pub fn drop_locals(&mut self) {
        if std::mem::take(&mut self.locals) {
            self.drop_where(|_, size| !size.is_global());
        }
    }

    /// Drops the page of `va`, if the table has it and it is not global where `globals` is false. True if it did.
    #[inline]
    pub fn drop_page(&mut self, va: u64, globals: bool) -> bool {
        let slot = self.slot(va);
        let here = self.entries[slot].tag == va & PAGE_MASK && (globals || !self.sizes[slot].is_global());
        if here {
            self.entries[slot] = NONE;
            self.used -= 1;
        }
        here
    }

    /// Drops everything. True if that made the table smaller.
    pub fn clear(&mut self) -> bool {
        if self.is_clear() {
            return false;
        }
        let little = self.used < self.len() / 8 && self.len() > START;
        self.idle = if little { self.idle + 1 } else { 0 };
        if self.idle >= PATIENCE {
            *self = Table::of(self.len() / 2);
            return true;
        }
        if self.spilled {
            self.entries.fill(NONE);
        } else {
            for &slot in &self.filled {
                self.entries[slot as usize] = NONE;
            }
        }
        self.filled.clear();
        (self.spilled, self.used, self.conflicts, self.locals) = (false, 0, 0, false);
        false
    }

    /// Makes a clear table small enough for an address space of which nothing is known. True if it was not.
    pub fn trim(&mut self) -> bool {
        let large = self.len() > REUSED;
        if large {
            *self = Table::of(START);
        }
        large
    }
}
