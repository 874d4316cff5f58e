//! Counters of a console.

use crate::device::Metric;

#[derive(Default)]
pub(super) struct Counters {
    pub tx_bytes: u64,
    pub rx_bytes: u64,
    pub rx_dropped: u64,
}

impl Counters {
    pub fn list(&self) -> Vec<Metric> {
        let metric = |name, help, value| Metric { name, unit: "bytes", help, value };
        vec![
            metric("tx_bytes", "bytes that the guest wrote", self.tx_bytes),
            metric("rx_bytes", "bytes that the guest read", self.rx_bytes),
            metric("rx_dropped", "typed bytes dropped because the guest did not read", self.rx_dropped),
        ]
    }
}
