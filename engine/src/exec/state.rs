//! The state of a hart as it is saved.
//!
//! Everything that changes what the guest does next is here: registers, float environment, the reservation, pending lines,
//! a wait that was under way, the instruction count. TLB and code are not: they are found again.

use super::cpu::{FloatEnv, Reservation};
use super::vcpu::Vcpu;
use crate::guest::{Flow, Guest};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A wait that was under way when the machine was saved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SavedWait {
    /// Runs.
    None,
    /// Waits for an interrupt.
    Interrupt,
    /// Waits for an interrupt at most this many nanoseconds, counted anew.
    Bounded(u64),
}

/// A hart.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct HartState<G: Guest> {
    /// Next instruction.
    pub pc: u64,
    /// Guest registers: the register file below the temporaries.
    pub regs: Vec<u64>,
    /// Float environment.
    pub fenv: FloatEnv,
    /// Reservation.
    pub reservation: Option<Reservation>,
    /// Instructions retired.
    pub retired: u64,
    /// Started by firmware.
    pub started: bool,
    /// What it waits for.
    pub wait: SavedWait,
    /// Interrupt line levels.
    pub lines: u64,
    /// The ISA's own.
    pub ext: G::Ext,
}

/// A saved hart does not fit this machine.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum StateError {
    /// Register count differs.
    #[error("the saved hart has {found} register words, this machine's have {expected}")]
    Registers {
        /// In the file.
        found: usize,
        /// Here.
        expected: usize,
    },
    /// Hart count differs.
    #[error("the saved machine has {found} harts, this one has {expected}")]
    Harts {
        /// In the file.
        found: usize,
        /// Here.
        expected: usize,
    },
}

impl<G: Guest> Vcpu<G> {
    /// The hart's state. Call between slices. The TLB starts over, as it will after a restore: a guest could see by its page
    /// tables that one of the two still knew a translation.
    pub fn save(&mut self) -> HartState<G> {
        // A start that was asked for is part of the state, mail is not.
        self.cpu.run_requests();
        self.cpu.tlb.reset();
        self.cpu.select_address_space();
        let cpu = &self.cpu;
        HartState {
            pc: cpu.pc,
            regs: cpu.regs[..G::TEMPS as usize].to_vec(),
            fenv: cpu.fenv,
            reservation: cpu.reservation(),
            retired: cpu.instret(),
            started: cpu.hart.is_started(),
            wait: match self.waiting {
                Some(Flow::Wait) => SavedWait::Interrupt,
                Some(Flow::WaitBounded(ns)) => SavedWait::Bounded(ns),
                _ => SavedWait::None,
            },
            lines: cpu.hart.lines.levels(),
            ext: cpu.ext.clone(),
        }
    }

    /// Puts a saved state in place of this one, on memory that may have changed in any way.
    pub fn restore(&mut self, s: &HartState<G>) -> Result<(), StateError> {
        self.rewind(s)?;
        self.forget_code();
        Ok(())
    }

    /// Puts a saved state in place of this one. Code is kept: memory was put back by writes that killed what they changed.
    pub fn rewind(&mut self, s: &HartState<G>) -> Result<(), StateError> {
        let expected = G::TEMPS as usize;
        if s.regs.len() != expected {
            return Err(StateError::Registers { found: s.regs.len(), expected });
        }
        let cpu = &mut self.cpu;
        let by = s.retired.wrapping_sub(cpu.instret());
        self.compiled.moved = self.compiled.moved.wrapping_add(by);
        cpu.pc = s.pc;
        cpu.regs[..expected].copy_from_slice(&s.regs);
        if let Some(zero) = G::ZERO {
            cpu.regs[zero as usize] = 0;
        }
        cpu.fenv = s.fenv;
        cpu.set_reservation(s.reservation);
        (cpu.slice, cpu.budget, cpu.unretired, cpu.retired_base) = (0, 0, 0, s.retired);
        cpu.ext = s.ext.clone();
        G::sanitise(cpu);
        // Requests from before: a start, or fences that the flush below does.
        cpu.hart.forget_requests();
        cpu.hart.set_started(s.started);
        cpu.hart.lines.set_levels(s.lines);
        self.waiting = match s.wait {
            SavedWait::None => None,
            SavedWait::Interrupt => Some(Flow::Wait),
            SavedWait::Bounded(ns) => Some(Flow::WaitBounded(ns)),
        };
        self.cpu.tlb.reset();
        self.cpu.select_address_space();
        // A hart that is parked comes to no poll at which others would see where it is.
        self.end_slice();
        Ok(())
    }
}
