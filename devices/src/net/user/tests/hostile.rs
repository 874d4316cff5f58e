//! A guest that sends anything at all.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::sync::LazyLock;

use parking_lot::Mutex;
use proptest::prelude::*;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket,
};

use super::guest::{ADDR, DNS, Guest, HOST, MAC};
use crate::net::NetBackend;
use crate::net::user::packet;

const GATEWAY: [u8; 6] = [0x52, 0x55, 10, 0, 2, 2];

/// One guest for all cases, so that each meets what the ones before it left behind.
static GUEST: LazyLock<Mutex<(Guest, TcpListener, u16)>> = LazyLock::new(|| {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    Mutex::new((Guest::customary(), listener, port))
});

fn frame(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = GATEWAY.to_vec();
    bytes.extend(MAC.0);
    bytes.extend(ethertype.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Sends frames, lets the network digest them, and sees whether it still lives.
fn survive(guest: &mut Guest, frames: &[Vec<u8>]) {
    for frame in frames {
        guest.card.0.transmit(frame);
    }
    let mut buf = Vec::new();
    while guest.card.0.receive(&mut buf) {}
    guest.ping(HOST);
    let metrics = guest.metrics();
    assert_eq!(metrics.stack_faults, 0);
    assert!(metrics.tcp_flows + metrics.udp_flows <= 1024);
}

/// An address that a guest might put anywhere. None leads beyond the loopback.
fn address() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![
        4 => Just(ADDR),
        4 => Just(HOST),
        1 => Just(DNS),
        1 => Just(Ipv4Addr::UNSPECIFIED),
        1 => Just(Ipv4Addr::BROADCAST),
        1 => Just(Ipv4Addr::new(10, 0, 2, 255)),
        1 => Just(Ipv4Addr::new(10, 0, 2, 0)),
        1 => Just(Ipv4Addr::LOCALHOST),
        1 => Just(Ipv4Addr::new(224, 0, 0, 1)),
        1 => Just(Ipv4Addr::new(240, 0, 0, 1)),
        1 => any::<u8>().prop_map(|n| Ipv4Addr::new(10, 0, 2, n)),
    ]
}

#[derive(Clone, Debug)]
struct Seg {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    ports: (u16, u16),
    seq: i32,
    ack: Option<i32>,
    flags: u8,
    window: u16,
    mss: Option<u16>,
    scale: Option<u8>,
    payload: Vec<u8>,
    options: Option<(u8, Vec<u8>)>,
}

fn seg() -> impl Strategy<Value = Seg> {
    let near = || prop_oneof![Just(0), Just(1), Just(-1), Just(i32::MAX), Just(i32::MIN), any::<i32>()];
    let ports = (prop_oneof![Just(1000), Just(1001), Just(0), any::<u16>()], 0u16..4);
    (
        (address(), address(), ports, near(), proptest::option::of(near()), any::<u8>()),
        (any::<u16>(), proptest::option::of(any::<u16>()), proptest::option::of(any::<u8>())),
        proptest::collection::vec(any::<u8>(), 0..64),
        proptest::option::of((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40))),
    )
        .prop_map(|((src, dst, ports, seq, ack, flags), (window, mss, scale), payload, options)| Seg {
            src,
            dst,
            ports,
            seq,
            ack,
            flags,
            window,
            mss,
            scale,
            payload,
            options,
        })
}

