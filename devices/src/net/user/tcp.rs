//! TCP between guest and host.
//!
//! A guest's SYN is held back while the host connects. When the host has succeeded, a socket is opened on
//! exactly the address that the guest asked for and the SYN is fed to it; when the host was refused, the SYN
//! is fed to the stack without a socket, which answers with a reset. So the guest sees a connection only
//! where there is one.

use std::collections::HashMap;
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use smoltcp::socket::tcp::State;

use super::config::UserNetConfig;
use super::exchange::count;
use super::link::Link;
use super::packet::Segment;
use super::policy::Policy;
use super::relay::{Relay, reset_stream};
use super::stack::{Fault, Stack};

/// Both ends of a flow: the guest's and the other as the guest sees it.
pub type Key = (SocketAddrV4, SocketAddrV4);

/// Time for the host to connect, in microseconds.
const CONNECT: i64 = 75_000_000;
/// Rounds of carrying before other work gets its turn.
const ROUNDS: usize = 16;
/// First of the ports from which forwarded connections seem to come (RFC 6335, 6).
const FIRST_PORT: u16 = 49152;

enum Flow {
    /// The host is connecting; the guest's SYN waits.
    Connecting { host: TcpStream, syn: Vec<u8>, since: i64 },
    /// Connected, or the guest's handshake is under way.
    Relay(Relay),
}

/// All TCP connections.
pub struct TcpNat {
    config: UserNetConfig,
    stack: Stack,
    flows: HashMap<Key, Flow>,
    next_port: u16,
}

impl TcpNat {
    /// No connections yet.
    pub fn new(config: &UserNetConfig, link: &mut Link, now: i64) -> Self {
        let stack = Stack::new(config, link, now);
        Self { config: config.clone(), stack, flows: HashMap::new(), next_port: FIRST_PORT }
    }

    /// Connections open.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// A segment of the guest. `room` tells whether another flow may be opened.
    pub fn segment(
        &mut self,
        link: &mut Link,
        policy: &mut Policy,
        packet: &[u8],
        segment: Segment,
        room: bool,
        now: i64,
    ) {
        let key = (segment.guest, segment.remote);
        match self.flows.get(&key) {
            // The guest is impatient, or has given up.
            Some(Flow::Connecting { .. }) => {
                if segment.resets {
                    self.flows.remove(&key);
                }
            }
            None if segment.opens => self.open(link, policy, key, packet, room, now),
            _ => self.feed(link, packet, now),
        }
    }

    fn feed(&mut self, link: &mut Link, packet: &[u8], now: i64) {
        let outcome = self.stack.feed(link, packet, now);
        self.check(link, outcome, now);
    }

    fn open(&mut self, link: &mut Link, policy: &mut Policy, key: Key, syn: &[u8], room: bool, now: i64) {
        let target = if room { policy.destination(key.1) } else { None };
        match target.and_then(|addr| start_connect(addr).ok()) {
            Some(host) => {
                self.flows.insert(key, Flow::Connecting { host, syn: syn.to_vec(), since: now });
            }
            None => self.refuse(link, syn, now),
        }
    }

    /// Resets a connection that the guest asks for.
    fn refuse(&mut self, link: &mut Link, syn: &[u8], now: i64) {
        count(&link.exchange().counters.refused);
        self.feed(link, syn, now);
    }

    /// Takes a connection which a forward accepted to the guest.
    pub fn forward(&mut self, link: &Link, host: TcpStream, guest: SocketAddrV4, now: i64) {
        let socket = host
            .set_nonblocking(true)
            .ok()
            .and_then(|()| self.free_port(guest))
            .and_then(|local| Some((local, self.stack.connect(local, guest)?)));
        match socket {
            Some((local, handle)) => {
                self.flows.insert((guest, local), Flow::Relay(Relay::new(handle, host, now)));
            }
            None => {
                count(&link.exchange().counters.refused);
                reset_stream(&host);
            }
        }
    }

