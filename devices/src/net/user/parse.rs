//! QEMU's words for a network: `user,id=n0,hostfwd=tcp::2222-:22,restrict=on`. Every mistake is reported
//! with the word it is in and where that word begins.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::config::{ConfigError, HostForward, Proto, Subnet, UserNetConfig};

/// Options that are understood, for messages.
const OPTIONS: &str = "id, net, host, dns, dhcpstart, hostname, hostfwd, restrict, ipv4, ipv6";

/// What is wrong with one word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// No such back end.
    #[error("unknown network back end {0:?}; there are `user` and `none`")]
    Backend(String),
    /// No such option.
    #[error("unknown option {0:?}; there are {OPTIONS}")]
    Option(String),
    /// An option without `=value`.
    #[error("option {0:?} needs a value")]
    NoValue(String),
    /// An option is given twice.
    #[error("option {0:?} is given twice")]
    Twice(String),
    /// A switch is neither on nor off.
    #[error("{0:?} is neither `on` nor `off`")]
    Switch(String),
    /// IPv6 asked for, or IPv4 refused.
    #[error("the user network speaks IPv4 only")]
    Ipv4Only,
    /// Not an IPv4 address.
    #[error("{0:?} is not an IPv4 address")]
    Address(String),
    /// Not an address to listen on.
    #[error("{0:?} is not an IP address; a host name will not do")]
    ListenAddress(String),
    /// Not a network.
    #[error("{0:?} is not a network such as 10.0.2.0/24")]
    Network(String),
    /// Not a port.
    #[error("{what} port {text:?} is not a number from {least} to 65535")]
    Port {
        /// Whose port.
        what: &'static str,
        /// What stands there.
        text: String,
        /// Least number allowed.
        least: u16,
    },
    /// Not a transport.
    #[error("{0:?} is neither `tcp` nor `udp`")]
    Proto(String),
    /// A forward without its parts.
    #[error("{0:?} is not of the form tcp:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT")]
    Forward(String),
    /// The words are fine one by one, but do not fit together.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// A mistake in a network's description, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error} (in `{word}`, character {at})")]
pub struct NetdevError {
    /// Character at which the word begins, counted from 1.
    pub at: usize,
    /// The word.
    pub word: String,
    /// What is wrong with it.
    #[source]
    pub error: WordError,
}

/// A network as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netdev {
    /// Name by which a card refers to it.
    pub id: Option<String>,
    /// What it is.
    pub kind: NetdevKind,
}

/// Kinds of networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetdevKind {
    /// No network.
    None,
    /// User-mode network.
    User(UserNetConfig),
}

/// Reads the argument of `-netdev`: `user` or `none`, then options separated by commas.
pub fn netdev(text: &str) -> Result<Netdev, NetdevError> {
    let mut words = Words { rest: Some(text), at: 1 };
    let (at, word) = words.next().unwrap_or((1, ""));
    let mut reader = Reader::default();
    let user = match word {
        "user" => true,
        "none" => false,
        _ => return Err(located(at, word, WordError::Backend(word.to_owned()))),
    };
    for (at, word) in words {
        reader.word(word, user).map_err(|error| located(at, word, error))?;
    }
    let id = reader.id.take();
    if !user {
        return Ok(Netdev { id, kind: NetdevKind::None });
    }
    let config = reader.finish();
    config.validate().map_err(|error| located(1, text, error.into()))?;
    Ok(Netdev { id, kind: NetdevKind::User(config) })
}

fn located(at: usize, word: &str, error: WordError) -> NetdevError {
    NetdevError { at, word: word.to_owned(), error }
}

/// Words between commas, with the character at which each begins.
struct Words<'a> {
    rest: Option<&'a str>,
    at: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = (usize, &'a str);
    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest?;
        let (word, rest) = match text.split_once(',') {
            Some((word, rest)) => (word, Some(rest)),
            None => (text, None),
        };
        let at = self.at;
        self.at += word.chars().count() + 1;
        self.rest = rest;
        Some((at, word))
    }
}

/// Options gathered so far; addresses which are not given follow from the network.
#[derive(Default)]
struct Reader {
    id: Option<String>,
    net: Option<Subnet>,
    host: Option<Ipv4Addr>,
    dns: Option<Ipv4Addr>,
    dhcp_start: Option<Ipv4Addr>,
    hostname: Option<String>,
    restrict: Option<bool>,
    hostfwd: Vec<HostForward>,
}

