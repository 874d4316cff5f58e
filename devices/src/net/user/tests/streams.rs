//! TCP, both ways.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use smoltcp::socket::tcp::State;

use super::guest::{Guest, HOST, noise};
use crate::net::NetBackend;
use crate::net::user::{HostForward, UserNetConfig};

/// A server on the loopback which serves one connection.
fn serve<T: Send + 'static>(f: impl FnOnce(TcpStream) -> T + Send + 'static) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    (port, spawn(move || f(listener.accept().expect("a client").0)))
}

fn forwarding(text: &str) -> UserNetConfig {
    let hostfwd = vec![text.parse::<HostForward>().expect("a forward")];
    UserNetConfig { hostfwd, ..UserNetConfig::default() }
}

#[test]
fn a_mebibyte_there_and_back() {
    let (port, server) = serve(|mut stream| {
        let (mut buf, mut total) = (vec![0; 10_000], 0);
        loop {
            let n = stream.read(&mut buf).expect("data");
            if n == 0 {
                return total;
            }
            total += n;
            stream.write_all(&buf[..n]).expect("room");
        }
    });
    let mut guest = Guest::customary();
    let handle = guest.connected(HOST, port);
    let data = noise(1 << 20);
    let (mut sent, mut back) = (0, Vec::new());
    guest.until("the echo", |g| {
        let socket = g.tcp(handle);
        if sent < data.len() {
            sent += socket.send_slice(&data[sent..]).expect("an open connection");
        } else {
            socket.close();
        }
        while socket.can_recv() {
            socket.recv(|part| (part.len(), back.extend_from_slice(part))).expect("data");
        }
        back.len() >= data.len()
    });
    assert!(back == data, "what came back differs");
    assert_eq!(server.join().expect("no panic"), data.len());
    guest.until("the end", |g| g.metrics().tcp_flows == 0);
    assert_eq!(guest.metrics().stack_faults, 0);
}

#[test]
fn refusal_reaches_the_guest_at_once() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let mut guest = Guest::customary();
    for (addr, port) in [(HOST, port), (Ipv4Addr::new(10, 0, 2, 77), 80), (Ipv4Addr::LOCALHOST, port)] {
        let handle = guest.connect(addr, port);
        let mut seen = false;
        guest.until("the refusal", |g| {
            let state = g.tcp(handle).state();
            seen |= matches!(state, State::Established);
            state == State::Closed
        });
        assert!(!seen, "a refused connection was never open");
    }
    assert_eq!(guest.metrics().refused, 3);
    guest.until("the end", |g| g.metrics().tcp_flows == 0);
}

#[test]
fn guest_ends_first() {
    let (port, server) = serve(|mut stream| {
        let mut question = Vec::new();
        stream.read_to_end(&mut question).expect("a question");
        stream.write_all(b"answer").expect("room");
        question
    });
    let mut guest = Guest::customary();
    let handle = guest.connected(HOST, port);
    guest.write_all(handle, b"question");
    guest.tcp(handle).close();
    assert_eq!(guest.read_to_end(handle), b"answer");
    assert_eq!(server.join().expect("no panic"), b"question");
    guest.until("the end", |g| g.metrics().tcp_flows == 0);
}

#[test]
fn host_ends_first() {
    let (port, server) = serve(|mut stream| {
        stream.write_all(b"hello").expect("room");
        stream.shutdown(Shutdown::Write).expect("open");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("the rest");
        rest
    });
    let mut guest = Guest::customary();
    let handle = guest.connected(HOST, port);
    assert_eq!(guest.read_to_end(handle), b"hello");
    let data = noise(300_000);
    guest.write_all(handle, &data);
    guest.tcp(handle).close();
    guest.until("the end", |g| g.metrics().tcp_flows == 0);
    assert!(server.join().expect("no panic") == data);
}

#[test]
fn resets_pass_both_ways() {
    let (port, server) = serve(|mut stream| {
        let error = stream.read(&mut [0; 10]).expect_err("a reset");
        error.kind()
    });
    let mut guest = Guest::customary();
    let handle = guest.connected(HOST, port);
    guest.tcp(handle).abort();
    guest.until("the end", |g| g.metrics().tcp_flows == 0 && g.metrics().tx_frames > 3);
    assert_eq!(server.join().expect("no panic"), std::io::ErrorKind::ConnectionReset);

    // The reset must not overtake the connection, or it would count as a refusal.
    let (port, server) = serve(|mut stream| {
        stream.read_exact(&mut [0]).expect("a byte");
        super::super::relay::reset_stream(&stream);
    });
    let handle = guest.connected(HOST, port);
    guest.write_all(handle, b"!");
    guest.until("the reset", |g| g.tcp(handle).state() == State::Closed);
    server.join().expect("no panic");
    guest.until("the end", |g| g.metrics().tcp_flows == 0);
}

#[test]
fn a_deaf_host_stops_the_guest_and_costs_nothing() {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let (port, server) = serve(move |mut stream| {
        told.recv().expect("leave to read");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("data");
        all.len()
    });
    let mut guest = Guest::customary();
    let handle = guest.connected(HOST, port);
    let data = noise(64 * 1024);
    let (mut sent, mut quiet) = (0usize, 0);
    guest.until("stop", |g| {
        let n = g.tcp(handle).send_slice(&data).expect("an open connection");
        sent += n;
        quiet = if n == 0 { quiet + 1 } else { 0 };
        quiet > 100
    });
    // Keep-alives and window probes aside, a stopped connection makes no work.
    let before = guest.card.0.turns();
    std::thread::sleep(Duration::from_millis(500));
    assert!(guest.card.0.turns() - before < 50, "busy while stopped");
    tell.send(()).expect("a listener");
    guest.tcp(handle).close();
    guest.until("the end", |g| g.metrics().tcp_flows == 0);
    assert_eq!(server.join().expect("no panic"), sent);
}

