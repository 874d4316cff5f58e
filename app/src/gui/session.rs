//! A machine in the window: its handle, its terminals, and what was asked of it.

use super::dock::Dock;
use super::rates::Rates;
use super::terminal::Terminal;
use super::toasts::Toasts;
use super::{Launch, PlaceOfMachine};
use crate::config::{MachineConfig, MachineLock};
use crate::machine::api::{
    AfterSave, Command, Event, GuestExit, MachineHandle, RequestId, RunState, Severity, StartOptions,
    Subscription, UserError,
};
use egui::Context;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Instant;

/// Names a session for as long as the window lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SessionKey(pub u64);

/// What was asked, so that its outcome can be told in the same words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Quietly,
    Save,
    Suspend,
}

enum Link {
    /// Never started.
    Idle,
    /// The machine is being built on another thread.
    Starting(Receiver<Result<MachineHandle, UserError>>),
    /// It exists (and may be off by now).
    Live(MachineHandle, Subscription),
    /// It could not be built.
    Failed(UserError),
}

/// A serial port's terminal and how far it has read.
pub struct PortView {
    /// Name for people.
    pub name: String,
    /// The terminal.
    pub terminal: Terminal,
    cursor: u64,
    /// Output has come that nobody has looked at.
    pub unseen: bool,
}

/// One machine in the window.
pub struct Session {
    /// Its number.
    pub key: SessionKey,
    /// Its description.
    pub config: MachineConfig,
    /// Where its files are.
    pub place: PlaceOfMachine,
    /// One for each serial port; never empty.
    pub ports: Vec<PortView>,
    /// Index of the port that is shown.
    pub shown_port: usize,
    /// The panels round the terminal; away only while they are drawn.
    pub dock: Option<Dock>,
    /// Speed and load.
    pub rates: Rates,
    /// Give the keyboard to the terminal at the next frame.
    pub grab_focus: bool,
    /// How to start it the first time.
    pub first_start: StartOptions,
    /// Whether the terminal had the keyboard in the last frame.
    pub has_keyboard: bool,
    link: Link,
    events: u64,
    asked: HashMap<RequestId, Asked>,
    lock: Option<MachineLock>,
    scrollback: usize,
    closing: bool,
}

impl Session {
    /// A machine that is not started yet.
    pub fn new(key: SessionKey, config: MachineConfig, place: PlaceOfMachine, scrollback: usize) -> Session {
        let dock = Some(Dock::new(key.0, place.layout_file()));
        let mut session = Session {
            key,
            dock,
            config,
            place,
            ports: Vec::new(),
            shown_port: 0,
            rates: Rates::default(),
            grab_focus: true,
            first_start: StartOptions::default(),
            has_keyboard: false,
            link: Link::Idle,
            events: 0,
            asked: HashMap::new(),
            lock: None,
            scrollback,
            closing: false,
        };
        session.set_ports(&["ttyS0".to_owned()]);
        session
    }

    fn set_ports(&mut self, names: &[String]) {
        self.ports.truncate(names.len());
        for (port, name) in self.ports.iter_mut().zip(names) {
            port.terminal.reset();
            port.cursor = 0;
            port.name.clone_from(name);
        }
        for name in names.iter().skip(self.ports.len()) {
            let terminal = Terminal::new(self.scrollback);
            self.ports.push(PortView { name: name.clone(), terminal, cursor: 0, unseen: false });
        }
        self.shown_port = self.shown_port.min(self.ports.len().saturating_sub(1));
    }

    /// Starts the machine on another thread, from its saved state if `resume`.
    pub fn start(&mut self, ctx: &Context, launch: &Launch, resume: bool) -> Result<(), UserError> {
        if self.is_alive() {
            return Ok(());
        }
        self.lock = self.place.lock()?;
        let mut config = self.config.clone();
        self.place.resolve(&mut config);
        let mut options = std::mem::take(&mut self.first_start);
        if resume {
            options.resume_from = self.place.state_file();
        }
        let (sender, receiver) = channel();
        let (launch, ctx) = (Arc::clone(launch), ctx.clone());
        std::thread::Builder::new()
            .name(format!("start {}", config.name))
            .spawn(move || {
                // The window may be gone by now, and the machine with its handle.
                let _ = sender.send(launch(&config, options));
                ctx.request_repaint();
            })
            .map_err(|e| {
                UserError::new(
                    format!("The machine could not be started: {e}"),
                    self.config.name.clone(),
                    "Close other programs, then try again.",
                )
            })?;
        self.link = Link::Starting(receiver);
        self.rates.clear();
        self.grab_focus = true;
        Ok(())
    }

