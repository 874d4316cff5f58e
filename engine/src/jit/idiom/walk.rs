//! What the words hold in an iteration of a loop: a walk over its ops, and how far an iteration moves each word.

use super::{Linear, MOST_ELEMENTS, Test, Trips};
use crate::ir::op::{Align, MMU_CURRENT, MemFlags, Reg, Shape};
use crate::ir::{Op, Opcode, SINK};
use crate::jit::region::GuestRules;

/// Results of ops on what was loaded, at most.
const MOST_MADE: usize = 16;

/// What a word holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Holds {
    /// A sum of words as they were at the head.
    Sum(Linear),
    /// What access `.0` loaded.
    Load(usize),
    /// [`Walk::made`] `.0`.
    Made(usize),
}

/// What an op makes of something that was loaded.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Made {
    /// The op, of two words.
    pub code: Opcode,
    /// Its operands; of those that can be swapped a sum comes last.
    pub of: [Holds; 2],
}

/// A load or store.
pub struct Access {
    /// It.
    pub op: Op,
    /// Its address.
    pub at: Linear,
    /// What is stored.
    pub stored: Option<Holds>,
}

/// The walk: where it is.
pub struct Walk<'a> {
    /// The guest.
    pub rules: &'a GuestRules,
    /// By word: what it holds, if that is not what it held at the head.
    pub words: [Option<Holds>; 256],
    /// The accesses so far.
    pub accesses: Vec<Access>,
    /// What was made of loads so far.
    pub made: Vec<Made>,
}

impl Walk<'_> {
    /// Before the first op.
    pub fn new(rules: &GuestRules) -> Walk<'_> {
        Walk { rules, words: [None; 256], accesses: Vec::new(), made: Vec::new() }
    }

    /// What `word` holds now.
    pub fn get(&self, word: Reg) -> Option<Holds> {
        if Some(word) == self.rules.zero {
            return Some(Holds::Sum(Linear::number(0)));
        }
        match self.words[usize::from(word)] {
            None if word >= self.rules.temps => None,
            None => Some(Holds::Sum(Linear::word(word))),
            some => some,
        }
    }

    fn sum(&self, word: Reg) -> Option<Linear> {
        match self.get(word)? {
            Holds::Sum(sum) => Some(sum),
            _ => None,
        }
    }

    /// Passes ops.
    pub fn ops(&mut self, ops: &[Op]) -> Option<()> {
        ops.iter().try_for_each(|op| self.op(op))
    }

    fn op(&mut self, op: &Op) -> Option<()> {
        use Opcode::{Add, AddI, And, AndI, AndNot, Li, Mov, OrcB, Xor, XorI};
        let number = Holds::Sum(Linear::number(op.imm));
        let holds = match op.code {
            Li => number,
            Mov => self.get(op.b)?,
            AddI => self.made(Add, self.get(op.b)?, number)?,
            AndI => self.made(And, self.get(op.b)?, number)?,
            XorI => self.made(Xor, self.get(op.b)?, number)?,
            Add | And | AndNot | Xor => self.made(op.code, self.get(op.b)?, self.get(op.c)?)?,
            OrcB => self.made(OrcB, self.get(op.b)?, Holds::Sum(Linear::number(0)))?,
            code if matches!(code.shape(), Shape::Load | Shape::Store) => return self.access(op),
            _ => return None,
        };
        self.set(op.a, holds);
        Some(())
    }

    /// What an op of two words makes of these.
    fn made(&mut self, code: Opcode, b: Holds, c: Holds) -> Option<Holds> {
        let of = match (b, c) {
            (Holds::Sum(b), Holds::Sum(c)) if code == Opcode::Add => return Some(Holds::Sum(b.sum(&c)?)),
            (Holds::Sum(_), Holds::Sum(_)) => return None,
            (Holds::Sum(_), _) if code != Opcode::AndNot => [c, b],
            _ => [b, c],
        };
        self.made.push(Made { code, of });
        (self.made.len() <= MOST_MADE).then_some(Holds::Made(self.made.len() - 1))
    }

    fn set(&mut self, word: Reg, holds: Holds) {
        if word != SINK {
            self.words[usize::from(word)] = Some(holds);
        }
    }

    fn access(&mut self, op: &Op) -> Option<()> {
        use Opcode::*;
        let plain = MemFlags::plain(MemFlags(op.aux).size());
        let integer = matches!(op.code, LoadS8 | LoadU8 | LoadS16 | LoadU16 | LoadS32 | LoadU32 | Load64);
        let load = op.code.shape() == Shape::Load;
        if [Align::Policy, Align::Any].iter().all(|&a| plain.align(a).0 != op.aux)
            || MemFlags(op.aux).mmu_index() != MMU_CURRENT
            || load && !integer
            || self.accesses.len() >= 2 * MOST_ELEMENTS
        {
            return None;
        }
        let at = self.sum(op.b)?.plus(op.imm);
        let stored = if load { None } else { Some(self.get(op.c)?) };
        self.accesses.push(Access { op: *op, at, stored });
        if load {
            self.set(op.a, Holds::Load(self.accesses.len() - 1));
        }
        Some(())
    }
}

/// By word: how far an iteration moves it. `None`: it is written and not moved.
pub struct Steps(pub [Option<i64>; 256]);

impl Steps {
    /// At the end of an iteration.
    pub fn of(walk: &Walk<'_>) -> Steps {
        let mut steps = [Some(0); 256];
        for (word, step) in (0..walk.rules.temps).zip(&mut steps) {
            if let Some(holds) = walk.words[usize::from(word)] {
                let own = Linear::word(word);
                *step = match holds {
                    Holds::Sum(sum) if sum == own.plus(sum.add) => Some(sum.add),
                    _ => None,
                };
            }
        }
        Steps(steps)
    }

    /// How far an iteration moves the sum.
    pub fn of_sum(&self, sum: &Linear) -> Option<i64> {
        sum.words().iter().try_fold(0i64, |all, &w| Some(all.wrapping_add(self.0[usize::from(w)]?)))
    }

    /// How often a loop goes round that does so while the branch `code` of these is taken.
    pub fn trips(&self, code: Opcode, [b, c]: [Holds; 2]) -> Option<Trips> {
        use Opcode::*;
        let (Holds::Sum(b), Holds::Sum(c)) = (b, c) else { return None };
        let (step_b, step_c) = (self.of_sum(&b)?, self.of_sum(&c)?);
        let first = match (step_b, step_c) {
            (0, 0) => return None,
            (_, 0) => true,
            (0, _) => false,
            _ => return None,
        };
        let (moving, still, step) = if first { (b, c, step_b) } else { (c, b, step_c) };
        let test = match (code, first) {
            (BrNe, _) => Test::Other,
            (BrLt | BrLtu, true) => Test::Less,
            (BrLt | BrLtu, false) => Test::Greater,
            (BrGe | BrGeu, true) => Test::GreaterEqual,
            (BrGe | BrGeu, false) => Test::LessEqual,
            _ => return None,
        };
        let signed = matches!(code, BrLt | BrGe);
        let trips = Trips { moving, still, step, test, signed, ..Trips::default() };
        trips.ends().then_some(trips)
    }
}