#[test]
fn a_deaf_guest_stops_the_host() {
    let (port, server) = serve(|mut stream| {
        stream.set_nonblocking(true).expect("a socket");
        let (part, mut total, mut quiet) = (vec![7; 65_536], 0usize, 0);
        while quiet < 300 {
            match stream.write(&part) {
                Ok(n) => (total, quiet) = (total + n, 0),
                Err(_) => quiet += 1,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        total
    });
    let mut guest = Guest::customary();
    let handle = guest.connected(HOST, port);
    // The guest's card fetches, its program does not read.
    let mut done = false;
    guest.until("stop", |_| {
        done |= server.is_finished();
        done
    });
    let before = guest.card.0.turns();
    std::thread::sleep(Duration::from_millis(300));
    assert!(guest.card.0.turns() - before < 50, "busy while stopped");
    let total = server.join().expect("no panic");
    assert_eq!(guest.read_to_end(handle).len(), total);
}

#[test]
fn many_short_connections_leave_nothing_behind() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let server = spawn(move || {
        for _ in 0..200 {
            let (mut stream, _) = listener.accept().expect("a client");
            stream.write_all(b"bye").expect("room");
        }
    });
    let mut guest = Guest::new(&UserNetConfig { max_flows: 16, ..UserNetConfig::default() });
    for _ in 0..200 {
        let handle = guest.connected(HOST, port);
        assert_eq!(guest.read_to_end(handle), b"bye");
        guest.tcp(handle).close();
        guest.until("the end", |g| g.metrics().tcp_flows == 0);
        guest.sockets.remove(handle);
    }
    server.join().expect("no panic");
    assert_eq!(guest.metrics().refused, 0);
}

#[test]
fn a_guest_that_fetches_nothing_costs_nothing() {
    let (port, server) = serve(|mut stream| {
        let _ = stream.write_all(&noise(1 << 20));
    });
    let mut guest = Guest::customary();
    let handle = guest.connected(HOST, port);
    // Neither the card nor the program of the guest moves; the queue fills with repeats at most.
    std::thread::sleep(Duration::from_millis(300));
    let before = guest.card.0.turns();
    std::thread::sleep(Duration::from_millis(500));
    assert!(guest.card.0.turns() - before < 50, "busy while stopped");
    assert_eq!(guest.read_to_end(handle), noise(1 << 20));
    server.join().expect("no panic");
}

#[test]
fn the_number_of_flows_is_bounded() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let mut guest = Guest::new(&UserNetConfig { max_flows: 4, ..UserNetConfig::default() });
    let open: Vec<_> = (0..4).map(|_| guest.connected(HOST, port)).collect();
    guest.until("the count", |g| g.metrics().tcp_flows == 4);
    let fifth = guest.connect(HOST, port);
    guest.until("the refusal", |g| g.tcp(fifth).state() == State::Closed);
    assert_eq!(guest.metrics().refused, 1);
    guest.tcp(open[0]).abort();
    guest.until("room", |g| g.metrics().tcp_flows == 3);
    guest.connected(HOST, port);
}

#[test]
fn a_forward_leads_into_the_guest() {
    let mut guest = Guest::new(&forwarding("tcp::0-:2222"));
    let (_, at) = guest.card.0.forwards()[0];
    assert!(at.ip().is_loopback(), "without an address, loopback only");
    let handle = guest.listen(2222);
    let client = spawn(move || {
        let mut stream = TcpStream::connect(at).expect("the forward");
        stream.write_all(b"from outside").expect("room");
        stream.shutdown(Shutdown::Write).expect("open");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        answer
    });
    assert_eq!(guest.read_to_end(handle), b"from outside");
    assert_eq!(guest.tcp(handle).remote_endpoint().map(|e| e.addr), Some(HOST.into()));
    let data = noise(200_000);
    guest.write_all(handle, &data);
    guest.tcp(handle).close();
    guest.until("the end", |g| g.metrics().tcp_flows == 0);
    assert!(client.join().expect("no panic") == data);
}

#[test]
fn a_forward_to_a_closed_port_is_reset() {
    let mut guest = Guest::new(&forwarding("tcp:127.0.0.1:0-10.0.2.15:81"));
    let (_, at) = guest.card.0.forwards()[0];
    let client = spawn(move || {
        let mut stream = TcpStream::connect(at).expect("the forward");
        stream.read(&mut [0; 1]).map_err(|e| e.kind())
    });
    guest.until("the reset", |_| client.is_finished());
    assert_eq!(client.join().expect("no panic"), Err(std::io::ErrorKind::ConnectionReset));
}

#[test]
fn an_isolated_guest_is_reached_but_reaches_nothing() {
    let config = UserNetConfig { restrict: true, ..forwarding("tcp:127.0.0.1:0-:7") };
    let mut guest = Guest::new(&config);
    let (_, at) = guest.card.0.forwards()[0];
    let outside = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    outside.set_nonblocking(true).expect("a socket");
    let port = outside.local_addr().expect("an address").port();
    let handle = guest.connect(HOST, port);
    guest.until("the refusal", |g| g.tcp(handle).state() == State::Closed);
    assert!(outside.accept().is_err());

    let server = guest.listen(7);
    let client = spawn(move || {
        let mut stream = TcpStream::connect(at).expect("the forward");
        stream.write_all(b"still here?").expect("room");
    });
    assert_eq!(guest.read_to_end(server), b"still here?");
    client.join().expect("no panic");
    let mut buf = Vec::new();
    guest.card.0.quiesce();
    while guest.card.0.receive(&mut buf) {}
}