    /// Where the machine is in its life; `None` before its first start.
    pub fn state(&self) -> Option<RunState> {
        match &self.link {
            Link::Idle => None,
            Link::Starting(_) => Some(RunState::Starting),
            Link::Live(handle, _) => Some(handle.state()),
            Link::Failed(error) => Some(RunState::Failed(error.clone())),
        }
    }

    /// Whether the machine runs, stands paused or is being started.
    pub fn is_alive(&self) -> bool {
        self.state().is_some_and(|s| s.is_alive())
    }

    /// Whether switching it off loses something: all but the embedded guest may hold unwritten data.
    pub fn has_something_to_lose(&self) -> bool {
        self.is_alive() && !self.config.boot.embedded
    }

    /// The handle of a machine that exists.
    pub fn handle(&self) -> Option<&MachineHandle> {
        match &self.link {
            Link::Live(handle, _) => Some(handle),
            _ => None,
        }
    }

    /// The port that is shown.
    pub fn port_mut(&mut self) -> &mut PortView {
        let shown = self.shown_port.min(self.ports.len() - 1);
        &mut self.ports[shown]
    }

    /// Text of the console, for the card.
    pub fn screen_text(&self) -> String {
        self.ports.first().map(|p| p.terminal.screen_text()).unwrap_or_default()
    }

    /// Gives the machine a command; failures become messages.
    pub fn send(&mut self, command: Command, toasts: &mut Toasts) {
        self.ask(command, Asked::Quietly, toasts);
    }

    fn ask(&mut self, command: Command, asked: Asked, toasts: &mut Toasts) {
        let Link::Live(handle, _) = &self.link else { return };
        match handle.send(command) {
            Ok(id) => {
                self.asked.insert(id, asked);
            }
            Err(error) => toasts.error(&error),
        }
    }

    /// Saves the state, and switches off if `suspend`.
    pub fn save_state(&mut self, suspend: bool, toasts: &mut Toasts) {
        let Some(path) = self.place.state_file() else {
            toasts.error(&UserError::new(
                "The state cannot be saved",
                self.config.name.clone(),
                "Only machines of the library have a place for it.",
            ));
            return;
        };
        if let Some(dir) = path.parent()
            && let Err(e) = std::fs::create_dir_all(dir)
        {
            let next = "Check its permissions and the free space.";
            toasts.error(&UserError::new(
                format!("The folder cannot be made: {e}"),
                dir.display().to_string(),
                next,
            ));
            return;
        }
        let (then, asked) =
            if suspend { (AfterSave::PowerOff, Asked::Suspend) } else { (AfterSave::Continue, Asked::Save) };
        self.closing = suspend;
        self.ask(Command::SaveState { path, then }, asked, toasts);
    }

    /// Whether a suspension has been asked for and is not over.
    pub fn is_suspending(&self) -> bool {
        self.closing && self.is_alive()
    }

    /// Whether a saved state can be resumed.
    pub fn saved_state(&self) -> Option<PathBuf> {
        self.place.state_file().filter(|f| f.is_file())
    }

