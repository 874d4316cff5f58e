//! Configuration, queue and completions of a virtio-blk device.

use super::request::{self, IOERR, Kind, Limits, OK, Request, UNSUPP};
use super::state;
use crate::block::error::UNSUPPORTED;
use crate::block::{BlockBackend, DiskWorker, MessageFn, SECTOR};
use crate::metrics::{self, Metric};
use crate::state::{Saved, StateError};
use crate::virtio::chain::{Chain, ChainError};
use crate::virtio::device::copy_config;
use crate::virtio::{Io, VirtioContext, VirtioDevice, id};
use engine::exec::inputs::InputEvent;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const QUEUE_SIZE: u16 = 256;
/// Requests that are started at once, in bytes of host memory; the rest waits in the ring.
const MAX_IN_FLIGHT: u64 = 16 << 20;

mod feature {
    pub const SEG_MAX: u64 = 1 << 2;
    pub const RO: u64 = 1 << 5;
    pub const BLK_SIZE: u64 = 1 << 6;
    pub const FLUSH: u64 = 1 << 9;
    pub const TOPOLOGY: u64 = 1 << 10;
    pub const DISCARD: u64 = 1 << 13;
    pub const WRITE_ZEROES: u64 = 1 << 14;
}

/// How a disk shows itself.
#[derive(Clone, Default)]
pub struct BlkOptions {
    /// What `GET_ID` gives, at most 20 bytes; Linux links `/dev/disk/by-id/virtio-SERIAL`.
    pub serial: String,
    /// Hears what to tell the user when the disk fails (the host's disk is full, the image is gone).
    pub on_error: Option<MessageFn>,
}

/// A virtio-blk device.
pub struct Blk {
    backend: Arc<dyn BlockBackend>,
    options: BlkOptions,
    pub(super) worker: Option<DiskWorker>,
    /// Requests under way by tag. The upper half of a tag is the generation: completions of requests from before a
    /// reset find nothing.
    pub(super) requests: BTreeMap<u64, Request>,
    generation: u32,
    next: u32,
    /// The driver flushes by itself; if not, every write is durable at completion (section 5.2.6.2).
    pub(super) write_back: bool,
    /// The requests come from a saved state and must be started again.
    resubmit: bool,
}

impl Blk {
    /// A disk over `backend`.
    pub fn new(backend: Arc<dyn BlockBackend>, options: BlkOptions) -> Blk {
        Blk {
            backend,
            options,
            worker: None,
            requests: BTreeMap::new(),
            generation: 0,
            next: 0,
            write_back: false,
            resubmit: false,
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits { size: self.backend.size() / SECTOR * SECTOR, read_only: self.backend.read_only() }
    }

    fn config(&self) -> [u8; 60] {
        let mut c = [0; 60];
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(part) = c.get_mut(at..at + bytes.len()) {
                part.copy_from_slice(bytes);
            }
        };
        let sectors = self.backend.size() / SECTOR;
        let max_ranges = (request::MAX_RANGES as u32).to_le_bytes();
        let max_sectors = request::MAX_RANGE_SECTORS.to_le_bytes();
        put(0, &sectors.to_le_bytes());
        put(12, &(QUEUE_SIZE as u32 - 2).to_le_bytes());
        put(20, &(SECTOR as u32).to_le_bytes());
        // Physical blocks of 4 KiB where the disk ends on one; transfers of the back end's unit are best.
        put(24, &[if sectors.is_multiple_of(8) { 3 } else { 0 }]);
        put(26, &((self.backend.block_size() as u64 / SECTOR).min(0xffff) as u16).to_le_bytes());
        put(32, &[1]);
        put(34, &1u16.to_le_bytes());
        put(36, &max_sectors);
        put(40, &max_ranges);
        put(44, &8u32.to_le_bytes());
        put(48, &max_sectors);
        put(52, &max_ranges);
        put(56, &[1]);
        c
    }

    fn tag(&mut self) -> u64 {
        self.next = self.next.wrapping_add(1);
        (self.generation as u64) << 32 | self.next as u64
    }

    /// Asks the disk for the next piece of a request.
    fn submit(&mut self, tag: u64, request: Request, io: &mut Io) {
        let Some(worker) = &self.worker else { return };
        match request.next_op(io.ram(), !self.write_back) {
            Ok(op) => {
                self.requests.insert(tag, request);
                worker.submit(tag, op);
            }
            Err(e) => io.fail(e),
        }
    }

    fn start(&mut self, chain: Chain, io: &mut Io) -> Result<(), ChainError> {
        match request::parse(chain, io.ram(), self.limits())? {
            Ok(r) if r.kind == Kind::GetId => self.give_id(&r.chain, io),
            Ok(r) if r.total == 0 && matches!(r.kind, Kind::Read | Kind::Write) => {
                finish(&r.chain, OK, 0, io)
            }
            Ok(r) => {
                let tag = self.tag();
                self.submit(tag, r, io);
            }
            Err((chain, status)) => finish(&chain, status, 0, io),
        }
        Ok(())
    }

