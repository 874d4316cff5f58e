//! The harts of a machine without their ISA in the type: what boards, windows and command lines hold.
//!
//! Each ISA makes its engine in its own folder (`guest::riscv::engine`), so that run loop and interpreter are compiled
//! here, once, whoever uses them.

use super::hart::Request;
use super::harts::{Harts, ThreadError};
use super::mode::{Settings, TierCounts};
use super::state::{HartState, StateError};
use crate::cache::code::CodeMap;
use crate::cache::jump::JumpCounts;
use crate::guest::Guest;
use crate::mem::tlb::TlbCounts;
use std::sync::Arc;
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
    /// Instructions retired and nanoseconds slept by a hart, as of its last poll.
    fn progress(&self, id: usize) -> Option<(u64, u64, bool)>;
    /// Which tiers run guest code, and their thresholds. Changes take effect at the harts' next polls.
    fn settings(&self) -> &Arc<Settings>;
    /// What the tiers have done, as of each hart's last poll.
    fn tiers(&self) -> TierCounts;
    /// The code map.
    fn code(&self) -> &Arc<CodeMap>;
    /// The state of all harts, while paused.
    fn save(&self) -> Result<Vec<u8>, RestoreError>;
    /// Takes a saved state in place of the present one, while paused. All code is forgotten.
    fn restore(&self, bytes: &[u8]) -> Result<(), RestoreError>;
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
        let mut c = HartCounts { jumps: v.jumps().counts, tlb: v.cpu.tlb.counts(), ..HartCounts::default() };
        for l in v.jumps().locals() {
            c.ops += l.runs * l.code.ops.len() as u64;
            c.insns += l.runs * l.code.insns as u64;
        }
        Some(c)
    }

    fn progress(&self, id: usize) -> Option<(u64, u64, bool)> {
        use std::sync::atomic::Ordering::Relaxed;
        let hart = self.shared().harts.get(id)?;
        Some((hart.retired.load(Relaxed), hart.idle_ns.load(Relaxed), hart.is_started()))
    }

    fn settings(&self) -> &Arc<Settings> {
        Harts::settings(self)
    }

    fn tiers(&self) -> TierCounts {
        Harts::tiers(self)
    }

    fn code(&self) -> &Arc<CodeMap> {
        Harts::code(self)
    }

    fn save(&self) -> Result<Vec<u8>, RestoreError> {
        let states: Vec<HartState<G>> =
            (0..self.len()).filter_map(|i| self.vcpu(i)).map(|mut v| v.save()).collect();
        Ok(postcard::to_stdvec(&states)?)
    }

    fn restore(&self, bytes: &[u8]) -> Result<(), RestoreError> {
        let states: Vec<HartState<G>> = postcard::from_bytes(bytes)?;
        if states.len() != self.len() {
            return Err(StateError::Harts { found: states.len(), expected: self.len() }.into());
        }
        // All or none.
        let expected = G::TEMPS as usize;
        if let Some(bad) = states.iter().find(|s| s.regs.len() != expected) {
            return Err(StateError::Registers { found: bad.regs.len(), expected }.into());
        }
        Harts::code(self).drop_all();
        for (i, s) in states.iter().enumerate() {
            if let Some(mut v) = self.vcpu(i) {
                v.restore(s)?;
            }
        }
        Ok(())
    }
}
