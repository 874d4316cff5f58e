//! Two machines that must stay equal: one is the reference, the other runs guest code as it is to be checked.
//!
//! The form of "run, roll back, compare" here: both machines are deterministic and were built alike, so equal states and equal
//! inputs must give equal states after the same number of instructions, whichever tier runs them. Both run a stretch, side by
//! side; then all that a guest could see is compared: registers, CSRs, float flags, reservations, instruction counts, memory, devices,
//! clocks. Only pages written in the stretch are read. When something differs, both are rolled back to where they were last equal,
//! and run again to a count in the middle, until the first instruction behind which they differ is known.

mod memory;
mod report;

pub use report::{Divergence, WordDifference};

use crate::exec::engine::{Engine, RestoreError};
use crate::mem::ram::Memory;
use memory::Shadow;
use std::time::Duration;
use thiserror::Error;

/// A machine that retires nothing for so long waits for an input.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a machine that stopped short is asked to go on.
const TRIES: usize = 5;

/// Where a run ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// At the end of the round in which so many instructions have retired in all.
    Round(u64),
    /// On the instruction.
    Exactly(u64),
}

/// One of the two machines. It stands whenever something other than [`Side::run`] is called.
pub trait Side: Sync {
    /// Its harts, in deterministic mode.
    fn engine(&self) -> &dyn Engine;
    /// Its memory.
    fn memory(&self) -> &Memory;
    /// What else a guest can see: devices, clocks.
    fn save_rest(&self) -> Vec<u8>;
    /// Puts back what [`Side::save_rest`] gave; a machine that was switched off meanwhile is on again.
    fn restore_rest(&self, saved: &[u8]) -> Result<(), LockstepError>;
    /// What of two of them differs: a name, and what each has.
    fn explain_rest(&self, first: &[u8], second: &[u8]) -> Vec<(String, [String; 2])>;
    /// Types at the machine.
    fn feed(&self, input: &[u8]);
    /// Whether the guest has switched it off.
    fn is_over(&self) -> bool;

    /// Runs, and waits until it stands. It may stop short where nothing happens without an input.
    fn run(&self, until: Until) {
        let engine = self.engine();
        match until {
            Until::Round(n) => engine.pause_at(n),
            Until::Exactly(n) => engine.pause_exactly_at(n),
        }
        engine.resume();
        let progress =
            || -> u64 { (0..engine.harts()).filter_map(|i| engine.status(i)).map(|h| h.retired).sum() };
        let mut before = progress();
        while !engine.wait_paused(PATIENCE) {
            let now = progress();
            if now == before {
                return engine.pause();
            }
            before = now;
        }
    }
}

/// A machine could not be put back.
#[derive(Debug, Error)]
pub enum LockstepError {
    /// Its harts.
    #[error(transparent)]
    Harts(#[from] RestoreError),
    /// Its devices.
    #[error("the devices cannot be put back: {0}")]
    Devices(String),
    /// They are not equal to begin with.
    #[error("the two machines differ before the first instruction: {0}")]
    Start(String),
}

/// What became of a stretch.
#[derive(Debug)]
pub enum Step {
    /// Both are equal, so many instructions after power-on.
    Equal(u64),
    /// Both are equal, and the guest has switched itself off.
    Over(u64),
    /// They are not.
    Diverged(Box<Divergence>),
}

/// How to roll back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Back {
    /// With the code that there is.
    Warm,
    /// Without any.
    Cold,
}

/// What is compared, memory apart.
#[derive(Clone, PartialEq, Eq)]
struct Seen {
    harts: Vec<u8>,
    rest: Vec<u8>,
}

/// The two machines.
pub struct Lockstep<S: Side> {
    sides: [S; 2],
    shadow: Shadow,
    /// The state in which both were equal, and its instruction count.
    base: Seen,
    at: u64,
    /// What was typed at that point.
    input: Vec<u8>,
}

fn total(engine: &dyn Engine) -> u64 {
    (0..engine.harts()).filter_map(|i| engine.view(i)).fold(0, |sum, v| sum.wrapping_add(v.retired))
}

fn memories<S: Side>(sides: &[S; 2]) -> [&Memory; 2] {
    [sides[0].memory(), sides[1].memory()]
}

fn look<S: Side>(side: &S) -> Result<Seen, LockstepError> {
    Ok(Seen { harts: side.engine().save()?, rest: side.save_rest() })
}

