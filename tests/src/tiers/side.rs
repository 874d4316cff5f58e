//! The oracle's small machine as one of two in lockstep.

use crate::oracle::elf::Image;
use crate::oracle::ours::{Ours, Setup};
use anyhow::Result;
use devices::board::BoardState;
use devices::state::Saved;
use engine::debug::lockstep::{LockstepError, Side};
use engine::exec::compare::leaves;
use engine::exec::cpu::MachineEvent;
use engine::exec::engine::Engine;
use engine::exec::time::TimeSource;
use engine::mem::ram::Memory;
use std::sync::Mutex;

const KIND: &str = "bench";

/// Clock reading and devices.
type Rest = (u64, BoardState);

/// A machine that is compared with another.
pub struct Bench {
    ours: Ours,
    over: Mutex<Option<MachineEvent>>,
}

impl Bench {
    /// A deterministic machine with the program, in rounds of `round` instructions.
    pub fn load(image: &Image, setup: Setup, round: u64) -> Result<Bench> {
        let ours = Ours::load(image, Setup { time: TimeSource::Instructions, ..setup })?;
        ours.engine.set_round(round);
        Ok(Bench { ours, over: Mutex::default() })
    }

    /// The machine.
    pub fn machine(&self) -> &Ours {
        &self.ours
    }

    /// How the program has ended.
    pub fn over(&self) -> Option<MachineEvent> {
        let mut over = self.over.lock().ok()?;
        *over = over.or(self.ours.events.lock().ok()?.try_recv().ok());
        *over
    }
}

fn unpack(rest: &[u8]) -> Result<Rest, LockstepError> {
    let saved = Saved { kind: KIND.to_owned(), version: 1, data: rest.to_vec() };
    saved.unpack(KIND, 1).map_err(|e| LockstepError::Devices(e.to_string()))
}

impl Side for Bench {
    fn engine(&self) -> &dyn Engine {
        &*self.ours.engine
    }

    fn memory(&self) -> &Memory {
        self.ours.board.memory()
    }

    fn save_rest(&self) -> Vec<u8> {
        self.ours.engine.settle();
        let rest: Rest = (self.ours.clock.now_ns(), self.ours.board.save());
        Saved::pack(KIND, 1, &rest).data
    }

    fn restore_rest(&self, rest: &[u8]) -> Result<(), LockstepError> {
        let (clock, board) = unpack(rest)?;
        self.ours.clock.set_virtual(clock);
        self.ours.board.restore(&board).map_err(|e| LockstepError::Devices(e.to_string()))?;
        while self.ours.events.lock().is_ok_and(|e| e.try_recv().is_ok()) {}
        if let Ok(mut over) = self.over.lock() {
            *over = None;
        }
        Ok(())
    }

    fn explain_rest(&self, first: &[u8], second: &[u8]) -> Vec<(String, [String; 2])> {
        let [Ok(first), Ok(second)] = [first, second].map(unpack) else { return Vec::new() };
        let (a, b) = (leaves(&first), leaves(&second));
        let differ = a.into_iter().zip(b).filter(|(a, b)| a != b).take(12);
        differ.map(|((name, a), (_, b))| (name, [a, b])).collect()
    }

    fn feed(&self, _: &[u8]) {}

    fn is_over(&self) -> bool {
        self.over().is_some()
    }
}
