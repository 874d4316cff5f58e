//! The bridge as firmware and kernels see it.

use super::bridge::WINDOWS;
use super::*;
use crate::device::tests::{Bench, torment};
use crate::device::{Device, DeviceContext};
use crate::irq::IrqLine;
use crate::metrics::{self, Metric};
use crate::state::{Saved, StateError};
use crate::virtio::pci::VirtioPci;
use crate::virtio::rng::{Rng, RngOptions, SeededEntropy};
use engine::tier::monitor::Counter;
use proptest::prelude::*;

fn rng() -> Box<dyn PciFunction> {
    let device = Rng::new(Box::new(SeededEntropy::new(1)), RngOptions::default());
    Box::new(VirtioPci::new(Box::new(device)))
}

fn slot(n: u64) -> u64 {
    WINDOWS[0].base + (n << 15)
}

fn bench() -> Bench {
    let mut bridge = HostBridge::new();
    assert_eq!(bridge.plug_next(rng()), Ok(1));
    assert_eq!(bridge.plug(5, rng()), Ok(()));
    assert_eq!(bridge.plug(6, Box::new(Plain::new())), Ok(()));
    Bench::new(Box::new(bridge), 4)
}

/// A function with one BAR of each kind, whose reads give BAR and offset, and whose writes set the interrupt.
struct Plain {
    config: ConfigSpace,
    line: IrqLine,
}

impl Plain {
    fn new() -> Plain {
        let id = Identity {
            vendor: 0x1234,
            device: 1,
            revision: 0,
            class: 0xff_0000,
            subsystem_vendor: 0,
            subsystem: 0,
        };
        let mut config = ConfigSpace::new(id, 2);
        config.add_bar(0, Bar::Memory32(0x1000));
        config.add_bar(1, Bar::Io(8));
        config.add_bar(2, Bar::Memory64(1 << 33));
        Plain { config, line: IrqLine::unconnected() }
    }
}

static COUNTERS: &[Counter<Plain>] = &[Counter::now("plain", "units", "nothing", |_| 1)];

impl PciFunction for Plain {
    fn kind(&self) -> &'static str {
        "plain"
    }
    fn config(&self) -> &ConfigSpace {
        &self.config
    }
    fn config_mut(&mut self) -> &mut ConfigSpace {
        &mut self.config
    }
    fn attach(&mut self, _: DeviceContext, _: u32, line: IrqLine) {
        self.line = line;
    }
    fn read_bar(&mut self, bar: usize, offset: u64, _: u32) -> u64 {
        (bar as u64) << 56 | offset
    }
    fn write_bar(&mut self, _: usize, _: u64, _: u32, value: u64) {
        self.line.set(value != 0);
    }
    fn reset(&mut self) {
        self.config.reset();
    }
    fn save(&self) -> Saved {
        Saved::pack("plain", 1, &self.config.save())
    }
    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        let ok = self.config.restore(&saved.unpack("plain", 1)?);
        if ok { Ok(()) } else { Err(StateError::damaged("plain", "registers")) }
    }
    fn metrics(&self) -> Vec<Metric> {
        metrics::read(COUNTERS, self)
    }
}

#[test]
fn the_bus_shows_who_is_there() {
    let b = bench();
    assert_eq!(b.read(slot(0), 4), 0x0008_1b36);
    assert_eq!(b.read(slot(0) + 8, 4) >> 8, 0x06_00_00);
    assert_eq!(b.read(slot(1), 4), 0x1044_1af4);
    assert_eq!(b.read(slot(1) + 8, 4), 0x00ff_0001);
    assert_eq!(b.read(slot(1) + 0x2c, 4), 0x1100_1af4);
    assert_eq!(b.read(slot(1) + 0x3d, 1), 1);
    assert_eq!(b.read(slot(2), 4), 0xffff_ffff, "an empty slot");
    assert_eq!(b.read(slot(1) + 0x1000, 2), 0xffff, "function 1");
    assert_eq!(b.read(WINDOWS[0].base + (1 << 20), 4), 0xffff_ffff, "bus 1");
    assert_eq!(b.read(slot(1) + 0x100, 4), 0, "no extended capabilities");
    assert_eq!(b.read(slot(1) + 3, 2), 0xffff, "across registers");
    b.write(slot(1), 4, 0);
    assert_eq!(b.read(slot(1), 4), 0x1044_1af4, "ids are read-only");
}