impl Reader {
    fn word(&mut self, word: &str, user: bool) -> Result<(), WordError> {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        if !user && name != "id" {
            return Err(WordError::Option(name.to_owned()));
        }
        match name {
            "id" | "net" | "host" | "dns" | "dhcpstart" | "hostname" | "hostfwd" | "restrict" | "ipv4"
            | "ipv6"
                if value.is_empty() =>
            {
                Err(WordError::NoValue(name.to_owned()))
            }
            "id" => once(&mut self.id, name, value.to_owned()),
            "net" => once(&mut self.net, name, subnet(value)?),
            "host" => once(&mut self.host, name, address(value)?),
            "dns" => once(&mut self.dns, name, address(value)?),
            "dhcpstart" => once(&mut self.dhcp_start, name, address(value)?),
            "hostname" => once(&mut self.hostname, name, value.to_owned()),
            "restrict" => once(&mut self.restrict, name, switch(value)?),
            "hostfwd" => {
                self.hostfwd.push(forward(value)?);
                Ok(())
            }
            "ipv4" if switch(value)? => Ok(()),
            "ipv6" if !switch(value)? => Ok(()),
            "ipv4" | "ipv6" => Err(WordError::Ipv4Only),
            _ => Err(WordError::Option(name.to_owned())),
        }
    }

    fn finish(self) -> UserNetConfig {
        let base = self.net.map(UserNetConfig::in_network).unwrap_or_default();
        UserNetConfig {
            host: self.host.unwrap_or(base.host),
            dns: self.dns.unwrap_or(base.dns),
            dhcp_start: self.dhcp_start.unwrap_or(base.dhcp_start),
            hostname: self.hostname,
            hostfwd: self.hostfwd,
            restrict: self.restrict.unwrap_or(false),
            ..base
        }
    }
}

fn once<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), WordError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(WordError::Twice(name.to_owned())),
    }
}

fn switch(text: &str) -> Result<bool, WordError> {
    match text {
        "on" | "yes" | "y" | "true" => Ok(true),
        "off" | "no" | "n" | "false" => Ok(false),
        _ => Err(WordError::Switch(text.to_owned())),
    }
}

fn address(text: &str) -> Result<Ipv4Addr, WordError> {
    text.parse().map_err(|_| WordError::Address(text.to_owned()))
}

/// `10.0.2.0/24`, or with a mask, `10.0.2.0/255.255.255.0`.
pub(super) fn subnet(text: &str) -> Result<Subnet, WordError> {
    let wrong = || WordError::Network(text.to_owned());
    let (addr, length) = text.split_once('/').ok_or_else(wrong)?;
    let addr: Ipv4Addr = addr.parse().map_err(|_| wrong())?;
    let prefix = if let Ok(mask) = length.parse::<Ipv4Addr>() {
        let bits = u32::from(mask);
        if bits.leading_ones() + bits.trailing_zeros() < 32 {
            return Err(wrong());
        }
        bits.leading_ones() as u8
    } else {
        length.parse().map_err(|_| wrong())?
    };
    Subnet::new(addr, prefix).ok_or_else(wrong)
}

/// `[tcp|udp]:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT`; an IPv6 host address stands in brackets.
pub(super) fn forward(text: &str) -> Result<HostForward, WordError> {
    let wrong = || WordError::Forward(text.to_owned());
    let (proto, rest) = text.split_once(':').ok_or_else(wrong)?;
    let proto = match proto {
        "tcp" | "" => Proto::Tcp,
        "udp" => Proto::Udp,
        _ => return Err(WordError::Proto(proto.to_owned())),
    };
    let (host, guest) = rest.rsplit_once('-').ok_or_else(wrong)?;
    let (host_addr, host_port) = host.rsplit_once(':').ok_or_else(wrong)?;
    let (guest_addr, guest_port) = guest.rsplit_once(':').ok_or_else(wrong)?;
    Ok(HostForward {
        proto,
        host_addr: listen_address(host_addr)?,
        host_port: port("host", host_port, 0)?,
        guest_addr: if guest_addr.is_empty() { None } else { Some(address(guest_addr)?) },
        guest_port: port("guest", guest_port, 1)?,
    })
}

