//! What the lifter knows of integer registers inside a block.

use crate::ir::Reg;

/// A known value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    /// This number.
    Abs(i64),
    /// The block's pc and this number.
    Pc(i64),
}

/// Known values of `x0` to `x31`; `x0` is always 0.
#[derive(Debug)]
pub struct Known {
    /// Bit set = the register holds the number in `value`.
    absolute: u32,
    /// Bit set = it holds the block's pc plus that.
    relative: u32,
    value: [i64; 32],
}

impl Default for Known {
    fn default() -> Known {
        Known { absolute: 1, relative: 0, value: [0; 32] }
    }
}

impl Known {
    /// The value of `reg`.
    #[inline]
    pub fn get(&self, reg: Reg) -> Option<Value> {
        let value = *self.value.get(reg as usize)?;
        if self.absolute >> reg & 1 != 0 {
            Some(Value::Abs(value))
        } else if self.relative >> reg & 1 != 0 {
            Some(Value::Pc(value))
        } else {
            None
        }
    }

    /// `reg` (not `x0`) holds `value` from here on.
    #[inline]
    pub fn set(&mut self, reg: Reg, value: Value) {
        self.forget(reg);
        if let Some(slot) = self.value.get_mut(reg as usize) {
            let bit = 1 << reg;
            match value {
                Value::Abs(v) => (self.absolute |= bit, *slot = v),
                Value::Pc(v) => (self.relative |= bit, *slot = v),
            };
        }
    }

    /// `reg` may hold anything.
    #[inline]
    pub fn forget(&mut self, reg: Reg) {
        if reg < 32 {
            let keep = !(1u32 << reg) | 1;
            self.absolute &= keep;
            self.relative &= keep;
        }
    }

    /// All registers may hold anything.
    pub fn forget_all(&mut self) {
        *self = Known::default();
    }
}
