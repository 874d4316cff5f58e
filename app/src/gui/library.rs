//! The library: one card for each machine, running ones first, and a place to make a new one.

use super::action::Action;
use super::commands::Cmd;
use super::format::{ago, lossy};
use super::icons::{self, Icon};
use super::rects;
use super::session::Session;
use super::theme::{self, SPACE, text};
use super::widgets;
use crate::config::{ConfigError, Home, MachineConfig};
use crate::machine::api::RunState;
use egui::{Align, Color32, FontId, Layout, Rect, Response, Sense, Stroke, Ui, pos2, vec2};
use std::time::SystemTime;

const CARD_WIDTH: f32 = 300.0;
const PICTURE_HEIGHT: f32 = 168.0;
const CARD_HEIGHT: f32 = PICTURE_HEIGHT + 108.0;
const GAP: f32 = SPACE[3];

/// A machine of the library.
pub struct Entry {
    /// Its folder.
    pub id: String,
    /// Its description, or what is wrong with it.
    pub config: Result<MachineConfig, ConfigError>,
    /// Text of its last screen.
    screen: String,
    last_run: Option<SystemTime>,
    has_state: bool,
}

/// What the page knows of the disk; read anew when something has changed it.
#[derive(Default)]
pub struct Library {
    /// The machines in the order of their ids.
    pub entries: Vec<Entry>,
}

impl Library {
    /// Reads the machines' folder.
    pub fn refresh(&mut self, home: &Home) {
        self.entries = home
            .machines()
            .into_iter()
            .map(|(id, config)| {
                let file = home.screen_file(&id);
                Entry {
                    screen: std::fs::read_to_string(&file).unwrap_or_default(),
                    last_run: file.metadata().and_then(|m| m.modified()).ok(),
                    has_state: home.state_file(&id).is_file(),
                    id,
                    config,
                }
            })
            .collect();
    }
}

/// One card's contents.
struct Card<'a> {
    id: Option<&'a str>,
    session: Option<&'a Session>,
    name: String,
    facts: String,
    problem: Option<String>,
    screen: String,
    last_run: Option<SystemTime>,
    has_state: bool,
}

/// Shows the page and says what is to be done.
pub fn show(ui: &mut Ui, library: &Library, sessions: &[Session], dropping: bool) -> Vec<Action> {
    let mut actions = Vec::new();
    top_bar(ui, &mut actions);
    let p = theme::palette(ui);
    egui::CentralPanel::default().frame(egui::Frame::new().fill(p.base)).show(ui, |ui| {
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            let width = ui.available_width() - 2.0 * SPACE[4];
            let columns = ((width + GAP) / (CARD_WIDTH + GAP)).floor().clamp(1.0, 6.0);
            let card_width = ((width - (columns - 1.0) * GAP) / columns).floor().min(420.0);
            ui.add_space(SPACE[4]);
            let cards = cards(library, sessions);
            let origin = ui.cursor().min + vec2(SPACE[4], 0.0);
            let total = cards.len() + 1;
            let place = |i: usize| {
                let (column, row) = (lossy(i) % columns, (lossy(i) / columns).floor());
                let at = origin + vec2(column * (card_width + GAP), row * (CARD_HEIGHT + GAP));
                Rect::from_min_size(at, vec2(card_width, CARD_HEIGHT))
            };
            for (i, card) in cards.iter().enumerate() {
                show_card(ui, card, place(i), &mut actions);
            }
            new_card(ui, place(total - 1), dropping, &mut actions);
            let bottom = place(total - 1).max.y + SPACE[4];
            ui.allocate_rect(Rect::from_min_max(origin, pos2(origin.x + width, bottom)), Sense::hover());
        });
    });
    actions
}

