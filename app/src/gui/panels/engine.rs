//! How guest code runs: the mode and its thresholds, which tiers run how much of it, and how fast each hart is.

use super::{Panel, Side, View, waits_for_guest};
use crate::config::{CODE_MAX, EngineTuning, MemorySize};
use crate::gui::icons::Icon;
use crate::gui::plot::{Form, Series, TimePlot};
use crate::gui::theme::{self, CONTROL_HEIGHT, SPACE, text};
use crate::gui::widgets;
use crate::machine::api::{Command, EngineMode};
use crate::watch::{Between, Wants};
use egui::{Color32, FontId, Response, Sense, Slider, Stroke, Ui, WidgetInfo, pos2, vec2};
use engine::exec::mode::Tuning;
use engine::watch::Stage;

/// Bytes of the unit in which code memory is set.
const MIB: u64 = 1 << 20;
/// Width of the names of thresholds.
const NAMES: f32 = 132.0;
/// Least and most height of a plot.
const PLOT: (f32, f32) = (112.0, 260.0);
/// Height of the labels of time, which the lower plot has.
const LABELS: f32 = 16.0;

/// From this height on the thresholds are seen at first.
const ROOMY: f32 = 440.0;

/// The panel.
#[derive(Default)]
pub struct Engine {
    /// What the sliders say while one of them is held.
    held: Option<Tuning>,
}

impl Panel for Engine {
    fn id(&self) -> &'static str {
        "engine"
    }

    fn title(&self) -> &'static str {
        "Engine"
    }

    fn about(&self) -> &'static str {
        "How guest code runs, in which tiers, and how fast"
    }

    fn side(&self) -> Side {
        Side::Right
    }

    fn wants(&self) -> Wants {
        Wants::SPOTS
    }

    fn show(&mut self, ui: &mut Ui, view: &mut View<'_>) {
        if waits_for_guest(ui, view, "Here is how guest code runs, and how fast.") {
            return;
        }
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            let begin = ui.cursor().min.y;
            let room = ui.clip_rect().height();
            modes(ui, view);
            ui.add_space(SPACE[0]);
            self.settings(ui, view, room);
            ui.add_space(SPACE[0]);
            let left = room - (ui.cursor().min.y - begin) - 2.0 * SPACE[0];
            let height = (left / 3.0).clamp(PLOT.0, PLOT.1);
            shares(ui, view, height);
            ui.add_space(SPACE[0]);
            times(ui, view, height);
            ui.add_space(SPACE[0]);
            speed(ui, view, height);
        });
    }
}

/// The modes to choose from.
fn modes(ui: &mut Ui, view: &mut View<'_>) {
    let Some(now) = view.status.map(|s| s.engine) else { return };
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(SPACE[0], SPACE[0]);
        for mode in EngineMode::ALL {
            let reason = mode.unavailable();
            let enabled = view.is_alive() && reason.is_none();
            let response = mode_button(ui, mode, mode == now, enabled);
            let tip = reason.unwrap_or(about(mode));
            if response.on_hover_text(tip).clicked() && enabled && mode != now {
                view.commands.push(Command::SetEngine(mode));
            }
        }
    });
}

const fn about(mode: EngineMode) -> &'static str {
    match mode {
        EngineMode::Interpreter => "The interpreter runs everything.",
        EngineMode::Tier1 => "Every block is compiled by tier 1 before it runs.",
        EngineMode::Tier2 => "As tier 1, and what runs at all often is compiled by tier 2.",
        EngineMode::Adaptive => {
            "Cold code is interpreted, warm code runs in tier 1, hot code in tier 2. The thresholds below decide."
        }
        EngineMode::Accelerated => "The host's processor runs the guest.",
    }
}

