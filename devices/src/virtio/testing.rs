//! A small driver for tests: sets a device up over either transport, puts requests into rings, takes answers out.

use super::{VirtioDevice, feature, status};
use crate::device::tests::Bench;
use crate::device::{Device, DeviceCell, Wiring};
use crate::irq::{IrqLine, LevelLatch};
use crate::pci::HostBridge;
use crate::virtio::mmio::Mmio;
use crate::virtio::pci::VirtioPci;
use engine::exec::inputs::InputPort;
use engine::exec::time::{Clock, TimeSource};
use engine::mem::bus::NoBus;
use engine::mem::ram::{GuestRam, Memory, RegionSpec};
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress};

pub(crate) const RAM: u64 = 0x8000_0000;
/// Room for buffers of tests.
pub(crate) const BUF: u64 = RAM + 0x4_0000;
const RING: u64 = 0x4000;
pub(crate) const SIZE: u16 = 16;
/// Where the tests put the BAR of the function in slot 1.
const BAR: u64 = 0x4_0000_0000;
const SLOT1: u64 = 0x3000_0000 + (1 << 15);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transport {
    Mmio,
    Pci,
}

pub(crate) const BOTH: [Transport; 2] = [Transport::Mmio, Transport::Pci];

/// A buffer of a request.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Read(u64, u32),
    Write(u64, u32),
}

#[derive(Clone, Copy, Default)]
struct Ring {
    next_desc: u16,
    next_avail: u16,
    last_used: u16,
}

pub(crate) struct Driver {
    pub cell: Arc<DeviceCell>,
    pub wiring: Wiring,
    pub latch: Arc<LevelLatch>,
    pub transport: Transport,
    rings: Vec<Ring>,
}

/// Wiring in host time, where disks and networks have threads.
pub(crate) fn host_wiring() -> Wiring {
    let spec = RegionSpec { base: RAM, len: 0x10_0000, writable: true };
    let clock = Clock::new(TimeSource::Host, 0);
    clock.resume();
    Wiring { memory: Memory::new(&[spec], Arc::new(NoBus)).expect("memory"), clock, inputs: InputPort::new() }
}

pub(crate) fn on(transport: Transport, device: Box<dyn VirtioDevice>) -> Box<dyn Device> {
    match transport {
        Transport::Mmio => Box::new(Mmio::new(Some(device))),
        Transport::Pci => {
            let mut bridge = HostBridge::new();
            bridge.plug(1, Box::new(VirtioPci::new(device))).expect("slot 1 is free");
            Box::new(bridge)
        }
    }
}

impl Driver {
    /// A machine in instruction time with the device, which is not set up yet.
    pub fn new(transport: Transport, device: Box<dyn VirtioDevice>) -> Driver {
        let wiring = Bench::new(Box::new(Mmio::new(None)), 0).wiring;
        Driver::with(transport, device, wiring)
    }

    pub fn with(transport: Transport, device: Box<dyn VirtioDevice>, wiring: Wiring) -> Driver {
        let latch = Arc::<LevelLatch>::default();
        let lines: Vec<_> = (0..4).map(|n| IrqLine::new(latch.clone(), n)).collect();
        let cell = DeviceCell::attach(on(transport, device), "test", &wiring, &lines);
        Driver::over(transport, cell, wiring, latch)
    }

    /// A driver of a device that is attached already.
    pub fn over(
        transport: Transport,
        cell: Arc<DeviceCell>,
        wiring: Wiring,
        latch: Arc<LevelLatch>,
    ) -> Driver {
        let driver = Driver { cell, wiring, latch, transport, rings: vec![Ring::default(); 4] };
        driver.map();
        driver
    }

    /// Puts the BAR of slot 1 at a known place and switches it on.
    pub fn map(&self) {
        if self.transport == Transport::Pci {
            self.write(SLOT1 + 0x20, 4, BAR as u32 as u64);
            self.write(SLOT1 + 0x24, 4, BAR >> 32);
            self.write(SLOT1 + 0x04, 2, 6);
        }
    }

    pub fn ram(&self) -> &GuestRam {
        self.wiring.memory.ram()
    }

    pub fn read(&self, offset: u64, width: u32) -> u64 {
        self.cell.read(offset, width).expect("the device answers")
    }

    pub fn write(&self, offset: u64, width: u32, value: u64) {
        self.cell.write(offset, width, value).expect("the device answers");
    }