fn top_bar(ui: &mut Ui, actions: &mut Vec<Action>) {
    widgets::bar(ui, "library bar", |ui| {
        widgets::heading(ui, "Vitrine");
        ui.add_space(SPACE[1]);
        widgets::weak(ui, "Library");
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
            ui.add_space(SPACE[0]);
            let new = widgets::primary_button(ui, "New machine", true);
            rects::note(ui.ctx(), "library.new", new.rect);
            if new.on_hover_text(Cmd::NewMachine.key_text()).clicked() {
                actions.push(Action::NewMachine(None));
            }
        });
    });
}

fn cards<'a>(library: &'a Library, sessions: &'a [Session]) -> Vec<Card<'a>> {
    let mut cards: Vec<Card<'a>> = Vec::new();
    for entry in &library.entries {
        let session = sessions.iter().find(|s| s.place.id() == Some(&entry.id));
        let problem = entry.config.as_ref().err().map(|e| {
            e.problems
                .first()
                .map_or_else(|| "The description cannot be read".to_owned(), ToString::to_string)
        });
        cards.push(Card {
            id: Some(&entry.id),
            session,
            name: entry.config.as_ref().map_or_else(|_| entry.id.clone(), |c| c.name.clone()),
            facts: entry.config.as_ref().map(facts).unwrap_or_default(),
            problem,
            screen: session
                .map(Session::screen_text)
                .filter(|t| !t.is_empty())
                .unwrap_or_else(|| entry.screen.clone()),
            last_run: entry.last_run,
            has_state: entry.has_state,
        });
    }
    for session in sessions.iter().filter(|s| s.place.id().is_none()) {
        cards.push(Card {
            id: None,
            session: Some(session),
            name: session.config.name.clone(),
            facts: facts(&session.config),
            problem: None,
            screen: session.screen_text(),
            last_run: None,
            has_state: false,
        });
    }
    cards.sort_by_key(|c| !c.session.is_some_and(Session::is_alive));
    cards
}

fn facts(c: &MachineConfig) -> String {
    let harts = if c.harts == 1 { "1 hart".to_owned() } else { format!("{} harts", c.harts) };
    format!("{}  ·  {harts}  ·  {}", c.arch.title(), memory_words(c.memory.0))
}

/// A size of memory with its unit spelt as people read it.
pub fn memory_words(bytes: u64) -> String {
    let text = crate::config::MemorySize(bytes).to_string();
    text.replace('K', " KiB").replace('M', " MiB").replace('G', " GiB").replace('T', " TiB")
}

fn state_line(card: &Card<'_>) -> (Option<Icon>, String) {
    if card.problem.is_some() {
        return (Some(Icon::Error), "Cannot be used".to_owned());
    }
    match card.session.and_then(Session::state) {
        Some(RunState::Starting) => return (Some(Icon::Play), "Starting".to_owned()),
        Some(RunState::Running) => return (Some(Icon::Play), "Running".to_owned()),
        Some(RunState::Paused) => return (Some(Icon::Pause), "Paused".to_owned()),
        Some(RunState::Failed(_)) => return (Some(Icon::Error), "Failed".to_owned()),
        Some(RunState::Off { .. }) if card.id.is_none() => return (None, "Off".to_owned()),
        _ => {}
    }
    let when = card.last_run.and_then(|t| t.elapsed().ok()).map(ago);
    match (card.has_state, when) {
        (true, Some(when)) => (Some(Icon::Save), format!("Suspended  ·  {when}")),
        (true, None) => (Some(Icon::Save), "Suspended".to_owned()),
        (false, Some(when)) => (None, format!("Off  ·  last run {when}")),
        (false, None) => (None, "Never started".to_owned()),
    }
}

