//! Access to guest RAM through host pointers.
//!
//! Several harts and device threads touch guest RAM at once, so every access here is an atomic of its width or a
//! sequence of byte atomics. On x86-64 and AArch64 relaxed atomics are plain loads and stores.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// A pointer to guest RAM with at least `len` bytes behind it, for as long as the memory `'m` lives.
#[derive(Clone, Copy)]
pub struct HostRef<'m> {
    ptr: *mut u8,
    len: usize,
    life: PhantomData<&'m AtomicU8>,
}

macro_rules! at {
    ($self:ident, $ty:ty) => {{
        debug_assert!($self.len >= size_of::<$ty>() && $self.ptr as usize % size_of::<$ty>() == 0);
        // SAFETY: `new`'s contract gives `len` mapped bytes for 'm; callers below check width and alignment first;
        // all concurrent accesses to guest RAM are atomic.
        unsafe { &*($self.ptr as *const $ty) }
    }};
}

/// Serialises [`HostRef::compare_swap_128`] where the host has no such instruction.
static SWAP_128: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

/// # Safety
/// `at` must be 16-byte aligned guest RAM that is only accessed atomically, and the CPU must have `cmpxchg16b`.
#[cfg(target_arch = "x86_64")]
unsafe fn swap_128_x86(at: *mut u128, expected: u128, new: u128) -> u128 {
    let (low, high): (u64, u64);
    // SAFETY: the caller's. The intrinsic of the standard library needs a run-time library that not every host links, so
    // the instruction is written out; rbx, which the compiler keeps for itself, is put back.
    unsafe {
        std::arch::asm!(
            "xchg rsi, rbx",
            "lock cmpxchg16b [rdi]",
            "mov rbx, rsi",
            in("rdi") at,
            inout("rsi") new as u64 => _,
            in("rcx") (new >> 64) as u64,
            inout("rax") expected as u64 => low,
            inout("rdx") (expected >> 64) as u64 => high,
            options(nostack),
        );
    }
    low as u128 | (high as u128) << 64
}

