//! The terminal as a widget: focus, keyboard, selection, wheel, clipboard, and the frame that shows who has the keyboard.

use super::mouse::{self, Act};
use super::paint::{self, Metrics};
use super::{MIN_COLUMNS, MIN_ROWS, Size, Terminal, colors, keys};
use crate::gui::format::lossy;
use crate::gui::theme;
use alacritty_terminal::grid::{Dimensions, Scroll};
use alacritty_terminal::index::{Column, Line, Point, Side};
use alacritty_terminal::selection::{Selection, SelectionType};
use alacritty_terminal::term::TermMode;
use egui::{
    Event, EventFilter, Key, Modifiers, MouseWheelUnit, PointerButton, Pos2, Rect, Response, Role, Sense,
    Stroke, StrokeKind, Ui, ViewportCommand, WidgetInfo, pos2, vec2,
};
use std::time::{Duration, Instant};

/// Space between the frame and the first cell, in points.
const MARGIN: f32 = 8.0;
/// Clicks closer than this count together.
const MULTI_CLICK: Duration = Duration::from_millis(400);
/// Sizes of text between which 80 by 24 cells are made to fit.
const SMALLEST_TEXT: f32 = 7.0;
/// See [`SMALLEST_TEXT`].
const LARGEST_TEXT: f32 = 28.0;
/// Lines for one notch of the wheel.
const WHEEL_LINES: f32 = 3.0;

/// What the widget remembers between frames.
#[derive(Default)]
pub struct State {
    cell_pixels: (u16, u16),
    selecting: bool,
    clicks: u32,
    last_click: Option<(Instant, Point)>,
    wheel: f32,
    paste_requested: bool,
    chord: bool,
    button: Option<PointerButton>,
    mouse_cell: (usize, usize),
}

impl State {
    pub(super) fn cell_pixels(&self) -> (u16, u16) {
        self.cell_pixels
    }
}

/// How to show a terminal.
#[derive(Clone, Copy, Debug)]
pub struct TerminalOptions {
    /// Wanted height of the text in points; smaller is used when 80 by 24 cells do not fit.
    pub text: f32,
    /// Always 80 by 24 cells, with text as large as fits: what programs on a serial line take for granted.
    pub standard_size: bool,
    /// Report the mouse to guests that ask for it.
    pub mouse: bool,
    /// Take the keyboard now.
    pub grab_focus: bool,
}

/// Shows the terminal in all the space there is, sizes it to fit, and turns input into bytes for the guest.
pub fn show(ui: &mut Ui, terminal: &mut Terminal, name: &str, options: TerminalOptions) -> Response {
    let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
    let label = format!("Terminal {name}");
    response.widget_info(|| WidgetInfo::labeled(Role::Terminal, true, &label));
    let metrics = fit(ui, rect, options.text, options.standard_size);
    let inner = rect.shrink(MARGIN);
    let mut size = Size { columns: MIN_COLUMNS, rows: MIN_ROWS };
    if !options.standard_size {
        size.columns = cells_in(inner.width(), metrics.cell.x).max(MIN_COLUMNS);
        size.rows = cells_in(inner.height(), metrics.cell.y).max(MIN_ROWS);
    }
    terminal.resize(size);
    let scale = ui.ctx().pixels_per_point();
    terminal.state.cell_pixels = (pixels(metrics.cell.x * scale), pixels(metrics.cell.y * scale));

    if options.grab_focus {
        response.request_focus();
    }
    let used = metrics.cell * vec2(lossy(size.columns), lossy(size.rows));
    let spare = if options.standard_size {
        (inner.size() - used).max(egui::Vec2::ZERO) / 2.0
    } else {
        egui::Vec2::ZERO
    };
    let origin = snap(inner.min + spare, metrics.pixel);
    let grid = GridPlace { origin, metrics, size: terminal.size() };
    pointer(ui, terminal, &response, grid, options.mouse);
    let focused = response.has_focus();
    if focused {
        let filter = EventFilter { tab: true, horizontal_arrows: true, vertical_arrows: true, escape: true };
        ui.memory_mut(|m| m.set_focus_lock_filter(response.id, filter));
        keyboard(ui, terminal, &response);
    }
    context_menu(terminal, &response);
    if let Some(left) = terminal.end_stale_update() {
        ui.ctx().request_repaint_after(left);
    }
    if ui.is_rect_visible(rect) {
        draw(ui, terminal, rect, grid, focused);
    }
    response
}

#[derive(Clone, Copy)]
struct GridPlace {
    origin: Pos2,
    metrics: Metrics,
    size: Size,
}

