use super::super::{fdt::Chosen, make_harts, map};
use super::*;
use crate::backend::chardev::ByteRing;
use crate::block::MemDisk;
use crate::metrics;
use crate::net::NullNet;
use crate::pci::HostBridge;
use crate::virtio::blk::{Blk, BlkOptions};
use crate::virtio::console::Console;
use crate::virtio::device::VirtioDevice;
use crate::virtio::mmio::Mmio;
use crate::virtio::net::{Net, NetOptions};
use crate::virtio::pci::VirtioPci;
use crate::virtio::rng::{Rng, RngOptions, SeededEntropy};
use engine::exec::cpu::{MachineEvent, Platform};
use engine::exec::time::TimeSource;
use engine::mem::bus::{Bus, BusFault};
use parking_lot::Mutex;

struct Rig {
    board: VirtBoard,
    lines: Vec<Arc<Lines>>,
    ring: ByteRing,
    typed: CharInput,
    events: Arc<Mutex<Vec<MachineEvent>>>,
}

fn rig_with(harts: u32, ram_bytes: u64, flash: [Option<FlashImage>; 2]) -> Result<Rig, BoardError> {
    let (_, lines) = make_harts::<()>(harts);
    let ring = ByteRing::new(100);
    let typed = CharInput::default();
    let events = Arc::new(Mutex::new(Vec::new()));
    let e = events.clone();
    let backends = VirtBackends {
        serial: SharedSink::new(Box::new(ring.clone())),
        typed: typed.clone(),
        events: Arc::new(move |x| e.lock().push(x)),
        entropy: Arc::new(|b| b.fill(7)),
        flash,
        clock: Clock::new(TimeSource::Instructions, 0),
        inputs: InputPort::new(),
    };
    let board = VirtBoard::new(VirtConfig { harts, ram_bytes, model: Model::default() }, &lines, backends)?;
    Ok(Rig { board, lines, ring, typed, events })
}

fn rig() -> Rig {
    rig_with(2, 64 << 20, [None, None]).expect("board")
}

#[test]
fn a_byte_typed_reaches_the_hart_as_an_interrupt() {
    let r = rig();
    let m = r.board.memory();
    m.write(map::PLIC.base + 4 * 10, 2, 1).expect("priority");
    // Context 3 is S-mode of hart 1.
    m.write(map::PLIC.base + 0x2000 + 3 * 0x80, 2, 1 << 10).expect("enable");
    m.write(map::UART.base + 1, 0, 1).expect("ier");
    r.typed.send(b"x");
    assert_eq!((r.lines[0].levels(), r.lines[1].levels()), (0, 1 << 9));
    assert_eq!(m.read(map::PLIC.base + 0x20_3004, 2), Ok(10));
    assert_eq!(m.read(map::UART.base, 0), Ok(b'x' as u64));
    assert_eq!(r.lines[1].levels(), 0);
}

#[test]
fn timers_and_software_interrupts_reach_the_harts() {
    let r = rig();
    let m = r.board.memory();
    m.write(map::CLINT.base + 4, 2, 1).expect("msip");
    m.write(map::CLINT.base + 0x4000, 3, 1).expect("mtimecmp");
    r.board.wiring().clock.set_virtual(100);
    r.board.wiring().clock.ring_due();
    assert_eq!((r.lines[0].levels(), r.lines[1].levels()), (1 << 7, 1 << 3));
}

#[test]
fn the_firmware_console_is_the_serial_port() {
    let r = rig();
    let p = r.board.platform();
    p.console_write(b"hi");
    r.board.memory().write(map::UART.base, 0, b'!' as u64).expect("thr");
    assert_eq!(r.ring.take(), b"hi!");
    r.typed.send(b"ab");
    let mut buf = [0; 4];
    assert_eq!((p.console_read(&mut buf), &buf[..2]), (2, b"ab".as_slice()));
    p.event(MachineEvent::Reboot);
    r.board.memory().write(map::TEST.base, 2, 0x5555).expect("test");
    assert_eq!(*r.events.lock(), [MachineEvent::Reboot, MachineEvent::PowerOff(0)]);
    p.entropy(&mut buf);
    assert_eq!(buf, [7; 4]);
}

#[test]
fn empty_slots_answer_and_can_be_filled() {
    let mut r = rig();
    let at = map::VIRTIO.base + 0x3000;
    let read = |r: &Rig, o: u64| r.board.memory().read(at + o, 2);
    assert_eq!((read(&r, 0), read(&r, 4), read(&r, 8)), (Ok(0x7472_6976), Ok(2), Ok(0)));
    r.board.attach_virtio_mmio(3, Box::<GoldfishRtc>::default()).expect("attach");
    assert_eq!(read(&r, 0x10), Ok(0));
    assert!(r.board.attach_virtio_mmio(8, Box::new(EmptySlot)).is_err());
    assert!(r.board.attach("x", map::UART, Box::new(EmptySlot), &[]).is_err());
}