#[test]
fn bars_are_sized_and_decoded() {
    let b = bench();
    let f = slot(6);
    for (at, size) in
        [(0x10, 0xffff_f000), (0x14, 0xffff_fff9), (0x18, 0x0000_000c), (0x1c, 0xffff_fffe), (0x20, 0)]
    {
        b.write(f + at, 4, 0xffff_ffff);
        assert_eq!(b.read(f + at, 4), size, "{at:#x}");
    }
    b.write(f + 0x10, 4, 0x4000_5678);
    b.write(f + 0x14, 4, 0x101);
    b.write(f + 0x18, 4, 0);
    b.write(f + 0x1c, 4, 6);
    assert_eq!(b.read(0x4000_5010, 4), 0xffff_ffff, "memory is not enabled");
    b.write(f + 4, 2, 2);
    assert_eq!(b.read(0x4000_5010, 4), 0x0000_0000_0000_0010);
    assert_eq!(b.read(0x4000_5ffc, 8), u64::MAX, "across the end");
    assert_eq!(b.read(0x4000_6000, 1), 0xff);
    assert_eq!(b.read(0x6_0000_0008, 4), 2 << 56 | 8);
    assert_eq!(b.read(WINDOWS[1].base + 0x104, 2), 0xffff, "I/O is not enabled");
    b.write(f + 4, 2, 1);
    assert_eq!(b.read(WINDOWS[1].base + 0x104, 2), 1 << 56 | 4);
    assert_eq!(b.read(0x4000_5010, 4), 0xffff_ffff);
}

#[test]
fn pins_rotate_from_slot_to_slot_and_lines_are_shared() {
    let mut bridge = HostBridge::new();
    assert_eq!(bridge.plug(2, Box::new(Plain::new())), Ok(()));
    assert_eq!(bridge.plug(6, Box::new(Plain::new())), Ok(()));
    let b = Bench::new(Box::new(bridge), 4);
    for (n, base) in [(2, 0x4000_0000), (6, 0x4001_0000)] {
        b.write(slot(n) + 0x10, 4, base);
        b.write(slot(n) + 4, 2, 2);
        // INTB of slots 2 and 6 is the fourth line: 0x1000 2 -> 0x23 in the interrupt map.
        b.write(base, 4, 1);
        assert!(b.irq(3));
    }
    b.write(0x4000_0000, 4, 0);
    assert!(b.irq(3), "the other still holds it");
    b.write(0x4001_0000, 4, 0);
    assert!(!b.irq(3) && !b.irq(0));
}

#[test]
fn slots_are_checked() {
    let mut bridge = HostBridge::new();
    assert_eq!(bridge.plug(0, rng()), Err(PlugError::NoSlot(0)));
    assert_eq!(bridge.plug(32, rng()), Err(PlugError::NoSlot(32)));
    assert_eq!(bridge.plug(3, rng()), Ok(()));
    assert_eq!(bridge.plug(3, rng()), Err(PlugError::Taken { slot: 3, holder: "virtio-rng" }));
    for _ in 0..30 {
        assert!(bridge.plug_next(rng()).is_ok());
    }
    assert_eq!(bridge.plug_next(rng()), Err(PlugError::Full));
    assert_eq!(bridge.functions().count(), 32);
}

/// Offsets of the capabilities of slot 1 by `cfg_type`.
fn capabilities(b: &Bench) -> Vec<(u64, u64)> {
    assert_eq!(b.read(slot(1) + 6, 2) & 0x10, 0x10);
    let mut at = b.read(slot(1) + 0x34, 1);
    let mut all = Vec::new();
    while at != 0 {
        assert_eq!(b.read(slot(1) + at, 1), 9);
        all.push((b.read(slot(1) + at + 3, 1), at));
        at = b.read(slot(1) + at + 1, 1);
    }
    all
}

#[test]
fn virtio_structures_are_found_by_capabilities() {
    let b = bench();
    let caps = capabilities(&b);
    assert_eq!(caps.iter().map(|c| c.0).collect::<Vec<_>>(), [1, 3, 4, 2, 5]);
    for &(_, at) in &caps[..4] {
        let (bar, offset, len) =
            (b.read(slot(1) + at + 4, 1), b.read(slot(1) + at + 8, 4), b.read(slot(1) + at + 12, 4));
        assert!(bar == 4 && offset + len <= 0x4000);
    }
    // The last one reaches the BAR without it being mapped: read num_queues.
    let window = slot(1) + caps[4].1;
    b.write(window + 4, 1, 4);
    b.write(window + 8, 4, 18);
    b.write(window + 12, 4, 2);
    assert_eq!(b.read(window + 16, 4), 1);
    b.write(window + 8, 4, 0);
    b.write(window + 12, 4, 4);
    b.write(window + 16, 4, 1);
    b.write(window + 8, 4, 4);
    assert_eq!(b.read(window + 16, 4), 1, "upper half of the features");
    b.write(window + 8, 4, 0xffff_fffc);
    assert_eq!(b.read(window + 16, 4), 0, "outside of the BAR");
}

