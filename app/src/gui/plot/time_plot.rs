//! The widget: a heading, a legend that is also the read-out, and lines or areas over the shared time.

use super::curve::{self, Bar, Frame};
use super::scale;
use super::scene::Scene;
use crate::gui::format::{clock_tenths, lossy, three_digits};
use crate::gui::selection::Selection;
use crate::gui::theme::{self, SPACE, text};
use crate::gui::widgets;
use crate::watch::Between;
use egui::{
    Align2, Color32, EventFilter, FontId, Key, Modifiers, Pos2, Rect, Response, Sense, Stroke, StrokeKind,
    Ui, WidgetInfo, pos2, vec2,
};

/// Height of one line of the legend, and of the labels below.
const LINE: f32 = 16.0;
/// Least width of a legend's entry.
const ENTRY: f32 = 104.0;
/// Room between a legend's entries.
const GAP: f32 = SPACE[3];

/// How values are drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Lines.
    Lines,
    /// Lines on a scale that ends at 100 and begins as high as the values allow: for hit rates, whose differences are small.
    Near100,
    /// Areas on one another.
    Stacked,
}

/// What happened between two moments, as a number; `None` where there is none.
pub type Value<'a> = Box<dyn Fn(&Between<'_>) -> Option<f64> + 'a>;

/// One kind of value.
pub struct Series<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// Its colour.
    pub color: Color32,
    /// Its value between two moments.
    pub value: Value<'a>,
}

impl<'a> Series<'a> {
    /// A kind of value.
    pub fn new(
        name: &'a str,
        color: Color32,
        value: impl Fn(&Between<'_>) -> Option<f64> + 'a,
    ) -> Series<'a> {
        Series { name, color, value: Box::new(value) }
    }
}

/// A plot.
pub struct TimePlot<'a> {
    /// Heading.
    pub title: &'a str,
    /// Unit of all values.
    pub unit: &'a str,
    /// What the values mean, over which time.
    pub tip: &'a str,
    /// How they are drawn.
    pub form: Form,
    /// The upper end of the scale, where it is always the same; [`Form::Near100`] needs none.
    pub top: Option<f64>,
    /// The values.
    pub series: Vec<Series<'a>>,
}

