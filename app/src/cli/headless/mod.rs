//! A machine without a window: its serial port is the terminal.
//!
//! One loop waits for keys, signals, the machine's news and the end of the time; output goes by threads of its own
//! ([`drain`]). However the run ends, the terminal gets its mode back before anything is said.

mod drain;
mod input;
mod keys;
mod monitor;
mod signals;
mod terminal;

use super::report::{EXIT_ERROR, EXIT_TIMEOUT, Failure, failed, note};
use super::translate::PortTarget;
use crate::machine::api::{
    AfterSave, Command, Event, GuestExit, MachineHandle, RequestId, RunState, Severity, Subscription,
};
use drain::{Drain, DrainEnd};
use input::Input;
use keys::{HELP, Key};
use monitor::{Monitor, Outcome, PROMPT};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use signals::Signals;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use terminal::{RawTerminal, newline};

/// How long a machine may take to switch off.
const OFF_PATIENCE: Duration = Duration::from_secs(10);
/// How long saving may take.
const SAVE_PATIENCE: Duration = Duration::from_secs(120);
/// How long a reader of the output may take at the end.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);
/// Where the state goes if nobody said.
const DEFAULT_STATE: &str = "vitrine.state";

/// What the command line wants of the run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Where the serial ports lead.
    pub ports: Vec<PortTarget>,
    /// When to end it.
    pub timeout: Option<Duration>,
    /// Where states are saved.
    pub save: Option<PathBuf>,
}

/// Why the run is being ended by us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    Leave,
    Timeout,
    Signal(i32),
    OutputClosed,
}

/// Drives a machine to its end and gives the exit status.
pub fn drive(machine: &MachineHandle, plan: Plan) -> Result<u8, Failure> {
    let mut run = Run::start(machine, plan)?;
    let over = run.until_over();
    run.close(over?)
}

struct Run<'a> {
    machine: &'a MachineHandle,
    plan: Plan,
    signals: Signals,
    wake: Arc<OwnedFd>,
    news: Subscription,
    drains: Vec<Drain>,
    output_closed: Arc<AtomicBool>,
    input: Input,
    raw: Option<RawTerminal>,
    monitor: Option<Monitor>,
    cursor: u64,
    started: Instant,
    ending: Option<Ending>,
    deadline: Option<Instant>,
    /// The save that --timeout asked for.
    last_save: Option<RequestId>,
    saves: Vec<(RequestId, PathBuf)>,
    save_error: Option<Failure>,
}

fn system(what: &str, e: impl std::fmt::Display) -> Failure {
    failed(format!("{what}: {e}"), "", "Close other programs, then try again.")
}

impl<'a> Run<'a> {
    fn start(machine: &'a MachineHandle, plan: Plan) -> Result<Run<'a>, Failure> {
        let signals = Signals::catch().map_err(|e| system("Signals cannot be caught", e))?;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let wake = Arc::new(eventfd(0, flags).map_err(|e| system("An event cannot be made", e))?);
        let ring = wake.clone();
        let news = machine.subscribe(Box::new(move || {
            // Full means that the loop is awake anyway.
            let _ = rustix::io::write(&*ring, &1u64.to_ne_bytes());
        }));
        let console = plan.ports.iter().position(|p| *p == PortTarget::Stdio);
        let output_closed = Arc::new(AtomicBool::new(false));
        let drains = open_drains(machine, &plan, &output_closed, &wake)?;
        let interactive = console.is_some() && input::in_foreground();
        let raw = interactive.then(RawTerminal::enter).flatten();
        let port = console.and_then(|i| machine.serial().get(i)).cloned();
        let input = Input::new(port.filter(|_| input::usable()), raw.is_some());
        Ok(Run {
            machine,
            plan,
            signals,
            wake,
            news,
            drains,
            output_closed,
            input,
            raw,
            monitor: None,
            cursor: 0,
            started: Instant::now(),
            ending: None,
            deadline: None,
            last_save: None,
            saves: Vec::new(),
            save_error: None,
        })
    }

    /// The loop; ends with the machine's last state.
    fn until_over(&mut self) -> Result<RunState, Failure> {
        loop {
            self.news.acknowledge();
            self.tell_events();
            let state = self.machine.state();
            if !state.is_alive() {
                self.tell_events();
                return Ok(state);
            }
            if self.deadline.is_some_and(|d| Instant::now() >= d) {
                return Ok(RunState::Off { exit: GuestExit::SwitchedOff });
            }
            self.check_endings();
            self.wait()?;
        }
    }

    fn check_endings(&mut self) {
        if self.signals.take_continued() && self.raw.is_some() {
            RawTerminal::apply();
        }
        if let Some(signal) = self.signals.ending() {
            self.end(Ending::Signal(signal));
        }
        if self.output_closed.load(Ordering::Acquire) {
            self.end(Ending::OutputClosed);
        }
        if self.plan.timeout.is_some_and(|t| self.started.elapsed() >= t) {
            self.end(Ending::Timeout);
        }
    }

    /// Asks the machine to end; the first reason counts.
    fn end(&mut self, why: Ending) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(why);
        let saving = self.plan.save.clone().filter(|_| why == Ending::Timeout);
        let patience = if saving.is_some() { SAVE_PATIENCE } else { OFF_PATIENCE };
        self.deadline = Some(Instant::now() + patience);
        match saving {
            Some(path) => self.last_save = self.save(path, AfterSave::PowerOff),
            None => self.send(Command::PowerOff).map_or((), drop),
        }
    }

