//! The guest's Ethernet segment: the hardware address that stands for everything outside, ARP, and which
//! guest address lives at which hardware address.
//!
//! The TCP stack behind it sees IP only. So nothing a guest does to ARP can reach the stack, and the whole
//! subnet can be answered for without the stack knowing of it.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Ipv4Packet,
};

use super::config::{DHCP_POOL, Subnet, UserNetConfig};
use super::exchange::{Exchange, count};
use super::packet::ETHERNET_HEADER;

/// Guest addresses remembered at most; a guest with more is playing games, and its table starts afresh.
const MAX_NEIGHBOURS: usize = 256;
/// Least time between two ARP requests, in microseconds.
const ARP_INTERVAL: i64 = 200_000;

/// The segment.
pub struct Link {
    exchange: Arc<Exchange>,
    network: Subnet,
    host: Ipv4Addr,
    dns: Ipv4Addr,
    dhcp_start: Ipv4Addr,
    mac: EthernetAddress,
    neighbours: HashMap<Ipv4Addr, EthernetAddress>,
    last_request: Option<i64>,
    now: i64,
    delivered: bool,
}

impl Link {
    /// The segment of `config`'s network.
    pub fn new(config: &UserNetConfig, exchange: Arc<Exchange>) -> Self {
        Self {
            exchange,
            network: config.network,
            host: config.host,
            dns: config.dns,
            dhcp_start: config.dhcp_start,
            mac: gateway_mac(config.host),
            neighbours: HashMap::new(),
            last_request: None,
            now: 0,
            delivered: false,
        }
    }

    /// The meeting place with the card.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Sets the time, in microseconds.
    pub fn set_time(&mut self, now: i64) {
        self.now = now;
    }

    /// Whether the guest's queue takes another frame.
    pub fn has_room(&self) -> bool {
        self.exchange.has_room()
    }

    /// Whether frames were delivered since the last call.
    pub fn take_delivered(&mut self) -> bool {
        std::mem::take(&mut self.delivered)
    }

    /// Whether a frame is for us: addressed to the gateway, or to all.
    pub fn is_for_us(&self, frame: &EthernetFrame<&[u8]>) -> bool {
        let dst = frame.dst_addr();
        (dst == self.mac || dst.is_multicast() || dst.is_broadcast()) && frame.src_addr().is_unicast()
    }

    /// Whether `addr` can be a guest's: in the network, and none of ours.
    pub fn is_guest(&self, addr: Ipv4Addr) -> bool {
        self.network.is_host(addr) && addr != self.host && addr != self.dns
    }

    /// Remembers where a guest address lives.
    pub fn learn(&mut self, addr: Ipv4Addr, mac: EthernetAddress) {
        if !self.is_guest(addr) || !mac.is_unicast() || mac == self.mac {
            return;
        }
        if self.neighbours.len() >= MAX_NEIGHBOURS && !self.neighbours.contains_key(&addr) {
            self.neighbours.clear();
        }
        self.neighbours.insert(addr, mac);
    }

    /// Deals with an ARP packet; false if it is malformed.
    pub fn arp(&mut self, payload: &[u8]) -> bool {
        let Ok(packet) = ArpPacket::new_checked(payload) else { return false };
        let Ok(ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: mac,
            source_protocol_addr: sender,
            target_protocol_addr: target,
            ..
        }) = ArpRepr::parse(&packet)
        else {
            return false;
        };
        self.learn(sender, mac);
        if operation == ArpOperation::Request && mac.is_unicast() && self.answers_for(target, sender) {
            let reply = ArpRepr::EthernetIpv4 {
                operation: ArpOperation::Reply,
                source_hardware_addr: self.mac,
                source_protocol_addr: target,
                target_hardware_addr: mac,
                target_protocol_addr: sender,
            };
            self.send_arp(reply, mac);
        }
        true
    }

    /// Gateway and DNS always; other addresses of the network too, so that connections to them fail at once,
    /// but never one that a guest has or is about to take (RFC 5227 probes come from 0.0.0.0).
    fn answers_for(&self, target: Ipv4Addr, sender: Ipv4Addr) -> bool {
        if target == self.host || target == self.dns {
            return true;
        }
        let lease = u32::from(target).wrapping_sub(u32::from(self.dhcp_start)) < DHCP_POOL;
        self.network.is_host(target)
            && !sender.is_unspecified()
            && sender != target
            && !lease
            && !self.neighbours.contains_key(&target)
    }

    fn send_arp(&mut self, repr: ArpRepr, dst: EthernetAddress) {
        let mut bytes = vec![0; ETHERNET_HEADER + repr.buffer_len()];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
        frame.set_src_addr(self.mac);
        frame.set_dst_addr(dst);
        frame.set_ethertype(EthernetProtocol::Arp);
        repr.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
        self.deliver(bytes);
    }

    fn request(&mut self, target: Ipv4Addr) {
        if self.last_request.is_some_and(|t| self.now - t < ARP_INTERVAL) || !self.is_guest(target) {
            return;
        }
        self.last_request = Some(self.now);
        let request = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: self.mac,
            source_protocol_addr: self.host,
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: target,
        };
        self.send_arp(request, EthernetAddress::BROADCAST);
    }

    /// Sends an IPv4 packet to whom it is addressed. Where that is unknown, asks by ARP and drops the packet.
    pub fn send_ip(&mut self, packet: &[u8]) {
        let mut frame = vec![0; ETHERNET_HEADER];
        frame.extend_from_slice(packet);
        self.send_framed(frame);
    }

    /// The same for a packet which has room for the Ethernet header before it.
    pub fn send_framed(&mut self, frame: Vec<u8>) {
        let packet = frame.get(ETHERNET_HEADER..).unwrap_or_default();
        let Ok(ip) = Ipv4Packet::new_checked(packet) else { return };
        let dst = ip.dst_addr();
        match self.neighbours.get(&dst) {
            Some(&mac) => self.send_to(mac, frame),
            None => {
                count(&self.exchange.counters.rx_dropped);
                self.request(dst);
            }
        }
    }

    /// Sends an IPv4 packet, with room for the Ethernet header before it, to a hardware address.
    pub fn send_to(&mut self, mac: EthernetAddress, mut bytes: Vec<u8>) {
        if bytes.len() < ETHERNET_HEADER {
            return;
        }
        let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
        frame.set_src_addr(self.mac);
        frame.set_dst_addr(mac);
        frame.set_ethertype(EthernetProtocol::Ipv4);
        self.deliver(bytes);
    }

    fn deliver(&mut self, frame: Vec<u8>) {
        self.delivered = true;
        self.exchange.deliver(frame);
    }
}