/// A segment with good checksums and otherwise whatever was asked for.
fn tcp(seg: &Seg, open_port: u16) -> Vec<u8> {
    let repr = TcpRepr {
        src_port: seg.ports.0.max(1),
        dst_port: if seg.ports.1 == 0 { seg.ports.0.max(1) } else { open_port },
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(seg.seq),
        ack_number: seg.ack.map(TcpSeqNumber),
        window_len: seg.window,
        window_scale: seg.scale,
        max_seg_size: seg.mss,
        sack_permitted: seg.flags & 0x40 != 0,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &seg.payload,
    };
    let header = Ipv4Repr {
        src_addr: seg.src,
        dst_addr: seg.dst,
        next_header: IpProtocol::Tcp,
        payload_len: repr.buffer_len(),
        hop_limit: 64,
    };
    let mut bytes = vec![0; 20 + repr.buffer_len()];
    let checksums = ChecksumCapabilities::default();
    header.emit(&mut Ipv4Packet::new_unchecked(&mut bytes[..]), &checksums);
    let (src, dst) = (IpAddress::Ipv4(seg.src), IpAddress::Ipv4(seg.dst));
    repr.emit(&mut TcpPacket::new_unchecked(&mut bytes[20..]), &src, &dst, &checksums);
    if seg.flags & 0x80 == 0 {
        // Any combination of flags, reserved ones too.
        bytes[20 + 13] = seg.flags;
    }
    if let Some((at, options)) = &seg.options {
        let at = 40 + usize::from(*at) % 20;
        for (byte, new) in bytes.iter_mut().skip(at).zip(options) {
            *byte = *new;
        }
    }
    TcpPacket::new_unchecked(&mut bytes[20..]).fill_checksum(&src, &dst);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_is_survived(frames in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..200), 1..20)) {
        let mut guard = GUEST.lock();
        survive(&mut guard.0, &frames);
    }

    #[test]
    fn noise_behind_good_headers_is_survived(
        ethertype in prop_oneof![Just(0x0800u16), Just(0x0806), Just(0x86dd), Just(0x8100), any::<u16>()],
        protocol in prop_oneof![Just(1u8), Just(6), Just(17), any::<u8>()],
        src in address(), dst in address(),
        payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        let header = Ipv4Repr {
            src_addr: src, dst_addr: dst, next_header: protocol.into(), payload_len: payload.len(),
            hop_limit: 64,
        };
        let mut ip = vec![0; 20];
        ip.extend(&payload);
        header.emit(&mut Ipv4Packet::new_unchecked(&mut ip[..]), &ChecksumCapabilities::default());
        let mut guard = GUEST.lock();
        survive(&mut guard.0, &[frame(ethertype, &payload), frame(0x0800, &ip)]);
    }

    #[test]
    fn mutated_datagrams_are_survived(
        src in address(), dst in address(), ports in (any::<u16>(), prop_oneof![Just(67u16), Just(53), Just(0)]),
        data in proptest::collection::vec(any::<u8>(), 0..400),
        length in proptest::option::of(any::<u16>()), cut in any::<prop::sample::Index>()) {
        // Port 53 elsewhere than at the DNS address would leave the loopback only for outside addresses.
        let (from, to) = (SocketAddrV4::new(src, ports.0), SocketAddrV4::new(dst, ports.1));
        let mut ip = packet::udp(from, to, &data, 0).remove(0);
        if let Some(length) = length {
            UdpPacket::new_unchecked(&mut ip[20..]).set_len(length);
        }
        let short = ip[..cut.index(ip.len())].to_vec();
        let mut guard = GUEST.lock();
        survive(&mut guard.0, &[frame(0x0800, &ip), frame(0x0800, &short)]);
    }

    #[test]
    fn any_segments_are_survived(segs in proptest::collection::vec(seg(), 1..40)) {
        let mut guard = GUEST.lock();
        let (guest, listener, port) = &mut *guard;
        let frames: Vec<_> = segs.iter().map(|s| frame(0x0800, &tcp(s, *port))).collect();
        survive(guest, &frames);
        while listener.accept().is_ok() {}
    }
}

/// Segments that fit an open connection, up to one field: these reach deepest into the stack.
#[test]
fn a_connection_with_a_lying_guest_harms_nobody() {
    let mut guest = Guest::customary();
    guest.ping(HOST);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let random = super::guest::noise(8 * 3000);
    let mut next = random.chunks(8).map(|c| u64::from_le_bytes(c.try_into().expect("eight bytes")));
    for round in 0..60u16 {
        let plain = Seg {
            src: ADDR,
            dst: HOST,
            ports: (2000 + round, 1),
            seq: 100,
            ack: None,
            flags: 0x80,
            window: 1000,
            mss: Some(1460),
            scale: Some(7),
            payload: Vec::new(),
            options: None,
        };
        guest.card.0.transmit(&frame(0x0800, &tcp(&plain, port)));
        let theirs = guest.frame("SYN-ACK", |bytes| {
            let ip = packet::parse_ipv4(bytes.get(14..)?)?;
            let segment = TcpPacket::new_checked(ip.payload).ok()?;
            (segment.dst_port() == 2000 + round && segment.syn()).then(|| segment.seq_number().0)
        });
        let (mut host, _) = listener.accept().expect("a client");
        let ack = |n: i32| Some(theirs.wrapping_add(n));
        let open = Seg { seq: 101, ack: ack(1), flags: 0x10, mss: None, scale: None, ..plain.clone() };
        guest.card.0.transmit(&frame(0x0800, &tcp(&open, port)));
        std::io::Write::write_all(&mut host, &[9; 3000]).expect("room");
        for _ in 0..40 {
            let r = next.next().expect("enough noise");
            let far = [0, 1, -1, 1500, 3001, 3002, 70_000, -70_000, i32::MAX, i32::MIN][(r % 10) as usize];
            let jump = [0, 1, -1, 100, 65_535, 65_536, -1000, i32::MAX, i32::MIN][(r / 16 % 9) as usize];
            let flags = [0x10, 0x11, 0x18, 0x12, 0x14, 0x01, 0x10, 0x10, 0x31][(r / 256 % 9) as usize];
            let lie = Seg {
                seq: 101i32.wrapping_add(jump),
                ack: ack(1i32.wrapping_add(far)),
                flags,
                window: (r >> 20) as u16,
                payload: vec![1; (r / 4096 % 60) as usize],
                ..open.clone()
            };
            guest.card.0.transmit(&frame(0x0800, &tcp(&lie, port)));
        }
        survive(&mut guest, &[]);
    }
}
