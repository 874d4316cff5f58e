//! The list of decisions, newest first.

use super::kind::{self, Kind};
use crate::gui::format::{clock_tenths, grouped, lossy, three_digits};
use crate::gui::panels::View;
use crate::gui::panels::table::{self, Cell, Column};
use crate::gui::selection::Selected;
use crate::gui::theme::SPACE;
use crate::gui::widgets;
use crate::watch::{Decision, Decisions};
use egui::{Align, Color32, Layout, Ui, vec2};
use engine::tier::events::What;
use std::collections::VecDeque;

/// Kinds that are shown; all at first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Filter([bool; Kind::ALL.len()]);

impl Default for Filter {
    fn default() -> Filter {
        Filter([true; Kind::ALL.len()])
    }
}

impl Filter {
    /// Whether a kind is shown.
    pub fn has(&self, kind: Kind) -> bool {
        self.0[kind.index()]
    }

    /// Shows or hides a kind.
    pub fn set(&mut self, kind: Kind, on: bool) {
        self.0[kind.index()] = on;
    }
}

const AT: Column =
    Column { head: "Guest time", tip: "Time of the guest since it was started.", width: 60.0, number: true };
const CODE: Column = Column {
    head: "Code",
    tip: "Physical address of the first instruction; nothing where it is about many places.",
    width: 84.0,
    number: true,
};
const DECISION: Column =
    Column { head: "Decision", tip: "What was decided, and why.", width: 0.0, number: false };
const COMPILE: Column = Column {
    head: "Compile, µs",
    tip: "How long the compiler worked, in microseconds of the host's time.",
    width: 64.0,
    number: true,
};
const SAVES: Column = Column {
    head: "Saves, ms",
    tip: "What tier 2 is expected to save, less what compiling costs: an estimate, in milliseconds.",
    width: 58.0,
    number: true,
};
const QUEUE: Column =
    Column { head: "Queue", tip: "Regions that waited for a compiler then.", width: 40.0, number: true };
/// The columns; the last ones are left out where there is little room, and are in the tip then.
const COLUMNS: [Column; 6] = [AT, CODE, DECISION, COMPILE, SAVES, QUEUE];
const FEWER: usize = 4;
/// From this width on all columns are shown.
const WIDE: f32 = 620.0;

/// The list: the numbers of those decisions that the filter lets through.
#[derive(Default)]
pub struct List {
    /// Which kinds.
    pub filter: Filter,
    /// Numbers of the shown ones, oldest first, and the filter and ring that they were taken from.
    shown: VecDeque<u64>,
    taken: Filter,
    end: u64,
    /// The reader is in the list: it stands still.
    held: bool,
}

impl List {
    /// Shows it.
    pub fn show(&mut self, ui: &mut Ui, view: &mut View<'_>) {
        let Some(watcher) = view.watcher else { return };
        let rings = watcher.rings();
        let ring = &rings.decisions;
        self.update(ring, view.scene.decisions_end());
        let newer = view.scene.decisions_end().saturating_sub(self.end);
        note(ui, self.shown.len(), if self.held { newer } else { 0 });
        let columns = &COLUMNS[..if ui.available_width() < WIDE { FEWER } else { COLUMNS.len() }];
        table::head(ui, columns);
        if self.shown.is_empty() {
            ui.add_space(SPACE[1]);
            widgets::weak(
                ui,
                "No decision of these kinds so far. They come while the guest runs in a mode with compilers.",
            );
            return;
        }
        let selected = view.selection.now();
        let count = self.shown.len();
        let number = |i: usize| self.shown.get(count - 1 - i).copied();
        let colors = Kind::ALL.map(|kind| kind.color(ui));
        let shown = table::rows(ui, "decisions", columns, count, |i| {
            let decision = ring.get(number(i)?)?;
            let same = selected.code.is_some() && selected.code == code(decision);
            let color = colors[Kind::of(&decision.event.what).index()];
            Some((cells(decision, color).into(), same))
        });
        if let Some((row, response)) = &shown.pointed
            && let Some(decision) = number(*row).and_then(|n| ring.get(n))
        {
            response.clone().on_hover_text(sentence(decision));
        }
        if let Some(decision) = shown.clicked.and_then(number).and_then(|n| ring.get(n)) {
            let now = view.selection.now();
            let (code, pc) = code(decision).map_or((now.code, now.pc), |pa| (Some(pa), None));
            view.selection.select(Selected { code, pc, moment_ns: Some(decision.guest_ns) });
        }
        self.held = shown.hovered || shown.offset > lossy(1);
    }

