//! The engine's modes: the same guest in each of them, and in all of them in turn.

use super::deterministic::machine;
use anyhow::{Result, ensure};
use engine::debug::lockstep::{Side, Step};
use std::time::Duration;
use tests::guest::exact::{Exact, Moment};
use tests::guest::switching::{Switching, modes};
use tests::guest::{Guest, Watchdog, images, linux};
use vitrine::machine::api::EngineMode;
use vitrine::machine::lockstep;

const LIMIT: Duration = Duration::from_secs(900);

/// A boot in each mode: debian, from its first instruction to power-off.
#[test]
fn debian_boots_in_every_mode() -> Result<()> {
    let (kernel, initrd) = images::mini()?;
    for mode in modes() {
        let mut config = linux(mode.word(), &kernel, &initrd, "console=ttyS0 quiet run=");
        config.engine = mode;
        let mut guest = Guest::start(&config, LIMIT)?;
        guest.expect("@@INIT")?;
        guest.expect("@@DONE")?;
        guest.powered_off()?;
        let tiers = guest.status().tiers;
        let compiled = tiers.insns[1] + tiers.insns[2];
        match mode {
            EngineMode::Interpreter => ensure!(compiled == 0, "the interpreter has compiled: {tiers:?}"),
            _ => ensure!(compiled > tiers.insns[0], "{mode:?} interprets: {tiers:?}"),
        }
    }
    Ok(())
}

fn boots_while_switching(harts: u32) -> Result<()> {
    let (kernel, initrd) = images::mini()?;
    let mut config = linux("switching", &kernel, &initrd, "console=ttyS0 quiet run=");
    config.harts = harts;
    let mut guest = Guest::start(&config, LIMIT)?;
    let switching = Switching::begin(guest.handle());
    guest.expect("@@INIT")?;
    guest.expect("@@DONE")?;
    guest.powered_off()?;
    switching.end()
}

#[test]
fn debian_boots_while_modes_are_switched() -> Result<()> {
    boots_while_switching(1)
}

#[test]
fn debian_boots_on_four_harts_while_modes_are_switched() -> Result<()> {
    boots_while_switching(4)
}

/// The machine at ten instruction counts of its boot.
fn moments(mode: EngineMode) -> Result<Vec<Moment>> {
    const STRIDE: u64 = 60_000_000;
    let mut config = machine(2, "console=ttyS0 quiet run=")?;
    config.engine = mode;
    let exact = Exact::boot(&config, LIMIT)?;
    let stop = |n: u64| -> Result<Moment> {
        exact.run_to(n * STRIDE)?;
        exact.moment()
    };
    (1..=10).map(stop).collect()
}

#[test]
fn the_same_instructions_lead_to_the_same_state_in_every_mode() -> Result<()> {
    let reference = moments(EngineMode::Interpreter)?;
    ensure!(reference.windows(2).all(|w| w[0].memory != w[1].memory), "nothing happens: {reference:?}");
    for mode in modes().into_iter().filter(|m| *m != EngineMode::Interpreter) {
        for (n, (ours, theirs)) in moments(mode)?.iter().zip(&reference).enumerate() {
            ensure!(ours == theirs, "{mode:?} at the {}. stop:\n{ours:?}\ninterpreter:\n{theirs:?}", n + 1);
        }
    }
    Ok(())
}

/// Debian in lockstep until its first process speaks.
fn boots_in_lockstep(mode: EngineMode, harts: u32) -> Result<()> {
    const STRETCH: u64 = 2_000_000;
    if mode.unavailable().is_some() {
        return Ok(());
    }
    let mut config = machine(harts, "console=ttyS0 quiet run=")?;
    config.engine = mode;
    let _dog = Watchdog::new("lockstep", LIMIT);
    let mut pair = lockstep::pair(&config)?;
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("@@INIT") {
        match pair.step(STRETCH, &[])? {
            Step::Equal(_) => text.extend(pair.sides()[0].take_text()),
            Step::Over(n) => anyhow::bail!("over after {n}: {}", String::from_utf8_lossy(&text)),
            Step::Diverged(d) => anyhow::bail!("{d}\nconsole:\n{}", String::from_utf8_lossy(&text)),
        }
    }
    let tiers = pair.sides()[1].engine().tiers();
    ensure!(tiers.insns[1] + tiers.insns[2] > tiers.insns[0], "{mode:?} interprets: {tiers:?}");
    Ok(())
}

#[test]
fn debian_boots_in_lockstep_with_tier_1() -> Result<()> {
    boots_in_lockstep(EngineMode::Tier1, 1)
}

#[test]
fn debian_boots_in_lockstep_with_tier_2() -> Result<()> {
    boots_in_lockstep(EngineMode::Tier2, 2)
}
