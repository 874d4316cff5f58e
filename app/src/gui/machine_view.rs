//! A machine: the guest in the middle, a slim bar above, the status line below.

use super::action::Action;
use super::commands::Cmd;
use super::icons::{self, Icon};
use super::rects;
use super::session::{Session, SessionKey};
use super::terminal::{self, TerminalOptions};
use super::theme::{self, SPACE, text};
use super::{status, widgets};
use crate::config::Settings;
use crate::machine::api::{GuestExit, RunState};
use egui::{Align, FontId, Frame, Layout, Rect, RichText, Sense, Ui, pos2, vec2};

/// Another machine that the bar can switch to.
pub struct Other {
    /// Which.
    pub key: SessionKey,
    /// Its name.
    pub name: String,
}

/// Shows a machine. `block_focus`: something above the page wants the keyboard.
pub fn show(
    ui: &mut Ui,
    session: &mut Session,
    others: &[Other],
    settings: &Settings,
    block_focus: bool,
) -> Vec<Action> {
    let mut actions = Vec::new();
    top_bar(ui, session, others, &mut actions);
    actions.extend(status::show(ui, session, session.has_keyboard));
    let p = theme::palette(ui);
    egui::CentralPanel::default().frame(Frame::new().fill(p.base)).show(ui, |ui| {
        let Some(mut dock) = session.dock.take() else { return };
        let status = session.handle().map(|h| h.status());
        let mut guest = |ui: &mut Ui| show_guest(ui, session, settings, block_focus, &mut actions);
        let commands = dock.show(ui, status.as_deref(), &mut guest);
        session.dock = Some(dock);
        actions.extend(commands.into_iter().map(|c| Action::Tell(session.key, c)));
    });
    actions
}

/// The guest: its terminal, and a note over it while it does not run.
fn show_guest(
    ui: &mut Ui,
    session: &mut Session,
    settings: &Settings,
    block_focus: bool,
    actions: &mut Vec<Action>,
) {
    let options = TerminalOptions {
        text: settings.terminal_text,
        standard_size: !settings.terminal_fits_window,
        mouse: settings.terminal_mouse,
        grab_focus: !block_focus && std::mem::take(&mut session.grab_focus),
    };
    let state = session.state();
    let port = session.port_mut();
    port.unseen = false;
    let name = port.name.clone();
    let response = terminal::show(ui, &mut port.terminal, &name, options);
    rects::note(ui.ctx(), "machine.terminal", response.rect);
    let has_keyboard = response.has_focus();
    if std::mem::replace(&mut session.has_keyboard, has_keyboard) != has_keyboard {
        // The status line above this has been drawn with the old answer.
        ui.ctx().request_repaint();
    }
    overlay(ui, session, state.as_ref(), response.rect, actions);
}

fn top_bar(ui: &mut Ui, session: &mut Session, others: &[Other], actions: &mut Vec<Action>) {
    let state = session.state();
    let alive = session.is_alive();
    widgets::bar(ui, "machine bar", |ui| {
        let back = widgets::icon_button(ui, Icon::Back, "Library", &Cmd::Library.tip("Library"), true);
        rects::note(ui.ctx(), "machine.back", back.rect);
        if back.clicked() {
            actions.push(Action::Command(Cmd::Library));
        }
        name_menu(ui, session, others, actions);
        widgets::bar_separator(ui);
        let mut tool = |ui: &mut Ui, icon, name: &str, cmd: Cmd, enabled: bool| {
            let response = widgets::icon_button(ui, icon, name, &cmd.tip(name), enabled);
            rects::note(ui.ctx(), format!("machine.{name}"), response.rect);
            if response.clicked() {
                actions.push(Action::Command(cmd));
            }
        };
        if alive {
            tool(ui, Icon::Power, "Power off", Cmd::Power, true);
        } else {
            tool(ui, Icon::Power, "Power on", Cmd::Power, true);
        }
        let ready = matches!(state, Some(RunState::Running | RunState::Paused));
        if matches!(state, Some(RunState::Paused)) {
            tool(ui, Icon::Play, "Resume", Cmd::Pause, true);
        } else {
            tool(ui, Icon::Pause, "Pause", Cmd::Pause, ready);
        }
        tool(ui, Icon::Reset, "Reset", Cmd::Reset, ready);
        tool(ui, Icon::Save, "Save state", Cmd::SaveState, ready && session.place.id().is_some());
        if session.ports.len() > 1 {
            widgets::bar_separator(ui);
        }
        tabs(ui, session);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if widgets::icon_button(ui, Icon::Gear, "Settings", &Cmd::Settings.tip("Settings"), true)
                .clicked()
            {
                actions.push(Action::Command(Cmd::Settings));
            }
            let tip = Cmd::Palette.tip("Find a command");
            if widgets::icon_button(ui, Icon::Search, "Find a command", &tip, true).clicked() {
                actions.push(Action::Command(Cmd::Palette));
            }
            more_menu(ui, session, ready, actions);
            panels_menu(ui, session, actions);
            if let Some(title) = session.ports.get(session.shown_port).and_then(|p| p.terminal.title()) {
                let p = theme::palette(ui);
                let label = RichText::new(title).size(text::SMALL + 1.0).color(p.weak);
                ui.add(egui::Label::new(label).truncate());
            }
        });
    });
}

