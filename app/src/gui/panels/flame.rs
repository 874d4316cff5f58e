//! The flame graph: guest call stacks of the last seconds, each function as wide as its share of the time.

use super::{Panel, Side, View, empty, export, waits_for_guest};
use crate::gui::format::{grouped, three_digits};
use crate::gui::theme::{self, CONTROL_HEIGHT, SPACE, text};
use crate::gui::widgets;
use crate::watch::flame::{self, CUT, Frame, Tile};
use crate::watch::{WINDOW, Wants};
use egui::{Align, Color32, Layout, Rect, Sense, Stroke, Ui, pos2, vec2};
use engine::watch::Stage;
use std::fmt::Write;
use std::sync::Arc;

/// Height of a frame.
const ROW: f32 = 18.0;
/// Narrower frames than this are not drawn.
const NARROWEST: f32 = 1.0;
/// Narrower frames than this have no name.
const NAMED: f32 = 28.0;

/// The panel.
#[derive(Default)]
pub struct Flame {
    /// What is drawn: it stands still under the pointer.
    shown: Option<Arc<Frame>>,
    held: bool,
    /// The frames down to the one that takes the whole width, by name.
    zoom: Vec<Arc<str>>,
    search: String,
    note: Option<String>,
}

impl Panel for Flame {
    fn id(&self) -> &'static str {
        "flame"
    }

    fn title(&self) -> &'static str {
        "Flame graph"
    }

    fn about(&self) -> &'static str {
        "Guest call stacks, each function as wide as its time"
    }

    fn side(&self) -> Side {
        Side::Bottom
    }

    fn wants(&self) -> Wants {
        Wants::STACKS
    }

    fn show(&mut self, ui: &mut Ui, view: &mut View<'_>) {
        if waits_for_guest(ui, view, "Here are the guest's call stacks.") {
            return;
        }
        let Some(spots) = view.spots else { return };
        if !self.held || self.shown.is_none() {
            self.shown = spots.flame();
        }
        let Some(root) = self.shown.clone().filter(|root| root.time() > 0) else {
            empty(ui, "No stack was seen since this was opened.", "It fills while the guest is busy.");
            return;
        };
        self.tools(ui, &root);
        ui.add_space(SPACE[0]);
        self.graph(ui, &root);
    }
}

/// The frame to which names lead, as far as they do.
fn descend<'a>(root: &'a Frame, names: &mut Vec<Arc<str>>) -> &'a Frame {
    let mut at = root;
    for n in 0..names.len() {
        let Some(next) = at.calls.iter().find(|f| f.name == names[n]) else {
            // It has not run lately.
            names.truncate(n);
            break;
        };
        at = next;
    }
    at
}