#[test]
fn a_function_that_is_no_master_does_not_reach_memory() {
    use crate::virtio::testing::{BUF, Driver, Part, Transport};
    let device = Rng::new(Box::new(SeededEntropy::new(1)), RngOptions::default());
    let mut d = Driver::new(Transport::Pci, Box::new(device));
    d.start(!0, 1);
    d.write(slot(1) + 4, 2, 2);
    d.add(0, &[Part::Write(BUF, 4)]);
    d.kick(0);
    assert!(d.used(0).is_empty());
    d.write(slot(1) + 4, 2, 6 | 1 << 10);
    assert_eq!(d.used(0), [(0, 4)]);
    assert!(!d.irq(), "INTx is disabled");
    assert_eq!(d.read(slot(1) + 6, 2) & 8, 8, "but shown");
    d.write(slot(1) + 4, 2, 6);
    assert!(d.irq());
    assert_eq!(d.ack(), 1);
    assert!(!d.irq());
    assert_eq!(d.read(slot(1) + 6, 2) & 8, 0);
}

fn two_functions() -> Box<dyn Device> {
    let mut bridge = HostBridge::new();
    for _ in 0..2 {
        assert!(bridge.plug_next(rng()).is_ok());
    }
    Box::new(bridge)
}

#[test]
fn random_accesses_to_the_windows_do_no_harm() {
    torment(two_functions, WINDOWS[3].base + WINDOWS[3].size);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Registers of the first slots, and a BAR wherever they have put it.
    #[test]
    fn random_accesses_to_functions_do_no_harm(
        steps in proptest::collection::vec((0..3u64, 0..0x110u64, 0..0x4000u64, any::<u32>(), 0..3u32), 1..80),
    ) {
        let b = Bench::new(two_functions(), 4);
        for (n, at, offset, value, width) in steps {
            let (width, at) = (1 << width, slot(n) + at);
            let _ = b.cell.write(at, width, value as u64);
            let _ = b.cell.read(at, width);
            if n > 0 {
                b.write(slot(n) + 4, 2, 6);
                let bar = b.read(slot(n) + 0x20, 4) & !0xf | b.read(slot(n) + 0x24, 4) << 32;
                let _ = b.cell.write(bar.wrapping_add(offset), width, value as u64);
                let _ = b.cell.read(bar.wrapping_add(offset), width);
            }
            let saved = b.cell.with(|d| d.save()).expect("not inside");
            prop_assert_eq!(b.cell.with(|d| d.restore(&saved)), Some(Ok(())));
            prop_assert_eq!(b.cell.with(|d| d.save()), Some(saved));
        }
    }
}

#[test]
fn the_windows_are_those_of_the_board() {
    use crate::board::map;
    let board = [map::PCI_ECAM, map::PCI_PIO, map::PCI_MMIO, map::PCI_HIGH];
    assert!(board.iter().zip(HostBridge::new().windows()).all(|(r, w)| (r.base, r.size) == (w.base, w.size)));
}

#[test]
fn an_interrupt_of_slot_1_reaches_the_hart_through_the_board() {
    use crate::backend::chardev::{CharInput, NullSink, SharedSink};
    use crate::board::virt::{VirtBackends, VirtBoard, VirtConfig};
    use crate::board::{make_harts, map};
    use crate::irq::LevelLatch;
    use crate::virtio::testing::{BUF, Driver, Part, Transport};
    use engine::exec::inputs::InputPort;
    use engine::exec::time::{Clock, TimeSource};
    use std::sync::Arc;
    let (_, lines) = make_harts::<()>(1);
    let backends = VirtBackends {
        serial: SharedSink::new(Box::new(NullSink)),
        typed: CharInput::default(),
        events: Arc::new(|_| {}),
        entropy: Arc::new(|b| b.fill(7)),
        flash: [None, None],
        clock: Clock::new(TimeSource::Instructions, 0),
        inputs: InputPort::new(),
    };
    let config = VirtConfig { harts: 1, ram_bytes: 16 << 20, model: Default::default() };
    let mut board = VirtBoard::new(config, &lines, backends).expect("board");
    let mut bridge = HostBridge::new();
    assert_eq!(bridge.plug_next(rng()), Ok(1));
    let cell = board.attach_pci_host(Box::new(bridge)).expect("bridge");
    let memory = board.memory();
    // Source 0x21, context 1 (S-mode of hart 0).
    memory.write(map::PLIC.base + 4 * 0x21, 2, 1).expect("priority");
    memory.write(map::PLIC.base + 0x2080 + 4, 2, 1 << 1).expect("enable");
    let mut d = Driver::over(Transport::Pci, cell, board.wiring().clone(), Arc::<LevelLatch>::default());
    d.start(!0, 1);
    d.add(0, &[Part::Write(BUF, 4)]);
    assert_eq!(lines[0].levels(), 0);
    // Through the bus this time.
    memory.write(0x4_0000_3000, 1, 0).expect("notify");
    assert_eq!(d.used(0), [(0, 4)]);
    assert_eq!(lines[0].levels(), 1 << map::hart_line::SEI);
    assert_eq!(memory.read(map::PLIC.base + 0x20_1004, 2), Ok(0x21));
    assert_eq!(memory.read(0x4_0000_1000, 0), Ok(1));
    let saved = board.save();
    assert!(board.restore(&saved).is_ok());
    assert_eq!(d.status(), 15);
}
