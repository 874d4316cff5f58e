//! What a user-mode network looks like: its addresses, its ways in from the host, its limits.
//!
//! The defaults are those of QEMU's `-netdev user`, so that guests and recipes made for it work. One habit
//! differs: a `hostfwd` without a host address listens on the loopback address only, not on all interfaces;
//! whoever wants the world in says `0.0.0.0`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::parse;

/// Largest number of addresses that the DHCP server hands out.
pub const DHCP_POOL: u32 = 16;

/// Why a network's description cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The prefix is too long to hold gateway, DNS and guest, or absurdly short.
    #[error("network {0} has an unusable prefix length; use /8 to /29")]
    Prefix(Subnet),
    /// The network is not one that hosts can have.
    #[error("network {0} is loopback, multicast or reserved; use a private one such as 10.0.2.0/24")]
    Reserved(Subnet),
    /// An address lies outside the network, or is its first or last one.
    #[error("{what} address {addr} is not a host address of network {network}")]
    Outside {
        /// Which address, in the option's word.
        what: &'static str,
        /// The address.
        addr: Ipv4Addr,
        /// The network.
        network: Subnet,
    },
    /// Two addresses are the same.
    #[error("{0} and {1} have the same address {2}")]
    Clash(&'static str, &'static str, Ipv4Addr),
    /// The host name is not one.
    #[error("host name {0:?} is not 1 to 63 letters, digits and inner hyphens")]
    Hostname(String),
    /// A forward's guest port is 0.
    #[error("forward {0}: the guest's port must not be 0")]
    GuestPort(HostForward),
    /// The flow limit is 0 or absurd.
    #[error("max-flows is {0}; use 1 to 65536")]
    MaxFlows(usize),
}

/// An IPv4 network, written `10.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    base: Ipv4Addr,
    prefix: u8,
}

impl Subnet {
    /// The network with `prefix` leading bits of `addr`; none if `prefix` exceeds 32.
    pub fn new(addr: Ipv4Addr, prefix: u8) -> Option<Self> {
        (prefix <= 32).then(|| Self { base: Ipv4Addr::from(u32::from(addr) & mask_bits(prefix)), prefix })
    }

    /// Prefix length in bits.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The network mask.
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from(mask_bits(self.prefix))
    }

    /// First address: the network itself.
    pub fn base(self) -> Ipv4Addr {
        self.base
    }

    /// Last address: the directed broadcast.
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base) | !mask_bits(self.prefix))
    }

    /// Whether `addr` lies in the network, first and last address included.
    pub fn contains(self, addr: Ipv4Addr) -> bool {
        u32::from(addr) & mask_bits(self.prefix) == u32::from(self.base)
    }

    /// Whether `addr` can be the address of a host in the network.
    pub fn is_host(self, addr: Ipv4Addr) -> bool {
        self.contains(addr) && addr != self.base && addr != self.broadcast()
    }

    /// The address `n` above the network's first.
    pub fn nth(self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base).wrapping_add(n))
    }
}

fn mask_bits(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl From<Subnet> for String {
    fn from(net: Subnet) -> Self {
        net.to_string()
    }
}

impl FromStr for Subnet {
    type Err = parse::WordError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse::subnet(text)
    }
}

impl TryFrom<String> for Subnet {
    type Error = parse::WordError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Transport of a forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proto {
    /// TCP connections.
    Tcp,
    /// UDP datagrams.
    Udp,
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Proto::Tcp => "tcp",
            Proto::Udp => "udp",
        })
    }
}

/// A way in: connections to a port of the host reach a port of the guest. Written
/// `tcp:127.0.0.1:2222-10.0.2.15:22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostForward {
    /// Transport.
    pub proto: Proto,
    /// Host address to listen on; loopback if the user gave none.
    pub host_addr: IpAddr,
    /// Host port to listen on; 0 lets the host choose.
    pub host_port: u16,
    /// Guest address; the first DHCP address if none.
    pub guest_addr: Option<Ipv4Addr>,
    /// Guest port.
    pub guest_port: u16,
}

impl fmt::Display for HostForward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_addr {
            IpAddr::V4(a) => write!(f, "{}:{a}:{}-", self.proto, self.host_port)?,
            IpAddr::V6(a) => write!(f, "{}:[{a}]:{}-", self.proto, self.host_port)?,
        }
        if let Some(addr) = self.guest_addr {
            write!(f, "{addr}")?;
        }
        write!(f, ":{}", self.guest_port)
    }
}

impl From<HostForward> for String {
    fn from(forward: HostForward) -> Self {
        forward.to_string()
    }
}

impl FromStr for HostForward {
    type Err = parse::WordError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse::forward(text)
    }
}

impl TryFrom<String> for HostForward {
    type Error = parse::WordError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// A user-mode network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct UserNetConfig {
    /// The guest's network.
    pub network: Subnet,
    /// The gateway, which is the host as the guest sees it: its loopback services are reached here.
    pub host: Ipv4Addr,
    /// The DNS server.
    pub dns: Ipv4Addr,
    /// First of the [`DHCP_POOL`] addresses which are handed out.
    pub dhcp_start: Ipv4Addr,
    /// Host name told to the guest by DHCP.
    pub hostname: Option<String>,
    /// Ways in from the host.
    pub hostfwd: Vec<HostForward>,
    /// Isolates the guest: only forwards work, the guest reaches neither host nor world.
    pub restrict: bool,
    /// Bound on connections and datagram flows together. Half of the process's file-descriptor limit is a
    /// further bound.
    pub max_flows: usize,
}