fn show_card(ui: &mut Ui, card: &Card<'_>, rect: Rect, actions: &mut Vec<Action>) {
    if !ui.is_rect_visible(rect) {
        return;
    }
    let p = theme::palette(ui);
    let alive = card.session.is_some_and(Session::is_alive);
    let picture = rect.with_max_y(rect.min.y + PICTURE_HEIGHT);
    let id = ui.scope_id().with(("card", card.id, card.session.map(|s| s.key)));
    let response = ui.interact(picture, id, Sense::click());
    let line = if alive || response.hovered() { p.accent } else { p.hairline };
    ui.painter().rect(rect, 8.0, p.raised, Stroke::new(1.0, line), egui::StrokeKind::Inside);
    thumbnail(ui, picture.shrink(1.0), &card.screen, response.hovered(), alive);
    let body = Rect::from_min_max(picture.left_bottom(), rect.max).shrink2(vec2(SPACE[3], SPACE[2]));
    let line_at = |y: f32, h: f32| Rect::from_min_size(body.min + vec2(0.0, y), vec2(body.width(), h));
    let name_font = theme::medium(text::HEADING);
    widgets::painted_text(ui, line_at(0.0, 20.0), &card.name, name_font, p.text);
    let small = FontId::proportional(text::SMALL + 1.0);
    match &card.problem {
        Some(problem) => widgets::painted_text(ui, line_at(22.0, 16.0), problem, small.clone(), p.error),
        None => widgets::painted_text(ui, line_at(22.0, 16.0), &card.facts, small.clone(), p.weak),
    };
    let bottom = line_at(body.height() - 28.0, 28.0);
    let (icon, state) = state_line(card);
    let mut state_rect = bottom.with_max_x(bottom.max.x - 140.0);
    if let Some(icon) = icon {
        let color = if icon == Icon::Error { p.error } else { p.accent };
        let place = Rect::from_min_size(state_rect.min, vec2(14.0, state_rect.height()));
        icons::paint(ui.painter(), icon, place, 12.0, color);
        state_rect.min.x += 20.0;
    }
    widgets::painted_text(ui, state_rect, &state, small, p.weak);
    buttons(ui, card, bottom, &response, actions);
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Machine {}", card.name))
    });
}

fn buttons(ui: &mut Ui, card: &Card<'_>, place: Rect, picture: &Response, actions: &mut Vec<Action>) {
    let alive = card.session.is_some_and(Session::is_alive);
    let main = match (alive || card.id.is_none(), card.has_state) {
        (true, _) => "Open",
        (false, true) => "Resume",
        (false, false) => "Start",
    };
    let mut child =
        ui.new_child(egui::UiBuilder::new().max_rect(place).layout(Layout::right_to_left(Align::Center)));
    child.spacing_mut().item_spacing.x = SPACE[0];
    let more = widgets::icon_button(&mut child, Icon::More, &format!("More for {}", card.name), "More", true);
    egui::Popup::menu(&more).show(|ui| card_menu(ui, card, alive, actions));
    let usable = card.problem.is_none();
    let label = egui::Button::new(main).min_size(vec2(72.0, theme::CONTROL_HEIGHT));
    let pressed = child.add_enabled(usable, label);
    if let Some(id) = card.id {
        rects::note(child.ctx(), format!("library.{id}.{}", main.to_lowercase()), pressed.rect);
        rects::note(child.ctx(), format!("library.{id}.more"), more.rect);
    }
    if usable && (pressed.clicked() || picture.clicked()) {
        let open = card.session.filter(|_| alive || card.id.is_none());
        actions.push(match (open, card.id) {
            (Some(session), _) => Action::Show(session.key),
            (None, Some(id)) => Action::Start { id: id.to_owned(), resume: card.has_state },
            (None, None) => return,
        });
    }
}

