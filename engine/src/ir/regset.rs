//! A set of register-file words.

use super::op::Reg;

/// A set of words, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RegSet([u64; 4]);

impl RegSet {
    /// All words below `end`.
    pub const fn below(end: Reg) -> RegSet {
        let mut words = [0; 4];
        let mut i = 0;
        while i < (end >> 6) as usize {
            words[i] = u64::MAX;
            i += 1;
        }
        words[i] = (1 << (end & 63)) - 1;
        RegSet(words)
    }
    /// Whether the set holds `reg`.
    #[inline(always)]
    pub const fn contains(&self, reg: Reg) -> bool {
        self.0[(reg >> 6) as usize] >> (reg & 63) & 1 != 0
    }
    /// Adds a word.
    #[inline(always)]
    pub const fn insert(&mut self, reg: Reg) {
        self.0[(reg >> 6) as usize] |= 1 << (reg & 63);
    }
    /// Takes a word out.
    #[inline(always)]
    pub const fn remove(&mut self, reg: Reg) {
        self.0[(reg >> 6) as usize] &= !(1 << (reg & 63));
    }
    /// Adds `count` words from `first`.
    pub fn insert_range(&mut self, first: Reg, count: u8) {
        for i in 0..count {
            self.insert(first.saturating_add(i));
        }
    }
    /// Whether the set holds nothing.
    pub const fn is_empty(&self) -> bool {
        self.0[0] | self.0[1] | self.0[2] | self.0[3] == 0
    }
    /// The words that are in this set and not in `other`.
    pub fn minus(&self, other: &RegSet) -> RegSet {
        RegSet(std::array::from_fn(|i| self.0[i] & !other.0[i]))
    }
    /// The words that are in both sets.
    pub fn common(&self, other: &RegSet) -> RegSet {
        RegSet(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }
    /// The words in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Reg> + use<> {
        let mut words = self.0;
        std::iter::from_fn(move || {
            let i = words.iter().position(|&w| w != 0)?;
            let bit = words[i].trailing_zeros();
            words[i] &= words[i] - 1;
            Some((i as u32 * 64 + bit) as Reg)
        })
    }
    /// Adds every word of `other`.
    #[inline(always)]
    pub fn extend(&mut self, other: &RegSet) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine |= theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_holds_what_is_below() {
        for end in 0..=255 {
            let set = RegSet::below(end);
            for reg in 0..=255 {
                assert_eq!(set.contains(reg), reg < end);
            }
        }
    }

    #[test]
    fn words_come_and_go() {
        let mut set = RegSet::default();
        set.insert_range(62, 4);
        set.remove(63);
        let held: Vec<u8> = (0..=255).filter(|&r| set.contains(r)).collect();
        assert_eq!(held, [62, 64, 65]);
        let mut other = RegSet::below(2);
        other.extend(&set);
        assert!(other.contains(1) && other.contains(65) && !other.contains(63));
        assert_eq!(other.iter().collect::<Vec<_>>(), [0, 1, 62, 64, 65]);
        assert_eq!(other.minus(&set), RegSet::below(2));
        assert_eq!(other.common(&set), set);
        assert!(set.minus(&other).is_empty() && !set.is_empty());
    }
}