impl Default for UserNetConfig {
    fn default() -> Self {
        Self::in_network(Subnet { base: Ipv4Addr::new(10, 0, 2, 0), prefix: 24 })
    }
}

impl UserNetConfig {
    /// The customary addresses in `network`: host 2, DNS 3, guests from 15.
    pub fn in_network(network: Subnet) -> Self {
        Self {
            network,
            host: network.nth(2),
            dns: network.nth(3),
            dhcp_start: network.nth(15),
            hostname: None,
            hostfwd: Vec::new(),
            restrict: false,
            max_flows: 1024,
        }
    }

    /// Checks that the parts fit together.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_network()?;
        let named = [("host", self.host), ("dns", self.dns), ("dhcpstart", self.dhcp_start)];
        for (i, (what, addr)) in named.into_iter().enumerate() {
            self.host_address(what, addr)?;
            if let Some((other, _)) = named.iter().take(i).find(|(_, a)| *a == addr) {
                return Err(ConfigError::Clash(other, what, addr));
            }
        }
        if let Some(name) = &self.hostname
            && !is_host_label(name)
        {
            return Err(ConfigError::Hostname(name.clone()));
        }
        for forward in &self.hostfwd {
            self.validate_forward(forward)?;
        }
        if self.max_flows == 0 || self.max_flows > 65536 {
            return Err(ConfigError::MaxFlows(self.max_flows));
        }
        Ok(())
    }

    fn validate_network(&self) -> Result<(), ConfigError> {
        if !(8..=29).contains(&self.network.prefix) {
            return Err(ConfigError::Prefix(self.network));
        }
        let first = self.network.base;
        if first.is_loopback() || first.octets()[0] == 0 || first.octets()[0] >= 224 {
            return Err(ConfigError::Reserved(self.network));
        }
        Ok(())
    }

    fn validate_forward(&self, forward: &HostForward) -> Result<(), ConfigError> {
        if forward.guest_port == 0 {
            return Err(ConfigError::GuestPort(*forward));
        }
        let addr = self.forward_target(forward);
        self.host_address("forward's guest", addr)?;
        for (what, own) in [("host", self.host), ("dns", self.dns)] {
            if own == addr {
                return Err(ConfigError::Clash(what, "forward's guest", addr));
            }
        }
        Ok(())
    }

    fn host_address(&self, what: &'static str, addr: Ipv4Addr) -> Result<(), ConfigError> {
        if self.network.is_host(addr) {
            Ok(())
        } else {
            Err(ConfigError::Outside { what, addr, network: self.network })
        }
    }

    /// Guest address that `forward` leads to.
    pub fn forward_target(&self, forward: &HostForward) -> Ipv4Addr {
        forward.guest_addr.unwrap_or(self.dhcp_start)
    }
}

fn is_host_label(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Subnet {
        text.parse().expect("a network")
    }

    #[test]
    fn defaults_are_the_customary_addresses() {
        let config = UserNetConfig::default();
        assert_eq!(config.network.to_string(), "10.0.2.0/24");
        assert_eq!(config.host, Ipv4Addr::new(10, 0, 2, 2));
        assert_eq!(config.dns, Ipv4Addr::new(10, 0, 2, 3));
        assert_eq!(config.dhcp_start, Ipv4Addr::new(10, 0, 2, 15));
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn subnet_arithmetic() {
        let n = net("192.168.7.77/20");
        assert_eq!(n.base(), Ipv4Addr::new(192, 168, 0, 0));
        assert_eq!(n.mask(), Ipv4Addr::new(255, 255, 240, 0));
        assert_eq!(n.broadcast(), Ipv4Addr::new(192, 168, 15, 255));
        assert!(n.is_host(n.nth(1)) && !n.is_host(n.base()) && !n.is_host(n.broadcast()));
        assert!(!n.contains(Ipv4Addr::new(192, 168, 16, 0)));
        assert_eq!(mask_bits(0), 0);
        assert_eq!(mask_bits(32), u32::MAX);
    }

    #[test]
    fn survives_being_stored() {
        let forward = |text: &str| text.parse().expect("a forward");
        let config = UserNetConfig {
            hostname: Some("deb".into()),
            hostfwd: vec![forward("udp:[::1]:9-10.0.2.16:9"), forward("tcp:0.0.0.0:2222-:22")],
            restrict: true,
            ..UserNetConfig::in_network(net("172.16.0.0/12"))
        };
        let bytes = postcard::to_stdvec(&config).expect("bytes");
        assert_eq!(postcard::from_bytes::<UserNetConfig>(&bytes), Ok(config));
    }

    #[test]
    fn misfits_are_named() {
        let base = UserNetConfig::default();
        let outside = UserNetConfig { dns: Ipv4Addr::new(10, 0, 3, 3), ..base.clone() };
        assert!(matches!(outside.validate(), Err(ConfigError::Outside { what: "dns", .. })));
        let clash = UserNetConfig { dhcp_start: base.host, ..base.clone() };
        assert_eq!(clash.validate(), Err(ConfigError::Clash("host", "dhcpstart", base.host)));
        let narrow = UserNetConfig::in_network(net("10.0.2.0/30"));
        assert!(matches!(narrow.validate(), Err(ConfigError::Prefix(_))));
        let loopback = UserNetConfig::in_network(net("127.0.0.0/24"));
        assert!(matches!(loopback.validate(), Err(ConfigError::Reserved(_))));
        let name = UserNetConfig { hostname: Some("a b".into()), ..base.clone() };
        assert!(matches!(name.validate(), Err(ConfigError::Hostname(_))));
        let flows = UserNetConfig { max_flows: 0, ..base };
        assert_eq!(flows.validate(), Err(ConfigError::MaxFlows(0)));
    }
}
