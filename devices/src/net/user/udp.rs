//! UDP between guest and host: a connected host socket for each pair of ends that the guest uses, so that only
//! the peer it wrote to can answer, and forgotten when quiet.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;

use smoltcp::wire::Icmpv4DstUnreachable;

use super::exchange::count;
use super::forward::Forwards;
use super::link::Link;
use super::packet::{self, Datagram};
use super::policy::Policy;
use super::tcp::Key;

/// Quiet time after which a flow is forgotten, in microseconds (RFC 4787, REQ-5).
const LIFETIME: i64 = 120_000_000;
/// The same for name server queries: one question, one answer.
const DNS_LIFETIME: i64 = 10_000_000;
/// Datagrams read from one socket before others get their turn.
const BURST: usize = 32;
/// Longest datagram.
const MAX_DATAGRAM: usize = 65_536;
/// First of the ports from which forwarded datagrams seem to come (RFC 6335, 6).
const FIRST_PORT: u16 = 49152;

enum Via {
    /// A socket of its own.
    Socket(UdpSocket),
    /// A forward's socket, on behalf of `peer`.
    Forward { index: usize, peer: SocketAddr },
}

struct Flow {
    via: Via,
    last: i64,
    /// The name server asked, if it is a query.
    server: Option<SocketAddr>,
    answered: bool,
}

impl Flow {
    fn new(via: Via, server: Option<SocketAddr>, now: i64) -> Self {
        Self { via, last: now, server, answered: false }
    }

    fn end(&self) -> i64 {
        self.last + if self.server.is_some() { DNS_LIFETIME } else { LIFETIME }
    }
}

/// All UDP flows.
pub struct UdpNat {
    host: Ipv4Addr,
    flows: HashMap<Key, Flow>,
    forwarded: HashMap<(usize, SocketAddr), Key>,
    /// No flow ends before this.
    next_end: i64,
    next_port: u16,
    ident: u16,
    scratch: Vec<u8>,
}

impl UdpNat {
    /// No flows yet; `host` is the gateway's address.
    pub fn new(host: Ipv4Addr) -> Self {
        Self {
            host,
            flows: HashMap::new(),
            forwarded: HashMap::new(),
            next_end: i64::MAX,
            next_port: FIRST_PORT,
            ident: 0,
            scratch: vec![0; MAX_DATAGRAM],
        }
    }

    /// Flows open.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether a flow is open.
    pub fn knows(&self, key: &Key) -> bool {
        self.flows.contains_key(key)
    }

    /// Whether a flow is open for a client of a forward.
    pub fn knows_peer(&self, index: usize, peer: SocketAddr) -> bool {
        self.forwarded.contains_key(&(index, peer))
    }

    /// A datagram of the guest.
    pub fn guest_datagram(
        &mut self,
        link: &mut Link,
        policy: &mut Policy,
        forwards: &Forwards,
        (guest, remote, data): Datagram<'_>,
        now: i64,
    ) {
        let key = (guest, remote);
        if !self.flows.contains_key(&key) && !self.open(link, policy, key, now) {
            return;
        }
        let Some(flow) = self.flows.get_mut(&key) else { return };
        flow.last = now;
        // A datagram that the host cannot take now is lost, as datagrams are; a refusal shows when reading.
        let _ = match &flow.via {
            Via::Socket(socket) => socket.send(data),
            Via::Forward { index, peer } => forwards.send_to(*index, data, *peer),
        };
    }

    fn open(&mut self, link: &mut Link, policy: &mut Policy, key: Key, now: i64) -> bool {
        let target = policy.destination(key.1);
        let socket = target.and_then(|addr| open_socket(addr).ok());
        let (Some(target), Some(socket)) = (target, socket) else {
            count(&link.exchange().counters.refused);
            if !policy.restricted() && policy.is_unicast(*key.1.ip()) {
                link.send_ip(&packet::unreachable(key.0, key.1, Icmpv4DstUnreachable::PortUnreachable));
            }
            return false;
        };
        let server = policy.is_dns(key.1).then_some(target);
        self.insert(key, Flow::new(Via::Socket(socket), server, now));
        true
    }

