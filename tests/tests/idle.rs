//! What a guest costs that does nothing. A program of its own: it looks at the whole process.

use anyhow::{Result, ensure};
use std::io::Write;
use std::time::{Duration, Instant};
use tests::guest::{Guest, host, images, linux};

const LIMIT: Duration = Duration::from_secs(600);
const WATCH: Duration = Duration::from_secs(5);
/// Of one processor. The aim is 1%; a loaded host counts some of its own work as ours.
const MOST_CPU: f64 = 0.05;
/// Of a 1 GiB guest that has just booted. The aim is 250 MiB.
const MOST_MEMORY_KIB: u64 = 320 << 10;

#[test]
fn idle_guests_cost_next_to_nothing() -> Result<()> {
    let (kernel, initrd) = images::mini()?;
    let mut config = linux("idle", &kernel, &initrd, "console=ttyS0 quiet run=shell");
    config.harts = 2;
    let mut guest = Guest::start(&config, LIMIT)?;
    guest.expect("@@INIT")?;
    guest.expect("# ")?;
    std::thread::sleep(Duration::from_secs(1));
    let (cpu, begin) = (host::cpu_time()?, Instant::now());
    std::thread::sleep(WATCH);
    let share = (host::cpu_time()? - cpu).as_secs_f64() / begin.elapsed().as_secs_f64();
    let (now, most) = host::memory_kib()?;
    // Past the test harness, which keeps what a passing test prints to itself.
    let said = format!(
        "idle at a shell: {:.2}% of a core, {} MiB of memory, at most {} MiB",
        share * 100.0,
        now >> 10,
        most >> 10
    );
    writeln!(std::io::stderr(), "{said}")?;
    ensure!(share < MOST_CPU, "{said}");
    ensure!(most < MOST_MEMORY_KIB, "{said}");
    Ok(())
}
