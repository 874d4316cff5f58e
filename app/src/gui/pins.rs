//! Pinned code: ranges of guest code that are held in a tier, in a dialog over the machine.

use super::dialog;
use super::icons::Icon;
use super::rects;
use super::session::SessionKey;
use super::theme::{self, SPACE, text};
use super::widgets;
use crate::machine::api::{CodePin, CodeRange, Command, EngineMode, Status, UserError};
use egui::{Align, Context, Layout, Margin, RichText, ScrollArea, Sense, TextEdit, Ui, pos2, vec2};
use engine::tier::pins::{Level, Pin};

const WIDTH: f32 = 440.0;
/// Ranges that are listed without scrolling.
const ROWS: f32 = 8.0;

/// The mode that stands for a tier: it has the tier's name and colour.
const fn mode(level: Level) -> EngineMode {
    match level {
        Level::Interpreter => EngineMode::Interpreter,
        Level::Tier1 => EngineMode::Tier1,
        Level::Tier2 => EngineMode::Tier2,
    }
}

/// What the dialog wants done.
pub enum Wish {
    /// Close it.
    Close,
    /// Tell the machine.
    Tell(Command),
}

/// The open dialog.
pub struct Pins {
    /// Whose code.
    pub machine: SessionKey,
    range: String,
    level: Level,
    /// What is wrong with the range, once it was to be added.
    problem: Option<UserError>,
    /// The field is to have the keyboard: at first, and again after each range.
    focus: bool,
}

impl Pins {
    /// The dialog for a machine.
    pub fn of(machine: SessionKey) -> Pins {
        Pins { machine, range: String::new(), level: Level::Tier1, problem: None, focus: true }
    }

    /// Shows it over everything.
    pub fn show(&mut self, ctx: &Context, status: &Status) -> Option<Wish> {
        let mut wish = None;
        let modal = dialog::modal(ctx, "pins").show(ctx, |ui| {
            ui.set_width(WIDTH);
            widgets::heading(ui, "Pinned code");
            ui.add_space(SPACE[0]);
            let what = "Guest code at these physical addresses stays in one tier. A pin chooses among the tiers that the engine mode has.";
            widgets::weak(ui, what);
            ui.add_space(SPACE[2]);
            wish = list(ui, &status.pins);
            ui.add_space(SPACE[2]);
            if let Some(added) = self.form(ui) {
                wish = Some(added);
            }
            ui.add_space(SPACE[2]);
            ui.allocate_ui_with_layout(vec2(WIDTH, 28.0), Layout::right_to_left(Align::Center), |ui| {
                if widgets::button(ui, "Close").clicked() {
                    wish = Some(Wish::Close);
                }
                if status.pins.len() > 1 && widgets::button(ui, "Remove all").clicked() {
                    wish = Some(Wish::Tell(Command::Unpin(None)));
                }
            });
        });
        if wish.is_none() && modal.should_close() { Some(Wish::Close) } else { wish }
    }

    /// Where a range is added.
    fn form(&mut self, ui: &mut Ui) -> Option<Wish> {
        let mut add = false;
        ui.horizontal(|ui| {
            let field = TextEdit::singleline(&mut self.range)
                .hint_text("0x80200000-0x80201000")
                .font(theme::mono(text::BODY))
                .margin(Margin::symmetric(10, 6))
                .desired_width(WIDTH - 88.0 - SPACE[1]);
            let field = ui.add(field);
            rects::note(ui.ctx(), "pins.range", field.rect);
            if std::mem::take(&mut self.focus) {
                field.request_focus();
            }
            if field.changed() {
                self.problem = None;
            }
            let entered = field.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
            let written = !self.range.trim().is_empty();
            let button = widgets::primary_button(ui, "Pin", written);
            add = written && (entered || button.clicked());
        });
        ui.horizontal(|ui| {
            for level in [Level::Interpreter, Level::Tier1, Level::Tier2] {
                tier(ui, level);
                if ui.selectable_label(self.level == level, mode(level).title()).clicked() {
                    self.level = level;
                }
            }
        });
        if let Some(problem) = &self.problem {
            let p = theme::palette(ui);
            ui.horizontal_wrapped(|ui| {
                widgets::icon(ui, Icon::Error, 14.0, p.error);
                ui.label(RichText::new(problem.to_string()).color(p.error));
            });
        }
        if !add {
            return None;
        }
        self.focus = true;
        match self.range.trim().parse::<CodeRange>() {
            Ok(CodeRange(range)) => {
                self.range.clear();
                Some(Wish::Tell(Command::Pin(CodePin(Pin { range, level: self.level }))))
            }
            Err(problem) => {
                self.problem = Some(problem);
                None
            }
        }
    }
}

/// The dot of a tier.
fn tier(ui: &mut Ui, level: Level) {
    let (rect, _) = ui.allocate_exact_size(vec2(10.0, theme::CONTROL_HEIGHT), Sense::hover());
    ui.painter().circle_filled(pos2(rect.center().x, rect.center().y), 4.0, theme::engine_color(mode(level)));
}

/// What is pinned; what is to be taken out of it.
fn list(ui: &mut Ui, pins: &[CodePin]) -> Option<Wish> {
    if pins.is_empty() {
        widgets::note(ui, "Nothing is pinned. Write an address, or a range of them, and choose its tier.");
        return None;
    }
    let mut wish = None;
    ScrollArea::vertical().max_height(ROWS * theme::CONTROL_HEIGHT).show(ui, |ui| {
        for CodePin(pin) in pins {
            let range = CodeRange(pin.range.clone());
            ui.horizontal(|ui| {
                tier(ui, pin.level);
                ui.label(RichText::new(range.to_string()).font(theme::mono(text::BODY)));
                widgets::weak(ui, mode(pin.level).title());
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    let label = format!("Unpin {range}");
                    if widgets::icon_button(ui, Icon::Close, &label, "Unpin", true).clicked() {
                        wish = Some(Wish::Tell(Command::Unpin(Some(range))));
                    }
                });
            });
        }
    });
    wish
}
