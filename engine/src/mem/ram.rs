//! RAM and ROM of a machine, and the bits that hang on their pages.
//!
//! RAM is a `vm-memory` map, so that devices use the field's own types for DMA. It is private memory, because that gets large pages where
//! shared memory seldom does. Its bitmap is ours: a write
//! by a device marks pages dirty for snapshots and, if a page holds translated code, tells the code cache
//! ([`Memory::on_code_write`]). Harts write through their TLB, which holds no entry for pages with code.

use super::bus::{Bus, BusFault};
use super::host::HostRef;
use super::{PAGE_SHIFT, PAGE_SIZE, large};
use rustix::mm::{MapFlags, ProtFlags};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use thiserror::Error;
use vm_memory::bitmap::{Bitmap, BitmapSlice, WithBitmapSlice};
use vm_memory::mmap::MmapRegionBuilder;
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion, GuestRegionMmap};

/// RAM as devices see it.
pub type GuestRam = GuestMemoryMmap<PageBits>;

/// What the code cache does when bytes `pa..pa + len` of a code page were written.
pub type CodeWriteFn = Box<dyn Fn(u64, u64) + Send + Sync>;

/// RAM could not be had.
#[derive(Debug, Error)]
pub enum RamError {
    /// The host refused the memory.
    #[error("cannot reserve {mib} MiB for the guest's memory: {source}; give the machine less memory")]
    Host {
        /// Size asked for.
        mib: u64,
        /// Why.
        source: std::io::Error,
    },
    /// The regions overlap or are empty.
    #[error("the guest's memory layout is not possible: {0}")]
    Layout(String),
}

/// Per-page bits of one region, shared by everyone who writes to it.
#[derive(Debug)]
struct Bits {
    base: u64,
    /// Pages with translated code.
    code: Box<[AtomicU64]>,
    /// Pages that were written, or that a hart got a store entry for, since the last [`Memory::take_dirty`].
    dirty: Box<[AtomicU64]>,
    /// Pages that were dirty when [`Memory::take_dirty`] was called. With those that are dirty now: all that were ever written.
    taken: Box<[AtomicU64]>,
    hook: Arc<CodeHook>,
}

#[derive(Default)]
struct CodeHook(OnceLock<CodeWriteFn>);

impl std::fmt::Debug for CodeHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeHook")
    }
}

impl Bits {
    fn new(base: u64, len: u64, hook: Arc<CodeHook>) -> Bits {
        let words = (len >> PAGE_SHIFT).div_ceil(64) as usize;
        let zeroes = || (0..words).map(|_| AtomicU64::new(0)).collect();
        Bits { base, code: zeroes(), dirty: zeroes(), taken: zeroes(), hook }
    }

    fn bit(map: &[AtomicU64], page: u64) -> Option<(&AtomicU64, u64)> {
        map.get((page / 64) as usize).map(|w| (w, 1 << (page % 64)))
    }

    fn test(map: &[AtomicU64], page: u64) -> bool {
        Self::bit(map, page).is_some_and(|(w, b)| w.load(Ordering::Acquire) & b != 0)
    }

    /// False if there is no such page.
    fn mark_dirty(&self, page: u64) -> bool {
        let Some((w, b)) = Self::bit(&self.dirty, page) else { return false };
        if w.load(Ordering::Relaxed) & b == 0 {
            w.fetch_or(b, Ordering::Relaxed);
        }
        true
    }

    fn written(&self, offset: u64, len: u64) {
        if len == 0 {
            return;
        }
        let end = offset.saturating_add(len - 1) >> PAGE_SHIFT;
        for page in offset >> PAGE_SHIFT..=end {
            if !self.mark_dirty(page) {
                return;
            }
            // Against a hart that sets the bit and then reads the bytes: one of the two must see the other, also when the
            // writer is a device's thread, which acknowledges nothing.
            fence(Ordering::SeqCst);
            if Self::test(&self.code, page)
                && let Some(hook) = self.hook.0.get()
            {
                let from = offset.max(page << PAGE_SHIFT);
                let to = offset.saturating_add(len).min((page + 1) << PAGE_SHIFT);
                hook(self.base + from, to - from);
            }
        }
    }
}

/// The bitmap that `vm-memory` calls on every device write.
#[derive(Clone, Debug)]
pub struct PageBits {
    bits: Arc<Bits>,
    offset: u64,
}

impl<'a> WithBitmapSlice<'a> for PageBits {
    type S = PageBits;
}

impl BitmapSlice for PageBits {}

