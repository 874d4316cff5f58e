//! The disk as a driver sees it, over both transports.

use super::*;
use crate::block::{BlockBackend, BlockError, MemDisk, NullDisk};
use crate::virtio::feature;
use crate::virtio::testing::{BOTH, BUF, Driver, Part, RAM, Transport, host_wiring};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use vm_memory::{Bytes, GuestAddress};

const HEADER: u64 = BUF;
const STATUS: u64 = BUF + 0x100;
const DATA: u64 = BUF + 0x1000;
const FLUSH: u64 = 1 << 9;

fn disk() -> Arc<MemDisk> {
    Arc::new(MemDisk::new((0..1u32 << 20).map(|i| (i >> 9) as u8).collect()))
}

fn blk(backend: Arc<dyn BlockBackend>) -> Box<Blk> {
    Box::new(Blk::new(backend, BlkOptions { serial: "serial-0".into(), on_error: None }))
}

fn started(t: Transport, backend: Arc<dyn BlockBackend>, features: u64) -> Driver {
    let mut d = Driver::new(t, blk(backend));
    d.start(features, 1);
    d
}

fn header(d: &Driver, kind: u32, sector: u64) {
    d.ram().write_obj(kind, GuestAddress(HEADER)).expect("RAM");
    d.ram().write_obj(sector, GuestAddress(HEADER + 8)).expect("RAM");
    d.fill(STATUS, &[0xee]);
}

/// Sends one request and gives its status and the length that came back.
fn ask(d: &mut Driver, kind: u32, sector: u64, data: &[Part]) -> (u8, u32) {
    header(d, kind, sector);
    let mut parts = vec![Part::Read(HEADER, 16)];
    parts.extend(data);
    parts.push(Part::Write(STATUS, 1));
    let head = d.add(0, &parts);
    d.kick(0);
    let used = d.wait_used(0, 1);
    assert_eq!(used[0].0, head as u32);
    (d.bytes(STATUS, 1)[0], used[0].1)
}

