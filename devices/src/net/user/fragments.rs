//! Putting the guest's fragmented IPv4 packets together again (RFC 791, 3.2).
//!
//! Fragments are a classic way to confuse and to hoard: few packets are kept at a time and not for long, and
//! a packet whose fragments overlap is dropped whole (RFC 5722 asks that of IPv6; honest senders never do it).
//! Only UDP and ICMP are taken; TCP fits its segments to the link.

use std::net::Ipv4Addr;

use smoltcp::wire::{IpProtocol, Ipv4Packet};

use super::packet::{IPV4_HEADER, whole_ipv4};

/// Packets in the making at most.
const MAX_PENDING: usize = 8;
/// Time for all fragments to come, in microseconds (RFC 1122, 3.3.2 has 60 s at least for real networks; this
/// one is a wire without delay).
const TIMEOUT: i64 = 5_000_000;
/// Longest payload of an IPv4 packet.
const MAX_PAYLOAD: usize = 65_535 - IPV4_HEADER;
/// Offsets count in units of this many bytes.
const BLOCK: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    ident: u16,
    protocol: IpProtocol,
}

struct Pending {
    key: Key,
    since: i64,
    payload: Vec<u8>,
    /// Which blocks have come.
    seen: Vec<bool>,
    /// Length of the payload, once its last fragment has come.
    total: Option<usize>,
}

/// Packets in the making.
#[derive(Default)]
pub struct Reassembler {
    pending: Vec<Pending>,
}

impl Reassembler {
    /// Takes an IPv4 packet whose lengths and header checksum are good and which is a fragment; returns the
    /// whole packet if this was the last one missing.
    pub fn add(&mut self, packet: &Ipv4Packet<&[u8]>, now: i64) -> Option<Vec<u8>> {
        let key = Key {
            src: packet.src_addr(),
            dst: packet.dst_addr(),
            ident: packet.ident(),
            protocol: packet.next_header(),
        };
        if !matches!(key.protocol, IpProtocol::Udp | IpProtocol::Icmp) {
            return None;
        }
        let index = self.find(key, now);
        let pending = self.pending.get_mut(index)?;
        let offset = usize::from(packet.frag_offset());
        match pending.add(offset, packet.payload(), packet.more_frags()) {
            Some(false) => None,
            Some(true) => {
                let done = self.pending.swap_remove(index);
                Some(whole_ipv4(key.src, key.dst, key.protocol, &done.payload))
            }
            None => {
                self.pending.swap_remove(index);
                None
            }
        }
    }

    /// The place of a packet in the making, old or new; the oldest gives way when there are too many.
    fn find(&mut self, key: Key, now: i64) -> usize {
        self.pending.retain(|p| now - p.since < TIMEOUT);
        if let Some(index) = self.pending.iter().position(|p| p.key == key) {
            return index;
        }
        if self.pending.len() >= MAX_PENDING
            && let Some((oldest, _)) = self.pending.iter().enumerate().min_by_key(|(_, p)| p.since)
        {
            self.pending.swap_remove(oldest);
        }
        self.pending.push(Pending { key, since: now, payload: Vec::new(), seen: Vec::new(), total: None });
        self.pending.len() - 1
    }
}

impl Pending {
    /// Adds a fragment. Some(true) if the packet is complete, none if it can never be.
    fn add(&mut self, offset: usize, part: &[u8], more: bool) -> Option<bool> {
        let end = offset + part.len();
        if part.is_empty() || end > MAX_PAYLOAD || (more && !part.len().is_multiple_of(BLOCK)) {
            return None;
        }
        if !more && self.total.replace(end).is_some() {
            return None;
        }
        if self.total.is_some_and(|total| self.payload.len().max(end) > total) {
            return None;
        }
        if self.payload.len() < end {
            self.payload.resize(end, 0);
            self.seen.resize(end.div_ceil(BLOCK), false);
        }
        let blocks = self.seen.get_mut(offset / BLOCK..end.div_ceil(BLOCK))?;
        if blocks.contains(&true) {
            return None;
        }
        blocks.fill(true);
        self.payload.get_mut(offset..end)?.copy_from_slice(part);
        Some(self.total.is_some() && !self.seen.contains(&false))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;

    use proptest::prelude::*;

    use super::*;
    use crate::net::user::packet::{parse_ipv4, parse_udp, udp};

    const A: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 15), 53);
    const B: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 4000);

    fn feed(r: &mut Reassembler, bytes: &[u8], now: i64) -> Option<Vec<u8>> {
        r.add(&Ipv4Packet::new_checked(bytes).expect("a packet"), now)
    }

    #[test]
    fn any_order_will_do() {
        for size in [1473, 1480, 4000, 65_507] {
            let data: Vec<u8> = (0..size).map(|i: u32| (i * 7 / 3) as u8).collect();
            let mut parts = udp(A, B, &data, 9);
            for _ in 0..2 {
                parts.reverse();
                let mut r = Reassembler::default();
                let (last, first) = parts.split_last().expect("parts");
                assert!(first.iter().all(|p| feed(&mut r, p, 0).is_none()));
                let whole = feed(&mut r, last, 0).expect("the whole");
                let ip = parse_ipv4(&whole).expect("a packet");
                assert_eq!(parse_udp(&ip), Some((A, B, &data[..])));
                assert!(r.pending.is_empty());
            }
        }
    }

    #[test]
    fn overlaps_and_latecomers_are_dropped() {
        let parts = udp(A, B, &[5; 4000], 9);
        let mut r = Reassembler::default();
        assert!(feed(&mut r, &parts[0], 0).is_none());
        assert!(feed(&mut r, &parts[0], 0).is_none());
        assert!(r.pending.is_empty(), "a repeat ends it");
        assert!(feed(&mut r, &parts[0], 0).is_none());
        assert!(feed(&mut r, &parts[1], TIMEOUT).is_none());
        assert!(feed(&mut r, &parts[2], TIMEOUT).is_none());
        assert_eq!(r.pending.len(), 1, "the first one came too long ago");
    }

    proptest! {
        #[test]
        fn nothing_is_hoarded(parts in proptest::collection::vec(
            (0u16..20, any::<u16>(), any::<bool>(), 0usize..1480), 0..200)) {
            let mut r = Reassembler::default();
            for (ident, offset, more, len) in parts {
                let mut bytes = whole_ipv4(*A.ip(), *B.ip(), IpProtocol::Udp, &vec![0; len]);
                let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
                packet.set_ident(ident);
                packet.set_frag_offset(offset & 0xfff8);
                packet.set_more_frags(more);
                if let Some(whole) = feed(&mut r, &bytes, 0) {
                    prop_assert!(parse_ipv4(&whole).is_some());
                }
                prop_assert!(r.pending.len() <= MAX_PENDING);
                prop_assert!(r.pending.iter().all(|p| p.payload.len() <= MAX_PAYLOAD));
            }
        }
    }
}
