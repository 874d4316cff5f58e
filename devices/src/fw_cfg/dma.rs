//! Transfers between items and RAM, described by a structure in RAM.

use super::FwCfg;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

const ERROR: u32 = 1;
const READ: u32 = 2;
const SKIP: u32 = 4;
const SELECT: u32 = 8;
const WRITE: u32 = 16;
const CHUNK: usize = 4096;

struct Request {
    control: u32,
    length: u32,
    address: u64,
}

impl FwCfg {
    /// Does what the structure at `at` says, and writes the result to its control word.
    pub(super) fn transfer(&mut self, at: u64) {
        self.transfers += 1;
        let Some(request) = self.fetch(at) else {
            self.errors += 1;
            return;
        };
        let done = self.run(&request).is_some();
        self.errors += !done as u64;
        let result: u32 = if done { 0 } else { ERROR };
        if let Some(ctx) = &self.ctx {
            // A structure that was there a moment ago is still there.
            let _ = ctx.ram().write_slice(&result.to_be_bytes(), GuestAddress(at));
        }
    }

    fn fetch(&self, at: u64) -> Option<Request> {
        let mut b = [0; 16];
        self.ctx.as_ref()?.ram().read_slice(&mut b, GuestAddress(at)).ok()?;
        let [c0, c1, c2, c3, l0, l1, l2, l3, address @ ..] = b;
        Some(Request {
            control: u32::from_be_bytes([c0, c1, c2, c3]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
            address: u64::from_be_bytes(address),
        })
    }

    fn run(&mut self, r: &Request) -> Option<()> {
        if r.control & SELECT != 0 {
            self.select((r.control >> 16) as u16);
        }
        if r.control & READ != 0 {
            self.read_to_ram(r)
        } else if r.control & WRITE != 0 {
            self.write_from_ram(r)
        } else {
            if r.control & SKIP != 0 {
                self.state.offset = self.state.offset.saturating_add(r.length as u64);
            }
            Some(())
        }
    }

    fn check_range(&self, r: &Request) -> Option<()> {
        let ram = self.ctx.as_ref()?.ram();
        (r.length == 0 || ram.check_range(GuestAddress(r.address), r.length as usize)).then_some(())
    }

    /// Copies the item from its current offset; zeroes behind its end.
    fn read_to_ram(&mut self, r: &Request) -> Option<()> {
        self.check_range(r)?;
        let ram = self.ctx.as_ref()?.ram();
        let item = self.items.bytes(self.state.selected);
        let start = usize::try_from(self.state.offset).unwrap_or(usize::MAX).min(item.len());
        let (now, _) = item[start..].split_at((r.length as usize).min(item.len() - start));
        ram.write_slice(now, GuestAddress(r.address)).ok()?;
        let mut at = r.address + now.len() as u64;
        let end = r.address + r.length as u64;
        while at < end {
            let n = ((end - at) as usize).min(CHUNK);
            ram.write_slice(&[0; CHUNK][..n], GuestAddress(at)).ok()?;
            at += n as u64;
        }
        self.state.offset = self.state.offset.saturating_add(r.length as u64);
        Some(())
    }

    /// Only within a file that may be written.
    fn write_from_ram(&mut self, r: &Request) -> Option<()> {
        self.check_range(r)?;
        let key = self.state.selected;
        let start = usize::try_from(self.state.offset).ok()?;
        let end = start.checked_add(r.length as usize)?;
        let ram = self.ctx.as_ref()?.ram();
        let target = self.items.writable(key)?.get_mut(start..end)?;
        ram.read_slice(target, GuestAddress(r.address)).ok()?;
        self.state.offset = end as u64;
        self.items.tell(key);
        Some(())
    }
}
