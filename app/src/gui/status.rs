//! The status line: engine, speed, load, time, activity, and who has the keyboard.

use super::action::Action;
use super::commands::Cmd;
use super::format::{clock, three_digits};
use super::icons::{self, Icon};
use super::session::Session;
use super::theme::{self, SPACE, text};
use super::widgets;
use crate::machine::api::{EngineMode, RunState, Status};
use crate::machine::tiers;
use egui::{Align, Color32, FontId, Frame, Layout, Margin, Rect, RichText, Sense, Stroke, Ui, pos2, vec2};

/// Width of the numbers' column.
const SPEED_WIDTH: f32 = 88.0;

/// Shows the line; gives back what was chosen in the engine's menu.
pub fn show(ui: &mut Ui, session: &Session, terminal_focused: bool) -> Option<Action> {
    let p = theme::palette(ui);
    let frame = Frame::new().fill(p.panel).inner_margin(Margin::symmetric(12, 0));
    let mut chosen = None;
    egui::Panel::bottom("status").exact_size(theme::STATUS_HEIGHT).frame(frame).show(ui, |ui| {
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = SPACE[2];
            let status = session.handle().map(|h| h.status());
            let engine = status.as_ref().map_or(session.config.engine, |s| s.engine);
            chosen = badge(ui, session, engine, status.as_deref());
            if let Some(status) = status.filter(|s| s.state.is_alive()) {
                numbers(ui, session, &status);
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| hint(ui, session, terminal_focused));
        });
    });
    chosen
}

fn numbers(ui: &mut Ui, session: &Session, status: &Status) {
    let speed = session.rates.mips.map_or_else(|| "–".to_owned(), three_digits);
    let (rect, response) = ui.allocate_exact_size(vec2(SPEED_WIDTH, theme::STATUS_HEIGHT), Sense::hover());
    response.on_hover_text("Millions of guest instructions retired per second, all harts together.");
    unit_number(ui, rect, &speed, "MIPS");
    loads(ui, session, status);
    let (rect, response) = ui.allocate_exact_size(vec2(56.0, theme::STATUS_HEIGHT), Sense::hover());
    response.on_hover_text("Guest time since the start.");
    let p = theme::palette(ui);
    let font = theme::mono(text::SMALL + 1.0);
    ui.painter().text(rect.right_center(), egui::Align2::RIGHT_CENTER, clock(status.uptime_ns), font, p.text);
    if !session.config.drives.is_empty() {
        light(ui, Icon::Disk, session.rates.disk, "Disk activity");
    }
    if session.config.net.mode == crate::config::NetworkMode::User {
        light(ui, Icon::Network, session.rates.net, "Network activity");
    }
}

/// A right-aligned number in monospace with its unit in lesser weight.
fn unit_number(ui: &Ui, rect: Rect, number: &str, unit: &str) {
    let p = theme::palette(ui);
    let unit_font = FontId::proportional(text::SMALL);
    let unit = ui.painter().text(rect.right_center(), egui::Align2::RIGHT_CENTER, unit, unit_font, p.weak);
    let at = pos2(unit.min.x - SPACE[0], rect.center().y);
    ui.painter().text(at, egui::Align2::RIGHT_CENTER, number, theme::mono(text::SMALL + 1.0), p.text);
}

/// One small bar for each hart.
fn loads(ui: &mut Ui, session: &Session, status: &Status) {
    let p = theme::palette(ui);
    let count = status.harts.len();
    let width = super::format::lossy(count) * 7.0 - 2.0;
    let (rect, response) = ui.allocate_exact_size(vec2(width.max(5.0), 16.0), Sense::hover());
    let mut tip = String::from("Load of each hart:");
    for (i, hart) in status.harts.iter().enumerate() {
        let x = rect.min.x + super::format::lossy(i) * 7.0;
        let track = Rect::from_min_size(pos2(x, rect.min.y), vec2(5.0, rect.height()));
        let load = session.rates.load.get(i).copied().unwrap_or(0.0);
        ui.painter().rect_filled(track, 1.5, p.hover);
        if hart.started {
            let height = (track.height() * load).round().max(1.0);
            ui.painter().rect_filled(track.with_min_y(track.max.y - height), 1.5, p.accent);
        }
        let state = if hart.started { format!("{:.0} %", load * 100.0) } else { "not started".to_owned() };
        tip.push_str(&format!("\n{i}: {state}"));
    }
    response.on_hover_text(tip);
}

fn light(ui: &mut Ui, icon: Icon, on: bool, tip: &str) {
    let p = theme::palette(ui);
    let color = if on { p.accent } else { p.weak.gamma_multiply(0.6) };
    widgets::icon(ui, icon, 14.0, color).on_hover_text(tip);
}

