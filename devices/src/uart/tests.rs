use super::*;
use crate::backend::chardev::ByteRing;
use crate::device::tests::{Bench, torment};

struct Rig {
    bench: Bench,
    ring: ByteRing,
    typed: CharInput,
}

fn rig() -> Rig {
    let ring = ByteRing::new(1024);
    let typed = CharInput::default();
    let uart = Uart::new(SharedSink::new(Box::new(ring.clone())), typed.clone());
    Rig { bench: Bench::new(Box::new(uart), 1), ring, typed }
}

impl Rig {
    fn get(&self, offset: u64) -> u64 {
        self.bench.read(offset, 1)
    }
    fn set(&self, offset: u64, value: u64) {
        self.bench.write(offset, 1, value);
    }
    fn irq(&self) -> bool {
        self.bench.irq(0)
    }
}

#[test]
fn output_goes_to_the_sink_and_the_transmitter_is_ready() {
    let r = rig();
    for b in b"hello" {
        assert_eq!(r.get(5) & 0x60, 0x60);
        r.set(0, *b as u64);
    }
    assert_eq!(r.ring.take(), b"hello");
}

#[test]
fn transmitter_interrupt_is_one_event() {
    let r = rig();
    r.set(1, 2);
    assert!(r.irq());
    assert_eq!(r.get(2), 2);
    assert!(!r.irq());
    assert_eq!(r.get(2), 1);
    r.set(0, b'x' as u64);
    assert!(r.irq());
    r.set(1, 0);
    assert!(!r.irq());
}

#[test]
fn received_bytes_come_through_the_fifo_in_order() {
    let r = rig();
    r.set(2, 1);
    r.set(1, 1);
    let text: Vec<u8> = (0..100).collect();
    assert!(r.typed.send(&text));
    assert!(r.irq());
    assert_eq!(r.get(2), 0xc4);
    let got: Vec<u8> = (0..100).map(|_| r.get(0) as u8).collect();
    assert_eq!(got, text);
    assert!(!r.irq());
    assert_eq!(r.get(5) & 1, 0);
}

#[test]
fn bytes_below_the_trigger_level_time_out() {
    let r = rig();
    r.set(2, 0xc1);
    r.set(1, 1);
    r.typed.send(b"abc");
    assert!(!r.irq());
    assert_eq!(r.get(5) & 1, 1);
    r.bench.pass(100_000_000);
    assert!(r.irq());
    assert_eq!(r.get(2), 0xcc);
    assert_eq!(r.get(0), b'a' as u64);
    assert!(!r.irq());
    r.bench.pass(100_000_000);
    assert_eq!(r.get(2), 0xcc);
    r.typed.send(&[b'x'; 12]);
    assert_eq!(r.get(2), 0xc4);
}

#[test]
fn loopback_returns_bytes_and_modem_lines() {
    let r = rig();
    r.get(6);
    r.set(4, 0x1a);
    assert_eq!(r.get(6) & 0xf0, 0x90);
    r.set(0, 0x55);
    assert_eq!(r.get(0), 0x55);
    assert!(r.ring.take().is_empty());
    r.set(0, 1);
    r.set(0, 2);
    assert_eq!(r.get(5) & 3, 3);
    assert_eq!(r.get(5) & 3, 1);
    r.set(1, 8);
    r.set(4, 0x14);
    assert!(r.irq());
    r.get(6);
    r.set(4, 0x10);
    assert_eq!(r.get(6) & 0x0f, 4);
}

#[test]
fn divisor_and_scratch_are_kept() {
    let r = rig();
    r.set(3, 0x83);
    r.set(0, 0x34);
    r.set(1, 0x12);
    assert_eq!((r.get(0), r.get(1)), (0x34, 0x12));
    r.set(3, 3);
    r.set(7, 0xa5);
    assert_eq!((r.get(1), r.get(7), r.get(3)), (0, 0xa5, 3));
    assert_eq!(r.bench.cell.read(8, 1), Err(BusFault));
}

#[test]
fn a_break_is_a_line_interrupt() {
    let r = rig();
    r.set(1, 4);
    r.bench.cell.with(|d| d.input(0, InputEvent::Signal(SIGNAL_BREAK)));
    assert_eq!(r.get(2), 6);
    assert_eq!(r.get(5) & 0x11, 0x11);
    assert!(!r.irq());
}

#[test]
fn state_survives() {
    let r = rig();
    r.set(2, 0xc1);
    r.set(1, 1);
    r.typed.send(b"abc");
    let saved = r.bench.cell.with(|d| d.save()).expect("save");
    let q = rig();
    assert_eq!(q.bench.cell.with(|d| d.restore(&saved)), Some(Ok(())));
    q.bench.pass(100_000_000);
    assert!(q.irq());
    assert_eq!(q.get(0), b'a' as u64);
    q.bench.cell.with(|d| d.reset());
    assert!(!q.irq());
}

#[test]
fn firmware_console_shares_the_input() {
    let r = rig();
    r.typed.send(b"xyz");
    let mut buf = [0; 2];
    let n = r.bench.cell.with_as(|u: &mut Uart| u.take_received(&mut buf));
    assert_eq!((n, &buf), (Some(2), b"xy"));
    assert_eq!(r.get(0), b'z' as u64);
}

#[test]
fn anything_goes() {
    torment(
        || Box::new(Uart::new(SharedSink::new(Box::new(ByteRing::new(16))), CharInput::default())),
        0x100,
    );
}
