//! Configuration and the two queues of a virtio-net device.

use super::metrics::Counters;
use super::pump::{CREDIT, Pump};
use super::state;
use crate::metrics::{self, Metric};
use crate::net::{NetBackend, NetMetrics};
use crate::state::{Saved, StateError};
use crate::virtio::chain::{Chain, ChainError};
use crate::virtio::device::copy_config;
use crate::virtio::{Io, VirtioContext, VirtioDevice, id};
use engine::exec::inputs::InputEvent;
use std::collections::VecDeque;

const RX: usize = 0;
const TX: usize = 1;
const QUEUE_SIZE: u16 = 256;
/// `struct virtio_net_hdr` with `num_buffers`, section 5.1.6.
const HEADER: usize = 12;
/// Longest frame that is taken from the guest.
const MAX_FRAME: u64 = 65550;

const F_MAC: u64 = 1 << 5;
const F_MRG_RXBUF: u64 = 1 << 15;
const F_STATUS: u64 = 1 << 16;

/// How a card shows itself.
#[derive(Clone, Copy, Debug)]
pub struct NetOptions {
    /// Hardware address.
    pub mac: [u8; 6],
    /// Whether the cable is in.
    pub link_up: bool,
}

impl Default for NetOptions {
    /// QEMU's first address, cable in.
    fn default() -> NetOptions {
        NetOptions { mac: [0x52, 0x54, 0x00, 0x12, 0x34, 0x56], link_up: true }
    }
}

/// A virtio-net device.
pub struct Net {
    options: NetOptions,
    pump: Pump,
    /// Frames that wait for buffers of the guest.
    pending: VecDeque<Vec<u8>>,
    /// A frame may be spread over several buffers.
    pub(super) mergeable: bool,
    pub(super) counters: Counters,
}

impl Net {
    /// A card that talks to `backend`.
    pub fn new(backend: Box<dyn NetBackend>, options: NetOptions) -> Net {
        Net {
            options,
            pump: Pump::new(backend),
            pending: VecDeque::new(),
            mergeable: false,
            counters: Counters::default(),
        }
    }

    /// What the network behind the card counts.
    pub(super) fn network(&self) -> NetMetrics {
        self.pump.with(|b| b.metrics())
    }

    fn transmit(&mut self, io: &mut Io) {
        let mut any = false;
        while let Some(chain) = io.pop(TX) {
            if let Err(e) = self.send(&chain, io) {
                return io.fail(e);
            }
            io.push(TX, &chain, 0);
            any = true;
        }
        if any {
            io.signal(TX);
        }
    }

    fn send(&mut self, chain: &Chain, io: &Io) -> Result<(), ChainError> {
        let mut header = [0; HEADER];
        chain.read(io.ram(), 0, &mut header)?;
        let len = chain.readable() - HEADER as u64;
        // Offloads were not offered: a driver that asks for one sends a frame that is not whole.
        if len == 0 || len > MAX_FRAME || header[0] & 1 != 0 || header[1] != 0 {
            self.counters.tx_rejected += 1;
            return Ok(());
        }
        let mut frame = vec![0; len as usize];
        chain.read(io.ram(), HEADER as u64, &mut frame)?;
        if self.options.link_up {
            self.pump.with(|b| b.transmit(&frame));
        }
        Ok(())
    }

    /// Gives waiting frames to the guest as far as it has buffers.
    fn receive(&mut self, io: &mut Io) {
        let mut taken = 0;
        while let Some(frame) = self.pending.pop_front() {
            if !self.deliver(&frame, io) {
                self.pending.push_front(frame);
                break;
            }
            taken += 1;
        }
        if taken > 0 {
            self.pump.taken(taken);
            io.signal(RX);
        }
    }

    /// Puts one frame into the guest's buffers. False if there are too few for now.
    fn deliver(&mut self, frame: &[u8], io: &mut Io) -> bool {
        let mut chains = Vec::new();
        let (mut room, needed) = (0, (HEADER + frame.len()) as u64);
        while room < needed && (chains.is_empty() || self.mergeable) && chains.len() < QUEUE_SIZE as usize {
            let Some(chain) = io.pop(RX) else {
                chains.iter().for_each(|_| io.unpop(RX));
                return false;
            };
            room += chain.writable();
            chains.push(chain);
        }
        if room < needed {
            // It will never fit: lost, like a frame that is too long for a real card's buffer.
            chains.iter().for_each(|_| io.unpop(RX));
            self.counters.rx_dropped += 1;
            return true;
        }
        if let Err(e) = write_frame(&chains, frame, io) {
            io.fail(e);
        }
        true
    }
}

/// Spreads header and frame over `chains`, which have room for both, and gives them back.
fn write_frame(chains: &[Chain], frame: &[u8], io: &mut Io) -> Result<(), ChainError> {
    let mut bytes = vec![0; HEADER];
    if let Some(count) = bytes.get_mut(10..) {
        count.copy_from_slice(&(chains.len() as u16).to_le_bytes());
    }
    bytes.extend_from_slice(frame);
    let mut rest = bytes.as_slice();
    for chain in chains {
        let n = chain.writable().min(rest.len() as u64) as usize;
        let (now, later) = rest.split_at(n);
        chain.write(io.ram(), 0, now)?;
        io.push(RX, chain, n as u32);
        rest = later;
    }
    Ok(())
}

impl VirtioDevice for Net {
    fn id(&self) -> u16 {
        id::NET
    }

    fn kind(&self) -> &'static str {
        state::KIND
    }

    fn pci_class(&self) -> u32 {
        0x02_00_00
    }

    fn features(&self) -> u64 {
        F_MAC | F_MRG_RXBUF | F_STATUS
    }

    fn queues(&self) -> &[u16] {
        &[QUEUE_SIZE, QUEUE_SIZE]
    }

    fn read_config(&self, offset: usize, data: &mut [u8]) {
        let mut c = [0; 8];
        c[..6].copy_from_slice(&self.options.mac);
        c[6] = self.options.link_up as u8;
        copy_config(&c, offset, data);
    }

    fn attach(&mut self, ctx: VirtioContext) {
        let source = ctx.input(0);
        self.pump.start(ctx.inputs().clone(), source);
    }

    fn activate(&mut self, features: u64, _io: &mut Io) {
        self.mergeable = features & F_MRG_RXBUF != 0;
    }

    fn kick(&mut self, queue: usize, io: &mut Io) {
        match queue {
            RX => self.receive(io),
            _ => self.transmit(io),
        }
    }

    fn input(&mut self, _number: u32, event: InputEvent, io: &mut Io) {
        let InputEvent::Bytes(frame) = event else { return };
        if !io.active() || !self.options.link_up || self.pending.len() >= CREDIT as usize {
            self.counters.rx_dropped += 1;
            self.pump.taken(1);
            return;
        }
        self.pending.push_back(frame);
        self.receive(io);
    }

    fn reset(&mut self) {
        self.pump.taken(self.pending.len() as u32);
        self.pending.clear();
        self.mergeable = false;
    }

    fn quiesce(&mut self) {
        self.pump.with(|b| b.quiesce());
    }

    fn resume(&mut self, _io: &mut Io) {
        self.pump.with(|b| b.resume());
    }

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
