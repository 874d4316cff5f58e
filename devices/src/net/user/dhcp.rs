//! The DHCP server (RFC 2131): one address per hardware address from a small pool, never taken back, since
//! the network lives no longer than its guest.

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress,
};

use super::config::{DHCP_POOL, UserNetConfig};
use super::packet::{self, ETHERNET_HEADER, MTU};

/// Lease time in seconds: a day, as QEMU's.
const LEASE: u32 = 86_400;
/// Length of a BOOTP message in bytes.
const MIN_MESSAGE: usize = 300;
/// Option code of the host name (RFC 2132, 3.14).
const OPT_HOST_NAME: u8 = 12;

/// The server.
pub struct DhcpServer {
    config: UserNetConfig,
    leases: Vec<EthernetAddress>,
}

/// An answer: the frame's content with room for the Ethernet header, and whom to send it.
pub struct Answer {
    /// Hardware address.
    pub mac: EthernetAddress,
    /// Room for the Ethernet header, then the IPv4 packet.
    pub frame: Vec<u8>,
}

impl DhcpServer {
    /// A server with all addresses free.
    pub fn new(config: &UserNetConfig) -> Self {
        Self { config: config.clone(), leases: Vec::new() }
    }

    /// Whether a datagram is for this server.
    pub fn is_for(&self, dst: SocketAddrV4) -> bool {
        dst.port() == DHCP_SERVER_PORT && (dst.ip().is_broadcast() || *dst.ip() == self.config.host)
    }

    /// Answers a client's message; none if it is malformed or needs no answer.
    pub fn answer(&mut self, message: &[u8]) -> Option<Answer> {
        let packet = DhcpPacket::new_checked(message).ok()?;
        let request = DhcpRepr::parse(&packet).ok()?;
        let mac = request.client_hardware_address;
        if !mac.is_unicast() {
            return None;
        }
        match request.message_type {
            DhcpMessageType::Discover => {
                let lease = self.lease(mac)?;
                self.reply(&request, DhcpMessageType::Offer, lease)
            }
            DhcpMessageType::Request => self.request(&request, mac),
            // The client has an address and asks for the rest (RFC 2131, 3.4): no address, no lease time.
            DhcpMessageType::Inform => self.reply(&request, DhcpMessageType::Ack, Ipv4Addr::UNSPECIFIED),
            _ => None,
        }
    }

    fn request(&mut self, request: &DhcpRepr<'_>, mac: EthernetAddress) -> Option<Answer> {
        if request.server_identifier.is_some_and(|server| server != self.config.host) {
            return None;
        }
        let lease = self.lease(mac)?;
        let wanted = request.requested_ip.unwrap_or(request.client_ip);
        if wanted == lease || wanted.is_unspecified() {
            self.reply(request, DhcpMessageType::Ack, lease)
        } else {
            self.reply(request, DhcpMessageType::Nak, Ipv4Addr::UNSPECIFIED)
        }
    }

    fn lease(&mut self, mac: EthernetAddress) -> Option<Ipv4Addr> {
        let index = match self.leases.iter().position(|m| *m == mac) {
            Some(index) => index,
            None => {
                self.free(self.leases.len())?;
                self.leases.push(mac);
                self.leases.len() - 1
            }
        };
        self.free(index)
    }

    /// The pool's `index`th address, if the pool is that large and the network too.
    fn free(&self, index: usize) -> Option<Ipv4Addr> {
        let index = u32::try_from(index).ok().filter(|i| *i < DHCP_POOL)?;
        let addr = Ipv4Addr::from(u32::from(self.config.dhcp_start).checked_add(index)?);
        let ours = addr == self.config.host || addr == self.config.dns;
        (self.config.network.is_host(addr) && !ours).then_some(addr)
    }

    fn reply(&self, request: &DhcpRepr<'_>, kind: DhcpMessageType, your_ip: Ipv4Addr) -> Option<Answer> {
        let name = self.config.hostname.as_deref().unwrap_or_default().as_bytes();
        let options = [DhcpOption { kind: OPT_HOST_NAME, data: name }];
        let granted = kind != DhcpMessageType::Nak;
        // An isolated guest is told no way out.
        let open = granted && !self.config.restrict;
        let mut reply = DhcpRepr {
            message_type: kind,
            transaction_id: request.transaction_id,
            secs: 0,
            client_hardware_address: request.client_hardware_address,
            client_ip: if granted { request.client_ip } else { Ipv4Addr::UNSPECIFIED },
            your_ip,
            server_ip: self.config.host,
            router: open.then_some(self.config.host),
            subnet_mask: granted.then(|| self.config.network.mask()),
            relay_agent_ip: request.relay_agent_ip,
            broadcast: request.broadcast,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(self.config.host),
            parameter_request_list: None,
            dns_servers: None,
            max_size: None,
            lease_duration: (granted && !your_ip.is_unspecified()).then_some(LEASE),
            renew_duration: None,
            rebind_duration: None,
            additional_options: if granted && !name.is_empty() { &options } else { &[] },
        };
        if open {
            // Room for one is certain.
            let _ = reply.dns_servers.get_or_insert_with(Default::default).push(self.config.dns);
        }
        // Relics of BOOTP discard anything shorter than its fixed format (RFC 1542, 2.1).
        let mut message = vec![0; reply.buffer_len().max(MIN_MESSAGE)];
        reply.emit(&mut DhcpPacket::new_unchecked(&mut message[..])).ok()?;
        Some(self.wrap(request, granted, &message))
    }

