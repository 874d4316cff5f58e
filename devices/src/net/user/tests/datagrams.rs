//! UDP, DNS, DHCP, ARP and ping.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress,
};

use super::guest::{ADDR, DNS, Guest, HOST, MAC};
use crate::net::NetBackend;
use crate::net::user::packet;
use crate::net::user::{HostForward, UserNetConfig};

fn loopback() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    let at = socket.local_addr().expect("an address");
    (socket, at)
}

/// A whole frame from the guest to everyone.
fn broadcast(ip: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 14 + ip.len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_src_addr(MAC);
    frame.set_dst_addr(EthernetAddress::BROADCAST);
    frame.set_ethertype(EthernetProtocol::Ipv4);
    frame.payload_mut().copy_from_slice(ip);
    bytes
}

/// Says something by DHCP and returns the answer: kind, address, mask, router, name servers.
fn dhcp(guest: &mut Guest, kind: DhcpMessageType, wanted: Option<Ipv4Addr>) -> Lease {
    let none = Ipv4Addr::UNSPECIFIED;
    let repr = DhcpRepr {
        message_type: kind,
        transaction_id: 0xabcd,
        secs: 0,
        client_hardware_address: MAC,
        client_ip: none,
        your_ip: none,
        server_ip: none,
        router: None,
        subnet_mask: None,
        relay_agent_ip: none,
        broadcast: false,
        requested_ip: wanted,
        client_identifier: None,
        server_identifier: wanted.map(|_| HOST),
        parameter_request_list: Some(&[1, 3, 6, 12]),
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut message = vec![0; repr.buffer_len()];
    repr.emit(&mut DhcpPacket::new_unchecked(&mut message[..])).expect("room");
    let (src, dst) = (SocketAddrV4::new(none, 68), SocketAddrV4::new(Ipv4Addr::BROADCAST, 67));
    for part in packet::udp(src, dst, &message, 0) {
        guest.card.0.transmit(&broadcast(&part));
    }
    guest.frame("DHCP", |bytes| {
        let frame = EthernetFrame::new_checked(bytes).ok()?;
        let ip = packet::parse_ipv4(frame.payload())?;
        let (from, to, data) = packet::parse_udp(&ip)?;
        assert_eq!((*from.ip(), from.port(), to.port()), (HOST, 67, 68));
        assert_eq!(frame.dst_addr(), MAC);
        let packet = DhcpPacket::new_checked(data).ok()?;
        let reply = DhcpRepr::parse(&packet).ok()?;
        assert_eq!((reply.transaction_id, reply.client_hardware_address), (0xabcd, MAC));
        Some(Lease {
            kind: reply.message_type,
            addr: reply.your_ip,
            mask: reply.subnet_mask,
            router: reply.router,
            dns: reply.dns_servers.map(|d| d.to_vec()).unwrap_or_default(),
            time: reply.lease_duration,
        })
    })
}

#[derive(Debug, PartialEq)]
struct Lease {
    kind: DhcpMessageType,
    addr: Ipv4Addr,
    mask: Option<Ipv4Addr>,
    router: Option<Ipv4Addr>,
    dns: Vec<Ipv4Addr>,
    time: Option<u32>,
}

#[test]
fn dhcp_gives_a_lease() {
    let mut guest = Guest::customary();
    let offer = dhcp(&mut guest, DhcpMessageType::Discover, None);
    let expected = |kind| Lease {
        kind,
        addr: ADDR,
        mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
        router: Some(HOST),
        dns: vec![DNS],
        time: Some(86_400),
    };
    assert_eq!(offer, expected(DhcpMessageType::Offer));
    let ack = dhcp(&mut guest, DhcpMessageType::Request, Some(offer.addr));
    assert_eq!(ack, expected(DhcpMessageType::Ack));
}

#[test]
fn an_isolated_guest_is_told_no_way_out() {
    let mut guest = Guest::new(&UserNetConfig { restrict: true, ..UserNetConfig::default() });
    let offer = dhcp(&mut guest, DhcpMessageType::Discover, None);
    assert_eq!((offer.addr, offer.router, offer.dns), (ADDR, None, Vec::new()));
    guest.ping(HOST);
}

#[test]
fn gateway_and_name_server_answer_pings() {
    let mut guest = Guest::customary();
    guest.ping(HOST);
    guest.ping(DNS);
}

#[test]
fn datagrams_go_out_and_back() {
    let (server, at) = loopback();
    let mut guest = Guest::customary();
    let socket = guest.udp_socket(5000);
    let to = (IpAddress::Ipv4(HOST), at.port());
    for size in [0, 1, 100, 1472] {
        let data = vec![size as u8; size];
        guest.udp(socket).send_slice(&data, to).expect("room");
        guest.poll();
        guest.poll();
        let mut buf = [0; 2000];
        // The first one waits for the guest's ARP.
        server.set_nonblocking(true).expect("a socket");
        let mut got = None;
        guest.until("the datagram", |_| {
            got = server.recv_from(&mut buf).ok();
            got.is_some()
        });
        let (n, peer) = got.expect("a datagram");
        assert_eq!(buf[..n], data);
        server.send_to(&buf[..n], peer).expect("room");
        assert_eq!(guest.datagram(socket), (data, SocketAddr::from((HOST, at.port()))));
    }
    assert_eq!(guest.metrics().udp_flows, 1);
}

#[test]
fn long_datagrams_travel_in_fragments() {
    let (server, at) = loopback();
    let mut guest = Guest::customary();
    guest.ping(HOST);
    let data = super::guest::noise(20_000);
    let (me, remote) = (SocketAddrV4::new(ADDR, 5000), SocketAddrV4::new(HOST, at.port()));
    for part in packet::udp(me, remote, &data, 3) {
        guest.card.0.transmit(&broadcast(&part));
    }
    let mut buf = vec![0; 65_536];
    let (n, peer) = server.recv_from(&mut buf).expect("the datagram");
    assert!(buf[..n] == data);
    server.send_to(&data[..10_000], peer).expect("room");
    let mut whole = vec![0; 8 + 10_000];
    let mut missing = whole.len();
    guest.frame("fragments", |bytes| {
        let part = packet::parse_fragment(bytes.get(14..)?)?;
        let at = usize::from(part.frag_offset());
        whole[at..at + part.payload().len()].copy_from_slice(part.payload());
        missing -= part.payload().len();
        (missing == 0).then_some(())
    });
    assert!(whole[8..] == data[..10_000]);
}

#[test]
fn only_the_peer_can_answer() {
    let (server, at) = loopback();
    let (stranger, _) = loopback();
    let mut guest = Guest::customary();
    let socket = guest.udp_socket(5000);
    guest.udp(socket).send_slice(b"hello", (IpAddress::Ipv4(HOST), at.port())).expect("room");
    let mut buf = [0; 100];
    server.set_nonblocking(true).expect("a socket");
    let mut peer = None;
    guest.until("the datagram", |_| {
        peer = server.recv_from(&mut buf).ok().map(|(_, p)| p);
        peer.is_some()
    });
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, peer.expect("a peer").port()));
    stranger.send_to(b"evil", peer).ok();
    server.send_to(b"good", peer).expect("room");
    assert_eq!(guest.datagram(socket).0, b"good");
}

