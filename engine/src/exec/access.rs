//! Guest memory accesses by a hart: the TLB hit inline, everything else behind it.
//!
//! The order of checks is the ISA's: alignment where required, translation and protection, then the memory itself.
//! A misaligned access that is done by policy is split by bytes, after both of its pages have been translated and found to
//! be memory, so that it faults before it changes anything. Devices take no misaligned accesses.

use super::cpu::Cpu;
use crate::guest::{Access, Exception, FaultKind, Guest};
use crate::ir::op::{Align, MMU_CURRENT, MemFlags};
use crate::mem::{PAGE_MASK, PAGE_SIZE};

/// The bytes of a misaligned access that lie in one page: `from..from + len` of the value, at `pa`.
struct Part {
    pa: u64,
    from: usize,
    len: usize,
}

struct Parts {
    first: Part,
    second: Option<Part>,
}

impl Parts {
    fn iter(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.first).chain(&self.second)
    }
}

fn next_page(va: u64) -> u64 {
    (va & PAGE_MASK).wrapping_add(PAGE_SIZE)
}

impl<G: Guest> Cpu<G> {
    /// [`Cpu::load`] of a width known at compile time, `1 << SIZE` bytes, which `flags` repeats.
    #[inline(always)]
    pub fn load_sized<const SIZE: u32>(&mut self, va: u64, flags: MemFlags) -> Result<u64, Exception> {
        if flags.mmu_index() == MMU_CURRENT
            && let Some(v) = self.tlb.load(va, SIZE)
        {
            return Ok(v);
        }
        self.load_slow(va, flags)
    }

    /// [`Cpu::store`] of a width known at compile time.
    #[inline(always)]
    pub fn store_sized<const SIZE: u32>(
        &mut self,
        va: u64,
        flags: MemFlags,
        value: u64,
    ) -> Result<(), Exception> {
        if flags.mmu_index() == MMU_CURRENT && self.tlb.store(va, SIZE, value) {
            return Ok(());
        }
        self.store_slow(va, flags, value)
    }

    /// Reads guest memory, zero-extended.
    #[inline]
    pub fn load(&mut self, va: u64, flags: MemFlags) -> Result<u64, Exception> {
        if flags.mmu_index() == MMU_CURRENT
            && let Some(v) = self.tlb.load(va, flags.size())
        {
            return Ok(v);
        }
        self.load_slow(va, flags)
    }

    /// Writes guest memory.
    #[inline]
    pub fn store(&mut self, va: u64, flags: MemFlags, value: u64) -> Result<(), Exception> {
        if flags.mmu_index() == MMU_CURRENT && self.tlb.store(va, flags.size(), value) {
            return Ok(());
        }
        self.store_slow(va, flags, value)
    }

    /// The physical address of an access inside of one page that the tables did not answer: what the TLB holds, else a walk,
    /// which enters the TLB.
    pub fn locate(&mut self, va: u64, size: u32, access: Access, mmu_index: u8) -> Result<u64, Exception> {
        let (set, index) = match mmu_index {
            MMU_CURRENT => (self.tlb.data_set(), G::data_index(self)),
            index => {
                let context = G::context(self, index);
                (self.tlb.set_of(context, index), index)
            }
        };
        if let Some(pa) = self.tlb.recall(set, access, va) {
            return Ok(pa);
        }
        let t = G::translate(self, va, size, access, index)?;
        if t.cacheable {
            self.tlb.fill(set, access, va, &t);
        }
        Ok(t.pa)
    }

    fn misaligned(va: u64, flags: MemFlags) -> bool {
        va & ((1 << flags.size()) - 1) != 0
    }

