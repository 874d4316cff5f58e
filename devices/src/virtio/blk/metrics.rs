//! Counters of a disk.

use crate::block::BlockMetrics;
use crate::device::Metric;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) fn list(m: &BlockMetrics) -> Vec<Metric> {
    let metric = |name, unit, help, value: &AtomicU64| Metric {
        name,
        unit,
        help,
        value: value.load(Ordering::Relaxed),
    };
    vec![
        metric("reads", "requests", "reads that succeeded", &m.reads),
        metric("read_bytes", "bytes", "bytes read", &m.read_bytes),
        metric("writes", "requests", "writes that succeeded", &m.writes),
        metric("written_bytes", "bytes", "bytes written", &m.written_bytes),
        metric("flushes", "requests", "flushes that succeeded", &m.flushes),
        metric("discards", "requests", "discards and zero-writes that succeeded", &m.discards),
        metric("errors", "requests", "requests that failed", &m.errors),
    ]
}
