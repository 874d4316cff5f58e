//! Which addresses lie in mappings larger than a page.
//!
//! The problem: a fence that names one address of a superpage or NAPOT range must drop all of its slices, which lie all over
//! a table; a fence of any other address must not pay for the search. A set therefore remembers where its large mappings
//! are: exactly while they are few, else rounded up to coarser blocks. It may say yes too often, never no.

/// Blocks remembered at most.
const MOST: usize = 16;
/// By how many bits of size blocks are coarsened when they are too many.
const STEP: u32 = 3;

/// A set of aligned blocks of addresses.
#[derive(Default)]
pub(super) struct Ranges {
    /// First address and log2 of the size.
    blocks: Vec<(u64, u32)>,
    /// Blocks are at least so large (log2). Not 0: some block may hold several mappings.
    grain: u32,
}

fn holds((base, log2): (u64, u32), va: u64) -> bool {
    (base ^ va) >> log2 == 0
}

impl Ranges {
    /// Whether `va` may lie in one of the mappings.
    #[inline]
    pub fn may_have(&self, va: u64) -> bool {
        self.blocks.iter().any(|&b| holds(b, va))
    }

    /// Adds the mapping of `1 << log2` bytes (less than 64) around `va`.
    pub fn add(&mut self, va: u64, log2: u32) {
        let log2 = log2.max(self.grain);
        // While they are exact, a mapping inside of another needs a block of its own: the other's may be removed.
        let coarse = self.grain != 0;
        if self.blocks.iter().any(|&b| (b.1 == log2 || coarse && b.1 > log2) && holds(b, va)) {
            return;
        }
        self.blocks.push((va >> log2 << log2, log2));
        while self.blocks.len() > MOST {
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        let smallest = self.blocks.iter().map(|b| b.1).min().unwrap_or(0);
        self.grain = (smallest.max(self.grain) + STEP).min(63);
        for b in std::mem::take(&mut self.blocks) {
            self.add(b.0, b.1);
        }
    }

    /// All mappings around `va` are gone.
    pub fn remove(&mut self, va: u64) {
        if self.grain == 0 {
            self.blocks.retain(|&b| !holds(b, va));
        }
    }

    /// All are gone.
    pub fn clear(&mut self) {
        self.blocks.clear();
        self.grain = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_mappings_are_known_exactly() {
        let mut r = Ranges::default();
        r.add(0x4000_5000, 21);
        r.add(0x9_0000, 16);
        assert!(r.may_have(0x4000_0000) && r.may_have(0x401f_ffff) && r.may_have(0x9_f000));
        assert!(!r.may_have(0x4020_0000) && !r.may_have(0x3fff_ffff) && !r.may_have(0xa_0000));
        r.remove(0x4000_0000);
        assert!(!r.may_have(0x4000_5000) && r.may_have(0x9_0000));
    }

    #[test]
    fn a_mapping_inside_of_another_outlives_it() {
        let mut r = Ranges::default();
        r.add(0x4000_0000, 21);
        r.add(0x4009_0000, 16);
        r.remove(0x4010_0000);
        assert!(r.may_have(0x4009_8000) && !r.may_have(0x4010_0000));
    }

    #[test]
    fn many_mappings_are_never_forgotten() {
        let mut r = Ranges::default();
        for i in 0..10_000u64 {
            let log2 = [16, 21, 30, 39, 48, 57, 63][i as usize % 7];
            r.add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15), log2);
            r.remove(0);
            assert!(r.blocks.len() <= MOST);
        }
        for i in 0..10_000u64 {
            assert!(r.may_have(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        }
        r.clear();
        assert!(!r.may_have(0));
    }

    #[test]
    fn neighbours_share_a_block() {
        let mut r = Ranges::default();
        for i in 0..64 {
            r.add(0x10_0000_0000 + (i << 21), 21);
        }
        assert!(!r.may_have(0x20_0000_0000) && !r.may_have(0x10_0000_0000 - 1));
    }
}
