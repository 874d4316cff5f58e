//! A machine in lockstep: what the window's and the terminal's user sees is one machine, but there are two, one that interprets and
//! one that runs in the tier to be checked, and the run ends where they differ.
//!
//! Both must get the same inputs at the same instructions. What is typed goes to both between two stretches; disks and networks answer
//! when the host does, so machines with them are refused.

mod twin;

use super::api::{
    Command, EngineMode, Event, GuestExit, HartStatus, MachineEnd, MachineHandle, Request, RunState,
    Severity, StartOptions, Status, UserError, channel,
};
use crate::config::{MachineConfig, NetworkMode};
use engine::debug::lockstep::{Divergence, Lockstep, LockstepError, Side, Step};
use engine::exec::cpu::MachineEvent;
use parking_lot::Mutex;
use std::sync::Arc;
pub use twin::Twin;

/// Instructions between two comparisons.
const STRETCH: u64 = 1_000_000;
/// Bytes typed at the guest in a stretch: it takes no more in that time.
const TYPED: usize = 64;

fn refuse(what: &str, next: &str) -> UserError {
    UserError::new(what, "--engine lockstep", next)
}

/// Whether a machine can run in lockstep.
fn check(config: &MachineConfig, options: &StartOptions) -> Result<(), UserError> {
    if let Some(p) = config.problems().first() {
        return Err(UserError::new(p.what.clone(), p.field.clone(), p.advice.clone()));
    }
    if !config.drives.is_empty() || config.net.mode != NetworkMode::None || !config.devices.is_empty() {
        return Err(refuse(
            "Two machines cannot share disks, networks and the like",
            "Leave them out; kernel, initrd and the serial port are enough.",
        ));
    }
    if options.resume_from.is_some() {
        return Err(refuse("A saved state cannot go on in lockstep", "Boot the machine instead."));
    }
    match config.engine.unavailable() {
        Some(why) => Err(refuse(why, "Choose another tier with --lockstep-tier.")),
        None => Ok(()),
    }
}

/// Both machines of a description, booted; the second runs in the description's engine mode.
pub fn pair(config: &MachineConfig) -> Result<Lockstep<Twin>, UserError> {
    let config = MachineConfig { deterministic: true, ..config.clone() };
    let sides = [Twin::boot(&config, EngineMode::Interpreter)?, Twin::boot(&config, config.engine)?];
    Lockstep::new(sides).map_err(failed)
}

fn failed(e: LockstepError) -> UserError {
    refuse(&super::build::sentence(&e.to_string()), "Please report this.")
}

/// Starts a machine in lockstep: [`MachineConfig::engine`] is what is checked.
pub fn spawn(config: &MachineConfig, options: StartOptions) -> Result<MachineHandle, UserError> {
    check(config, &options)?;
    let (handle, end) = channel(&config.name, &["ttyS0"], config.harts as usize, config.engine);
    let config = config.clone();
    let made = std::thread::Builder::new().name("lockstep".into()).spawn(move || {
        let harts = Arc::default();
        let state = match (Runner { config, end: &end, harts, paused: options.paused }).run() {
            Ok(exit) => RunState::Off { exit },
            Err(e) => RunState::Failed(e),
        };
        end.freeze_counters();
        end.set_state(state);
    });
    made.map_err(|e| {
        UserError::new(format!("No thread could be started: {e}"), "", "Close other programs.")
    })?;
    Ok(handle)
}

struct Runner<'a> {
    config: MachineConfig,
    end: &'a MachineEnd,
    /// What the reference has done, for whoever asks: uptime, harts.
    harts: Arc<Mutex<(u64, Vec<HartStatus>)>>,
    paused: bool,
}

