//! The TCP stack that faces the guest, and a fence round it.
//!
//! The stack is a library whose arithmetic panics on states it holds impossible. Packets are checked before
//! they get here, but sequence numbers are the guest's to choose, and a panic must cost the guest its
//! connections at most. So every call in which the library digests guest input is fenced; after a fault the
//! stack is in an unknown state and is replaced.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddrV4;
use std::panic::{AssertUnwindSafe, catch_unwind};

use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, IpEndpoint, IpListenEndpoint};

use super::config::UserNetConfig;
use super::link::Link;
use super::phy::Phy;

/// Bytes of buffer in either direction of a connection. With the bound on flows, 128 MiB is the most that a
/// guest can make of it; memory that was never written to is not counted by the host.
const BUFFER: usize = 64 * 1024;
/// A guest that answers nothing for this long is taken for dead, in seconds.
const TIMEOUT: u64 = 300;
/// Quiet time after which a guest is asked whether it lives, in seconds.
const KEEP_ALIVE: u64 = 75;

/// The library failed; all its state is void.
#[derive(Debug)]
pub struct Fault;

/// The stack.
pub struct Stack {
    interface: Interface,
    sockets: SocketSet<'static>,
}

impl Stack {
    /// A stack without connections.
    pub fn new(config: &UserNetConfig, link: &mut Link, now: i64) -> Self {
        let mut settings = Config::new(HardwareAddress::Ip);
        settings.random_seed = RandomState::new().hash_one(now);
        let mut interface = Interface::new(settings, &mut Phy::new(link, None), at(now));
        interface.set_any_ip(true);
        let own = IpCidr::new(IpAddress::Ipv4(config.host), config.network.prefix());
        interface.update_ip_addrs(|addrs| {
            // Room for the first is certain.
            let _ = addrs.push(own);
        });
        Self { interface, sockets: SocketSet::new(Vec::new()) }
    }

    /// Lets the stack digest a packet and answer it.
    pub fn feed(&mut self, link: &mut Link, packet: &[u8], now: i64) -> Result<(), Fault> {
        fenced(|| {
            let mut phy = Phy::new(link, Some(packet));
            self.interface.poll_ingress_single(at(now), &mut phy, &mut self.sockets);
        })
    }

    /// Sends what is due. True if something was sent, and there may be more.
    pub fn egress(&mut self, link: &mut Link, now: i64) -> Result<bool, Fault> {
        fenced(|| {
            let mut phy = Phy::new(link, None);
            let result = self.interface.poll_egress(at(now), &mut phy, &mut self.sockets);
            result == PollResult::SocketStateChanged
        })
    }

    /// When something will be due, in microseconds; 0 is now.
    pub fn due(&mut self, now: i64) -> Result<Option<i64>, Fault> {
        fenced(|| self.interface.poll_at(at(now), &self.sockets).map(|t| t.total_micros()))
    }

    /// A socket which takes one connection to `local`.
    pub fn listen(&mut self, local: SocketAddrV4) -> Option<SocketHandle> {
        let mut socket = new_socket();
        let addr = Some(IpAddress::Ipv4(*local.ip()));
        socket.listen(IpListenEndpoint { addr, port: local.port() }).ok()?;
        Some(self.sockets.add(socket))
    }

    /// A socket which connects from `local` to the guest.
    pub fn connect(&mut self, local: SocketAddrV4, guest: SocketAddrV4) -> Option<SocketHandle> {
        let mut socket = new_socket();
        socket.connect(self.interface.context(), IpEndpoint::from(guest), IpEndpoint::from(local)).ok()?;
        Some(self.sockets.add(socket))
    }

    /// The socket of a handle from `listen` or `connect` which has not been removed.
    pub fn socket(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Removes a socket.
    pub fn remove(&mut self, handle: SocketHandle) {
        self.sockets.remove(handle);
    }
}

fn at(micros: i64) -> Instant {
    Instant::from_micros(micros)
}

fn new_socket() -> Socket<'static> {
    let mut socket = Socket::new(SocketBuffer::new(vec![0; BUFFER]), SocketBuffer::new(vec![0; BUFFER]));
    socket.set_timeout(Some(Duration::from_secs(TIMEOUT)));
    socket.set_keep_alive(Some(Duration::from_secs(KEEP_ALIVE)));
    // The sender on the far side has done its own gathering.
    socket.set_nagle_enabled(false);
    socket
}

fn fenced<R>(call: impl FnOnce() -> R) -> Result<R, Fault> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Fault)
}