#[test]
fn a_pci_host_sees_physical_addresses() {
    let mut r = rig();
    assert_eq!(r.board.memory().read(map::PCI_ECAM.base, 2), Err(BusFault));
    r.board.attach_pci_host(Box::new(EmptySlot)).expect("attach");
    for window in [map::PCI_ECAM, map::PCI_PIO, map::PCI_MMIO, map::PCI_HIGH] {
        assert_eq!(r.board.bus().read(window.base + window.size - 4, 4), Ok(0));
    }
}

#[test]
fn impossible_machines_are_refused() {
    for (harts, ram) in [(0, 64 << 20), (65, 64 << 20), (1, 1 << 20), (1, (64 << 20) + 1), (1, 15 << 30)] {
        assert!(matches!(rig_with(harts, ram, [None, None]), Err(BoardError::Config(_))), "{harts} {ram}");
    }
    let big = FlashImage::memory(vec![0; (32 << 20) + 1]);
    assert!(rig_with(1, 64 << 20, [Some(big), None]).is_err());
}

#[test]
fn firmware_in_flash_is_memory() {
    let r = rig_with(1, 64 << 20, [Some(FlashImage::memory(vec![0x13; 8])), None]).expect("board");
    let m = r.board.memory();
    assert!(m.is_memory(map::FLASH[0].base) && !m.is_memory(map::FLASH[1].base));
    assert_eq!(m.read(map::FLASH[0].base, 3), Ok(0x1313_1313_1313_1313));
    assert_eq!(m.write(map::FLASH[0].base, 2, 0x98), Ok(()));
    assert_eq!(m.read(map::FLASH[0].base, 0), Ok(0x13));
    assert!(r.board.boots_from_flash());
    for value in [0x40, 0x0102_0304] {
        m.write(map::FLASH[0].base + 8, 2, value).expect("program");
    }
    assert_eq!(m.read(map::FLASH[0].base + 8, 2), Ok(0x0102_0304));
    assert_eq!(m.read(map::FLASH[0].base + 12, 2), Ok(0xffff_ffff));
}

#[test]
fn the_whole_board_is_saved_and_restored() {
    let r = rig();
    r.board.memory().write(map::UART.base + 7, 0, 0x5a).expect("scratch");
    r.board.quiesce();
    let state = r.board.save();
    r.board.resume();
    let q = rig();
    q.board.restore(&state).expect("restore");
    assert_eq!(q.board.memory().read(map::UART.base + 7, 0), Ok(0x5a));
    q.board.reset();
    assert_eq!(q.board.memory().read(map::UART.base + 7, 0), Ok(0));
    let one = rig_with(1, 64 << 20, [None, None]).expect("board");
    assert!(one.board.restore(&state).is_err());
    let mut more = rig();
    more.board.attach_pci_host(Box::new(EmptySlot)).expect("attach");
    assert!(more.board.restore(&state).is_err());
    assert!(q.board.restore(&more.board.save()).is_err());
}

#[test]
fn a_dropped_board_frees_its_memory() {
    let r = rig();
    let memory = Arc::downgrade(r.board.memory());
    drop(r);
    assert!(memory.upgrade().is_none());
}

#[test]
fn the_device_tree_is_a_tree() {
    let r = rig();
    let blob = r.board.device_tree(&Chosen::default()).expect("tree");
    assert_eq!(blob[..4], [0xd0, 0x0d, 0xfe, 0xed]);
}

#[test]
fn a_reset_leaves_nothing_pending() {
    struct High(Option<IrqLine>);
    impl Device for High {
        fn kind(&self) -> &'static str {
            "high"
        }
        fn attach(&mut self, ctx: crate::device::DeviceContext) {
            ctx.irq(0).set(true);
            self.0 = Some(ctx.irq(0));
        }
        fn read(&mut self, _: u64, _: u32) -> Result<u64, BusFault> {
            Err(BusFault)
        }
        fn write(&mut self, _: u64, _: u32, _: u64) -> Result<(), BusFault> {
            Err(BusFault)
        }
        fn reset(&mut self) {
            self.0.iter().for_each(|irq| irq.set(false));
        }
        fn save(&self) -> crate::state::Saved {
            crate::state::Saved::pack("high", 1, &())
        }
        fn restore(&mut self, saved: &crate::state::Saved) -> Result<(), crate::state::StateError> {
            saved.unpack("high", 1)
        }
    }
    let mut r = rig();
    r.board.attach_virtio_mmio(0, Box::new(High(None))).expect("attach");
    assert_eq!(r.board.memory().read(map::PLIC.base + 0x1000, 2), Ok(2));
    r.board.reset();
    assert_eq!(r.board.memory().read(map::PLIC.base + 0x1000, 2), Ok(0));
}