impl<S: Side> Lockstep<S> {
    /// The reference and the machine under test, both standing at the same point. Their memories were made for this.
    pub fn new(sides: [S; 2]) -> Result<Lockstep<S>, LockstepError> {
        let seen = [look(&sides[0])?, look(&sides[1])?];
        let mut lockstep = Lockstep {
            shadow: Shadow::default(),
            base: seen[0].clone(),
            at: total(sides[0].engine()),
            input: Vec::new(),
            sides,
        };
        let found = lockstep.differences(&seen)?;
        if !found.is_empty() {
            return Err(LockstepError::Start(found.to_string()));
        }
        lockstep.shadow.update(lockstep.sides[0].memory());
        Ok(lockstep)
    }

    /// The reference, and the other.
    pub fn sides(&self) -> &[S; 2] {
        &self.sides
    }

    /// How many instructions both have retired.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Types `input` at both, lets both run about `insns` instructions, and compares.
    pub fn step(&mut self, insns: u64, input: &[u8]) -> Result<Step, LockstepError> {
        self.input = input.to_vec();
        self.run(Until::Round(self.at.saturating_add(insns)));
        let seen = [look(&self.sides[0])?, look(&self.sides[1])?];
        self.shadow.collect(memories(&self.sides));
        if !self.differs(&seen) {
            let [seen, _] = seen;
            self.base = seen;
            self.at = total(self.sides[0].engine());
            self.shadow.update(self.sides[0].memory());
            return Ok(match self.sides[0].is_over() {
                true => Step::Over(self.at),
                false => Step::Equal(self.at),
            });
        }
        Ok(Step::Diverged(Box::new(self.narrow(&seen)?)))
    }

    /// Runs both from where they are equal.
    fn run(&self, until: Until) {
        self.sides.iter().for_each(|s| s.feed(&self.input));
        std::thread::scope(|scope| {
            let other = scope.spawn(|| self.sides[1].run(until));
            self.sides[0].run(until);
            if let Err(panic) = other.join() {
                std::panic::resume_unwind(panic);
            }
        });
        // The host may have been so busy that one seemed to wait for an input: it still has to come where the other is.
        for _ in 0..TRIES {
            let [a, b] = [0, 1].map(|i| total(self.sides[i].engine()));
            let (slower, goal) = if a < b { (0, b) } else { (1, a) };
            if a == b || self.sides[1 - slower].is_over() {
                return;
            }
            self.sides[slower].run(match until {
                Until::Round(_) => Until::Round(goal),
                Until::Exactly(_) => Until::Exactly(goal),
            });
        }
    }

    /// Whether anything differs. Dirty pages were collected.
    fn differs(&self, seen: &[Seen; 2]) -> bool {
        seen[0] != seen[1]
            || self.sides[0].is_over() != self.sides[1].is_over()
            || self.shadow.differ(memories(&self.sides)).next().is_some()
    }

    /// Runs both again from where they were equal, exactly to `insns`. Whether they differ there.
    fn differ_at(&mut self, back: Back, insns: u64) -> Result<bool, LockstepError> {
        self.back(back)?;
        self.run(Until::Exactly(insns));
        let seen = [look(&self.sides[0])?, look(&self.sides[1])?];
        self.shadow.collect(memories(&self.sides));
        Ok(self.differs(&seen))
    }

    /// Rolls both back to where they were equal.
    fn back(&mut self, back: Back) -> Result<(), LockstepError> {
        for (i, side) in self.sides.iter().enumerate() {
            side.restore_rest(&self.base.rest)?;
            match back {
                Back::Warm => side.engine().rewind(&self.base.harts)?,
                Back::Cold => side.engine().restore(&self.base.harts)?,
            }
            self.shadow.roll_back(i, side.memory());
        }
        Ok(())
    }

    /// They differ after the stretch: finds the first instruction behind which they do.
    fn narrow(&mut self, seen: &[Seen; 2]) -> Result<Divergence, LockstepError> {
        let end = total(self.sides[0].engine()).max(total(self.sides[1].engine()));
        let late = self.differences(seen)?;
        // What was compiled in the stretch is part of how it went; if that hides the difference, the stretch runs from the start.
        for way in [Back::Warm, Back::Cold] {
            if !self.differ_at(way, end)? {
                continue;
            }
            let (mut equal, mut differ) = (self.at, end);
            while differ - equal > 1 {
                let middle = equal + (differ - equal) / 2;
                if self.differ_at(way, middle)? {
                    differ = middle;
                } else {
                    equal = middle;
                }
            }
            return self.report(way, equal, differ);
        }
        Ok(Divergence {
            equal_at: self.at,
            differ_at: end,
            is_exact: false,
            trace: Vec::new(),
            block: None,
            found: late,
        })
    }
}
