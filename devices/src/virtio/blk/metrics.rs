//! What a disk counts.

use super::Blk;
use crate::block::BlockMetrics;
use engine::tier::monitor::Counter;
use std::sync::atomic::{AtomicU64, Ordering};

fn worker(blk: &Blk, of: fn(&BlockMetrics) -> &AtomicU64) -> u64 {
    blk.worker.as_ref().map_or(0, |w| of(w.metrics()).load(Ordering::Relaxed))
}

/// What it counts.
pub(crate) static COUNTERS: &[Counter<Blk>] = &[
    Counter::now("under_way", "requests", "requests that the disk works on", |b| b.requests.len() as u64),
    Counter::total("reads", "requests", "reads that succeeded", |b| worker(b, |m| &m.reads)),
    Counter::total("read_bytes", "bytes", "bytes read", |b| worker(b, |m| &m.read_bytes)),
    Counter::total("writes", "requests", "writes that succeeded", |b| worker(b, |m| &m.writes)),
    Counter::total("written_bytes", "bytes", "bytes written", |b| worker(b, |m| &m.written_bytes)),
    Counter::total("flushes", "requests", "flushes that succeeded", |b| worker(b, |m| &m.flushes)),
    Counter::total("discards", "requests", "discards and zero-writes that succeeded", |b| {
        worker(b, |m| &m.discards)
    }),
    Counter::total("errors", "requests", "requests that failed", |b| worker(b, |m| &m.errors)),
];
