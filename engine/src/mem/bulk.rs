//! Copying and filling guest RAM in bulk, as if by the guest's own accesses.
//!
//! Other harts may look meanwhile, so no aligned element of the guest's width may be seen half written, or be read in halves.
//! The accesses here are aligned: sixteen bytes by `movdqa`, which every CPU with AVX does as one access (Intel's and AMD's
//! manuals both say so); eight bytes and fewer as atomics. Where source and target are not aligned alike by eight bytes,
//! elements are moved one by one, but for bytes, which nothing can tear. The loops are written out, because to the
//! language a plain vector access would be a race.

use super::host::HostRef;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Bytes of a round of the vector loops.
#[cfg(target_arch = "x86_64")]
const ROUND: usize = 64;

macro_rules! element {
    ($at:expr, $ty:ty) => {
        // SAFETY: the callers' contract: mapped guest RAM, aligned to the width, only accessed atomically.
        unsafe { &*($at as *const $ty) }
    };
}

/// # Safety
/// `from` and `to` are mapped guest RAM, only accessed atomically, and aligned to the width.
#[inline(always)]
unsafe fn copy_one(from: *const u8, to: *mut u8, width: u32) {
    let o = Ordering::Relaxed;
    match width {
        0 => element!(to, AtomicU8).store(element!(from, AtomicU8).load(o), o),
        1 => element!(to, AtomicU16).store(element!(from, AtomicU16).load(o), o),
        2 => element!(to, AtomicU32).store(element!(from, AtomicU32).load(o), o),
        _ => element!(to, AtomicU64).store(element!(from, AtomicU64).load(o), o),
    }
}

/// # Safety
/// As [`copy_one`].
#[inline(always)]
unsafe fn store_one(to: *mut u8, width: u32, value: u64) {
    let o = Ordering::Relaxed;
    match width {
        0 => element!(to, AtomicU8).store(value as u8, o),
        1 => element!(to, AtomicU16).store((value as u16).to_le(), o),
        2 => element!(to, AtomicU32).store((value as u32).to_le(), o),
        _ => element!(to, AtomicU64).store(value.to_le(), o),
    }
}

/// Copies `n` elements upwards.
///
/// # Safety
/// As [`copy_one`], for all of them.
unsafe fn copy_each(from: *const u8, to: *mut u8, n: usize, width: u32) {
    for i in 0..n {
        // SAFETY: the caller's.
        unsafe { copy_one(from.wrapping_add(i << width), to.wrapping_add(i << width), width) };
    }
}

/// Stores `n` elements upwards.
///
/// # Safety
/// As [`copy_one`], for all of them.
unsafe fn store_each(to: *mut u8, n: usize, width: u32, value: u64) {
    for i in 0..n {
        // SAFETY: the caller's.
        unsafe { store_one(to.wrapping_add(i << width), width, value) };
    }
}

/// Whether aligned accesses of sixteen bytes are single.
#[cfg(target_arch = "x86_64")]
fn has_vectors() -> bool {
    is_x86_feature_detected!("avx")
}

/// A loop over rounds of four vectors: loads by `$load`, stores aligned.
#[cfg(target_arch = "x86_64")]
macro_rules! rounds {
    ($from:ident, $to:ident, $len:ident, $($load:literal),+) => {
        std::arch::asm!(
            "2:",
            $($load,)+
            "movdqa [{to}], {a}",
            "movdqa [{to} + 16], {b}",
            "movdqa [{to} + 32], {c}",
            "movdqa [{to} + 48], {d}",
            "add {from}, 64",
            "add {to}, 64",
            "sub {len}, 64",
            "jnz 2b",
            from = inout(reg) $from => _,
            to = inout(reg) $to => _,
            len = inout(reg) $len => _,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack),
        )
    };
}

