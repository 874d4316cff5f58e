//! Memory for translated code and its records.
//!
//! The problem: code must be written while other harts run other code beside it, freed and reused, and never be writable
//! where it is executable. So the code lies in a memory file that is mapped twice: read-execute where it runs, read-write somewhere
//! else. Behind the executable mapping, in the same reservation, lie the records: plain memory, never executable. Code
//! reaches its record rip-relative, so the distance must fit 31 bits, and bytes never change once written. Records come in few
//! sizes, most in the smallest, so theirs is a free list for each.
//!
//! Guests run more code than the host's caches hold. What a translation seldom runs (its cold part) lies in an area of its own, so that
//! the other is dense.

use super::across::{CERTIFICATE_WORDS, MOST_HARTS};
use super::emitted::Emitted;
use super::record::{Record, record_bytes};
use crate::mem::large::{self, LARGE};
use crate::watch::apart::Piece;
use parking_lot::Mutex;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_void;
use std::ops::Range;
use std::sync::atomic::AtomicU64;

/// Most code that an arena can hold; address space, not memory.
pub const CODE_SPACE: usize = 512 << 20;
/// Of that, what holds hot parts; cold ones lie behind.
const HOT_SPACE: usize = 320 << 20;
/// Address space for records.
const RECORD_SPACE: usize = 256 << 20;
/// Granule of code: entries are aligned to it.
const CODE_GRANULE: usize = 32;
/// The smallest record, and what others are powers of two of.
const RECORD_GRANULE: usize = 32;
/// Sizes of records.
const RECORD_SIZES: usize = 10;
const _: () = assert!(
    record_bytes(super::translations::MAX_LINKS + super::ways::MOST_WORDS + CERTIFICATE_WORDS * MOST_HARTS)
        <= RECORD_GRANULE << (RECORD_SIZES - 1)
);

/// No host memory for code.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no memory for translated code: {0}")]
pub struct ArenaError(#[from] rustix::io::Errno);

/// A free list with coalescing; offsets and lengths in bytes.
struct Space {
    by_offset: BTreeMap<usize, usize>,
    by_len: BTreeSet<(usize, usize)>,
    granule: usize,
    used: usize,
}

impl Space {
    fn new(range: Range<usize>, granule: usize) -> Space {
        let mut space = Space { by_offset: BTreeMap::new(), by_len: BTreeSet::new(), granule, used: 0 };
        space.insert(range.start, range.len());
        space
    }

    fn insert(&mut self, offset: usize, len: usize) {
        self.by_offset.insert(offset, len);
        self.by_len.insert((len, offset));
    }

    fn remove(&mut self, offset: usize, len: usize) {
        self.by_offset.remove(&offset);
        self.by_len.remove(&(len, offset));
    }

    /// The smallest hole that fits.
    fn alloc(&mut self, bytes: usize) -> Option<(usize, usize)> {
        let want = bytes.next_multiple_of(self.granule);
        let &(len, offset) = self.by_len.range((want, 0)..).next()?;
        self.remove(offset, len);
        if len > want {
            self.insert(offset + want, len - want);
        }
        self.used += want;
        Some((offset, want))
    }

    fn free(&mut self, mut offset: usize, mut len: usize) {
        self.used -= len;
        if let Some((&before, &n)) = self.by_offset.range(..offset).next_back()
            && before + n == offset
        {
            self.remove(before, n);
            (offset, len) = (before, n + len);
        }
        if let Some(&n) = self.by_offset.get(&(offset + len)) {
            self.remove(offset + len, n);
            len += n;
        }
        self.insert(offset, len);
    }
}

/// Free records.
#[derive(Default)]
struct Records {
    free: [Vec<u32>; RECORD_SIZES],
    /// Behind the last one ever used.
    end: usize,
}

impl Records {
    fn size(bytes: usize) -> usize {
        bytes.div_ceil(RECORD_GRANULE).next_power_of_two().trailing_zeros() as usize
    }

    fn alloc(&mut self, bytes: usize) -> Option<(usize, usize)> {
        let size = Records::size(bytes);
        let len = RECORD_GRANULE << size;
        if let Some(granule) = self.free.get_mut(size)?.pop() {
            return Some((granule as usize * RECORD_GRANULE, len));
        }
        let offset = self.end;
        self.end = offset.checked_add(len).filter(|end| *end <= RECORD_SPACE)?;
        Some((offset, len))
    }

    fn free(&mut self, (offset, len): (usize, usize)) {
        self.free[Records::size(len)].push((offset / RECORD_GRANULE) as u32);
    }
}

/// A translation's place. Not freed by dropping: whoever owns it hands it back once no hart can be inside.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    /// Where the hot part is, and how much room it has.
    code: (usize, usize),
    /// The same of the cold part, if there is one.
    cold: (usize, usize),
    /// Offset in the code at which the cold part begins.
    cut: usize,
    record: (usize, usize),
}