impl GridPlace {
    /// The cell (column, row) under a position, clamped to the grid, and which half of it.
    fn cell_at(&self, pos: Pos2) -> (usize, usize, Side) {
        let p = (pos - self.origin) / self.metrics.cell;
        let column = cells_in(p.x.max(0.0), 1.0).min(self.size.columns - 1);
        let row = cells_in(p.y.max(0.0), 1.0).min(self.size.rows - 1);
        let right = p.x - lossy(column) > 0.5;
        (column, row, if right { Side::Right } else { Side::Left })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be small and positive"
)]
fn cells_in(length: f32, cell: f32) -> usize {
    let n = (length / cell + 0.001).floor();
    if n.is_finite() && n > 0.0 { n.min(1000.0) as usize } else { 0 }
}

fn pixels(size: f32) -> u16 {
    u16::try_from(cells_in(size.round(), 1.0)).unwrap_or(u16::MAX)
}

fn snap(pos: Pos2, pixel: f32) -> Pos2 {
    pos2((pos.x / pixel).round() * pixel, (pos.y / pixel).round() * pixel)
}

/// The wanted size of text, or the largest at which 80 by 24 cells fit if that is smaller; with `standard`, always the latter.
fn fit(ui: &Ui, rect: Rect, wanted: f32, standard: bool) -> Metrics {
    let inner = rect.shrink(MARGIN);
    let need = vec2(lossy(MIN_COLUMNS), lossy(MIN_ROWS));
    let fits = |m: Metrics| m.cell.x * need.x <= inner.width() && m.cell.y * need.y <= inner.height();
    let measure = |text: f32| Metrics::of(ui.ctx(), text);
    if !standard && fits(measure(wanted)) {
        return measure(wanted);
    }
    let known = measure(wanted);
    let ratio = (inner.width() / (known.cell.x * need.x)).min(inner.height() / (known.cell.y * need.y));
    // Cells are whole pixels, so the proportion is only about right: one step above it, then down.
    let largest = if standard { LARGEST_TEXT } else { wanted };
    let mut text = ((wanted * ratio * 2.0).floor() / 2.0 + 0.5).clamp(SMALLEST_TEXT, largest);
    while text > SMALLEST_TEXT && !fits(measure(text)) {
        text = (text - 0.5).max(SMALLEST_TEXT);
    }
    measure(text)
}

fn draw(ui: &Ui, terminal: &Terminal, rect: Rect, grid: GridPlace, focused: bool) {
    let p = theme::palette(ui);
    let painter = ui.painter();
    let round = f32::from(theme::CORNER);
    painter.rect_filled(rect, round, colors::BACKGROUND);
    let clip = painter.with_clip_rect(rect.intersect(painter.clip_rect()));
    paint::cells(terminal, &clip, grid.origin, grid.metrics, focused);
    if focused {
        for (width, strength) in [(5.0, 0.12), (3.0, 0.22), (1.5, 1.0)] {
            let stroke = Stroke::new(width, p.accent.gamma_multiply(strength));
            painter.rect_stroke(rect, round, stroke, StrokeKind::Inside);
        }
    } else {
        painter.rect_stroke(rect, round, Stroke::new(1.0, p.hairline), StrokeKind::Inside);
    }
    scroll_indicator(terminal, &clip, rect);
}

/// Where in the scrollback the view is, while it is not at the end.
fn scroll_indicator(terminal: &Terminal, painter: &egui::Painter, rect: Rect) {
    let grid = terminal.term.grid();
    let (offset, history) = (grid.display_offset(), grid.history_size());
    if offset == 0 || history == 0 {
        return;
    }
    let total = lossy(history + terminal.size.rows);
    let track = rect.shrink(4.0);
    let top = track.min.y + track.height() * lossy(history - offset) / total;
    let height = (track.height() * lossy(terminal.size.rows) / total).max(16.0);
    let bar = Rect::from_min_size(pos2(track.max.x - 4.0, top.min(track.max.y - height)), vec2(4.0, height));
    painter.rect_filled(bar, 2.0, colors::FOREGROUND.gamma_multiply(0.5));
    let text = format!("{offset} lines back");
    let galley =
        painter.layout_no_wrap(text, egui::FontId::proportional(theme::text::SMALL), colors::FOREGROUND);
    let size = galley.size() + vec2(16.0, 8.0);
    let pill = Rect::from_min_size(pos2(track.max.x - 12.0 - size.x, track.min.y + 4.0), size);
    painter.rect_filled(pill, 6.0, colors::SELECTION);
    painter.galley(pill.min + vec2(8.0, 4.0), galley, colors::FOREGROUND);
}

