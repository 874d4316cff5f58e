//! What the tiers decided, when, and why: lanes over time, the queue of tier 2, and a list.

mod kind;
mod lanes;
mod list;

use super::{Panel, Side, View, part, waits_for_guest};
use crate::gui::plot::{Form, Series, TimePlot};
use crate::gui::theme::{self, SPACE, text};
use crate::watch::Wants;
use egui::{FontId, Sense, Ui, WidgetInfo, pos2, vec2};
use kind::Kind;
use list::List;

/// From this width on the list stands beside the lanes.
const WIDE: f32 = 720.0;
/// Height of the plot of the queue.
const QUEUE: f32 = 92.0;
/// Height of the filter's line.
const CHIP: f32 = 22.0;

/// The panel.
#[derive(Default)]
pub struct Promotions {
    list: List,
}

impl Panel for Promotions {
    fn id(&self) -> &'static str {
        "promotions"
    }

    fn title(&self) -> &'static str {
        "Promotions"
    }

    fn about(&self) -> &'static str {
        "Every decision of the tiers, with its reason"
    }

    fn side(&self) -> Side {
        Side::Bottom
    }

    fn wants(&self) -> Wants {
        Wants::DECISIONS
    }

    fn show(&mut self, ui: &mut Ui, view: &mut View<'_>) {
        if waits_for_guest(ui, view, "Here is every decision of the tiers, with its reason.") {
            return;
        }
        let all = ui.available_rect_before_wrap();
        if all.width() >= WIDE {
            let middle = all.min.x + (all.width() * 0.44).floor();
            self.timeline(&mut part(ui, all.with_max_x(middle - SPACE[2])), view);
            self.decisions(&mut part(ui, all.with_min_x(middle + SPACE[2])), view);
        } else {
            let upper = (all.height() * 0.55).min(lanes::HEIGHT + QUEUE + SPACE[2]);
            self.timeline(&mut part(ui, all.with_max_y(all.min.y + upper)), view);
            self.decisions(&mut part(ui, all.with_min_y(all.min.y + upper + SPACE[1])), view);
        }
        ui.allocate_rect(all, Sense::hover());
    }
}

impl Promotions {
    fn timeline(&self, ui: &mut Ui, view: &mut View<'_>) {
        ui.spacing_mut().item_spacing.y = 0.0;
        let room = ui.available_height();
        let queue =
            if room >= lanes::HEIGHT_MIN + QUEUE + SPACE[2] { QUEUE.max(room * 0.3).min(160.0) } else { 0.0 };
        let gap = if queue > 0.0 { SPACE[2] } else { 0.0 };
        lanes::show(ui, room - queue - gap, view, &self.list.filter);
        if queue > 0.0 {
            ui.add_space(gap);
            waiting(ui, queue, view);
        }
    }

    fn decisions(&mut self, ui: &mut Ui, view: &mut View<'_>) {
        filter(ui, &mut self.list);
        ui.add_space(SPACE[0]);
        self.list.show(ui, view);
    }
}

/// How many regions wait for a compiler, and how busy the compilers are.
fn waiting(ui: &mut Ui, height: f32, view: &mut View<'_>) {
    let [first, second, _] = theme::series(ui);
    TimePlot {
        title: "Queue of tier 2",
        unit: "regions; compiling, % of one thread",
        tip: "Regions that waited for a compiler, and how much of the time tier 2 was compiling, where 100 % is one thread all the time.",
        form: Form::Lines,
        top: None,
        series: vec![
            Series::new("Waiting", first, |b| Some(b.to.tiers.queued as f64)),
            Series::new("Compiling", second, |b| b.compiling(1).map(|part| part * 100.0)),
        ],
    }
    .show(ui, height, view.scene, view.selection);
}

/// Which kinds are shown.
fn filter(ui: &mut Ui, list: &mut List) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(SPACE[0], SPACE[0]);
        for kind in Kind::ALL {
            let on = list.filter.has(kind);
            if chip(ui, kind, on) {
                list.filter.set(kind, !on);
            }
        }
    });
}

fn chip(ui: &mut Ui, kind: Kind, on: bool) -> bool {
    let p = theme::palette(ui);
    let color = if on { p.text } else { p.weak };
    let font = FontId::proportional(text::SMALL + 1.0);
    let galley = ui.painter().layout_no_wrap(kind.title().to_owned(), font, color);
    let (rect, response) = ui.allocate_exact_size(vec2(galley.size().x + 26.0, CHIP), Sense::click());
    response.widget_info(|| {
        WidgetInfo::selected(egui::Role::CheckBox, true, on, format!("Show {}", kind.title()))
    });
    let lit = response.hovered() || response.has_focus();
    let fill = if on || lit { p.hover } else { egui::Color32::TRANSPARENT };
    ui.painter().rect(rect, 11.0, fill, egui::Stroke::new(1.0, p.hairline), egui::StrokeKind::Inside);
    let dot = pos2(rect.min.x + 11.0, rect.center().y);
    if on {
        ui.painter().circle_filled(dot, 3.5, kind.color(ui));
    } else {
        ui.painter().circle_stroke(dot, 3.5, egui::Stroke::new(1.0, kind.color(ui)));
    }
    ui.painter().galley(pos2(rect.min.x + 19.0, rect.center().y - galley.size().y / 2.0), galley, color);
    response.on_hover_text(kind.about()).clicked()
}