    fn free_port(&mut self, guest: SocketAddrV4) -> Option<SocketAddrV4> {
        for _ in FIRST_PORT..=u16::MAX {
            let local = SocketAddrV4::new(self.config.host, self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            if !self.flows.contains_key(&(guest, local)) {
                return Some(local);
            }
        }
        None
    }

    /// Lists the host sockets to wait for.
    pub fn interests<'a>(&'a mut self, mut add: impl FnMut(Key, BorrowedFd<'a>, PollFlags)) {
        for (key, flow) in &self.flows {
            match flow {
                Flow::Connecting { host, .. } => add(*key, host.as_fd(), PollFlags::OUT),
                Flow::Relay(relay) => {
                    let interest = relay.interest(self.stack.socket(relay.handle));
                    if let Some(host) = relay.host()
                        && !interest.is_empty()
                    {
                        add(*key, host.as_fd(), interest);
                    }
                }
            }
        }
    }

    /// Takes note of what the wait found on a host socket.
    pub fn ready(&mut self, link: &mut Link, policy: &mut Policy, key: Key, found: PollFlags, now: i64) {
        match self.flows.get_mut(&key) {
            Some(Flow::Relay(relay)) => relay.ready(found),
            Some(Flow::Connecting { .. }) => {
                if let Some(Flow::Connecting { host, syn, .. }) = self.flows.remove(&key) {
                    self.connected(link, policy, key, host, &syn, now);
                }
            }
            None => {}
        }
    }

    fn connected(
        &mut self,
        link: &mut Link,
        policy: &mut Policy,
        key: Key,
        host: TcpStream,
        syn: &[u8],
        now: i64,
    ) {
        if !matches!(host.take_error(), Ok(None)) {
            if policy.is_dns(key.1)
                && let Some(server) = policy.resolvers.current()
            {
                policy.resolvers.failed(server);
            }
            return self.refuse(link, syn, now);
        }
        let Some(handle) = self.stack.listen(key.1) else {
            return self.refuse(link, syn, now);
        };
        if self.stack.feed(link, syn, now).is_err() {
            return self.check(link, Err(Fault), now);
        }
        if self.stack.socket(handle).state() == State::SynReceived {
            self.flows.insert(key, Flow::Relay(Relay::new(handle, host, now)));
        } else {
            self.stack.remove(handle);
            reset_stream(&host);
        }
    }

    /// Carries data both ways until nothing moves. True if it stopped for other work's sake.
    pub fn service(&mut self, link: &mut Link, now: i64) -> bool {
        self.expire(link, now);
        let mut moving = true;
        let mut rounds = 0;
        while moving && rounds < ROUNDS {
            moving = false;
            for flow in self.flows.values_mut() {
                if let Flow::Relay(relay) = flow {
                    moving |= relay.pump(self.stack.socket(relay.handle), now);
                }
            }
            moving |= self.egress(link, now) && link.has_room();
            rounds += 1;
        }
        self.reap();
        link.exchange().counters.tcp_flows.store(self.flows.len() as u64, Ordering::Relaxed);
        moving
    }

    fn egress(&mut self, link: &mut Link, now: i64) -> bool {
        let mut sent = false;
        while link.has_room() {
            let outcome = self.stack.egress(link, now);
            let more = matches!(outcome, Ok(true));
            self.check(link, outcome.map(|_| ()), now);
            if !more {
                break;
            }
            sent = true;
        }
        sent
    }

    fn reap(&mut self) {
        let stack = &mut self.stack;
        self.flows.retain(|_, flow| match flow {
            Flow::Relay(relay) if relay.is_over(stack.socket(relay.handle)) => {
                stack.remove(relay.handle);
                false
            }
            _ => true,
        });
    }

    fn expire(&mut self, link: &mut Link, now: i64) {
        let late = |flow: &Flow| matches!(flow, Flow::Connecting { since, .. } if now - since > CONNECT);
        let keys: Vec<Key> = self.flows.iter().filter(|(_, f)| late(f)).map(|(k, _)| *k).collect();
        for key in keys {
            if let Some(Flow::Connecting { syn, .. }) = self.flows.remove(&key) {
                self.refuse(link, &syn, now);
            }
        }
    }

    /// When there is something to do, in microseconds.
    pub fn due(&mut self, link: &mut Link, now: i64) -> Option<i64> {
        let connects = self.flows.values().filter_map(|flow| match flow {
            Flow::Connecting { since, .. } => Some(since + CONNECT + 1),
            Flow::Relay(_) => None,
        });
        let connects = connects.min();
        let stack = match self.stack.due(now) {
            Ok(due) => due,
            Err(fault) => {
                self.check(link, Err(fault), now);
                None
            }
        };
        connects.into_iter().chain(stack).min()
    }

    /// After a fault of the stack: breaks off all connections and starts with a new stack.
    fn check(&mut self, link: &mut Link, outcome: Result<(), Fault>, now: i64) {
        if outcome.is_ok() {
            return;
        }
        count(&link.exchange().counters.stack_faults);
        tracing::warn!("the guest's TCP stack failed; all its connections are lost");
        for flow in self.flows.values_mut() {
            if let Flow::Relay(relay) = flow {
                relay.reset_host();
            }
        }
        self.flows.clear();
        self.stack = Stack::new(&self.config, link, now);
    }
}

/// Begins to connect without waiting.
fn start_connect(addr: SocketAddr) -> Result<TcpStream, Errno> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    match connect(&socket, &addr) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::Arc;

    use super::*;
    use crate::net::user::exchange::Exchange;

    #[test]
    fn a_fault_costs_the_connections_and_no_more() {
        let config = UserNetConfig::default();
        let exchange = Arc::new(Exchange::new().expect("an eventfd"));
        let mut link = Link::new(&config, exchange.clone());
        let mut nat = TcpNat::new(&config, &mut link, 0);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let at = listener.local_addr().expect("an address");
        let guest = SocketAddrV4::new(config.dhcp_start, 22);
        for faults in 1..=3 {
            let mut client = TcpStream::connect(at).expect("a connection");
            nat.forward(&link, listener.accept().expect("a client").0, guest, 0);
            nat.service(&mut link, 0);
            assert_eq!(nat.len(), 1);
            nat.check(&mut link, Err(Fault), 0);
            assert_eq!(nat.len(), 0);
            assert_eq!(exchange.metrics().stack_faults, faults);
            assert!(client.read(&mut [0]).is_err(), "the client sees a reset");
        }
    }
}