fn mode_button(ui: &mut Ui, mode: EngineMode, current: bool, enabled: bool) -> Response {
    let p = theme::palette(ui);
    let font = FontId::proportional(text::SMALL + 1.0);
    let color = if enabled || current { p.text } else { p.weak.gamma_multiply(0.6) };
    let galley = ui.painter().layout_no_wrap(mode.title().to_owned(), font, color);
    let size = vec2(galley.size().x + 27.0, 24.0);
    let sense = if enabled { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(size, sense);
    response.widget_info(|| {
        WidgetInfo::selected(egui::Role::RadioButton, enabled, current, format!("Mode {}", mode.title()))
    });
    let lit = enabled && (response.hovered() || response.has_focus());
    let fill = if current || lit { p.hover } else { Color32::TRANSPARENT };
    let line = if current { p.accent } else { p.hairline };
    ui.painter().rect(rect, 12.0, fill, Stroke::new(1.0, line), egui::StrokeKind::Inside);
    let strength = if enabled || current { 1.0 } else { 0.4 };
    let dot = theme::engine_color(mode).gamma_multiply(strength);
    ui.painter().circle_filled(pos2(rect.min.x + 11.0, rect.center().y), 4.0, dot);
    ui.painter().galley(pos2(rect.min.x + 19.0, rect.center().y - galley.size().y / 2.0), galley, color);
    response
}

/// A threshold that can be set.
struct Threshold {
    name: &'static str,
    unit: &'static str,
    tip: &'static str,
    range: (u64, u64),
    get: fn(&Tuning) -> u64,
    set: fn(&mut Tuning, u64),
}

const THRESHOLDS: [Threshold; 3] = [
    Threshold {
        name: "Tier 1 after",
        unit: "runs",
        tip: "Adaptive mode: runs in the interpreter before a block is compiled by tier 1.",
        range: (1, 100_000),
        get: |t| t.tier1_runs.into(),
        set: |t, v| t.tier1_runs = u32::try_from(v).unwrap_or(u32::MAX),
    },
    Threshold {
        name: "Tier 2 after",
        unit: "runs",
        tip: "Adaptive mode: runs in tier 1 before a block asks for tier 2. It holds for blocks that are compiled from now on.",
        range: (1, 10_000_000),
        get: |t| t.tier2_runs.into(),
        set: |t, v| t.tier2_runs = u32::try_from(v).unwrap_or(u32::MAX),
    },
    Threshold {
        name: "Code memory",
        unit: "MiB",
        tip: "Memory for translated code of all tiers. What was not used lately goes when it is full.",
        range: (1, CODE_MAX / MIB),
        get: |t| t.code_bytes.div_ceil(MIB),
        set: |t, v| t.code_bytes = v * MIB,
    },
];

/// What the machine is to be told so that a tuning is in force; the threads stay.
fn tune(t: &Tuning) -> Command {
    let usual = Tuning::default();
    Command::Tune(EngineTuning {
        tier1_runs: Some(t.tier1_runs).filter(|v| *v != usual.tier1_runs),
        tier2_runs: Some(t.tier2_runs).filter(|v| *v != usual.tier2_runs),
        tier2_eager_runs: Some(t.tier2_eager_runs).filter(|v| *v != usual.tier2_eager_runs),
        code_cache: Some(MemorySize(t.code_bytes)).filter(|v| v.0 != usual.code_bytes),
        workers: Some(t.workers).filter(|v| *v != usual.workers),
        tier1_compiler: Some(t.tier1_compiler).filter(|v| *v != usual.tier1_compiler),
        counters: Some(t.counters).filter(|v| *v != usual.counters),
    })
}

impl Engine {
    /// The thresholds, folded away at first where they would leave no room for the plots.
    fn settings(&mut self, ui: &mut Ui, view: &mut View<'_>, room: f32) {
        let header = egui::CollapsingHeader::new("Thresholds").id_salt("thresholds");
        header.default_open(room >= ROOMY).show_unindented(ui, |ui| self.thresholds(ui, view));
    }

    fn thresholds(&mut self, ui: &mut Ui, view: &mut View<'_>) {
        let Some(in_force) = view.status.map(|s| s.tuning) else { return };
        let alive = view.is_alive();
        let usual = Tuning::default();
        let mut shown = self.held.unwrap_or(in_force);
        let (mut held, mut changed) = (false, false);
        ui.spacing_mut().item_spacing.y = 2.0;
        for threshold in &THRESHOLDS {
            let default = (threshold.get)(&usual);
            ui.horizontal(|ui| {
                name(ui, threshold);
                let mut value = (threshold.get)(&shown);
                let response = ui.add_enabled_ui(alive, |ui| slider(ui, threshold, &mut value)).inner;
                if response.changed() {
                    (threshold.set)(&mut shown, value);
                    changed = true;
                }
                // A slider that is dragged tells the machine where it was let go.
                held |= response.dragged();
                changed |= response.drag_stopped();
                if value != default && alive {
                    let tip = format!("Back to the default, {default} {}", threshold.unit);
                    let label = format!("Reset {}", threshold.name);
                    if widgets::icon_button(ui, Icon::Reset, &label, &tip, true).clicked() {
                        (threshold.set)(&mut shown, default);
                        changed = true;
                    }
                }
            });
        }
        workers(ui, in_force.workers);
        self.held = held.then_some(shown);
        if changed && !held && shown != in_force {
            view.commands.push(tune(&shown));
        }
    }
}

fn name(ui: &mut Ui, threshold: &Threshold) {
    let p = theme::palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(NAMES, CONTROL_HEIGHT), Sense::hover());
    let font = FontId::proportional(text::BODY);
    let name = widgets::painted_text(ui, rect, threshold.name, font, p.text);
    let unit = rect.with_min_x(name.max.x + SPACE[0] + 2.0);
    widgets::painted_text(ui, unit, threshold.unit, FontId::proportional(text::SMALL), p.weak);
    response.on_hover_text(threshold.tip);
}

fn slider(ui: &mut Ui, threshold: &Threshold, value: &mut u64) -> Response {
    let buttons = CONTROL_HEIGHT + 4.0 + SPACE[1];
    let number = 76.0;
    ui.spacing_mut().slider_width = (ui.available_width() - number - buttons - SPACE[1]).clamp(60.0, 360.0);
    ui.spacing_mut().interact_size.x = number;
    let (least, most) = threshold.range;
    ui.add(Slider::new(value, least..=most.max(*value)).logarithmic(true))
}

