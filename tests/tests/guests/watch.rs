//! Hot spots, stacks and translations taken apart, of a real guest at work.

use anyhow::{Context, Result, ensure};
use engine::watch::Stage;
use engine::watch::apart::Mark;
use std::collections::BTreeSet;
use std::time::Duration;
use tests::guest::{Guest, images, linux};
use vitrine::symbols::kallsyms;
use vitrine::watch::hot::{By, Order, Row, Table};
use vitrine::watch::inspect::Owner;
use vitrine::watch::{Spots, Subject, Wants, flame};

const LIMIT: Duration = Duration::from_secs(600);
/// A shell that adds numbers and opens files, for some seconds.
const WORK: &str = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); read x </proc/uptime; done; echo $i";

/// What tables must be like whatever ran.
fn check(table: &Table) -> Result<()> {
    let of_rows = |n: usize| table.rows.iter().map(|r| r.samples[n]).sum::<u32>();
    ensure!((0..4).all(|n| of_rows(n) == table.samples[n]), "samples are lost or counted twice");
    let sorted = table.rows.is_sorted_by_key(|r| std::cmp::Reverse(r.time()));
    ensure!(sorted || table.order.by != By::Time, "not in order");
    Ok(())
}

fn named(row: &Row) -> Option<&str> {
    row.name.as_ref().filter(|_| row.time() > 0).map(|(name, _)| &**name)
}

#[test]
fn hot_code_of_debian_has_names_forms_and_callers() -> Result<()> {
    let (kernel, initrd) = images::mini()?;
    let append = "console=ttyS0 quiet run=shell";
    let mut guest = Guest::start(&linux("watched", &kernel, &initrd, append), LIMIT)?;
    let spots = Spots::of_machine(guest.handle(), || {});
    spots.order(&Order { functions: true, ..Order::default() });
    spots.want(Wants::STACKS);
    guest.expect("@@INIT")?;
    guest.expect("# ")?;
    let shell = guest.shell(WORK)?;
    // The line is longer than the terminal is wide: some of it is echoed.
    ensure!(shell.trim().ends_with("60000"), "{shell}");
    let table = spots.table();
    check(&table)?;
    ensure!(table.time() > 20, "only {} samples", table.time());

    // By name: functions that the kernel has, the ones that such a program needs among them.
    let kernel = kallsyms::find(guest.handle()).context("no kernel in memory")?;
    let names: BTreeSet<&str> = table.rows.iter().filter_map(named).collect();
    ensure!(names.len() >= 5, "{names:?}");
    for name in &names {
        ensure!(kernel.table.named(name).next().is_some(), "the kernel has no {name}");
    }

    let root = spots.flame().context("no stacks")?;
    let stacks = flame::collapsed(&root);
    let whole = stacks.lines().filter(|l| l.starts_with("kernel;") && !l.contains(flame::CUT));
    let deepest =
        whole.max_by_key(|l| l.matches(';').count()).context("no stack of the kernel was followed")?;
    ensure!(deepest.matches(';').count() >= 4, "{deepest}");
    ensure!(root.time() <= table.time());

    spots.order(&Order::default());
    guest.wait("a table of translations", |_| (!spots.table().order.functions).then_some(()))?;
    let table = spots.table();
    check(&table)?;
    take_apart(&mut guest, &spots, &table)
}

/// The hottest translation is shown in all its forms.
fn take_apart(guest: &mut Guest, spots: &Spots, table: &Table) -> Result<()> {
    let hot =
        table.rows.iter().find(|r| r.id.is_some() && r.pc.is_some()).context("no translation is hot")?;
    let pa = hot.pa.context("a translation without an address")?;
    spots.inspect(pa, hot.pc);
    let subject = guest.wait("its forms", |_| {
        Some(spots.subject()).filter(|s: &std::sync::Arc<Subject>| s.pa == pa && s.forms.len() > 1)
    })?;
    let (none, block) = &subject.forms[0];
    ensure!(none.is_none() && block.apart.stage == Stage::Interpreter && block.has[..2] == [true; 2]);
    let (listed, top) = subject.forms.last().context("no forms")?;
    let listed = listed.as_ref().context("no translation")?;
    ensure!(top.apart.stage == listed.stage && top.has[3], "no host code");
    let bytes: usize = top.apart.host.iter().map(|p| p.bytes.len()).sum();
    ensure!(bytes == listed.host_bytes as usize);
    let marks: Vec<_> = top.apart.host.iter().flat_map(|p| &p.marks).collect();
    ensure!(marks.iter().any(|(_, m)| matches!(m, Mark::Insn(_))), "nothing belongs to an instruction");
    let insns = top.groups.iter().filter(|g| matches!(g.owner, Owner::Insn(_))).count();
    ensure!(insns == top.apart.insns.len() && insns == listed.insns as usize || listed.stage > Stage::Tier1);
    Ok(())
}
