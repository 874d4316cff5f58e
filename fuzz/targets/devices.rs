//! Every register of every device of the board, with rings and buffers in RAM, time, inputs, resets and saved states.
//!
//! The fuzzer's bytes are a list of steps. No step may panic, hang, or take memory without bound.

#![no_main]

use devices::backend::chardev::{ByteRing, CharInput, SharedSink};
use devices::block::MemDisk;
use devices::board::virt::{VirtBackends, VirtBoard, VirtConfig};
use devices::board::{BoardState, make_harts, map};
use devices::flash::FlashImage;
use devices::metrics;
use devices::fw_cfg::FwCfg;
use devices::net::NullNet;
use devices::pci::HostBridge;
use devices::virtio::blk::{Blk, BlkOptions};
use devices::virtio::console::Console;
use devices::virtio::device::VirtioDevice;
use devices::virtio::mmio::Mmio;
use devices::virtio::net::{Net, NetOptions};
use devices::virtio::pci::VirtioPci;
use devices::virtio::rng::{Rng, RngOptions, SeededEntropy};
use engine::exec::inputs::{InputEvent, InputPort, SourceId};
use engine::exec::time::{Clock, TimeSource};
use engine::guest::riscv::model::Model;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use vitrine_fuzz::{Choices, mutate};
use vm_memory::{Bytes, GuestAddress};

const RAM: u64 = map::RAM_BASE;
const RAM_LEN: u64 = map::RAM_MIN;
const HARTS: u32 = 2;
const DISK: usize = 64 << 10;
/// Rings of a device lie this far apart.
const AREA: u64 = 0x1_0000;
const BAR: u64 = map::PCI_HIGH.base;
/// Steps of one run.
const STEPS: usize = 300;
/// Whole states saved in one run; they are large.
const SAVES: usize = 6;

struct Rig {
    board: VirtBoard,
    inputs: Arc<InputPort>,
    clock: Arc<Clock>,
    typed: Vec<CharInput>,
    /// Driver's side of the rings: next available index by device and queue.
    avail: [[u16; 2]; 8],
    /// Whole states that may still be saved.
    saves: usize,
}

/// The four devices of one transport.
fn virtio(typed: &mut Vec<CharInput>, with_net: bool) -> Vec<Box<dyn VirtioDevice>> {
    let input = CharInput::default();
    typed.push(input.clone());
    let disk = (0..DISK).map(|i| (i / 7) as u8).collect();
    let sink = SharedSink::new(Box::new(ByteRing::new(1 << 12)));
    let mut all: Vec<Box<dyn VirtioDevice>> = vec![
        Box::new(Blk::new(
            Arc::new(MemDisk::new(disk)),
            BlkOptions { serial: "fuzz".into(), ..BlkOptions::default() },
        )),
        Box::new(Console::new(sink, input)),
        Box::new(Rng::new(Box::new(SeededEntropy::new(1)), RngOptions { bytes: 100, period_ns: 1000 })),
    ];
    if with_net {
        all.push(Box::new(Net::new(Box::new(NullNet::new()), NetOptions::default())));
    }
    all
}

impl Rig {
    fn new(c: &mut Choices<'_>) -> Rig {
        let choice = c.u8();
        let (_, lines) = make_harts::<()>(HARTS);
        let (clock, inputs) = (Clock::new(TimeSource::Instructions, 1 << 60), InputPort::new());
        inputs.set_queued(Arc::new(|| {}));
        let mut typed = vec![CharInput::default()];
        let backends = VirtBackends {
            serial: SharedSink::new(Box::new(ByteRing::new(1 << 12))),
            typed: typed[0].clone(),
            events: Arc::new(|_| {}),
            entropy: Arc::new(|b| b.fill(7)),
            flash: [
                // Rare, because chips with contents take long to fill, save and restore.
                (choice == 0xff).then(|| FlashImage::memory(vec![0x13; 64])),
                (choice >= 0xfe).then(|| FlashImage::memory(vec![0; 1 << 18])),
            ],
            clock: clock.clone(),
            inputs: inputs.clone(),
        };
        let config = VirtConfig { harts: HARTS, ram_bytes: RAM_LEN, model: Model::default() };
        let mut board = VirtBoard::new(config, &lines, backends).expect("the board");
        for (n, d) in virtio(&mut typed, choice & 12 == 4).into_iter().enumerate() {
            board.attach_virtio_mmio(n as u32, Box::new(Mmio::new(Some(d)))).expect("a slot");
        }
        let mut bridge = HostBridge::new();
        for d in virtio(&mut typed, choice & 12 == 8) {
            bridge.plug_next(Box::new(VirtioPci::new(d))).expect("a slot");
        }
        board.attach_pci_host(Box::new(bridge)).expect("the bridge");
        if let Some(cell) = board.device("fw-cfg") {
            let add = |f: &mut FwCfg| f.set_writable_file("fuzz", vec![0; 100], Box::new(|_| {}));
            cell.with_as(add).expect("fw_cfg").expect("a file");
        }
        let saves = if choice == 0xff { 1 } else { SAVES };
        Rig { board, inputs, clock, typed, avail: [[0; 2]; 8], saves }
    }