impl TimePlot<'_> {
    /// Shows it, `height` points high with heading, legend and labels of time.
    pub fn show(&self, ui: &mut Ui, height: f32, scene: &mut Scene, selection: &mut Selection) {
        self.draw(ui, height, true, scene, selection);
    }

    /// As [`TimePlot::show`], but the labels of time are those of another plot below.
    pub fn show_above(&self, ui: &mut Ui, height: f32, scene: &mut Scene, selection: &mut Selection) {
        self.draw(ui, height, false, scene, selection);
    }

    fn draw(&self, ui: &mut Ui, height: f32, labelled: bool, scene: &mut Scene, selection: &mut Selection) {
        let width = ui.available_width();
        let (rect, _) = ui.allocate_exact_size(vec2(width, height), Sense::hover());
        let columns = self.legend_columns(width);
        let lines = lossy(self.series.len().div_ceil(columns));
        let heading = Rect::from_min_size(rect.min, vec2(width, 20.0));
        self.heading(ui, heading, scene);
        let legend = Rect::from_min_size(heading.left_bottom(), vec2(width, lines * LINE));
        self.legend(ui, legend, columns, scene);
        let labels = rect.with_min_y(rect.max.y - if labelled { LINE } else { 0.0 });
        let plot = Rect::from_min_max(legend.left_bottom() + vec2(0.0, SPACE[0]), labels.right_top());
        if plot.height() < 8.0 {
            return;
        }
        let response = shared_time(ui, plot, self.title, scene, selection);
        self.paint(ui, plot, scene);
        moments(ui, plot, scene, selection);
        if labelled {
            time_labels(ui, plot, labels, scene);
        }
        if response.has_focus() {
            let p = theme::palette(ui);
            ui.painter().rect_stroke(plot, 0.0, Stroke::new(1.0, p.accent), StrokeKind::Inside);
        }
    }

    fn heading(&self, ui: &mut Ui, rect: Rect, scene: &Scene) {
        let p = theme::palette(ui);
        let title = widgets::painted_text(ui, rect, self.title, theme::medium(text::BODY), p.text);
        let unit = rect.with_min_x(title.max.x + SPACE[1]);
        widgets::painted_text(ui, unit, self.unit, FontId::proportional(text::SMALL), p.weak);
        if let Some(at) = scene.hover_ns() {
            let when = format!("at {}", clock_tenths(at));
            let font = theme::mono(text::SMALL);
            ui.painter().text(rect.right_center(), Align2::RIGHT_CENTER, when, font, p.text);
        }
        let id = ui.scope_id().with((self.title, "heading"));
        ui.interact(title.expand2(vec2(0.0, 3.0)), id, Sense::hover()).on_hover_ui(|ui| {
            ui.label(self.tip);
            let now = "Numbers are of the last second, or of the moment that is pointed at. The wheel zooms, dragging moves, a double click \
                       follows the guest again.";
            widgets::weak(ui, now);
        });
    }

    fn legend_columns(&self, width: f32) -> usize {
        let fits = (1..=self.series.len()).rev().find(|n| lossy(*n) * (ENTRY + GAP) - GAP <= width);
        fits.unwrap_or(1)
    }

    /// Name and value of each series; the value is of the moment that is pointed at, or of the last second.
    fn legend(&self, ui: &Ui, rect: Rect, columns: usize, scene: &Scene) {
        let p = theme::palette(ui);
        let focus = scene.focus();
        let width = ((rect.width() + GAP) / lossy(columns) - GAP).min(ENTRY * 1.5);
        for (i, series) in self.series.iter().enumerate() {
            let corner = vec2(lossy(i % columns) * (width + GAP), lossy(i / columns) * LINE);
            let entry = Rect::from_min_size(rect.min + corner, vec2(width, LINE));
            ui.painter().circle_filled(pos2(entry.min.x + 4.0, entry.center().y), 4.0, series.color);
            let value = focus.as_ref().and_then(|b| (series.value)(b));
            let value = value.map_or_else(|| "–".to_owned(), three_digits);
            let font = theme::mono(text::SMALL + 1.0);
            let value = ui.painter().text(entry.right_center(), Align2::RIGHT_CENTER, value, font, p.text);
            let name =
                Rect::from_min_max(entry.min + vec2(14.0, 0.0), pos2(value.min.x - SPACE[0], entry.max.y));
            widgets::painted_text(ui, name, series.name, FontId::proportional(text::SMALL + 1.0), p.weak);
        }
    }

    fn bars(&self, plot: Rect, scene: &Scene) -> Vec<Bar> {
        let x = |ns| part_x(plot, scene.part(ns));
        let bar = |c: &crate::watch::Column| {
            let between = c.between();
            let value =
                |s: &Series<'_>| between.as_ref().and_then(|b| (s.value)(b)).filter(|v| v.is_finite());
            Bar { left: x(c.start_ns), right: x(c.end_ns), values: self.series.iter().map(value).collect() }
        };
        scene.columns().iter().map(bar).collect()
    }

    /// Values at the lower and at the upper edge.
    fn scale(&self, ui: &Ui, bars: &[Bar]) -> (f64, f64) {
        let id = ui.scope_id().with((self.title, "scale"));
        let before: Option<f64> = ui.data(|d| d.get_temp(id));
        let values = || bars.iter().flat_map(|bar| bar.values.iter().flatten().copied());
        let (end, scale) = match (self.form, self.top) {
            (Form::Near100, _) => {
                let floor = scale::floor(values().fold(100.0, f64::min), before);
                (floor, (floor, 100.0))
            }
            (_, Some(top)) => return (0.0, top),
            (form, None) => {
                let sums = bars.iter().map(|bar| bar.values.iter().flatten().sum());
                let most = if form == Form::Stacked {
                    sums.fold(0.0, f64::max)
                } else {
                    values().fold(0.0, f64::max)
                };
                let top = scale::top(most, before);
                (top, (0.0, top))
            }
        };
        ui.data_mut(|d| d.insert_temp(id, end));
        scale
    }

    fn paint(&self, ui: &Ui, plot: Rect, scene: &Scene) {
        let p = theme::palette(ui);
        let bars = self.bars(plot, scene);
        let (bottom, top) = self.scale(ui, &bars);
        ui.painter().rect_filled(plot, 0.0, p.base);
        let painter = ui.painter().with_clip_rect(plot.intersect(ui.clip_rect()));
        // Lines at the edges are seen whole.
        let inset = if self.form == Form::Stacked { 0.0 } else { 1.0 };
        let frame = Frame { rect: plot.shrink2(vec2(0.0, inset)), bottom, top };
        for (i, series) in self.series.iter().enumerate() {
            match self.form {
                Form::Lines | Form::Near100 => curve::line(&painter, &bars, i, frame, series.color),
                Form::Stacked => curve::area(&painter, &bars, i, frame, series.color),
            }
        }
        let lines = if plot.height() >= 64.0 { 4_u8 } else { 2 };
        for i in 0..=lines {
            let y = plot.min.y + plot.height() * f32::from(i) / f32::from(lines);
            painter.hline(plot.x_range(), y.round(), Stroke::new(1.0, p.hairline.gamma_multiply(0.8)));
        }
        if bars.iter().all(|b| b.values.iter().all(Option::is_none)) {
            let note = if scene.now_ns() == 0 {
                "Filled while the guest runs"
            } else {
                "Nothing was measured in this time"
            };
            let small = FontId::proportional(text::SMALL + 1.0);
            painter.text(plot.center(), Align2::CENTER_CENTER, note, small, p.weak);
        }
        edge_label(ui, plot.left_top(), Align2::LEFT_TOP, top);
        if bottom > 0.0 {
            edge_label(ui, plot.left_bottom(), Align2::LEFT_BOTTOM, bottom);
        }
    }
}

