//! Memory for one translation and its record.

use crate::jit::emitted::Emitted;
use crate::jit::record::{Record, link_offset, record_bytes};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::ffi::c_void;

const PAGE: usize = 4096;

/// Code that can be run, and its record behind it.
pub struct Loaded {
    base: *mut u8,
    len: usize,
    record: usize,
    links: usize,
    certificate: i32,
}

impl Loaded {
    /// Gives code an address.
    pub fn new(emitted: &Emitted) -> Loaded {
        let record = emitted.code.len().next_multiple_of(PAGE);
        let links = emitted.stubs.len();
        let len =
            record + record_bytes(emitted.words() + emitted.certificate_words(1)).next_multiple_of(PAGE);
        let mut code = emitted.code.clone();
        for r in &emitted.refs {
            let at = r.at as usize;
            let displacement = (record as i64 + r.offset as i64 - at as i64 - 4) as i32;
            code[at..at + 4].copy_from_slice(&displacement.to_le_bytes());
        }
        // SAFETY: a fresh mapping at an address that the kernel chooses.
        let base = unsafe {
            mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
        };
        let base = base.expect("memory") as *mut u8;
        // SAFETY: the code fits before the record, and the record's words before the end.
        unsafe {
            std::ptr::copy_nonoverlapping(code.as_ptr(), base, code.len());
            for (i, &stub) in emitted.stubs.iter().enumerate() {
                let slot = base.add(record + link_offset(i) as usize) as *mut u64;
                *slot = base as u64 + stub as u64;
            }
            (*(base.add(record) as *mut Record)).entry = (base as u64).into();
            (*(base.add(record) as *mut Record)).heat = i32::MAX.into();
            mprotect(base as *mut c_void, record, MprotectFlags::READ | MprotectFlags::EXEC)
                .expect("protect");
        }
        Loaded { base, len, record, links, certificate: link_offset(emitted.words()) }
    }

    /// Address of the first instruction.
    pub fn entry(&self) -> u64 {
        self.base as u64
    }

    /// Address of the record.
    pub fn record(&self) -> u64 {
        self.base as u64 + self.record as u64
    }

    /// The number of the link slot at `address`.
    pub fn slot(&self, address: u64) -> Option<usize> {
        (0..self.links).find(|&i| self.record() + link_offset(i) as u64 == address)
    }

    /// Sets the counter of the record.
    pub fn set_heat(&self, heat: i32) {
        // SAFETY: the record's head is mapped, and its fields are atomics.
        unsafe { &*(self.record() as *const Record) }.heat.store(heat, std::sync::atomic::Ordering::Relaxed);
    }

    /// Sets the first hart's certificate.
    pub fn certify(&self, tag: u64, page: u64) {
        let at = self.base.wrapping_add(self.record + self.certificate as usize).cast::<[u64; 2]>();
        // SAFETY: words of the record, which is writable and has them if the code asks for them; no code runs meanwhile.
        unsafe { *at = [tag, page] }
    }

    /// Links slot `slot` to the entry at `target`.
    pub fn link(&self, slot: usize, target: u64) {
        assert!(slot < self.links);
        // SAFETY: a slot of the record, which is writable; no code runs meanwhile.
        unsafe { *(self.base.add(self.record + link_offset(slot) as usize) as *mut u64) = target }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and no code in it runs.
        unsafe { munmap(self.base as *mut c_void, self.len) }.expect("unmap");
    }
}