impl Bitmap for PageBits {
    fn mark_dirty(&self, offset: usize, len: usize) {
        self.bits.written(self.offset + offset as u64, len as u64);
    }
    fn dirty_at(&self, offset: usize) -> bool {
        Bits::test(&self.bits.dirty, (self.offset + offset as u64) >> PAGE_SHIFT)
    }
    fn slice_at(&self, offset: usize) -> PageBits {
        PageBits { bits: self.bits.clone(), offset: self.offset + offset as u64 }
    }
}

struct Region {
    base: u64,
    len: u64,
    host: *mut u8,
    writable: bool,
    bits: Arc<Bits>,
    /// Keeps the mapping alive.
    _map: Arc<vm_memory::MmapRegion<PageBits>>,
}

// SAFETY: `host` points into `_map`, which is Send and Sync; all accesses through it are atomic (mem::host).
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

/// All memory of a machine.
pub struct Memory {
    regions: Vec<Region>,
    ram: GuestRam,
    bus: Arc<dyn Bus>,
    hook: Arc<CodeHook>,
    /// How often writes have killed translated code.
    kills: AtomicU64,
}

/// A region to make.
#[derive(Clone, Copy, Debug)]
pub struct RegionSpec {
    /// First physical address, page-aligned.
    pub base: u64,
    /// Bytes, a multiple of the page size.
    pub len: u64,
    /// False for ROM: harts read and execute it, their writes go to the bus, devices do not see it.
    pub writable: bool,
}

/// `MAP_ANONYMOUS`, which is no flag of rustix's.
const MAP_ANONYMOUS: i32 = 0x20;

fn map(spec: &RegionSpec, hook: &Arc<CodeHook>) -> Result<(Region, GuestRegionMmap<PageBits>), RamError> {
    let mib = spec.len >> 20;
    if spec.len == 0 || !spec.base.is_multiple_of(PAGE_SIZE) || !spec.len.is_multiple_of(PAGE_SIZE) {
        return Err(RamError::Layout(format!(
            "region {:#x}+{:#x} is not in whole pages",
            spec.base, spec.len
        )));
    }
    let bits = Arc::new(Bits::new(spec.base, spec.len, hook.clone()));
    let region =
        MmapRegionBuilder::new_with_bitmap(spec.len as usize, PageBits { bits: bits.clone(), offset: 0 })
            .with_mmap_prot((ProtFlags::READ | ProtFlags::WRITE).bits() as i32)
            .with_mmap_flags((MapFlags::PRIVATE | MapFlags::NORESERVE).bits() as i32 | MAP_ANONYMOUS)
            .build()
            .map_err(|e| RamError::Host { mib, source: std::io::Error::other(e.to_string()) })?;
    let host = region.as_ptr();
    large::ask(host, spec.len as usize);
    let guest = GuestRegionMmap::new(region, GuestAddress(spec.base))
        .ok_or_else(|| RamError::Layout(format!("region {:#x}+{:#x} wraps around", spec.base, spec.len)))?;
    let region = Region {
        base: spec.base,
        len: spec.len,
        host,
        writable: spec.writable,
        bits,
        _map: guest.get_mmap(),
    };
    Ok((region, guest))
}

impl Memory {
    /// Maps the regions; `bus` answers everywhere else.
    pub fn new(specs: &[RegionSpec], bus: Arc<dyn Bus>) -> Result<Arc<Memory>, RamError> {
        let hook = Arc::new(CodeHook::default());
        let mut regions = Vec::new();
        let mut ram = Vec::new();
        for spec in specs {
            let (region, guest) = map(spec, &hook)?;
            if spec.writable {
                ram.push(guest);
            }
            regions.push(region);
        }
        regions.sort_by_key(|r| r.base);
        if regions.windows(2).any(|w| w[0].base + w[0].len > w[1].base) {
            return Err(RamError::Layout("regions overlap".into()));
        }
        // RAM first in look-ups: it is the one that matters.
        regions.sort_by_key(|r| (!r.writable, std::cmp::Reverse(r.len)));
        let ram = GuestRam::from_regions(ram).map_err(|e| RamError::Layout(e.to_string()))?;
        Ok(Arc::new(Memory { regions, ram, bus, hook, kills: AtomicU64::new(0) }))
    }

    /// RAM as devices see it. Writes through it keep code and dirty bits right.
    pub fn ram(&self) -> &GuestRam {
        &self.ram
    }

    /// The bus.
    pub fn bus(&self) -> &dyn Bus {
        &*self.bus
    }

    /// Installs what happens on writes to code pages. Once.
    pub fn on_code_write(&self, f: CodeWriteFn) {
        let _ = self.hook.0.set(f);
    }

    /// How often writes have killed translated code: whoever runs some and sees this move must look where he is.
    pub fn kills(&self) -> u64 {
        self.kills.load(Ordering::Acquire)
    }

    /// Translated code has died.
    pub fn note_kill(&self) {
        self.kills.fetch_add(1, Ordering::AcqRel);
    }

