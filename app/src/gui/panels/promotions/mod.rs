//! What the tiers decided, when, and why: lanes over time, the queue of tier 2, and a list.

mod kind;
mod lanes;
mod list;

use super::{Panel, Side, View, part, waits_for_guest};
use crate::gui::plot::{Form, Series, TimePlot};
use crate::gui::theme::{self, SPACE};
use crate::watch::Wants;
use egui::{Sense, Ui};
use list::List;

/// From this width on the list stands beside the lanes.
const WIDE: f32 = 720.0;
/// Least and most height of a plot below the lanes.
const PLOT: (f32, f32) = (92.0, 150.0);

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
            let middle = all.min.x + (all.width() * 0.42).floor();
            self.timeline(&mut part(ui, all.with_max_x(middle - SPACE[2])), view);
            self.list.show(&mut part(ui, all.with_min_x(middle + SPACE[2])), view);
        } else {
            let upper = (all.height() * 0.55).min(lanes::HEIGHT + PLOT.0 + SPACE[2]);
            self.timeline(&mut part(ui, all.with_max_y(all.min.y + upper)), view);
            self.list.show(&mut part(ui, all.with_min_y(all.min.y + upper + SPACE[1])), view);
        }
        ui.allocate_rect(all, Sense::hover());
    }
}

impl Promotions {
    /// Lanes, and below them what the compilers do, as far as there is room.
    fn timeline(&mut self, ui: &mut Ui, view: &mut View<'_>) {
        ui.spacing_mut().item_spacing.y = 0.0;
        let room = ui.available_height();
        let spare = room - lanes::HEIGHT_MIN;
        let plots = (0..3_u8).rev().find(|n| f32::from(*n) * (PLOT.0 + SPACE[1]) <= spare).unwrap_or(0);
        let height = (room * 0.24).clamp(PLOT.0, PLOT.1);
        let lanes = room - f32::from(plots) * (height + SPACE[1]);
        lanes::show(ui, lanes, plots == 0, view, &mut self.list.filter);
        for n in 1..=plots {
            ui.add_space(SPACE[1]);
            let plot = if n == 1 { queue(ui) } else { compiling(ui) };
            if n == plots {
                plot.show(ui, height, view.scene, view.selection);
            } else {
                plot.show_above(ui, height, view.scene, view.selection);
            }
        }
    }
}

/// How many regions wait for a compiler.
fn queue(ui: &Ui) -> TimePlot<'static> {
    let [first, ..] = theme::series(ui);
    TimePlot {
        title: "Queue of tier 2",
        unit: "regions",
        tip: "Regions that waited for a compiler.",
        form: Form::Lines,
        top: None,
        series: vec![Series::new("Waiting", first, |b| Some(b.to.tiers.queued as f64))],
    }
}

/// How busy the compilers are.
fn compiling(ui: &Ui) -> TimePlot<'static> {
    let [first, second, _] = theme::series(ui);
    let part = |name, color, n| Series::new(name, color, move |b| b.compiling(n).map(|part| part * 100.0));
    TimePlot {
        title: "Compiling",
        unit: "% of one thread",
        tip: "How much of the time the compilers worked, where 100 % is one thread all the time. Tier 1 compiles on the harts' own threads.",
        form: Form::Lines,
        top: None,
        series: vec![part("Tier 2", first, 1), part("Tier 1", second, 0)],
    }
}
