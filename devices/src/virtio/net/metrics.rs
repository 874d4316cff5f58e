//! Counters of a card, with those of the network behind it.

use crate::device::Metric;
use crate::net::NetMetrics;

#[derive(Default)]
pub(super) struct Counters {
    pub rx_dropped: u64,
    pub tx_rejected: u64,
}

impl Counters {
    pub fn list(&self, net: &NetMetrics) -> Vec<Metric> {
        let metric = |name, unit, help, value| Metric { name, unit, help, value };
        vec![
            metric("tx_frames", "frames", "frames that the guest sent", net.tx_frames),
            metric("tx_bytes", "bytes", "bytes in them", net.tx_bytes),
            metric(
                "tx_dropped",
                "frames",
                "frames of the guest that the network could not take",
                net.tx_dropped,
            ),
            metric("tx_rejected", "frames", "frames of the guest that the card refused", self.tx_rejected),
            metric("rx_frames", "frames", "frames for the guest", net.rx_frames),
            metric("rx_bytes", "bytes", "bytes in them", net.rx_bytes),
            metric(
                "rx_dropped",
                "frames",
                "frames for the guest that were lost",
                self.rx_dropped + net.rx_dropped,
            ),
        ]
    }
}