    fn region(&self, pa: u64) -> Option<&Region> {
        self.regions.iter().find(|r| pa.wrapping_sub(r.base) < r.len)
    }

    /// The RAM or ROM at `pa` up to the end of its page, and whether it may be written.
    pub fn page_at(&self, pa: u64) -> Option<(HostRef<'_>, bool)> {
        let r = self.region(pa)?;
        let len = PAGE_SIZE - pa % PAGE_SIZE;
        // SAFETY: regions are whole pages, so `pa` and the rest of its page lie in the mapping, which lives as long
        // as `self`; all access through it is atomic.
        Some((unsafe { HostRef::new(r.host.add((pa - r.base) as usize), len as usize) }, r.writable))
    }

    /// Whether harts may read `pa` as memory.
    pub fn is_memory(&self, pa: u64) -> bool {
        self.region(pa).is_some()
    }

    /// Whether the page of `pa` holds translated code.
    pub fn has_code(&self, pa: u64) -> bool {
        self.region(pa).is_some_and(|r| Bits::test(&r.bits.code, (pa - r.base) >> PAGE_SHIFT))
    }

    /// Sets the code bit of the page of `pa`. True if it was clear.
    pub fn set_code(&self, pa: u64) -> bool {
        let Some(r) = self.region(pa) else { return false };
        Bits::bit(&r.bits.code, (pa - r.base) >> PAGE_SHIFT).is_some_and(|(w, b)| {
            let fresh = w.fetch_or(b, Ordering::AcqRel) & b == 0;
            fence(Ordering::SeqCst);
            fresh
        })
    }

    /// Clears the code bit of the page of `pa`.
    pub fn clear_code(&self, pa: u64) {
        if let Some(r) = self.region(pa)
            && let Some((w, b)) = Bits::bit(&r.bits.code, (pa - r.base) >> PAGE_SHIFT)
        {
            w.fetch_and(!b, Ordering::AcqRel);
        }
    }

    /// Tells the bits of a hart's write that did not go through a TLB entry.
    pub fn written(&self, pa: u64, len: u64) {
        if let Some(r) = self.region(pa) {
            r.bits.written(pa - r.base, len);
        }
    }

    /// Marks the page of `pa` as written from now on: a hart gets a store entry for it.
    #[inline]
    pub fn mark_dirty(&self, pa: u64) {
        if let Some(r) = self.region(pa) {
            r.bits.mark_dirty((pa - r.base) >> PAGE_SHIFT);
        }
    }

    /// Addresses of the pages that may have been written since the last call, or since power-on. Harts must have no store
    /// entries then: they stand, and their TLBs are empty, as saving leaves them.
    pub fn take_dirty(&self) -> Vec<u64> {
        let mut pages = Vec::new();
        for r in &self.regions {
            for (i, (word, taken)) in r.bits.dirty.iter().zip(&r.bits.taken).enumerate() {
                if word.load(Ordering::Relaxed) == 0 {
                    continue;
                }
                let mut left = word.swap(0, Ordering::AcqRel);
                taken.fetch_or(left, Ordering::Relaxed);
                while left != 0 {
                    pages.push(r.base + ((i as u64 * 64 + left.trailing_zeros() as u64) << PAGE_SHIFT));
                    left &= left - 1;
                }
            }
        }
        pages
    }

    /// Whether the page of `pa` is memory that nobody has written since power-on: it holds zeroes. Whoever goes through all of memory
    /// need not read such pages, and better does not: the host would map them, in small pages, before the guest does in large ones.
    pub fn is_blank(&self, pa: u64) -> bool {
        self.region(pa).is_some_and(|r| {
            let page = (pa - r.base) >> PAGE_SHIFT;
            !Bits::test(&r.bits.dirty, page) && !Bits::test(&r.bits.taken, page)
        })
    }

    /// A physical read of up to 8 bytes that does not cross a page: RAM, ROM or bus.
    pub fn read(&self, pa: u64, size_log2: u32) -> Result<u64, BusFault> {
        match self.page_at(pa) {
            Some((p, _)) => Ok(p.load(size_log2)),
            None => self.bus.read(pa, 1 << size_log2),
        }
    }

    /// A physical write of up to 8 bytes that does not cross a page: RAM or bus.
    pub fn write(&self, pa: u64, size_log2: u32, value: u64) -> Result<(), BusFault> {
        match self.page_at(pa) {
            Some((p, true)) => {
                p.store(size_log2, value);
                self.written(pa, 1 << size_log2);
                Ok(())
            }
            _ => self.bus.write(pa, 1 << size_log2, value),
        }
    }