#[test]
fn a_disk_reads_writes_and_names_itself() {
    for t in BOTH {
        let mut d = started(t, disk(), !0);
        assert_eq!(d.config(0, 8), 2048);
        assert_eq!((d.config(0, 4), d.config(20, 4), d.config(1000, 4)), (2048, 512, 0));
        // Over several buffers, one of them crossing a sector.
        let parts = [Part::Write(DATA, 100), Part::Write(DATA + 0x400, 924)];
        assert_eq!(ask(&mut d, 0, 7, &parts), (0, 1025));
        assert_eq!(d.bytes(DATA, 100), vec![7; 100]);
        assert_eq!(d.bytes(DATA + 0x400 + 411, 2), [7, 8]);
        assert!(d.irq());
        assert_eq!(d.ack(), 1);
        assert!(!d.irq());
        d.fill(DATA, &[0x5a; 1024]);
        assert_eq!(ask(&mut d, 1, 9, &[Part::Read(DATA, 512), Part::Read(DATA + 512, 512)]), (0, 1));
        assert_eq!(ask(&mut d, 4, 0, &[]), (0, 1));
        assert_eq!(ask(&mut d, 0, 10, &[Part::Write(DATA + 0x800, 512)]), (0, 513));
        assert_eq!(d.bytes(DATA + 0x800, 512), vec![0x5a; 512]);
        assert_eq!(ask(&mut d, 8, 0, &[Part::Write(DATA, 20)]), (0, 21));
        assert_eq!(d.bytes(DATA, 20), b"serial-0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!((d.metric("reads"), d.metric("written_bytes"), d.metric("flushes")), (2, 1024, 1));
    }
}

#[test]
fn discards_and_zero_writes_check_their_ranges() {
    let mut d = started(Transport::Mmio, disk(), !0);
    let range = |d: &Driver, at: u64, sector: u64, n: u32, flags: u32| {
        d.ram().write_obj(sector, GuestAddress(DATA + at)).expect("RAM");
        d.ram().write_obj(n, GuestAddress(DATA + at + 8)).expect("RAM");
        d.ram().write_obj(flags, GuestAddress(DATA + at + 12)).expect("RAM");
    };
    range(&d, 0, 3, 2, 1);
    range(&d, 16, 100, 1, 0);
    assert_eq!(ask(&mut d, 13, 0, &[Part::Read(DATA, 32)]).0, 0);
    assert_eq!(ask(&mut d, 0, 2, &[Part::Write(BUF + 0x2000, 2048)]).0, 0);
    let got = d.bytes(BUF + 0x2000, 2048);
    assert_eq!((got[511], got[512], got[1535], got[1536]), (2, 0, 0, 5));
    assert_eq!(ask(&mut d, 11, 0, &[Part::Read(DATA, 16)]).0, 2, "unmap is no flag of discard");
    range(&d, 0, 3, 2, 0);
    assert_eq!(ask(&mut d, 11, 0, &[Part::Read(DATA, 32)]).0, 0);
    for (sector, n) in [(2047, 2), (u64::MAX, 1), (u64::MAX / 512, 1), (0, u32::MAX)] {
        range(&d, 0, sector, n, 0);
        assert_eq!(ask(&mut d, 11, 0, &[Part::Read(DATA, 16)]).0, 1, "{sector} {n}");
    }
    assert_eq!(ask(&mut d, 11, 0, &[Part::Read(DATA, 15)]).0, 1);
    assert_eq!(ask(&mut d, 11, 0, &[]).0, 1);
}

#[test]
fn bad_requests_are_answered_and_the_disk_goes_on() {
    let mut d = started(Transport::Pci, disk(), !0);
    assert_eq!(ask(&mut d, 77, 0, &[]).0, 2);
    for (sector, len) in [(2048, 512), (2047, 1024), (u64::MAX, 512), (1 << 55, 512), (0, 511)] {
        assert_eq!(ask(&mut d, 0, sector, &[Part::Write(DATA, len)]), (1, 1), "{sector} {len}");
        assert_eq!(ask(&mut d, 1, sector, &[Part::Read(DATA, len)]).0, 1, "{sector} {len}");
    }
    assert_eq!(ask(&mut d, 0, 0, &[]).0, 0, "nothing to read is no error");
    assert_eq!(ask(&mut d, 0, 5, &[Part::Write(DATA, 512)]).0, 0);
    assert_eq!(d.status(), 15);
}

#[test]
fn a_request_without_a_status_stops_the_device() {
    let mut d = started(Transport::Mmio, disk(), !0);
    header(&d, 0, 0);
    d.add(0, &[Part::Read(HEADER, 16)]);
    d.kick(0);
    assert_eq!(d.status() & 0x40, 0x40);
    assert_eq!(d.ack(), 2, "the driver is told");
    d.start(!0, 1);
    assert_eq!(ask(&mut d, 0, 5, &[Part::Write(DATA, 512)]).0, 0);
}

#[test]
fn large_requests_go_in_pieces() {
    // 4 MiB out of one page, by a table of its own: larger than what may be under way at once.
    let backend = Arc::new(MemDisk::new(vec![9; 8 << 20]));
    let mut d = started(Transport::Mmio, backend, !0);
    header(&d, 0, 1);
    let mut parts = vec![Part::Read(HEADER, 16)];
    parts.extend((0..1000).map(|_| Part::Write(DATA, 4096)));
    parts.push(Part::Write(STATUS, 1));
    d.add_indirect(0, RAM + 0x8_0000, &parts);
    d.kick(0);
    assert_eq!(d.wait_used(0, 1), [(0, 4_096_001)]);
    assert_eq!((d.bytes(STATUS, 1), d.bytes(DATA + 4095, 1)), (vec![0], vec![9]));
    assert_eq!(d.metric("reads"), 4);
    // And with far too many buffers.
    parts.extend((0..100).map(|_| Part::Write(DATA, 4096)));
    d.add_indirect(0, RAM + 0x8_0000, &parts);
    d.kick(0);
    assert_eq!(d.status() & 0x40, 0x40);
}

/// A disk whose host is full, which counts flushes.
#[derive(Default)]
struct Broken {
    flushes: AtomicUsize,
    full: bool,
}

impl BlockBackend for Broken {
    fn size(&self) -> u64 {
        1 << 20
    }
    fn read_only(&self) -> bool {
        false
    }
    fn read_at(&self, _: u64, _: &mut [u8]) -> Result<(), BlockError> {
        Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into())
    }
    fn write_at(&self, _: u64, _: &[u8]) -> Result<(), BlockError> {
        if self.full { Err(BlockError::NoSpace) } else { Ok(()) }
    }
    fn flush(&self) -> Result<(), BlockError> {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
    fn discard(&self, _: u64, _: u64) -> Result<(), BlockError> {
        Err(BlockError::Unsupported)
    }
    fn write_zeroes(&self, _: u64, _: u64, _: bool) -> Result<(), BlockError> {
        Err(BlockError::NoSpace)
    }
    fn describe(&self) -> String {
        "broken".into()
    }
}

#[test]
fn a_full_host_disk_is_an_io_error_for_the_guest() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let t = told.clone();
    let options = BlkOptions {
        on_error: Some(Arc::new(move |s: &str| t.lock().push(s.to_owned()))),
        ..Default::default()
    };
    let backend = Arc::new(Broken { full: true, ..Broken::default() });
    let mut d = Driver::new(Transport::Pci, Box::new(Blk::new(backend, options)));
    d.start(!0, 1);
    assert_eq!(ask(&mut d, 1, 0, &[Part::Read(DATA, 512)]).0, 1);
    assert_eq!(ask(&mut d, 0, 0, &[Part::Write(DATA, 512)]).0, 1);
    d.ram().write_obj(1u64, GuestAddress(DATA)).expect("RAM");
    d.ram().write_obj(1u64, GuestAddress(DATA + 8)).expect("RAM");
    assert_eq!(ask(&mut d, 11, 0, &[Part::Read(DATA, 16)]).0, 2);
    assert_eq!(ask(&mut d, 4, 0, &[]).0, 0);
    assert_eq!((d.status(), d.metric("errors")), (15, 3));
    let told = told.lock();
    assert_eq!(told.len(), 2, "a kind of failure is told once: {told:?}");
    assert!(told[0].contains("no space left"), "{told:?}");
}

