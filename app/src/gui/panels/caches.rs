//! The engine's caches: how often they answer, how full they are, and what goes away.

use super::{Panel, Side, View, waits_for_guest};
use crate::gui::format::{grouped, three_digits};
use crate::gui::plot::{Form, Series, TimePlot};
use crate::gui::theme::{self, SPACE};
use crate::watch::{Between, Wants};
use egui::Ui;
use engine::exec::mode::TierCounts;

use super::table::{self, Cell, Column};

/// Least and most height of a plot.
const PLOT: (f32, f32) = (104.0, 180.0);
/// Height of the labels of time, which the lowest plot has.
const LABELS: f32 = 16.0;

/// The panel.
pub struct Caches;

impl Panel for Caches {
    fn id(&self) -> &'static str {
        "caches"
    }

    fn title(&self) -> &'static str {
        "Caches"
    }

    fn about(&self) -> &'static str {
        "Hit rates, occupancy, and translations that go away"
    }

    fn side(&self) -> Side {
        Side::Right
    }

    fn wants(&self) -> Wants {
        Wants::COUNTERS
    }

    fn show(&mut self, ui: &mut Ui, view: &mut View<'_>) {
        if waits_for_guest(ui, view, "Here is how often the engine's caches answer, and how full they are.") {
            return;
        }
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            let rows = lossy_rows() + SPACE[2];
            let height = ((ui.clip_rect().height() - rows) / 3.0 - SPACE[1]).clamp(PLOT.0, PLOT.1);
            for plot in [jumps(ui), misses(ui)] {
                plot.show_above(ui, height - LABELS, view.scene, view.selection);
                ui.add_space(SPACE[0]);
            }
            occupancy(ui).show(ui, height, view.scene, view.selection);
            ui.add_space(SPACE[1]);
            counts(ui, view);
        });
    }
}

fn jumps(ui: &Ui) -> TimePlot<'static> {
    let p = theme::palette(ui);
    TimePlot {
        title: "Jump cache",
        unit: "% hit",
        tip: "Jumps of compiled code whose target is not known beforehand: how many of them a hart's jump cache led to their target. \
              The others went through the dispatcher.",
        form: Form::Near100,
        top: None,
        series: vec![Series::new("Hits", p.accent, |b| b.jump_hit_rate().map(|r| r * 100.0))],
    }
}

fn misses(ui: &Ui) -> TimePlot<'static> {
    let [first, second, third] = theme::series(ui);
    let kind = |name, color, n| Series::new(name, color, move |b| b.tlb_misses_per_thousand(n));
    TimePlot {
        title: "TLB misses",
        unit: "per 1 000 instructions",
        tip: "Accesses that the tables of a hart's TLB did not answer, in a thousand guest instructions. Accesses that hit are not counted, \
              so there is no rate of hits.",
        form: Form::Lines,
        top: None,
        series: vec![kind("Loads", first, 0), kind("Stores", second, 1), kind("Fetches", third, 2)],
    }
}

fn occupancy(ui: &Ui) -> TimePlot<'static> {
    let [first, _, third] = theme::series(ui);
    TimePlot {
        title: "Code memory",
        unit: "MiB",
        tip: "Memory that translated code of all tiers takes, and the most that it may take.",
        form: Form::Lines,
        top: None,
        series: vec![
            Series::new("In use", first, |b| Some(b.to.tiers.code_bytes as f64 / 1_048_576.0)),
            Series::new("Limit", third.gamma_multiply(0.5), |b| {
                Some(b.to.tuning.code_bytes as f64 / 1_048_576.0)
            }),
        ],
    }
}

/// A counter with its meaning.
struct Count {
    name: &'static str,
    tip: &'static str,
    of: fn(&TierCounts) -> u64,
}

const COUNTS: [Count; 8] = [
    Count {
        name: "Invalidated",
        tip: "Translations that were dropped because the guest wrote to the code under them.",
        of: |t| t.invalidated,
    },
    Count {
        name: "Evicted",
        tip: "Translations that were dropped because code memory was full.",
        of: |t| t.evicted,
    },
    Count {
        name: "Reopened",
        tip: "Translations that were next to be evicted, were used again, and stayed.",
        of: |t| t.reopened,
    },
    Count { name: "Tier 1 blocks", tip: "Blocks that tier 1 has compiled.", of: |t| t.compiled[0] },
    Count { name: "Tier 2 regions", tip: "Regions that tier 2 has compiled.", of: |t| t.compiled[1] },
    Count {
        name: "Formed again",
        tip: "Regions of tier 2 that were compiled again by how they had been left.",
        of: |t| t.formed_again[0],
    },
    Count {
        name: "TLB page walks",
        tip: "Misses of a TLB's tables that it had to answer by walking the guest's page tables.",
        of: |t| t.tlb_misses.iter().sum::<u64>().saturating_sub(t.tlb_held.iter().sum()),
    },
    Count {
        name: "Refused",
        tip: "Code that a compiler refused; it stays in the tier below.",
        of: |t| t.failed.iter().sum(),
    },
];

const COLUMNS: [Column; 3] = [
    Column { head: "Translations", tip: "What is counted.", width: 0.0, number: false },
    Column {
        head: "per second",
        tip: "In the last second, or where the pointer is in a plot.",
        width: 92.0,
        number: true,
    },
    Column { head: "in all", tip: "Since the machine was started or reset.", width: 112.0, number: true },
];

fn lossy_rows() -> f32 {
    table::ROW * (1.0 + crate::gui::format::lossy(COUNTS.len()))
}

/// Rates and totals.
fn counts(ui: &mut Ui, view: &View<'_>) {
    table::head(ui, &COLUMNS);
    let focus = view.scene.focus();
    ui.spacing_mut().item_spacing.y = 0.0;
    for count in &COUNTS {
        let rate = focus.as_ref().and_then(|b| b.per_second(count.of));
        let total = total(view, focus.as_ref(), count);
        let cells = [
            count.name.to_owned(),
            rate.map_or_else(|| "–".to_owned(), three_digits),
            total.map_or_else(|| "–".to_owned(), grouped),
        ];
        table::plain_row(ui, &COLUMNS, &cells.map(Cell::from)).on_hover_text(count.tip);
    }
}

/// The total at the moment that is pointed at, or of the picture.
fn total(view: &View<'_>, focus: Option<&Between<'_>>, count: &Count) -> Option<u64> {
    let counts = focus.map(|b| b.to.tiers).or_else(|| view.status.map(|s| s.tiers))?;
    Some((count.of)(&counts))
}