fn card_menu(ui: &mut Ui, card: &Card<'_>, alive: bool, actions: &mut Vec<Action>) {
    ui.set_min_width(200.0);
    let Some(id) = card.id else {
        widgets::note(ui, "Opened from a file; not in the library.");
        return;
    };
    let mut item = |ui: &mut Ui, enabled: bool, text: &str, action: Action| {
        if ui.add_enabled(enabled, egui::Button::new(text)).clicked() {
            actions.push(action);
            ui.close();
        }
    };
    let usable = card.problem.is_none();
    let id = id.to_owned();
    if card.has_state {
        item(
            ui,
            usable && !alive,
            "Start without the saved state",
            Action::Start { id: id.clone(), resume: false },
        );
        item(ui, !alive, "Discard the saved state", Action::DiscardState(id.clone()));
        ui.separator();
    }
    item(ui, usable && !alive, "Edit", Action::Edit(id.clone()));
    item(ui, usable, "Duplicate", Action::Duplicate(id.clone()));
    ui.separator();
    item(ui, !alive, "Delete…", Action::AskDelete(id));
}

/// The last screen as a small picture of text.
fn thumbnail(ui: &Ui, rect: Rect, screen: &str, hovered: bool, alive: bool) {
    let round = egui::CornerRadius { nw: 7, ne: 7, sw: 0, se: 0 };
    ui.painter().rect_filled(rect, round, Color32::from_rgb(0x0D, 0x0F, 0x12));
    let strength = match (alive, hovered) {
        (true, _) => 0.95,
        (false, true) => 0.7,
        (false, false) => 0.5,
    };
    let color = Color32::from_rgb(0xDD, 0xE1, 0xE6).gamma_multiply(strength);
    if screen.trim().is_empty() {
        let middle = Rect::from_center_size(rect.center(), vec2(36.0, 36.0));
        icons::paint(ui.painter(), Icon::Terminal, middle, 36.0, color.gamma_multiply(0.5));
        return;
    }
    let inner = rect.shrink2(vec2(12.0, 10.0));
    let size = (inner.width() / 80.0 / 0.6).clamp(5.0, 8.0);
    let font = theme::mono(size);
    let height = ui.ctx().fonts_mut(|f| f.row_height(&font));
    let lines: Vec<&str> = screen.lines().collect();
    let fits = (inner.height() / height).floor();
    let first = (0..lines.len()).find(|i| lossy(lines.len() - i) <= fits).unwrap_or(lines.len());
    let painter = ui.painter().with_clip_rect(inner.intersect(ui.clip_rect()));
    for (row, line) in lines[first..].iter().enumerate() {
        let at = inner.min + vec2(0.0, lossy(row) * height);
        let line: String = line.chars().take(160).collect();
        painter.text(at, egui::Align2::LEFT_TOP, line, font.clone(), color);
    }
}

fn new_card(ui: &mut Ui, rect: Rect, dropping: bool, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    let response = ui.interact(rect, ui.scope_id().with("new machine"), Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, "New machine card"));
    rects::note(ui.ctx(), "library.new_card", rect);
    let lit = response.hovered() || dropping;
    let color = if lit { p.accent } else { p.weak };
    if lit {
        ui.painter().rect_filled(rect, 8.0, p.raised);
    }
    let frame = rect.shrink(0.5);
    let corners =
        [frame.left_top(), frame.right_top(), frame.right_bottom(), frame.left_bottom(), frame.left_top()];
    ui.painter().extend(egui::Shape::dashed_line(
        &corners,
        Stroke::new(1.0, color.gamma_multiply(0.7)),
        6.0,
        4.0,
    ));
    let middle = rect.center();
    let plus = Rect::from_center_size(middle - vec2(0.0, 32.0), vec2(28.0, 28.0));
    icons::paint(ui.painter(), Icon::Plus, plus, 28.0, color);
    let line = |y: f32, text: &str, font: FontId, color: Color32| {
        ui.painter().text(middle + vec2(0.0, y), egui::Align2::CENTER_CENTER, text, font, color);
    };
    line(6.0, "New machine", theme::medium(text::HEADING), p.text);
    let hint = if dropping { "Drop to start with this file" } else { "or drop a kernel or disk image here" };
    line(28.0, hint, FontId::proportional(text::SMALL + 1.0), p.weak);
    if response.clicked() {
        actions.push(Action::NewMachine(None));
    }
}
