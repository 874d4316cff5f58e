//! One request as the driver described it: buffers to read, then buffers to write.
//!
//! `virtio-queue` walks descriptor chains without ever looping or leaving memory, but ends a broken chain as quietly
//! as a whole one. Here a chain is collected, and checked, before a device sees it (section 2.7).

use engine::mem::ram::GuestRam;
use serde::{Deserialize, Serialize};
use virtio_queue::DescriptorChain;
use vm_memory::{Bytes, GuestAddress, GuestMemory, Permissions};

/// Buffers in one chain, at most. Drivers stay below the queue size; this bounds the memory of a hostile one.
const MAX_SEGMENTS: usize = 1024;

/// Why a chain is not one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChainError {
    /// It ends in the middle: bad index, loop, bad indirect table, or more than 4 GiB.
    #[error("a descriptor chain is broken or endless")]
    Broken,
    /// A buffer is not in RAM.
    #[error("a buffer lies outside of memory")]
    Memory,
    /// A buffer to read follows a buffer to write.
    #[error("descriptors are in the wrong order")]
    Order,
    /// More buffers than [`MAX_SEGMENTS`].
    #[error("a descriptor chain has too many buffers")]
    TooLong,
    /// The chain is too short for what it should hold.
    #[error("a request has no room for what belongs into it")]
    Short,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Segment {
    addr: u64,
    len: u32,
}

/// A checked chain. Every buffer was in RAM when it was collected. It can be saved with the device, whose driver must leave
/// the buffers alone until the request is given back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Chain {
    head: u16,
    readable: Vec<Segment>,
    writable: Vec<Segment>,
}

impl Segment {
    fn check(&self, ram: &GuestRam) -> Result<(), ChainError> {
        match ram.check_range(GuestAddress(self.addr), self.len as usize, Permissions::ReadWrite) {
            true => Ok(()),
            false => Err(ChainError::Memory),
        }
    }
}

fn total(segments: &[Segment]) -> u64 {
    segments.iter().map(|s| s.len as u64).sum()
}

impl Chain {
    /// Collects and checks the chain.
    pub(super) fn collect(chain: DescriptorChain<&GuestRam>, ram: &GuestRam) -> Result<Chain, ChainError> {
        let mut c = Chain { head: chain.head_index(), readable: Vec::new(), writable: Vec::new() };
        let mut complete = false;
        for d in chain {
            complete = !d.has_next();
            if c.readable.len() + c.writable.len() >= MAX_SEGMENTS {
                return Err(ChainError::TooLong);
            }
            if d.len() == 0 {
                continue;
            }
            let segment = Segment { addr: d.addr().0, len: d.len() };
            segment.check(ram)?;
            if d.is_write_only() {
                c.writable.push(segment);
            } else if c.writable.is_empty() {
                c.readable.push(segment);
            } else {
                return Err(ChainError::Order);
            }
        }
        if complete { Ok(c) } else { Err(ChainError::Broken) }
    }

    /// Checks a chain that comes from a saved state.
    pub fn check(&self, ram: &GuestRam) -> Result<(), ChainError> {
        if self.readable.len() + self.writable.len() > MAX_SEGMENTS {
            return Err(ChainError::TooLong);
        }
        self.readable.iter().chain(&self.writable).try_for_each(|s| s.check(ram))
    }

    /// Index of the first descriptor, which names the chain.
    pub fn head(&self) -> u16 {
        self.head
    }

    /// Bytes that the device may read.
    pub fn readable(&self) -> u64 {
        total(&self.readable)
    }

    /// Bytes that the device may write.
    pub fn writable(&self) -> u64 {
        total(&self.writable)
    }

    /// Fills `buf` from byte `offset` of what the driver wrote.
    pub fn read(&self, ram: &GuestRam, offset: u64, buf: &mut [u8]) -> Result<(), ChainError> {
        let mut rest = buf;
        walk(&self.readable, offset, rest.len(), |addr, n| {
            let (now, later) = std::mem::take(&mut rest).split_at_mut(n);
            rest = later;
            ram.read_slice(now, addr).map_err(|_| ChainError::Memory)
        })
    }

    /// Writes `data` at byte `offset` of what the driver gave to write to.
    pub fn write(&self, ram: &GuestRam, offset: u64, data: &[u8]) -> Result<(), ChainError> {
        let mut rest = data;
        walk(&self.writable, offset, data.len(), |addr, n| {
            let (now, later) = rest.split_at(n);
            rest = later;
            ram.write_slice(now, addr).map_err(|_| ChainError::Memory)
        })
    }
}

/// Calls `f` with each piece of `offset..offset + len`.
fn walk(
    segments: &[Segment],
    mut offset: u64,
    mut len: usize,
    mut f: impl FnMut(GuestAddress, usize) -> Result<(), ChainError>,
) -> Result<(), ChainError> {
    for s in segments {
        if len == 0 {
            break;
        }
        if offset >= s.len as u64 {
            offset -= s.len as u64;
            continue;
        }
        let n = len.min((s.len as u64 - offset) as usize);
        f(GuestAddress(s.addr + offset), n)?;
        len -= n;
        offset = 0;
    }
    if len == 0 { Ok(()) } else { Err(ChainError::Short) }
}