    /// Takes over what is new, unless the reader is in the list.
    fn update(&mut self, ring: &Decisions, end: u64) {
        if self.taken != self.filter || end < self.end {
            (self.taken, self.end) = (self.filter, 0);
            self.shown.clear();
        } else if self.held {
            return;
        }
        let filter = self.filter;
        let fits = |d: &&Decision| d.number < end && filter.has(Kind::of(&d.event.what));
        self.shown.extend(ring.since(self.end).filter(fits).map(|d| d.number));
        self.end = end;
        while self.shown.front().is_some_and(|n| *n < ring.first()) {
            self.shown.pop_front();
        }
    }
}

/// What a decision is about, if it is about one place.
fn code(decision: &Decision) -> Option<u64> {
    Some(decision.event.pa).filter(|pa| *pa != 0)
}

fn cells(decision: &Decision, color: Color32) -> [Cell; 6] {
    let event = &decision.event;
    let title = Kind::of(&event.what).title();
    let words = format!("{title} {}", kind::reason(&event.what));
    let compile = (event.compile_ns > 0).then(|| three_digits(event.compile_ns as f64 / 1e3));
    // Where nothing can be queued the number would only be noise.
    let queued = !matches!(event.what, What::Tier1 { .. } | What::Invalidated { .. } | What::Evicted { .. });
    [
        clock_tenths(decision.guest_ns).into(),
        code(decision).map_or_else(String::new, |pa| format!("{pa:#x}")).into(),
        Cell { text: words, dot: Some(color), bar: None },
        compile.unwrap_or_default().into(),
        kind::saving(&event.what).unwrap_or_default().into(),
        if queued { grouped(event.queued.into()) } else { String::new() }.into(),
    ]
}

/// All about a decision.
fn sentence(decision: &Decision) -> String {
    let event = &decision.event;
    let kind = Kind::of(&event.what);
    let (at, reason) = (clock_tenths(decision.guest_ns), kind::reason(&event.what));
    let mut words = format!("{} At {at}, {reason}.", kind.about());
    if event.compile_ns > 0 {
        words += &format!(" Compiled in {} µs.", three_digits(event.compile_ns as f64 / 1e3));
    }
    if let Some(saving) = kind::saving(&event.what) {
        words += &format!(" Saves an estimated {saving} ms; {} in the queue.", grouped(event.queued.into()));
    }
    words
}

/// How many there are, and how many wait for the reader.
fn note(ui: &mut Ui, count: usize, newer: u64) {
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), 16.0),
        Layout::left_to_right(Align::Center),
        |ui| {
            widgets::note(ui, format!("{} shown, newest first", grouped(count as u64)));
            if newer > 0 {
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    widgets::note(ui, format!("{} newer wait", grouped(newer)));
                });
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::tier::events::Event;

    fn ring(numbers: std::ops::Range<u64>) -> Decisions {
        let mut ring = Decisions::default();
        for number in numbers {
            let what =
                if number % 2 == 0 { What::Tier1 { runs: number } } else { What::Evicted { count: 1 } };
            let event = Event { at_ns: 0, pa: number, what, queued: 0, compile_ns: 0 };
            ring.push(Decision { number, guest_ns: number, event });
        }
        ring
    }

    #[test]
    fn it_follows_the_ring_but_not_under_the_pointer() {
        let mut list = List::default();
        list.update(&ring(0..6), 6);
        assert_eq!(list.shown, [0, 1, 2, 3, 4, 5]);
        list.held = true;
        list.update(&ring(3..9), 9);
        assert_eq!((list.shown.len(), list.end), (6, 6));
        list.held = false;
        list.update(&ring(3..9), 9);
        assert_eq!(list.shown, [3, 4, 5, 6, 7, 8]);
        list.filter.set(Kind::Evicted, false);
        list.update(&ring(3..9), 9);
        assert_eq!(list.shown, [4, 6, 8]);
        // The picture may be older than the ring.
        list.update(&ring(3..20), 11);
        assert_eq!(list.shown, [4, 6, 8, 10]);
        // After a reset numbers begin anew.
        list.update(&ring(0..3), 3);
        assert_eq!(list.shown, [0, 2]);
    }
}
