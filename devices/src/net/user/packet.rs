//! IPv4 packets in and out: strict reading of what the guest sends, and the few kinds that are written here
//! rather than by the TCP stack (UDP, with fragmentation when a host datagram exceeds the guest's MTU, and ICMP).

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr, IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, TcpPacket,
    UdpPacket, UdpRepr,
};

/// Longest IP packet on the guest's link, in bytes.
pub const MTU: usize = 1500;
/// Length of an Ethernet II header.
pub const ETHERNET_HEADER: usize = 14;
/// Length of an IPv4 header without options.
pub const IPV4_HEADER: usize = 20;
/// Length of a UDP header.
const UDP_HEADER: usize = 8;
/// Hop limit of packets made here.
const TTL: u8 = 64;
/// Fragment payloads are multiples of 8 bytes (RFC 791, 3.1).
const FRAGMENT: usize = (MTU - IPV4_HEADER) / 8 * 8;

/// An IPv4 packet of the guest whose header has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The whole packet without link-layer padding.
    pub bytes: &'a [u8],
    /// Its payload.
    pub payload: &'a [u8],
    /// Sender.
    pub src: Ipv4Addr,
    /// Destination.
    pub dst: Ipv4Addr,
    /// What the payload is.
    pub protocol: IpProtocol,
}

/// A fragment of an IPv4 packet of the guest, its header checked.
pub fn parse_fragment(bytes: &[u8]) -> Option<Ipv4Packet<&[u8]>> {
    let packet = Ipv4Packet::new_checked(bytes).ok()?;
    let fragment = packet.more_frags() || packet.frag_offset() != 0;
    let header = packet.version() == 4 && usize::from(packet.header_len()) >= IPV4_HEADER;
    (fragment && header && packet.verify_checksum()).then_some(packet)
}

/// Checks an IPv4 packet: lengths, version, header checksum. Fragments are refused.
pub fn parse_ipv4(bytes: &[u8]) -> Option<Incoming<'_>> {
    let packet = Ipv4Packet::new_checked(bytes).ok()?;
    let header = usize::from(packet.header_len());
    let total = usize::from(packet.total_len());
    if header < IPV4_HEADER || packet.more_frags() || packet.frag_offset() != 0 {
        return None;
    }
    let repr = Ipv4Repr::parse(&packet, &ChecksumCapabilities::default()).ok()?;
    Some(Incoming {
        bytes: bytes.get(..total)?,
        payload: bytes.get(header..total)?,
        src: repr.src_addr,
        dst: repr.dst_addr,
        protocol: repr.next_header,
    })
}

/// A datagram of the guest: its ends and its payload.
pub type Datagram<'a> = (SocketAddrV4, SocketAddrV4, &'a [u8]);

/// Checks a UDP datagram.
pub fn parse_udp<'a>(ip: &Incoming<'a>) -> Option<Datagram<'a>> {
    let packet = UdpPacket::new_checked(ip.payload).ok()?;
    let (src, dst) = (IpAddress::Ipv4(ip.src), IpAddress::Ipv4(ip.dst));
    let repr = UdpRepr::parse(&packet, &src, &dst, &ChecksumCapabilities::default()).ok()?;
    if repr.src_port == 0 || repr.dst_port == 0 {
        return None;
    }
    let data = packet.payload();
    Some((SocketAddrV4::new(ip.src, repr.src_port), SocketAddrV4::new(ip.dst, repr.dst_port), data))
}

/// What decides on a TCP segment's fate before the stack sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The guest's end.
    pub guest: SocketAddrV4,
    /// The other end.
    pub remote: SocketAddrV4,
    /// It opens a connection: SYN without ACK, RST or FIN.
    pub opens: bool,
    /// It is a reset.
    pub resets: bool,
}