    /// Level of the interrupt: slot 1's INTA is line 1.
    pub fn irq(&self) -> bool {
        self.latch.level(if self.transport == Transport::Pci { 1 } else { 0 })
    }

    /// Reads and acknowledges the interrupt status.
    pub fn ack(&self) -> u64 {
        match self.transport {
            Transport::Mmio => {
                let isr = self.read(0x60, 4);
                self.write(0x64, 4, isr);
                isr
            }
            Transport::Pci => self.read(BAR + 0x1000, 1),
        }
    }

    pub fn status(&self) -> u8 {
        match self.transport {
            Transport::Mmio => self.read(0x70, 4) as u8,
            Transport::Pci => self.read(BAR + 20, 1) as u8,
        }
    }

    pub fn set_status(&self, value: u8) {
        match self.transport {
            Transport::Mmio => self.write(0x70, 4, value as u64),
            Transport::Pci => self.write(BAR + 20, 1, value as u64),
        }
    }

    pub fn offered(&self) -> u64 {
        let (select, value) = match self.transport {
            Transport::Mmio => (0x14, 0x10),
            Transport::Pci => (BAR, BAR + 4),
        };
        (0..2).fold(0, |all, half| {
            self.write(select, 4, half);
            all | self.read(value, 4) << (32 * half)
        })
    }

    pub fn accept(&self, features: u64) {
        let (select, value) = match self.transport {
            Transport::Mmio => (0x24, 0x20),
            Transport::Pci => (BAR + 8, BAR + 12),
        };
        for half in 0..2 {
            self.write(select, 4, half);
            self.write(value, 4, features >> (32 * half) & 0xffff_ffff);
        }
    }

    pub fn config(&self, offset: u64, width: u32) -> u64 {
        match self.transport {
            Transport::Mmio => self.read(0x100 + offset, width),
            Transport::Pci => self.read(BAR + 0x2000 + offset, width),
        }
    }

    pub fn write_config(&self, offset: u64, width: u32, value: u64) {
        match self.transport {
            Transport::Mmio => self.write(0x100 + offset, width, value),
            Transport::Pci => self.write(BAR + 0x2000 + offset, width, value),
        }
    }

    pub fn rings_of(queue: usize) -> (u64, u64, u64) {
        let base = RAM + RING * queue as u64;
        (base, base + 0x1000, base + 0x2000)
    }

    /// Sets queue `n` up with rings at these places.
    pub fn set_up(&self, n: usize, size: u16, rings: (u64, u64, u64)) {
        let halves = |at: u64, v: u64| {
            self.write(at, 4, v & 0xffff_ffff);
            self.write(at + 4, 4, v >> 32);
        };
        match self.transport {
            Transport::Mmio => {
                self.write(0x30, 4, n as u64);
                self.write(0x38, 4, size as u64);
                halves(0x80, rings.0);
                halves(0x90, rings.1);
                halves(0xa0, rings.2);
                self.write(0x44, 4, 1);
            }
            Transport::Pci => {
                self.write(BAR + 22, 2, n as u64);
                self.write(BAR + 24, 2, size as u64);
                halves(BAR + 32, rings.0);
                halves(BAR + 40, rings.1);
                halves(BAR + 48, rings.2);
                self.write(BAR + 28, 2, 1);
            }
        }
    }

    pub fn enabled(&self, n: usize) -> bool {
        match self.transport {
            Transport::Mmio => {
                self.write(0x30, 4, n as u64);
                self.read(0x44, 4) == 1
            }
            Transport::Pci => {
                self.write(BAR + 22, 2, n as u64);
                self.read(BAR + 28, 2) == 1
            }
        }
    }

    /// The whole dance of section 3.1, with all of `features` that are offered and `queues` queues.
    pub fn start(&mut self, features: u64, queues: usize) {
        self.set_status(0);
        self.rings.fill(Ring::default());
        self.ram().write_slice(&[0; 4 * RING as usize], GuestAddress(RAM)).expect("rings");
        self.set_status(status::ACKNOWLEDGE);
        self.set_status(status::ACKNOWLEDGE | status::DRIVER);
        self.accept((features | feature::VERSION_1) & self.offered());
        self.set_status(status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK);
        assert!(self.status() & status::FEATURES_OK != 0);
        for n in 0..queues {
            self.set_up(n, SIZE, Driver::rings_of(n));
            assert!(self.enabled(n));
        }
        self.set_status(15);
        assert_eq!(self.status(), 15);
    }

