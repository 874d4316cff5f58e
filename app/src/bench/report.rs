//! The result as a table for people and as JSON for programs.

use super::case::Group;
use super::means::Mean;
use super::stats::{Summary, ratios};
use super::subject::Kind;
use super::tiers::Compilers;
use serde::Serialize;
use std::fmt::Write;

/// Width of the names' column.
const NAMES: usize = 12;

/// What one subject needed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Measured {
    /// Who.
    pub subject: String,
    /// What it is.
    pub kind: Kind,
    /// Each run; run N of all subjects of a case belong together.
    pub values: Vec<f64>,
    /// CPU seconds of the busiest thread in each run, if that is known.
    pub vcpu: Vec<f64>,
}

/// What was measured for one case.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// Name of the case.
    pub name: String,
    /// What it is.
    pub what: String,
    /// Where it belongs.
    pub group: Group,
    /// Unit of the figures.
    pub unit: &'static str,
    /// All subjects.
    pub measured: Vec<Measured>,
}

impl Row {
    /// Whom others are compared with.
    pub fn baselines(&self) -> impl Iterator<Item = &Measured> {
        self.measured.iter().filter(|m| m.kind != Kind::Ours && !m.values.is_empty())
    }

    /// This program in its modes.
    pub fn ours(&self) -> impl Iterator<Item = &Measured> {
        self.measured.iter().filter(|m| m.kind == Kind::Ours && !m.values.is_empty())
    }
}

/// A ratio of pairs.
#[derive(Serialize)]
struct Over<'a> {
    over: &'a str,
    ratio: Option<Summary>,
}

#[derive(Serialize)]
struct FullMeasured<'a> {
    #[serde(flatten)]
    measured: &'a Measured,
    summary: Option<Summary>,
    vcpu_summary: Option<Summary>,
    ratios: Vec<Over<'a>>,
}

#[derive(Serialize)]
struct FullRow<'a> {
    name: &'a str,
    what: &'a str,
    group: Group,
    unit: &'a str,
    measured: Vec<FullMeasured<'a>>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The cases.
    pub rows: Vec<Row>,
    /// What follows for groups.
    pub means: Vec<Mean>,
    /// What compilers cost.
    pub compilers: Vec<Compilers>,
}

#[derive(Serialize)]
struct Document<'a> {
    /// Version of this layout.
    schema: u32,
    /// Runs of each.
    runs: u32,
    /// How much work, 1 being all.
    scale: f64,
    /// Load averages of the host at the end.
    load: &'a str,
    rows: Vec<FullRow<'a>>,
    means: &'a [Mean],
    compilers: &'a [Compilers],
}

fn overs<'a>(row: &'a Row, m: &Measured) -> Vec<Over<'a>> {
    if m.kind != Kind::Ours {
        return vec![];
    }
    let over = |b: &'a Measured| Over { over: &b.subject, ratio: Summary::of(&ratios(&m.values, &b.values)) };
    row.baselines().map(over).collect()
}

fn full(row: &Row) -> FullRow<'_> {
    let measured = row.measured.iter().map(|m| FullMeasured {
        measured: m,
        summary: Summary::of(&m.values),
        vcpu_summary: Summary::of(&m.vcpu),
        ratios: overs(row, m),
    });
    let measured = measured.collect();
    FullRow { name: &row.name, what: &row.what, group: row.group, unit: row.unit, measured }
}

/// Three or four figures that matter.
pub fn figure(x: f64) -> String {
    match x.abs() {
        a if a >= 100.0 => format!("{x:.0}"),
        a if a >= 10.0 => format!("{x:.1}"),
        a if a >= 0.1 || a == 0.0 => format!("{x:.2}"),
        _ => format!("{x:.4}"),
    }
}

fn cell(s: Option<Summary>) -> String {
    s.map_or_else(
        || "-".to_owned(),
        |s| format!("{} ({} to {})", figure(s.median), figure(s.low), figure(s.high)),
    )
}