impl Place {
    /// Bytes of code memory.
    pub fn code_bytes(&self) -> usize {
        self.code.1 + self.cold.1
    }

    /// Where in the space for code the byte at this offset of the code is.
    fn at(&self, offset: usize) -> usize {
        if offset < self.cut { self.code.0 + offset } else { self.cold.0 + offset - self.cut }
    }
}

struct Spaces {
    code: Space,
    cold: Space,
    records: Records,
    /// Bytes of code from the start that were [gathered](large::gather) into large pages, or are not going to be.
    gathered: usize,
}

/// The memory.
pub struct Arena {
    /// Executable alias of the code, the records behind it.
    base: *mut u8,
    /// Writable alias of the code.
    alias: *mut u8,
    spaces: Mutex<Spaces>,
}

// SAFETY: the mappings live as long as the arena; code bytes are written by `install` only, to places that nobody else holds, and
// records hold atomics.
unsafe impl Send for Arena {}
// SAFETY: as above; the free lists are behind a lock.
unsafe impl Sync for Arena {}

impl Arena {
    /// Reserves the address space. Takes memory only as code is put in.
    pub fn new() -> Result<Arena, ArenaError> {
        let file = memfd_create("vitrine-code", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, CODE_SPACE as u64)?;
        let null = std::ptr::null_mut::<c_void>();
        // SAFETY: a fresh reservation at an address of the system's choice, of which what lies before and behind a part that begins
        // at a multiple of large pages is given back.
        let base = unsafe {
            let all = mmap_anonymous(
                null,
                CODE_SPACE + RECORD_SPACE + LARGE,
                ProtFlags::empty(),
                MapFlags::PRIVATE,
            )?;
            let before = all.align_offset(LARGE);
            let base = all.cast::<u8>().add(before);
            if before != 0 {
                let _ = munmap(all, before);
            }
            let _ = munmap(base.add(CODE_SPACE + RECORD_SPACE).cast(), LARGE - before);
            base.cast::<c_void>()
        };
        let (run, write) = (ProtFlags::READ | ProtFlags::EXEC, ProtFlags::READ | ProtFlags::WRITE);
        let whole = CODE_SPACE + RECORD_SPACE;
        // SAFETY: replaces parts of the reservation just made, which nobody uses yet.
        let parts = unsafe {
            mmap(base, CODE_SPACE, run, MapFlags::SHARED | MapFlags::FIXED, &file, 0)
                .and_then(|_| {
                    let records = base.cast::<u8>().add(CODE_SPACE).cast();
                    mmap_anonymous(records, RECORD_SPACE, write, MapFlags::PRIVATE | MapFlags::FIXED)
                })
                .and_then(|_| mmap(null, CODE_SPACE, write, MapFlags::SHARED, &file, 0))
        };
        let alias = match parts {
            Ok(alias) => alias,
            Err(e) => {
                // SAFETY: the reservation from above; nothing points into it.
                let _ = unsafe { munmap(base, whole) };
                return Err(e.into());
            }
        };
        let code = Space::new(0..HOT_SPACE, CODE_GRANULE);
        let cold = Space::new(HOT_SPACE..CODE_SPACE, CODE_GRANULE);
        let spaces = Spaces { code, cold, records: Records::default(), gathered: 0 };
        large::ask(base.cast::<u8>().wrapping_add(CODE_SPACE), RECORD_SPACE);
        Ok(Arena { base: base.cast(), alias: alias.cast(), spaces: Mutex::new(spaces) })
    }

