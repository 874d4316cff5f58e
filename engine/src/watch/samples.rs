//! Samples by host time: where each hart is when somebody asks.
//!
//! The problem: counting says how often code ran, not how long it took. So whoever wants to know asks all harts that run, some hundred
//! times a second; each answers where its slice ends next, which is at the next block head: what is named is the block that was to run
//! next, in the code that ran until then. A hart that waits for an interrupt is not woken for that. Nothing the guest can see depends on it.

use super::Stage;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Samples kept.
const KEPT: usize = 32_768;
/// Callers that are followed at most.
pub const MOST_CALLERS: usize = 64;

/// What may be done there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Privilege {
    /// A program's code.
    User,
    /// The kernel's.
    Kernel,
    /// The firmware's.
    Machine,
}

/// Return addresses, the nearest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Callers {
    /// Addresses.
    pub list: Box<[u64]>,
    /// The outermost function was not reached: the chain of frames broke, or is longer than [`MOST_CALLERS`].
    pub cut: bool,
}

/// Where a hart was.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// When.
    pub at: Instant,
    /// Which hart.
    pub hart: u32,
    /// Guest address.
    pub pc: u64,
    /// Physical address, if the hart's TLB knew it.
    pub pa: Option<u64>,
    /// How the code ran until there.
    pub stage: Stage,
    /// Its privilege.
    pub privilege: Privilege,
    /// Its address space, as the ISA numbers them.
    pub space: u64,
    /// Who called it, if that was asked for.
    pub callers: Option<Callers>,
}

#[derive(Default)]
struct Ring {
    samples: VecDeque<Sample>,
    /// Samples ever.
    total: u64,
}

/// Asks for samples and keeps them.
#[derive(Default)]
pub struct Samples {
    /// By hart: one is asked for.
    due: Vec<AtomicBool>,
    /// With callers.
    callers: AtomicBool,
    ring: Mutex<Ring>,
    /// Samples ever by stage, and harts that slept when all were asked.
    counts: [AtomicU64; 5],
}

impl Samples {
    /// For a machine of so many harts.
    pub fn new(harts: usize) -> Samples {
        let due = (0..harts).map(|_| AtomicBool::new(false)).collect();
        Samples { due, ..Samples::default() }
    }

    /// Asks a hart for one, with its callers or without. Kick its lines then.
    pub fn ask(&self, hart: usize, callers: bool) {
        self.callers.store(callers, Ordering::Relaxed);
        if let Some(due) = self.due.get(hart) {
            due.store(true, Ordering::Release);
        }
    }

    /// Whether this hart, which is between two blocks, is asked for one; and whether with callers.
    #[inline]
    pub(crate) fn take(&self, hart: u32) -> Option<bool> {
        let due = self.due.get(hart as usize)?;
        if !due.load(Ordering::Relaxed) || !due.swap(false, Ordering::Acquire) {
            return None;
        }
        Some(self.callers.load(Ordering::Relaxed))
    }

    /// Notes that a hart that was started slept when all were asked.
    pub(crate) fn slept(&self) {
        self.counts[4].fetch_add(1, Ordering::Relaxed);
    }

    /// Samples ever by stage, and, last, how often a hart slept when all were asked.
    pub fn counts(&self) -> [u64; 5] {
        self.counts.each_ref().map(|n| n.load(Ordering::Relaxed))
    }

    pub(crate) fn push(&self, sample: Sample) {
        self.counts[sample.stage as usize].fetch_add(1, Ordering::Relaxed);
        let mut ring = self.ring.lock();
        if ring.samples.len() >= KEPT {
            ring.samples.pop_front();
        }
        ring.samples.push_back(sample);
        ring.total += 1;
    }

    /// Samples from number `from` on that are still kept, and the number from which to ask next. What the first of them is short of
    /// `from` was lost.
    pub fn since(&self, from: u64) -> (Vec<Sample>, u64) {
        let ring = self.ring.lock();
        let first = ring.total - ring.samples.len() as u64;
        let skip = from.saturating_sub(first).min(ring.samples.len() as u64) as usize;
        (ring.samples.range(skip..).cloned().collect(), ring.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(pc: u64) -> Sample {
        let (at, privilege, stage) = (Instant::now(), Privilege::User, Stage::Tier1);
        Sample { at, hart: 0, pc, pa: None, stage, privilege, space: 0, callers: None }
    }

    #[test]
    fn who_is_asked_answers_once() {
        let samples = Samples::new(2);
        assert_eq!(samples.take(0), None);
        samples.ask(1, true);
        samples.ask(7, true);
        assert_eq!(
            (samples.take(0), samples.take(1), samples.take(1), samples.take(7)),
            (None, Some(true), None, None)
        );
        samples.ask(0, false);
        assert_eq!(samples.take(0), Some(false));
    }

    #[test]
    fn samples_are_bounded_and_numbered() {
        let samples = Samples::new(1);
        (0..KEPT as u64 + 10).for_each(|pc| samples.push(sample(pc)));
        let (all, next) = samples.since(0);
        assert_eq!((all.len(), all[0].pc, next), (KEPT, 10, KEPT as u64 + 10));
        samples.slept();
        assert_eq!(samples.counts(), [0, KEPT as u64 + 10, 0, 0, 1]);
        assert_eq!(samples.since(next - 2).0.len(), 2);
        assert!(samples.since(next + 5).0.is_empty());
    }
}
