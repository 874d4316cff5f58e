//! What a disk must be able to do, and two disks that need no file.

use super::error::BlockError;
use parking_lot::RwLock;

/// A flat range of bytes. All calls may block; they come from the disk's worker, one at a time or not.
pub trait BlockBackend: Send + Sync {
    /// Size in bytes. Does not change.
    fn size(&self) -> u64;
    /// Whether writes are refused.
    fn read_only(&self) -> bool;
    /// Fills `buf` from `offset`.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError>;
    /// Writes `buf` at `offset`.
    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), BlockError>;
    /// Returns when everything written so far is on stable storage.
    fn flush(&self) -> Result<(), BlockError>;
    /// The guest needs this range no longer; what it reads afterwards is undefined. May do nothing.
    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError>;
    /// The range reads as zeroes afterwards; with `unmap` the host may free its space.
    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> Result<(), BlockError>;
    /// The unit, in bytes, in which the back end works best.
    fn block_size(&self) -> u32 {
        512
    }
    /// What it is, for messages and the window.
    fn describe(&self) -> String;
}

/// Whether `offset + len` lies on a disk of `size` bytes.
pub(super) fn check_range(size: u64, offset: u64, len: u64) -> Result<(), BlockError> {
    match offset.checked_add(len) {
        Some(end) if end <= size => Ok(()),
        _ => Err(BlockError::Range),
    }
}

/// A disk that reads as zeroes and forgets what is written.
#[derive(Debug)]
pub struct NullDisk {
    size: u64,
}

impl NullDisk {
    /// A null disk of `size` bytes.
    pub fn new(size: u64) -> NullDisk {
        NullDisk { size }
    }
}

impl BlockBackend for NullDisk {
    fn size(&self) -> u64 {
        self.size
    }
    fn read_only(&self) -> bool {
        false
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        check_range(self.size, offset, buf.len() as u64)?;
        buf.fill(0);
        Ok(())
    }
    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
        check_range(self.size, offset, buf.len() as u64)
    }
    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }
    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        check_range(self.size, offset, len)
    }
    fn write_zeroes(&self, offset: u64, len: u64, _unmap: bool) -> Result<(), BlockError> {
        check_range(self.size, offset, len)
    }
    fn describe(&self) -> String {
        "null disk".into()
    }
}

/// A disk in the host's memory, gone when the machine goes.
pub struct MemDisk {
    bytes: RwLock<Vec<u8>>,
    size: u64,
}

impl MemDisk {
    /// A disk that holds `bytes`.
    pub fn new(bytes: Vec<u8>) -> MemDisk {
        MemDisk { size: bytes.len() as u64, bytes: RwLock::new(bytes) }
    }

    fn with<R>(&self, offset: u64, len: u64, f: impl FnOnce(&mut [u8]) -> R) -> Result<R, BlockError> {
        check_range(self.size, offset, len)?;
        let mut bytes = self.bytes.write();
        let part = bytes.get_mut(offset as usize..(offset + len) as usize).ok_or(BlockError::Range)?;
        Ok(f(part))
    }
}

impl BlockBackend for MemDisk {
    fn size(&self) -> u64 {
        self.size
    }
    fn read_only(&self) -> bool {
        false
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        self.with(offset, buf.len() as u64, |part| buf.copy_from_slice(part))
    }
    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
        self.with(offset, buf.len() as u64, |part| part.copy_from_slice(buf))
    }
    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }
    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        check_range(self.size, offset, len)
    }
    fn write_zeroes(&self, offset: u64, len: u64, _unmap: bool) -> Result<(), BlockError> {
        self.with(offset, len, |part| part.fill(0))
    }
    fn describe(&self) -> String {
        "disk in memory".into()
    }
}