impl Flame {
    fn tools(&mut self, ui: &mut Ui, root: &Frame) {
        ui.allocate_ui_with_layout(
            vec2(ui.available_width(), CONTROL_HEIGHT),
            Layout::left_to_right(Align::Center),
            |ui| {
                ui.spacing_mut().item_spacing.x = SPACE[1];
                let field = egui::TextEdit::singleline(&mut self.search)
                    .hint_text("Find functions")
                    .desired_width(150.0);
                ui.add(field)
                    .widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Find functions"));
                if ui.add_enabled(!self.zoom.is_empty(), egui::Button::new("Show all")).clicked() {
                    self.zoom.clear();
                }
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if ui
                        .button("Stacks")
                        .on_hover_text("Write one line a stack, as flame graph programs read them")
                        .clicked()
                    {
                        self.note = Some(export("stacks", "txt", &flame::collapsed(root)));
                    }
                    if ui.button("SVG").on_hover_text("Write a picture").clicked() {
                        self.note = Some(export("flame", "svg", &svg(root)));
                    }
                    let found = self.needle().map(|needle| percent(found(root, &needle), root.time()));
                    let text = match (&self.note, found) {
                        (Some(note), _) => note.clone(),
                        (None, Some(part)) => {
                            format!("{} % of the time is in what was found", three_digits(part))
                        }
                        (None, None) => {
                            format!("{} samples in {} s", grouped(root.time().into()), WINDOW.as_secs())
                        }
                    };
                    let p = theme::palette(ui);
                    let text = egui::RichText::new(text).size(text::SMALL + 1.0).color(p.weak);
                    ui.add(egui::Label::new(text).truncate());
                });
            },
        );
    }

    fn needle(&self) -> Option<String> {
        Some(self.search.trim().to_lowercase()).filter(|s| !s.is_empty())
    }

    fn graph(&mut self, ui: &mut Ui, root: &Frame) {
        let top = descend(root, &mut self.zoom);
        let above = self.zoom.len();
        let width = ui.available_width();
        let tiles = flame::tiles(top, NARROWEST / width.max(1.0));
        let rows = above + tiles.iter().map(|t| t.depth + 1).max().unwrap_or(1);
        let needle = self.needle();
        let whole = root.time();
        let mut go = None;
        let mut hovered = false;
        let area = egui::ScrollArea::vertical().id_salt("flame").auto_shrink(false);
        let out = area.show(ui, |ui| {
            let (rect, response) = ui.allocate_exact_size(vec2(width, ROW * rows as f32), Sense::click());
            let place = |x: (f32, f32), depth: usize| {
                let at = pos2(rect.min.x + x.0 * width, rect.min.y + depth as f32 * ROW);
                Rect::from_min_size(at, vec2((x.1 * width - 1.0).max(NARROWEST), ROW - 1.0))
            };
            // What was zoomed into, from the outside.
            let mut at = root;
            for n in 0..above {
                paint(ui, place((0.0, 1.0), n), at, needle.as_deref(), true);
                if clicked_in(&response, place((0.0, 1.0), n)) {
                    go = Some(self.zoom[..n].to_vec());
                }
                at = at.calls.iter().find(|f| f.name == self.zoom[n]).unwrap_or(at);
            }
            for tile in &tiles {
                let place = place(tile.x, above + tile.depth);
                if !ui.clip_rect().intersects(place) {
                    continue;
                }
                paint(ui, place, tile.frame, needle.as_deref(), false);
                if clicked_in(&response, place) {
                    go = Some(self.zoom.iter().cloned().chain(names(top, tile)).collect());
                }
                if response.hover_pos().is_some_and(|at| place.contains(at)) {
                    ui.painter().rect_stroke(
                        place,
                        2.0,
                        Stroke::new(1.0, theme::palette(ui).text),
                        egui::StrokeKind::Inside,
                    );
                    tip(&response, tile.frame, whole);
                }
            }
            hovered = response.hovered();
        });
        self.held = hovered && ui.rect_contains_pointer(out.inner_rect);
        if let Some(zoom) = go {
            self.zoom = zoom;
        }
    }
}

/// The names from a frame down to a tile of it.
fn names<'a>(top: &'a Frame, tile: &Tile<'_>) -> Vec<Arc<str>> {
    let mut at: &'a Frame = top;
    let step = |n: &usize| {
        at = at.calls.get(*n)?;
        Some(at.name.clone())
    };
    tile.path.iter().map_while(step).collect()
}

fn clicked_in(response: &egui::Response, place: Rect) -> bool {
    response.clicked() && response.interact_pointer_pos().is_some_and(|at| place.contains(at))
}

fn matches(frame: &Frame, needle: &str) -> bool {
    frame.name.to_lowercase().contains(needle)
}

/// Samples in functions that were searched for; none twice.
fn found(frame: &Frame, needle: &str) -> u32 {
    if matches(frame, needle) { frame.time() } else { frame.calls.iter().map(|f| found(f, needle)).sum() }
}

fn paint(ui: &Ui, place: Rect, frame: &Frame, needle: Option<&str>, above: bool) {
    let p = theme::palette(ui);
    let cut = &*frame.name == CUT;
    let hit = needle.is_none_or(|needle| matches(frame, needle));
    let strength = match (hit, above) {
        (true, false) => 0.5,
        (true, true) => 0.3,
        (false, _) => 0.12,
    };
    let color = if cut { p.hairline } else { theme::stage_color(frame.stage()).gamma_multiply(strength) };
    ui.painter().rect_filled(place, 2.0, color);
    if place.width() >= NAMED {
        let text_color = if hit { p.text } else { p.weak };
        let inner = place.shrink2(vec2(SPACE[0], 0.0));
        widgets::painted_text(ui, inner, &frame.name, egui::FontId::proportional(text::SMALL), text_color);
    }
}