#[test]
fn unreachable_ports_are_reported() {
    let (server, at) = loopback();
    drop(server);
    let mut guest = Guest::customary();
    guest.ping(HOST);
    let (me, remote) = (SocketAddrV4::new(ADDR, 5000), SocketAddrV4::new(HOST, at.port()));
    for part in packet::udp(me, remote, b"anybody?", 0) {
        guest.card.0.transmit(&broadcast(&part));
    }
    let quoted = guest.frame("ICMP", |bytes| {
        let ip = packet::parse_ipv4(bytes.get(14..)?)?;
        (ip.protocol == smoltcp::wire::IpProtocol::Icmp).then(|| ip.payload.to_vec())
    });
    assert_eq!(quoted[..2], [3, 3], "port unreachable");
    assert_eq!(quoted[8 + 20..8 + 24], [0x13, 0x88, (at.port() >> 8) as u8, at.port() as u8]);
}

#[test]
fn queries_go_to_the_hosts_name_server_or_the_next() {
    let (dead, dead_at) = loopback();
    drop(dead);
    let (server, at) = loopback();
    server.set_nonblocking(true).expect("a socket");
    let mut guest = Guest::with_resolvers(&UserNetConfig::default(), vec![dead_at, at]);
    let to = (IpAddress::Ipv4(DNS), 53);
    let mut buf = [0; 600];
    let (mut asked, mut got) = (0, None);
    let mut next = std::time::Instant::now();
    let mut socket = None;
    guest.until("the query", |g| {
        if std::time::Instant::now() >= next {
            next += Duration::from_millis(300);
            asked += 1;
            let handle = g.udp_socket(6000 + asked);
            g.udp(handle).send_slice(b"query", to).expect("room");
            socket = Some(handle);
        }
        got = server.recv_from(&mut buf).ok();
        got.is_some()
    });
    assert!(asked >= 2, "the first server is dead");
    let (n, peer) = got.expect("a query");
    assert_eq!(&buf[..n], b"query");
    server.send_to(b"answer", peer).expect("room");
    let socket = socket.expect("a socket");
    assert_eq!(guest.datagram(socket), (b"answer".to_vec(), SocketAddr::from((DNS, 53))));
}

#[test]
fn a_forward_leads_into_the_guest() {
    let forward: HostForward = "udp:127.0.0.1:0-:9".parse().expect("a forward");
    let config = UserNetConfig { hostfwd: vec![forward], restrict: true, ..UserNetConfig::default() };
    let mut guest = Guest::new(&config);
    let (_, at) = guest.card.0.forwards()[0];
    let socket = guest.udp_socket(9);
    guest.ping(HOST);
    let (client, _) = loopback();
    client.set_nonblocking(true).expect("a socket");
    client.send_to(b"ping", at).expect("room");
    let (data, from) = guest.datagram(socket);
    assert_eq!((&data[..], from.ip()), (&b"ping"[..], HOST.into()));
    guest.udp(socket).send_slice(b"pong", (IpAddress::Ipv4(HOST), from.port())).expect("room");
    let mut buf = [0; 100];
    let mut got = None;
    guest.until("the answer", |_| {
        got = client.recv_from(&mut buf).ok();
        got.is_some()
    });
    assert_eq!(got, Some((4, at)));
    assert_eq!(&buf[..4], b"pong");
}

#[test]
fn old_flows_give_way_to_new_ones() {
    let mut guest = Guest::new(&UserNetConfig { max_flows: 8, ..UserNetConfig::default() });
    guest.ping(HOST);
    let (server, at) = loopback();
    let remote = SocketAddrV4::new(HOST, at.port());
    for port in 1..=100 {
        for part in packet::udp(SocketAddrV4::new(ADDR, port), remote, b"x", 0) {
            guest.card.0.transmit(&broadcast(&part));
        }
        server.recv_from(&mut [0; 10]).expect("the datagram");
    }
    guest.until("the count", |g| g.metrics().udp_flows == 8);
}