/// Copies `len` bytes, whole rounds and not none, to where vectors are aligned.
///
/// # Safety
/// Mapped guest RAM; `to` is a multiple of sixteen; `from` one of eight, unless the elements are bytes (`any`).
#[cfg(target_arch = "x86_64")]
unsafe fn copy_rounds(from: *const u8, to: *mut u8, len: usize, any: bool) {
    debug_assert!(len > 0 && len.is_multiple_of(ROUND) && (to as usize).is_multiple_of(16));
    // SAFETY: the caller's; each loop ends with `len`, and all that a round loads is loaded before it stores.
    unsafe {
        if (from as usize).is_multiple_of(16) {
            rounds!(
                from,
                to,
                len,
                "movdqa {a}, [{from}]",
                "movdqa {b}, [{from} + 16]",
                "movdqa {c}, [{from} + 32]",
                "movdqa {d}, [{from} + 48]"
            );
        } else if any {
            rounds!(
                from,
                to,
                len,
                "movdqu {a}, [{from}]",
                "movdqu {b}, [{from} + 16]",
                "movdqu {c}, [{from} + 32]",
                "movdqu {d}, [{from} + 48]"
            );
        } else {
            // By eights: those are aligned.
            rounds!(
                from,
                to,
                len,
                "movq {a}, [{from}]",
                "movhps {a}, [{from} + 8]",
                "movq {b}, [{from} + 16]",
                "movhps {b}, [{from} + 24]",
                "movq {c}, [{from} + 32]",
                "movhps {c}, [{from} + 40]",
                "movq {d}, [{from} + 48]",
                "movhps {d}, [{from} + 56]"
            );
        }
    }
}

/// Stores `value` over `len` bytes, whole rounds and not none.
///
/// # Safety
/// Mapped guest RAM; `to` is a multiple of sixteen.
#[cfg(target_arch = "x86_64")]
unsafe fn fill_rounds(to: *mut u8, len: usize, value: u64) {
    debug_assert!(len > 0 && len.is_multiple_of(ROUND) && (to as usize).is_multiple_of(16));
    // SAFETY: the caller's; the loop ends with `len`.
    unsafe {
        std::arch::asm!(
            "movq {v}, {value}",
            "punpcklqdq {v}, {v}",
            "2:",
            "movdqa [{to}], {v}",
            "movdqa [{to} + 16], {v}",
            "movdqa [{to} + 32], {v}",
            "movdqa [{to} + 48], {v}",
            "add {to}, 64",
            "sub {len}, 64",
            "jnz 2b",
            value = in(reg) value,
            to = inout(reg) to => _,
            len = inout(reg) len => _,
            v = out(xmm_reg) _,
            options(nostack),
        );
    }
}

/// The low `1 << width` bytes over and over.
fn repeated(value: u64, width: u32) -> u64 {
    match width {
        0 => value as u8 as u64 * 0x0101_0101_0101_0101,
        1 => value as u16 as u64 * 0x0001_0001_0001_0001,
        2 => value as u32 as u64 * 0x0000_0001_0000_0001,
        _ => value,
    }
}

/// A copy that is under way. All of it is mapped guest RAM, and both sides are aligned to the elements.
struct Copying {
    from: *const u8,
    to: *mut u8,
    left: usize,
}

impl Copying {
    fn pass(&mut self, bytes: usize) {
        (self.from, self.to) = (self.from.wrapping_add(bytes), self.to.wrapping_add(bytes));
        self.left -= bytes;
    }

    /// Up to a multiple of `of` bytes, by elements.
    fn up_to(&mut self, of: usize, width: u32) {
        self.each((self.to as usize).wrapping_neg() % of, width);
    }

    /// The next `bytes`, or what is left, by elements.
    fn each(&mut self, bytes: usize, width: u32) {
        let bytes = bytes.min(self.left);
        // SAFETY: they are left, and aligned: to the guest's width at the begin, to more where `copy_to` says so.
        unsafe { copy_each(self.from, self.to, bytes >> width, width) };
        self.pass(bytes);
    }