    /// Bytes of code in use.
    pub fn code_bytes(&self) -> usize {
        let spaces = self.spaces.lock();
        spaces.code.used + spaces.cold.used
    }

    /// Puts a translation in for a machine of `harts`; its record's slots hold their stubs, the entry word the code's entry. `None`: no room.
    pub fn install(&self, emitted: &Emitted, heat: i32, gone: u64, harts: usize) -> Option<Place> {
        let words = emitted.words() + emitted.certificate_words(harts);
        let place = self.reserve(emitted.parts(), words)?;
        let (hot, cold) = emitted.code.split_at(place.cut);
        // SAFETY: the place is inside of the writable alias, and nobody else has it; its parts do not overlap.
        let mut parts = unsafe {
            [place.code, place.cold].map(|(at, len)| std::slice::from_raw_parts_mut(self.alias.add(at), len))
        };
        for (to, from) in parts.iter_mut().zip([hot, cold]) {
            let (body, rest) = to.split_at_mut(from.len());
            body.copy_from_slice(from);
            // What runs past the end traps.
            rest.fill(0xcc);
        }
        if self.fill_in(emitted, &place, &mut parts).is_none() {
            self.free(place);
            return None;
        }
        let entry = self.entry(&place);
        use std::sync::atomic::Ordering::Relaxed;
        let head = self.record(&place);
        head.heat.store(heat, Relaxed);
        head.left.store(0, Relaxed);
        for (i, &stub) in emitted.stubs.iter().enumerate() {
            self.link(&place, i).store(self.address(&place, stub), Relaxed);
        }
        (emitted.stubs.len()..words).for_each(|i| self.link(&place, i).store(0, Relaxed));
        // Release: who finds the entry finds the rest too.
        head.entry
            .store(if emitted.code.is_empty() { gone } else { entry }, std::sync::atomic::Ordering::Release);
        Some(place)
    }

    /// Fills in the distances from part to part, and to the record. `None`: a field lies outside of its part.
    fn fill_in(&self, emitted: &Emitted, place: &Place, parts: &mut [&mut [u8]; 2]) -> Option<()> {
        let cut = place.cut;
        // How much further away the cold part is than behind the hot one.
        let further = place.at(cut) as i64 - (place.code.0 + cut) as i64;
        for &at in &emitted.joins {
            let field = field(parts, cut, at)?;
            let by = if (at as usize) < cut { further } else { -further };
            *field = ((i64::from(i32::from_le_bytes(*field)) + by) as i32).to_le_bytes();
        }
        let record = self.record_address(place) as i64;
        for r in &emitted.refs {
            let from = self.address(place, r.at) as i64 + 4;
            *field(parts, cut, r.at)? = ((record + i64::from(r.offset) - from) as i32).to_le_bytes();
        }
        Some(())
    }

    fn reserve(&self, (hot, cold): (usize, usize), words: usize) -> Option<Place> {
        let mut spaces = self.spaces.lock();
        let code = spaces.code.alloc(hot.max(1))?;
        self.gather(&mut spaces, code.0 + code.1);
        let other = if cold == 0 { Some((0, 0)) } else { spaces.cold.alloc(cold) };
        let record = spaces.records.alloc(record_bytes(words));
        if let (Some(cold), Some(record)) = (other, record) {
            return Some(Place { code, cold, cut: hot, record });
        }
        spaces.code.free(code.0, code.1);
        other.filter(|cold| cold.1 != 0).into_iter().for_each(|cold| spaces.cold.free(cold.0, cold.1));
        record.into_iter().for_each(|record| spaces.records.free(record));
        None
    }

    /// Code has come up to `end`: what lies in whole large pages before it is full. One at a time, and each only once.
    fn gather(&self, spaces: &mut Spaces, end: usize) {
        if end < spaces.gathered + LARGE {
            return;
        }
        let done = large::gather(self.base.wrapping_add(spaces.gathered), LARGE);
        spaces.gathered = if done { spaces.gathered + LARGE } else { HOT_SPACE };
    }

    /// Address of a translation's first instruction.
    pub fn entry(&self, place: &Place) -> u64 {
        self.base as u64 + place.code.0 as u64
    }

    /// Address of the byte at this offset of a translation's code.
    pub fn address(&self, place: &Place, offset: u32) -> u64 {
        self.base as u64 + place.at(offset as usize) as u64
    }

