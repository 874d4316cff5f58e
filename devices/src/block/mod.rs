//! Disks as devices see them: a flat range of bytes that can be read, written, flushed and discarded.
//!
//! A device must not wait for a disk while a hart waits for the device. Requests therefore go through a [`worker`],
//! one thread a disk, and their completions come back through the machine's input port, where a recording sees them.
//! Below the worker sits a [`BlockBackend`]: an image file ([`image`], formats by `imago`), or memory.

pub mod backend;
pub mod error;
pub mod image;
mod lock;
#[cfg(test)]
mod tests;
pub mod worker;

pub use backend::{BlockBackend, MemDisk, NullDisk};
pub use error::{BlockError, OpenError};
pub use image::{DiskImage, DiskOptions, ImageFormat};
pub use worker::{BlockMetrics, DiskOp, DiskWorker, MessageFn};

/// Bytes of the sector that guests count in.
pub const SECTOR: u64 = 512;
