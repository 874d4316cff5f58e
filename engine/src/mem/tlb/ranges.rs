//! Which addresses lie in mappings larger than a page.
//!
//! The problem: a fence that names one address of a superpage or NAPOT range must drop all of its slices, which lie all over
//! a table; a fence of any other address must not pay for the search. A set therefore remembers where its large mappings
//! are: exactly while they are some thousands, else rounded up to coarser blocks. It may say yes too often, never no.

use rustc_hash::FxHashSet;

/// Mappings remembered exactly, at most: a linear map of 8 GiB in superpages of 2 MiB.
const EXACT: usize = 4096;
/// Blocks remembered at most beyond that.
const MOST: usize = 16;
/// By how many bits of size blocks are coarsened when they are too many.
const STEP: u32 = 3;

/// A set of aligned blocks of addresses.
#[derive(Default)]
pub(super) struct Ranges {
    /// First address and log2 of the size of each mapping, while they are few.
    exact: FxHashSet<(u64, u32)>,
    /// Bit n: some in `exact` are of size `1 << n`.
    sizes: u64,
    /// The same of blocks that hold several mappings, once there are too many.
    blocks: Vec<(u64, u32)>,
    /// Blocks are at least so large (log2). 0 while all is exact.
    grain: u32,
}

fn holds((base, log2): (u64, u32), va: u64) -> bool {
    (base ^ va) >> log2 == 0
}

impl Ranges {
    /// The exact blocks that would hold `va`.
    fn around(&self, va: u64) -> impl Iterator<Item = (u64, u32)> + use<> {
        let mut sizes = self.sizes;
        std::iter::from_fn(move || {
            let log2 = sizes.trailing_zeros();
            sizes &= sizes.wrapping_sub(1);
            (log2 < 64).then(|| (va >> log2 << log2, log2))
        })
    }

    /// Whether `va` may lie in one of the mappings.
    #[inline]
    pub fn may_have(&self, va: u64) -> bool {
        self.around(va).any(|b| self.exact.contains(&b)) || self.blocks.iter().any(|&b| holds(b, va))
    }

    /// Adds the mapping of `1 << log2` bytes (less than 64) around `va`.
    pub fn add(&mut self, va: u64, log2: u32) {
        if self.grain != 0 {
            return self.add_block(va, log2);
        }
        self.exact.insert((va >> log2 << log2, log2));
        self.sizes |= 1 << log2;
        if self.exact.len() > EXACT {
            self.grain = self.sizes.trailing_zeros() + STEP;
            self.sizes = 0;
            for (base, log2) in std::mem::take(&mut self.exact) {
                self.add_block(base, log2);
            }
        }
    }

    fn add_block(&mut self, va: u64, log2: u32) {
        let log2 = log2.max(self.grain);
        if self.blocks.iter().any(|&b| b.1 >= log2 && holds(b, va)) {
            return;
        }
        self.blocks.push((va >> log2 << log2, log2));
        while self.blocks.len() > MOST {
            let smallest = self.blocks.iter().map(|b| b.1).min().unwrap_or(0);
            self.grain = (smallest.max(self.grain) + STEP).min(63);
            for b in std::mem::take(&mut self.blocks) {
                self.add_block(b.0, b.1);
            }
        }
    }

    /// Whether no address lies in any.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.blocks.is_empty()
    }

    /// All mappings around `va` are gone.
    pub fn remove(&mut self, va: u64) {
        for b in self.around(va) {
            self.exact.remove(&b);
        }
    }

    /// All are gone.
    pub fn clear(&mut self) {
        self.exact.clear();
        self.blocks.clear();
        (self.sizes, self.grain) = (0, 0);
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
    fn a_linear_map_covers_nothing_beside_it() {
        // A kernel's, and a few user mappings: fences of the user's other pages once searched whole tables.
        let mut r = Ranges::default();
        let (linear, user) = (0xffff_ffd6_0000_0000, 0x3f_9000_0000);
        (0..512).for_each(|i| r.add(linear + (i << 21), 21));
        (0..20).for_each(|i| r.add(user + (i << 23), 21));
        assert!(r.may_have(linear + (511 << 21)) && r.may_have(user));
        assert!(
            !r.may_have(linear + (512 << 21)) && !r.may_have(linear - 1) && !r.may_have(user + (1 << 21))
        );
    }
}