fn listen_address(text: &str) -> Result<IpAddr, WordError> {
    if text.is_empty() {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let wrong = || WordError::ListenAddress(text.to_owned());
    match text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| wrong()),
        None => text.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| wrong()),
    }
}

fn port(what: &'static str, text: &str, least: u16) -> Result<u16, WordError> {
    match text.parse::<u16>() {
        Ok(port) if port >= least && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => Err(WordError::Port { what, text: text.to_owned(), least }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> UserNetConfig {
        match netdev(text).expect("a good description").kind {
            NetdevKind::User(config) => config,
            NetdevKind::None => panic!("not a user network"),
        }
    }

    fn wrong(text: &str) -> (usize, WordError) {
        let error = netdev(text).expect_err("a bad description");
        assert!(!error.to_string().is_empty());
        (error.at, error.error)
    }

    #[test]
    fn reads_what_qemu_reads() {
        let text = "user,id=n0,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=tcp::8080-10.0.2.15:80,\
                    hostfwd=udp:0.0.0.0:69-:69,restrict=on,net=10.0.2.0/24,hostname=deb";
        assert_eq!(netdev(text).map(|n| n.id), Ok(Some("n0".to_owned())));
        let config = user(text);
        assert!(config.restrict);
        assert_eq!(config.hostname.as_deref(), Some("deb"));
        let forwards: Vec<_> = config.hostfwd.iter().map(ToString::to_string).collect();
        assert_eq!(
            forwards,
            ["tcp:127.0.0.1:2222-:22", "tcp:127.0.0.1:8080-10.0.2.15:80", "udp:0.0.0.0:69-:69"]
        );
        assert_eq!(user("user"), UserNetConfig::default());
        assert_eq!(netdev("none,id=x").map(|n| n.kind), Ok(NetdevKind::None));
        assert_eq!(forward("tcp:[::1]:0-:22").map(|f| f.host_addr), Ok(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    }

    #[test]
    fn addresses_follow_the_network() {
        let config = user("user,net=192.168.76.0/255.255.255.0,dns=192.168.76.9,ipv6=off");
        assert_eq!(config.host, Ipv4Addr::new(192, 168, 76, 2));
        assert_eq!(config.dns, Ipv4Addr::new(192, 168, 76, 9));
        assert_eq!(config.dhcp_start, Ipv4Addr::new(192, 168, 76, 15));
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        assert_eq!(wrong("tap,id=a"), (1, WordError::Backend("tap".into())));
        assert_eq!(wrong("user,id=a,smb=/x"), (11, WordError::Option("smb".into())));
        assert_eq!(wrong("user,id="), (6, WordError::NoValue("id".into())));
        assert_eq!(wrong("user,restrict=maybe"), (6, WordError::Switch("maybe".into())));
        assert_eq!(wrong("user,host=10.0.2"), (6, WordError::Address("10.0.2".into())));
        assert_eq!(wrong("user,dns=10.0.2.5,dns=10.0.2.6"), (19, WordError::Twice("dns".into())));
        assert_eq!(wrong("user,ipv6=on"), (6, WordError::Ipv4Only));
        for net in ["10.0.2.0", "10.0.2.0/33", "x/24", "10.0.2.0/255.0.255.0"] {
            assert_eq!(wrong(&format!("user,net={net}")).1, WordError::Network(net.into()));
        }
        assert_eq!(wrong("user,hostfwd=sctp::1-:2").1, WordError::Proto("sctp".into()));
        assert_eq!(wrong("user,hostfwd=tcp:1-:2").1, WordError::Forward("tcp:1-:2".into()));
        assert_eq!(wrong("user,hostfwd=tcp:localhost:1-:2").1, WordError::ListenAddress("localhost".into()));
        assert!(matches!(wrong("user,hostfwd=tcp::70000-:2").1, WordError::Port { what: "host", .. }));
        assert!(matches!(wrong("user,hostfwd=tcp::1-:0").1, WordError::Port { what: "guest", .. }));
        assert!(matches!(
            wrong("user,net=10.9.0.0/24,host=10.0.2.2").1,
            WordError::Config(ConfigError::Outside { what: "host", .. })
        ));
        assert!(matches!(wrong("none,net=10.0.0.0/8").1, WordError::Option(_)));
    }
}
