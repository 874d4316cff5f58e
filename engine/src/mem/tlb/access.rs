//! Accesses through the tables, as the interpreter makes them; emitted code does the same inline.

use super::{Entry, Tlb};
use crate::guest::Access;
use crate::mem::host::HostRef;
use crate::mem::{PAGE_MASK, PAGE_SIZE};
use std::ptr::NonNull;

/// The entry in which the page of `va` would be.
///
/// # Safety
/// `table` points at a table of one of the TLB's sets, `mask` is its size less one entry in bytes.
#[inline(always)]
unsafe fn entry(table: NonNull<Entry>, mask: u64, va: u64) -> Entry {
    // SAFETY: the caller's; the masked offset is that of an entry, since `mask` has the low bits of an entry's size clear.
    unsafe { *table.as_ptr().byte_add(((va >> 8) & mask) as usize) }
}

impl Tlb {
    #[inline(always)]
    fn load_entry(&self, va: u64) -> Entry {
        // SAFETY: `sync` keeps both in step with the set's table, which nobody changes during `&self`.
        unsafe { entry(self.fast.load_table, self.fast.load_mask, va) }
    }

    #[inline(always)]
    fn store_entry(&self, va: u64) -> Entry {
        // SAFETY: as in `load_entry`.
        unsafe { entry(self.fast.store_table, self.fast.store_mask, va) }
    }

    /// Reads through the current load table; `None` on a miss.
    #[inline(always)]
    pub fn load(&self, va: u64, size_log2: u32) -> Option<u64> {
        let e = self.load_entry(va);
        if e.tag != va & (PAGE_MASK | ((1 << size_log2) - 1)) {
            return None;
        }
        // SAFETY: an entry's addend was computed from a page of `self.memory` mapped for its life; the tag matched the
        // whole page number and the alignment, so the access lies in that page.
        Some(
            unsafe { HostRef::new(va.wrapping_add(e.addend) as *mut u8, 1 << size_log2) }
                .load_aligned(size_log2),
        )
    }

    /// Writes through the current store table; false on a miss.
    #[inline(always)]
    pub fn store(&mut self, va: u64, size_log2: u32, value: u64) -> bool {
        let e = self.store_entry(va);
        if e.tag != va & (PAGE_MASK | ((1 << size_log2) - 1)) {
            return false;
        }
        // SAFETY: as in `load`; store entries exist for writable pages only.
        unsafe { HostRef::new(va.wrapping_add(e.addend) as *mut u8, 1 << size_log2) }
            .store_aligned(size_log2, value);
        true
    }

    /// What to add to addresses in the page of `va`, by the current table of loads or of stores.
    pub fn addend(&self, va: u64, access: Access) -> Option<u64> {
        let e = if access == Access::Store { self.store_entry(va) } else { self.load_entry(va) };
        (e.tag == va & PAGE_MASK).then_some(e.addend)
    }

    /// The host memory of an access that may be written, by the current store table (atomics).
    #[inline]
    pub fn store_ref(&self, va: u64, size_log2: u32) -> Option<HostRef<'_>> {
        let e = self.store_entry(va);
        if e.tag != va & (PAGE_MASK | ((1 << size_log2) - 1)) {
            return None;
        }
        // SAFETY: as in `load`; at least `1 << size_log2` bytes of the page follow because the access is aligned.
        Some(unsafe { HostRef::new(va.wrapping_add(e.addend) as *mut u8, 1 << size_log2) })
    }

    /// The host memory from `va` to the end of its page, by the current load table.
    pub fn load_run(&self, va: u64) -> Option<HostRef<'_>> {
        self.page_ref(self.load_entry(va), va)
    }

    /// The same that may be written, by the current store table.
    pub fn store_run(&self, va: u64) -> Option<HostRef<'_>> {
        self.page_ref(self.store_entry(va), va)
    }

    /// From `va` to the end of its page, by an entry that may be that page's.
    fn page_ref(&self, e: Entry, va: u64) -> Option<HostRef<'_>> {
        if e.tag != va & PAGE_MASK {
            return None;
        }
        let len = (PAGE_SIZE - va % PAGE_SIZE) as usize;
        // SAFETY: as in `load`; the tag matched, so the rest of the page is mapped.
        Some(unsafe { HostRef::new(va.wrapping_add(e.addend) as *mut u8, len) })
    }

    /// Both pages of an access of `size` bytes; the second is the first again if it has none of them.
    fn both(&self, of: impl Fn(u64) -> Entry, va: u64, size: usize) -> Option<[HostRef<'_>; 2]> {
        let first = self.page_ref(of(va), va)?;
        if first.len() >= size {
            return Some([first; 2]);
        }
        let next = va.wrapping_add(first.len() as u64);
        Some([first, self.page_ref(of(next), next)?])
    }

    /// [`Tlb::load`] of a misaligned access, byte by byte.
    pub fn load_split(&self, va: u64, size_log2: u32) -> Option<u64> {
        let mut bytes = [0; 8];
        let size = 1 << size_log2;
        let [first, second] = self.both(|va| self.load_entry(va), va, size)?;
        let (a, b) = bytes[..size].split_at_mut(first.len().min(size));
        first.read_bytes(a);
        second.read_bytes(b);
        Some(u64::from_le_bytes(bytes))
    }

    /// [`Tlb::store`] of a misaligned access, byte by byte. On a miss nothing has been written.
    pub fn store_split(&mut self, va: u64, size_log2: u32, value: u64) -> bool {
        let size = 1 << size_log2;
        let Some([first, second]) = self.both(|va| self.store_entry(va), va, size) else { return false };
        let bytes = value.to_le_bytes();
        let (a, b) = bytes[..size].split_at(first.len().min(size));
        first.write_bytes(a);
        second.write_bytes(b);
        true
    }
}