/// Checks a TCP segment.
pub fn parse_tcp(ip: &Incoming<'_>) -> Option<Segment> {
    let packet = TcpPacket::new_checked(ip.payload).ok()?;
    let (src, dst) = (IpAddress::Ipv4(ip.src), IpAddress::Ipv4(ip.dst));
    if packet.src_port() == 0 || packet.dst_port() == 0 || !packet.verify_checksum(&src, &dst) {
        return None;
    }
    Some(Segment {
        guest: SocketAddrV4::new(ip.src, packet.src_port()),
        remote: SocketAddrV4::new(ip.dst, packet.dst_port()),
        opens: packet.syn() && !packet.ack() && !packet.rst() && !packet.fin(),
        resets: packet.rst(),
    })
}

/// The answer to an ICMP echo request, as IPv4 packets (see [`udp`] on `ident`).
pub fn echo_reply(ip: &Incoming<'_>, ident: u16) -> Option<Vec<Vec<u8>>> {
    let packet = Icmpv4Packet::new_checked(ip.payload).ok()?;
    match Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default()).ok()? {
        Icmpv4Repr::EchoRequest { ident: id, seq_no, data } => {
            let message = icmp(Icmpv4Repr::EchoReply { ident: id, seq_no, data });
            Some(split(ip.dst, ip.src, IpProtocol::Icmp, &message, ident))
        }
        _ => None,
    }
}

/// "Port unreachable" for a datagram from `guest` to `remote`. Receivers match it by the ports in the quoted
/// first 8 bytes (RFC 792), so that is all which is quoted.
pub fn unreachable(guest: SocketAddrV4, remote: SocketAddrV4, reason: Icmpv4DstUnreachable) -> Vec<u8> {
    let mut quoted = [0u8; UDP_HEADER];
    let mut udp = UdpPacket::new_unchecked(&mut quoted[..]);
    udp.set_src_port(guest.port());
    udp.set_dst_port(remote.port());
    udp.set_len(UDP_HEADER as u16);
    let header = ipv4_header(*guest.ip(), *remote.ip(), IpProtocol::Udp, UDP_HEADER);
    let message = icmp(Icmpv4Repr::DstUnreachable { reason, header, data: &quoted });
    whole_ipv4(*remote.ip(), *guest.ip(), IpProtocol::Icmp, &message)
}

fn icmp(repr: Icmpv4Repr<'_>) -> Vec<u8> {
    let mut message = vec![0; repr.buffer_len()];
    repr.emit(&mut Icmpv4Packet::new_unchecked(&mut message[..]), &ChecksumCapabilities::default());
    message
}

fn ipv4_header(src: Ipv4Addr, dst: Ipv4Addr, next_header: IpProtocol, payload_len: usize) -> Ipv4Repr {
    Ipv4Repr { src_addr: src, dst_addr: dst, next_header, payload_len, hop_limit: TTL }
}

/// The IPv4 packets (several if it must be fragmented) of a UDP datagram; none if `data` is too long for any.
/// `ident` tells one fragmented datagram from another.
pub fn udp(src: SocketAddrV4, dst: SocketAddrV4, data: &[u8], ident: u16) -> Vec<Vec<u8>> {
    let length = UDP_HEADER + data.len();
    if length + IPV4_HEADER > usize::from(u16::MAX) {
        return Vec::new();
    }
    let mut datagram = vec![0; length];
    let repr = UdpRepr { src_port: src.port(), dst_port: dst.port() };
    repr.emit(
        &mut UdpPacket::new_unchecked(&mut datagram[..]),
        &IpAddress::Ipv4(*src.ip()),
        &IpAddress::Ipv4(*dst.ip()),
        data.len(),
        |payload| payload.copy_from_slice(data),
        &ChecksumCapabilities::default(),
    );
    split(*src.ip(), *dst.ip(), IpProtocol::Udp, &datagram, ident)
}