    fn check_alignment(&self, va: u64, flags: MemFlags, access: Access) -> Result<(), Exception> {
        let bad = Self::misaligned(va, flags)
            && match flags.align_rule() {
                Align::Any => false,
                Align::Trap => true,
                Align::Policy => G::traps_misaligned(&self.shared.model),
            };
        if bad { Err(G::memory_fault(FaultKind::Misaligned, access, va)) } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn load_slow(&mut self, va: u64, flags: MemFlags) -> Result<u64, Exception> {
        self.check_alignment(va, flags, Access::Load)?;
        if Self::misaligned(va, flags) {
            return self.load_split(va, flags);
        }
        let pa = self.locate(va, 1 << flags.size(), Access::Load, flags.mmu_index())?;
        let read = self.shared.memory.read(pa, flags.size());
        read.map_err(|_| G::memory_fault(FaultKind::Bus, Access::Load, va))
    }

    fn load_split(&mut self, va: u64, flags: MemFlags) -> Result<u64, Exception> {
        if flags.mmu_index() == MMU_CURRENT
            && let Some(v) = self.tlb.load_split(va, flags.size())
        {
            return Ok(v);
        }
        let parts = self.locate_both(va, flags, Access::Load)?;
        let mut bytes = [0; 8];
        for (part, at) in parts.iter().zip([va, next_page(va)]) {
            let fault = G::memory_fault(FaultKind::Bus, Access::Load, at);
            let (host, _) = self.shared.memory.page_at(part.pa).ok_or(fault)?;
            host.read_bytes(&mut bytes[part.from..part.from + part.len]);
        }
        Ok(u64::from_le_bytes(bytes))
    }

    /// Where the bytes of a misaligned access lie. Both pages are translated before either is touched.
    fn locate_both(&mut self, va: u64, flags: MemFlags, access: Access) -> Result<Parts, Exception> {
        let (size, index) = (1 << flags.size(), flags.mmu_index());
        let next = next_page(va);
        let here = next.wrapping_sub(va).min(size as u64) as u32;
        let pa = self.locate(va, here, access, index)?;
        let mut parts = Parts { first: Part { pa, from: 0, len: here as usize }, second: None };
        if here < size {
            let pa = self.locate(next, size - here, access, index)?;
            parts.second = Some(Part { pa, from: here as usize, len: (size - here) as usize });
        }
        Ok(parts)
    }

    #[cold]
    #[inline(never)]
    fn store_slow(&mut self, va: u64, flags: MemFlags, value: u64) -> Result<(), Exception> {
        self.check_alignment(va, flags, Access::Store)?;
        if Self::misaligned(va, flags) {
            return self.store_split(va, flags, value);
        }
        let pa = self.locate(va, 1 << flags.size(), Access::Store, flags.mmu_index())?;
        let wrote = self.shared.memory.write(pa, flags.size(), value);
        wrote.map_err(|_| G::memory_fault(FaultKind::Bus, Access::Store, va))
    }

    fn store_split(&mut self, va: u64, flags: MemFlags, value: u64) -> Result<(), Exception> {
        if flags.mmu_index() == MMU_CURRENT && self.tlb.store_split(va, flags.size(), value) {
            return Ok(());
        }
        let parts = self.locate_both(va, flags, Access::Store)?;
        let memory = &self.shared.memory;
        for (part, at) in parts.iter().zip([va, next_page(va)]) {
            if !memory.page_at(part.pa).is_some_and(|(_, writable)| writable) {
                return Err(G::memory_fault(FaultKind::Bus, Access::Store, at));
            }
        }
        let bytes = value.to_le_bytes();
        for part in parts.iter() {
            if let Some((host, _)) = memory.page_at(part.pa) {
                host.write_bytes(&bytes[part.from..part.from + part.len]);
                memory.written(part.pa, part.len as u64);
            }
        }
        Ok(())
    }

    /// A read-modify-write of an aligned 1, 2, 4 or 8 byte location: calls `step(old)` until the store of its result
    /// wins; `None` means leave memory as it is. Returns the old value, zero-extended. Misaligned and non-RAM locations fault
    /// as stores. Sequentially consistent whatever was asked for.
    pub fn rmw(
        &mut self,
        va: u64,
        flags: MemFlags,
        step: impl Fn(u64) -> Option<u64>,
    ) -> Result<u64, Exception> {
        if Self::misaligned(va, flags) {
            return Err(G::memory_fault(FaultKind::Misaligned, Access::Store, va));
        }
        if flags.mmu_index() == MMU_CURRENT
            && let Some(host) = self.tlb.store_ref(va, flags.size())
        {
            return Ok(host.rmw(flags.size(), step));
        }
        let pa = self.locate(va, 1 << flags.size(), Access::Store, flags.mmu_index())?;
        let memory = &self.shared.memory;
        match memory.page_at(pa) {
            Some((host, true)) => {
                let old = host.rmw(flags.size(), step);
                memory.written(pa, 1 << flags.size());
                Ok(old)
            }
            _ => Err(G::memory_fault(FaultKind::Bus, Access::Store, va)),
        }
    }

    /// Brings the page of an access by the current MMU index into the TLB: what to add to its addresses. `None` where the access
    /// must be done by [`Cpu::load`] or [`Cpu::store`]: it raises an exception (which they will find again), crosses pages, or is not to
    /// memory that the TLB keeps.
    pub fn page_addend(&mut self, va: u64, flags: MemFlags, access: Access) -> Option<u64> {
        self.check_alignment(va, flags, access).ok()?;
        let size = 1u32 << flags.size();
        if va & !PAGE_MASK > PAGE_SIZE - u64::from(size) {
            return None;
        }
        if let Some(addend) = self.tlb.addend(va, access) {
            return Some(addend);
        }
        self.locate(va, size, access, MMU_CURRENT).ok()?;
        self.tlb.addend(va, access)
    }

    /// The physical address of an instruction fetch of at most one page.
    pub fn fetch_address(&mut self, va: u64) -> Result<u64, Exception> {
        if let Some(pa) = self.tlb.fetch(va) {
            return Ok(pa);
        }
        let set = self.tlb.fetch_set();
        self.tlb.count_miss(Access::Fetch);
        let index = G::fetch_index(self);
        let t = G::translate(self, va, 2, Access::Fetch, index)?;
        if t.cacheable {
            self.tlb.fill(set, Access::Fetch, va, &t);
        }
        if !self.shared.memory.is_memory(t.pa) {
            return Err(G::memory_fault(FaultKind::Bus, Access::Fetch, va));
        }
        Ok(t.pa)
    }

    /// The physical address of an instruction at `va`, to which the guest has not come now, if it can be had without a change that
    /// the guest could see. The fetch table has its page then.
    pub fn peek_fetch(&mut self, va: u64) -> Option<u64> {
        if let Some(pa) = self.tlb.fetch(va) {
            return Some(pa);
        }
        let t = G::peek_fetch(self, va).filter(|t| t.cacheable && self.shared.memory.is_memory(t.pa))?;
        let set = self.tlb.fetch_set();
        self.tlb.fill(set, Access::Fetch, va, &t);
        self.tlb.fetch(va)
    }
}
