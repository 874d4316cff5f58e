//! The harts of a machine without their ISA in the type: what boards, windows and command lines hold.
//!
//! Each ISA makes its engine in its own folder (`guest::riscv::engine`), so that run loop and interpreter are compiled
//! here, once, whoever uses them.

use super::compare::{self, Difference};
use super::hart::{Lines, Request};
use super::harts::{Harts, ThreadError};
use super::mode::{Settings, TierCounts};
use super::state::{HartState, StateError};
use crate::cache::code::CodeMap;
use crate::cache::jump::JumpCounts;
use crate::guest::Guest;
use crate::mem::tlb::TlbCounts;
use crate::tier::monitor::{self, Counter, HartStatus};
use crate::tier::pins::{Pin, PinError};
use crate::watch::apart::Apart;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// What a hart shows of itself while it stands still.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HartView {
    /// Next instruction.
    pub pc: u64,
    /// Instructions retired.
    pub retired: u64,
    /// Started by firmware.
    pub started: bool,
    /// Named registers.
    pub regs: Vec<(&'static str, u64)>,
}

/// Counts of one hart since power-on.
#[derive(Clone, Copy, Debug, Default)]
pub struct HartCounts {
    /// Code look-ups.
    pub jumps: JumpCounts,
    /// TLB.
    pub tlb: TlbCounts,
    /// IR ops in the blocks that were entered.
    pub ops: u64,
    /// Guest instructions in those blocks.
    pub insns: u64,
}

/// A block as text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explained {
    /// Guest instructions and what they were lifted to.
    pub text: String,
    /// Address and assembly of each guest instruction.
    pub insns: Vec<(u64, String)>,
}