    fn send(&mut self, command: Command) -> Option<RequestId> {
        match self.machine.send(command) {
            Ok(id) => Some(id),
            Err(e) => {
                self.say(&e.to_string());
                None
            }
        }
    }

    fn save(&mut self, path: PathBuf, then: AfterSave) -> Option<RequestId> {
        let id = self.send(Command::SaveState { path: path.clone(), then })?;
        self.saves.push((id, path));
        Some(id)
    }

    /// A message on the terminal, on lines of its own.
    fn say(&self, text: &str) {
        let end = newline();
        let text = text.replace('\n', end);
        let lead = if self.raw.is_some() && self.monitor.is_none() { end } else { "" };
        let _ = write!(std::io::stderr().lock(), "{lead}{text}{end}");
    }

    fn tell_events(&mut self) {
        let (events, cursor) = self.machine.events_since(self.cursor);
        self.cursor = cursor;
        for event in events {
            self.tell(event);
        }
    }

    fn tell(&mut self, event: Event) {
        match event {
            Event::Notice { severity, text, advice } => {
                let kind = match severity {
                    Severity::Info => "note",
                    Severity::Warning => "warning",
                    Severity::Error => "error",
                };
                self.say(format!("vitrine: {kind}: {text}. {advice}").trim_end());
            }
            Event::Failed { request, error } => {
                if self.last_save == Some(request) {
                    // Without the state there is nothing to wait for.
                    self.save_error = Some(Failure::Error(error));
                    self.send(Command::PowerOff);
                } else {
                    self.say(&format!("vitrine: {error}"));
                }
            }
            Event::Done { request } => {
                if let Some(at) = self.saves.iter().position(|(id, _)| *id == request) {
                    let (_, path) = self.saves.swap_remove(at);
                    self.say(&format!("vitrine: the state was saved in {}", path.display()));
                }
            }
            Event::EngineChanged(mode) => self.say(&format!("vitrine: engine mode {}", mode.word())),
            _ => {}
        }
    }

    fn wait(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        let time_left = self.plan.timeout.filter(|_| self.ending.is_none());
        let time_left = time_left.map(|t| t.saturating_sub(self.started.elapsed()));
        let off_left = self.deadline.map(|d| d.saturating_duration_since(now));
        let limit = [time_left, off_left, self.input.retry_after()].into_iter().flatten().min();
        let limit = limit.and_then(|l| Timespec::try_from(l.max(Duration::from_millis(1))).ok());
        let readable = {
            let mut fds = vec![
                PollFd::from_borrowed_fd(self.signals.fd(), PollFlags::IN),
                PollFd::new(&*self.wake, PollFlags::IN),
            ];
            let stdin = std::io::stdin();
            if self.input.wants_more() {
                fds.push(PollFd::from_borrowed_fd(rustix::fd::AsFd::as_fd(&stdin), PollFlags::IN));
            }
            match poll(&mut fds, limit.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(system("Waiting for keys failed", e)),
            }
            let ready = |i: usize| fds.get(i).is_some_and(|f| !f.revents().is_empty());
            (ready(0), ready(1), ready(2))
        };
        if readable.0 {
            self.signals.acknowledge();
        }
        if readable.1 {
            let _ = rustix::io::read(&*self.wake, &mut [0u8; 8]);
        }
        if readable.2 {
            for key in self.input.read() {
                self.key(key);
            }
        }
        self.input.forward();
        Ok(())
    }

