//! One TCP connection: bytes carried between the stack's socket and the host's, with back pressure (neither
//! side is read faster than the other takes), half-close, and resets passed on.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::event::PollFlags;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{Socket, State};

/// Time for the guest to complete a handshake, in microseconds.
const HANDSHAKE: i64 = 30_000_000;

/// The connection.
pub struct Relay {
    /// The stack's socket.
    pub handle: SocketHandle,
    host: Option<TcpStream>,
    since: i64,
    readable: bool,
    writable: bool,
    host_ended: bool,
    guest_ended: bool,
}

impl Relay {
    /// Joins a host socket, which is connected and does not block, and a socket of the stack.
    pub fn new(handle: SocketHandle, host: TcpStream, now: i64) -> Self {
        // Delay only costs the guest latency; if the host refuses the option nothing is lost.
        let _ = host.set_nodelay(true);
        Self {
            handle,
            host: Some(host),
            since: now,
            readable: true,
            writable: true,
            host_ended: false,
            guest_ended: false,
        }
    }

    /// The host socket, while it is open.
    pub fn host(&self) -> Option<&TcpStream> {
        self.host.as_ref()
    }

    /// What to wait for on the host socket. A socket without interest must be left out of the wait, for its
    /// errors would be reported over and over.
    pub fn interest(&self, socket: &Socket<'_>) -> PollFlags {
        let mut flags = PollFlags::empty();
        if !self.readable && !self.host_ended && socket.can_send() {
            flags |= PollFlags::IN;
        }
        if !self.writable && socket.can_recv() {
            flags |= PollFlags::OUT;
        }
        flags
    }

    /// Takes note of what the wait found.
    pub fn ready(&mut self, found: PollFlags) {
        let trouble = found.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
        self.readable |= trouble || found.contains(PollFlags::IN);
        self.writable |= trouble || found.contains(PollFlags::OUT);
    }

    /// Carries what can be carried. True if there was anything.
    pub fn pump(&mut self, socket: &mut Socket<'_>, now: i64) -> bool {
        match socket.state() {
            // The guest took its SYN back.
            State::Listen => self.reset(socket),
            State::SynSent | State::SynReceived if now - self.since > HANDSHAKE => self.reset(socket),
            State::SynSent | State::SynReceived => false,
            _ => {
                let out = self.carry_out(socket);
                let back = self.carry_in(socket);
                let ended = self.pass_ends(socket);
                out || back || ended
            }
        }
    }

    /// Whether nothing is left to do and the stack's socket can go. To be asked when the stack has just sent
    /// all it had to.
    pub fn is_over(&self, socket: &Socket<'_>) -> bool {
        self.host.is_none()
            && match socket.state() {
                State::TimeWait => true,
                // After an abort the reset is still to be sent as long as there is a remote end.
                State::Closed => socket.remote_endpoint().is_none(),
                _ => false,
            }
    }

    fn carry_out(&mut self, socket: &mut Socket<'_>) -> bool {
        let mut progress = false;
        while self.writable && socket.can_recv() {
            let Some(host) = &mut self.host else { return progress };
            let mut outcome = Ok(0);
            let taken = socket.recv(|data| {
                outcome = host.write(data);
                (outcome.as_ref().map_or(0, |n| *n), ())
            });
            match outcome.map_err(|e| e.kind()) {
                Ok(0) => break,
                Ok(_) => progress = true,
                Err(ErrorKind::Interrupted) => {}
                Err(ErrorKind::WouldBlock) => self.writable = false,
                Err(_) => return self.reset(socket),
            }
            if taken.is_err() {
                break;
            }
        }
        progress
    }

    fn carry_in(&mut self, socket: &mut Socket<'_>) -> bool {
        let mut progress = false;
        while self.readable && !self.host_ended && socket.can_send() {
            let Some(host) = &mut self.host else { return progress };
            let mut outcome = Ok(0);
            let sent = socket.send(|room| {
                outcome = host.read(room);
                (outcome.as_ref().map_or(0, |n| *n), ())
            });
            if sent.is_err() {
                break;
            }
            match outcome.map_err(|e| e.kind()) {
                Ok(0) => {
                    self.host_ended = true;
                    socket.close();
                    progress = true;
                }
                Ok(_) => progress = true,
                Err(ErrorKind::Interrupted) => {}
                Err(ErrorKind::WouldBlock) => self.readable = false,
                Err(_) => return self.reset(socket),
            }
        }
        progress
    }

    /// Passes on the guest's end of data, and lets go of the host when both have ended.
    fn pass_ends(&mut self, socket: &mut Socket<'_>) -> bool {
        if socket.recv_queue() > 0 {
            return false;
        }
        match socket.state() {
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait if !self.guest_ended => {
                self.guest_ended = true;
                if let Some(host) = &self.host {
                    // Fails only if the host side is gone, which the next read tells.
                    let _ = host.shutdown(std::net::Shutdown::Write);
                }
            }
            State::Closed if self.host.is_some() && !self.host_ended => return self.reset(socket),
            State::Closed => self.guest_ended = true,
            _ => {}
        }
        if self.guest_ended && self.host_ended {
            return self.host.take().is_some();
        }
        false
    }

    /// Breaks the connection off on both sides.
    fn reset(&mut self, socket: &mut Socket<'_>) -> bool {
        socket.abort();
        match self.host.take() {
            Some(host) => {
                reset_stream(&host);
                true
            }
            None => false,
        }
    }

    /// Breaks off the host's side alone.
    pub fn reset_host(&mut self) {
        if let Some(host) = self.host.take() {
            reset_stream(&host);
        }
    }
}

/// Makes the close of a stream a reset, so that its peer learns that the connection did not end well.
pub fn reset_stream(host: &TcpStream) {
    // Best effort: without it the peer sees an orderly end.
    let _ = rustix::net::sockopt::set_socket_linger(host, Some(Duration::ZERO));
}
