//! What the tiers decided, with the guest time of each decision.

use engine::tier::events::Event;
use std::collections::VecDeque;

/// Decisions kept: as many as the engine keeps.
const KEPT: usize = 16_384;

/// A decision.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Decision {
    /// Its number since the machine was made.
    pub number: u64,
    /// When, by the guest's clock.
    pub guest_ns: u64,
    /// What.
    pub event: Event,
}

/// The newest decisions.
#[derive(Debug, Default)]
pub struct Decisions {
    ring: VecDeque<Decision>,
}

impl Decisions {
    /// Adds the newest one.
    pub fn push(&mut self, decision: Decision) {
        if self.ring.len() >= KEPT {
            self.ring.pop_front();
        }
        self.ring.push_back(decision);
    }

    /// Forgets all: the machine was reset.
    pub fn clear(&mut self) {
        self.ring.clear();
    }

    /// Number of the oldest one that is kept.
    pub fn first(&self) -> u64 {
        self.ring.front().map_or(0, |d| d.number)
    }

    /// Number of the next one.
    pub fn end(&self) -> u64 {
        self.ring.back().map_or(0, |d| d.number + 1)
    }

    /// A decision by its number.
    pub fn get(&self, number: u64) -> Option<&Decision> {
        let at = usize::try_from(number.checked_sub(self.ring.front()?.number)?).ok()?;
        self.ring.get(at).filter(|d| d.number == number)
    }

    /// Those from a number on, oldest first.
    pub fn since(&self, number: u64) -> impl Iterator<Item = &Decision> {
        let from = self.ring.partition_point(|d| d.number < number);
        self.ring.range(from..)
    }

    /// Those of a span of guest time, oldest first.
    pub fn within(&self, from_ns: u64, to_ns: u64) -> impl Iterator<Item = &Decision> {
        let from = self.ring.partition_point(|d| d.guest_ns < from_ns);
        self.ring.range(from..).take_while(move |d| d.guest_ns <= to_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::tier::events::What;

    fn decision(number: u64) -> Decision {
        let event = Event { at_ns: 0, pa: number, what: What::InPage, queued: 0, compile_ns: 0 };
        Decision { number, guest_ns: number * 10, event }
    }

    #[test]
    fn it_is_bounded_and_found_by_number_and_time() {
        let mut all = Decisions::default();
        assert_eq!((all.first(), all.end(), all.get(0)), (0, 0, None));
        for n in 5..KEPT as u64 + 25 {
            all.push(decision(n));
        }
        let last = KEPT as u64 + 24;
        assert_eq!((all.ring.len(), all.first(), all.end()), (KEPT, 25, last + 1));
        assert_eq!((all.get(24), all.get(25), all.get(last + 1)), (None, Some(&decision(25)), None));
        assert_eq!(all.since(last - 1).count(), 2);
        assert_eq!(all.within(300, 320).map(|d| d.number).collect::<Vec<_>>(), [30, 31, 32]);
        all.clear();
        assert_eq!((all.end(), all.since(0).count()), (0, 0));
    }
}