/// A saved state cannot be taken.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// Not a state of this ISA and version.
    #[error("the saved processor state cannot be read: {0}")]
    Format(#[from] postcard::Error),
    /// It does not fit.
    #[error(transparent)]
    Fit(#[from] StateError),
}

/// The harts of a machine. All of it may be called from any thread.
pub trait Engine: Send + Sync {
    /// Makes the threads; they wait until [`Engine::resume`].
    fn spawn(&mut self) -> Result<(), ThreadError>;
    /// Goes on, clock included.
    fn resume(&self);
    /// Stops all harts at a safepoint, then the clock.
    fn pause(&self);
    /// Whether all harts stand.
    fn is_paused(&self) -> bool;
    /// Deterministic mode: pauses by itself at the end of the round in which `insns` instructions in all have retired.
    fn pause_at(&self, insns: u64);
    /// Deterministic mode: as [`Engine::pause_at`], but on the instruction, in the midst of a round. Resumed, the round goes on
    /// as if nothing had happened.
    fn pause_exactly_at(&self, insns: u64);
    /// Deterministic mode: sets the instructions of a hart per round, 10,000 if nobody does. Interrupts and inputs come in
    /// between rounds, so two runs are equal only if their rounds are.
    fn set_round(&self, insns: u64);
    /// Waits until all harts stand, at most `time`. Whether they do.
    fn wait_paused(&self, time: Duration) -> bool;
    /// Deterministic mode: what makes it pause by itself at the end of the round in which it is called. For whoever hears,
    /// inside of a device, that the machine is over: how far harts run on after that would be chance otherwise.
    fn halter(&self) -> Arc<dyn Fn() + Send + Sync>;
    /// Deterministic mode, while paused: hands over what waits at the input port. The next round would begin with just that, so
    /// nothing changes for the guest; but what waits is part of no saved state.
    fn settle(&self);
    /// Starts hart `id` at `pc` with two arguments, once it runs.
    fn start(&self, id: usize, pc: u64, args: [u64; 2]);
    /// Ends all threads.
    fn stop(&mut self);
    /// Number of harts.
    fn harts(&self) -> usize;
    /// A hart, while paused.
    fn view(&self, id: usize) -> Option<HartView>;
    /// A hart's counts, while paused.
    fn counts(&self, id: usize) -> Option<HartCounts>;
    /// What a hart has done, as of its last poll.
    fn status(&self, id: usize) -> Option<HartStatus>;
    /// Counters of a hart: those of any ISA, then this one's own.
    fn hart_counters(&self) -> [&'static [Counter<HartStatus>]; 2];
    /// Which tiers run guest code, and their thresholds. Changes take effect at the harts' next polls.
    fn settings(&self) -> &Arc<Settings>;
    /// Holds the blocks in a range of physical addresses in a tier. When this returns nothing enters code that contradicts the pin any
    /// more; a hart that is inside of some leaves at its next poll.
    fn pin(&self, pin: Pin) -> Result<(), PinError>;
    /// Lets a range go, `None` all. Whether anything was pinned there.
    fn unpin(&self, range: Option<Range<u64>>) -> Result<bool, PinError>;
    /// What is pinned, lowest address first.
    fn pins(&self) -> Vec<Pin>;
    /// What the tiers have done, as of each hart's last poll.
    fn tiers(&self) -> TierCounts;
    /// The code map.
    fn code(&self) -> &Arc<CodeMap>;
    /// A translation by its number in a list of the translations, in all its forms; `None` if it is gone. It is compiled once more for
    /// that: some milliseconds for a region. Assembly says where jumps lead if the entry is at guest address `at`; `None`: at its
    /// physical address.
    fn take_apart(&self, id: u32, at: Option<u64>) -> Option<Apart>;
    /// The block at a physical address, lifted for this mode, in the forms that it has without a translation.
    fn take_block_apart(&self, pa: u64, key: u32, at: Option<u64>) -> Option<Apart>;
    /// Asks each hart that runs where it is, with its callers or without; answers come to the translations' `samples`. How many were
    /// asked: the others sleep.
    fn ask_for_samples(&self, callers: bool) -> usize;
    /// The state of all harts, while paused.
    fn save(&self) -> Result<Vec<u8>, RestoreError>;
    /// Takes a saved state in place of the present one, while paused. All code is forgotten.
    fn restore(&self, bytes: &[u8]) -> Result<(), RestoreError>;
    /// As [`Engine::restore`], but keeps code. Whoever put memory back has done it by [`Memory::load`], which kills the code that it
    /// changes.
    ///
    /// [`Memory::load`]: crate::mem::ram::Memory::load
    fn rewind(&self, bytes: &[u8]) -> Result<(), RestoreError>;
    /// What of two saved states differs.
    fn differences(&self, first: &[u8], second: &[u8]) -> Result<Vec<Difference>, RestoreError>;
    /// The block that hart `id`, which stands, would run at `pc`.
    fn explain(&self, id: usize, pc: u64) -> Option<Explained>;
}

impl<G: Guest> Engine for Harts<G> {
    fn spawn(&mut self) -> Result<(), ThreadError> {
        Harts::spawn(self)
    }
    fn resume(&self) {
        Harts::resume(self);
    }
    fn pause(&self) {
        Harts::pause(self);
    }
    fn is_paused(&self) -> bool {
        Harts::is_paused(self)
    }
    fn pause_at(&self, insns: u64) {
        Harts::pause_at(self, insns);
    }
    fn pause_exactly_at(&self, insns: u64) {
        Harts::pause_exactly_at(self, insns);
    }
    fn set_round(&self, insns: u64) {
        Harts::set_round(self, insns);
    }
    fn wait_paused(&self, time: Duration) -> bool {
        Harts::wait_paused(self, time)
    }
    fn halter(&self) -> Arc<dyn Fn() + Send + Sync> {
        Harts::halter(self)
    }
    fn settle(&self) {
        Harts::settle(self);
    }
    fn start(&self, id: usize, pc: u64, args: [u64; 2]) {
        if let Some(hart) = self.shared().harts.get(id) {
            hart.post(Request::Start(pc, args), None);
        }
    }
    fn stop(&mut self) {
        Harts::stop(self);
    }
    fn harts(&self) -> usize {
        self.len()
    }

    fn view(&self, id: usize) -> Option<HartView> {
        let v = self.vcpu(id)?;
        let regs =
            (0..G::TEMPS).filter_map(|r| G::reg_name(r).map(|n| (n, v.cpu.regs[r as usize]))).collect();
        Some(HartView { pc: v.cpu.pc, retired: v.cpu.instret(), started: v.cpu.hart.is_started(), regs })
    }

    fn counts(&self, id: usize) -> Option<HartCounts> {
        let v = self.vcpu(id)?;
        let mut c =
            HartCounts { jumps: v.cpu.jumps.counts, tlb: v.cpu.tlb.counts(), ..HartCounts::default() };
        for l in v.locals().all() {
            c.ops += l.runs * l.code.ops.len() as u64;
            c.insns += l.runs * l.code.insns as u64;
        }
        Some(c)
    }

    fn status(&self, id: usize) -> Option<HartStatus> {
        self.shared().harts.get(id).map(|hart| hart.status())
    }

    fn hart_counters(&self) -> [&'static [Counter<HartStatus>]; 2] {
        [monitor::HART, G::COUNTERS]
    }

    fn settings(&self) -> &Arc<Settings> {
        Harts::settings(self)
    }

    fn pin(&self, pin: Pin) -> Result<(), PinError> {
        Harts::pin(self, pin)
    }

    fn unpin(&self, range: Option<Range<u64>>) -> Result<bool, PinError> {
        Harts::unpin(self, range)
    }

    fn pins(&self) -> Vec<Pin> {
        Harts::code(self).translations().wanted().0.pins.list().to_vec()
    }

    fn tiers(&self) -> TierCounts {
        Harts::tiers(self)
    }

    fn code(&self) -> &Arc<CodeMap> {
        Harts::code(self)
    }

    fn take_apart(&self, id: u32, at: Option<u64>) -> Option<Apart> {
        Harts::take_apart(self, id, at)
    }

    fn take_block_apart(&self, pa: u64, key: u32, at: Option<u64>) -> Option<Apart> {
        Harts::take_block_apart(self, pa, key, at)
    }

    fn ask_for_samples(&self, callers: bool) -> usize {
        let samples = &Harts::code(self).translations().samples;
        let ask = |id: usize, lines: &Lines| {
            samples.ask(id, callers);
            lines.kick();
        };
        let mut asked = 0;
        for (id, hart) in self.shared().harts.iter().enumerate().filter(|(_, hart)| hart.is_started()) {
            if hart.is_asleep() {
                samples.slept();
            } else {
                ask(id, &hart.lines);
                asked += 1;
            }
        }
        asked
    }

    fn save(&self) -> Result<Vec<u8>, RestoreError> {
        let states: Vec<HartState<G>> =
            (0..self.len()).filter_map(|i| self.vcpu(i)).map(|mut v| v.save()).collect();
        Ok(postcard::to_stdvec(&states)?)
    }

    fn restore(&self, bytes: &[u8]) -> Result<(), RestoreError> {
        let states = states::<G>(bytes, self.len())?;
        Harts::code(self).drop_all();
        for (i, s) in states.iter().enumerate() {
            if let Some(mut v) = self.vcpu(i) {
                v.restore(s)?;
            }
        }
        self.forget_round();
        Ok(())
    }

    fn rewind(&self, bytes: &[u8]) -> Result<(), RestoreError> {
        let states = states::<G>(bytes, self.len())?;
        for (i, s) in states.iter().enumerate() {
            if let Some(mut v) = self.vcpu(i) {
                v.rewind(s)?;
            }
        }
        self.forget_round();
        Ok(())
    }

    fn differences(&self, first: &[u8], second: &[u8]) -> Result<Vec<Difference>, RestoreError> {
        let [first, second] = [states::<G>(first, self.len())?, states(second, self.len())?];
        Ok(compare::differences(&first, &second))
    }

    fn explain(&self, id: usize, pc: u64) -> Option<Explained> {
        self.vcpu(id)?.explain(pc)
    }
}

/// Reads saved states: all that this machine can take, or none.
fn states<G: Guest>(bytes: &[u8], harts: usize) -> Result<Vec<HartState<G>>, RestoreError> {
    let states: Vec<HartState<G>> = postcard::from_bytes(bytes)?;
    if states.len() != harts {
        return Err(StateError::Harts { found: states.len(), expected: harts }.into());
    }
    let expected = G::TEMPS as usize;
    if let Some(bad) = states.iter().find(|s| s.regs.len() != expected) {
        return Err(StateError::Registers { found: bad.regs.len(), expected }.into());
    }
    Ok(states)
}
