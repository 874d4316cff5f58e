//! Records: the writable words beside immutable code.
//!
//! Each translation has one. Code finds it rip-relative, because records lie in the same reservation as the code; they are
//! never executable. Words are written atomically; several harts may run the code meanwhile.

use crate::host;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI32, AtomicU64};

/// The fixed head of a record; its link slots follow, 8 bytes each, then the counters of exits (see [`super::ways`]) and
/// the harts' certificates (see [`super::across`]).
#[repr(C, align(16))]
pub struct Record {
    /// Where jump-cache entries that name this record go: the code's entry, or a thunk that leaves with
    /// [`LOOKUP`](super::abi::Exit::LOOKUP) once the translation is gone.
    pub entry: AtomicU64,
    /// Runs left before the code leaves with [`HOT`](super::abi::Exit::HOT), or before the hart that takes a sample asks; in a settled
    /// region, guesses that may still fail. Counted by all harts without care: lost counts do no harm.
    pub heat: AtomicI32,
    /// How often exit 0 of a branch was taken.
    pub left: AtomicI32,
}

/// Address of the record of blocks that have no translation: it leads to the dispatcher.
pub fn no_record() -> u64 {
    static NONE: LazyLock<Record> = LazyLock::new(|| Record {
        entry: AtomicU64::new(host::gone()),
        heat: AtomicI32::new(0),
        left: AtomicI32::new(0),
    });
    std::ptr::from_ref::<Record>(&NONE) as u64
}

/// Offset of the heat counter in a record.
pub const HEAT: i32 = std::mem::offset_of!(Record, heat) as i32;
/// Offset of the counter of exit 0 in a record.
pub const LEFT: i32 = std::mem::offset_of!(Record, left) as i32;

/// Offset of link slot `n` in a record.
pub const fn link_offset(n: usize) -> i32 {
    (size_of::<Record>() + 8 * n) as i32
}

/// Bytes of a record with so many words behind its head; a multiple of 16.
pub const fn record_bytes(words: usize) -> usize {
    (size_of::<Record>() + 8 * words).next_multiple_of(16)
}
