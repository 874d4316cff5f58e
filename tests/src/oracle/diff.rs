//! Runs a suite on both machines and narrows differences down to single cases.

use super::elf::Image;
use super::qemu::Blocks;
use super::runner::{Detail, FULL_CASE, Group, LIGHT_CASE, Suite, Test, full_words, light_words};
use super::{ours, qemu};
use anyhow::{Context, Result, ensure};
use engine::guest::riscv::model::Model;
use std::fmt::Write;
use std::time::Duration;

/// Longest time for one program on one machine: some seconds are usual, but the machine may be busy.
pub const LIMIT: Duration = Duration::from_secs(300);

/// What the program prints on QEMU and on Vitrine, both at once.
pub fn both(image: &Image) -> Result<(Vec<String>, Vec<String>)> {
    both_on(image, Blocks::Single, &Model::default())
}

fn both_on(image: &Image, blocks: Blocks, model: &Model) -> Result<(Vec<String>, Vec<String>)> {
    qemu::check()?;
    // For a look with other tools at the program that ran last.
    if let Ok(path) = std::env::var("VITRINE_ORACLE_KEEP") {
        std::fs::write(path, image.elf())?;
    }
    let lines = |text: String| text.lines().map(|l| l.trim().to_owned()).collect::<Vec<_>>();
    let (theirs, ours) = std::thread::scope(|s| {
        let theirs = s.spawn(|| qemu::run(image, blocks, LIMIT));
        let ours = ours::run_model(image, model.clone(), LIMIT).context("on Vitrine");
        (theirs.join(), ours)
    });
    let theirs = theirs.map_err(|_| anyhow::anyhow!("the thread that runs QEMU panicked"))??;
    Ok((lines(theirs), lines(ours?)))
}

/// A report of all differing groups, the first of them in detail; empty when there is no difference.
pub fn compare(suite: &Suite, details: usize) -> Result<String> {
    compare_on(suite, details, &Model::default())
}

/// The same with another model on our side, to see that differences are found.
pub fn compare_on(suite: &Suite, details: usize, model: &Model) -> Result<String> {
    let (theirs, ours) = both_on(&suite.image(Detail::Groups), Blocks::Long, model)?;
    let groups = &suite.groups;
    ensure!(theirs.len() == groups.len(), "QEMU printed {} lines for {} groups", theirs.len(), groups.len());
    ensure!(
        ours.len() == groups.len(),
        "Vitrine printed {} lines for {} groups; last {:?}",
        ours.len(),
        groups.len(),
        ours.last()
    );
    let differ: Vec<&Group> =
        (0..groups.len()).filter(|k| theirs[*k] != ours[*k]).map(|k| &groups[k]).collect();
    let mut report = String::new();
    if differ.is_empty() {
        return Ok(report);
    }
    let names = differ.iter().map(|g| g.name.as_str()).collect::<Vec<_>>();
    writeln!(report, "{} of {} groups differ: {}", differ.len(), groups.len(), names.join(", "))?;
    let detailed =
        Suite { lists: suite.lists.clone(), groups: differ.into_iter().take(details).cloned().collect() };
    report += &cases(&detailed, model)?;
    Ok(report)
}

/// The first differing case of each group.
fn cases(suite: &Suite, model: &Model) -> Result<String> {
    let (theirs, ours) = both_on(&suite.image(Detail::Cases), Blocks::Long, model)?;
    let mut at = 0;
    let mut single = Suite::default();
    let mut found = Vec::new();
    for g in &suite.groups {
        let mut count = 0;
        let mut first = None;
        for t in &g.tests {
            for case in 0..suite.cases(t) {
                if theirs.get(at) != ours.get(at) {
                    count += 1;
                    first.get_or_insert((t, case));
                }
                at += 1;
            }
        }
        if let Some((t, case)) = first {
            let words = if t.full.is_some() { FULL_CASE } else { LIGHT_CASE };
            let operands = suite.lists[t.list][case * words..(case + 1) * words].to_vec();
            single.lists.push(operands);
            let test = Test { list: single.lists.len() - 1, ..t.clone() };
            single.groups.push(Group { name: g.name.clone(), tests: vec![test] });
            found.push(count);
        }
    }
    words(&single, &found, model)
}

/// All result words of single cases, those that differ marked.
fn words(suite: &Suite, counts: &[usize], model: &Model) -> Result<String> {
    let (theirs, ours) = both_on(&suite.image(Detail::Words), Blocks::Long, model)?;
    let mut report = String::new();
    let mut at = 0;
    for (g, count) in suite.groups.iter().zip(counts) {
        let t = &g.tests[0];
        writeln!(report, "{}: {count} cases differ, the first: {}", g.name, t.text)?;
        writeln!(report, "  code {:02x?}, fcsr before {:#x}, state {:?}", t.slot, t.fcsr, t.full)?;
        let names = if t.full.is_some() { full_words() } else { light_words(t.memory) };
        let operands = &suite.lists[t.list];
        if t.full.is_none() {
            writeln!(
                report,
                "  a {:016x} b {:016x} c {:016x} d {:016x}",
                operands[0], operands[1], operands[2], operands[3]
            )?;
        }
        for (k, name) in names.iter().enumerate() {
            let (q, v) = (theirs.get(at + k), ours.get(at + k));
            let before = if t.full.is_some() && k < 63 {
                format!(" before {:016x}", operands[k + 1])
            } else {
                String::new()
            };
            if q != v {
                writeln!(report, "  {name:>12}: QEMU {} Vitrine {}{before}", show(q), show(v))?;
            }
        }
        let trap = names.iter().position(|n| n == "cause").unwrap_or(0);
        writeln!(
            report,
            "  QEMU's cause, tval, epc: {} {} {}",
            show(theirs.get(at + trap)),
            show(theirs.get(at + trap + 1)),
            show(theirs.get(at + trap + 2))
        )?;
        at += names.len() + 1;
    }
    Ok(report)
}

fn show(word: Option<&String>) -> &str {
    word.map_or("nothing", |w| w)
}
