//! Traps by cause and devices by name: how many a second, and how many in all.

use super::table::{self, Cell, Column};
use super::{Panel, Side, View, part, waits_for_guest};
use crate::gui::format::{grouped, three_digits};
use crate::gui::theme::SPACE;
use crate::gui::widgets;
use crate::machine::api::Status;
use crate::watch::Wants;
use egui::{Sense, Ui};
use engine::tier::monitor::{Counter, Declared, HartStatus, Value};
use std::time::{Duration, Instant};

/// Rates are over so long.
const OVER: Duration = Duration::from_secs(1);
/// From this width on the tables stand beside each other.
const WIDE: f32 = 640.0;

const RATE_TIP: &str = "Over the last second of the host's time; nothing while the guest stands.";
const TOTAL_TIP: &str = "Since the machine was switched on, all harts together.";

const TRAPS: [Column; 3] = [
    Column {
        head: "Trap",
        tip: "Exceptions, interrupts and calls of the built-in SBI, by cause; only those that there were.",
        width: 0.0,
        number: false,
    },
    Column { head: "Per second", tip: RATE_TIP, width: 76.0, number: true },
    Column { head: "Total", tip: TOTAL_TIP, width: 92.0, number: true },
];

const DEVICES: [Column; 4] = [
    Column { head: "Device", tip: "Its name on the board.", width: 110.0, number: false },
    Column {
        head: "Counter",
        tip: "What is counted, with its unit; only what was not 0.",
        width: 0.0,
        number: false,
    },
    Column { head: "Per second", tip: RATE_TIP, width: 76.0, number: true },
    Column { head: "Total", tip: TOTAL_TIP, width: 92.0, number: true },
];

/// A counter with its value.
#[derive(Clone, PartialEq, Debug)]
struct Line {
    /// Device, or kind of trap.
    of: String,
    name: String,
    total: u64,
    /// Per second.
    rate: Option<f64>,
}

/// The panel.
#[derive(Default)]
pub struct Traps {
    traps: Vec<Line>,
    devices: Vec<Line>,
    /// When these were read, and the guest's clock then.
    read: Option<(Instant, u64)>,
}

impl Panel for Traps {
    fn id(&self) -> &'static str {
        "traps"
    }

    fn title(&self) -> &'static str {
        "Traps and devices"
    }

    fn about(&self) -> &'static str {
        "Exceptions, interrupts, SBI calls and what devices do"
    }

    fn side(&self) -> Side {
        Side::Bottom
    }

    fn wants(&self) -> Wants {
        Wants::COUNTERS
    }

    fn show(&mut self, ui: &mut Ui, view: &mut View<'_>) {
        if waits_for_guest(ui, view, "Here are the guest's traps, and what its devices do.") {
            return;
        }
        let Some(status) = view.status else { return };
        self.read(status, view.hart_counters, Instant::now());
        let all = ui.available_rect_before_wrap();
        let (first, second) = if all.width() >= WIDE {
            let middle = all.min.x + (all.width() * 0.42).floor();
            (all.with_max_x(middle - SPACE[2]), all.with_min_x(middle + SPACE[2]))
        } else {
            let middle = all.min.y + (all.height() * 0.5).floor();
            (all.with_max_y(middle - SPACE[1]), all.with_min_y(middle + SPACE[1]))
        };
        let traps = |l: &Line| [named(&l.of, &l.name).into(), rate(l).into(), grouped(l.total).into()];
        lines(&mut part(ui, first), "traps", &TRAPS, &self.traps, traps);
        let devices =
            |l: &Line| [l.of.clone().into(), l.name.clone().into(), rate(l).into(), grouped(l.total).into()];
        lines(&mut part(ui, second), "devices", &DEVICES, &self.devices, devices);
        ui.allocate_rect(all, Sense::hover());
    }
}

fn named(of: &str, name: &str) -> String {
    if of == "sbi calls" { format!("SBI {name}") } else { name.to_owned() }
}

fn rate(line: &Line) -> String {
    line.rate.filter(|r| *r > 0.0).map(three_digits).unwrap_or_default()
}

