//! A deterministic machine without its command thread: it stops at a wanted instruction count, and all of its state can be compared.

use super::watchdog::Watchdog;
use anyhow::{Result, ensure};
use crossbeam_channel::{Receiver, unbounded};
use engine::exec::cpu::MachineEvent;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vitrine::config::MachineConfig;
use vitrine::machine::api::{EngineMode, MachineEnd, channel};
use vitrine::machine::build::Machine;
use vitrine::machine::{restore, save};

/// The emulator's own events (power-off, reboot).
type Power = Receiver<MachineEvent>;

/// Everything that a machine is, in a form that can be compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moment {
    /// Instructions retired by each hart.
    pub retired: Vec<u64>,
    /// Program counters.
    pub pc: Vec<u64>,
    /// Nanoseconds on the machine's clock.
    pub clock_ns: u64,
    /// Hash of the harts' saved state: all registers, lines, waits.
    pub harts: u64,
    /// Hash of the devices' saved state.
    pub devices: u64,
    /// Hash of memory.
    pub memory: u64,
}

/// A deterministic machine.
pub struct Exact {
    machine: Machine,
    config: MachineConfig,
    end: MachineEnd,
    power: Power,
    limit: Duration,
    _dog: Watchdog,
}

impl Exact {
    fn build(config: &MachineConfig, limit: Duration) -> Result<Exact> {
        ensure!(config.deterministic, "the machine is not deterministic");
        let dog = Watchdog::new(&config.name, limit * 2);
        let (_, end) = channel(&config.name, &["ttyS0"], config.harts as usize, EngineMode::Interpreter);
        let (tell, power) = unbounded();
        let machine = Machine::build(config, end.serial(), tell, &(Arc::new(|_: &str| {}) as _))?;
        Ok(Exact { machine, config: config.clone(), end, power, limit, _dog: dog })
    }

    /// A machine that boots.
    pub fn boot(config: &MachineConfig, limit: Duration) -> Result<Exact> {
        let exact = Exact::build(config, limit)?;
        exact.machine.boot(config)?;
        Ok(exact)
    }

    /// A machine that goes on from a saved state.
    pub fn restored(config: &MachineConfig, state: &Path, limit: Duration) -> Result<Exact> {
        let exact = Exact::build(config, limit)?;
        restore(config, &exact.machine, state)?;
        Ok(exact)
    }

    /// Runs until this many instructions have retired in all, or until the guest powers off.
    pub fn run_to(&self, instructions: u64) -> Result<()> {
        self.machine.engine.pause_at(instructions);
        self.machine.engine.resume();
        let begin = Instant::now();
        while !self.machine.engine.is_paused() {
            ensure!(
                begin.elapsed() < self.limit,
                "the guest does not come that far; it said:\n{}",
                self.console()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Runs until the console has said this. Looks only now and then, but always at the same instructions.
    pub fn run_until(&self, text: &str) -> Result<()> {
        const STEP: u64 = 100_000_000;
        let mut at = 0;
        while !self.console().contains(text) {
            at += STEP;
            self.run_to(at)?;
            ensure!(self.power.is_empty(), "the guest has powered off; it said:\n{}", self.console());
        }
        Ok(())
    }

    /// Runs until the guest powers off.
    pub fn run_to_end(&self) -> Result<()> {
        self.run_to(u64::MAX)?;
        ensure!(self.power.try_recv().is_ok(), "the machine stands, but nobody has switched it off");
        Ok(())
    }

    /// Saves the machine and goes on from there.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.machine.rest();
        save(&self.config, &self.machine, path)?;
        self.machine.wake(false);
        Ok(())
    }

    /// Types at the console.
    pub fn keys(&self, keys: &str) {
        if let Some(typed) = self.machine.typed.first() {
            typed.send(keys.as_bytes());
        }
    }

    /// What the console has said.
    pub fn console(&self) -> String {
        let bytes = self.end.serial().first().map(|p| p.read_since(0).bytes).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The machine as it stands.
    pub fn moment(&self) -> Result<Moment> {
        self.machine.rest();
        let engine = &self.machine.engine;
        let views: Vec<_> = (0..engine.harts()).filter_map(|i| engine.view(i)).collect();
        let hash = |bytes: &[u8]| {
            let mut h = DefaultHasher::new();
            h.write(bytes);
            h.finish()
        };
        let moment = Moment {
            retired: views.iter().map(|v| v.retired).collect(),
            pc: views.iter().map(|v| v.pc).collect(),
            clock_ns: self.machine.clock.now_ns(),
            harts: hash(&engine.save()?),
            devices: hash(format!("{:?}", self.machine.board.save()).as_bytes()),
            memory: self.memory(),
        };
        self.machine.wake(false);
        Ok(moment)
    }

    fn memory(&self) -> u64 {
        const PAGE: usize = 4096;
        let memory = self.machine.board.memory();
        let (mut page, mut hash) = ([0; PAGE], DefaultHasher::new());
        for region in memory.regions() {
            for at in (region.base..region.base + region.len).step_by(PAGE) {
                if memory.read_bytes(at, &mut page) && page.iter().any(|b| *b != 0) {
                    hash.write_u64(at);
                    hash.write(&page);
                }
            }
        }
        hash.finish()
    }
}
