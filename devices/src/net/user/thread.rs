//! The network's thread: waits for the card's bell, the host's sockets and the stack's timers, and brings
//! each what the others have.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol};

use super::config::{Proto, UserNetConfig};
use super::dhcp::DhcpServer;
use super::dns::Resolvers;
use super::exchange::{Exchange, Order, count};
use super::forward::Forwards;
use super::fragments::Reassembler;
use super::link::Link;
use super::packet::{self, Incoming};
use super::policy::Policy;
use super::tcp::{Key, TcpNat};
use super::udp::UdpNat;

/// Guest frames handled before the host's sockets get their turn.
const BATCH: usize = 64;
/// Datagrams or connections taken from a forward in a row.
const BURST: usize = 32;
/// Rest for a listener whose accept failed (no file descriptors left), in microseconds.
const ACCEPT_REST: i64 = 200_000;
/// Least sleep when a timer is said to be due although nothing was left to do, in microseconds.
const LEAST_SLEEP: i64 = 1_000;

/// Whom a waited-for descriptor belongs to.
#[derive(Clone, Copy)]
enum Source {
    Bell,
    Forward(usize, Proto),
    Tcp(Key),
    Udp(Key),
}

/// Descriptors to wait for and whose they are.
#[derive(Default)]
struct Waits<'a> {
    sources: Vec<Source>,
    fds: Vec<PollFd<'a>>,
}

impl<'a> Waits<'a> {
    fn add(&mut self, source: Source, fd: BorrowedFd<'a>, flags: PollFlags) {
        self.sources.push(source);
        self.fds.push(PollFd::from_borrowed_fd(fd, flags));
    }

    /// Waits for at most `sleep` microseconds; returns what is ready.
    fn wait(mut self, sleep: Option<i64>) -> Vec<(Source, PollFlags)> {
        let timeout = sleep.map(timespec);
        match poll(&mut self.fds, timeout.as_ref()) {
            Ok(_) => {
                let found = self.sources.iter().zip(&self.fds).map(|(source, fd)| (*source, fd.revents()));
                found.filter(|(_, flags)| !flags.is_empty()).collect()
            }
            Err(Errno::INTR) => Vec::new(),
            Err(error) => {
                // The host is out of memory; do not make it worse.
                tracing::warn!(%error, "the network cannot wait for its sockets");
                std::thread::sleep(Duration::from_millis(100));
                Vec::new()
            }
        }
    }
}

/// Time since the network began, in microseconds; it stands still while the network does.
struct Clock {
    start: Instant,
    paused: Duration,
}

impl Clock {
    fn now(&self) -> i64 {
        let run = self.start.elapsed().saturating_sub(self.paused);
        i64::try_from(run.as_micros()).unwrap_or(i64::MAX)
    }
}

/// Everything the thread owns.
pub struct Network {
    exchange: Arc<Exchange>,
    link: Link,
    policy: Policy,
    fragments: Reassembler,
    dhcp: DhcpServer,
    tcp: TcpNat,
    udp: UdpNat,
    forwards: Forwards,
    clock: Clock,
    max_flows: usize,
    accept_after: i64,
    echo_ident: u16,
    scratch: Vec<u8>,
}

impl Network {
    /// The network of a valid configuration.
    pub fn new(
        config: &UserNetConfig,
        exchange: Arc<Exchange>,
        forwards: Forwards,
        resolvers: Resolvers,
    ) -> Self {
        let mut link = Link::new(config, exchange.clone());
        let tcp = TcpNat::new(config, &mut link, 0);
        Self {
            link,
            policy: Policy::new(config, resolvers),
            fragments: Reassembler::default(),
            dhcp: DhcpServer::new(config),
            tcp,
            udp: UdpNat::new(config.host),
            forwards,
            clock: Clock { start: Instant::now(), paused: Duration::ZERO },
            max_flows: config.max_flows.min(descriptor_share()),
            accept_after: 0,
            echo_ident: 0,
            scratch: vec![0; 65_536],
            exchange,
        }
    }

