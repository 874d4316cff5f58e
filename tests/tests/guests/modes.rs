//! The engine's modes: the same guest in each of them, and in all of them in turn.

use super::deterministic::machine;
use anyhow::{Context, Result, ensure};
use engine::debug::lockstep::{Side, Step};
use std::time::{Duration, Instant};
use tests::guest::exact::{Exact, Moment};
use tests::guest::switching::{Switching, modes};
use tests::guest::{Guest, Watchdog, host, images, linux};
use vitrine::config::{EngineTuning, MemorySize};
use vitrine::machine::api::{Command, EngineMode};
use vitrine::machine::lockstep;

const LIMIT: Duration = Duration::from_secs(900);
/// Memory for translated code in the test that runs out of it.
const SMALL_CACHE: u64 = 4 << 20;

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

/// How long the loaded guest runs: `VITRINE_LOAD_SECONDS`.
fn load_time() -> Result<Duration> {
    let seconds = std::env::var("VITRINE_LOAD_SECONDS").unwrap_or_else(|_| "20".to_owned());
    Ok(Duration::from_secs(seconds.parse().context("VITRINE_LOAD_SECONDS must be a number")?))
}

/// Programs that start all the time, and compression on all harts, which checks its own result.
const LOAD: &str = "busybox cat /usr/lib/python3.*/*.py | busybox head -c 3000000 >/tmp/x; \
    (n=0; while test ! -e /tmp/stop; do busybox sh /wl/exec >/dev/null || echo \"@@\"BAD exec; n=$((n+1)); done; echo \"@@\"EXEC $n) & \
    (n=0; while test ! -e /tmp/stop; do /usr/bin/xz -T4 -2 --block-size=256KiB -c /tmp/x | /usr/bin/xz -T4 -dc | busybox cmp - /tmp/x || echo \"@@\"BAD xz; \
    n=$((n+1)); done; echo \"@@\"XZ $n) &";

#[test]
fn a_loaded_guest_on_four_harts_in_little_code_memory() -> Result<()> {
    let time = load_time()?;
    let (kernel, initrd) = images::work()?;
    let mut config = linux("load", &kernel, &initrd, "console=ttyS0 quiet run=shell");
    config.harts = 4;
    config.tuning = EngineTuning { code_cache: Some(MemorySize(SMALL_CACHE)), ..EngineTuning::default() };
    let mut guest = Guest::start(&config, time + LIMIT)?;
    guest.expect("@@INIT")?;
    guest.expect("# ")?;
    guest.keys(&format!("{LOAD}\r"))?;
    let end = Instant::now() + time;
    let (mut before, mut first) = (guest.status(), None);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(500).min(time / 10));
        guest.collect()?;
        ensure!(!guest.text().contains("@@BAD"), "a program has failed:\n{}", guest.text());
        let now = guest.status();
        let t = now.tiers;
        // Code that waits until no hart can be in it counts too.
        ensure!(t.code_bytes <= 2 * SMALL_CACHE, "{} bytes of code: {t:?}", t.code_bytes);
        let drops = t.evicted + t.invalidated;
        ensure!(drops <= t.compiled[0] + t.compiled[1], "more dropped than made: {t:?}");
        let grows = |f: fn(&engine::exec::mode::TierCounts) -> u64| f(&t) >= f(&before.tiers);
        ensure!(
            grows(|t| t.evicted) && grows(|t| t.compiled[0]) && grows(|t| t.compiled[1]),
            "{t:?} after {before:?}"
        );
        // What the guest itself needs has been touched by then.
        if first.is_none() && Instant::now() + time / 2 > end {
            first = Some(host::memory_kib()?.0);
        }
        before = now;
    }
    guest.keys("busybox touch /tmp/stop\r")?;
    guest.expect("@@EXEC ")?;
    let rounds = guest.expect("\n")?;
    ensure!(rounds.trim().parse::<u64>().is_ok_and(|n| n > 0), "no round was finished: {rounds:?}");
    guest.wait("the end of xz", |g| g.text().contains("@@XZ ").then_some(()))?;
    ensure!(!guest.text().contains("@@BAD"), "a program has failed:\n{}", guest.text());
    let (begin, now) = (first.context("no look at memory")?, host::memory_kib()?.0);
    ensure!(now < begin + (200 << 10), "memory grows: {begin} KiB, {now} KiB");
    guest.command(Command::Pause)?;
    // Counters are copied at most every 100 ms.
    std::thread::sleep(Duration::from_millis(150));
    let status = guest.status();
    let retired: u64 = status.harts.iter().map(|h| h.retired).sum();
    ensure!(status.tiers.insns.iter().sum::<u64>() == retired, "{:?} of {retired}", status.tiers);
    println!("{retired} instructions, {:?}", status.tiers);
    Ok(())
}