/// The gateway's hardware address: QEMU's, which is `52:55` and the IP address.
fn gateway_mac(host: Ipv4Addr) -> EthernetAddress {
    let [a, b, c, d] = host.octets();
    EthernetAddress([0x52, 0x55, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    fn link() -> Link {
        let exchange = Arc::new(Exchange::new().expect("an eventfd"));
        Link::new(&UserNetConfig::default(), exchange)
    }

    fn ask(link: &mut Link, sender: [u8; 4], target: [u8; 4]) -> Option<ArpRepr> {
        let repr = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: GUEST,
            source_protocol_addr: Ipv4Addr::from(sender),
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: Ipv4Addr::from(target),
        };
        let mut bytes = vec![0; repr.buffer_len()];
        repr.emit(&mut ArpPacket::new_unchecked(&mut bytes[..]));
        assert!(link.arp(&bytes));
        let frame = link.exchange.fetch()?;
        let frame = EthernetFrame::new_checked(&frame[..]).expect("a frame");
        assert_eq!(frame.dst_addr(), GUEST);
        ArpRepr::parse(&ArpPacket::new_checked(frame.payload()).expect("ARP")).ok()
    }

    #[test]
    fn answers_for_all_but_guests() {
        let mut link = link();
        let me = [10, 0, 2, 15];
        for target in [[10, 0, 2, 2], [10, 0, 2, 3], [10, 0, 2, 77]] {
            let Some(ArpRepr::EthernetIpv4 { source_hardware_addr, source_protocol_addr, .. }) =
                ask(&mut link, me, target)
            else {
                panic!("no answer for {target:?}")
            };
            assert_eq!(source_hardware_addr, EthernetAddress([0x52, 0x55, 10, 0, 2, 2]));
            assert_eq!(source_protocol_addr.octets(), target);
        }
        for target in [me, [10, 0, 2, 16], [10, 0, 2, 255], [10, 0, 2, 0], [10, 0, 3, 1]] {
            assert!(ask(&mut link, me, target).is_none(), "{target:?}");
        }
        assert!(ask(&mut link, [0; 4], [10, 0, 2, 77]).is_none(), "a probe");
        assert!(ask(&mut link, [10, 0, 2, 88], [10, 0, 2, 2]).is_some());
        assert!(ask(&mut link, me, [10, 0, 2, 88]).is_none(), "a second guest");
    }

    #[test]
    fn nobody_takes_over_our_addresses_nor_fills_memory() {
        let mut link = link();
        link.learn(Ipv4Addr::new(10, 0, 2, 2), GUEST);
        link.learn(Ipv4Addr::new(8, 8, 8, 8), GUEST);
        link.learn(Ipv4Addr::new(10, 0, 2, 20), EthernetAddress::BROADCAST);
        assert!(link.neighbours.is_empty());
        link.network = "10.0.0.0/8".parse().expect("a network");
        for i in 0..10_000u32 {
            link.learn(Ipv4Addr::from(0x0a10_0000 + i), GUEST);
        }
        assert!(link.neighbours.len() <= MAX_NEIGHBOURS);
    }
}
