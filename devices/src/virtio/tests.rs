//! The parts that all devices share, exercised over the entropy device: negotiation, rings, bad drivers, state.

use super::rng::{Rng, RngOptions, SeededEntropy};
use super::testing::{BOTH, BUF, Driver, Part, RAM, SIZE, Transport, on};
use super::*;
use crate::backend::chardev::{CharInput, NullSink, SharedSink};
use crate::block::MemDisk;
use crate::device::tests::torment;
use crate::net::NullNet;
use proptest::prelude::*;
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress};

fn rng() -> Box<dyn VirtioDevice> {
    Box::new(Rng::new(Box::new(SeededEntropy::new(7)), RngOptions::default()))
}

fn all() -> [fn() -> Box<dyn VirtioDevice>; 4] {
    [
        rng,
        || Box::new(blk::Blk::new(Arc::new(MemDisk::new(vec![1; 1 << 16])), blk::BlkOptions::default())),
        || Box::new(console::Console::new(SharedSink::new(Box::new(NullSink)), CharInput::default())),
        || Box::new(net::Net::new(Box::new(NullNet::new()), net::NetOptions::default())),
    ]
}

fn started(t: Transport, features: u64) -> Driver {
    let mut d = Driver::new(t, rng());
    d.start(features, 1);
    d
}

#[test]
fn features_must_be_a_subset_with_version_1() {
    for t in BOTH {
        let d = Driver::new(t, rng());
        assert_eq!(d.offered(), feature::ALL);
        for bad in [0, feature::EVENT_IDX, feature::VERSION_1 | 1, feature::VERSION_1 | 1 << 63] {
            d.set_status(0);
            d.set_status(3);
            d.accept(bad);
            d.set_status(11);
            assert_eq!(d.status(), 3, "{bad:#x}");
        }
        d.accept(feature::VERSION_1);
        d.set_status(11);
        assert_eq!(d.status(), 11);
        d.accept(!0);
        d.set_status(15);
        assert_eq!(d.status(), 15, "features are settled");
        d.set_status(1);
        assert_eq!(d.status(), 15, "bits do not go away one by one");
    }
}

#[test]
fn an_empty_slot_has_device_id_0() {
    let slot = crate::device::tests::Bench::new(Box::new(mmio::Mmio::new(None)), 1);
    assert_eq!((slot.read(0, 4), slot.read(4, 4), slot.read(8, 4)), (0x7472_6976, 2, 0));
    slot.write(0x70, 4, 15);
    slot.write(0x100, 8, 1);
    assert_eq!((slot.read(0x70, 4), slot.read(0x100, 8), slot.read(1, 1)), (0, 0, 0));
}

#[test]
fn indirect_and_direct_requests_in_one_ring() {
    for t in BOTH {
        let mut d = started(t, !0);
        d.add_indirect(0, BUF + 0x1000, &[Part::Write(BUF, 3), Part::Write(BUF + 0x10, 5)]);
        d.add(0, &[Part::Write(BUF + 0x20, 1), Part::Write(BUF + 0x30, 6)]);
        d.kick(0);
        assert_eq!(d.used(0), [(0, 8), (1, 7)]);
        assert!(d.bytes(BUF, 0x36).iter().filter(|b| **b != 0).count() > 5);
    }
}

#[test]
fn rings_wrap() {
    let mut d = started(Transport::Pci, !0);
    for n in 0..70_000u32 {
        let head = d.add(0, &[Part::Write(BUF, 1)]);
        d.kick(0);
        assert_eq!(d.used(0), [(head as u32, 1)], "{n}");
        d.wiring.clock.set_virtual(u64::from(n) * 1_000_000);
        d.wiring.clock.ring_due();
    }
}

#[test]
fn event_idx_suppresses_interrupts_until_asked_for() {
    let mut d = started(Transport::Mmio, feature::EVENT_IDX);
    let (_, avail, used) = Driver::rings_of(0);
    let used_event = GuestAddress(avail + 4 + 2 * SIZE as u64);
    d.ram().write_obj(2u16, used_event).expect("RAM");
    let mut raised = Vec::new();
    for _ in 0..4 {
        d.add(0, &[Part::Write(BUF, 1)]);
        d.kick(0);
        raised.push(d.irq());
        d.ack();
    }
    assert_eq!(raised, [false, false, true, false]);
    let avail_event: u16 = d.ram().read_obj(GuestAddress(used + 4 + 8 * SIZE as u64)).expect("RAM");
    assert_eq!(avail_event, 4, "the device wants to hear of the next one");
    // Without it, the flag in the available ring does the same.
    let mut d = started(Transport::Mmio, !feature::EVENT_IDX);
    for (flag, level) in [(1u16, false), (0, true)] {
        d.ram().write_obj(flag, GuestAddress(avail)).expect("RAM");
        d.add(0, &[Part::Write(BUF, 1)]);
        d.kick(0);
        assert_eq!(d.irq(), level);
    }
}

