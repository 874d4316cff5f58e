//! Entropy as a driver sees it.

use super::*;
use crate::virtio::testing::{BOTH, BUF, Driver, Part, Transport};
use std::io;
use std::sync::Arc;

fn rng(bytes: u64) -> Box<Rng> {
    let options = RngOptions { bytes, period_ns: 1000 };
    Box::new(Rng::new(Box::new(SeededEntropy::new(1)), options))
}

#[test]
fn bytes_come_through_the_port_and_not_too_fast() {
    for t in BOTH {
        let mut d = Driver::new(t, rng(100));
        d.start(!0, 1);
        d.add(0, &[Part::Write(BUF, 64)]);
        d.add(0, &[Part::Write(BUF + 64, 64)]);
        d.add(0, &[Part::Write(BUF + 128, 8)]);
        d.kick(0);
        assert_eq!(d.used(0), [(0, 64), (1, 36)], "a period's worth");
        assert_ne!(d.bytes(BUF, 32), d.bytes(BUF + 64, 32));
        d.wiring.clock.set_virtual(1000);
        d.wiring.clock.ring_due();
        assert_eq!(d.used(0), [(2, 8)]);
        assert_eq!((d.metric("bytes"), d.metric("throttled")), (108, 1));
    }
}

#[test]
fn answers_to_requests_from_before_a_reset_are_dropped() {
    let mut d = Driver::new(Transport::Mmio, rng(1000));
    d.wiring.inputs.set_queued(Arc::new(|| {}));
    d.start(!0, 1);
    d.add(0, &[Part::Write(BUF, 64)]);
    d.kick(0);
    d.start(!0, 1);
    d.add(0, &[Part::Write(BUF + 64, 16)]);
    d.kick(0);
    d.wiring.inputs.drain(1);
    assert_eq!(d.used(0), [(0, 16)]);
    assert_eq!(d.bytes(BUF, 64), [0; 64]);
}

#[test]
fn a_waiting_request_is_asked_again_after_a_restore() {
    let mut d = Driver::new(Transport::Pci, rng(1000));
    d.wiring.inputs.set_queued(Arc::new(|| {}));
    d.start(!0, 1);
    d.add(0, &[Part::Write(BUF, 64)]);
    d.kick(0);
    let saved = d.cell.with(|dev| dev.save()).expect("not inside");
    assert_eq!(d.cell.with(|dev| dev.restore(&saved)), Some(Ok(())));
    d.cell.with(|dev| dev.resume());
    assert_eq!(d.wiring.inputs.drain(1), 2);
    assert_eq!(d.used(0), [(0, 64)]);
}

#[test]
fn a_host_without_entropy_gives_an_empty_answer() {
    struct Dry;
    impl EntropySource for Dry {
        fn fill(&mut self, _: &mut [u8]) -> io::Result<()> {
            Err(io::ErrorKind::NotFound.into())
        }
    }
    let mut d = Driver::new(Transport::Mmio, Box::new(Rng::new(Box::new(Dry), RngOptions::default())));
    d.start(!0, 1);
    d.add(0, &[Part::Write(BUF, 64)]);
    d.kick(0);
    assert_eq!((d.used(0), d.metric("errors"), d.status()), (vec![(0, 0)], 1, 15));
}

#[test]
fn the_host_has_entropy() {
    let (mut a, mut b) = ([0; 64], [0; 64]);
    let mut host = HostEntropy::new();
    assert!(host.fill(&mut a).is_ok() && host.fill(&mut b).is_ok());
    assert_ne!(a, b);
}

#[test]
fn a_restored_request_without_room_does_not_block_the_queue() {
    let mut d = Driver::new(Transport::Mmio, rng(1000));
    d.wiring.inputs.set_queued(Arc::new(|| {}));
    d.start(!0, 1);
    d.add(0, &[Part::Read(BUF, 64)]);
    d.add(0, &[Part::Write(BUF, 64)]);
    d.kick(0);
    let saved = d.cell.with(|dev| dev.save()).expect("not inside");
    assert_eq!(d.cell.with(|dev| dev.restore(&saved)), Some(Ok(())));
    d.cell.with(|dev| dev.resume());
    while d.wiring.inputs.drain(1) > 0 {}
    assert_eq!(d.used(0), [(0, 0), (1, 64)]);
}

#[test]
fn requests_without_room_use_up_the_period() {
    let mut d = Driver::new(Transport::Mmio, rng(3));
    d.start(!0, 1);
    for _ in 0..5 {
        d.add(0, &[Part::Read(BUF, 64)]);
    }
    d.kick(0);
    assert_eq!(d.used(0).len(), 3);
}
