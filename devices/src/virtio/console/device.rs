//! Configuration and the two queues of a virtio-console device.

use super::metrics::Counters;
use super::state;
use crate::backend::chardev::{CharInput, SharedSink};
use crate::metrics::{self, Metric};
use crate::state::{Saved, StateError};
use crate::virtio::chain::{Chain, ChainError};
use crate::virtio::device::copy_config;
use crate::virtio::{Io, VirtioContext, VirtioDevice, id};
use engine::exec::inputs::InputEvent;
use std::collections::VecDeque;

const RX: usize = 0;
const TX: usize = 1;
const QUEUE_SIZE: u16 = 128;
/// Typed bytes that wait for the guest; what is typed beyond is dropped and counted.
pub(super) const MAX_PENDING: usize = 64 << 10;
/// Bytes handed to the sink at once.
const PIECE: u64 = 4096;
/// Output of one request; a driver's are a page.
const MAX_OUTPUT: u64 = 1 << 20;

const F_SIZE: u64 = 1 << 0;
const F_EMERG_WRITE: u64 = 1 << 2;
const EMERG_WRITE: usize = 8;

/// A virtio-console device. Resizes come as an [`InputEvent::Signal`] of columns << 16 | rows on the input of
/// [`Console::new`].
pub struct Console {
    sink: SharedSink,
    input: CharInput,
    pub(super) size: (u16, u16),
    pub(super) pending: VecDeque<u8>,
    pub(super) counters: Counters,
}

impl Console {
    /// A console that writes to `sink`; what is typed comes through `input`.
    pub fn new(sink: SharedSink, input: CharInput) -> Console {
        Console { sink, input, size: (80, 25), pending: VecDeque::new(), counters: Counters::default() }
    }

    fn transmit(&mut self, io: &mut Io) {
        let mut any = false;
        while let Some(chain) = io.pop(TX) {
            if let Err(e) = self.put(&chain, io) {
                return io.fail(e);
            }
            io.push(TX, &chain, 0);
            any = true;
        }
        if any {
            io.signal(TX);
        }
    }

    fn put(&mut self, chain: &Chain, io: &Io) -> Result<(), ChainError> {
        let total = chain.readable().min(MAX_OUTPUT);
        let mut buf = [0; PIECE as usize];
        let mut at = 0;
        while at < total {
            let n = (total - at).min(PIECE) as usize;
            let Some(part) = buf.get_mut(..n) else { break };
            chain.read(io.ram(), at, part)?;
            self.sink.put(part);
            at += n as u64;
        }
        self.counters.tx_bytes += total;
        Ok(())
    }

    /// Hands typed bytes to the guest as far as it has buffers.
    fn receive(&mut self, io: &mut Io) {
        let mut any = false;
        while !self.pending.is_empty() {
            let Some(chain) = io.pop(RX) else { break };
            let n = chain.writable().min(self.pending.len() as u64) as usize;
            let bytes: Vec<u8> = self.pending.drain(..n).collect();
            if let Err(e) = chain.write(io.ram(), 0, &bytes) {
                return io.fail(e);
            }
            io.push(RX, &chain, n as u32);
            self.counters.rx_bytes += n as u64;
            any = true;
        }
        if any {
            io.signal(RX);
        }
    }
}

impl VirtioDevice for Console {
    fn id(&self) -> u16 {
        id::CONSOLE
    }

    fn kind(&self) -> &'static str {
        state::KIND
    }

    fn pci_class(&self) -> u32 {
        0x07_80_00
    }

    fn features(&self) -> u64 {
        F_SIZE | F_EMERG_WRITE
    }

    fn queues(&self) -> &[u16] {
        &[QUEUE_SIZE, QUEUE_SIZE]
    }

    fn read_config(&self, offset: usize, data: &mut [u8]) {
        let mut c = [0; 12];
        let (cols, rows) = self.size;
        c[..2].copy_from_slice(&cols.to_le_bytes());
        c[2..4].copy_from_slice(&rows.to_le_bytes());
        c[4] = 1;
        copy_config(&c, offset, data);
    }

    fn write_config(&mut self, offset: usize, data: &[u8], _io: &mut Io) {
        // A character written by a driver that has nothing else yet, section 5.3.6.2.
        if let (EMERG_WRITE, Some(c)) = (offset, data.first()) {
            self.sink.put(&[*c]);
            self.counters.tx_bytes += 1;
        }
    }

    fn attach(&mut self, ctx: VirtioContext) {
        self.input.connect(ctx.inputs().clone(), ctx.input(0));
    }

    fn kick(&mut self, queue: usize, io: &mut Io) {
        match queue {
            RX => self.receive(io),
            _ => self.transmit(io),
        }
    }

    fn input(&mut self, _number: u32, event: InputEvent, io: &mut Io) {
        match event {
            InputEvent::Bytes(bytes) => {
                let room = MAX_PENDING.saturating_sub(self.pending.len());
                self.counters.rx_dropped += bytes.len().saturating_sub(room) as u64;
                self.pending.extend(bytes.into_iter().take(room));
                self.receive(io);
            }
            InputEvent::Signal(size) => {
                self.size = ((size >> 16) as u16, size as u16);
                io.config_changed();
            }
            InputEvent::Completion { .. } => {}
        }
    }

    /// What was typed stays, for the next driver: a guest resets the device when it takes it over from firmware.
    fn reset(&mut self) {}

    fn save(&self) -> Saved {
        state::save(self)
    }

    fn restore(&mut self, saved: &Saved, _io: &mut Io) -> Result<(), StateError> {
        state::restore(self, saved)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics::read(super::COUNTERS, self)
    }
}