/// IPv4 packets that carry `payload`: one, or fragments if it is too long for the link.
fn split(src: Ipv4Addr, dst: Ipv4Addr, protocol: IpProtocol, payload: &[u8], ident: u16) -> Vec<Vec<u8>> {
    if payload.len() + IPV4_HEADER <= MTU {
        return vec![whole_ipv4(src, dst, protocol, payload)];
    }
    let last = payload.len().saturating_sub(1) / FRAGMENT;
    let fragment = |(i, part): (usize, &[u8])| {
        let mut bytes = whole_ipv4(src, dst, protocol, part);
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
        packet.set_ident(ident);
        packet.set_dont_frag(false);
        packet.set_more_frags(i < last);
        packet.set_frag_offset((i * FRAGMENT) as u16);
        packet.fill_checksum();
        bytes
    };
    payload.chunks(FRAGMENT).enumerate().map(fragment).collect()
}

/// One IPv4 packet around `payload`, which must fit in one.
pub fn whole_ipv4(src: Ipv4Addr, dst: Ipv4Addr, protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let header = ipv4_header(src, dst, protocol, payload.len());
    let mut bytes = vec![0; IPV4_HEADER + payload.len()];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
    header.emit(&mut packet, &ChecksumCapabilities::default());
    packet.payload_mut().copy_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 53);
    const B: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 15), 4000);

    #[test]
    fn udp_round_trip() {
        let packets = udp(A, B, b"hello", 1);
        assert_eq!(packets.len(), 1);
        let ip = parse_ipv4(&packets[0]).expect("a valid packet");
        assert_eq!(parse_udp(&ip), Some((A, B, &b"hello"[..])));
    }

    #[test]
    fn long_datagrams_are_fragmented() {
        let data: Vec<u8> = (0..4000u32).map(|i| i as u8).collect();
        let packets = udp(A, B, &data, 7);
        let mut whole = Vec::new();
        for (i, bytes) in packets.iter().enumerate() {
            assert!(bytes.len() <= MTU);
            assert!(parse_ipv4(bytes).is_none(), "fragments are not taken back in");
            let packet = Ipv4Packet::new_checked(&bytes[..]).expect("well formed");
            assert!(packet.verify_checksum());
            assert_eq!(packet.ident(), 7);
            assert_eq!(usize::from(packet.frag_offset()), whole.len());
            assert_eq!(packet.more_frags(), i + 1 < packets.len());
            whole.extend_from_slice(packet.payload());
        }
        let udp = UdpPacket::new_checked(&whole[..]).expect("a datagram");
        assert!(udp.verify_checksum(&IpAddress::Ipv4(*A.ip()), &IpAddress::Ipv4(*B.ip())));
        assert_eq!(udp.payload(), data);
        assert!(udp_too_long().is_empty());
    }

    fn udp_too_long() -> Vec<Vec<u8>> {
        udp(A, B, &vec![0; 65508], 1)
    }

    #[test]
    fn bad_packets_are_refused() {
        let good = udp(A, B, b"hello", 1).remove(0);
        for cut in 0..good.len() {
            assert!(parse_ipv4(&good[..cut]).is_none());
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let read = parse_ipv4(&bad).and_then(|ip| parse_udp(&ip).map(|d| (d.0, d.1, d.2.to_vec())));
            assert_ne!(read, Some((A, B, b"hello".to_vec())), "bit {bit}");
        }
        assert!(parse_ipv4(&[]).is_none());
    }

    #[test]
    fn unreachable_names_the_flow() {
        let bytes = unreachable(B, A, Icmpv4DstUnreachable::PortUnreachable);
        let ip = parse_ipv4(&bytes).expect("valid");
        assert_eq!((ip.src, ip.dst, ip.protocol), (*A.ip(), *B.ip(), IpProtocol::Icmp));
        let packet = Icmpv4Packet::new_checked(ip.payload).expect("ICMP");
        assert!(matches!(
            Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default()),
            Ok(Icmpv4Repr::DstUnreachable { header, .. }) if header.src_addr == *B.ip()
        ));
    }
}
