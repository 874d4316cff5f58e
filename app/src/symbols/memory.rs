//! How the search for symbols reads guest memory.

use crate::machine::api::MachineHandle;
use engine::mem::PAGE_SIZE;
use engine::mem::ram::Memory;
use std::ops::Range;

/// Guest-physical memory.
pub trait GuestMemory {
    /// Where RAM is, lowest address first.
    fn ranges(&self) -> Vec<Range<u64>>;
    /// Copies bytes out; false if not all of them are memory, or if there is no memory any more.
    fn read(&self, pa: u64, buf: &mut [u8]) -> bool;
    /// Whether the page of `pa` is known to hold zeroes only, so that it need not be read.
    fn is_blank(&self, pa: u64) -> bool;
}

impl GuestMemory for Memory {
    fn ranges(&self) -> Vec<Range<u64>> {
        // Sums of bases and lengths do not overflow: the memory was mapped.
        self.regions().iter().filter(|r| r.writable).map(|r| r.base..r.base + r.len).collect()
    }

    fn read(&self, pa: u64, buf: &mut [u8]) -> bool {
        self.read_bytes(pa, buf)
    }

    fn is_blank(&self, pa: u64) -> bool {
        Memory::is_blank(self, pa)
    }
}

/// A machine that runs. Each read looks at it anew, so that it can end, or be reset, while others search.
impl GuestMemory for MachineHandle {
    fn ranges(&self) -> Vec<Range<u64>> {
        self.look(|engine| GuestMemory::ranges(&**engine.code().memory())).unwrap_or_default()
    }

    fn read(&self, pa: u64, buf: &mut [u8]) -> bool {
        self.look(|engine| engine.code().memory().read_bytes(pa, buf)).unwrap_or(false)
    }

    fn is_blank(&self, pa: u64) -> bool {
        self.look(|engine| engine.code().memory().is_blank(pa)).unwrap_or(false)
    }
}

/// Memory with its ranges at hand, and reads that are clamped to them.
pub(super) struct Space<'a> {
    memory: &'a dyn GuestMemory,
    ranges: Vec<Range<u64>>,
}

impl<'a> Space<'a> {
    /// Memory as it is now.
    pub fn of(memory: &'a dyn GuestMemory) -> Space<'a> {
        Space { memory, ranges: memory.ranges() }
    }

    /// The part of `from..to` that lies in the same range as `pa`.
    pub fn around(&self, pa: u64, from: u64, to: u64) -> Option<Range<u64>> {
        let range = self.ranges.iter().find(|r| r.contains(&pa))?;
        Some(from.max(range.start)..to.min(range.end))
    }

    /// The bytes there. Callers have limited how many they are.
    pub fn bytes(&self, range: Range<u64>) -> Option<Vec<u8>> {
        let len = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        let mut bytes = vec![0; len];
        self.memory.read(range.start, &mut bytes).then_some(bytes)
    }

    /// `N` bytes.
    pub fn array<const N: usize>(&self, pa: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.memory.read(pa, &mut bytes).then_some(bytes)
    }

    /// Calls `look` with each page that may hold something, in order, until it gives a result.
    pub fn each_page<T>(&self, mut look: impl FnMut(u64, &[u8]) -> Option<T>) -> Option<T> {
        let mut page = [0; PAGE_SIZE as usize];
        let pages = self.ranges.iter().flat_map(|r| r.clone().step_by(PAGE_SIZE as usize));
        for pa in pages {
            if self.memory.is_blank(pa) {
                continue;
            }
            if !self.memory.read(pa, &mut page) {
                // The machine is gone, or another one with less memory.
                return None;
            }
            if let Some(found) = look(pa, &page) {
                return Some(found);
            }
        }
        None
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// Memory for tests: one range.
    #[derive(Clone)]
    pub struct Flat {
        pub base: u64,
        pub bytes: Vec<u8>,
    }

    impl GuestMemory for Flat {
        fn ranges(&self) -> Vec<Range<u64>> {
            std::iter::once(self.base..self.base + self.bytes.len() as u64).collect()
        }

        fn read(&self, pa: u64, buf: &mut [u8]) -> bool {
            let Some(from) = pa.checked_sub(self.base).and_then(|o| usize::try_from(o).ok()) else {
                return false;
            };
            let Some(bytes) = from.checked_add(buf.len()).and_then(|to| self.bytes.get(from..to)) else {
                return false;
            };
            buf.copy_from_slice(bytes);
            true
        }

        fn is_blank(&self, _: u64) -> bool {
            false
        }
    }
}