#[test]
fn a_kernel_is_booted_from_a_path() {
    use crate::boot::{BootSpec, Start, plan};
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("kernel");
    std::fs::write(&path, [0x13, 0, 0, 0]).expect("write");
    let r = rig();
    let spec = BootSpec { kernel: Some(path), append: "quiet".into(), ..BootSpec::default() };
    let plan = plan(&spec, &r.board).expect("plan");
    assert_eq!(plan.start, Start::Supervisor(0x8020_0000));
    plan.install(&r.board).expect("install");
    assert_eq!(r.board.memory().read(0x8020_0000, 2), Ok(0x13));
    assert_eq!(r.board.memory().read(plan.fdt, 2), Ok(0xedfe_0dd0));
    assert!(plan.device_tree().windows(6).any(|w| w == b"quiet\0"));
}

#[test]
fn every_device_shows_its_accesses_and_the_counters_declared_for_its_kind() {
    let mut r = rig();
    let disk = || -> Box<dyn VirtioDevice> {
        Box::new(Blk::new(Arc::new(MemDisk::new(vec![0; 4096])), BlkOptions::default()))
    };
    let net = Box::new(Net::new(Box::new(NullNet::new()), NetOptions::default()));
    let console = Console::new(SharedSink::new(Box::new(ByteRing::new(8))), CharInput::default());
    let rng = Rng::new(Box::new(SeededEntropy::new(1)), RngOptions::default());
    let mut bridge = HostBridge::new();
    let others: [Box<dyn VirtioDevice>; 4] = [disk(), net, Box::new(console), Box::new(rng)];
    for device in others {
        bridge.plug_next(Box::new(VirtioPci::new(device))).expect("a slot");
    }
    r.board.attach_pci_host(Box::new(bridge)).expect("a bridge");
    r.board.attach_virtio_mmio(2, Box::new(Mmio::new(Some(disk())))).expect("a disk");

    let m = r.board.memory();
    assert_eq!(m.read(slot_range(2).base + 8, 2), Ok(2), "a disk");
    assert_eq!(m.read(slot_range(2).base, 2).map(|v| v as u32), Ok(u32::from_le_bytes(*b"virt")));
    m.write(map::UART.base, 0, b'x'.into()).expect("a byte");
    assert_eq!(m.read(map::PCI_ECAM.base + (3 << 15), 2).map(|v| v & 0xffff), Ok(0x1af4));
    assert!(m.read(map::PLIC.base + 1, 0).is_err());

    let reports = metrics::reports(r.board.slots());
    let of = |name: &str| reports.iter().find(|d| d.name == name).expect("a device");
    let counts = |name: &str| ["mmio_reads", "mmio_writes", "mmio_faults"].map(|n| of(name).value(n));
    assert_eq!((of("virtio-mmio2").kind, counts("virtio-mmio2")), ("virtio-blk", [2, 0, 0]));
    assert_eq!((of("serial0").value("sent"), counts("serial0")), (1, [0, 1, 0]));
    assert_eq!((of("pci").kind, counts("pci")), ("pci-bridge", [1, 0, 0]));
    assert_eq!((of("pci.3").kind, counts("pci.3")), ("virtio-console", [1, 0, 0]));
    assert_eq!((counts("pci.2"), counts("plic")), ([0; 3], [1, 0, 1]));

    let declared = metrics::declared();
    let mut seen = std::collections::BTreeSet::new();
    for d in &reports {
        let accesses = metrics::ACCESSES.iter().map(|c| &c.declared);
        let own = declared.iter().find(|(kind, _)| *kind == d.kind).map_or(&[][..], |(_, own)| own);
        let all: Vec<_> = accesses.chain(own.iter().copied()).collect();
        assert_eq!(d.metrics.iter().map(|m| m.declared).collect::<Vec<_>>(), all, "{}", d.name);
        let names: std::collections::BTreeSet<_> = all.iter().map(|c| c.name).collect();
        assert!(names.len() == all.len() && all.iter().all(|c| c.split.is_none()), "{}", d.name);
        seen.insert(d.kind);
    }
    for (kind, _) in declared {
        assert!(seen.contains(kind), "the board has no {kind}");
    }
}