fn lines<const N: usize>(
    ui: &mut Ui,
    name: &str,
    columns: &[Column; N],
    all: &[Line],
    cells: impl Fn(&Line) -> [Cell; N],
) {
    table::head(ui, columns);
    if all.is_empty() {
        ui.add_space(SPACE[1]);
        widgets::weak(ui, "Nothing so far.");
        return;
    }
    table::rows(ui, name, columns, all.len(), |i| all.get(i).map(|line| (cells(line).into(), false)));
}

impl Traps {
    /// Takes over what a status says, once a second.
    fn read(&mut self, status: &Status, counters: &[&'static [Counter<HartStatus>]], now: Instant) {
        let seconds = match self.read {
            Some((at, guest)) if guest <= status.uptime_ns && !self.traps.is_empty() => {
                let passed = now.duration_since(at);
                if passed < OVER {
                    return;
                }
                // While the guest stands the last rates stay.
                if guest == status.uptime_ns {
                    return;
                }
                Some(passed.as_secs_f64())
            }
            _ => None,
        };
        self.read = Some((now, status.uptime_ns));
        let before = std::mem::take(&mut self.traps);
        self.traps = rates(traps(status, counters), &before, seconds);
        let before = std::mem::take(&mut self.devices);
        self.devices = rates(devices(status), &before, seconds);
    }
}

/// Adds rates; what was not there before began at 0.
fn rates(mut lines: Vec<Line>, before: &[Line], seconds: Option<f64>) -> Vec<Line> {
    for line in &mut lines {
        let then = before.iter().find(|b| b.of == line.of && b.name == line.name).map_or(0, |b| b.total);
        line.rate = seconds.map(|s| line.total.saturating_sub(then) as f64 / s);
    }
    lines
}

/// Traps of all harts together, by cause.
fn traps(status: &Status, counters: &[&'static [Counter<HartStatus>]]) -> Vec<Line> {
    const SHOWN: [&str; 3] = ["exceptions", "interrupts", "sbi_calls"];
    let mut out: Vec<Line> = Vec::new();
    for counter in counters.iter().flat_map(|list| list.iter()).filter(|c| SHOWN.contains(&c.declared.name)) {
        let Some(split) = counter.declared.split else { continue };
        let mut totals = vec![0_u64; split.parts.len()];
        for hart in &status.harts {
            if let Value::Parts(parts) = counter.read(hart) {
                totals.iter_mut().zip(parts).for_each(|(sum, n)| *sum = sum.wrapping_add(n));
            }
        }
        let line = |(name, total): (&&str, u64)| Line {
            of: counter.declared.name.replace('_', " "),
            name: name.replace('_', " "),
            total,
            rate: None,
        };
        out.extend(split.parts.iter().zip(totals).filter(|(_, n)| *n > 0).map(line));
    }
    out
}

fn unit(declared: &Declared) -> String {
    let name = declared.name.replace('_', " ");
    if name.contains(declared.unit) { name } else { format!("{name}, {}", declared.unit) }
}

fn devices(status: &Status) -> Vec<Line> {
    let of = |device: &devices::metrics::DeviceReport| -> Vec<Line> {
        let line = |m: &devices::metrics::Metric| Line {
            of: device.name.clone(),
            name: unit(m.declared),
            total: m.value,
            rate: None,
        };
        device.metrics.iter().filter(|m| m.value > 0).map(line).collect()
    };
    status.devices.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, total: u64) -> Line {
        Line { of: "x".into(), name: name.into(), total, rate: None }
    }

    #[test]
    fn rates_are_differences_over_time() {
        let before = [line("a", 10), line("b", 5)];
        let now = rates(vec![line("a", 30), line("b", 5), line("new", 8)], &before, Some(2.0));
        assert_eq!(now.iter().map(|l| l.rate).collect::<Vec<_>>(), [Some(10.0), Some(0.0), Some(4.0)]);
        assert!(rates(vec![line("a", 30)], &before, None)[0].rate.is_none());
        assert_eq!((rate(&now[0]), rate(&now[1])), ("10.0".into(), String::new()));
    }
}
