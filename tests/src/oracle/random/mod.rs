//! Random programs in M-, S- and U-mode with translation on, run whole on both machines.

mod compute;
pub mod handler;
mod layout;
mod loops;
mod memory;
mod privileged;
pub mod program;

use super::diff::both;
use anyhow::{Result, ensure};
use engine::guest::Guest;
use engine::guest::riscv::Riscv;
use handler::{Detail, dump_words};
use program::{SEGMENT, generate};
use std::fmt::Write;

/// Units of a program: about 15,000 instructions.
pub const UNITS: usize = 3600;

/// Runs the program of `seed` on both. Returns how many random instructions it has, and a report if they differ.
pub fn compare(seed: u64) -> Result<(usize, Option<String>)> {
    let p = generate(seed, UNITS, 0..0, Detail::default());
    let (theirs, ours) = both(&p.image)?;
    let want = p.checkpoints.len() + 2 + dump_words().len();
    if theirs == ours && ours.len() == want {
        return Ok((p.insns, None));
    }
    let mut report = format!("seed {seed} differs\n");
    if let Err(e) = explain(seed, first_difference(&theirs, &ours), p.checkpoints.len(), &mut report) {
        writeln!(report, "  (no more is known: {e:#})")?;
    }
    Ok((p.insns, Some(report)))
}

fn first_difference(theirs: &[String], ours: &[String]) -> usize {
    (0..theirs.len().max(ours.len())).find(|k| theirs.get(*k) != ours.get(*k)).unwrap_or(usize::MAX)
}

/// From the first differing line of the plain run to the unit.
fn explain(seed: u64, line: usize, checkpoints: usize, report: &mut String) -> Result<()> {
    if line < checkpoints {
        return narrow(seed, line, false, report);
    }
    // Only memory or page tables differ: let every checkpoint look at them.
    let deep = generate(seed, UNITS, 0..0, Detail { deep: true, verbose: None });
    let (theirs, ours) = both(&deep.image)?;
    let line = first_difference(&theirs, &ours);
    ensure!(line < checkpoints, "memory differs at the end, but at no checkpoint");
    narrow(seed, line, true, report)
}

/// Segment `k` is the first that differs: finds the unit, and prints what it did.
fn narrow(seed: u64, k: usize, deep: bool, report: &mut String) -> Result<()> {
    let segment = k * SEGMENT..((k + 1) * SEGMENT).min(UNITS);
    let detail = Detail { deep, verbose: None };
    // A checkpoint behind every unit, or, if that hides the difference, behind one unit at a time.
    let mut found = None;
    for split in std::iter::once(segment.clone()).chain(segment.clone().map(|n| n..n + 1)) {
        let p = generate(seed, segment.end, split.clone(), detail);
        let (theirs, ours) = both(&p.image)?;
        let n = first_difference(&theirs, &ours);
        if n < p.checkpoints.len() && (split.len() > 1 || p.checkpoints[n] == split.end) {
            found = Some((p, split, n));
            break;
        }
    }
    let Some((p, split, n)) = found else {
        writeln!(report, "segment {k} (units {segment:?}) differs, but not with more checkpoints in it")?;
        return Ok(());
    };
    let number = p.checkpoints[n] - 1;
    let unit = &p.units[number];
    writeln!(report, "unit {number} ({}) in {:?}, checkpoints behind {split:?}", unit.name, unit.ctx)?;
    let base = unit.ctx.base();
    let mut at = unit.bytes.start;
    while at < unit.bytes.end {
        let (text, len) = Riscv::disassemble(&p.body[at..unit.bytes.end.max(at + 2)], base + at as u64);
        writeln!(report, "    {:x}: {text}", base + at as u64)?;
        at += len.max(2);
    }
    let loud = generate(seed, number + 1, split, Detail { verbose: Some(n as u64), deep });
    let (theirs, ours) = both(&loud.image)?;
    dump(&theirs, &ours, report)?;
    if deep {
        memory_words(&theirs, &ours, report)?;
    }
    Ok(())
}

/// Words of memory that differ, from the tail of a deep run.
fn memory_words(theirs: &[String], ours: &[String], report: &mut String) -> Result<()> {
    let words = |lines: &[String]| {
        // Address and value in turn: the first address is that of the data.
        let first = format!("{:016x}", layout::DATA);
        let from = lines.iter().rposition(|l| *l == first).unwrap_or(lines.len());
        lines[from..].chunks(2).map(<[String]>::to_vec).collect::<Vec<_>>()
    };
    let (q, v) = (words(theirs), words(ours));
    for w in q.iter().filter(|w| !v.contains(w)).take(8) {
        writeln!(report, "  QEMU    {}", w.join(": "))?;
    }
    for w in v.iter().filter(|w| !q.contains(w)).take(8) {
        writeln!(report, "  Vitrine {}", w.join(": "))?;
    }
    Ok(())
}

/// The printed traps and states, differing ones marked.
fn dump(theirs: &[String], ours: &[String], report: &mut String) -> Result<()> {
    let mark = |m: u64| format!("{m:016x}");
    let names = dump_words();
    let parse = |lines: &[String]| {
        let (mut traps, mut dumps) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < lines.len() {
            if lines[at] == mark(handler::TRAP_MARK) {
                traps.push(lines.get(at + 1..at + 5).map(|t| t.join(" ")).unwrap_or_default());
                at += 5;
            } else if lines[at] == mark(handler::DUMP_MARK) {
                dumps.push(
                    lines.get(at + 1..at + 1 + names.len()).map(<[String]>::to_vec).unwrap_or_default(),
                );
                at += 1 + names.len();
            } else {
                at += 1;
            }
        }
        (traps, dumps)
    };
    let ((qt, qd), (vt, vd)) = (parse(theirs), parse(ours));
    for (who, traps) in [("QEMU", &qt), ("Vitrine", &vt)] {
        for t in traps {
            writeln!(report, "  {who}: trap (cause, value, pc, status) {t}")?;
        }
    }
    let states = [qd.first(), qd.last(), vd.first(), vd.last()];
    if let [Some(before), Some(q), Some(v0), Some(v)] = states {
        for (k, name) in names.iter().enumerate() {
            let mark = if q.get(k) != v.get(k) { "  <--" } else { "" };
            let always = ["mstatus", "satp", "menvcfg", "medeleg", "pmpcfg0", "pmpaddr0", "pmpaddr1"]
                .contains(&name.as_str());
            if always || q.get(k) != before.get(k) || !mark.is_empty() || v0.get(k) != before.get(k) {
                let show = |l: &[String]| l.get(k).cloned().unwrap_or_default();
                writeln!(
                    report,
                    "  {name:>10}: {} -> QEMU {} Vitrine {}{mark}",
                    show(before),
                    show(q),
                    show(v)
                )?;
            }
        }
    }
    Ok(())
}
