//! Where the guest's traffic may go, and what its addresses mean on the host.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use super::config::{Subnet, UserNetConfig};
use super::dns::{DNS_PORT, Resolvers};

/// The rules.
pub struct Policy {
    network: Subnet,
    host: Ipv4Addr,
    dns: Ipv4Addr,
    restrict: bool,
    /// The host's name servers.
    pub resolvers: Resolvers,
}

impl Policy {
    /// The rules of `config`.
    pub fn new(config: &UserNetConfig, resolvers: Resolvers) -> Self {
        Self {
            network: config.network,
            host: config.host,
            dns: config.dns,
            restrict: config.restrict,
            resolvers,
        }
    }

    /// Whether the guest is cut off from host and world.
    pub fn restricted(&self) -> bool {
        self.restrict
    }

    /// Whether an address is the gateway's or the DNS server's.
    pub fn is_ours(&self, addr: Ipv4Addr) -> bool {
        addr == self.host || addr == self.dns
    }

    /// Whether an address is one host's. Nothing sent to another kind is ever answered, not even with an
    /// error (RFC 1122, 3.2.2).
    pub fn is_unicast(&self, addr: Ipv4Addr) -> bool {
        let edge = addr == self.network.base() || addr == self.network.broadcast();
        !edge && !addr.is_unspecified() && addr.octets()[0] < 224
    }

    /// Whether an endpoint is the DNS service.
    pub fn is_dns(&self, remote: SocketAddrV4) -> bool {
        *remote.ip() == self.dns && remote.port() == DNS_PORT
    }

    /// Where on the host's side traffic to `remote` goes; none if it must not go anywhere.
    ///
    /// The gateway is the host's loopback. Addresses which mean the host itself without saying so (loopback,
    /// and on Linux also 0.0.0.0) are refused: the gateway address is the one way there.
    pub fn destination(&mut self, remote: SocketAddrV4) -> Option<SocketAddr> {
        if self.restrict || remote.port() == 0 {
            return None;
        }
        let addr = *remote.ip();
        if addr == self.host {
            return Some(SocketAddr::from((Ipv4Addr::LOCALHOST, remote.port())));
        }
        if self.is_dns(remote) {
            return self.resolvers.current();
        }
        let first = addr.octets()[0];
        let routable = first != 0 && first != 127 && first < 224 && !self.network.contains(addr);
        routable.then_some(SocketAddr::new(IpAddr::V4(addr), remote.port()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(restrict: bool) -> Policy {
        let resolvers = Resolvers::fixed(vec![SocketAddr::from(([192, 0, 2, 53], DNS_PORT))]);
        Policy::new(&UserNetConfig { restrict, ..UserNetConfig::default() }, resolvers)
    }

    fn at(text: &str) -> SocketAddrV4 {
        text.parse().expect("an endpoint")
    }

    #[test]
    fn gateway_is_loopback_and_the_only_way_there() {
        let mut p = policy(false);
        let to = |p: &mut Policy, text| p.destination(at(text)).map(|a| a.to_string());
        assert_eq!(to(&mut p, "10.0.2.2:80").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(to(&mut p, "10.0.2.3:53").as_deref(), Some("192.0.2.53:53"));
        assert_eq!(to(&mut p, "93.184.216.34:443").as_deref(), Some("93.184.216.34:443"));
        for bad in [
            "10.0.2.3:80",
            "10.0.2.77:80",
            "10.0.2.255:80",
            "127.0.0.1:80",
            "0.0.0.0:80",
            "0.1.2.3:80",
            "224.0.0.1:80",
            "255.255.255.255:80",
            "240.0.0.1:80",
            "93.184.216.34:0",
        ] {
            assert_eq!(to(&mut p, bad), None, "{bad}");
        }
    }

    #[test]
    fn crowds_are_known() {
        let p = policy(false);
        for addr in [[10, 0, 2, 255], [10, 0, 2, 0], [255; 4], [224, 0, 0, 251], [0; 4], [240, 0, 0, 1]] {
            assert!(!p.is_unicast(addr.into()), "{addr:?}");
        }
        assert!(p.is_unicast([10, 0, 3, 255].into()) && p.is_unicast([10, 0, 2, 2].into()));
    }

    #[test]
    fn restriction_cuts_everything() {
        let mut p = policy(true);
        for remote in ["10.0.2.2:80", "10.0.2.3:53", "93.184.216.34:443"] {
            assert_eq!(p.destination(at(remote)), None);
        }
    }
}
