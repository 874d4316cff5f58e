//! The host's side of forwards: the sockets on which it listens for the guest.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use super::UserNetError;
use super::config::{HostForward, Proto, UserNetConfig};

enum Listener {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

struct Entry {
    forward: HostForward,
    listener: Listener,
    guest: SocketAddrV4,
    bound: SocketAddr,
}

/// All forwards, by index.
pub struct Forwards {
    entries: Vec<Entry>,
}

impl Forwards {
    /// Listens for all forwards of `config`.
    pub fn bind(config: &UserNetConfig) -> Result<Self, UserNetError> {
        let bind = |forward: &HostForward| {
            let guest = SocketAddrV4::new(config.forward_target(forward), forward.guest_port);
            listen(forward)
                .map(|(listener, bound)| Entry { forward: *forward, listener, guest, bound })
                .map_err(|source| UserNetError::Bind { forward: *forward, source })
        };
        let entries = config.hostfwd.iter().map(bind).collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// The forwards and the addresses on which they listen.
    pub fn bound(&self) -> Vec<(HostForward, SocketAddr)> {
        self.entries.iter().map(|e| (e.forward, e.bound)).collect()
    }

    /// Lists the sockets to wait for: their index, their transport.
    pub fn interests<'a>(&'a self, mut add: impl FnMut(usize, Proto, BorrowedFd<'a>)) {
        for (index, entry) in self.entries.iter().enumerate() {
            match &entry.listener {
                Listener::Tcp(listener) => add(index, Proto::Tcp, listener.as_fd()),
                Listener::Udp(socket) => add(index, Proto::Udp, socket.as_fd()),
            }
        }
    }

    /// A connection which came in, and where in the guest it is to go.
    pub fn accept(&self, index: usize) -> io::Result<Option<(TcpStream, SocketAddrV4)>> {
        match self.entries.get(index) {
            Some(Entry { listener: Listener::Tcp(listener), guest, .. }) => match listener.accept() {
                Ok((stream, _)) => Ok(Some((stream, *guest))),
                Err(e) if is_passing(&e) => Ok(None),
                Err(e) => Err(e),
            },
            _ => Ok(None),
        }
    }

    /// A datagram which came in: its length, its sender, and where in the guest it is to go.
    pub fn receive(&self, index: usize, buf: &mut [u8]) -> Option<(usize, SocketAddr, SocketAddrV4)> {
        match self.entries.get(index) {
            Some(Entry { listener: Listener::Udp(socket), guest, .. }) => {
                let (n, peer) = socket.recv_from(buf).ok()?;
                Some((n, peer, *guest))
            }
            _ => None,
        }
    }

    /// Sends a datagram to a client of a forward.
    pub fn send_to(&self, index: usize, data: &[u8], peer: SocketAddr) -> io::Result<usize> {
        match self.entries.get(index) {
            Some(Entry { listener: Listener::Udp(socket), .. }) => socket.send_to(data, peer),
            _ => Ok(0),
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | ConnectionAborted)
}

fn listen(forward: &HostForward) -> io::Result<(Listener, SocketAddr)> {
    let addr = SocketAddr::new(forward.host_addr, forward.host_port);
    match forward.proto {
        Proto::Tcp => {
            let listener = TcpListener::bind(addr)?;
            listener.set_nonblocking(true)?;
            let bound = listener.local_addr()?;
            Ok((Listener::Tcp(listener), bound))
        }
        Proto::Udp => {
            let socket = UdpSocket::bind(addr)?;
            socket.set_nonblocking(true)?;
            let bound = socket.local_addr()?;
            Ok((Listener::Udp(socket), bound))
        }
    }
}