    /// A datagram for the guest that came in by a forward.
    pub fn forwarded_datagram(
        &mut self,
        link: &mut Link,
        index: usize,
        peer: SocketAddr,
        guest: SocketAddrV4,
        data: &[u8],
        now: i64,
    ) {
        let key = match self.forwarded.get(&(index, peer)) {
            Some(key) => *key,
            None => {
                let Some(local) = self.free_port(guest) else { return };
                let key = (guest, local);
                self.forwarded.insert((index, peer), key);
                self.insert(key, Flow::new(Via::Forward { index, peer }, None, now));
                key
            }
        };
        if let Some(flow) = self.flows.get_mut(&key) {
            flow.last = now;
        }
        self.send(link, key, data);
    }

    fn free_port(&mut self, guest: SocketAddrV4) -> Option<SocketAddrV4> {
        for _ in FIRST_PORT..=u16::MAX {
            let local = SocketAddrV4::new(self.host, self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            if !self.flows.contains_key(&(guest, local)) {
                return Some(local);
            }
        }
        None
    }

    fn insert(&mut self, key: Key, flow: Flow) {
        self.next_end = self.next_end.min(flow.end());
        self.flows.insert(key, flow);
    }

    fn remove(&mut self, key: &Key) -> Option<Flow> {
        let flow = self.flows.remove(key)?;
        if let Via::Forward { index, peer } = flow.via {
            self.forwarded.remove(&(index, peer));
        }
        Some(flow)
    }

    /// Forgets the flow that has been quiet for longest, to make room; false if there is none.
    pub fn evict(&mut self) -> bool {
        let oldest = self.flows.iter().min_by_key(|(_, flow)| flow.last).map(|(key, _)| *key);
        oldest.is_some_and(|key| self.remove(&key).is_some())
    }

    fn send(&mut self, link: &mut Link, (guest, remote): Key, data: &[u8]) {
        self.ident = self.ident.wrapping_add(1);
        for part in packet::udp(remote, guest, data, self.ident) {
            link.send_ip(&part);
        }
    }

    /// Lists the host sockets to wait for.
    pub fn interests<'a>(&'a self, mut add: impl FnMut(Key, BorrowedFd<'a>)) {
        for (key, flow) in &self.flows {
            if let Via::Socket(socket) = &flow.via {
                add(*key, socket.as_fd());
            }
        }
    }

    /// Reads what came in on a flow's socket.
    pub fn ready(&mut self, link: &mut Link, policy: &mut Policy, key: Key, now: i64) {
        let mut scratch = std::mem::take(&mut self.scratch);
        for _ in 0..BURST {
            if !link.has_room() {
                break;
            }
            let Some(Flow { via: Via::Socket(socket), last, answered, .. }) = self.flows.get_mut(&key) else {
                break;
            };
            match socket.recv(&mut scratch) {
                Ok(n) => {
                    (*last, *answered) = (now, true);
                    self.send(link, key, scratch.get(..n).unwrap_or_default());
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.refused(link, policy, key);
                    break;
                }
            }
        }
        self.scratch = scratch;
    }

    /// The host says that nobody is there: tells the guest, and tries another name server next time.
    fn refused(&mut self, link: &mut Link, policy: &mut Policy, key: Key) {
        count(&link.exchange().counters.refused);
        if let Some(Flow { server: Some(server), .. }) = self.remove(&key) {
            policy.resolvers.failed(server);
        }
        link.send_ip(&packet::unreachable(key.0, key.1, Icmpv4DstUnreachable::PortUnreachable));
    }

    /// Forgets flows which have been quiet too long.
    pub fn expire(&mut self, link: &Link, policy: &mut Policy, now: i64) {
        if now >= self.next_end {
            let ended: Vec<Key> =
                self.flows.iter().filter(|(_, flow)| flow.end() <= now).map(|(key, _)| *key).collect();
            for key in ended {
                if let Some(Flow { server: Some(server), answered: false, .. }) = self.remove(&key) {
                    policy.resolvers.failed(server);
                }
            }
            self.next_end = self.flows.values().map(Flow::end).min().unwrap_or(i64::MAX);
        }
        link.exchange().counters.udp_flows.store(self.flows.len() as u64, Ordering::Relaxed);
    }

    /// When there is something to do, in microseconds.
    pub fn due(&self) -> Option<i64> {
        (self.next_end < i64::MAX).then_some(self.next_end)
    }
}

fn open_socket(target: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    socket.connect(target)?;
    Ok(socket)
}
