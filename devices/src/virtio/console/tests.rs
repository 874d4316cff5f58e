//! The console as a driver sees it.

use super::*;
use crate::backend::chardev::{ByteRing, CharInput, SharedSink};
use crate::virtio::testing::{BOTH, BUF, Driver, Part, Transport};
use engine::exec::inputs::InputEvent;

fn console() -> (Box<Console>, ByteRing, CharInput) {
    let (ring, input) = (ByteRing::new(1 << 20), CharInput::default());
    (Box::new(Console::new(SharedSink::new(Box::new(ring.clone())), input.clone())), ring, input)
}

#[test]
fn both_directions() {
    for t in BOTH {
        let (device, ring, input) = console();
        let mut d = Driver::new(t, device);
        assert!(input.send(b"typed "), "before there is a driver");
        d.start(!0, 2);
        d.fill(BUF, b"hello, world");
        d.add(1, &[Part::Read(BUF, 5), Part::Read(BUF + 5, 7)]);
        d.kick(1);
        assert_eq!(ring.take(), b"hello, world");
        assert_eq!(d.used(1), [(0, 0)]);
        assert!(d.irq());
        d.ack();
        d.add(0, &[Part::Write(BUF + 0x100, 4)]);
        d.add(0, &[Part::Write(BUF + 0x200, 100)]);
        d.kick(0);
        assert!(input.send(b"early"));
        assert_eq!(d.used(0), [(0, 4), (1, 2)]);
        assert_eq!((d.bytes(BUF + 0x100, 4), d.bytes(BUF + 0x200, 2)), (b"type".to_vec(), b"d ".to_vec()));
        d.add(0, &[Part::Write(BUF + 0x100, 10)]);
        d.kick(0);
        assert_eq!((d.used(0), d.bytes(BUF + 0x100, 5)), (vec![(2, 5)], b"early".to_vec()));
        assert_eq!((d.metric("tx_bytes"), d.metric("rx_bytes")), (12, 11));
    }
}

#[test]
fn emergency_output_and_sizes() {
    let (device, ring, input) = console();
    let mut d = Driver::new(Transport::Pci, device);
    d.write_config(8, 4, b'!' as u64);
    assert_eq!(ring.take(), b"!");
    assert_eq!(d.config(0, 4), 25 << 16 | 80);
    d.start(!0, 2);
    let source = input.source().expect("connected");
    d.wiring.inputs.push(source, InputEvent::Signal(132 << 16 | 43));
    assert_eq!((d.config(0, 2), d.config(2, 2)), (132, 43));
    assert_eq!(d.ack(), 2);
}

#[test]
fn what_was_typed_is_bounded_and_saved() {
    let (device, _, input) = console();
    let mut d = Driver::new(Transport::Mmio, device);
    d.start(!0, 2);
    assert!(input.send(&[b'x'; 100_000]));
    assert_eq!(d.metric("rx_dropped"), 100_000 - 65536);
    let saved = d.cell.with(|dev| dev.save()).expect("not inside");
    let ram = d.bytes(crate::virtio::testing::RAM, 0x1_0000);
    let (device, _, _) = console();
    let mut e = Driver::new(Transport::Mmio, device);
    e.fill(crate::virtio::testing::RAM, &ram);
    assert_eq!(e.cell.with(|dev| dev.restore(&saved)), Some(Ok(())));
    e.add(0, &[Part::Write(BUF, 50)]);
    e.kick(0);
    assert_eq!((e.used(0), e.bytes(BUF, 50)), (vec![(0, 50)], vec![b'x'; 50]));
}

#[test]
fn a_ring_that_is_refilled_as_fast_as_it_is_emptied_lets_its_hart_go() {
    use crate::device::tests::Bench;
    use crate::virtio::mmio::Mmio;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU16, Ordering};
    use vm_memory::{Bytes, GuestAddress};
    const REQUESTS: u16 = 5000;
    for t in BOTH {
        let wiring = Bench::new(Box::new(Mmio::new(None)), 0).wiring;
        let (ram, done) = (wiring.memory.ram().clone(), Arc::new(AtomicU16::new(0)));
        let n = done.clone();
        let (_, avail, _) = Driver::rings_of(1);
        // Stands for another hart: makes the next request available while the device is at this one.
        let refill = move |_: &[u8]| {
            let count = n.fetch_add(1, Ordering::Relaxed) + 1;
            ram.write_obj((count + 1).min(REQUESTS), GuestAddress(avail + 2)).expect("ring");
        };
        let console = Console::new(SharedSink::new(Box::new(refill)), CharInput::default());
        let mut d = Driver::with(t, Box::new(console), wiring);
        d.start(0, 2);
        d.add(1, &[Part::Read(BUF, 1)]);
        d.kick(1);
        let first = done.load(Ordering::Relaxed);
        assert!((1..REQUESTS).contains(&first), "{first} requests in one go");
        for _ in 0..10 {
            d.wiring.clock.set_virtual(d.wiring.clock.now_ns() + 1000);
            d.wiring.clock.ring_due();
        }
        assert_eq!((done.load(Ordering::Relaxed), d.status()), (REQUESTS, 15));
    }
}
