//! Counters of an entropy source.

use crate::device::Metric;

#[derive(Default)]
pub(super) struct Counters {
    pub bytes: u64,
    pub throttled: u64,
    pub errors: u64,
}

impl Counters {
    pub fn list(&self) -> Vec<Metric> {
        let metric = |name, unit, help, value| Metric { name, unit, help, value };
        vec![
            metric("bytes", "bytes", "entropy given to the guest", self.bytes),
            metric("throttled", "events", "times the guest had to wait for its rate", self.throttled),
            metric("errors", "events", "times the host had no entropy", self.errors),
        ]
    }
}