#[test]
fn bad_queues_are_refused_when_they_are_enabled() {
    let good = Driver::rings_of(0);
    let bad = [
        (0, good),
        (3, good),
        (512, good),
        (SIZE, (good.0 + 8, good.1, good.2)),
        (SIZE, (good.0, good.1 + 1, good.2)),
        (SIZE, (good.0, good.1, good.2 + 2)),
        (SIZE, (0x1000, good.1, good.2)),
        (SIZE, (good.0, RAM + 0x10_0000 - 8, good.2)),
        (SIZE, (good.0, good.1, !3)),
    ];
    for t in BOTH {
        for (size, rings) in bad {
            let d = Driver::new(t, rng());
            d.set_status(3);
            d.accept(feature::VERSION_1);
            d.set_status(11);
            d.set_up(0, size, rings);
            assert!(!d.enabled(0), "{size} {rings:x?}");
            assert_eq!(d.status() & status::NEEDS_RESET, status::NEEDS_RESET);
            d.kick(0);
            d.set_status(0);
            assert_eq!(d.status(), 0);
        }
        // A queue that is not there.
        let d = Driver::new(t, rng());
        d.set_up(9, SIZE, good);
        assert!(!d.enabled(9));
        d.kick(9);
        d.kick(1000);
        assert_eq!(d.status(), 0);
    }
}

#[test]
fn an_enabled_queue_does_not_change() {
    for t in BOTH {
        let mut d = started(t, !0);
        d.set_up(0, 4, (BUF, BUF, BUF));
        d.accept(0);
        d.add(0, &[Part::Write(BUF, 9)]);
        d.kick(0);
        assert_eq!(d.used(0), [(0, 9)]);
    }
}

#[test]
fn broken_chains_stop_the_device() {
    let table = BUF + 0x2000;
    let desc = Driver::rings_of(0).0;
    type Break = fn(&mut Driver, u64, u64);
    let breaks: [(&str, Break); 11] = [
        ("loop", |d, desc, _| d.put_desc(desc, BUF, 4, 3, 0)),
        ("long loop", |d, desc, _| {
            d.put_desc(desc, BUF, 4, 3, 1);
            d.put_desc(desc + 16, BUF, 4, 3, 0);
        }),
        ("next out of range", |d, desc, _| d.put_desc(desc, BUF, 4, 3, SIZE)),
        ("outside of RAM", |d, desc, _| d.put_desc(desc, 0x1000, 4, 2, 0)),
        ("across the end of RAM", |d, desc, _| d.put_desc(desc, RAM + 0x10_0000 - 4, 8, 2, 0)),
        ("around the address space", |d, desc, _| d.put_desc(desc, u64::MAX - 4, 8, 2, 0)),
        ("read after write", |d, desc, _| {
            d.put_desc(desc, BUF, 4, 3, 1);
            d.put_desc(desc + 16, BUF, 4, 0, 0);
        }),
        ("indirect outside of RAM", |d, desc, _| d.put_desc(desc, 0x10, 16, 4, 0)),
        ("indirect of odd length", |d, desc, table| d.put_desc(desc, table, 17, 4, 0)),
        ("indirect in indirect", |d, desc, table| {
            d.put_desc(desc, table, 16, 4, 0);
            d.put_desc(table, table, 16, 4, 0);
        }),
        ("indirect that loops", |d, desc, table| {
            d.put_desc(desc, table, 32, 4, 0);
            d.put_desc(table, BUF, 4, 3, 1);
            d.put_desc(table + 16, BUF, 4, 3, 0);
        }),
    ];
    for (name, put) in breaks {
        let mut d = started(Transport::Mmio, !0);
        put(&mut d, desc, table);
        d.offer(0, 0);
        d.kick(0);
        assert_eq!(d.status() & status::NEEDS_RESET, status::NEEDS_RESET, "{name}");
        assert_eq!(d.ack(), 2, "{name}");
        assert_eq!(d.metric("driver_errors"), 1);
        d.kick(0);
        assert!(d.used(0).is_empty(), "{name}");
        d.start(!0, 1);
        d.add(0, &[Part::Write(BUF, 4)]);
        d.kick(0);
        assert_eq!(d.used(0), [(0, 4)], "after a reset: {name}");
    }
}

#[test]
fn a_wild_available_index_stops_the_device() {
    let mut d = started(Transport::Pci, !0);
    let (_, avail, _) = Driver::rings_of(0);
    d.ram().write_obj(SIZE + 1, GuestAddress(avail + 2)).expect("RAM");
    d.kick(0);
    assert_eq!(d.status() & status::NEEDS_RESET, status::NEEDS_RESET);
    d.start(!0, 1);
    d.offer(0, 0x7fff);
    d.kick(0);
    assert_eq!(d.status() & status::NEEDS_RESET, status::NEEDS_RESET, "a head beyond the queue");
}

#[test]
fn kicks_before_the_driver_is_ready_wait() {
    let mut d = Driver::new(Transport::Mmio, rng());
    d.set_status(3);
    d.accept(feature::VERSION_1);
    d.set_status(11);
    d.set_up(0, SIZE, Driver::rings_of(0));
    d.add(0, &[Part::Write(BUF, 4)]);
    d.kick(0);
    assert!(d.used(0).is_empty());
    d.set_status(15);
    assert_eq!(d.used(0), [(0, 4)]);
}

