//! Decisions over time: one lane for each kind; the more decisions at a place, the brighter it is.

use super::kind::Kind;
use super::list::Filter;
use crate::gui::format::lossy;
use crate::gui::panels::View;
use crate::gui::plot::{Scene, moments, shared_time, time_labels};
use crate::gui::theme::{self, SPACE, text};
use crate::gui::widgets;
use egui::{Align2, FontId, Rect, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

/// Height with comfortable lanes.
pub const HEIGHT: f32 = 20.0 + 16.0 + LANE * lossy_kinds() + 4.0;
/// Least height that is legible.
pub const HEIGHT_MIN: f32 = 20.0 + 16.0 + 11.0 * lossy_kinds() + 4.0;
const LANE: f32 = 15.0;
/// Width of the lanes' names and counts.
const NAMES: f32 = 128.0;
/// Width of a place on a lane.
const CELL: f32 = 3.0;

const fn lossy_kinds() -> f32 {
    9.0
}

/// Shows the lanes.
pub fn show(ui: &mut Ui, height: f32, labelled: bool, view: &mut View<'_>, filter: &mut Filter) {
    let p = theme::palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), height.max(0.0)), Sense::hover());
    let heading = Rect::from_min_size(rect.min, vec2(rect.width(), 20.0));
    let title = widgets::painted_text(ui, heading, "Decisions", theme::medium(text::BODY), p.text);
    let unit = heading.with_min_x(title.max.x + SPACE[1]);
    widgets::painted_text(ui, unit, "count in the shown time", FontId::proportional(text::SMALL), p.weak);
    let labels = Rect::from_min_max(
        pos2(rect.min.x + NAMES, rect.max.y - if labelled { 16.0 } else { 0.0 }),
        rect.max,
    );
    let plot = Rect::from_min_max(pos2(rect.min.x + NAMES, heading.max.y + 4.0), labels.right_top());
    if plot.height() < 32.0 || plot.width() < 32.0 {
        return;
    }
    let response = shared_time(ui, plot, "Decisions", view.scene, view.selection);
    ui.painter().rect_filled(plot, 0.0, p.base);
    let counted = count(plot, view);
    let lane = plot.height() / lossy_kinds();
    for kind in Kind::ALL {
        let top = plot.min.y + lossy(kind.index()) * lane;
        let place = Rect::from_min_size(pos2(plot.min.x, top), vec2(plot.width(), lane));
        let on = filter.has(kind);
        if name(ui, place, kind, counted.sums[kind.index()], on) {
            filter.set(kind, !on);
        }
        draw(ui, place, kind, &counted, on);
    }
    selected(ui, plot, view);
    if let Some(at) = counted.begins {
        ui.painter().vline(at, plot.y_range(), Stroke::new(1.0, p.weak));
        let font = FontId::proportional(text::SMALL - 1.0);
        let note = "older ones are not kept";
        ui.painter().text(pos2(at - 4.0, plot.min.y + 2.0), Align2::RIGHT_TOP, note, font, p.weak);
    }
    moments(ui, plot, view.scene, view.selection);
    if labelled {
        time_labels(ui, plot, labels, view.scene);
    }
    if response.has_focus() {
        ui.painter().rect_stroke(plot, 0.0, Stroke::new(1.0, p.accent), egui::StrokeKind::Inside);
    }
}

/// Decisions at each place of each lane.
struct Counted {
    cells: Vec<[u32; Kind::ALL.len()]>,
    sums: [u32; Kind::ALL.len()],
    /// Where the kept ones begin, if there were more before.
    begins: Option<f32>,
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "coordinates of a screen")]
fn count(plot: Rect, view: &View<'_>) -> Counted {
    let places = (plot.width() / CELL).ceil().max(1.0) as usize;
    let mut counted = Counted { cells: vec![[0; _]; places], sums: [0; _], begins: None };
    let Some(watcher) = view.watcher else { return counted };
    let rings = watcher.rings();
    let (from, to) = view.scene.range();
    for decision in rings.decisions.within(from, to) {
        if decision.number >= view.scene.decisions_end() {
            break;
        }
        let kind = Kind::of(&decision.event.what).index();
        let place = (view.scene.part(decision.guest_ns).clamp(0.0, 1.0) * places as f64) as usize;
        counted.cells[place.min(places - 1)][kind] += 1;
        counted.sums[kind] += 1;
    }
    let first = rings.decisions.first();
    counted.begins = rings
        .decisions
        .get(first)
        .filter(|d| first > 0 && d.guest_ns > from && d.guest_ns <= to)
        .map(|d| x(plot, view.scene, d.guest_ns));
    counted
}