    fn read(&self, pa: u64, width_log2: u32) {
        let _ = self.board.memory().read(pa, width_log2);
    }

    fn write(&self, pa: u64, width_log2: u32, value: u64) {
        let _ = self.board.memory().write(pa, width_log2, value);
    }

    /// An address in some device's registers, often near their start.
    fn register(&self, c: &mut Choices<'_>) -> u64 {
        let regions = self.board.bus().regions();
        let r = &regions[c.below(regions.len())];
        let offset = match c.u8() % 4 {
            0 => u64::from(c.u8()),
            1 => u64::from(c.u16()) & !3,
            2 => u64::from(c.u16()),
            _ => u64::from(c.u32()),
        };
        r.base + offset % (r.size + 8)
    }

    /// Register block of virtio device `n`: 0 to 3 over MMIO, 4 to 7 in a PCI BAR.
    fn common(n: usize) -> u64 {
        match n {
            0..4 => map::VIRTIO.base + n as u64 * map::VIRTIO.size,
            _ => BAR + (n as u64 - 4) * 0x4000,
        }
    }

    /// Puts the BAR of PCI device `n` where it belongs and switches it on.
    fn map_bar(&self, n: usize, command: u64) {
        let config = map::PCI_ECAM.base + ((n as u64 - 3) << 15);
        let bar = Rig::common(n);
        self.write(config + 0x20, 2, bar & 0xffff_ffff);
        self.write(config + 0x24, 2, bar >> 32);
        self.write(config + 4, 1, command);
    }

    /// The whole dance of a driver, with what the fuzzer wants changed.
    fn set_up(&mut self, c: &mut Choices<'_>) {
        let n = c.below(8);
        let (features, size) = (c.value(1 << 32) | 1 << 32, 1u64 << (c.u8() % 9));
        let twist = c.u8();
        let base = Rig::common(n);
        let area = RAM + n as u64 * 4 * AREA;
        self.avail[n] = [0; 2];
        let rings = |q: u64| {
            let at = area + q * AREA;
            // Twisted: rings that overlap.
            if twist & 1 != 0 { [at, at + 0x1000, at + 0x1000] } else { [at, at + 0x1000, at + 0x2000] }
        };
        if n < 4 {
            for (at, v) in [
                (0x70, 0),
                (0x70, 3),
                (0x24, 0),
                (0x20, features & 0x3000_ffff),
                (0x24, 1),
                (0x20, 1),
                (0x70, 11),
            ] {
                self.write(base + at, 2, v);
            }
            for q in 0..2 {
                let [d, a, u] = rings(q);
                for (at, v) in [
                    (0x30, q),
                    (0x38, size),
                    (0x80, d),
                    (0x84, 0),
                    (0x90, a),
                    (0x94, 0),
                    (0xa0, u),
                    (0xa4, 0),
                    (0x44, 1),
                ] {
                    self.write(base + at, 2, v);
                }
            }
            self.write(base + 0x70, 2, 15);
        } else {
            self.map_bar(n, 6);
            for (at, w, v) in [
                (20, 0, 0),
                (20, 0, 3),
                (8, 2, 0),
                (12, 2, features & 0x3000_ffff),
                (8, 2, 1),
                (12, 2, 1),
                (20, 0, 11),
            ] {
                self.write(base + at, w, v);
            }
            for q in 0..2 {
                let [d, a, u] = rings(q);
                for (at, w, v) in [(22, 1, q), (24, 1, size), (32, 3, d), (40, 3, a), (48, 3, u), (28, 1, 1)]
                {
                    self.write(base + at, w, v);
                }
            }
            self.write(base + 20, 0, 15);
        }
    }

    fn ram(&self, at: u64, bytes: &[u8]) {
        let _ = self.board.memory().ram().write_slice(bytes, GuestAddress(at));
    }

    /// Puts a chain of descriptors into a ring and tells the device.
    fn request(&mut self, c: &mut Choices<'_>) {
        let (n, q) = (c.below(8), c.below(2));
        let area = RAM + n as u64 * 4 * AREA + q as u64 * AREA;
        let data = area + 0x4000;
        let parts = c.u8() % 6;
        let first = u16::from(c.u8() % 8);
        for i in 0..parts {
            let index = first + u16::from(i);
            let (addr, len) = match c.u8() % 4 {
                0 => (data + u64::from(c.u8()), 16),
                1 => (data, u32::from(c.u16())),
                2 => (c.value(area), c.u32()),
                _ => (data + 0x200 * u64::from(i), 512 * u32::from(c.u8() % 4) + 1),
            };
            let mut flags = u16::from(c.u8() & 7);
            if i + 1 < parts {
                flags = flags & 6 | 1;
            }
            let next = if c.u8() == 0xff { c.u16() } else { index + 1 };
            let mut d = addr.to_le_bytes().to_vec();
            d.extend(len.to_le_bytes());
            d.extend(flags.to_le_bytes());
            d.extend(next.to_le_bytes());
            self.ram(area + 16 * u64::from(index), &d);
        }
        self.ram(data, c.bytes(48));
        let slot = area + 0x1004 + 2 * u64::from(self.avail[n][q] % 8);
        self.ram(slot, &first.to_le_bytes());
        self.avail[n][q] = self.avail[n][q].wrapping_add(u16::from(c.u8() % 4));
        self.ram(area + 0x1002, &self.avail[n][q].to_le_bytes());
        match n {
            0..4 => self.write(Rig::common(n) + 0x50, 2, q as u64),
            _ => self.write(Rig::common(n) + 0x3000 + 4 * q as u64, 1, q as u64),
        }
    }