    /// A client that has an address gets the answer there, others by broadcast (RFC 2131, 4.1).
    fn wrap(&self, request: &DhcpRepr<'_>, granted: bool, message: &[u8]) -> Answer {
        let known = granted && !request.client_ip.is_unspecified();
        let addr = if known { request.client_ip } else { Ipv4Addr::BROADCAST };
        let to_all = request.broadcast || !granted;
        let mac = if to_all { EthernetAddress::BROADCAST } else { request.client_hardware_address };
        let src = SocketAddrV4::new(self.config.host, DHCP_SERVER_PORT);
        let dst = SocketAddrV4::new(addr, DHCP_CLIENT_PORT);
        let mut frame = Vec::with_capacity(ETHERNET_HEADER + MTU);
        frame.resize(ETHERNET_HEADER, 0);
        for part in packet::udp(src, dst, message, 0) {
            frame.extend_from_slice(&part);
        }
        Answer { mac, frame }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(n: u8) -> EthernetAddress {
        EthernetAddress([0x52, 0x54, 0, 0, 0, n])
    }

    fn ask(server: &mut DhcpServer, repr: &DhcpRepr<'_>) -> Option<(DhcpMessageType, Ipv4Addr, Vec<u8>)> {
        let mut message = vec![0; repr.buffer_len()];
        repr.emit(&mut DhcpPacket::new_unchecked(&mut message[..])).expect("room");
        let answer = server.answer(&message)?;
        let ip = packet::parse_ipv4(&answer.frame[ETHERNET_HEADER..]).expect("a packet");
        let (_, dst, data) = packet::parse_udp(&ip).expect("a datagram");
        assert_eq!(dst.port(), 68);
        let packet = DhcpPacket::new_checked(data).expect("DHCP");
        let reply = DhcpRepr::parse(&packet).expect("a message");
        assert_eq!(reply.transaction_id, 77);
        assert_eq!(reply.server_identifier, Some(Ipv4Addr::new(10, 0, 2, 2)));
        let name = packet.options().find(|o| o.kind == OPT_HOST_NAME).map(|o| o.data.to_vec());
        Some((reply.message_type, reply.your_ip, name.unwrap_or_default()))
    }

    fn message(kind: DhcpMessageType, n: u8, wanted: Option<[u8; 4]>) -> DhcpRepr<'static> {
        DhcpRepr {
            message_type: kind,
            transaction_id: 77,
            secs: 0,
            client_hardware_address: mac(n),
            client_ip: Ipv4Addr::UNSPECIFIED,
            your_ip: Ipv4Addr::UNSPECIFIED,
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: None,
            subnet_mask: None,
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: false,
            requested_ip: wanted.map(Ipv4Addr::from),
            client_identifier: Some(mac(n)),
            server_identifier: None,
            parameter_request_list: Some(&[1, 3, 6]),
            dns_servers: None,
            max_size: Some(1500),
            lease_duration: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        }
    }

    #[test]
    fn each_card_keeps_its_address() {
        let config = UserNetConfig { hostname: Some("deb".into()), ..UserNetConfig::default() };
        let mut server = DhcpServer::new(&config);
        let first = Ipv4Addr::new(10, 0, 2, 15);
        let offer = ask(&mut server, &message(DhcpMessageType::Discover, 1, None));
        assert_eq!(offer, Some((DhcpMessageType::Offer, first, b"deb".to_vec())));
        let other = ask(&mut server, &message(DhcpMessageType::Discover, 2, None));
        assert_eq!(other.map(|o| o.1), Some(Ipv4Addr::new(10, 0, 2, 16)));
        let ack = ask(&mut server, &message(DhcpMessageType::Request, 1, Some([10, 0, 2, 15])));
        assert_eq!(ack.map(|a| (a.0, a.1)), Some((DhcpMessageType::Ack, first)));
        let nak = ask(&mut server, &message(DhcpMessageType::Request, 1, Some([10, 0, 2, 99])));
        assert_eq!(nak.map(|a| a.0), Some(DhcpMessageType::Nak));
        let elsewhere = DhcpRepr {
            server_identifier: Some(Ipv4Addr::new(10, 0, 2, 9)),
            ..message(DhcpMessageType::Request, 1, None)
        };
        assert_eq!(ask(&mut server, &elsewhere), None);
        assert_eq!(ask(&mut server, &message(DhcpMessageType::Release, 1, None)), None);
    }

    #[test]
    fn the_pool_is_bounded() {
        let mut server = DhcpServer::new(&UserNetConfig::default());
        let got: Vec<bool> = (0..20)
            .map(|n| ask(&mut server, &message(DhcpMessageType::Discover, n, None)).is_some())
            .collect();
        assert_eq!(got.iter().filter(|g| **g).count(), DHCP_POOL as usize);
        assert!(server.leases.len() <= DHCP_POOL as usize);
        assert!(server.answer(b"nonsense").is_none());
    }
}
