//! What an entropy source counts.

use super::Rng;
use engine::tier::monitor::Counter;

/// Its counters.
#[derive(Default)]
pub(super) struct Counters {
    pub bytes: u64,
    pub throttled: u64,
    pub errors: u64,
}

/// What it counts.
pub(crate) static COUNTERS: &[Counter<Rng>] = &[
    Counter::total("bytes", "bytes", "entropy given to the guest", |r| r.counters.bytes),
    Counter::total("throttled", "events", "times the guest had to wait for its rate", |r| {
        r.counters.throttled
    }),
    Counter::total("errors", "events", "times the host had no entropy", |r| r.counters.errors),
];