/// A case: its name and unit, then a line for each subject with median (lowest to highest), the busiest thread's
/// median, and the ratios to those that are not this program.
pub fn lines(row: &Row) -> String {
    let mut text = format!("{:<NAMES$} {}, {}", row.name, row.what, row.unit);
    for m in row.measured.iter().filter(|m| !m.values.is_empty()) {
        let vcpu = Summary::of(&m.vcpu).map_or_else(String::new, |s| format!("vcpu {}", figure(s.median)));
        let _ = write!(text, "\n  {:<NAMES$} {:<26} {vcpu:<12}", m.subject, cell(Summary::of(&m.values)));
        for over in overs(row, m) {
            if let Some(ratio) = over.ratio {
                let _ = write!(text, " {:>7} x {:<10}", figure(ratio.median), over.over);
            }
        }
        text.truncate(text.trim_end().len());
    }
    text
}

/// The means of all groups: a line for each group and mode, with the number of cases and their extremes.
pub fn means(means: &[Mean]) -> String {
    let mut text = String::new();
    let mut last = None;
    for m in means {
        let (group, subject) = (m.group.title(), m.subject.as_str());
        if last != Some((m.group, subject)) {
            let _ = write!(text, "\n  {group:<NAMES$} {subject:<NAMES$}");
            last = Some((m.group, subject));
        }
        let (mean, low, high) = (figure(m.mean), figure(m.low), figure(m.high));
        let _ = write!(text, " {mean:>6} x {} ({low} to {high}, {})", m.over, m.cases);
    }
    if text.is_empty() { text } else { format!("geometric means (extremes, cases){text}") }
}

/// The JSON document.
pub fn json(outcome: &Outcome, runs: u32, scale: f64, load: &str) -> Result<String, serde_json::Error> {
    let rows = outcome.rows.iter().map(full).collect();
    let (means, compilers) = (&outcome.means[..], &outcome.compilers[..]);
    serde_json::to_string_pretty(&Document { schema: 2, runs, scale, load, rows, means, compilers })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(subject: &str, kind: Kind, values: &[f64]) -> Measured {
        Measured { subject: subject.to_owned(), kind, values: values.to_vec(), vcpu: values.to_vec() }
    }

    fn row() -> Row {
        let measured = vec![
            measured("adaptive", Kind::Ours, &[3.0, 2.0, 4.0]),
            measured("qemu", Kind::Peer, &[2.0, 2.0, 2.0]),
            measured("native", Kind::Native, &[]),
        ];
        let (name, what) = ("boot".to_owned(), "a kernel".to_owned());
        Row { name, what, group: Group::Systems, unit: "CPU s", measured }
    }

    #[test]
    fn lines_hold_median_spread_thread_and_ratio() {
        let text = lines(&row());
        let all: Vec<_> = text.lines().collect();
        assert_eq!(all.len(), 3, "{text}");
        assert_eq!(all[0], "boot         a kernel, CPU s");
        let words: Vec<_> = all[1].split_whitespace().collect();
        let wanted = ["adaptive", "3.00", "(2.00", "to", "4.00)", "vcpu", "3.00", "1.50", "x", "qemu"];
        assert_eq!(words, wanted);
        assert!(all[2].ends_with("vcpu 2.00"), "{text}");
    }

    #[test]
    fn the_document_reads_back() {
        let mean = Mean {
            group: Group::Systems,
            subject: "adaptive".into(),
            over: "qemu".into(),
            mean: 1.5,
            low: 1.0,
            high: 2.0,
            cases: 1,
        };
        let outcome = Outcome { rows: vec![row()], means: vec![mean], compilers: vec![] };
        assert!(means(&outcome.means).contains("1.50 x qemu"));
        let text = json(&outcome, 3, 0.1, "0.1 0.2 0.3").expect("json");
        let value: serde_json::Value = serde_json::from_str(&text).expect("valid");
        let first = &value["rows"][0]["measured"][0];
        assert_eq!(first["ratios"][0]["ratio"]["median"], 1.5);
        assert_eq!((&first["subject"], &first["values"][2]), (&"adaptive".into(), &4.0.into()));
        assert_eq!(value["means"][0]["group"], "systems");
    }
}
