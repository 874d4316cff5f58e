//! What a card counts, with the network behind it.

use super::Net;
use engine::tier::monitor::Counter;

/// Its own counters.
#[derive(Default)]
pub(super) struct Counters {
    pub rx_dropped: u64,
    pub tx_rejected: u64,
}

/// What it counts.
pub(crate) static COUNTERS: &[Counter<Net>] = &[
    Counter::total("tx_frames", "frames", "frames that the guest sent", |n| n.network().tx_frames),
    Counter::total("tx_bytes", "bytes", "bytes in them", |n| n.network().tx_bytes),
    Counter::total("tx_dropped", "frames", "frames of the guest that the network could not take", |n| {
        n.network().tx_dropped
    }),
    Counter::total("tx_rejected", "frames", "frames of the guest that the card refused", |n| {
        n.counters.tx_rejected
    }),
    Counter::total("rx_frames", "frames", "frames for the guest", |n| n.network().rx_frames),
    Counter::total("rx_bytes", "bytes", "bytes in them", |n| n.network().rx_bytes),
    Counter::total("rx_dropped", "frames", "frames for the guest that were lost", |n| {
        n.counters.rx_dropped + n.network().rx_dropped
    }),
    Counter::now("tcp_flows", "connections", "connections open through the user network", |n| {
        n.network().tcp_flows
    }),
    Counter::now("udp_flows", "flows", "datagram flows open through the user network", |n| {
        n.network().udp_flows
    }),
    Counter::total("refused", "flows", "connections and flows that the user network refused", |n| {
        n.network().refused
    }),
];
