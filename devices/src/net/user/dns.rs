//! The host's name servers, to which queries to the network's DNS address are relayed.
//!
//! Queries are relayed as they are, over UDP and TCP, so every record type and extension works that the
//! host's server knows. A server which leaves a query unanswered makes the next one's turn.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::SystemTime;

/// Port of name servers.
pub const DNS_PORT: u16 = 53;
/// Servers considered at most, as in the C library's resolver.
const MAX_SERVERS: usize = 3;
/// Longest configuration file that is read.
const MAX_FILE: usize = 64 * 1024;

/// The host's name servers, re-read when their file changes (laptops move between networks).
#[derive(Debug)]
pub struct Resolvers {
    file: Option<PathBuf>,
    stamp: Option<SystemTime>,
    servers: Vec<SocketAddr>,
    turn: usize,
}

impl Resolvers {
    /// Those of the host, from resolv.conf(5).
    pub fn of_host() -> Self {
        Self { file: Some(PathBuf::from("/etc/resolv.conf")), stamp: None, servers: Vec::new(), turn: 0 }
    }

    /// A fixed list.
    #[cfg(test)]
    pub fn fixed(servers: Vec<SocketAddr>) -> Self {
        Self { file: None, stamp: None, servers, turn: 0 }
    }

    /// The server whose turn it is.
    pub fn current(&mut self) -> Option<SocketAddr> {
        self.refresh();
        self.servers.get(self.turn % self.servers.len().max(1)).copied()
    }

    /// Reports that `server` did not answer.
    pub fn failed(&mut self, server: SocketAddr) {
        if self.current() == Some(server) {
            self.turn = self.turn.wrapping_add(1);
        }
    }

    fn refresh(&mut self) {
        let Some(file) = &self.file else { return };
        let stamp = std::fs::metadata(file).and_then(|m| m.modified()).ok();
        if stamp.is_some() && stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        let text = std::fs::read(file).unwrap_or_default();
        let text = String::from_utf8_lossy(text.get(..MAX_FILE).unwrap_or(&text)).into_owned();
        self.servers = parse(&text).into_iter().map(|addr| SocketAddr::new(addr, DNS_PORT)).collect();
        self.turn = 0;
    }
}

/// The `nameserver` lines; the local machine if there are none, as resolv.conf(5) has it. Link-local IPv6
/// servers are passed over, their scope is meaningless here.
fn parse(text: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse::<IpAddr>().ok()).flatten()
    };
    let mut servers: Vec<IpAddr> = text.lines().filter_map(address).take(MAX_SERVERS).collect();
    if servers.is_empty() {
        servers.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_resolv_conf() {
        let text = "# comment\nsearch example.org\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 \n\
                    nameserver fe80::1%eth0\nnameserver bad\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        let servers: Vec<String> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1", "2001:db8::1", "192.0.2.2"]);
        assert_eq!(parse(""), [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    }

    #[test]
    fn failures_rotate() {
        let list = [1, 2].map(|i| SocketAddr::from(([192, 0, 2, i], DNS_PORT))).to_vec();
        let mut r = Resolvers::fixed(list.clone());
        assert_eq!(r.current(), Some(list[0]));
        r.failed(list[1]);
        assert_eq!(r.current(), Some(list[0]), "only the one in use counts");
        r.failed(list[0]);
        assert_eq!(r.current(), Some(list[1]));
        r.failed(list[1]);
        assert_eq!(r.current(), Some(list[0]));
        assert_eq!(Resolvers::fixed(Vec::new()).current(), None);
    }
}
