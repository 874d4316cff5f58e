//! Large pages of the host.
//!
//! The problem: guest RAM, code and records are used all over, so with pages of 4 KiB a hart misses the host's TLB all the time, and under a
//! hypervisor each miss is a walk in two dimensions. Hosts give large pages to those who ask. Where they have none nothing is lost
//! but the asking.

use std::ffi::c_void;

/// Bytes of a large page; places that are to have some begin at multiples of it.
pub const LARGE: usize = 2 << 20;

/// Asks for large pages as private memory is touched (`MADV_HUGEPAGE`).
pub fn ask(at: *mut u8, len: usize) {
    // SAFETY: changes how memory is kept, not what it holds or who may use it.
    let asked = unsafe { rustix::mm::madvise(at.cast(), len, rustix::mm::Advice::LinuxHugepage) };
    if let Err(e) = asked {
        tracing::debug!("no large pages: {e}");
    }
}

/// Gathers shared memory that is in use into large pages (`MADV_COLLAPSE`, Linux 6.1), whatever the host does of itself. Whether it could.
pub fn gather(at: *mut u8, len: usize) -> bool {
    const MADV_COLLAPSE: i32 = 25;
    unsafe extern "C" {
        fn madvise(at: *mut c_void, len: usize, advice: i32) -> i32;
    }
    // SAFETY: as in `ask`. The system lets those who use the memory meanwhile wait.
    unsafe { madvise(at.cast(), len, MADV_COLLAPSE) == 0 }
}
