//! Debian's kernel, from its first instruction to power-off.

use anyhow::{Result, ensure};
use std::time::Duration;
use tests::guest::{Guest, images, linux};

const LIMIT: Duration = Duration::from_secs(600);
const APPEND: &str = "console=ttyS0 quiet run=";

#[test]
fn debian_boots_and_powers_off() -> Result<()> {
    let (kernel, initrd) = images::mini()?;
    let mut guest = Guest::start(&linux("boot", &kernel, &initrd, APPEND), LIMIT)?;
    guest.expect("@@INIT")?;
    guest.expect("@@DONE")?;
    guest.powered_off()?;
    ensure!(guest.retired() > 500_000_000, "a boot takes more than {} instructions", guest.retired());
    Ok(())
}

#[test]
fn four_harts_come_online() -> Result<()> {
    let (kernel, initrd) = images::mini()?;
    let mut config = linux("four harts", &kernel, &initrd, "console=ttyS0 quiet run=shell");
    config.harts = 4;
    let mut guest = Guest::start(&config, LIMIT)?;
    guest.expect("@@INIT")?;
    guest.expect("# ")?;
    ensure!(guest.shell("busybox nproc")?.trim() == "4");
    let cpus = guest.shell("busybox grep -c '^processor' /proc/cpuinfo")?;
    ensure!(cpus.trim() == "4", "/proc/cpuinfo shows {cpus}");
    ensure!(guest.shell("busybox cat /sys/devices/system/cpu/online")?.trim() == "0-3");
    // Each hart must also run programs, not only be counted.
    for cpu in 0..4 {
        guest.shell(&format!("busybox taskset -c {cpu} busybox true"))?;
    }
    ensure!(guest.status().harts.iter().all(|h| h.started && h.retired > 100_000));
    guest.keys("exit\r")?;
    guest.expect("@@DONE")?;
    guest.powered_off()
}

#[test]
fn guests_reboot() -> Result<()> {
    let (kernel, initrd) = images::mini()?;
    let config = linux("reboot", &kernel, &initrd, "console=ttyS0 quiet run=shell");
    let mut guest = Guest::start(&config, LIMIT)?;
    guest.expect("@@INIT")?;
    guest.expect("# ")?;
    guest.keys("busybox reboot -f\r")?;
    guest.expect("@@INIT")?;
    guest.expect("# ")?;
    ensure!(guest.shell("busybox echo again")?.trim() == "again", "the console is deaf after a reboot");
    Ok(())
}