    /// Fills ROM or RAM from the outside (loaders, restore). False if it does not fit.
    pub fn load(&self, mut pa: u64, mut data: &[u8]) -> bool {
        while !data.is_empty() {
            let Some((p, _)) = self.page_at(pa) else { return false };
            let (now, rest) = data.split_at(p.len().min(data.len()));
            p.write_bytes(now);
            self.written(pa, now.len() as u64);
            pa += now.len() as u64;
            data = rest;
        }
        true
    }

    /// Copies bytes out; false if some of them are not memory.
    pub fn read_bytes(&self, mut pa: u64, mut buf: &mut [u8]) -> bool {
        while !buf.is_empty() {
            let Some((p, _)) = self.page_at(pa) else { return false };
            let n = p.len().min(buf.len());
            let (now, rest) = buf.split_at_mut(n);
            p.read_bytes(now);
            buf = rest;
            pa += n as u64;
        }
        true
    }

    /// Base, length and writability of each region, in address order.
    pub fn regions(&self) -> Vec<RegionSpec> {
        let mut v: Vec<_> = self
            .regions
            .iter()
            .map(|r| RegionSpec { base: r.base, len: r.len, writable: r.writable })
            .collect();
        v.sort_by_key(|r| r.base);
        v
    }

    /// Total bytes of RAM.
    pub fn ram_bytes(&self) -> u64 {
        self.ram.iter().map(|r| r.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::bus::NoBus;
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use vm_memory::Bytes;

    fn memory() -> Arc<Memory> {
        let specs = [
            RegionSpec { base: 0x1000, len: 0x1000, writable: false },
            RegionSpec { base: 0x8000_0000, len: 0x10000, writable: true },
        ];
        Memory::new(&specs, Arc::new(NoBus)).expect("memory")
    }

    #[test]
    fn device_writes_to_code_pages_are_told() {
        let m = memory();
        let hits = Arc::new(AtomicUsize::new(0));
        let h = hits.clone();
        m.on_code_write(Box::new(move |pa, len| {
            assert_eq!((pa, len), (0x8000_2ffc, 4));
            h.fetch_add(1, Ordering::Relaxed);
        }));
        m.ram().write_slice(&[1; 8], GuestAddress(0x8000_2ffc)).expect("write");
        assert_eq!(hits.load(Ordering::Relaxed), 0);
        assert!(m.set_code(0x8000_2000));
        assert!(!m.set_code(0x8000_2fff));
        m.ram().write_slice(&[1; 8], GuestAddress(0x8000_2ffc)).expect("write");
        assert_eq!(hits.load(Ordering::Relaxed), 1);
        m.clear_code(0x8000_2000);
        assert!(!m.has_code(0x8000_2000));
    }

    #[test]
    fn rom_reads_but_does_not_take_writes() {
        let m = memory();
        assert!(m.load(0x1000, &[1, 2, 3, 4]));
        assert_eq!(m.read(0x1000, 2), Ok(0x0403_0201));
        assert_eq!(m.write(0x1000, 2, 0), Err(BusFault));
        assert_eq!(m.read(0x4000, 2), Err(BusFault));
        assert_eq!(m.write(0x8000_0003, 3, 0x1122_3344_5566_7788), Ok(()));
        assert_eq!(m.read(0x8000_0003, 3), Ok(0x1122_3344_5566_7788));
        assert!(!m.load(0x8000_ffff, &[1, 2]));
    }

    #[test]
    fn written_pages_are_dirty_once() {
        let m = memory();
        assert!(m.load(0x8000_1ffe, &[1; 4]) && m.load(0x1008, &[1]));
        m.ram().write_slice(&[1; 8], GuestAddress(0x8000_f000)).expect("write");
        m.mark_dirty(0x8000_4fff);
        let written = [0x1000, 0x8000_1000, 0x8000_2000, 0x8000_4000, 0x8000_f000];
        let not_blank = || -> Vec<u64> {
            let pages = (0x8000_0000..0x8001_0000).step_by(0x1000).chain([0x1000]);
            let mut found: Vec<u64> = pages.filter(|pa| !m.is_blank(pa + 0xfff)).collect();
            found.sort_unstable();
            found
        };
        assert_eq!(not_blank(), written);
        let mut dirty = m.take_dirty();
        dirty.sort_unstable();
        assert_eq!(dirty, written);
        assert!(m.take_dirty().is_empty());
        assert_eq!(not_blank(), written, "what was taken is still written");
        assert!(!m.is_blank(0x4000), "no memory");
    }

    #[test]
    fn overlaps_are_refused() {
        let r = RegionSpec { base: 0x1000, len: 0x2000, writable: true };
        assert!(Memory::new(&[r, RegionSpec { base: 0x2000, ..r }], Arc::new(NoBus)).is_err());
        assert!(Memory::new(&[RegionSpec { len: 5, ..r }], Arc::new(NoBus)).is_err());
    }
}
