//! The palette: every command and setting by name.

use super::commands::Cmd;
use super::dock::Listed;
use super::rects;
use super::settings_page::SettingName;
use super::theme::{self, SPACE};
use super::widgets;
use crate::machine::api::EngineMode;
use egui::{Align2, Area, Context, Frame, Id, Key, Margin, RichText, Sense, Stroke, TextEdit, Ui, vec2};

/// The open palette.
#[derive(Default)]
pub struct Palette {
    query: String,
    selected: usize,
    opened: bool,
}

/// What was chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// A command.
    Command(Cmd),
    /// A setting: show it.
    Setting(SettingName),
    /// Let the shown machine run in this mode.
    Engine(EngineMode),
    /// Open a panel of the shown machine, or close it.
    Panel(Listed),
}

impl Choice {
    fn title(self) -> String {
        match self {
            Choice::Command(c) => c.title().to_owned(),
            Choice::Setting(s) => format!("Setting: {}", s.title()),
            Choice::Engine(m) => format!("Engine: {}", m.title()),
            Choice::Panel(p) if p.open => format!("Panel: Close {}", p.title),
            Choice::Panel(p) => format!("Panel: Open {}", p.title),
        }
    }

    fn key_text(self) -> String {
        match self {
            Choice::Command(c) => c.key_text(),
            Choice::Setting(_) | Choice::Engine(_) | Choice::Panel(_) => String::new(),
        }
    }
}

/// Whether all words of the query occur in the text, whatever the case.
pub fn matches(text: &str, query: &str) -> bool {
    let text = text.to_lowercase();
    query.to_lowercase().split_whitespace().all(|word| text.contains(word))
}

/// What makes sense now.
#[derive(Clone, Copy)]
pub struct Usable<'a> {
    /// Which commands.
    pub command: &'a dyn Fn(Cmd) -> bool,
    /// The engine mode of the shown machine, if it runs.
    pub engine: Option<EngineMode>,
    /// The panels of the shown machine.
    pub panels: &'a [Listed],
}

/// What the palette offers for a query.
fn offers(query: &str, usable: Usable<'_>) -> Vec<Choice> {
    let command = |c: &Cmd| *c != Cmd::Palette && (usable.command)(*c);
    let commands = Cmd::ALL.into_iter().filter(command).map(Choice::Command);
    let engine = |m: &EngineMode| usable.engine.is_some_and(|now| now != *m) && m.unavailable().is_none();
    let engines = EngineMode::ALL.into_iter().filter(engine).map(Choice::Engine);
    let settings = SettingName::ALL.into_iter().map(Choice::Setting);
    let panels = usable.panels.iter().copied().map(Choice::Panel);
    commands.chain(engines).chain(panels).chain(settings).filter(|c| matches(&c.title(), query)).collect()
}

/// What became of the palette in this frame.
pub enum Outcome {
    /// It stays open.
    Open,
    /// It is to be closed.
    Closed,
    /// Something was chosen; it is to be closed.
    Chosen(Choice),
}

impl Palette {
    /// Shows it above everything.
    pub fn show(&mut self, ctx: &Context, usable: Usable<'_>) -> Outcome {
        let list = offers(&self.query, usable);
        self.selected = self.selected.min(list.len().saturating_sub(1));
        let (up, down, enter, escape) = ctx.input_mut(|i| {
            let mut take = |key| i.consume_key(egui::Modifiers::NONE, key);
            (take(Key::ArrowUp), take(Key::ArrowDown), take(Key::Enter), take(Key::Escape))
        });
        if escape {
            return Outcome::Closed;
        }
        let moved = up || down;
        if up {
            self.selected = self.selected.saturating_sub(1);
        }
        if down && self.selected + 1 < list.len() {
            self.selected += 1;
        }
        if enter && let Some(choice) = list.get(self.selected) {
            return Outcome::Chosen(*choice);
        }
        let mut outcome = Outcome::Open;
        let p = theme::palette_of(ctx);
        let area = Area::new(Id::unique("palette"))
            .anchor(Align2::CENTER_TOP, vec2(0.0, 72.0))
            .order(egui::Order::Foreground)
            .show(ctx, |ui| {
                Frame::new()
                    .fill(p.panel)
                    .stroke(Stroke::new(1.0, p.hairline))
                    .corner_radius(10)
                    .inner_margin(Margin::same(8))
                    .shadow(ui.visuals().window_shadow)
                    .show(ui, |ui| {
                        ui.set_width(520.0);
                        self.search_field(ui);
                        ui.add_space(SPACE[0]);
                        if let Some(choice) = self.results(ui, &list, moved) {
                            outcome = Outcome::Chosen(choice);
                        }
                    });
            });
        let outside = ctx.input(|i| {
            i.pointer.any_pressed()
                && i.pointer.interact_pos().is_some_and(|p| !area.response.rect.contains(p))
        });
        if outside && self.opened && matches!(outcome, Outcome::Open) {
            outcome = Outcome::Closed;
        }
        self.opened = true;
        outcome
    }