    fn give_id(&self, chain: &Chain, io: &mut Io) {
        let mut name = self.options.serial.clone().into_bytes();
        name.resize(request::ID_BYTES, 0);
        name.truncate(chain.writable().saturating_sub(1) as usize);
        match chain.write(io.ram(), 0, &name) {
            Ok(()) => finish(chain, OK, name.len() as u64, io),
            Err(e) => io.fail(e),
        }
    }

    fn completed(&mut self, tag: u64, status: i32, data: &[u8], io: &mut Io) {
        let Some(mut r) = self.requests.remove(&tag) else { return };
        if status != 0 {
            let status = if status == UNSUPPORTED { UNSUPP } else { IOERR };
            return finish(&r.chain, status, r.done, io);
        }
        let piece = r.piece();
        if r.kind == Kind::Read {
            if data.len() as u64 != piece {
                return finish(&r.chain, IOERR, r.done, io);
            }
            if let Err(e) = r.chain.write(io.ram(), r.done, data) {
                return io.fail(e);
            }
        }
        r.done += piece;
        if r.done < r.total {
            return self.submit(tag, r, io);
        }
        let written = if r.kind == Kind::Read { r.done } else { 0 };
        finish(&r.chain, OK, written, io);
    }
}

/// Writes the status, which is the last byte, and gives the request back.
fn finish(chain: &Chain, status: u8, written: u64, io: &mut Io) {
    let at = chain.writable().saturating_sub(1);
    match chain.write(io.ram(), at, &[status]) {
        Ok(()) => {
            io.push(0, chain, u32::try_from(written + 1).unwrap_or(u32::MAX));
            io.signal(0);
        }
        Err(e) => io.fail(e),
    }
}

impl VirtioDevice for Blk {
    fn id(&self) -> u16 {
        id::BLOCK
    }

    fn kind(&self) -> &'static str {
        state::KIND
    }

    fn pci_class(&self) -> u32 {
        0x01_00_00
    }

    fn features(&self) -> u64 {
        let all = feature::SEG_MAX | feature::BLK_SIZE | feature::FLUSH | feature::TOPOLOGY;
        match self.backend.read_only() {
            true => all | feature::RO,
            false => all | feature::DISCARD | feature::WRITE_ZEROES,
        }
    }

    fn queues(&self) -> &[u16] {
        &[QUEUE_SIZE]
    }

    fn read_config(&self, offset: usize, data: &mut [u8]) {
        copy_config(&self.config(), offset, data);
    }

    fn attach(&mut self, ctx: VirtioContext) {
        let source = ctx.input(0);
        let inline = ctx.deterministic();
        let (backend, port) = (self.backend.clone(), ctx.inputs().clone());
        self.worker = Some(DiskWorker::new(backend, port, source, inline, self.options.on_error.clone()));
    }

    fn activate(&mut self, features: u64, _io: &mut Io) {
        self.write_back = features & feature::FLUSH != 0;
    }

    fn kick(&mut self, _queue: usize, io: &mut Io) {
        while self.requests.len() < QUEUE_SIZE as usize
            && self.worker.as_ref().is_some_and(|w| w.bytes_in_flight() < MAX_IN_FLIGHT)
        {
            let Some(chain) = io.pop(0) else { return };
            if let Err(e) = self.start(chain, io) {
                io.fail(e);
            }
        }
    }

    fn input(&mut self, _number: u32, event: InputEvent, io: &mut Io) {
        if let InputEvent::Completion { tag, status, data } = event {
            self.completed(tag, status, &data, io);
        }
        // Room has come free, also if the request was from before a reset.
        self.kick(0, io);
    }

    fn reset(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.requests.clear();
        self.write_back = false;
        self.resubmit = false;
    }

    fn quiesce(&mut self) {
        if let Some(worker) = &self.worker {
            worker.pause();
        }
    }

    fn resume(&mut self, io: &mut Io) {
        if let Some(worker) = &self.worker {
            worker.resume();
        }
        if std::mem::take(&mut self.resubmit) {
            for (tag, request) in std::mem::take(&mut self.requests) {
                self.submit(tag, request, io);
            }
        }
    }

    fn save(&self) -> Saved {
        state::save(self)
    }

    fn restore(&mut self, saved: &Saved, io: &mut Io) -> Result<(), StateError> {
        for request in state::restore(self, saved, io)? {
            let tag = self.tag();
            self.requests.insert(tag, request);
        }
        self.resubmit = true;
        Ok(())
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics::read(super::COUNTERS, self)
    }
}
