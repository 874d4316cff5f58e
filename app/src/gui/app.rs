//! The whole window's state, one frame of it, and what its actions do.

use super::action::Action;
use super::closing::{self, Closing};
use super::commands::{Cmd, Needs};
use super::dialog::{self, Answer, Question};
use super::dock::Dock;
use super::library::{self, Library};
use super::machine_view::{self, Other};
use super::palette::{Choice, Outcome, Palette, Usable};
use super::pins::{Pins, Wish};
use super::rects::Reporter;
use super::session::{Session, SessionKey};
use super::settings_page::SettingsPage;
use super::terminal;
use super::theme;
use super::toasts::Toasts;
use super::wizard::Wizard;
use super::{GuiOptions, Launch, PlaceOfMachine, StartWith, rates};
use crate::config::{Home, MachineConfig, MemorySize, Settings, StoreError, ThemeChoice, presets};
use crate::machine::api::{Command, EngineMode, RunState, UserError};
use egui::{Context, ThemePreference, Ui, ViewportCommand};

/// What is on the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Page {
    Library,
    Machine(SessionKey),
    Wizard,
    Settings,
}

/// The window's state.
pub struct App {
    ctx: Context,
    home: Home,
    launch: Launch,
    settings: Settings,
    library: Library,
    sessions: Vec<Session>,
    next_key: u64,
    page: Page,
    /// Where "back" from a form or the settings leads.
    previous: Page,
    wizard: Option<Wizard>,
    settings_page: SettingsPage,
    palette: Option<Palette>,
    pins: Option<Pins>,
    question: Option<Question>,
    toasts: Toasts,
    closing: Closing,
    reporter: Reporter,
}

impl App {
    /// Reads settings and machines and starts what is to be started.
    pub fn new(ctx: &Context, options: GuiOptions) -> App {
        theme::install(ctx);
        ctx.options_mut(|o| o.zoom_with_keyboard = false);
        let mut toasts = Toasts::default();
        let settings = Settings::load(&options.home.settings_file()).unwrap_or_else(|e| {
            let next = "The defaults are used; correct or remove the file.";
            toasts.error(&UserError::new(e.to_string().replace('\n', "; "), "Settings", next));
            Settings::default()
        });
        let mut app = App {
            ctx: ctx.clone(),
            home: options.home,
            launch: options.launch,
            settings,
            library: Library::default(),
            sessions: Vec::new(),
            next_key: 1,
            page: Page::Library,
            previous: Page::Library,
            wizard: None,
            settings_page: SettingsPage::default(),
            palette: None,
            pins: None,
            question: None,
            toasts,
            closing: Closing::No,
            reporter: Reporter::from_environment(),
        };
        app.apply_settings();
        app.library.refresh(&app.home);
        app.begin(options.start);
        app
    }

    fn begin(&mut self, start: StartWith) {
        self.ensure_embedded();
        match start {
            StartWith::Library => {}
            StartWith::Id(id) => self.start(&id, false),
            StartWith::Config { config, dir, options } => {
                let place = PlaceOfMachine::folder(&self.home, dir);
                let key = self.open(*config, place);
                if let Some(session) = self.session_mut(key) {
                    session.first_start = options;
                }
                self.run_session(key, false);
            }
            StartWith::Default => {
                let only = match self.library.entries.as_slice() {
                    [entry] if entry.config.as_ref().is_ok_and(|c| c.boot.embedded) => Some(entry.id.clone()),
                    _ => None,
                };
                if let Some(id) = only.filter(|_| self.settings.start_embedded) {
                    self.start(&id, false);
                }
            }
        }
    }

    /// An empty library gets the embedded guest.
    fn ensure_embedded(&mut self) {
        if self.library.entries.is_empty() {
            let result = self.home.create_machine(&mut presets()[0].config());
            self.report(result);
            self.library.refresh(&self.home);
        }
    }