    fn fw_cfg_dma(&self, c: &mut Choices<'_>) {
        let at = RAM + 0x80_0000 + u64::from(c.u8());
        let keys = [0u16, 1, 5, 0x19, 0x20, 0x21];
        let control = u32::from(c.u8() & 31) | u32::from(keys[c.below(6)]) << 16;
        let length = if c.u8() & 1 == 0 { u32::from(c.u8()) } else { c.u32() };
        let address = c.value(RAM + 0x80_0000);
        let mut d = control.to_be_bytes().to_vec();
        d.extend(length.to_be_bytes());
        d.extend(address.to_be_bytes());
        self.ram(at, &d);
        self.write(map::FW_CFG.base + 16, 3, at.swap_bytes());
    }

    /// Restores a saved state that somebody has been at. Whatever comes of it, the next reset makes the machine usable.
    fn restore_damaged(&mut self, c: &mut Choices<'_>) {
        self.saves -= 1;
        self.board.quiesce();
        if c.u8() % 4 == 0 {
            let mut bytes = postcard::to_stdvec(&self.board.save()).expect("the state");
            mutate(&mut bytes, c);
            if let Ok(state) = postcard::from_bytes::<BoardState>(&bytes) {
                let _ = self.board.restore(&state);
            }
        } else {
            let slots = self.board.slots();
            let cell = slots[c.below(slots.len())].cell.clone();
            cell.with(|d| {
                let mut saved = d.save();
                mutate(&mut saved.data, c);
                let _ = d.restore(&saved);
            });
        }
        self.board.resume();
    }

    fn save_and_restore(&mut self) {
        self.saves -= 1;
        self.board.quiesce();
        let state = self.board.save();
        if let Err(e) = self.board.restore(&state) {
            panic!("a state just saved is refused: {e}");
        }
        // What is saved again is what was restored.
        assert!(self.board.save() == state, "a restored board saves another state");
        self.board.resume();
    }

    fn outside(&self, c: &mut Choices<'_>) {
        let n = c.u8();
        if n & 0x80 == 0 {
            self.typed[n as usize % self.typed.len()].send(c.bytes(64));
            return;
        }
        let event = match c.u8() % 3 {
            0 => InputEvent::Bytes(c.bytes(200).to_vec()),
            1 => InputEvent::Completion {
                tag: c.value(1 << 32),
                status: c.u8() as i32 - 2,
                data: c.bytes(200).to_vec(),
            },
            _ => InputEvent::Signal(c.value(0)),
        };
        self.inputs.push(SourceId(u32::from(n & 15)), event);
    }

    fn step(&mut self, c: &mut Choices<'_>) {
        match c.u8() % 24 {
            0..4 => {
                let pa = self.register(c);
                self.read(pa, u32::from(c.u8() & 3));
            }
            4..9 => {
                let pa = self.register(c);
                let value = c.value(RAM);
                self.write(pa, u32::from(c.u8() & 3), value);
            }
            9 => {
                let at = RAM + u64::from(c.u32()) % RAM_LEN;
                self.ram(at, c.bytes(64));
            }
            10 => self.clock.set_virtual(self.clock.now_ns().saturating_add(u64::from(c.u32()))),
            11 => self.clock.set_virtual(self.clock.now_ns().saturating_add(c.value(1 << 40))),
            12 | 13 => self.outside(c),
            14 => self.board.reset(),
            15 | 16 if self.saves == 0 => {}
            15 => self.save_and_restore(),
            16 => self.restore_damaged(c),
            17 => {
                self.board.quiesce();
                self.outside(c);
                self.inputs.drain(0);
                self.board.resume();
            }
            18 => self.set_up(c),
            19..22 => self.request(c),
            22 => self.fw_cfg_dma(c),
            _ => self.map_bar(4 + c.below(4), u64::from(c.u16())),
        }
        // What a round of the run loop does for devices; a round may have several accesses.
        if c.u8() & 3 != 0 {
            self.inputs.drain(0);
            self.clock.ring_due();
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut c = Choices::new(data);
    let mut rig = Rig::new(&mut c);
    for _ in 0..STEPS {
        if c.done() {
            break;
        }
        rig.step(&mut c);
    }
    let _ = metrics::reports(rig.board.slots());
});