fn keyboard(ui: &Ui, terminal: &mut Terminal, response: &Response) {
    let (events, modifiers) = ui.input(|i| (i.events.clone(), i.modifiers));
    let state = &mut terminal.state;
    if modifiers.ctrl && modifiers.alt {
        let any_key = events.iter().any(|e| matches!(e, Event::Key { pressed: true, .. } | Event::Text(_)));
        let fresh = events.iter().any(|e| matches!(e, Event::ModifiersChanged(_)));
        state.chord = (state.chord || fresh) && !any_key;
    } else if std::mem::take(&mut state.chord) {
        response.surrender_focus();
    }
    for event in events {
        match event {
            Event::Text(text) => terminal.type_bytes(&keys::text(&text, modifiers)),
            Event::Ime(egui::ImeEvent::Commit(text)) => terminal.type_bytes(text.as_bytes()),
            // egui makes these of Ctrl+C, Ctrl+X and Ctrl+V; the guest wants the keys.
            Event::Copy if modifiers.ctrl => terminal.type_bytes(&[0x03]),
            Event::Cut if modifiers.ctrl => terminal.type_bytes(&[0x18]),
            Event::Copy => copy(ui.ctx(), terminal),
            Event::Paste(text) => {
                if std::mem::take(&mut terminal.state.paste_requested) || !modifiers.ctrl {
                    terminal.paste(&text);
                } else {
                    terminal.type_bytes(&[0x16]);
                }
            }
            Event::Key { key, pressed: true, modifiers, .. } => pressed(terminal, key, modifiers),
            _ => {}
        }
    }
}

fn pressed(terminal: &mut Terminal, key: Key, modifiers: Modifiers) {
    let page = i32::try_from(terminal.size.rows).unwrap_or(1);
    if modifiers.shift_only() && !terminal.mode().contains(TermMode::ALT_SCREEN) {
        let scroll = match key {
            Key::PageUp => Some(Scroll::Delta(page - 1)),
            Key::PageDown => Some(Scroll::Delta(1 - page)),
            Key::Home => Some(Scroll::Top),
            Key::End => Some(Scroll::Bottom),
            _ => None,
        };
        if let Some(scroll) = scroll {
            terminal.term.scroll_display(scroll);
            return;
        }
    }
    if let Some(bytes) = keys::encode(key, modifiers, terminal.mode()) {
        terminal.type_bytes(&bytes);
    }
}

/// Copies the selection to the clipboard.
pub fn copy(ctx: &egui::Context, terminal: &Terminal) {
    if let Some(text) = terminal.selection() {
        ctx.copy_text(text);
    }
}

/// Asks the system for the clipboard's text; it comes as an event and is then pasted.
pub fn request_paste(ctx: &egui::Context, terminal: &mut Terminal) {
    terminal.state.paste_requested = true;
    ctx.send_viewport_cmd(ViewportCommand::RequestPaste);
}

fn context_menu(terminal: &mut Terminal, response: &Response) {
    if terminal.state.button.is_some() {
        return;
    }
    response.context_menu(|ui| {
        let has_selection = terminal.selection().is_some();
        let item = |ui: &mut Ui, enabled: bool, text: &str, key: &str| {
            let button = egui::Button::new(text).shortcut_text(key);
            let clicked = ui.add_enabled(enabled, button).clicked();
            if clicked {
                ui.close();
            }
            clicked
        };
        if item(ui, has_selection, "Copy", "Ctrl+Shift+C") {
            copy(ui.ctx(), terminal);
        }
        if item(ui, true, "Paste", "Ctrl+Shift+V") {
            response.request_focus();
            request_paste(ui.ctx(), terminal);
        }
        if item(ui, true, "Select all", "Ctrl+Shift+A") {
            terminal.select_all();
        }
        ui.separator();
        if item(ui, true, "Clear scrollback", "") {
            terminal.clear_scrollback();
        }
    });
}