    #[cfg(target_arch = "x86_64")]
    fn rounds(&mut self, alike: bool) {
        let bytes = self.left / ROUND * ROUND;
        if bytes > 0 {
            // SAFETY: they are left; `to` is a multiple of sixteen, so `from` is one of eight where they are aligned alike; where
            // they are not the elements are bytes.
            unsafe { copy_rounds(self.from, self.to, bytes, !alike) };
        }
        self.pass(bytes);
    }
}

/// A fill that is under way. All of it is mapped guest RAM, aligned to the elements.
struct Filling {
    to: *mut u8,
    left: usize,
    /// The elements in each aligned eight bytes.
    value: u64,
}

impl Filling {
    fn pass(&mut self, bytes: usize) {
        (self.to, self.left) = (self.to.wrapping_add(bytes), self.left - bytes);
    }

    /// Up to a multiple of `of` bytes, by elements.
    fn up_to(&mut self, of: usize, width: u32) {
        self.each((self.to as usize).wrapping_neg() % of, width);
    }

    /// The next `bytes`, or what is left, by elements.
    fn each(&mut self, bytes: usize, width: u32) {
        let bytes = bytes.min(self.left);
        // SAFETY: they are left, and aligned: to the guest's width at the begin, to more where `fill` says so.
        unsafe { store_each(self.to, bytes >> width, width, self.value) };
        self.pass(bytes);
    }

    #[cfg(target_arch = "x86_64")]
    fn rounds(&mut self) {
        let bytes = self.left / ROUND * ROUND;
        if bytes > 0 {
            // SAFETY: they are left, at a multiple of sixteen.
            unsafe { fill_rounds(self.to, bytes, self.value) };
        }
        self.pass(bytes);
    }
}

