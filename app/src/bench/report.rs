//! The result as a table for people and as JSON for programs.

use super::stats::{Summary, ratios};
use serde::Serialize;
use std::fmt::Write;

/// What was measured for one case.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// Name of the case.
    pub name: String,
    /// What it is.
    pub what: String,
    /// Unit of the figures.
    pub unit: &'static str,
    /// Each run of ours.
    pub ours: Vec<f64>,
    /// Each run of the other emulator, taken in turn with ours.
    pub theirs: Vec<f64>,
}

/// A row with what follows from it.
#[derive(Serialize)]
struct Full<'a> {
    #[serde(flatten)]
    row: &'a Row,
    ours_summary: Option<Summary>,
    theirs_summary: Option<Summary>,
    /// Ours over theirs, of pairs.
    ratio: Option<Summary>,
}

/// All of it.
#[derive(Serialize)]
struct Document<'a> {
    /// Version of this layout.
    schema: u32,
    /// The other emulator.
    against: Option<&'a str>,
    /// Runs of each.
    runs: u32,
    /// Load averages of the host at the end.
    load: &'a str,
    rows: Vec<Full<'a>>,
}

fn full(row: &Row) -> Full<'_> {
    Full {
        row,
        ours_summary: Summary::of(&row.ours),
        theirs_summary: Summary::of(&row.theirs),
        ratio: Summary::of(&ratios(&row.ours, &row.theirs)),
    }
}

/// Three or four figures that matter.
fn figure(x: f64) -> String {
    match x.abs() {
        a if a >= 100.0 => format!("{x:.0}"),
        a if a >= 10.0 => format!("{x:.1}"),
        _ => format!("{x:.2}"),
    }
}

fn cell(s: Option<Summary>) -> String {
    s.map_or_else(
        || "-".to_owned(),
        |s| format!("{} ({} to {})", figure(s.median), figure(s.low), figure(s.high)),
    )
}

/// The heading of the table.
pub fn heading(against: Option<&str>) -> String {
    let mut line = format!("{:<12} {:<36} {:<8} {:<24}", "case", "", "unit", "vitrine");
    if let Some(name) = against {
        let _ = write!(line, " {name:<24} vitrine / {name}");
    }
    line.trim_end().to_owned()
}

/// One line of the table: median (lowest to highest).
pub fn line(row: &Row, against: bool) -> String {
    let f = full(row);
    let mut line = format!("{:<12} {:<36} {:<8} {:<24}", row.name, row.what, row.unit, cell(f.ours_summary));
    if against {
        let _ = write!(line, " {:<24} {}", cell(f.theirs_summary), cell(f.ratio));
    }
    line.trim_end().to_owned()
}

/// The JSON document.
pub fn json(rows: &[Row], against: Option<&str>, runs: u32, load: &str) -> Result<String, serde_json::Error> {
    let rows = rows.iter().map(full).collect();
    serde_json::to_string_pretty(&Document { schema: 1, against, runs, load, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let (name, what) = ("boot".to_owned(), "a kernel".to_owned());
        Row { name, what, unit: "CPU s", ours: vec![3.0, 2.0, 4.0], theirs: vec![2.0, 2.0, 2.0] }
    }

    #[test]
    fn lines_hold_median_and_spread() {
        let text = line(&row(), true);
        assert!(text.contains("3.00 (2.00 to 4.00)") && text.ends_with("1.50 (1.00 to 2.00)"), "{text}");
        let alone = line(&Row { theirs: vec![], ..row() }, false);
        assert!(alone.ends_with("3.00 (2.00 to 4.00)"), "{alone}");
    }

    #[test]
    fn the_document_reads_back() {
        let text = json(&[row()], Some("qemu"), 3, "0.1 0.2 0.3").expect("json");
        let value: serde_json::Value = serde_json::from_str(&text).expect("valid");
        assert_eq!(value["rows"][0]["ratio"]["median"], 1.5);
        assert_eq!(value["rows"][0]["name"], "boot");
    }
}