fn percent(part: u32, whole: u32) -> f64 {
    f64::from(part) * 100.0 / f64::from(whole.max(1))
}

fn tip(response: &egui::Response, frame: &Frame, whole: u32) {
    response.clone().on_hover_ui_at_pointer(|ui| {
        ui.label(egui::RichText::new(&*frame.name).strong());
        if &*frame.name == CUT {
            ui.label("What called this could not be followed: frames without frame pointers, or a chain that broke.");
        }
        let own: u32 = frame.own.iter().sum();
        let (all, own) = (percent(frame.time(), whole), percent(own, whole));
        ui.label(format!("{} % of the time, {} % in itself", three_digits(all), three_digits(own)));
        for stage in Stage::ALL.into_iter().filter(|s| frame.samples[*s as usize] > 0) {
            ui.horizontal(|ui| {
                let (rect, _) = ui.allocate_exact_size(vec2(10.0, 10.0), Sense::hover());
                ui.painter().circle_filled(rect.center(), 4.0, theme::stage_color(stage));
                let part = percent(frame.samples[stage as usize], frame.time());
                ui.label(format!("{} {} %", stage.title(), three_digits(part)));
            });
        }
    });
}

/// A picture of the whole graph, 1200 pixels wide.
fn svg(root: &Frame) -> String {
    const WIDTH: f32 = 1200.0;
    let tiles = flame::tiles(root, 0.5 / WIDTH);
    let rows = tiles.iter().map(|t| t.depth + 1).max().unwrap_or(1);
    let escape = |s: &str| s.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let hex = |c: Color32| format!("#{:02x}{:02x}{:02x}", c.r(), c.g(), c.b());
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {h}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{WIDTH}\" height=\"{h}\" fill=\"#ffffff\"/>\n",
        h = ROW * rows as f32
    );
    for t in &tiles {
        let (x, y, w) = (t.x.0 * WIDTH, t.depth as f32 * ROW, t.x.1 * WIDTH);
        let letters = (w / 6.5) as usize;
        let name: String = t.frame.name.chars().take(letters).collect();
        let shown = if letters >= 3 { escape(&name) } else { String::new() };
        let part = percent(t.frame.time(), root.time());
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "<g><title>{} ({} %)</title><rect x=\"{x:.2}\" y=\"{y}\" width=\"{:.2}\" height=\"{}\" rx=\"2\" fill=\"{}\" fill-opacity=\"0.6\"/>\
             <text x=\"{:.2}\" y=\"{}\">{shown}</text></g>",
            escape(&t.frame.name),
            three_digits(part),
            (w - 1.0).max(0.5),
            ROW - 1.0,
            hex(theme::stage_color(t.frame.stage())),
            x + 4.0,
            y + 13.0,
        );
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str, own: u32, calls: Vec<Frame>) -> Frame {
        let time = own + calls.iter().map(Frame::time).sum::<u32>();
        Frame { name: name.into(), samples: [0, time, 0, 0], own: [0, own, 0, 0], calls }
    }

    fn graph() -> Frame {
        frame("all", 0, vec![frame("a<b", 1, vec![frame("memcpy", 3, vec![])]), frame("memcpy", 1, vec![])])
    }

    #[test]
    fn zoom_follows_names_as_far_as_they_are_there() {
        let root = graph();
        let mut names: Vec<Arc<str>> = vec!["a<b".into(), "gone".into()];
        assert_eq!((&*descend(&root, &mut names).name, names.len()), ("a<b", 1));
        let tiles = flame::tiles(&root, 0.0);
        assert_eq!(super::names(&root, &tiles[2]), ["a<b".into(), "memcpy".into()]);
    }

    #[test]
    fn what_is_found_counts_once() {
        assert_eq!((found(&graph(), "memcpy"), found(&graph(), "a"), found(&graph(), "x")), (4, 5, 0));
    }

    #[test]
    fn pictures_are_well_formed() {
        let picture = svg(&graph());
        assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
        assert_eq!(picture.matches("<g>").count(), 4);
        assert!(picture.contains("a&lt;b") && !picture.contains("a<b"));
    }
}