    fn search_field(&mut self, ui: &mut Ui) {
        let field = TextEdit::singleline(&mut self.query)
            .hint_text("Find a command or setting")
            .font(egui::FontId::proportional(theme::text::HEADING))
            .margin(Margin::symmetric(10, 8))
            .desired_width(f32::INFINITY);
        let response = ui.add(field);
        rects::note(ui.ctx(), "palette.search", response.rect);
        if response.changed() {
            self.selected = 0;
        }
        response.request_focus();
    }

    fn results(&mut self, ui: &mut Ui, list: &[Choice], scroll: bool) -> Option<Choice> {
        let p = theme::palette(ui);
        let mut chosen = None;
        if list.is_empty() {
            ui.add_space(SPACE[1]);
            widgets::weak(ui, "No command or setting has these words in its name.");
            ui.add_space(SPACE[1]);
        }
        egui::ScrollArea::vertical().max_height(380.0).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for (i, choice) in list.iter().enumerate() {
                let title = choice.title();
                let (rect, response) =
                    ui.allocate_exact_size(vec2(ui.available_width(), 30.0), Sense::click());
                response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &title));
                let selected = i == self.selected;
                if selected || response.hovered() {
                    ui.painter().rect_filled(rect, theme::CORNER, p.hover);
                }
                let inner = rect.shrink2(vec2(10.0, 0.0));
                widgets::painted_text(
                    ui,
                    inner,
                    &title,
                    egui::FontId::proportional(theme::text::BODY),
                    p.text,
                );
                ui.painter().text(
                    inner.right_center(),
                    Align2::RIGHT_CENTER,
                    choice.key_text(),
                    egui::FontId::proportional(theme::text::SMALL + 1.0),
                    p.weak,
                );
                if selected && scroll {
                    response.scroll_to_me(None);
                }
                if response.clicked() {
                    chosen = Some(*choice);
                }
            }
        });
        ui.add_space(SPACE[0]);
        ui.label(
            RichText::new("Arrows choose, Enter runs, Escape closes").size(theme::text::SMALL).color(p.weak),
        );
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_setting_is_found_by_its_words() {
        let all = Usable { command: &|_| true, engine: None, panels: &[] };
        assert_eq!(offers("", all).len(), Cmd::ALL.len() - 1 + SettingName::ALL.len());
        assert_eq!(offers("STATE save off", all), [Choice::Command(Cmd::Suspend)]);
        let no_reset = Usable { command: &|c| c != Cmd::Reset, engine: None, panels: &[] };
        assert!(offers("reset", no_reset).iter().all(|c| *c != Choice::Command(Cmd::Reset)));
        assert!(offers("scrollback", all).contains(&Choice::Setting(SettingName::Scrollback)));
        assert!(offers("no such thing", all).is_empty());
    }

    #[test]
    fn panels_are_opened_and_closed_by_name() {
        let panel = |title, open| Listed { id: title, title, about: "", open };
        let panels = [panel("Engine", true), panel("Caches", false)];
        let usable = Usable { command: &|_| true, engine: None, panels: &panels };
        assert_eq!(offers("panel: open", usable), [Choice::Panel(panels[1])]);
        assert_eq!(offers("close engine", usable), [Choice::Panel(panels[0])]);
    }

    #[test]
    fn engine_modes_that_a_running_machine_could_have_are_offered() {
        let off = Usable { command: &|_| true, engine: None, panels: &[] };
        assert!(offers("engine", off).iter().all(|c| !matches!(c, Choice::Engine(_))));
        let on = Usable { engine: Some(EngineMode::Tier1), ..off };
        let wanted: Vec<_> = EngineMode::ALL
            .into_iter()
            .filter(|m| *m != EngineMode::Tier1 && m.unavailable().is_none())
            .map(Choice::Engine)
            .collect();
        assert!(!wanted.is_empty());
        assert_eq!(offers("engine:", on), wanted);
    }
}