#[test]
fn a_driver_that_cannot_flush_gets_durable_writes() {
    for (features, flushes) in [(!0, 0), (!FLUSH, 1)] {
        let backend = Arc::new(Broken::default());
        let mut d = started(Transport::Mmio, backend.clone(), features);
        assert_eq!(ask(&mut d, 1, 0, &[Part::Read(DATA, 512)]).0, 0);
        assert_eq!(backend.flushes.load(Ordering::Relaxed), flushes);
        drop(d);
        assert!(backend.flushes.load(Ordering::Relaxed) > flushes, "the last flush");
    }
}

#[test]
fn a_read_only_disk_refuses_writes() {
    struct ReadOnly;
    impl BlockBackend for ReadOnly {
        fn size(&self) -> u64 {
            4096
        }
        fn read_only(&self) -> bool {
            true
        }
        fn read_at(&self, _: u64, buf: &mut [u8]) -> Result<(), BlockError> {
            buf.fill(3);
            Ok(())
        }
        fn write_at(&self, _: u64, _: &[u8]) -> Result<(), BlockError> {
            panic!("written");
        }
        fn flush(&self) -> Result<(), BlockError> {
            Ok(())
        }
        fn discard(&self, _: u64, _: u64) -> Result<(), BlockError> {
            panic!("discarded");
        }
        fn write_zeroes(&self, _: u64, _: u64, _: bool) -> Result<(), BlockError> {
            panic!("zeroed");
        }
        fn describe(&self) -> String {
            "read-only".into()
        }
    }
    let mut d = started(Transport::Mmio, Arc::new(ReadOnly), !0);
    assert_eq!(d.offered() & (1 << 5 | 1 << 13 | 1 << 14), 1 << 5);
    d.fill(DATA, &[0; 16]);
    for kind in [1, 11, 13] {
        assert_eq!(ask(&mut d, kind, 0, &[Part::Read(DATA, if kind == 1 { 512 } else { 16 })]).0, 1);
    }
    assert_eq!(ask(&mut d, 0, 0, &[Part::Write(DATA, 512)]).0, 0);
}

