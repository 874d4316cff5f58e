//! Memory for one translation at a time: never writable and executable at once.

use crate::jit::emitted::Emitted;
use crate::jit::record::{Record, link_offset, record_bytes};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

const CODE: usize = 256 << 10;
const RECORD: usize = 4096;

pub struct Arena {
    base: *mut u8,
}

impl Arena {
    pub fn new() -> Arena {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), CODE + RECORD, prot, MapFlags::PRIVATE) };
        Arena { base: base.expect("memory").cast() }
    }

    /// Puts a translation in place; returns its entry. The heat counter starts at `heat`.
    pub fn load(&mut self, emitted: &Emitted, heat: i32) -> u64 {
        let mut code = emitted.code.clone();
        for r in &emitted.refs {
            let at = r.at as usize;
            let distance = (CODE as i32 + r.offset) - (at as i32 + 4);
            code[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        }
        assert!(code.len() <= CODE && record_bytes(emitted.stubs.len()) <= RECORD);
        // SAFETY: the mapping is ours and nothing runs in it.
        unsafe {
            mprotect(self.base.cast(), CODE, MprotectFlags::READ | MprotectFlags::WRITE).expect("writable");
            std::ptr::copy_nonoverlapping(code.as_ptr(), self.base, code.len());
            mprotect(self.base.cast(), CODE, MprotectFlags::READ | MprotectFlags::EXEC).expect("executable");
        }
        let entry = self.base as u64;
        self.word(0).store(entry, Ordering::Relaxed);
        self.record().heat.store(heat, Ordering::Relaxed);
        self.record().left.store(0, Ordering::Relaxed);
        for (n, stub) in emitted.stubs.iter().enumerate() {
            self.link(n).store(entry + u64::from(*stub), Ordering::Relaxed);
        }
        entry
    }

    pub fn record(&self) -> &Record {
        // SAFETY: the record lies behind the code, aligned, for the mapping's life.
        unsafe { &*self.base.add(CODE).cast() }
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: as in `record`; `offset` is below `RECORD`.
        unsafe { &*self.base.add(CODE + offset).cast() }
    }

    pub fn link(&self, n: usize) -> &AtomicU64 {
        self.word(link_offset(n) as usize)
    }

    /// The number of the link slot at this address.
    pub fn slot_at(&self, address: u64) -> usize {
        (address as usize - self.base as usize - CODE - link_offset(0) as usize) / 8
    }

    pub fn left(&self) -> i32 {
        self.record().left.load(Ordering::Relaxed)
    }

    pub fn heat(&self) -> &AtomicI32 {
        &self.record().heat
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours; nothing refers to it any more.
        let _ = unsafe { munmap(self.base.cast(), CODE + RECORD) };
    }
}