/// The engine badge with its menu.
fn badge(ui: &mut Ui, session: &Session, engine: EngineMode, status: Option<&Status>) -> Option<Action> {
    let p = theme::palette(ui);
    let font = FontId::proportional(text::SMALL + 1.0);
    let galley = ui.painter().layout_no_wrap(engine.title().to_owned(), font, p.text);
    let size = vec2(galley.size().x + 38.0, 20.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, "Engine"));
    super::rects::note(ui.ctx(), "status.engine", rect);
    let color = theme::engine_color(engine);
    let fill = if response.hovered() { p.hover } else { p.raised };
    ui.painter().rect(rect, 10.0, fill, Stroke::new(1.0, p.hairline), egui::StrokeKind::Inside);
    ui.painter().circle_filled(pos2(rect.min.x + 11.0, rect.center().y), 4.0, color);
    ui.painter().galley(pos2(rect.min.x + 20.0, rect.center().y - galley.size().y / 2.0), galley, p.text);
    let arrow = Rect::from_center_size(pos2(rect.max.x - 10.0, rect.center().y), vec2(10.0, 10.0));
    icons::paint(ui.painter(), Icon::Down, arrow, 9.0, p.weak);
    let mut chosen = None;
    if let Some(status) = status.filter(|s| s.tiers.insns.iter().any(|n| *n > 0)) {
        response.clone().on_hover_text(format!("Instructions so far: {}", tiers::shares(&status.tiers)));
    }
    egui::Popup::menu(&response).show(|ui| {
        ui.set_width(420.0);
        widgets::note(ui, "How guest code runs");
        for mode in EngineMode::ALL {
            if menu_item(ui, mode, mode == engine) && mode != engine {
                chosen = Some(Action::SetEngine(session.key, mode));
            }
        }
        if status.is_some_and(|s| s.state.is_alive()) {
            ui.separator();
            let pins = status.map_or(0, |s| s.pins.len());
            let text = if pins == 0 { "Pinned code".to_owned() } else { format!("Pinned code ({pins})") };
            ui.horizontal(|ui| {
                // Below the modes' titles.
                ui.add_space(SPACE[2]);
                if ui.button(text).on_hover_text(Cmd::Pins.tip("Hold code in a tier")).clicked() {
                    chosen = Some(Action::Command(Cmd::Pins));
                    ui.close();
                }
            });
        }
    });
    chosen
}

fn menu_item(ui: &mut Ui, mode: EngineMode, current: bool) -> bool {
    let p = theme::palette(ui);
    let reason = mode.unavailable();
    let height = if reason.is_some() { 40.0 } else { 28.0 };
    let sense = if reason.is_none() { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), sense);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::MenuItem, reason.is_none(), mode.title()));
    if response.hovered() && reason.is_none() {
        ui.painter().rect_filled(rect, 4.0, p.hover);
    }
    let strength = if reason.is_none() { 1.0 } else { 0.5 };
    let first = rect.with_max_y(rect.min.y + 26.0);
    let dot = pos2(rect.min.x + 12.0, first.center().y);
    ui.painter().circle_filled(dot, 4.0, theme::engine_color(mode).gamma_multiply(strength));
    let color = if reason.is_none() { p.text } else { p.weak };
    let title = first.with_min_x(rect.min.x + 24.0);
    widgets::painted_text(ui, title, mode.title(), FontId::proportional(text::BODY), color);
    if current {
        let mark = Rect::from_center_size(pos2(rect.max.x - 14.0, first.center().y), vec2(14.0, 14.0));
        icons::paint(ui.painter(), Icon::Check, mark, 14.0, p.accent);
    }
    if let Some(reason) = reason {
        let second = Rect::from_min_max(pos2(rect.min.x + 24.0, rect.min.y + 21.0), rect.max);
        widgets::painted_text(ui, second, reason, FontId::proportional(text::SMALL), p.weak);
    }
    let clicked = response.clicked();
    if clicked {
        ui.close();
    }
    clicked
}

/// At the right: who has the keyboard and how to get out, or what the machine is doing.
fn hint(ui: &mut Ui, session: &Session, terminal_focused: bool) {
    let p = theme::palette(ui);
    let small = |t: String, color: Color32| RichText::new(t).size(text::SMALL + 1.0).color(color);
    match session.state() {
        Some(RunState::Running | RunState::Paused) if terminal_focused => {
            ui.label(small("The guest has the keyboard. Press Ctrl+Alt to leave.".to_owned(), p.weak));
        }
        Some(RunState::Running) => {
            ui.label(small("Click the terminal to type.".to_owned(), p.weak));
        }
        Some(RunState::Failed(_)) => {
            ui.label(small("The machine has failed.".to_owned(), p.error));
            widgets::icon(ui, Icon::Error, 14.0, p.error);
        }
        _ => {}
    }
}