    /// Reads everything new from the machine and hands typed bytes to it. Say whether it is on the screen.
    pub fn poll(&mut self, ctx: &Context, toasts: &mut Toasts, visible: bool) {
        self.receive_handle(ctx, toasts);
        let Link::Live(handle, subscription) = &self.link else { return };
        subscription.acknowledge();
        let handle = handle.clone();
        for (i, (port, serial)) in self.ports.iter_mut().zip(handle.serial()).enumerate() {
            let read = serial.read_since(port.cursor);
            port.cursor = read.cursor;
            if !read.bytes.is_empty() {
                port.terminal.feed(&read.bytes);
                port.unseen = !(visible && i == self.shown_port);
            }
            if port.terminal.flush(|bytes| serial.write(bytes)) {
                ctx.request_repaint_after(std::time::Duration::from_millis(20));
            }
        }
        let (events, cursor) = handle.events_since(self.events);
        self.events = cursor;
        for event in events {
            self.take_event(event, toasts);
        }
        let now = Instant::now();
        if self.rates.due(now) {
            match handle.state() {
                RunState::Running => self.rates.update(&handle.status(), now),
                _ => self.rates.clear(),
            }
        }
    }

    /// Hands typed bytes to the machine after the terminals have seen this frame's input.
    pub fn flush_input(&mut self, ctx: &Context) {
        let Link::Live(handle, _) = &self.link else { return };
        for (port, serial) in self.ports.iter_mut().zip(handle.serial()) {
            if port.terminal.flush(|bytes| serial.write(bytes)) {
                ctx.request_repaint_after(std::time::Duration::from_millis(20));
            }
        }
    }

    fn receive_handle(&mut self, ctx: &Context, toasts: &mut Toasts) {
        let Link::Starting(receiver) = &self.link else { return };
        let result = match receiver.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => Err(UserError::new(
                "The machine could not be started: its starter ended unexpectedly",
                self.config.name.clone(),
                "Please report this.",
            )),
        };
        match result {
            Ok(handle) => {
                let names: Vec<String> = handle.serial().iter().map(|s| s.name().to_owned()).collect();
                self.set_ports(if names.is_empty() { &[] } else { &names });
                if self.ports.is_empty() {
                    self.set_ports(&["no serial port".to_owned()]);
                }
                let repaint = ctx.clone();
                let subscription = handle.subscribe(Box::new(move || repaint.request_repaint()));
                if let Some(dock) = &mut self.dock {
                    dock.watch(&handle, ctx);
                }
                self.events = 0;
                self.asked.clear();
                self.link = Link::Live(handle, subscription);
                ctx.request_repaint();
            }
            Err(error) => {
                toasts.error(&error);
                self.link = Link::Failed(error);
                self.lock = None;
            }
        }
    }

    fn take_event(&mut self, event: Event, toasts: &mut Toasts) {
        if let (Event::StateChanged(_), Some(dock)) = (&event, &self.dock) {
            dock.state_changed();
        }
        match event {
            Event::StateChanged(RunState::Off { exit }) => {
                self.keep_screen();
                self.lock = None;
                if let GuestExit::Code(code) = exit
                    && code != 0
                {
                    let text = format!("{} ended with code {code}.", self.config.name);
                    toasts.add(Severity::Warning, text, "The guest reported a failure.".to_owned());
                }
            }
            Event::StateChanged(RunState::Failed(error)) => {
                self.keep_screen();
                self.lock = None;
                toasts.error(&error);
            }
            Event::Done { request } => match self.asked.remove(&request) {
                Some(Asked::Save) => toasts.info(format!("The state of {} is saved.", self.config.name)),
                Some(Asked::Suspend) => toasts.info(format!("{} is suspended.", self.config.name)),
                _ => {}
            },
            Event::Failed { request, error } if self.asked.remove(&request).is_some() => {
                self.closing = false;
                toasts.error(&error);
            }
            Event::Notice { severity, text, advice } => toasts.add(severity, text, advice),
            _ => {}
        }
    }

    /// Keeps the console's text for the card.
    pub fn keep_screen(&self) {
        let text = self.screen_text();
        if let Some(file) = self.place.screen_file()
            && !text.is_empty()
            && let Err(e) = crate::config::write_atomically(&file, text.as_bytes())
        {
            tracing::warn!("the card of {} keeps its old text: {e}", self.config.name);
        }
    }

    /// Changes the terminals' scrollback.
    pub fn set_scrollback(&mut self, lines: usize) {
        self.scrollback = lines;
        self.ports.iter_mut().for_each(|p| p.terminal.set_scrollback(lines));
    }
}
