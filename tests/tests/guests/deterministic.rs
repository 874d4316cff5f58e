//! Deterministic machines: the same description must give the same run, to the instruction.

use anyhow::{Result, ensure};
use std::time::Duration;
use tests::guest::exact::Exact;
use tests::guest::{images, linux};
use vitrine::config::{Device, DeviceKind, MachineConfig, MemorySize, Transport};

const LIMIT: Duration = Duration::from_secs(600);

/// The small system, on a machine that takes its time from the instruction count.
pub fn machine(harts: u32, append: &str) -> Result<MachineConfig> {
    let (kernel, initrd) = images::mini()?;
    let mut config = linux("deterministic", &kernel, &initrd, append);
    config.deterministic = true;
    config.harts = harts;
    config.memory = MemorySize(256 << 20);
    Ok(config)
}

fn twice(config: &MachineConfig) -> Result<()> {
    let run = || -> Result<_> {
        let machine = Exact::boot(config, LIMIT)?;
        machine.run_to_end()?;
        Ok((machine.console(), machine.moment()?))
    };
    let other = std::thread::scope(|s| {
        let second = s.spawn(run);
        let first = run()?;
        let second = second.join().unwrap_or_else(|e| std::panic::resume_unwind(e))?;
        Ok::<_, anyhow::Error>((first, second))
    })?;
    let ((console, moment), (again, moment_again)) = other;
    ensure!(console.contains("@@DONE"), "the guest does not come to its end:\n{console}");
    ensure!(console == again, "two runs:\n{console}\nand\n{again}");
    ensure!(moment == moment_again, "two ends:\n{moment:?}\nand\n{moment_again:?}");
    Ok(())
}

#[test]
fn two_runs_are_equal() -> Result<()> {
    // Times are part of what is compared: they are printed.
    twice(&machine(1, "console=ttyS0 run=dmesg")?)
}

#[test]
fn two_runs_of_two_harts_are_equal() -> Result<()> {
    twice(&machine(2, "console=ttyS0 run=probe")?)
}

#[test]
fn random_numbers_are_part_of_the_run() -> Result<()> {
    let (kernel, initrd) = images::disk()?;
    let mut config = machine(1, "console=ttyS0 quiet run=shell")?;
    config.boot.kernel = Some(tests::guest::text(&kernel));
    config.boot.initrd = Some(tests::guest::text(&initrd));
    config.devices = vec![Device { kind: DeviceKind::Rng, transport: Transport::Pci }];
    let dir = tempfile::tempdir()?;
    let state = dir.path().join("state");
    let machine = Exact::boot(&config, LIMIT)?;
    machine.run_until("# ")?;
    machine.save(&state)?;
    let rest = |machine: &Exact| -> Result<(String, u64)> {
        machine.keys("busybox dd if=/dev/hwrng bs=64 count=4 | busybox md5sum; busybox poweroff -f\r");
        machine.run_to_end()?;
        Ok((machine.console(), machine.moment()?.clock_ns))
    };
    let (before, ours) = (machine.console().len(), rest(&machine)?);
    let (theirs, clock) = rest(&Exact::restored(&config, &state, LIMIT)?)?;
    ensure!(ours.0.contains("4+0 records in"), "no random numbers:\n{}", ours.0);
    ensure!(ours.0[before..] == theirs && ours.1 == clock, "{}\nand\n{theirs}", &ours.0[before..]);
    Ok(())
}
