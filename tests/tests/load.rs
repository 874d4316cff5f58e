//! A guest with four busy harts and little memory for code. A program of its own: it looks at the whole process.

use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};
use tests::guest::{Guest, host, images, linux};
use vitrine::config::{EngineTuning, MemorySize};
use vitrine::machine::api::Command;

const LIMIT: Duration = Duration::from_secs(900);
/// Memory for translated code.
const SMALL_CACHE: u64 = 4 << 20;

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