    fn key(&mut self, key: Key) {
        match key {
            Key::Leave => self.end(Ending::Leave),
            Key::Help => self.say(HELP),
            Key::Save => {
                let path = self.plan.save.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_STATE));
                self.save(path, AfterSave::Continue);
            }
            Key::Engine => {
                let next = self.machine.status().engine.next_available();
                self.send(Command::SetEngine(next));
            }
            Key::Monitor if self.monitor.take().is_some() => self.say(""),
            Key::Monitor => {
                self.say("");
                self.monitor = Some(Monitor::default());
                self.echo(PROMPT.as_bytes());
            }
            Key::Bytes(bytes) => match &mut self.monitor {
                None => self.input.queue(&bytes),
                Some(monitor) => {
                    let (echo, lines) = monitor.typed(&bytes);
                    self.echo(&echo);
                    for line in lines {
                        self.monitor_line(&line);
                    }
                }
            },
        }
    }

    fn monitor_line(&mut self, line: &str) {
        match monitor::command(line, self.machine) {
            None => {}
            Some(Outcome::Say(text)) => self.say(&text),
            Some(Outcome::Do(Command::SaveState { path, then })) => {
                self.save(path, then);
            }
            Some(Outcome::Do(command)) => {
                self.send(command);
            }
            Some(Outcome::Quit) => return self.end(Ending::Leave),
        }
        self.echo(PROMPT.as_bytes());
    }

    fn echo(&self, bytes: &[u8]) {
        let _ = std::io::stderr().lock().write_all(bytes);
    }

    /// Writes what is left, gives the terminal back, and finds the exit status.
    fn close(mut self, state: RunState) -> Result<u8, Failure> {
        let closed = self.drains.drain(..).map(|d| d.finish(DRAIN_PATIENCE)).collect::<Vec<_>>();
        drop(self.raw.take());
        for end in closed {
            match end {
                Some(DrainEnd::Complete { missed }) if missed > 0 => {
                    note(&format!(
                        "vitrine: {missed} bytes of output were lost, because they were not read in time"
                    ));
                }
                Some(DrainEnd::Failed(kind)) => {
                    let next = "Make room or choose another place.";
                    return Err(failed(format!("The output cannot be written: {kind}"), "", next));
                }
                None => note("vitrine: the end of the output is lost, because it was not read in time"),
                _ => {}
            }
        }
        if let Some(error) = self.save_error {
            return Err(error);
        }
        match self.ending {
            Some(Ending::Timeout) => {
                let seconds = self.plan.timeout.unwrap_or_default().as_secs_f64();
                note(&format!("vitrine: the time is over ({seconds} s); the machine was switched off"));
                return Ok(EXIT_TIMEOUT);
            }
            Some(Ending::Signal(signal)) => {
                signals::die_of(signal);
                return Ok(EXIT_ERROR);
            }
            Some(Ending::OutputClosed) => return Ok(EXIT_ERROR),
            Some(Ending::Leave) | None => {}
        }
        match state {
            RunState::Failed(error) => Err(Failure::Error(error)),
            RunState::Off { exit: GuestExit::Code(code) } => Ok(guest_code(code)),
            _ => Ok(0),
        }
    }
}

/// The guest's code as an exit status, which has 8 bits: a failure stays one.
fn guest_code(code: i32) -> u8 {
    match (code, code.to_le_bytes()[0]) {
        (0, _) => 0,
        (_, 0) => EXIT_ERROR,
        (_, low) => low,
    }
}

fn open_drains(
    machine: &MachineHandle,
    plan: &Plan,
    closed: &Arc<AtomicBool>,
    wake: &Arc<OwnedFd>,
) -> Result<Vec<Drain>, Failure> {
    let mut drains = Vec::new();
    for (port, target) in machine.serial().iter().zip(&plan.ports) {
        let out: Box<dyn Write + Send> = match target {
            PortTarget::Null => continue,
            PortTarget::Stdio => Box::new(std::io::stdout()),
            PortTarget::File(path) => Box::new(File::create(path).map_err(|e| {
                let next = "Check the folder and its permissions.";
                failed(
                    format!("The serial port's file cannot be written: {e}"),
                    path.display().to_string(),
                    next,
                )
            })?),
        };
        let (closed, wake) = (closed.clone(), wake.clone());
        let ended = move || {
            closed.store(true, Ordering::Release);
            let _ = rustix::io::write(&*wake, &1u64.to_ne_bytes());
        };
        let drain = Drain::start(machine, port.clone(), out, ended)
            .map_err(|e| system("A thread cannot be started", e))?;
        drains.push(drain);
    }
    Ok(drains)
}

#[cfg(test)]
mod tests;
