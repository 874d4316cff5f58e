//! Samples: where harts were at the ends of slices, for code that counts nothing.
//!
//! The problem: a counter in a block costs it a tenth of its speed. But a slice ends after a number of instructions wherever the hart is, so
//! the block that it ends in is a fair sample, for nothing. A block that closes a loop is said to have run for all of the slice: over some
//! samples that comes to its share. Straight code and calls are hot in one place and not in one block: their samples are added up by page
//! here, with old ones fading.

use super::heat::Heat;
use rustc_hash::FxHashMap;
use std::time::Instant;

/// Pages that are kept; the coldest half goes when there are more.
const PAGES: usize = 512;
/// Spots of a page that are kept: more are not worth telling apart.
const SPOTS: usize = 256;

/// A spot of a page that was sampled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spot {
    /// Offset of the block in its page.
    pub offset: u16,
    /// Its guest instructions.
    pub insns: u32,
    /// How often a slice ended there.
    pub times: u32,
}

struct Page {
    heat: Heat,
    last: f64,
    spots: Vec<Spot>,
}

/// The samples of one hart.
#[derive(Default)]
pub struct Samples {
    pages: FxHashMap<(u64, u32), Page>,
}

impl Samples {
    /// A slice ended in the block at `offset` of `page` with block key `key`. How hot the page is, in samples.
    pub fn add(&mut self, page: u64, key: u32, offset: u16, insns: u32, now: Instant) -> f64 {
        if self.pages.len() >= PAGES && !self.pages.contains_key(&(page, key)) {
            self.forget_cold();
        }
        let new = || Page { heat: Heat::new(now), last: 0.0, spots: Vec::new() };
        let found = self.pages.entry((page, key)).or_insert_with(new);
        match found.spots.iter().position(|s| s.offset == offset) {
            Some(i) => found.spots[i].times = found.spots[i].times.saturating_add(1),
            None if found.spots.len() < SPOTS => found.spots.push(Spot { offset, insns, times: 1 }),
            None => {}
        }
        found.last = found.heat.add(1, now);
        found.last
    }

    /// Of the blocks that were sampled in a page: guest instructions of all together, and how many there are in the mean of their
    /// runs. A slice ends somewhere in a block, so a block is hit as often as it runs, times its length.
    pub fn lengths(&self, page: u64, key: u32) -> (u32, f64) {
        let spots = self.pages.get(&(page, key)).map_or(&[][..], |p| &p.spots);
        let samples: f64 = spots.iter().map(|s| f64::from(s.times)).sum();
        let runs: f64 = spots.iter().map(|s| f64::from(s.times) / f64::from(s.insns.max(1))).sum();
        (spots.iter().map(|s| s.insns).sum(), if runs > 0.0 { samples / runs } else { 0.0 })
    }

    /// Takes what is known of a page, the hottest spot first.
    pub fn take(&mut self, page: u64, key: u32) -> Vec<Spot> {
        let mut spots = self.pages.remove(&(page, key)).map_or(Vec::new(), |p| p.spots);
        spots.sort_by_key(|s| (std::cmp::Reverse(s.times), s.offset));
        spots
    }

    fn forget_cold(&mut self) {
        let mut heats: Vec<f64> = self.pages.values().map(|p| p.last).collect();
        heats.sort_by(f64::total_cmp);
        let middle = heats.get(heats.len() / 2).copied().unwrap_or(0.0);
        self.pages.retain(|_, p| p.last > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spots_of_a_page_add_up() {
        let (mut samples, now) = (Samples::default(), Instant::now());
        samples.add(0x1000, 0, 0x10, 5, now);
        samples.add(0x1000, 0, 0x20, 7, now);
        samples.add(0x1000, 1, 0x20, 7, now);
        assert_eq!(samples.add(0x1000, 0, 0x20, 7, now), 3.0);
        assert_eq!(samples.lengths(0x2000, 0), (0, 0.0));
        // A fifth of a run of the first, two sevenths of one of the second.
        let (all, mean) = samples.lengths(0x1000, 0);
        assert!(all == 12 && (mean - 3.0 / (1.0 / 5.0 + 2.0 / 7.0)).abs() < 1e-9, "{all} {mean}");
        let spots = samples.take(0x1000, 0);
        assert_eq!(spots.iter().map(|s| (s.offset, s.times)).collect::<Vec<_>>(), [(0x20, 2), (0x10, 1)]);
        assert!(samples.take(0x1000, 0).is_empty() && !samples.take(0x1000, 1).is_empty());
    }

    #[test]
    fn many_pages_take_bounded_memory_and_the_hot_stay() {
        let (mut samples, now) = (Samples::default(), Instant::now());
        for i in 0..10 * PAGES as u64 {
            samples.add(0, 0, (i % 4000) as u16, 1, now);
            samples.add((1 + i) << 12, 0, 0, 1, now);
            assert!(samples.pages.len() <= PAGES);
        }
        assert_eq!(samples.take(0, 0).len(), SPOTS);
    }
}
