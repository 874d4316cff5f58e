//! Starting, pausing, resting and ending.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::guest::{Guest, HOST};
use crate::net::NetBackend;
use crate::net::user::{UserNet, UserNetConfig, UserNetError};

#[test]
fn rest_costs_nothing() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let mut guest = Guest::customary();
    guest.ping(HOST);
    guest.connected(HOST, port);
    guest.poll();
    std::thread::sleep(Duration::from_millis(300));
    let before = guest.card.0.turns();
    std::thread::sleep(Duration::from_millis(700));
    let turns = guest.card.0.turns() - before;
    assert!(turns <= 3, "{turns} turns without anything to do");
}

/// An ARP request of the guest for the gateway.
fn arp_request() -> Vec<u8> {
    let mut request = vec![0xff; 6];
    request.extend([0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    request.extend([0x52, 0x54, 0, 0x12, 0x34, 0x56, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2]);
    request
}

#[test]
fn a_late_listener_is_told_what_waits() {
    let mut net = UserNet::new(&UserNetConfig::default()).expect("a network");
    net.transmit(&arp_request());
    std::thread::sleep(Duration::from_millis(100));
    let (tell, told) = std::sync::mpsc::channel();
    net.set_notify(Box::new(move || tell.send(()).expect("a listener")));
    told.recv_timeout(Duration::from_secs(20)).expect("a call");
    assert!(net.receive(&mut Vec::new()));
}

#[test]
fn a_guest_that_fetches_nothing_stops_the_network_until_it_does() {
    let mut guest = Guest::customary();
    let port = 81;
    for _ in 0..40 {
        for _ in 0..50 {
            guest.card.0.transmit(&arp_request());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    // A connection too, whose timers would like to run.
    guest.connect(HOST, port);
    guest.card.0.transmit(&arp_request());
    std::thread::sleep(Duration::from_millis(300));
    let before = (guest.card.0.turns(), guest.metrics());
    assert!(before.1.tx_dropped > 0, "both queues are full");
    std::thread::sleep(Duration::from_millis(500));
    let turns = guest.card.0.turns() - before.0;
    assert!(turns <= 2, "{turns} turns with nowhere to go");
    guest.until("the backlog", |g| g.metrics().rx_frames >= 1000);
    guest.ping(HOST);
}

#[test]
fn a_paused_network_is_still() {
    let mut net = UserNet::new(&UserNetConfig::default()).expect("a network");
    let calls = Arc::new(AtomicU64::new(0));
    let counter = calls.clone();
    net.set_notify(Box::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    }));
    for _ in 0..100 {
        net.quiesce();
        net.resume();
    }
    net.quiesce();
    net.quiesce();
    net.transmit(&arp_request());
    std::thread::sleep(Duration::from_millis(100));
    let mut buf = Vec::new();
    assert!(!net.receive(&mut buf));
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    net.resume();
    for _ in 0..2000 {
        if net.receive(&mut buf) {
            assert_eq!(buf[20..22], [0, 2], "an ARP reply");
            assert_eq!(buf[6..12], [0x52, 0x55, 10, 0, 2, 2]);
            assert!(calls.load(Ordering::Relaxed) > 0);
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("no reply after the pause");
}

#[test]
fn it_can_end_while_paused_and_never_frees_a_port_late() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let at = taken.local_addr().expect("an address");
    let forward = format!("tcp:{at}-:22").parse().expect("a forward");
    let config = UserNetConfig { hostfwd: vec![forward], ..UserNetConfig::default() };
    match UserNet::new(&config) {
        Err(error @ UserNetError::Bind { .. }) => assert!(error.to_string().contains(&at.to_string())),
        _ => panic!("the port is taken"),
    }
    drop(taken);
    for _ in 0..5 {
        let mut net = UserNet::new(&config).expect("the port is free");
        net.quiesce();
        drop(net);
    }
    let wrong = UserNetConfig { max_flows: 0, ..UserNetConfig::default() };
    assert!(matches!(UserNet::new(&wrong), Err(UserNetError::Config(_))));
}