/// How many threads compile: made with the machine, so it is only said.
fn workers(ui: &mut Ui, workers: u32) {
    let p = theme::palette(ui);
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), CONTROL_HEIGHT - 4.0), Sense::hover());
    let font = FontId::proportional(text::BODY);
    let name = widgets::painted_text(ui, rect.with_max_x(rect.min.x + NAMES), "Compilers", font, p.text);
    let unit = rect.with_min_x(name.max.x + SPACE[0] + 2.0);
    widgets::painted_text(ui, unit, "threads", FontId::proportional(text::SMALL), p.weak);
    let says = format!("{workers}, chosen at the next start");
    let value = rect.with_min_x(rect.min.x + NAMES + SPACE[1]);
    widgets::painted_text(ui, value, &says, FontId::proportional(text::BODY), p.weak);
    response.on_hover_text(
        "Threads that compile for tier 2. They are made when the machine starts: --engine-tuning workers=N.",
    );
}

/// Which tiers run the guest's instructions.
fn shares(ui: &mut Ui, view: &mut View<'_>, height: f32) {
    let tier = |name, mode, n| {
        Series::new(name, theme::engine_color(mode), move |b| b.tier_share(n).map(|s| s * 100.0))
    };
    TimePlot {
        title: "Instructions by tier",
        unit: "%",
        tip: "Where the guest's instructions ran: in the interpreter, in blocks of tier 1, in regions of tier 2. Counted, not sampled; \
              each column is a quarter of a second while a minute is shown.",
        form: Form::Stacked,
        top: Some(100.0),
        series: vec![
            tier("Tier 2", EngineMode::Tier2, 2),
            tier("Tier 1", EngineMode::Tier1, 1),
            tier("Interpreter", EngineMode::Interpreter, 0),
        ],
    }
    .show_above(ui, height - LABELS, view.scene, view.selection);
}

/// Where the harts' time goes.
fn times(ui: &mut Ui, view: &mut View<'_>, height: f32) {
    let stage = |stage: Stage| {
        let share = move |b: &Between<'_>| b.time_share(Some(stage)).map(|s| s * 100.0);
        Series::new(stage.title(), theme::stage_color(stage), share)
    };
    let mut series: Vec<Series> = Stage::ALL.into_iter().rev().map(stage).collect();
    let asleep = theme::palette(ui).hairline;
    series.push(Series::new("Asleep", asleep, |b| b.time_share(None).map(|s| s * 100.0)));
    TimePlot {
        title: "Time by tier",
        unit: "%",
        tip: "Where the harts were when they were asked, some 200 times a second: in which tier's code, or waiting for an interrupt. What the \
              engine itself does for a hart (compiling for tier 1, looking up, devices) counts to the code that runs next.",
        form: Form::Stacked,
        top: Some(100.0),
        series,
    }
    .show_above(ui, height - LABELS, view.scene, view.selection);
}

/// How fast each hart is.
fn speed(ui: &mut Ui, view: &mut View<'_>, height: f32) {
    let count = view.status.map_or(0, |s| s.harts.len());
    let names: Vec<String> = (0..count).map(|n| format!("Hart {n}")).collect();
    let color = theme::palette(ui).accent;
    // Neighbours differ in brightness, so that the border between them is seen.
    let shade = |n: usize| if n.is_multiple_of(2) { color } else { color.gamma_multiply(0.6) };
    let mut series = Vec::new();
    for (n, name) in names.iter().enumerate() {
        series.push(Series::new(name, shade(n), move |b| b.mips(n)));
    }
    TimePlot {
        title: "Speed",
        unit: "MIPS",
        tip: "Millions of guest instructions retired per second of the host's time, each hart on those before it. A hart that sleeps retires \
              none.",
        form: Form::Stacked,
        top: None,
        series,
    }
    .show(ui, height, view.scene, view.selection);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuning_is_told_whole_and_defaults_are_left_out() {
        assert_eq!(tune(&Tuning::default()), Command::Tune(EngineTuning::default()));
        let some = Tuning { tier1_runs: 7, code_bytes: 3 * MIB, workers: 2, ..Tuning::default() };
        let Command::Tune(told) = tune(&some) else { panic!("another command") };
        assert_eq!(told.applied(), some);
    }

    #[test]
    fn what_sliders_can_say_is_valid() {
        for threshold in &THRESHOLDS {
            for value in [threshold.range.0, threshold.range.1] {
                let mut t = Tuning::default();
                (threshold.set)(&mut t, value);
                assert_eq!((threshold.get)(&t), value, "{}", threshold.name);
                let Command::Tune(told) = tune(&t) else { panic!("another command") };
                assert!(told.mistakes().is_empty(), "{}", threshold.name);
            }
        }
    }
}
