//! Traps of a hart, counted where they are taken: plain adds, published at polls with the other counters.
//!
//! What is counted in which slot is the guest ISA's business; it declares names for them in its
//! [counters](crate::guest::Guest::COUNTERS).

/// Slots for an ISA's kinds of traps.
pub const SLOTS: usize = 48;

/// Traps taken since power-on, by slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traps([u64; SLOTS]);

impl Default for Traps {
    fn default() -> Traps {
        Traps([0; SLOTS])
    }
}

impl Traps {
    /// Counts one.
    #[inline]
    pub fn add(&mut self, slot: usize) {
        if let Some(n) = self.0.get_mut(slot) {
            *n += 1;
        }
    }

    /// How many were counted in a slot.
    pub fn count(&self, slot: usize) -> u64 {
        self.0.get(slot).copied().unwrap_or(0)
    }

    /// All slots.
    pub fn all(&self) -> &[u64; SLOTS] {
        &self.0
    }
}

impl From<[u64; SLOTS]> for Traps {
    fn from(counts: [u64; SLOTS]) -> Traps {
        Traps(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_count_apart_and_none_is_beyond_the_last() {
        let mut traps = Traps::default();
        for slot in [0, SLOTS - 1, SLOTS - 1, SLOTS, usize::MAX] {
            traps.add(slot);
        }
        assert_eq!((traps.count(0), traps.count(1), traps.count(SLOTS - 1)), (1, 0, 2));
        assert_eq!((traps.count(SLOTS), traps.all().iter().sum::<u64>()), (0, 3));
    }
}
