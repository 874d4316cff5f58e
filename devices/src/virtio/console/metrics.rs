//! What a console counts.

use super::Console;
use engine::tier::monitor::Counter;

/// Its counters.
#[derive(Default)]
pub(super) struct Counters {
    pub tx_bytes: u64,
    pub rx_bytes: u64,
    pub rx_dropped: u64,
}

/// What it counts.
pub(crate) static COUNTERS: &[Counter<Console>] = &[
    Counter::total("tx_bytes", "bytes", "bytes that the guest wrote", |c| c.counters.tx_bytes),
    Counter::total("rx_bytes", "bytes", "bytes that the guest read", |c| c.counters.rx_bytes),
    Counter::total("rx_dropped", "bytes", "typed bytes dropped because the guest did not read", |c| {
        c.counters.rx_dropped
    }),
];
