//! What the tiers decided, and why: a bounded ring of events.
//!
//! Decisions are rare beside instructions (a compile, a dropped page of code), so they are all kept, until the ring is full;
//! whoever reads says from where on and learns how many he missed.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::Instant;

/// Events kept.
const KEPT: usize = 16_384;

/// What happened to guest code.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum What {
    /// Compiled by tier 1 after this many runs in the interpreter.
    Tier1 {
        /// Runs.
        runs: u64,
    },
    /// Asked for tier 2.
    Asked {
        /// Heat in runs.
        heat: f64,
        /// Estimated saving less cost in ns.
        saving_ns: f64,
    },
    /// Hot once, but not hot enough to pay for tier 2.
    Waits {
        /// Heat in runs.
        heat: f64,
    },
    /// Compiled by tier 2 as the head of a region of so many guest instructions.
    Tier2 {
        /// Guest instructions of the region.
        insns: u32,
    },
    /// Formed again as a region of so many guest instructions, by how the one before was left.
    Settled {
        /// Guest instructions of the region.
        insns: u32,
        /// Pages in which its blocks lie.
        pages: u32,
    },
    /// A region across pages could not be entered too often, because pages were not mapped as it wants: it is formed again without them.
    InPage,
    /// A region ran so often that it is formed again, or guesses in it failed so often that it counts its exits again.
    Again {
        /// Heat in runs, or in failed guesses.
        heat: f64,
        /// Guesses failed.
        failed: bool,
    },
    /// Not asked by heat: it is held in this tier (0 is the interpreter) by a pin, and stays there or goes there.
    Pinned {
        /// The tier.
        tier: u8,
    },
    /// A compiler refused it; it stays in the tier below.
    Failed {
        /// The tier that refused.
        tier: u8,
    },
    /// So many translations were dropped because a write touched the guest code.
    Invalidated {
        /// Translations.
        count: u32,
    },
    /// So many translations were dropped for room.
    Evicted {
        /// Translations.
        count: u32,
    },
}

/// Names of the kinds of events, by [`What::kind`].
pub const NAMES: [&str; 12] = [
    "tier1",
    "tier2_asked",
    "tier2_waits",
    "tier2",
    "tier2_again",
    "in_page",
    "again_by_exits",
    "again_by_failed_guesses",
    "pinned",
    "failed",
    "invalidated",
    "evicted",
];

impl What {
    /// Number of its kind.
    pub const fn kind(&self) -> usize {
        match self {
            What::Tier1 { .. } => 0,
            What::Asked { .. } => 1,
            What::Waits { .. } => 2,
            What::Tier2 { .. } => 3,
            What::Settled { .. } => 4,
            What::InPage => 5,
            What::Again { failed: false, .. } => 6,
            What::Again { failed: true, .. } => 7,
            What::Pinned { .. } => 8,
            What::Failed { .. } => 9,
            What::Invalidated { .. } => 10,
            What::Evicted { .. } => 11,
        }
    }
}

/// An event.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Event {
    /// Host nanoseconds since the machine was made.
    pub at_ns: u64,
    /// Physical address of the guest code; 0 where it is about many.
    pub pa: u64,
    /// What.
    pub what: What,
    /// Regions that waited for a compiler then.
    pub queued: u32,
    /// How long compiling took, in ns; 0 where nothing was compiled.
    pub compile_ns: u64,
}

#[derive(Default)]
struct Ring {
    events: VecDeque<Event>,
    /// Events ever.
    total: u64,
    /// By kind.
    counts: [u64; NAMES.len()],
}

/// The ring.
pub struct Events {
    begin: Instant,
    ring: Mutex<Ring>,
}

impl Default for Events {
    fn default() -> Events {
        Events { begin: Instant::now(), ring: Mutex::default() }
    }
}

impl Events {
    /// Adds one.
    pub fn push(&self, pa: u64, what: What, queued: usize, compile_ns: u64) {
        let at_ns = self.begin.elapsed().as_nanos() as u64;
        let mut ring = self.ring.lock();
        if ring.events.len() >= KEPT {
            ring.events.pop_front();
        }
        ring.events.push_back(Event { at_ns, pa, what, queued: queued as u32, compile_ns });
        ring.total += 1;
        if let Some(count) = ring.counts.get_mut(what.kind()) {
            *count += 1;
        }
    }

    /// Events ever, by [kind](NAMES).
    pub fn counts(&self) -> [u64; NAMES.len()] {
        self.ring.lock().counts
    }

    /// When the machine was made: where the events' times begin.
    pub fn begin(&self) -> Instant {
        self.begin
    }

    /// Events from number `from` on that are still kept, and the number from which to ask next.
    pub fn since(&self, from: u64) -> (Vec<Event>, u64) {
        let ring = self.ring.lock();
        let first = ring.total - ring.events.len() as u64;
        let skip = from.saturating_sub(first).min(ring.events.len() as u64) as usize;
        (ring.events.iter().skip(skip).copied().collect(), ring.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_is_bounded_and_numbered() {
        let events = Events::default();
        for pa in 0..KEPT as u64 + 10 {
            events.push(pa, What::Evicted { count: 1 }, 0, 0);
        }
        let (all, next) = events.since(0);
        assert_eq!((all.len(), next, all[0].pa), (KEPT, KEPT as u64 + 10, 10));
        assert_eq!(events.since(next - 1).0.len(), 1);
        assert!(events.since(next + 5).0.is_empty());
    }

    #[test]
    fn kinds_are_counted_for_ever() {
        let events = Events::default();
        for _ in 0..KEPT + 1 {
            events.push(0, What::Evicted { count: 3 }, 0, 0);
        }
        events.push(0, What::Again { heat: 1.0, failed: true }, 0, 0);
        let counted: Vec<_> = NAMES.into_iter().zip(events.counts()).filter(|(_, n)| *n > 0).collect();
        assert_eq!(counted, [("again_by_failed_guesses", 1), ("evicted", KEPT as u64 + 1)]);
    }
}