impl Runner<'_> {
    fn run(&mut self) -> Result<GuestExit, UserError> {
        let mut lockstep = pair(&self.config)?;
        let (harts, mode) = (self.harts.clone(), self.config.engine);
        self.end.set_source(Arc::new(move |status: &mut Status| {
            let harts = harts.lock();
            status.engine = mode;
            status.uptime_ns = harts.0;
            status.harts.clone_from_slice(&harts.1);
        }));
        loop {
            self.publish(&lockstep.sides()[0]);
            self.end.set_state(if self.paused { RunState::Paused } else { RunState::Running });
            if let Some(exit) = self.commands() {
                return Ok(exit);
            }
            let typed = self.end.serial().first().map(|p| p.take_input(TYPED)).unwrap_or_default();
            match lockstep.step(STRETCH, &typed).map_err(failed)? {
                Step::Equal(_) => {}
                Step::Over(at) => {
                    self.publish(&lockstep.sides()[0]);
                    self.tell_equal(at, &lockstep.sides()[1]);
                    return Ok(self.exit(lockstep.sides()[0].over()));
                }
                Step::Diverged(d) => return Err(self.diverged(&d)),
            }
        }
    }

    /// Shows what both machines have said and done.
    fn publish(&self, reference: &Twin) {
        let text = reference.take_text();
        if let Some(port) = self.end.serial().first() {
            port.push_output(&text);
        }
        let engine = reference.engine();
        let hart = |i| engine.status(i).unwrap_or_default();
        *self.harts.lock() = (reference.uptime_ns(), (0..engine.harts()).map(hart).collect());
    }

    /// Carries out what was asked for; waits while the machine is paused.
    fn commands(&mut self) -> Option<GuestExit> {
        loop {
            let request = match self.paused {
                true => self.end.commands.recv().ok(),
                false => match self.end.commands.try_recv() {
                    Ok(request) => Some(request),
                    Err(e) if e.is_empty() => return None,
                    Err(_) => None,
                },
            };
            // Nobody holds a handle any more.
            let Some(request) = request else { return Some(GuestExit::SwitchedOff) };
            if let Some(exit) = self.command(request) {
                return Some(exit);
            }
        }
    }

    fn command(&mut self, request: Request) -> Option<GuestExit> {
        let refused = match request.command {
            Command::PowerOff => {
                self.end.done(request.id);
                return Some(GuestExit::SwitchedOff);
            }
            Command::Pause | Command::Resume => {
                self.paused = request.command == Command::Pause;
                self.end.set_state(if self.paused { RunState::Paused } else { RunState::Running });
                None
            }
            Command::Serial { port, bytes } => match self.end.serial().get(port as usize) {
                Some(p) if p.write(&bytes) == bytes.len() => None,
                _ => Some("The guest does not take that input"),
            },
            _ => Some("Machines in lockstep cannot do that"),
        };
        match refused {
            Some(what) => {
                self.end.failed(request.id, refuse(what, "Start the machine in another engine mode."))
            }
            None => self.end.done(request.id),
        }
        None
    }

    /// Nothing differed. By which tiers it ran says what that is worth.
    fn tell_equal(&self, at: u64, other: &Twin) {
        let by = other.engine().tiers().insns;
        let text = format!(
            "interpreter and {} were equal for {at} instructions; of those the latter ran {} in the interpreter, {} in tier 1, {} in tier 2",
            self.config.engine.word(),
            by[0],
            by[1],
            by[2]
        );
        self.end.emit(Event::Notice { severity: Severity::Info, text, advice: String::new() });
    }

    fn exit(&self, event: Option<MachineEvent>) -> GuestExit {
        let code = match event {
            Some(MachineEvent::PowerOff(code)) => code as i32,
            _ => {
                let text = "The guest has asked for a reset; a run in lockstep ends there".to_owned();
                self.end.emit(Event::Notice { severity: Severity::Info, text, advice: String::new() });
                0
            }
        };
        self.end.emit(Event::GuestExit { code });
        GuestExit::Code(code)
    }

    fn diverged(&self, d: &Divergence) -> UserError {
        let word = self.config.engine.word();
        let text = format!("interpreter (reference) and {word} (under test) differ\n{d}");
        let text = text.trim_end().to_owned();
        self.end.emit(Event::Notice { severity: Severity::Error, text, advice: String::new() });
        let what = format!(
            "{} and the interpreter differ after {} instructions",
            self.config.engine.title(),
            d.differ_at
        );
        UserError::new(what, &self.config.name, "Please report it, with the report above.")
    }
}

#[cfg(test)]
mod tests;