    /// Granules of the largest record.
    pub const MOST_GRANULES: usize = 1 << (RECORD_SIZES - 1);

    /// Address of a translation's record.
    pub fn record_address(&self, place: &Place) -> u64 {
        self.base as u64 + (CODE_SPACE + place.record.0) as u64
    }

    /// The number of the granule of records that holds this address.
    pub fn record_granule(&self, address: u64) -> Option<usize> {
        let offset = address.checked_sub(self.base as u64 + CODE_SPACE as u64)? as usize;
        (offset < RECORD_SPACE).then_some(offset / RECORD_GRANULE)
    }

    /// A translation's record.
    pub fn record(&self, place: &Place) -> &Record {
        // SAFETY: places come from this arena, lie in the mapping, are aligned to 16 and at least as large as a record; all
        // fields are atomics, valid for any bits.
        unsafe { &*self.base.add(CODE_SPACE + place.record.0).cast::<Record>() }
    }

    /// A link slot of a translation's record, or a counter or certificate behind them; `n` is one of those it was installed with.
    pub fn link(&self, place: &Place, n: usize) -> &AtomicU64 {
        let at = size_of::<Record>() + 8 * n;
        assert!(at + 8 <= place.record.1, "link slot {n} of a record of {} bytes", place.record.1);
        // SAFETY: inside of the record, as just checked; aligned to 8.
        unsafe { &*self.base.add(CODE_SPACE + place.record.0 + at).cast::<AtomicU64>() }
    }

    /// Gives memory back. No hart may be inside, or come in any more, and no jump cache may name the record.
    pub fn free(&self, place: Place) {
        let mut spaces = self.spaces.lock();
        spaces.code.free(place.code.0, place.code.1);
        if place.cold.1 != 0 {
            spaces.cold.free(place.cold.0, place.cold.1);
        }
        spaces.records.free(place.record);
    }

    /// The bytes of a translation of `len` bytes as they lie in memory, in one piece or two, with the offset in the code at which each
    /// begins.
    pub fn pieces(&self, place: &Place, len: usize) -> Vec<(u32, Piece)> {
        let cut = place.cut.min(len);
        let parts =
            [(0, place.code.0, cut.min(place.code.1)), (cut, place.cold.0, (len - cut).min(place.cold.1))];
        let piece = |(from, at, len): (usize, usize, usize)| {
            // SAFETY: code bytes do not change while the place is held, and the part is inside of it.
            let bytes = unsafe { std::slice::from_raw_parts(self.base.add(at), len) }.to_vec();
            (from as u32, Piece { address: self.base as u64 + at as u64, bytes, marks: Vec::new() })
        };
        parts.into_iter().filter(|(_, _, len)| *len > 0).map(piece).collect()
    }

    /// The bytes of a translation's first part.
    #[cfg(test)]
    fn bytes(&self, place: &Place) -> Vec<u8> {
        self.pieces(place, place.code.1)[0].1.bytes.clone()
    }
}