/// The machine's name; a menu when several machines are open.
fn name_menu(ui: &mut Ui, session: &Session, others: &[Other], actions: &mut Vec<Action>) {
    if others.is_empty() {
        ui.add_space(SPACE[0]);
        widgets::heading(ui, &session.config.name);
        ui.add_space(SPACE[0]);
        return;
    }
    let label = RichText::new(&session.config.name).font(theme::medium(text::HEADING));
    let button = ui.add(egui::Button::new(label).frame_when_inactive(false));
    let p = theme::palette(ui);
    let (arrow, _) = ui.allocate_exact_size(vec2(12.0, 12.0), Sense::hover());
    icons::paint(ui.painter(), Icon::Down, arrow, 10.0, p.weak);
    egui::Popup::menu(&button).show(|ui| {
        ui.set_min_width(200.0);
        for other in others {
            if ui.button(&other.name).clicked() {
                actions.push(Action::Show(other.key));
                ui.close();
            }
        }
    });
}

/// Arrangements of panels, and each panel.
fn panels_menu(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let Some(dock) = &session.dock else { return };
    let button = widgets::icon_button(ui, Icon::Panels, "Panels", "Panels round the guest", true);
    rects::note(ui.ctx(), "machine.panels", button.rect);
    egui::Popup::menu(&button).show(|ui| {
        ui.set_min_width(280.0);
        for cmd in [Cmd::UseGuest, Cmd::WatchEngine, Cmd::DebugGuest] {
            let button = egui::Button::new(cmd.title()).shortcut_text(cmd.key_text());
            if ui.add(button).clicked() {
                actions.push(Action::Command(cmd));
                ui.close();
            }
        }
        ui.separator();
        for panel in dock.list() {
            let mut open = panel.open;
            if ui.checkbox(&mut open, panel.title).on_hover_text(panel.about).clicked() {
                actions.push(Action::TogglePanel(session.key, panel.id));
            }
        }
    });
}

fn more_menu(ui: &mut Ui, session: &Session, ready: bool, actions: &mut Vec<Action>) {
    let button = widgets::icon_button(ui, Icon::More, "Machine menu", "More", true);
    rects::note(ui.ctx(), "machine.menu", button.rect);
    let library = session.place.id().is_some();
    let saved = session.saved_state().is_some();
    egui::Popup::menu(&button).show(|ui| {
        ui.set_min_width(280.0);
        let mut item = |ui: &mut Ui, enabled: bool, cmd: Cmd| {
            let button = egui::Button::new(cmd.title()).shortcut_text(cmd.key_text());
            if ui.add_enabled(enabled, button).clicked() {
                actions.push(Action::Command(cmd));
                ui.close();
            }
        };
        item(ui, ready && library, Cmd::SaveState);
        item(ui, ready && library, Cmd::Suspend);
        item(ui, !session.is_alive() && saved, Cmd::Resume);
        ui.separator();
        item(ui, library && !session.is_alive(), Cmd::Edit);
        item(ui, true, Cmd::ClearScrollback);
        item(ui, true, Cmd::Fullscreen);
    });
}

