//! Geometric means of groups: a ratio that no single case decides.

use super::case::Group;
use super::report::Row;
use super::stats::{Summary, ratios};
use serde::Serialize;

/// The mean of a group's ratios.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Mean {
    /// Which group.
    pub group: Group,
    /// Which mode of this program.
    pub subject: String,
    /// Over whom.
    pub over: String,
    /// Geometric mean of the cases' median ratios.
    pub mean: f64,
    /// Smallest of them.
    pub low: f64,
    /// Largest of them.
    pub high: f64,
    /// How many there are.
    pub cases: usize,
}

/// The means of all groups, over all that are there.
pub fn of(rows: &[Row]) -> Vec<Mean> {
    let mut found: Vec<(Group, String, String, Vec<f64>)> = Vec::new();
    for row in rows.iter().filter(|r| Group::MEANS.contains(&r.group)) {
        for (ours, base) in row.ours().flat_map(|o| row.baselines().map(move |b| (o, b))) {
            let ratio = Summary::of(&ratios(&ours.values, &base.values)).map(|s| s.median);
            let Some(ratio) = ratio.filter(|r| *r > 0.0) else { continue };
            let same = |f: &&mut (Group, String, String, Vec<f64>)| {
                (f.0, &f.1, &f.2) == (row.group, &ours.subject, &base.subject)
            };
            match found.iter_mut().find(same) {
                Some(known) => known.3.push(ratio),
                None => found.push((row.group, ours.subject.clone(), base.subject.clone(), vec![ratio])),
            }
        }
    }
    // A group's modes lie together, whatever the first case had.
    found.sort_by_key(|f| Group::MEANS.iter().position(|g| *g == f.0));
    found.into_iter().map(|(group, subject, over, ratios)| mean(group, subject, over, &ratios)).collect()
}

fn mean(group: Group, subject: String, over: String, ratios: &[f64]) -> Mean {
    let cases = ratios.len();
    let mean = (ratios.iter().map(|r| r.ln()).sum::<f64>() / cases.max(1) as f64).exp();
    let low = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let high = ratios.iter().copied().fold(0.0, f64::max);
    Mean { group, subject, over, mean, low, high, cases }
}

#[cfg(test)]
mod tests {
    use super::super::report::Measured;
    use super::super::subject::Kind;
    use super::*;

    fn row(group: Group, ours: f64, native: f64) -> Row {
        let measured = |subject: &str, kind, value| Measured {
            subject: subject.to_owned(),
            kind,
            values: vec![value],
            vcpu: vec![],
        };
        let measured = vec![measured("tier1", Kind::Ours, ours), measured("native", Kind::Native, native)];
        Row { name: "x".into(), what: String::new(), group, unit: "CPU s", measured }
    }

    #[test]
    fn means_are_geometric_and_of_one_group() {
        let rows = [row(Group::Float, 2.0, 1.0), row(Group::Float, 8.0, 1.0), row(Group::Part, 5.0, 1.0)];
        let all = of(&rows);
        assert_eq!(all.len(), 1);
        let m = &all[0];
        assert!((m.mean - 4.0).abs() < 1e-9, "{m:?}");
        assert_eq!((m.low, m.high, m.cases, m.over.as_str()), (2.0, 8.0, 2, "native"));
    }
}