impl<'m> HostRef<'m> {
    /// Wraps a pointer.
    ///
    /// # Safety
    /// `ptr` must point to `len` bytes of mapped, readable and writable guest RAM that stay mapped during `'m` and
    /// that no one accesses non-atomically.
    #[inline(always)]
    pub unsafe fn new(ptr: *mut u8, len: usize) -> HostRef<'m> {
        HostRef { ptr, len, life: PhantomData }
    }

    /// Bytes behind the pointer.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The address, for filling TLB entries.
    pub fn addr(self) -> usize {
        self.ptr as usize
    }

    fn fits(self, size_log2: u32) -> bool {
        self.len >= 1 << size_log2 && self.ptr as usize & ((1 << size_log2) - 1) == 0
    }

    /// Reads `1 << size_log2` bytes little endian, zero-extended. Misaligned reads go byte by byte.
    pub fn load(self, size_log2: u32) -> u64 {
        if !self.fits(size_log2) {
            let n = (1usize << size_log2).min(self.len);
            return (0..n).fold(0, |v, i| v | (self.byte(i).load(Ordering::Relaxed) as u64) << (8 * i));
        }
        self.load_aligned(size_log2)
    }

    /// Writes the low `1 << size_log2` bytes little endian. Misaligned writes go byte by byte.
    pub fn store(self, size_log2: u32, value: u64) {
        if !self.fits(size_log2) {
            let n = (1usize << size_log2).min(self.len);
            for i in 0..n {
                self.byte(i).store((value >> (8 * i)) as u8, Ordering::Relaxed);
            }
            return;
        }
        self.store_aligned(size_log2, value);
    }

    /// [`HostRef::load`] where the caller has checked width and alignment (a TLB hit has).
    #[inline(always)]
    pub(super) fn load_aligned(self, size_log2: u32) -> u64 {
        match size_log2 {
            0 => at!(self, AtomicU8).load(Ordering::Relaxed) as u64,
            1 => u16::from_le(at!(self, AtomicU16).load(Ordering::Relaxed)) as u64,
            2 => u32::from_le(at!(self, AtomicU32).load(Ordering::Relaxed)) as u64,
            _ => u64::from_le(at!(self, AtomicU64).load(Ordering::Relaxed)),
        }
    }

    /// [`HostRef::store`] likewise.
    #[inline(always)]
    pub(super) fn store_aligned(self, size_log2: u32, value: u64) {
        match size_log2 {
            0 => at!(self, AtomicU8).store(value as u8, Ordering::Relaxed),
            1 => at!(self, AtomicU16).store((value as u16).to_le(), Ordering::Relaxed),
            2 => at!(self, AtomicU32).store((value as u32).to_le(), Ordering::Relaxed),
            _ => at!(self, AtomicU64).store(value.to_le(), Ordering::Relaxed),
        }
    }

    fn byte(self, i: usize) -> &'m AtomicU8 {
        assert!(i < self.len);
        // SAFETY: `i` is inside the `len` bytes of `new`'s contract.
        unsafe { &*(self.ptr.add(i) as *const AtomicU8) }
    }

    /// The naturally aligned 32-bit word, for atomics. `None` if misaligned or too short.
    pub fn word32(self) -> Option<&'m AtomicU32> {
        self.fits(2).then(|| at!(self, AtomicU32))
    }

    /// The naturally aligned 64-bit word, for atomics. `None` if misaligned or too short.
    pub fn word64(self) -> Option<&'m AtomicU64> {
        self.fits(3).then(|| at!(self, AtomicU64))
    }

    /// Atomic read-modify-write of an aligned location inside `len`: stores `step(old)` unless it is `None`. Returns
    /// the old value, zero-extended.
    ///
    /// # Panics
    /// If the location is misaligned or does not fit; callers raise the guest's exception before.
    pub fn rmw(self, size_log2: u32, step: impl Fn(u64) -> Option<u64>) -> u64 {
        assert!(self.fits(size_log2.min(3)), "a read-modify-write of a place that cannot have one");
        let sc = Ordering::SeqCst;
        match size_log2 {
            3 => {
                let w = at!(self, AtomicU64);
                let f = |old: u64| step(u64::from_le(old)).map(u64::to_le);
                u64::from_le(w.fetch_update(sc, sc, f).unwrap_or_else(|old| old))
            }
            2 => {
                let w = at!(self, AtomicU32);
                let f = |old: u32| step(u32::from_le(old) as u64).map(|v| (v as u32).to_le());
                u32::from_le(w.fetch_update(sc, sc, f).unwrap_or_else(|old| old)) as u64
            }
            1 => {
                let w = at!(self, AtomicU16);
                let f = |old: u16| step(u16::from_le(old) as u64).map(|v| (v as u16).to_le());
                u16::from_le(w.fetch_update(sc, sc, f).unwrap_or_else(|old| old)) as u64
            }
            _ => at!(self, AtomicU8)
                .fetch_update(sc, sc, |old| step(old as u64).map(|v| v as u8))
                .unwrap_or_else(|o| o) as u64,
        }
    }

    /// Stores `new` if the 16 aligned bytes are `expected`, as one access. Returns what was there; `None` if misaligned or too
    /// short.
    ///
    /// On hosts without a 128-bit compare-and-swap it is atomic only against itself.
    pub fn compare_swap_128(self, expected: u128, new: u128) -> Option<u128> {
        if !self.fits(4) {
            return None;
        }
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("cmpxchg16b") {
            // SAFETY: `fits` checked width and alignment, `new`'s contract gives mapped bytes that are only accessed
            // atomically, and the CPU has the instruction.
            return Some(unsafe { swap_128_x86(self.ptr as *mut u128, expected, new) });
        }
        let _only_one = SWAP_128.lock();
        let high = HostRef { ptr: self.ptr.wrapping_add(8), len: 8, life: PhantomData };
        let old = self.load(3) as u128 | (high.load(3) as u128) << 64;
        if old == expected {
            self.store(3, new as u64);
            high.store(3, (new >> 64) as u64);
        }
        Some(old)
    }

    /// The words that `self` starts with, if it is aligned: how many of `n` bytes they hold.
    fn words(self, n: usize) -> usize {
        if self.ptr as usize & 7 == 0 { n.min(self.len) & !7 } else { 0 }
    }

    /// What is behind the first `offset` bytes.
    #[inline(always)]
    pub fn after(self, offset: usize) -> HostRef<'m> {
        assert!(offset <= self.len);
        HostRef { ptr: self.ptr.wrapping_add(offset), len: self.len - offset, life: PhantomData }
    }

    /// Copies `data` in; at most `len` bytes.
    pub fn write_bytes(self, data: &[u8]) {
        let n = data.len().min(self.len);
        let words = self.words(n);
        for (i, word) in data[..words].as_chunks::<8>().0.iter().enumerate() {
            self.after(8 * i).store_aligned(3, u64::from_le_bytes(*word));
        }
        for (i, b) in data[..n].iter().enumerate().skip(words) {
            self.byte(i).store(*b, Ordering::Relaxed);
        }
    }

    /// Copies out to `buf`; at most `len` bytes.
    pub fn read_bytes(self, buf: &mut [u8]) {
        let n = buf.len().min(self.len);
        let words = self.words(n);
        for (i, word) in buf[..words].as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *word = self.after(8 * i).load_aligned(3).to_le_bytes();
        }
        for (i, b) in buf[..n].iter_mut().enumerate().skip(words) {
            *b = self.byte(i).load(Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_in_and_out_at_any_alignment() {
        let mut words = [0u64; 8];
        let base = words.as_mut_ptr().cast::<u8>();
        for from in 0..16 {
            for len in 0..40 {
                // SAFETY: 64 bytes, of which `from` are skipped; nobody else sees them meanwhile.
                let all = unsafe { HostRef::new(base, 64) };
                all.write_bytes(&[0xee; 64]);
                let data: Vec<u8> = (0..len as u8).collect();
                // SAFETY: as above.
                let part = unsafe { HostRef::new(base.wrapping_add(from), 64 - from) };
                part.write_bytes(&data);
                let (mut back, mut whole) = (vec![0; len], [0; 64]);
                part.read_bytes(&mut back);
                all.read_bytes(&mut whole);
                assert_eq!(back, data);
                assert!(whole[..from].iter().chain(&whole[from + len..]).all(|b| *b == 0xee));
            }
        }
    }
}