fn x(plot: Rect, scene: &Scene, at_ns: u64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "a coordinate of a screen")]
    let part = scene.part(at_ns).clamp(0.0, 1.0) as f32;
    plot.min.x + part * plot.width()
}

/// Name and count of a lane; whether it was clicked, which shows or hides its kind in the list.
fn name(ui: &Ui, place: Rect, kind: Kind, sum: u32, on: bool) -> bool {
    let p = theme::palette(ui);
    let name = Rect::from_min_max(pos2(place.min.x - NAMES, place.min.y), place.left_bottom());
    let id = ui.scope_id().with(("lane", kind.title()));
    let response = ui.interact(name, id, Sense::click());
    response.widget_info(|| {
        WidgetInfo::selected(egui::Role::CheckBox, true, on, format!("List {}", kind.title()))
    });
    if response.hovered() || response.has_focus() {
        let lit = name.with_max_x(name.max.x - 4.0).expand2(vec2(4.0, 0.0));
        ui.painter().rect_filled(lit, 4.0, p.hover);
    }
    let dot = pos2(name.min.x + 4.0, name.center().y);
    if on {
        ui.painter().circle_filled(dot, 3.5, kind.color(ui));
    } else {
        ui.painter().circle_stroke(dot, 3.0, Stroke::new(1.0, kind.color(ui)));
    }
    let color = p.weak.gamma_multiply(if on { 1.0 } else { 0.6 });
    let (small, digits) = (FontId::proportional(text::SMALL), theme::mono(text::SMALL));
    let at = name.left_center() + vec2(14.0, 0.0);
    ui.painter().text(at, Align2::LEFT_CENTER, kind.title(), small, color);
    let at = name.right_center() - vec2(SPACE[1], 0.0);
    let number = if on { p.text } else { color };
    ui.painter().text(at, Align2::RIGHT_CENTER, crate::gui::format::grouped(sum.into()), digits, number);
    let tip = if on { "Click to leave it out of the list." } else { "Click to list it." };
    response.on_hover_text(format!("{} {tip}", kind.about())).clicked()
}

fn draw(ui: &Ui, place: Rect, kind: Kind, counted: &Counted, on: bool) {
    let p = theme::palette(ui);
    let strength = if on { 1.0 } else { 0.35 };
    ui.painter().hline(
        place.x_range(),
        place.max.y.round(),
        Stroke::new(1.0, p.hairline.gamma_multiply(0.6)),
    );
    for (i, cell) in counted.cells.iter().enumerate() {
        let n = cell[kind.index()];
        if n > 0 {
            // One decision can be seen, and a hundred are brighter than ten.
            let heat = (0.35 + 0.13 * f64::from(n).log2()).min(1.0);
            #[expect(clippy::cast_possible_truncation, reason = "a brightness")]
            let color = kind.color(ui).gamma_multiply(heat as f32 * strength);
            let left = place.min.x + lossy(i) * CELL;
            let right = (left + CELL - 0.5).min(place.max.x);
            let bar = Rect::from_min_max(pos2(left, place.min.y + 2.0), pos2(right, place.max.y - 2.0));
            ui.painter().rect_filled(bar, 0.0, color);
        }
    }
}

/// Marks the decisions about the selected code.
fn selected(ui: &Ui, plot: Rect, view: &View<'_>) {
    let (Some(code), Some(watcher)) = (view.selection.now().code, view.watcher) else { return };
    let p = theme::palette(ui);
    let lane = plot.height() / lossy_kinds();
    let (from, to) = view.scene.range();
    let rings = watcher.rings();
    let about = rings.decisions.within(from, to).filter(|d| d.event.pa == code);
    for decision in about {
        let row = lossy(Kind::of(&decision.event.what).index());
        let middle = pos2(x(plot, view.scene, decision.guest_ns), plot.min.y + (row + 0.5) * lane);
        ui.painter().circle(middle, 3.5, p.base, Stroke::new(1.5, p.accent));
    }
}
