//! How often a loop goes round.

use super::{Test, Trips};

const SIGN: u64 = 1 << 63;

impl Trips {
    /// How often the branch will lead back to the head, counting from the head with these words; `None` where it wraps round or
    /// does not come to an end by itself.
    pub fn back(&self, regs: &[u64; 256]) -> Option<u64> {
        let flip = if self.signed { SIGN } else { 0 };
        let (mut from, mut to) = (self.moving.value(regs) ^ flip, self.still.value(regs) ^ flip);
        let step = self.step.unsigned_abs();
        if self.step < 0 {
            // Mirrored, so that it goes up.
            (from, to) = (!from, !to);
        }
        match self.test {
            Test::Other => {
                let distance = to.wrapping_sub(from);
                distance.is_multiple_of(step).then_some(distance / step)
            }
            // Past the end by less than a step, which must not wrap.
            _ if to.checked_add(step).is_none() => None,
            Test::Less | Test::Greater => Some(to.saturating_sub(from).div_ceil(step)),
            _ if from > to => Some(0),
            Test::LessEqual | Test::GreaterEqual => Some((to - from) / step + 1),
        }
    }

    /// Whether the loop can come to an end by this test: it goes towards it.
    pub fn ends(&self) -> bool {
        match self.test {
            Test::Other => self.step != 0 && self.step != i64::MIN,
            Test::Less | Test::LessEqual => self.step > 0,
            Test::Greater | Test::GreaterEqual => self.step < 0 && self.step != i64::MIN,
        }
    }
}