/// The value at an edge, legible on whatever lies below it.
fn edge_label(ui: &Ui, corner: Pos2, align: Align2, value: f64) {
    let p = theme::palette(ui);
    let label = if value >= 10.0 { three_digits(value) } else { format!("{value}") };
    let label = label.trim_end_matches(".0").to_owned();
    let galley = ui.painter().layout_no_wrap(label, theme::mono(text::SMALL - 1.0), p.text);
    let place = align.anchor_size(corner, galley.size() + vec2(6.0, 2.0));
    ui.painter().rect_filled(place, 2.0, p.base.gamma_multiply(0.8));
    ui.painter().galley(place.min + vec2(3.0, 1.0), galley, p.text);
}

fn part_x(plot: Rect, part: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "a coordinate of a screen")]
    let part = part.clamp(-1e3, 1e3) as f32;
    plot.min.x + plot.width() * part
}

/// The part of the axis at a place.
fn x_part(plot: Rect, x: f32) -> f64 {
    f64::from((x - plot.min.x) / plot.width().max(1.0)).clamp(0.0, 1.0)
}

/// A place on the shared time: pointer and keyboard move it, and select a moment.
pub fn shared_time(
    ui: &Ui,
    plot: Rect,
    title: &str,
    scene: &mut Scene,
    selection: &mut Selection,
) -> Response {
    let response = ui.interact(plot, ui.scope_id().with((title, "plot")), Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Label, true, format!("Plot {title}")));
    if let Some(pos) = response.hover_pos() {
        let part = x_part(plot, pos.x);
        scene.hover(scene.at(part));
        let wheel = ui.input_mut(|i| std::mem::take(&mut i.smooth_scroll_delta.y));
        if wheel != 0.0 {
            scene.zoom(f64::from(-wheel / 200.0).exp(), part);
        }
    }
    if response.dragged() {
        scene.pan(-f64::from(response.drag_delta().x / plot.width().max(1.0)));
    }
    if response.double_clicked() {
        scene.follow();
    } else if response.clicked()
        && let Some(pos) = response.interact_pointer_pos()
    {
        response.request_focus();
        selection.select_moment(scene.at(x_part(plot, pos.x)));
    }
    if response.has_focus() {
        keys(ui, &response, scene);
    }
    response
}

fn keys(ui: &Ui, response: &Response, scene: &mut Scene) {
    let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
    ui.memory_mut(|m| m.set_focus_lock_filter(response.id, filter));
    let pressed = |key| ui.input_mut(|i| i.consume_key(Modifiers::NONE, key));
    if pressed(Key::ArrowLeft) {
        scene.pan(-0.1);
    }
    if pressed(Key::ArrowRight) {
        scene.pan(0.1);
    }
    if pressed(Key::Plus) || pressed(Key::Equals) {
        scene.zoom(0.8, 1.0);
    }
    if pressed(Key::Minus) {
        scene.zoom(1.25, 1.0);
    }
    if pressed(Key::End) {
        scene.follow();
    }
}

/// The moments that are pointed at and selected, in a plot.
pub fn moments(ui: &Ui, plot: Rect, scene: &Scene, selection: &Selection) {
    let p = theme::palette(ui);
    let painter = ui.painter().with_clip_rect(plot.expand(1.0).intersect(ui.clip_rect()));
    let line = |at_ns, color| {
        let part = scene.part(at_ns);
        if (0.0..=1.0).contains(&part) {
            painter.vline(part_x(plot, part).round(), plot.y_range(), Stroke::new(1.0, color));
        }
    };
    if let Some(at) = selection.now().moment_ns {
        line(at, p.accent);
    }
    if let Some(at) = scene.hover_ns() {
        line(at, p.text.gamma_multiply(0.7));
    }
}

/// Labels of the time, below a plot.
pub fn time_labels(ui: &Ui, plot: Rect, labels: Rect, scene: &Scene) {
    let p = theme::palette(ui);
    let small = FontId::proportional(text::SMALL - 1.0);
    let back = scene.now_ns().saturating_sub(scene.end_ns()) as f64 / 1e9;
    let count = if plot.width() >= 360.0 { 4_u8 } else { 2 };
    for i in 0..=count {
        let part = f64::from(i) / f64::from(count);
        let ago = back + (1.0 - part) * scene.span_ns() as f64 / 1e9;
        let (align, label) = match i {
            0 => (Align2::LEFT_CENTER, ago_label(ago)),
            i if i == count && scene.follows() => (Align2::RIGHT_CENTER, "now".to_owned()),
            i if i == count => (Align2::RIGHT_CENTER, ago_label(ago)),
            _ => (Align2::CENTER_CENTER, ago_label(ago)),
        };
        let at = pos2(part_x(plot, part), labels.center().y);
        ui.painter().text(at, align, label, small.clone(), p.weak);
    }
}

fn ago_label(seconds: f64) -> String {
    match seconds {
        s if s < 0.05 => "now".to_owned(),
        s if s < 10.0 => format!("−{s:.1} s"),
        s if s < 120.0 => format!("−{s:.0} s"),
        s => format!("−{:.1} min", s / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_say_how_long_ago() {
        assert_eq!([0.0, 3.75, 45.0, 600.0].map(ago_label), ["now", "−3.8 s", "−45 s", "−10.0 min"]);
    }
}