/// One tab for each serial port, when there are several.
fn tabs(ui: &mut Ui, session: &mut Session) {
    if session.ports.len() < 2 {
        return;
    }
    let p = theme::palette(ui);
    for i in 0..session.ports.len() {
        let port = &session.ports[i];
        let shown = i == session.shown_port;
        let font = theme::mono(text::SMALL + 1.0);
        let galley =
            ui.painter().layout_no_wrap(port.name.clone(), font, if shown { p.text } else { p.weak });
        let size = vec2(galley.size().x + 24.0, theme::CONTROL_HEIGHT);
        let (rect, response) = ui.allocate_exact_size(size, Sense::click());
        let name = port.name.clone();
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Tab, true, &name));
        if shown || response.hovered() {
            ui.painter().rect_filled(rect, theme::CORNER, if shown { p.hover } else { p.raised });
        }
        let color = if shown { p.text } else { p.weak };
        ui.painter().galley(rect.center() - galley.size() / 2.0, galley, color);
        if port.unseen && !shown {
            ui.painter().circle_filled(pos2(rect.max.x - 7.0, rect.min.y + 8.0), 2.5, p.accent);
        }
        if response.on_hover_text("Serial port").clicked() {
            session.shown_port = i;
            session.grab_focus = true;
        }
    }
}

/// What stands over the terminal of a machine that does not run.
fn overlay(ui: &mut Ui, session: &Session, state: Option<&RunState>, over: Rect, actions: &mut Vec<Action>) {
    let saved = session.saved_state().is_some();
    let (icon, title, about, button) = match state {
        Some(RunState::Running) => return,
        Some(RunState::Starting) => (Icon::Chip, "Starting".to_owned(), String::new(), None),
        Some(RunState::Paused) => (
            Icon::Pause,
            "Paused".to_owned(),
            "The guest's clock stands still.".to_owned(),
            Some(("Resume", Cmd::Pause)),
        ),
        Some(RunState::Failed(error)) => {
            let about = format!("{error}");
            (Icon::Error, "The machine has failed".to_owned(), about, Some(("Start again", Cmd::Power)))
        }
        Some(RunState::Off { exit }) => {
            let title = match exit {
                GuestExit::Code(0) => "The guest has switched itself off".to_owned(),
                GuestExit::Code(code) => format!("The guest has ended with code {code}"),
                GuestExit::SwitchedOff => "Switched off".to_owned(),
                GuestExit::Suspended => "Suspended".to_owned(),
            };
            (Icon::Power, title, String::new(), Some(("Start", Cmd::Power)))
        }
        None => (Icon::Power, "Off".to_owned(), String::new(), Some(("Start", Cmd::Power))),
    };
    let p = theme::palette(ui);
    let width = 380.0_f32.min(over.width() - 32.0);
    let place = Rect::from_center_size(over.center(), vec2(width, 10.0));
    // The text of the guest stays readable around and behind the note.
    egui::Area::new(egui::Id::unique("machine note"))
        .fixed_pos(place.center())
        .pivot(egui::Align2::CENTER_CENTER)
        .order(egui::Order::Middle)
        .show(ui.ctx(), |ui| {
            let frame = widgets::card(ui).fill(p.panel).shadow(ui.visuals().popup_shadow);
            frame.show(ui, |ui| {
                ui.set_width(width);
                ui.horizontal(|ui| {
                    let color = if icon == Icon::Error { p.error } else { p.accent };
                    widgets::icon(ui, icon, 18.0, color);
                    widgets::heading(ui, &title);
                });
                if !about.is_empty() {
                    ui.label(RichText::new(about).font(FontId::proportional(text::BODY)).color(p.weak));
                }
                let Some((text, cmd)) = button else { return };
                ui.horizontal(|ui| {
                    let resume = saved && cmd == Cmd::Power;
                    if resume {
                        let go_on = widgets::primary_button(ui, "Resume from the saved state", true);
                        if go_on.clicked() {
                            actions.push(Action::Command(Cmd::Resume));
                        }
                    }
                    let main = if resume {
                        widgets::button(ui, text)
                    } else {
                        widgets::primary_button(ui, text, true)
                    };
                    rects::note(ui.ctx(), "machine.overlay.start", main.rect);
                    if main.clicked() {
                        actions.push(Action::Command(cmd));
                    }
                });
            });
        });
}
