//! What is known of each word while a block is walked forward.
//!
//! The problem: 256 words must be forgotten at each block, and every copy of a word when the word is written, at no
//! cost. So facts carry a time stamp that only ever grows: a fact counts if it is younger than the block, and a copy if
//! it is not older than the last write of what it copies.

use super::rotate::shift_of;
use super::{Rules, call_effects, touches_state};
use crate::ir::op::{CallSite, Op, Opcode, Reg, SINK};

/// What is known of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fact {
    /// Nothing.
    #[default]
    Unknown,
    /// Its value.
    Const(u64),
    /// It is the pc of the block plus this.
    Pc(i64),
    /// It equals another word.
    Copy(Reg),
    /// It is another word, or what was in this one before, shifted. What was in that word comes third, see
    /// [`Facts::number_of`].
    Shifted(Shift, Reg, u64),
}

/// A shift by a known count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shift {
    /// To the left; else to the right, zeroes coming in.
    pub left: bool,
    /// Of the low 32 bits, the result sign-extended.
    pub word: bool,
    /// By so many bits, less than the width.
    pub count: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// When the word was written last, or became known.
    time: u32,
    fact: Fact,
    /// See [`Facts::number_of`].
    number: u64,
}

/// The number of the value that was written to `reg` at this time.
#[inline(always)]
fn number(time: u32, reg: Reg) -> u64 {
    u64::from(time) << 8 | u64::from(reg)
}

/// The facts of all words.
#[derive(Clone, Debug)]
pub struct Facts {
    entries: [Entry; 256],
    /// Facts up to this time are of blocks before.
    start: u32,
    now: u32,
    zero: Option<Reg>,
}

impl Default for Facts {
    fn default() -> Facts {
        Facts { entries: [Entry::default(); 256], start: 0, now: 0, zero: None }
    }
}

impl Facts {
    /// Facts that have seen this many ops.
    #[cfg(test)]
    pub fn at_time(now: u32) -> Facts {
        Facts { now, ..Facts::default() }
    }

    /// Forgets everything, for a block of `ops` ops.
    pub fn start(&mut self, ops: usize, zero: Option<Reg>) {
        let steps = u32::try_from(ops).unwrap_or(u32::MAX);
        if self.now.checked_add(steps).is_none_or(|end| end == u32::MAX) {
            *self = Facts::default();
        }
        self.start = self.now;
        self.zero = zero;
    }

    /// What is known of `reg`.
    #[inline(always)]
    pub fn of(&self, reg: Reg) -> Fact {
        if Some(reg) == self.zero {
            return Fact::Const(0);
        }
        let entry = self.entries[usize::from(reg)];
        match entry.fact {
            _ if entry.time <= self.start => Fact::Unknown,
            Fact::Copy(source) if self.entries[usize::from(source)].time > entry.time => Fact::Unknown,
            fact => fact,
        }
    }

    /// The value of `reg`, if known.
    #[inline(always)]
    pub fn value(&self, reg: Reg) -> Option<u64> {
        match self.of(reg) {
            Fact::Const(value) => Some(value),
            _ => None,
        }
    }

    /// The number of the value in `reg`: words with the same number hold the same, copies among them.
    #[inline(always)]
    pub fn number_of(&self, reg: Reg) -> u64 {
        let entry = &self.entries[usize::from(reg)];
        if entry.time <= self.start { number(self.start, reg) } else { entry.number }
    }

    #[inline(always)]
    fn set(&mut self, reg: Reg, fact: Fact) {
        self.set_same(reg, fact, number(self.now, reg));
    }

    /// Sets a word to a value that is somewhere else too.
    #[inline(always)]
    fn set_same(&mut self, reg: Reg, fact: Fact, number: u64) {
        self.entries[usize::from(reg)] = Entry { time: self.now, fact, number };
    }

    /// Learns from an op that has been rewritten.
    #[inline(always)]
    pub fn step(&mut self, op: &Op, rules: &Rules<'_>) {
        self.now = self.now.saturating_add(1);
        if touches_state(op.code.effects()) {
            return self.call(op, rules);
        }
        let Some(a) = op.dest() else { return };
        match op.code {
            Opcode::Li => self.set(a, Fact::Const(op.imm as u64)),
            Opcode::AddPc => self.set(a, Fact::Pc(op.imm)),
            // A move onto itself changes nothing.
            Opcode::Mov if op.b == a => {}
            Opcode::Mov => {
                let number = self.number_of(op.b);
                self.set_same(a, Fact::Copy(op.b), number);
                // Later readers shall take the guest register, so that the temporary dies at the move.
                let fact = self.of(op.b);
                let says_nothing = matches!(fact, Fact::Unknown | Fact::Shifted(..));
                if a < rules.temps && op.b >= rules.temps && says_nothing {
                    self.set_same(a, fact, number);
                    self.set_same(op.b, Fact::Copy(a), number);
                }
            }
            _ => match shift_of(op) {
                Some(shift) => self.set(a, Fact::Shifted(shift, op.b, self.number_of(op.b))),
                None => self.set(a, Fact::Unknown),
            },
        }
    }

    #[cold]
    fn call(&mut self, op: &Op, rules: &Rules<'_>) {
        for &(first, count) in call_effects(CallSite(op.aux).id(), rules).writes {
            (0..count).filter_map(|i| first.checked_add(i)).for_each(|reg| self.set(reg, Fact::Unknown));
        }
        if op.a != SINK {
            self.set(op.a, Fact::Unknown);
        }
    }
}