/// The four bytes at this offset of code that is in two parts; the second begins at `cut`.
fn field<'a>(parts: &'a mut [&mut [u8]; 2], cut: usize, at: u32) -> Option<&'a mut [u8; 4]> {
    let at = at as usize;
    let (part, at) = if at < cut { (0, at) } else { (1, at - cut) };
    parts[part].get_mut(at..at + 4)?.try_into().ok()
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: both mappings are ours; whoever runs code holds the arena.
        unsafe {
            let _ = munmap(self.base.cast(), CODE_SPACE + RECORD_SPACE);
            let _ = munmap(self.alias.cast(), CODE_SPACE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jit::emitted::RecordRef;
    use crate::jit::record::link_offset;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn freed_space_is_found_again_whole() {
        let mut space = Space::new(0..1 << 20, 32);
        let places: Vec<_> = (0..100).filter_map(|i| space.alloc(100 + i)).collect();
        assert_eq!(places.len(), 100);
        // Every second one first, so that holes must grow together from both sides.
        for p in places.iter().step_by(2).chain(places.iter().skip(1).step_by(2)) {
            space.free(p.0, p.1);
        }
        assert_eq!((space.used, space.by_offset.len()), (0, 1));
        assert_eq!(space.alloc(1 << 20), Some((0, 1 << 20)));
        assert_eq!(space.alloc(1), None);
    }

    #[test]
    fn references_find_the_record() {
        let arena = Arena::new().expect("arena");
        let emitted = Emitted {
            code: vec![0x90; 40],
            refs: vec![RecordRef { at: 3, offset: link_offset(1) }],
            stubs: vec![16, 24],
            ..Emitted::default()
        };
        let first = arena.install(&emitted, 7, 0, 1).expect("room");
        let place = arena.install(&emitted, 7, 0, 1).expect("room");
        let bytes = arena.bytes(&place);
        let distance = i32::from_le_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]);
        let found = (arena.entry(&place) + 7).wrapping_add(distance as i64 as u64);
        assert_eq!(found, std::ptr::from_ref(arena.link(&place, 1)) as u64);
        assert_eq!(arena.link(&place, 1).load(Relaxed), arena.entry(&place) + 24);
        assert_eq!(arena.record(&place).entry.load(Relaxed), arena.entry(&place));
        assert_eq!(arena.record(&place).heat.load(Relaxed), 7);
        assert_eq!(arena.code_bytes(), 2 * 64);
        arena.free(first);
        arena.free(place);
        assert_eq!(arena.code_bytes(), 0);
    }

    #[test]
    fn cold_parts_lie_elsewhere_and_are_reached() {
        let arena = Arena::new().expect("arena");
        // jmp from hot to cold and back, each to the byte behind the other; the record from both.
        let mut code = vec![0xe9, 0, 0, 0, 0, 0xc3, 0, 0, 0, 0];
        code.extend([0xe9, 0, 0, 0, 0, 0xc3, 0, 0, 0, 0]);
        code[1..5].copy_from_slice(&(15i32 - 5).to_le_bytes());
        code[11..15].copy_from_slice(&(5i32 - 15).to_le_bytes());
        let refs = [6, 16].map(|at| RecordRef { at, offset: link_offset(0) }).to_vec();
        let joins = vec![1, 11];
        let emitted = Emitted { code, refs, joins, cold: Some(10), stubs: vec![15], ..Emitted::default() };
        for _ in 0..2 {
            let place = arena.install(&emitted, 0, 0, 1).expect("room");
            let leads = |at: u32| {
                let field = arena.address(&place, at) as *const i32;
                // SAFETY: readable code, as long as the place is held.
                let distance = unsafe { field.read_unaligned() };
                (field as u64 + 4).wrapping_add(distance as i64 as u64)
            };
            assert_eq!([leads(1), leads(11)], [arena.address(&place, 15), arena.address(&place, 5)]);
            let record = arena.record_address(&place) + link_offset(0) as u64;
            assert_eq!([leads(6), leads(16)], [record; 2]);
            assert!(arena.address(&place, 10) >= arena.base as u64 + HOT_SPACE as u64);
            assert_eq!(arena.link(&place, 0).load(Relaxed), arena.address(&place, 15));
            assert_eq!((place.code_bytes(), arena.code_bytes()), (64, 64));
            arena.free(place);
            assert_eq!(arena.code_bytes(), 0);
        }
    }

    #[test]
    fn code_stays_where_and_what_it_is_in_large_pages() {
        let arena = Arena::new().expect("arena");
        assert_eq!(arena.base as usize % LARGE, 0);
        let emitted =
            |n: usize| Emitted { code: (0..4096).map(|i| (i * 7 + n) as u8).collect(), ..Emitted::default() };
        let places: Vec<_> =
            (0..3 * LARGE / 4096).map(|n| arena.install(&emitted(n), 0, 0, 1).expect("room")).collect();
        assert!(arena.spaces.lock().gathered >= 2 * LARGE);
        for (n, place) in places.iter().enumerate() {
            assert!(arena.bytes(place) == emitted(n).code, "{n}");
        }
        // Nor are places in them lost.
        let (entry, mut places) = (arena.entry(&places[0]), places.into_iter());
        arena.free(places.next().expect("one"));
        assert_eq!(arena.install(&emitted(5), 0, 0, 1).map(|p| arena.entry(&p)), Some(entry));
    }
}