/// A disk whose reads wait for a gate.
struct Gated {
    open: Mutex<bool>,
    changed: Condvar,
    waiting: AtomicUsize,
}

impl BlockBackend for Gated {
    fn size(&self) -> u64 {
        1 << 20
    }
    fn read_only(&self) -> bool {
        false
    }
    fn read_at(&self, _: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut open = self.open.lock();
        while !*open {
            self.changed.wait(&mut open);
        }
        buf.fill(0x77);
        Ok(())
    }
    fn write_at(&self, _: u64, _: &[u8]) -> Result<(), BlockError> {
        Ok(())
    }
    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }
    fn discard(&self, _: u64, _: u64) -> Result<(), BlockError> {
        Ok(())
    }
    fn write_zeroes(&self, _: u64, _: u64, _: bool) -> Result<(), BlockError> {
        Ok(())
    }
    fn describe(&self) -> String {
        "gated".into()
    }
}

impl Gated {
    fn new() -> Arc<Gated> {
        Arc::new(Gated { open: Mutex::new(false), changed: Condvar::new(), waiting: AtomicUsize::new(0) })
    }
    fn set(&self) {
        *self.open.lock() = true;
        self.changed.notify_all();
    }
    fn wait_for_request(&self) {
        while self.waiting.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn completions_of_requests_from_before_a_reset_are_dropped() {
    for t in BOTH {
        let gate = Gated::new();
        let mut d = Driver::with(t, blk(gate.clone()), host_wiring());
        d.start(!0, 1);
        header(&d, 0, 0);
        d.add(0, &[Part::Read(HEADER, 16), Part::Write(DATA, 512), Part::Write(STATUS, 1)]);
        d.kick(0);
        gate.wait_for_request();
        d.start(!0, 1);
        gate.set();
        assert_eq!(ask(&mut d, 1, 0, &[Part::Read(DATA + 0x1000, 512)]).0, 0);
        assert_eq!(d.bytes(DATA, 512), vec![0; 512], "memory of the old driver stays as it is");
        assert!(d.used(0).is_empty());
    }
}

#[test]
fn requests_under_way_survive_save_and_restore() {
    for t in BOTH {
        let gate = Gated::new();
        let mut d = Driver::with(t, blk(gate.clone()), host_wiring());
        d.start(!0, 1);
        header(&d, 0, 0);
        let head = d.add(0, &[Part::Read(HEADER, 16), Part::Write(DATA, 512), Part::Write(STATUS, 1)]);
        d.kick(0);
        gate.wait_for_request();
        // Quiesce waits for the disk, not for the completion, which wants the lock that quiesce is called with.
        let saved = d
            .cell
            .with(|dev| {
                gate.set();
                dev.quiesce();
                dev.save()
            })
            .expect("not inside");
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(d.used(0).is_empty(), "memory stands still while quiesced");
        let ram = d.bytes(RAM, 0x5_0000);
        d.cell.with(|dev| dev.resume());
        assert_eq!(d.wait_used(0, 1), [(head as u32, 513)]);
        assert_eq!(d.bytes(DATA, 512), vec![0x77; 512]);

        // Another machine goes on from the saved state.
        let gate = Gated::new();
        gate.set();
        let mut e = Driver::with(t, blk(gate), host_wiring());
        e.fill(RAM, &ram);
        assert_eq!(e.cell.with(|dev| dev.restore(&saved)), Some(Ok(())));
        e.cell.with(|dev| dev.resume());
        assert_eq!(e.wait_used(0, 1), [(head as u32, 513)]);
        assert_eq!(e.bytes(DATA, 512), vec![0x77; 512]);
        assert!(e.irq());
        assert_eq!(e.status(), 15);
    }
}

#[test]
fn a_restored_device_goes_on_without_a_resume() {
    let mut d = started(Transport::Mmio, disk(), !0);
    d.wiring.inputs.set_queued(Arc::new(|| {}));
    header(&d, 0, 3);
    d.add(0, &[Part::Read(HEADER, 16), Part::Write(DATA, 512), Part::Write(STATUS, 1)]);
    d.kick(0);
    assert!(d.used(0).is_empty(), "the completion waits in the port");
    let saved = d.cell.with(|dev| dev.save()).expect("not inside");
    assert_eq!(d.cell.with(|dev| dev.restore(&saved)), Some(Ok(())));
    assert_eq!(d.wiring.inputs.drain(1), 1);
    assert!(d.used(0).is_empty(), "the old completion belongs to nobody");
    d.wiring.clock.ring_due();
    assert_eq!(d.wiring.inputs.drain(2), 1);
    assert_eq!(d.used(0), [(0, 513)]);
    assert_eq!(d.bytes(DATA, 1), [3]);
}

#[test]
fn states_of_other_disks_are_refused() {
    let d = started(Transport::Mmio, disk(), !0);
    let saved = d.cell.with(|dev| dev.save()).expect("not inside");
    let e = Driver::new(Transport::Mmio, blk(Arc::new(NullDisk::new(512))));
    let result = e.cell.with(|dev| dev.restore(&saved)).expect("not inside");
    assert!(result.is_err_and(|e| e.to_string().contains("bytes")));
    assert_eq!(e.status(), 0);
    assert_eq!(d.status() & 0x40, 0);
    assert_ne!(d.offered() & feature::ALL, 0);
}

#[test]
fn a_state_with_more_requests_than_the_queue_has_is_refused() {
    use super::request::{Kind, Request};
    use crate::irq::IrqLine;
    use crate::state::{Saved, StateError};
    use crate::virtio::device::VirtioDevice;
    use crate::virtio::interrupt::Interrupts;
    use crate::virtio::io::Io;
    let mut d = started(Transport::Mmio, disk(), 0);
    let head = d.add(0, &[Part::Read(BUF, 16), Part::Write(BUF + 64, 513)]);
    assert_eq!(head, 0);
    let mut io = Io::new(d.ram().clone(), &[256], Interrupts::new(IrqLine::unconnected(), None));
    let mut chain = {
        let mut q = crate::virtio::queue::VirtQueue::new(256);
        q.set_up.size = crate::virtio::testing::SIZE;
        (q.set_up.desc, q.set_up.driver, q.set_up.device) = Driver::rings_of(0);
        q.enable(d.ram(), false).expect("sound");
        q.pop(d.ram()).expect("sound").into_iter()
    };
    let chain = chain.next().expect("a request");
    let request = Request { chain, kind: Kind::Read, start: 0, total: 512, done: 0 };
    let state = |n: usize| Saved::pack("virtio-blk", 1, &(disk().size(), false, vec![request.clone(); n]));
    let mut device = *blk(disk());
    assert_eq!(device.restore(&state(256), &mut io), Ok(()));
    assert!(matches!(device.restore(&state(257), &mut io), Err(StateError::Damaged { .. })));
}
