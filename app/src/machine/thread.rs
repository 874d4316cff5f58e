//! The thread of a machine: builds it, carries out commands one after the other, hears when the guest powers off.

use super::api::{
    AfterSave, CodePin, Command, EngineMode, Event, GuestExit, MachineEnd, MachineHandle, Request, RunState,
    SerialPort, Severity, Source, StartOptions, Status, Traffic, UserError, channel,
};
use super::build::{Machine, sentence};
use super::save;
use crate::config::{DeviceKind, EngineTuning, MachineConfig};
use crossbeam_channel::{Receiver, Sender, bounded, select};
use devices::backend::chardev::CharInput;
use devices::block::MessageFn;
use devices::metrics;
use engine::exec::cpu::MachineEvent;
use engine::exec::engine::Engine;
use engine::exec::mode::Tuning;
use engine::tier::pins::PinError;
use parking_lot::Mutex;
use std::sync::Arc;

/// Input that is moved from port to device at once.
const INPUT_CHUNK: usize = 1 << 16;

/// Starts a machine. What is wrong with its files shows as [`RunState::Failed`].
pub fn spawn(config: &MachineConfig, options: StartOptions) -> Result<MachineHandle, UserError> {
    if let Some(p) = config.problems().first() {
        return Err(UserError::new(p.what.clone(), p.field.clone(), p.advice.clone()));
    }
    let mode = options.engine.unwrap_or(config.engine);
    if let Some(why) = mode.unavailable() {
        return Err(UserError::new(format!("{} is not available", mode.title()), "", why));
    }
    let consoles = config.devices.iter().filter(|d| d.kind == DeviceKind::Console).count();
    let names: Vec<_> =
        std::iter::once("ttyS0".to_owned()).chain((0..consoles).map(|n| format!("hvc{n}"))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (handle, end) = channel(&config.name, &names, config.harts as usize, mode);
    let config = MachineConfig { engine: mode, ..config.clone() };
    let made = std::thread::Builder::new().name("machine".into()).spawn(move || {
        let (power, powered) = bounded(16);
        let (notices, noticed) = bounded(16);
        let typed = Arc::default();
        Runner { config, end, power, powered, notices, noticed, typed, machine: None }.run(&options);
    });
    made.map_err(|e| {
        UserError::new(format!("No thread could be started: {e}"), "", "Close other programs.")
    })?;
    Ok(handle)
}

struct Runner {
    /// The description; its engine is the one that was chosen last.
    config: MachineConfig,
    end: MachineEnd,
    power: Sender<MachineEvent>,
    powered: Receiver<MachineEvent>,
    /// What devices complain of.
    notices: Sender<String>,
    noticed: Receiver<String>,
    /// Inputs of the machine that is there now, by serial port; a reset makes new ones.
    typed: Arc<Mutex<Vec<CharInput>>>,
    machine: Option<Arc<Machine>>,
}

/// What the loop does next.
enum Next {
    On,
    Off(GuestExit),
}

impl Source for Machine {
    fn counters(&self, status: &mut Status) {
        let engine = &self.engine;
        status.engine = engine.settings().mode().into();
        status.tiers = engine.tiers();
        status.samples = engine.code().translations().samples.counts();
        status.tuning = engine.settings().tuning();
        status.pins = engine.pins().into_iter().map(CodePin).collect();
        status.uptime_ns = self.clock.now_ns();
        for (i, hart) in status.harts.iter_mut().enumerate() {
            *hart = engine.status(i).unwrap_or_default();
        }
        status.devices = metrics::reports(self.board.slots());
        (status.disk, status.net) = Traffic::of(&status.devices);
    }

    fn engine(&self) -> Option<&dyn Engine> {
        Some(&*self.engine)
    }
}

/// Moves what was typed at port `n` to its device.
fn pump(n: usize, port: &SerialPort, typed: &Mutex<Vec<CharInput>>) {
    // The lock keeps two writers' bytes in order.
    let typed = typed.lock();
    let Some(device) = typed.get(n) else { return };
    let bytes = port.take_input(INPUT_CHUNK);
    if !bytes.is_empty() {
        device.send(&bytes);
    }
}

impl Runner {
    fn run(mut self, options: &StartOptions) {
        let begun = match &options.resume_from {
            Some(file) => self.build().and_then(|m| save::restore(&self.config, &m, file).map(|()| m)),
            None => self.build().and_then(|m| m.boot(&self.config).map(|()| m)),
        };
        match begun {
            Ok(machine) => self.adopt(machine),
            Err(e) => return self.end.set_state(RunState::Failed(e)),
        }
        for (n, port) in self.end.serial().iter().enumerate() {
            let (p, t) = (port.clone(), self.typed.clone());
            port.set_input_notifier(Box::new(move || pump(n, &p, &t)));
            pump(n, port, &self.typed);
        }
        if options.paused {
            self.end.set_state(RunState::Paused);
        } else {
            self.resume();
        }
        let exit = self.serve(options.no_reboot);
        if let Some(machine) = &self.machine {
            machine.rest();
        }
        self.dismiss();
        match exit {
            Ok(exit) => self.end.set_state(RunState::Off { exit }),
            Err(e) => self.end.set_state(RunState::Failed(e)),
        }
    }

    fn build(&self) -> Result<Machine, UserError> {
        let notices = self.notices.clone();
        let note: MessageFn = Arc::new(move |text| {
            let _ = notices.try_send(text.to_owned());
        });
        Machine::build(&self.config, self.end.serial(), self.power.clone(), &note)
    }

    fn adopt(&mut self, machine: Machine) {
        *self.typed.lock() = machine.typed.clone();
        let machine = Arc::new(machine);
        self.end.set_source(machine.clone());
        self.machine = Some(machine);
    }

    /// Ends a machine that stands. Its counters are read for the last time before it is gone; nobody else holds it then.
    fn dismiss(&mut self) {
        self.end.freeze_counters();
        if let Some(mut machine) = self.machine.take().and_then(Arc::into_inner) {
            machine.engine.stop();
        }
    }

    fn resume(&self) {
        if let Some(m) = &self.machine {
            self.end.set_state(RunState::Running);
            m.engine.resume();
        }
    }

    /// Carries out commands until the machine is over; with `no_reboot` a reset by the guest ends it.
    fn serve(&mut self, no_reboot: bool) -> Result<GuestExit, UserError> {
        loop {
            let next = select! {
                recv(self.end.commands) -> request => match request {
                    Ok(request) => self.command(request)?,
                    // Nobody holds a handle any more.
                    Err(_) => Next::Off(GuestExit::SwitchedOff),
                },
                recv(self.noticed) -> text => {
                    if let Ok(text) = text {
                        let advice = "The guest was told; check the host's disk space and the image file.".into();
                        self.end.emit(Event::Notice { severity: Severity::Error, text: sentence(&text), advice });
                    }
                    Next::On
                },
                recv(self.powered) -> event => match event {
                    Ok(MachineEvent::PowerOff(code)) => {
                        let code = code as i32;
                        self.end.emit(Event::GuestExit { code });
                        Next::Off(GuestExit::Code(code))
                    }
                    Ok(MachineEvent::Reboot) if no_reboot => Next::Off(GuestExit::Code(0)),
                    Ok(MachineEvent::Reboot) => { self.reset()?; Next::On }
                    Err(_) => Next::On,
                },
            };
            if let Next::Off(exit) = next {
                return Ok(exit);
            }
        }
    }

    fn answer(&self, request: &Request, outcome: Result<(), UserError>) {
        match outcome {
            Ok(()) => self.end.done(request.id),
            Err(e) => self.end.failed(request.id, e),
        }
    }

    fn command(&mut self, request: Request) -> Result<Next, UserError> {
        let Some(machine) = &self.machine else { return Ok(Next::On) };
        match &request.command {
            Command::Pause => {
                machine.engine.pause();
                self.end.set_state(RunState::Paused);
                self.answer(&request, Ok(()));
            }
            Command::Resume => {
                self.resume();
                self.answer(&request, Ok(()));
            }
            Command::Reset => {
                self.reset()?;
                self.answer(&request, Ok(()));
            }
            Command::PowerOff => {
                self.answer(&request, Ok(()));
                return Ok(Next::Off(GuestExit::SwitchedOff));
            }
            Command::SaveState { path, then } => {
                let running = !machine.engine.is_paused();
                machine.rest();
                let saved = save::save(&self.config, machine, path);
                let off = saved.is_ok() && *then == AfterSave::PowerOff;
                if !off {
                    machine.wake(running);
                }
                self.answer(&request, saved);
                if off {
                    return Ok(Next::Off(GuestExit::Suspended));
                }
            }
            Command::SetEngine(mode) => {
                let outcome = self.set_engine(*mode);
                self.answer(&request, outcome);
            }
            Command::Tune(tuning) => {
                let outcome = self.tune(*tuning);
                self.answer(&request, outcome);
            }
            Command::Pin(CodePin(pin)) => {
                let outcome = machine.engine.pin(pin.clone());
                self.pinned(&request, outcome);
            }
            Command::Unpin(range) => {
                let outcome = machine.engine.unpin(range.clone().map(|r| r.0)).map(|_| ());
                self.pinned(&request, outcome);
            }
            Command::Serial { port, bytes } => {
                let outcome = match self.end.serial().get(*port as usize) {
                    Some(p) if p.write(bytes) == bytes.len() => Ok(()),
                    Some(_) => {
                        Err(UserError::new("The guest does not take more input", "", "Try again later."))
                    }
                    None => Err(UserError::new(format!("There is no serial port {port}"), "", "Use port 0.")),
                };
                self.answer(&request, outcome);
            }
        }
        Ok(Next::On)
    }

    fn set_engine(&mut self, mode: EngineMode) -> Result<(), UserError> {
        let why = match (mode.unavailable(), mode.tiers()) {
            (None, Some(tiers)) => {
                self.config.engine = mode;
                if let Some(machine) = &self.machine {
                    machine.engine.settings().set_mode(tiers);
                }
                self.end.set_engine(mode);
                return Ok(());
            }
            (why, _) => why.unwrap_or_default(),
        };
        Err(UserError::new(format!("{} is not available", mode.title()), "", why))
    }

    /// Takes over thresholds and sizes. Compiling threads are made when a machine is, so their number stays until a reset.
    fn tune(&mut self, tuning: EngineTuning) -> Result<(), UserError> {
        if let Some((_, what, next)) = tuning.mistakes().into_iter().next() {
            return Err(UserError::new(what, "", format!("{next}.")));
        }
        self.config.tuning = tuning;
        if let Some(machine) = &self.machine {
            let settings = machine.engine.settings();
            let workers = settings.tuning().workers;
            settings.set_tuning(Tuning { workers, ..tuning.applied() });
        }
        Ok(())
    }

    /// What is pinned has changed, or could not be.
    fn pinned(&mut self, request: &Request, outcome: Result<(), PinError>) {
        if let Some(machine) = &self.machine {
            self.config.pins = machine.engine.pins().into_iter().map(CodePin).collect();
        }
        let next = "Nothing has changed.";
        self.answer(request, outcome.map_err(|e| UserError::new(sentence(&e.to_string()), "", next)));
    }

    /// Power-cycles: a new machine, booted from the same files.
    fn reset(&mut self) -> Result<(), UserError> {
        if let Some(old) = &self.machine {
            old.engine.pause();
            old.board.quiesce();
        }
        self.dismiss();
        // What the old machine still had to say about its end is void.
        while self.powered.try_recv().is_ok() {}
        let machine = self.build()?;
        machine.boot(&self.config)?;
        self.adopt(machine);
        self.resume();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
