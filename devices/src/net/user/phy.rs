//! The TCP stack's network card: one packet in at a time, packets out straight to the guest's segment.
//!
//! Feeding packets singly is what lets the NAT open a listening socket for exactly one SYN.

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

use super::link::Link;
use super::packet::{ETHERNET_HEADER, MTU};

/// The card, for the time of one call of the stack.
pub struct Phy<'a> {
    link: &'a mut Link,
    packet: Option<&'a [u8]>,
}

impl<'a> Phy<'a> {
    /// A card with `packet` waiting to be read.
    pub fn new(link: &'a mut Link, packet: Option<&'a [u8]>) -> Self {
        Self { link, packet }
    }
}

/// A packet of the guest.
pub struct Rx<'a>(&'a [u8]);

/// Leave to send one packet.
pub struct Tx<'a>(&'a mut Link);

impl RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; ETHERNET_HEADER + len];
        let (_, packet) = frame.split_at_mut(ETHERNET_HEADER);
        let result = f(packet);
        self.0.send_framed(frame);
        result
    }
}

impl Device for Phy<'_> {
    type RxToken<'b>
        = Rx<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Tx<'b>
    where
        Self: 'b;

    fn receive(&mut self, _now: Instant) -> Option<(Rx<'_>, Tx<'_>)> {
        let packet = self.packet.take()?;
        Some((Rx(packet), Tx(self.link)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Tx<'_>> {
        self.link.has_room().then_some(Tx(self.link))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}