#[test]
fn state_comes_back_in_another_machine() {
    for make in all() {
        for t in BOTH {
            let mut d = Driver::new(t, make());
            let queues = make().queues().len();
            d.start(!0, queues);
            let saved = d.cell.with(|dev| dev.save()).expect("not inside");
            let ram = d.bytes(RAM, 0x4_0000);
            let e = Driver::new(t, make());
            e.fill(RAM, &ram);
            assert_eq!(e.cell.with(|dev| dev.restore(&saved)), Some(Ok(())));
            assert_eq!(e.status(), 15);
            assert!((0..queues).all(|n| e.enabled(n)));
            assert_eq!(e.cell.with(|dev| dev.save()), Some(saved.clone()));
            // On the other transport, and cut off anywhere, it is refused.
            let other = if t == Transport::Mmio { Transport::Pci } else { Transport::Mmio };
            let f = Driver::new(other, make());
            assert!(f.cell.with(|dev| dev.restore(&saved)).is_some_and(|r| r.is_err()));
            for len in 0..saved.data.len() {
                let cut = crate::state::Saved { data: saved.data[..len].to_vec(), ..saved.clone() };
                assert!(e.cell.with(|dev| dev.restore(&cut)).is_some_and(|r| r.is_err()), "{len}");
                e.map();
                assert_eq!(e.status(), 0);
            }
        }
    }
}

#[test]
fn random_accesses_to_a_slot_do_no_harm() {
    for make in all() {
        torment(|| on(Transport::Mmio, make()), mmio::SIZE);
    }
}

/// What a driver may do to rings.
#[derive(Clone, Debug)]
enum Poke {
    /// Descriptor index, then its fields.
    Desc(u16, u64, u32, u16, u16),
    /// Index in the available ring, head.
    Avail(u16, u16),
    AvailIndex(u16),
    Event(u16),
    Kick(usize),
    Register(u64, u64),
    Restart,
    Drain,
}

fn poke() -> impl Strategy<Value = Poke> {
    let addr = prop_oneof![
        4 => BUF..BUF + 0x1000,
        2 => RAM..RAM + 0x4000,
        1 => Just(RAM + 0x10_0000 - 16),
        1 => any::<u64>()
    ];
    let len = prop_oneof![4 => 0..600u32, 1 => any::<u32>(), 1 => Just(16), 1 => Just(512)];
    prop_oneof![
        6 => (0..SIZE, addr, len, 0..8u16, 0..SIZE + 2).prop_map(|(i, a, l, f, n)| Poke::Desc(i, a, l, f, n)),
        4 => (0..SIZE, 0..SIZE + 2).prop_map(|(i, h)| Poke::Avail(i, h)),
        3 => prop_oneof![0..SIZE * 2, any::<u16>()].prop_map(Poke::AvailIndex),
        1 => any::<u16>().prop_map(Poke::Event),
        4 => (0..3usize).prop_map(Poke::Kick),
        1 => (0..0x100u64, any::<u32>()).prop_map(|(o, v)| Poke::Register(o & !3, v as u64)),
        1 => Just(Poke::Restart),
        1 => Just(Poke::Drain),
    ]
}

fn do_poke(d: &mut Driver, queues: usize, queue: usize, p: &Poke) {
    let (desc, avail, _) = Driver::rings_of(queue);
    match *p {
        Poke::Desc(i, a, l, f, n) => d.put_desc(desc + 16 * i as u64, a, l, f, n),
        Poke::Avail(i, h) => d.fill(avail + 4 + 2 * i as u64, &h.to_le_bytes()),
        Poke::AvailIndex(n) => d.fill(avail + 2, &n.to_le_bytes()),
        Poke::Event(n) => d.fill(avail + 4 + 2 * SIZE as u64, &n.to_le_bytes()),
        Poke::Kick(n) => d.kick(n),
        Poke::Register(o, v) if d.transport == Transport::Mmio => d.write(o, 4, v),
        Poke::Register(o, v) => d.write(0x4_0000_0000 + (o & 0x3f), 4, v),
        Poke::Restart => d.start(!0, queues),
        Poke::Drain => {
            let now = d.wiring.clock.now_ns() + 1_000_000_000;
            d.wiring.clock.set_virtual(now);
            d.wiring.clock.ring_due();
            d.wiring.inputs.drain(1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    /// Whatever is in the rings, the device neither panics nor hangs, and a reset makes it work again.
    #[test]
    fn random_rings_do_no_harm(
        pokes in proptest::collection::vec((0..2usize, poke()), 1..80),
        kind in 0..4usize,
        pci: bool,
    ) {
        let make = all()[kind];
        let queues = make().queues().len();
        let mut d = Driver::new(if pci { Transport::Pci } else { Transport::Mmio }, make());
        d.start(!0, queues);
        for (queue, p) in &pokes {
            do_poke(&mut d, queues, queue % queues, p);
        }
        d.start(!0, queues);
        prop_assert!((0..queues).all(|n| d.enabled(n)));
    }
}