    fn report(&mut self, result: Result<(), StoreError>) -> bool {
        if let Err(e) = &result {
            self.toasts.error(&UserError::new(
                e.to_string(),
                "",
                "Check the folder's permissions and free space.",
            ));
        }
        result.is_ok()
    }

    fn apply_settings(&self) {
        self.ctx.set_theme(match self.settings.theme {
            ThemeChoice::System => ThemePreference::System,
            ThemeChoice::Dark => ThemePreference::Dark,
            ThemeChoice::Light => ThemePreference::Light,
        });
        self.ctx.set_zoom_factor(self.settings.zoom);
    }

    fn session_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|s| s.key == key)
    }

    fn shown(&self) -> Option<&Session> {
        let Page::Machine(key) = self.page else { return None };
        self.sessions.iter().find(|s| s.key == key)
    }

    fn open(&mut self, config: MachineConfig, place: PlaceOfMachine) -> SessionKey {
        let key = SessionKey(self.next_key);
        self.next_key += 1;
        self.sessions.push(Session::new(key, config, place, self.settings.scrollback));
        key
    }

    /// Starts a machine of the library, with its description as it is on disk now, and shows it.
    fn start(&mut self, id: &str, resume: bool) {
        let config = match self.home.load_machine(id) {
            Ok(config) => config,
            Err(e) => {
                let next = "Correct the description, then try again.";
                self.toasts.error(&UserError::new(e.to_string(), id, next));
                return;
            }
        };
        let open = self.sessions.iter_mut().find(|s| s.place.id() == Some(id));
        let key = match open {
            Some(session) => {
                if !session.is_alive() {
                    session.config = config;
                }
                session.key
            }
            None => {
                let place = PlaceOfMachine::library(&self.home, id);
                self.open(config, place)
            }
        };
        self.run_session(key, resume);
    }

    fn run_session(&mut self, key: SessionKey, resume: bool) {
        let (ctx, launch) = (self.ctx.clone(), self.launch.clone());
        let result = self.session_mut(key).map(|s| s.start(&ctx, &launch, resume));
        if let Some(Err(e)) = result {
            self.toasts.error(&e);
        }
        self.page = Page::Machine(key);
    }

    /// One frame, without its input.
    fn frame(&mut self, ui: &mut Ui) {
        let ctx = self.ctx.clone();
        for session in &mut self.sessions {
            let visible = self.page == Page::Machine(session.key);
            session.poll(&ctx, &mut self.toasts, visible);
        }
        self.close_request(&ctx);
        let mut actions = Vec::new();
        let guest_has_keyboard = self.shown().is_some_and(|s| s.has_keyboard);
        if self.question.is_none() && self.pins.is_none() && self.closing == Closing::No {
            actions.extend(Cmd::take_keys(&ctx, guest_has_keyboard).into_iter().map(Action::Command));
            self.take_dropped(&ctx, &mut actions);
        }
        actions.extend(self.show_palette(&ctx));
        actions.extend(self.show_page(ui));
        self.show_pins(&ctx);
        actions.extend(self.show_question(&ctx));
        self.toasts.show(&ctx);
        if !actions.is_empty() {
            // What they change is drawn in the next frame.
            ctx.request_repaint();
        }
        for action in actions {
            self.act(action);
        }
        self.sessions.iter_mut().for_each(|s| s.flush_input(&ctx));
        self.schedule(&ctx);
        self.reporter.finish(&ctx);
    }

    fn show_page(&mut self, ui: &mut Ui) -> Vec<Action> {
        let dropping = self.ctx.input(|i| !i.raw.hovered_files.is_empty());
        let blocked = self.palette.is_some() || self.pins.is_some() || self.question.is_some();
        match self.page {
            Page::Library => library::show(ui, &self.library, &self.sessions, dropping),
            Page::Wizard => self.wizard.as_mut().map(|w| w.show(ui)).unwrap_or_default(),
            Page::Settings => {
                self.show_settings(ui);
                Vec::new()
            }
            Page::Machine(key) => {
                let others = |s: &&Session| s.key != key;
                let others: Vec<Other> = self
                    .sessions
                    .iter()
                    .filter(others)
                    .map(|s| Other { key: s.key, name: s.config.name.clone() })
                    .collect();
                let Some(session) = self.sessions.iter_mut().find(|s| s.key == key) else {
                    self.page = Page::Library;
                    return Vec::new();
                };
                machine_view::show(ui, session, &others, &self.settings, blocked)
            }
        }
    }

    fn show_settings(&mut self, ui: &mut Ui) {
        let mut leave = false;
        super::widgets::bar(ui, "settings bar", |ui| {
            leave = super::widgets::icon_button(ui, super::icons::Icon::Back, "Back", "Back", true).clicked();
            super::widgets::heading(ui, "Settings");
        });
        let home = self.home.settings_file().parent().map(|p| p.display().to_string()).unwrap_or_default();
        let palette = theme::palette(ui);
        let page = egui::CentralPanel::default().frame(egui::Frame::new().fill(palette.base));
        let changed = page.show(ui, |ui| self.settings_page.show(ui, &mut self.settings, &home)).inner;
        if changed {
            self.settings_changed();
        }
        if leave {
            self.page = self.previous;
        }
    }

    fn settings_changed(&mut self) {
        self.apply_settings();
        let lines = self.settings.scrollback;
        self.sessions.iter_mut().for_each(|s| s.set_scrollback(lines));
        let saved = self.settings.save(&self.home.settings_file());
        self.report(saved);
    }

    fn show_palette(&mut self, ctx: &Context) -> Option<Action> {
        let mut palette = self.palette.take()?;
        let live = self.shown().and_then(Session::handle).map(|h| h.status());
        let engine = live.filter(|s| s.state.is_alive()).map(|s| s.engine);
        let panels = self.shown().and_then(|s| s.dock.as_ref()).map(Dock::list).unwrap_or_default();
        match palette.show(ctx, Usable { command: &|c| self.is_usable(c), engine, panels: &panels }) {
            Outcome::Open => {
                self.palette = Some(palette);
                None
            }
            Outcome::Closed => {
                self.refocus();
                None
            }
            Outcome::Chosen(Choice::Command(cmd)) => {
                self.refocus();
                Some(Action::Command(cmd))
            }
            Outcome::Chosen(Choice::Engine(mode)) => {
                self.refocus();
                self.shown().map(|s| Action::SetEngine(s.key, mode))
            }
            Outcome::Chosen(Choice::Panel(panel)) => {
                self.refocus();
                self.shown().map(|s| Action::TogglePanel(s.key, panel.id))
            }
            Outcome::Chosen(Choice::Setting(name)) => {
                self.settings_page.find(name.title());
                Some(Action::Command(Cmd::Settings))
            }
        }
    }

    fn refocus(&mut self) {
        if let Page::Machine(key) = self.page
            && let Some(session) = self.session_mut(key)
        {
            session.grab_focus = true;
        }
    }

    fn show_pins(&mut self, ctx: &Context) {
        let Some(mut pins) = self.pins.take() else { return };
        // The page may have changed, or the machine ended, under it.
        let status =
            self.shown().filter(|s| s.key == pins.machine).and_then(Session::handle).map(|h| h.status());
        let Some(status) = status.filter(|s| s.state.is_alive()) else { return };
        match pins.show(ctx, &status) {
            Some(Wish::Close) => return self.refocus(),
            Some(Wish::Tell(command)) => self.tell_machine(pins.machine, command),
            None => {}
        }
        self.pins = Some(pins);
    }

    fn show_question(&mut self, ctx: &Context) -> Option<Action> {
        let question = self.question.take()?;
        match dialog::show(ctx, &question) {
            Answer::Open => {
                self.question = Some(question);
                None
            }
            Answer::No => {
                self.refocus();
                None
            }
            Answer::Do(action) => Some(action),
        }
    }

    fn take_dropped(&mut self, ctx: &Context, actions: &mut Vec<Action>) {
        let dropped = ctx.input(|i| i.raw.dropped_files.first().map(|f| f.path().to_path_buf()));
        if let Some(path) = dropped {
            actions.push(Action::NewMachine(Some(path)));
        }
    }

    /// Numbers of a running machine change four times a second, the time of an idle one once; output wakes the window by itself.
    fn schedule(&self, ctx: &Context) {
        if let Some(session) = self.shown()
            && matches!(session.state(), Some(RunState::Running))
        {
            let quiet = session.rates.is_quiet();
            ctx.request_repaint_after(if quiet {
                std::time::Duration::from_secs(1)
            } else {
                rates::INTERVAL
            });
        }
        if self.closing == Closing::Suspending {
            ctx.request_repaint_after(rates::INTERVAL);
        }
    }

    fn close_request(&mut self, ctx: &Context) {
        if self.closing != Closing::Now && ctx.input(|i| i.viewport().close_requested()) {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
            if self.closing == Closing::No {
                self.question = closing::question(&self.sessions, self.settings.confirm_power_off);
                if self.question.is_none() {
                    self.begin_closing();
                }
            }
        }
        if self.closing == Closing::Suspending {
            self.closing = closing::proceed(&self.sessions, self.closing);
            self.finish_closing();
        }
    }

    fn begin_closing(&mut self) {
        self.closing = closing::begin(&mut self.sessions, &mut self.toasts);
        if self.closing == Closing::Suspending {
            self.toasts.info("Saving states before the window closes.");
        }
        self.finish_closing();
    }

    fn finish_closing(&mut self) {
        if self.closing == Closing::Now {
            for session in &mut self.sessions {
                session.keep_screen();
                if session.is_alive() {
                    session.send(Command::PowerOff, &mut self.toasts);
                }
            }
            self.ctx.send_viewport_cmd(ViewportCommand::Close);
        }
    }

    fn is_usable(&self, cmd: Cmd) -> bool {
        let session = self.shown();
        match cmd.needs() {
            Needs::Nothing => cmd != Cmd::NextMachine || !self.sessions.is_empty(),
            Needs::Machine => session.is_some(),
            Needs::Live => {
                let saves = matches!(cmd, Cmd::SaveState | Cmd::Suspend);
                session.is_some_and(|s| {
                    matches!(s.state(), Some(RunState::Running | RunState::Paused))
                        && (!saves || s.place.id().is_some())
                })
            }
            Needs::Saved => session.is_some_and(|s| !s.is_alive() && s.saved_state().is_some()),
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Command(cmd) => {
                if self.is_usable(cmd) {
                    self.command(cmd);
                }
            }
            Action::NewMachine(file) => {
                self.remember_page();
                self.wizard = Some(Wizard::create(&self.home, file.as_deref()));
                self.page = Page::Wizard;
            }
            Action::Edit(id) => self.edit(&id),
            Action::Duplicate(id) => self.duplicate(&id),
            Action::AskDelete(id) => self.ask_delete(id),
            Action::Delete(id) => {
                let removed = self.home.delete_machine(&id);
                if self.report(removed) {
                    self.sessions.retain(|s| s.place.id() != Some(&id));
                }
                self.library.refresh(&self.home);
            }
            Action::DiscardState(id) => {
                let file = self.home.state_file(&id);
                if let Err(e) = std::fs::remove_file(&file) {
                    let to = file.display().to_string();
                    self.toasts.error(&UserError::new(format!("The state stays: {e}"), to, ""));
                }
                self.library.refresh(&self.home);
            }
            Action::Start { id, resume } => self.start(&id, resume),
            Action::Show(key) => {
                self.page = Page::Machine(key);
                self.refocus();
            }
            Action::PowerOffNow(key) => self.tell_machine(key, Command::PowerOff),
            Action::SetEngine(key, mode) => self.tell_machine(key, Command::SetEngine(mode)),
            Action::Tell(key, command) => self.tell_machine(key, command),
            Action::TogglePanel(key, id) => {
                if let Some(dock) = self.session_mut(key).and_then(|s| s.dock.as_mut()) {
                    dock.toggle(id);
                }
            }
            Action::SaveMachine { config, new_disk, start } => self.save_machine(*config, new_disk, start),
            Action::Leave => {
                self.wizard = None;
                self.page = self.previous;
            }
            Action::CloseAnyway => self.begin_closing(),
        }
    }

    fn tell_machine(&mut self, key: SessionKey, command: Command) {
        if let Some(session) = self.sessions.iter_mut().find(|s| s.key == key) {
            session.send(command, &mut self.toasts);
        }
    }

    fn remember_page(&mut self) {
        if !matches!(self.page, Page::Wizard | Page::Settings) {
            self.previous = self.page;
        }
    }

    fn command(&mut self, cmd: Cmd) {
        match cmd {
            Cmd::Palette => self.palette = Some(Palette::default()),
            Cmd::Library => {
                if let Some(session) = self.shown() {
                    session.keep_screen();
                }
                self.library.refresh(&self.home);
                self.page = Page::Library;
            }
            Cmd::Settings => {
                self.remember_page();
                self.page = Page::Settings;
            }
            Cmd::NewMachine => self.act(Action::NewMachine(None)),
            Cmd::NextMachine => self.next_machine(),
            Cmd::LargerText => self.text_size(1.0),
            Cmd::SmallerText => self.text_size(-1.0),
            Cmd::Fullscreen => {
                let full = self.ctx.input(|i| i.viewport().fullscreen.unwrap_or(false));
                self.ctx.send_viewport_cmd(ViewportCommand::Fullscreen(!full));
            }
            Cmd::Quit => self.ctx.send_viewport_cmd(ViewportCommand::Close),
            _ => self.machine_command(cmd),
        }
    }

    fn text_size(&mut self, by: f32) {
        self.settings.terminal_text = (self.settings.terminal_text + by).clamp(8.0, 32.0);
        self.settings_changed();
    }

    fn next_machine(&mut self) {
        let at = self.shown().and_then(|s| self.sessions.iter().position(|o| o.key == s.key));
        let next = at.map_or(0, |i| (i + 1) % self.sessions.len());
        if let Some(key) = self.sessions.get(next).map(|s| s.key) {
            self.act(Action::Show(key));
        }
    }

    /// Commands that act on the machine on the screen.
    fn machine_command(&mut self, cmd: Cmd) {
        let Page::Machine(key) = self.page else { return };
        let confirm = self.settings.confirm_power_off;
        let Some(session) = self.sessions.iter_mut().find(|s| s.key == key) else { return };
        let toasts = &mut self.toasts;
        match cmd {
            Cmd::Power if !session.is_alive() => match session.place.id().map(str::to_owned) {
                Some(id) => self.start(&id, false),
                None => self.run_session(key, false),
            },
            Cmd::Power if confirm && session.has_something_to_lose() => {
                self.question = Some(ask_power_off(session));
            }
            Cmd::Power => session.send(Command::PowerOff, toasts),
            Cmd::Resume => self.run_session(key, true),
            Cmd::Pause if matches!(session.state(), Some(RunState::Paused)) => {
                session.send(Command::Resume, toasts);
                session.grab_focus = true;
            }
            Cmd::Pause => session.send(Command::Pause, toasts),
            Cmd::Reset => session.send(Command::Reset, toasts),
            Cmd::SaveState => session.save_state(false, toasts),
            Cmd::Suspend => session.save_state(true, toasts),
            Cmd::NextEngine => {
                let now = session.handle().map(|h| h.status().engine);
                if let Some(next) = now.map(EngineMode::next_available).filter(|next| Some(*next) != now) {
                    session.send(Command::SetEngine(next), toasts);
                }
            }
            Cmd::Pins => self.pins = Some(Pins::of(key)),
            Cmd::UseGuest | Cmd::WatchEngine | Cmd::DebugGuest => {
                if let (Some(dock), Some(preset)) = (&mut session.dock, cmd.preset()) {
                    dock.apply(preset);
                }
                session.grab_focus |= cmd == Cmd::UseGuest;
            }
            Cmd::SelectBack => session.dock.iter_mut().for_each(Dock::back),
            Cmd::SelectForward => session.dock.iter_mut().for_each(Dock::forward),
            Cmd::Edit => {
                if let Some(id) = session.place.id().map(str::to_owned) {
                    self.edit(&id);
                }
            }
            Cmd::Copy => terminal::copy(&self.ctx, &session.port_mut().terminal),
            Cmd::Paste => terminal::request_paste(&self.ctx, &mut session.port_mut().terminal),
            Cmd::SelectAll => session.port_mut().terminal.select_all(),
            Cmd::ClearScrollback => session.port_mut().terminal.clear_scrollback(),
            _ => {}
        }
    }

    fn edit(&mut self, id: &str) {
        if self.sessions.iter().any(|s| s.place.id() == Some(id) && s.is_alive()) {
            self.toasts.error(&UserError::new(
                "A running machine cannot be changed",
                id,
                "Switch it off first.",
            ));
            return;
        }
        match self.home.load_machine(id) {
            Ok(config) => {
                self.remember_page();
                self.wizard = Some(Wizard::edit(&self.home, config));
                self.page = Page::Wizard;
            }
            Err(e) => self.toasts.error(&UserError::new(e.to_string(), id, "Correct the file.")),
        }
    }

    fn duplicate(&mut self, id: &str) {
        if let Ok(mut config) = self.home.load_machine(id) {
            config.name = format!("{} copy", config.name.chars().take(70).collect::<String>());
            let made = self.home.create_machine(&mut config);
            self.report(made);
            self.library.refresh(&self.home);
        }
    }

    fn ask_delete(&mut self, id: String) {
        let name = self
            .library
            .entries
            .iter()
            .find(|e| e.id == id)
            .and_then(|e| e.config.as_ref().ok())
            .map_or_else(|| id.clone(), |c| c.name.clone());
        self.question = Some(Question {
            title: format!("Delete {name}?"),
            text: "Its description, its saved state and the disks made in its folder are removed. Other disk images stay."
                .to_owned(),
            yes: "Delete".to_owned(),
            action: Action::Delete(id),
            other: None,
        });
    }

    fn save_machine(&mut self, mut config: MachineConfig, new_disk: Option<MemorySize>, start: bool) {
        let new = config.id.is_empty();
        let saved = if new {
            self.home.create_machine(&mut config)
        } else {
            self.home.lock(&config.id).and_then(|lock| self.home.save_machine(&config, &lock))
        };
        let added = saved.and_then(|()| match new_disk {
            Some(size) => self.home.add_disk(&mut config, size),
            None => Ok(()),
        });
        if !self.report(added) {
            return;
        }
        self.wizard = None;
        self.library.refresh(&self.home);
        for session in self.sessions.iter_mut().filter(|s| s.place.id() == Some(&config.id)) {
            session.config = config.clone();
        }
        self.page = if new { Page::Library } else { self.previous };
        if start {
            self.start(&config.id, false);
        }
    }
}

fn ask_power_off(session: &Session) -> Question {
    Question {
        title: format!("Power off {}?", session.config.name),
        text: "The guest is not asked: what it has not written to disk is lost. Its own poweroff command is the safe way."
            .to_owned(),
        yes: "Power off".to_owned(),
        action: Action::PowerOffNow(session.key),
        other: session.place.id().map(|_| ("Save state instead".to_owned(), Action::Command(Cmd::Suspend))),
    }
}

impl eframe::App for App {
    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.frame(ui);
    }

    fn persist_egui_memory(&self) -> bool {
        false
    }

    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        // A hidden window draws nothing, but its machines' output must not be lost, nor their answers wait.
        if ctx.input(|i| i.viewport().minimized.unwrap_or(false)) {
            for session in &mut self.sessions {
                session.poll(ctx, &mut self.toasts, false);
                session.flush_input(ctx);
            }
        }
    }
}

#[cfg(test)]
mod tests;