    /// Works until told to stop.
    pub fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            if !self.obey() {
                return;
            }
            count(&self.exchange.counters.turns);
            let now = self.clock.now();
            self.link.set_time(now);
            let more = self.guest_frames(&mut batch, now);
            self.udp.expire(&self.link, &mut self.policy, now);
            let busy = self.tcp.service(&mut self.link, now);
            if self.link.take_delivered() | self.exchange.take_fresh() {
                self.exchange.notify();
            }
            let sleep = if more || busy { Some(0) } else { self.sleep(now) };
            self.wait(sleep);
        }
    }

    /// Follows the order in force; false if it is to stop.
    fn obey(&mut self) -> bool {
        match self.exchange.current_order() {
            Order::Run => true,
            Order::Stop => false,
            Order::Pause => {
                let began = Instant::now();
                let order = self.exchange.stand_still();
                self.clock.paused += began.elapsed();
                order == Order::Run
            }
        }
    }

    /// Handles a batch of the guest's frames; true if more wait. While the guest fetches nothing its frames
    /// are left where they are: what would be the answer's use.
    fn guest_frames(&mut self, batch: &mut Vec<Vec<u8>>, now: i64) -> bool {
        if !self.link.has_room() {
            return false;
        }
        let more = self.exchange.take(batch, BATCH);
        for frame in batch.drain(..) {
            if !self.frame(&frame, now) {
                count(&self.exchange.counters.rejected);
            }
        }
        more
    }

    /// Handles one frame; false if it is no good.
    fn frame(&mut self, bytes: &[u8], now: i64) -> bool {
        let Ok(frame) = EthernetFrame::new_checked(bytes) else { return false };
        if !self.link.is_for_us(&frame) {
            return false;
        }
        match frame.ethertype() {
            EthernetProtocol::Arp => self.link.arp(frame.payload()),
            EthernetProtocol::Ipv4 => match packet::parse_ipv4(frame.payload()) {
                Some(ip) => self.ip(&frame, &ip, now),
                None => self.fragment(&frame, now),
            },
            _ => false,
        }
    }

    fn fragment(&mut self, frame: &EthernetFrame<&[u8]>, now: i64) -> bool {
        let Some(part) = packet::parse_fragment(frame.payload()) else { return false };
        if !self.link.is_guest(part.src_addr()) {
            return false;
        }
        let Some(whole) = self.fragments.add(&part, now) else { return true };
        packet::parse_ipv4(&whole).is_some_and(|ip| self.ip(frame, &ip, now))
    }

    fn ip(&mut self, frame: &EthernetFrame<&[u8]>, ip: &Incoming<'_>, now: i64) -> bool {
        let datagram = if ip.protocol == IpProtocol::Udp { packet::parse_udp(ip) } else { None };
        if let Some((_, dst, data)) = datagram
            && self.dhcp.is_for(dst)
        {
            // The one protocol in which a guest speaks before it has an address.
            return self.dhcp(data);
        }
        if !self.link.is_guest(ip.src) {
            return false;
        }
        self.link.learn(ip.src, frame.src_addr());
        match (ip.protocol, datagram) {
            (IpProtocol::Udp, Some(datagram)) => {
                self.make_room(&(datagram.0, datagram.1));
                let (link, policy) = (&mut self.link, &mut self.policy);
                self.udp.guest_datagram(link, policy, &self.forwards, datagram, now);
                true
            }
            (IpProtocol::Tcp, _) => self.segment(ip, now),
            (IpProtocol::Icmp, _) => self.ping(ip),
            _ => false,
        }
    }

    fn dhcp(&mut self, message: &[u8]) -> bool {
        let Some(answer) = self.dhcp.answer(message) else { return false };
        self.link.send_to(answer.mac, answer.frame);
        true
    }

    fn segment(&mut self, ip: &Incoming<'_>, now: i64) -> bool {
        let Some(segment) = packet::parse_tcp(ip) else { return false };
        // A connection has two unicast ends (RFC 9293, 3.9.2.3).
        if !self.policy.is_unicast(ip.dst) || ip.dst == ip.src {
            return false;
        }
        let room = !segment.opens || self.has_room_for_flow();
        self.tcp.segment(&mut self.link, &mut self.policy, ip.bytes, segment, room, now);
        true
    }

    /// The gateway and the DNS server answer pings.
    fn ping(&mut self, ip: &Incoming<'_>) -> bool {
        if !self.policy.is_ours(ip.dst) {
            return false;
        }
        self.echo_ident = self.echo_ident.wrapping_add(1);
        let Some(reply) = packet::echo_reply(ip, self.echo_ident) else { return false };
        for part in reply {
            self.link.send_ip(&part);
        }
        true
    }

    /// Whether another flow may be opened; old datagram flows give way.
    fn has_room_for_flow(&mut self) -> bool {
        self.tcp.len() + self.udp.len() < self.max_flows || self.udp.evict()
    }

    fn make_room(&mut self, key: &Key) {
        if !self.udp.knows(key) {
            self.has_room_for_flow();
        }
    }

    /// How long there is nothing to do, in microseconds. While the guest fetches nothing, timers must wait:
    /// what they would send has no place to go, and the bell rings when there is.
    fn sleep(&mut self, now: i64) -> Option<i64> {
        let stack = if self.link.has_room() { self.tcp.due(&mut self.link, now) } else { None };
        let accept = (self.accept_after > now).then_some(self.accept_after);
        let due = [stack, self.udp.due(), accept].into_iter().flatten().min()?;
        Some(due.saturating_sub(now).max(LEAST_SLEEP))
    }

    /// Waits for at most `sleep` microseconds, then handles what the host has.
    fn wait(&mut self, sleep: Option<i64>) {
        let now = self.clock.now();
        let found = self.poll(sleep, now);
        let now = self.clock.now();
        self.link.set_time(now);
        for (source, flags) in found {
            match source {
                Source::Bell => self.exchange.silence(),
                Source::Forward(index, Proto::Tcp) => self.accept(index, now),
                Source::Forward(index, Proto::Udp) => self.forwarded_datagrams(index, now),
                Source::Tcp(key) => self.tcp.ready(&mut self.link, &mut self.policy, key, flags, now),
                Source::Udp(key) => self.udp.ready(&mut self.link, &mut self.policy, key, now),
            }
        }
    }

    fn poll(&mut self, sleep: Option<i64>, now: i64) -> Vec<(Source, PollFlags)> {
        let open = self.link.has_room();
        let accepting = now >= self.accept_after && self.tcp.len() + self.udp.len() < self.max_flows;
        let mut waits = Waits::default();
        waits.add(Source::Bell, self.exchange.bell(), PollFlags::IN);
        self.forwards.interests(|index, proto, fd| {
            if if proto == Proto::Tcp { accepting } else { open } {
                waits.add(Source::Forward(index, proto), fd, PollFlags::IN);
            }
        });
        self.tcp.interests(|key, fd, flags| waits.add(Source::Tcp(key), fd, flags));
        if open {
            self.udp.interests(|key, fd| waits.add(Source::Udp(key), fd, PollFlags::IN));
        }
        waits.wait(sleep)
    }

    fn accept(&mut self, index: usize, now: i64) {
        for _ in 0..BURST {
            if self.tcp.len() + self.udp.len() >= self.max_flows {
                return;
            }
            match self.forwards.accept(index) {
                Ok(Some((stream, guest))) => self.tcp.forward(&self.link, stream, guest, now),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "a forward cannot accept connections for now");
                    self.accept_after = now + ACCEPT_REST;
                    return;
                }
            }
        }
    }

    fn forwarded_datagrams(&mut self, index: usize, now: i64) {
        let mut scratch = std::mem::take(&mut self.scratch);
        for _ in 0..BURST {
            let Some((n, peer, guest)) = self.forwards.receive(index, &mut scratch) else { break };
            if self.udp.knows_peer(index, peer) || self.has_room_for_flow() {
                let data = scratch.get(..n).unwrap_or_default();
                self.udp.forwarded_datagram(&mut self.link, index, peer, guest, data, now);
            }
        }
        self.scratch = scratch;
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Whether the thread was told to end or failed: nobody must wait for it.
        self.exchange.gone();
    }
}

fn timespec(micros: i64) -> Timespec {
    let micros = micros.max(0);
    Timespec { tv_sec: micros / 1_000_000, tv_nsec: micros % 1_000_000 * 1_000 }
}

/// Half of the file descriptors that the process may have: disks and windows need some too.
fn descriptor_share() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX, |n| usize::try_from(n / 2).unwrap_or(usize::MAX))
}