fn pointer(ui: &Ui, terminal: &mut Terminal, response: &Response, grid: GridPlace, mouse: bool) {
    let hovered = response.contains_pointer();
    let (events, modifiers) = ui.input(|i| (i.events.clone(), i.modifiers));
    if hovered {
        ui.set_cursor_icon(egui::CursorIcon::Text);
    }
    for event in events {
        let reporting = mouse
            && !modifiers.shift
            && terminal.mode().intersects(TermMode::MOUSE_MODE)
            && response.has_focus();
        match event {
            Event::PointerButton { pos, button, pressed: true, .. } if hovered => {
                let had_focus = response.has_focus();
                response.request_focus();
                if reporting {
                    terminal.state.button = Some(button);
                    send_report(terminal, Act::Press(button), grid, pos, modifiers);
                } else if button == PointerButton::Primary {
                    press(terminal, grid, pos, modifiers, had_focus);
                }
            }
            Event::PointerButton { pos, button, pressed: false, .. } => {
                if terminal.state.button.take().is_some() {
                    send_report(terminal, Act::Release(button), grid, pos, modifiers);
                }
                terminal.state.selecting = false;
            }
            Event::PointerMoved(pos) => {
                if terminal.state.selecting {
                    extend(terminal, grid, pos);
                } else if reporting && (hovered || terminal.state.button.is_some()) {
                    let (column, row, _) = grid.cell_at(pos);
                    if terminal.state.mouse_cell != (column, row) {
                        let act = Act::Move(terminal.state.button);
                        send_report(terminal, act, grid, pos, modifiers);
                    }
                }
            }
            Event::MouseWheel { unit, delta, .. } if hovered => {
                let lines = match unit {
                    MouseWheelUnit::Line => delta.y * WHEEL_LINES,
                    MouseWheelUnit::Page => delta.y * lossy(grid.size.rows),
                    MouseWheelUnit::Point => delta.y / grid.metrics.cell.y,
                };
                wheel(ui, terminal, grid, lines, reporting, modifiers);
            }
            Event::MiddleClickPaste { text, .. } if hovered => terminal.paste(&text),
            _ => {}
        }
    }
}

fn send_report(terminal: &mut Terminal, act: Act, grid: GridPlace, pos: Pos2, modifiers: Modifiers) {
    let (column, row, _) = grid.cell_at(pos);
    terminal.state.mouse_cell = (column, row);
    if let Some(bytes) = mouse::report(act, column, row, modifiers, terminal.mode()) {
        terminal.send(&bytes);
    }
}

fn grid_point(terminal: &Terminal, column: usize, row: usize) -> Point {
    let offset = i32::try_from(terminal.term.grid().display_offset()).unwrap_or(0);
    Point::new(Line(i32::try_from(row).unwrap_or(0) - offset), Column(column))
}

fn press(terminal: &mut Terminal, grid: GridPlace, pos: Pos2, modifiers: Modifiers, had_focus: bool) {
    let (column, row, side) = grid.cell_at(pos);
    let point = grid_point(terminal, column, row);
    let now = Instant::now();
    let again =
        terminal.state.last_click.is_some_and(|(at, p)| p == point && now.duration_since(at) < MULTI_CLICK);
    terminal.state.clicks = if again { terminal.state.clicks % 3 + 1 } else { 1 };
    terminal.state.last_click = Some((now, point));
    terminal.state.selecting = true;
    let kind = match terminal.state.clicks {
        2 => SelectionType::Semantic,
        3 => SelectionType::Lines,
        _ if modifiers.alt => SelectionType::Block,
        _ => SelectionType::Simple,
    };
    match &mut terminal.term.selection {
        Some(selection) if modifiers.shift && had_focus => selection.update(point, side),
        selection => *selection = Some(Selection::new(kind, point, side)),
    }
}

fn extend(terminal: &mut Terminal, grid: GridPlace, pos: Pos2) {
    let bottom = grid.origin.y + grid.metrics.cell.y * lossy(grid.size.rows);
    if pos.y < grid.origin.y {
        terminal.scroll(1);
    } else if pos.y > bottom {
        terminal.scroll(-1);
    }
    let (column, row, side) = grid.cell_at(pos);
    let point = grid_point(terminal, column, row);
    if let Some(selection) = &mut terminal.term.selection {
        selection.update(point, side);
    }
}

fn wheel(
    ui: &Ui,
    terminal: &mut Terminal,
    grid: GridPlace,
    lines: f32,
    reporting: bool,
    modifiers: Modifiers,
) {
    terminal.state.wheel += lines;
    #[expect(clippy::cast_possible_truncation, reason = "clamped to the rows of a screen")]
    let whole = terminal.state.wheel.trunc().clamp(-200.0, 200.0) as i32;
    terminal.state.wheel -= terminal.state.wheel.trunc();
    if whole == 0 {
        return;
    }
    let mode = terminal.mode();
    if reporting {
        if let Some(pos) = ui.input(|i| i.pointer.latest_pos()) {
            send_report(terminal, Act::Wheel { up: whole > 0 }, grid, pos, modifiers);
        }
    } else if mode.contains(TermMode::ALT_SCREEN) {
        if mode.contains(TermMode::ALTERNATE_SCROLL) {
            let key = if whole > 0 { Key::ArrowUp } else { Key::ArrowDown };
            let bytes = keys::encode(key, Modifiers::NONE, mode).unwrap_or_default();
            for _ in 0..whole.unsigned_abs() {
                terminal.send(&bytes);
            }
        }
    } else {
        terminal.scroll(whole);
    }
}