    pub fn put_desc(&self, at: u64, addr: u64, len: u32, flags: u16, next: u16) {
        let ram = self.ram();
        ram.write_obj(addr, GuestAddress(at)).expect("desc");
        ram.write_obj(len, GuestAddress(at + 8)).expect("desc");
        ram.write_obj(flags, GuestAddress(at + 12)).expect("desc");
        ram.write_obj(next, GuestAddress(at + 14)).expect("desc");
    }

    fn put_chain(&self, table: u64, first: u16, wrap: u16, parts: &[Part]) {
        for (i, part) in parts.iter().enumerate() {
            let (addr, len, write) = match *part {
                Part::Read(a, l) => (a, l, 0),
                Part::Write(a, l) => (a, l, 2),
            };
            let next = (i + 1 < parts.len()) as u16;
            let index = (first + i as u16) % wrap;
            self.put_desc(table + 16 * index as u64, addr, len, write | next, (index + 1) % wrap);
        }
    }

    /// Puts a request into the ring without telling the device. Gives its head.
    pub fn add(&mut self, n: usize, parts: &[Part]) -> u16 {
        let head = self.rings[n].next_desc;
        self.put_chain(Driver::rings_of(n).0, head, SIZE, parts);
        self.rings[n].next_desc = (head + parts.len() as u16) % SIZE;
        self.offer(n, head);
        head
    }

    /// The same with an indirect table at `table`.
    pub fn add_indirect(&mut self, n: usize, table: u64, parts: &[Part]) -> u16 {
        let head = self.rings[n].next_desc;
        self.put_chain(table, 0, parts.len() as u16, parts);
        self.put_desc(Driver::rings_of(n).0 + 16 * head as u64, table, 16 * parts.len() as u32, 4, 0);
        self.rings[n].next_desc = (head + 1) % SIZE;
        self.offer(n, head);
        head
    }

    /// Makes `head` available.
    pub fn offer(&mut self, n: usize, head: u16) {
        let (_, avail, _) = Driver::rings_of(n);
        let ring = &mut self.rings[n];
        let slot = avail + 4 + 2 * (ring.next_avail % SIZE) as u64;
        ring.next_avail = ring.next_avail.wrapping_add(1);
        let next = ring.next_avail;
        self.ram().write_obj(head, GuestAddress(slot)).expect("avail");
        self.ram().write_obj(next, GuestAddress(avail + 2)).expect("avail");
    }

    pub fn kick(&self, n: usize) {
        match self.transport {
            Transport::Mmio => self.write(0x50, 4, n as u64),
            Transport::Pci => self.write(BAR + 0x3000 + 4 * n as u64, 2, n as u64),
        }
    }

    /// What the device has given back since this was asked last.
    pub fn used(&mut self, n: usize) -> Vec<(u32, u32)> {
        let (_, _, used) = Driver::rings_of(n);
        let ram = self.wiring.memory.ram();
        let index: u16 = ram.read_obj(GuestAddress(used + 2)).expect("used");
        let mut all = Vec::new();
        while self.rings[n].last_used != index {
            let slot = used + 4 + 8 * (self.rings[n].last_used % SIZE) as u64;
            let id = ram.read_obj(GuestAddress(slot)).expect("used");
            let len = ram.read_obj(GuestAddress(slot + 4)).expect("used");
            all.push((id, len));
            self.rings[n].last_used = self.rings[n].last_used.wrapping_add(1);
        }
        all
    }

    /// Waits, in host time, for `count` answers.
    pub fn wait_used(&mut self, n: usize, count: usize) -> Vec<(u32, u32)> {
        let mut all = Vec::new();
        let start = std::time::Instant::now();
        while all.len() < count {
            assert!(start.elapsed().as_secs() < 20, "no answer from the device: {all:?}");
            all.extend(self.used(n));
            std::thread::yield_now();
        }
        all
    }

    pub fn fill(&self, at: u64, bytes: &[u8]) {
        self.ram().write_slice(bytes, GuestAddress(at)).expect("RAM");
    }

    pub fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.ram().read_slice(&mut bytes, GuestAddress(at)).expect("RAM");
        bytes
    }

    pub fn metric(&self, name: &str) -> u64 {
        // Over PCI the device is behind the bridge.
        let (own, parts) = self.cell.with(|d| (d.metrics(), d.parts("pci"))).expect("not inside");
        let mut all = own.into_iter().chain(parts.into_iter().flat_map(|p| p.metrics));
        all.find(|m| m.declared.name == name).expect(name).value
    }
}
