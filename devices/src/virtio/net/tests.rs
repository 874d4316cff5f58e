//! The card as a driver sees it, over a network that keeps and gives what the test wants.

use super::*;
use crate::net::{NetBackend, NetMetrics};
use crate::virtio::testing::{BOTH, BUF, Driver, Part, Transport, host_wiring};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Default)]
struct Wire {
    sent: Vec<Vec<u8>>,
    waiting: VecDeque<Vec<u8>>,
    notify: Option<Arc<dyn Fn() + Send + Sync>>,
    quiet: bool,
}

#[derive(Clone, Default)]
struct TestNet(Arc<Mutex<Wire>>);

impl TestNet {
    fn give(&self, frame: Vec<u8>) {
        self.0.lock().waiting.push_back(frame);
        let notify = self.0.lock().notify.clone();
        notify.expect("the card listens")();
    }
}

impl NetBackend for TestNet {
    fn transmit(&mut self, frame: &[u8]) {
        self.0.lock().sent.push(frame.to_vec());
    }
    fn receive(&mut self, buf: &mut Vec<u8>) -> bool {
        let mut wire = self.0.lock();
        match wire.waiting.pop_front().filter(|_| !wire.quiet) {
            Some(frame) => {
                *buf = frame;
                true
            }
            None => false,
        }
    }
    fn set_notify(&mut self, notify: Box<dyn Fn() + Send + Sync>) {
        self.0.lock().notify = Some(notify.into());
    }
    fn quiesce(&mut self) {
        self.0.lock().quiet = true;
    }
    fn resume(&mut self) {
        self.0.lock().quiet = false;
    }
    fn metrics(&self) -> NetMetrics {
        NetMetrics { tx_frames: self.0.lock().sent.len() as u64, ..NetMetrics::default() }
    }
}

fn card(t: Transport, features: u64) -> (Driver, TestNet) {
    let net = TestNet::default();
    let device = Net::new(Box::new(net.clone()), NetOptions::default());
    let mut d = Driver::with(t, Box::new(device), host_wiring());
    d.start(features, 2);
    (d, net)
}

const MRG_RXBUF: u64 = 1 << 15;

#[test]
fn frames_go_both_ways() {
    for t in BOTH {
        let (mut d, net) = card(t, !MRG_RXBUF);
        assert_eq!((d.config(0, 4), d.config(4, 2), d.config(6, 2)), (0x1200_5452, 0x5634, 1));
        d.fill(BUF, &[0; 12]);
        d.fill(BUF + 12, b"a frame to the network");
        d.add(1, &[Part::Read(BUF, 12), Part::Read(BUF + 12, 22)]);
        d.kick(1);
        assert_eq!(net.0.lock().sent, [b"a frame to the network"]);
        assert_eq!((d.used(1), d.metric("tx_frames")), (vec![(0, 0)], 1));
        d.add(0, &[Part::Write(BUF + 0x100, 1526)]);
        d.kick(0);
        net.give(vec![0x33; 1514]);
        assert_eq!(d.wait_used(0, 1), [(0, 1526)]);
        let got = d.bytes(BUF + 0x100, 1526);
        assert_eq!(got[..12], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert!(got[12..].iter().all(|b| *b == 0x33));
        // No buffer: the frame waits. Too small a buffer: it is lost, and the next one is not.
        net.give(vec![0x44; 60]);
        net.give(vec![0x55; 20]);
        d.add(0, &[Part::Write(BUF + 0x1000, 40)]);
        while d.metric("rx_dropped") == 0 {
            d.kick(0);
        }
        assert_eq!(d.wait_used(0, 1), [(1, 32)]);
        assert_eq!(d.bytes(BUF + 0x100c, 20), [0x55; 20]);
    }
}

#[test]
fn a_frame_is_spread_over_merged_buffers() {
    let (mut d, net) = card(Transport::Pci, !0);
    d.add(0, &[Part::Write(BUF, 20)]);
    d.add(0, &[Part::Write(BUF + 0x100, 30)]);
    d.kick(0);
    net.give((0..100).collect());
    // Too few buffers: none is used until there are more.
    std::thread::sleep(std::time::Duration::from_millis(10));
    assert!(d.used(0).is_empty());
    d.add(0, &[Part::Write(BUF + 0x200, 1000)]);
    d.kick(0);
    assert_eq!(d.wait_used(0, 3), [(0, 20), (1, 30), (2, 62)]);
    assert_eq!(d.bytes(BUF + 10, 2), [3, 0]);
    assert_eq!((d.bytes(BUF + 12, 8), d.bytes(BUF + 0x100, 2)), ((0..8).collect(), vec![8, 9]));
    assert_eq!(d.bytes(BUF + 0x200, 62), (38..100).collect::<Vec<u8>>());
}

#[test]
fn frames_that_want_offloads_or_are_too_long_are_refused() {
    let (mut d, net) = card(Transport::Mmio, !0);
    for header in [[1, 0], [0, 1]] {
        d.fill(BUF, &header);
        d.add(1, &[Part::Read(BUF, 80)]);
        d.kick(1);
    }
    d.fill(BUF, &[0, 0]);
    d.add(1, &[Part::Read(BUF, 12)]);
    d.add(1, &[Part::Read(BUF, 0x1_8000)]);
    d.kick(1);
    assert_eq!((d.used(1).len(), d.metric("tx_rejected"), net.0.lock().sent.len()), (4, 4, 0));
    d.add(1, &[Part::Read(BUF, 11)]);
    d.kick(1);
    assert_eq!(d.status() & 0x40, 0x40, "no room for a header");
}

#[test]
fn a_guest_that_takes_nothing_holds_the_network_back() {
    let (mut d, net) = card(Transport::Mmio, !0);
    for n in 0..300u32 {
        net.give(n.to_le_bytes().to_vec());
    }
    while net.0.lock().waiting.len() > 44 {
        std::thread::yield_now();
    }
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(net.0.lock().waiting.len(), 44, "256 frames are under way");
    let mut seen = 0u32;
    while seen < 300 {
        for i in 0..8 {
            d.add(0, &[Part::Write(BUF + 0x100 * i, 64)]);
        }
        d.kick(0);
        let n = (300 - seen).min(8);
        d.wait_used(0, n as usize);
        for i in 0..n as u64 {
            assert_eq!(d.bytes(BUF + 0x100 * i + 12, 4), seen.to_le_bytes());
            seen += 1;
        }
        if n < 8 {
            break;
        }
    }
    assert_eq!(d.metric("rx_dropped"), 0);
}

#[test]
fn a_quiesced_card_is_quiet_and_forgets_nothing_it_agreed_to() {
    let (mut d, net) = card(Transport::Pci, !0);
    d.add(0, &[Part::Write(BUF, 20)]);
    d.add(0, &[Part::Write(BUF + 0x100, 100)]);
    d.kick(0);
    let saved = d.cell.with(|dev| {
        dev.quiesce();
        dev.save()
    });
    net.give(vec![6; 40]);
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert!(d.used(0).is_empty());
    assert_eq!(d.cell.with(|dev| dev.restore(&saved.expect("not inside"))), Some(Ok(())));
    d.cell.with(|dev| dev.resume());
    net.give(vec![7; 40]);
    assert_eq!(d.wait_used(0, 2), [(0, 20), (1, 32)], "still merging");
}