impl HostRef<'_> {
    /// Copies `len` bytes, a multiple of the elements of `1 << width` bytes to which both are aligned, as if from the lowest to the
    /// highest, each element as one access. Where the target overlaps the source, it must begin below it.
    pub fn copy_to(self, to: HostRef<'_>, len: usize, width: u32) {
        let (len, width) = (len.min(self.len()).min(to.len()), width.min(3));
        let mut copy = Copying { from: self.addr() as *const u8, to: to.addr() as *mut u8, left: len };
        let alike = (self.addr() ^ to.addr()).is_multiple_of(8);
        assert!((self.addr() | to.addr() | len).is_multiple_of(1 << width), "aligned elements");
        #[cfg(target_arch = "x86_64")]
        if (alike || width == 0) && len >= 2 * ROUND && has_vectors() {
            copy.up_to(16, width);
            copy.rounds(alike);
        }
        if alike {
            copy.up_to(8, width);
            copy.each(copy.left & !7, 3);
        }
        copy.each(copy.left, width);
    }

    /// Copies as many elements of `1 << width` bytes as there are `words`, aligned to them, each by one access, and all are read before the
    /// first is written; keeps them in `words`, zero-extended.
    pub fn move_to(self, to: HostRef<'_>, words: &mut [u64], width: u32) {
        let bytes = words.len() << width.min(3);
        assert!(bytes <= self.len() && bytes <= to.len(), "elements inside");
        assert!((self.addr() | to.addr()).is_multiple_of(1 << width.min(3)), "aligned elements");
        match width {
            0 => words.iter_mut().enumerate().for_each(|(i, w)| *w = self.after(i).load_aligned(0)),
            1 => words.iter_mut().enumerate().for_each(|(i, w)| *w = self.after(2 * i).load_aligned(1)),
            2 => words.iter_mut().enumerate().for_each(|(i, w)| *w = self.after(4 * i).load_aligned(2)),
            _ => words.iter_mut().enumerate().for_each(|(i, w)| *w = self.after(8 * i).load_aligned(3)),
        }
        match width {
            0 => words.iter().enumerate().for_each(|(i, &w)| to.after(i).store_aligned(0, w)),
            1 => words.iter().enumerate().for_each(|(i, &w)| to.after(2 * i).store_aligned(1, w)),
            2 => words.iter().enumerate().for_each(|(i, &w)| to.after(4 * i).store_aligned(2, w)),
            _ => words.iter().enumerate().for_each(|(i, &w)| to.after(8 * i).store_aligned(3, w)),
        }
    }

    /// Stores the low `1 << width` bytes of `value` over and over in `len` bytes, a multiple of those, from the lowest to the highest, each
    /// as one access. Aligned to them.
    pub fn fill(self, len: usize, width: u32, value: u64) {
        let (len, width) = (len.min(self.len()), width.min(3));
        assert!((self.addr() | len).is_multiple_of(1 << width), "aligned elements");
        let mut fill = Filling { to: self.addr() as *mut u8, left: len, value: repeated(value, width) };
        fill.up_to(8, width);
        #[cfg(target_arch = "x86_64")]
        if len >= 2 * ROUND && has_vectors() {
            fill.up_to(16, 3);
            fill.rounds();
        }
        fill.each(fill.left & !7, 3);
        fill.each(fill.left, width);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory of which copies are compared with copies element by element.
    struct Arena(Box<[u64; 128]>);

    impl Arena {
        fn new(seed: u64) -> Arena {
            Arena(Box::new(std::array::from_fn(|i| (seed + i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))))
        }

        fn at(&self, offset: usize) -> HostRef<'_> {
            assert!(offset <= 1024);
            let base = self.0.as_ptr().cast_mut().cast::<u8>().wrapping_add(offset);
            // SAFETY: inside of the array, which nobody looks at but through such references and `bytes`, in turn.
            unsafe { HostRef::new(base, 1024 - offset) }
        }

        fn bytes(&self) -> Vec<u8> {
            let mut bytes = vec![0; 1024];
            self.at(0).read_bytes(&mut bytes);
            bytes
        }
    }

    #[test]
    fn copies_are_those_of_elements_upwards() {
        for width in 0..4u32 {
            let size = 1usize << width;
            for (from, to) in (0..33).flat_map(|a| (0..33).map(move |b| (a * size, b * size))) {
                for n in [0, 1, 7, 16, 17, 31, 33, 60, 64, 100, 127] {
                    let len = n * size;
                    // Apart, and over each other downwards.
                    for from in [400 + from, to + from + size] {
                        let (fast, slow) = (Arena::new(7), Arena::new(7));
                        let len = len.min(1024 - from).min(if from < 400 { 600 } else { 360 });
                        let len = len / size * size;
                        fast.at(from).copy_to(fast.at(to), len, width);
                        for i in 0..len / size {
                            slow.at(to + i * size).store(width, slow.at(from + i * size).load(width));
                        }
                        assert!(fast.bytes() == slow.bytes(), "{width} {from} {to} {len}");
                    }
                }
            }
        }
    }

    #[test]
    fn elements_are_read_before_any_is_written() {
        for width in 0..4u32 {
            let size = 1usize << width;
            for (from, to) in (0..9).flat_map(|a| (0..9).map(move |b| (a * size, b * size))) {
                let (fast, slow) = (Arena::new(9), Arena::new(9));
                let mut words = [0; 16];
                fast.at(from).move_to(fast.at(to), &mut words, width);
                let expected: [u64; 16] = std::array::from_fn(|i| slow.at(from + i * size).load(width));
                (0..16).for_each(|i| slow.at(to + i * size).store(width, expected[i]));
                assert_eq!(words, expected);
                assert!(fast.bytes() == slow.bytes(), "{width} {from} {to}");
            }
        }
    }

    #[test]
    fn fills_are_those_of_elements() {
        for width in 0..4u32 {
            let size = 1usize << width;
            for (to, n) in (0..40).flat_map(|a| (0..130).map(move |n| (a * size, n))) {
                let (fast, slow) = (Arena::new(3), Arena::new(3));
                let len = (n * size).min(1024 - to);
                let value = 0x1234_5678_9abc_def1;
                fast.at(to).fill(len, width, value);
                (0..len / size).for_each(|i| slow.at(to + i * size).store(width, value));
                assert!(fast.bytes() == slow.bytes(), "{width} {to} {len}");
            }
        }
    }
}
