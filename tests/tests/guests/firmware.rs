//! Real firmware in M-mode: OpenSBI, then the kernel or U-Boot.

use anyhow::{Result, ensure};
use std::time::Duration;
use tests::guest::{Guest, engine, images, linux, text};
use vitrine::config::{Boot, MachineConfig, Network, NetworkMode};

const LIMIT: Duration = Duration::from_secs(600);

fn boots(bios: &str) -> Result<()> {
    let (kernel, initrd) = images::mini()?;
    let mut config = linux(bios, &kernel, &initrd, "console=ttyS0 quiet run=");
    config.boot.bios = Some(text(&images::file("firmware-riscv64", bios)?));
    let mut guest = Guest::start(&config, LIMIT)?;
    let banner = guest.expect("@@INIT")?;
    ensure!(banner.contains("OpenSBI v"), "the firmware says nothing:\n{banner}");
    guest.expect("@@DONE")?;
    guest.powered_off()
}

#[test]
fn opensbi_finds_the_kernel_by_what_it_is_told() -> Result<()> {
    boots("fw_dynamic.bin")
}

#[test]
fn opensbi_finds_the_kernel_at_a_fixed_address() -> Result<()> {
    boots("fw_jump.elf")
}

#[test]
fn u_boot_answers() -> Result<()> {
    let file = |name| images::file("firmware-riscv64", name).map(|p| text(&p));
    let config = MachineConfig {
        name: "U-Boot".to_owned(),
        boot: Boot {
            bios: Some(file("fw_dynamic.bin")?),
            kernel: Some(file("u-boot.bin")?),
            ..Boot::default()
        },
        net: Network { mode: NetworkMode::None, ..Network::default() },
        engine: engine(),
        ..MachineConfig::default()
    };
    let mut guest = Guest::start(&config, LIMIT)?;
    guest.expect("OpenSBI v")?;
    guest.expect("U-Boot 20")?;
    guest.expect("autoboot")?;
    guest.keys("\r")?;
    guest.expect("=> ")?;
    guest.keys("bdinfo\r")?;
    let info = guest.expect("=> ")?;
    for fact in ["boot hart", "-> start    = 0x0000000080000000", "-> size     = 0x0000000040000000"] {
        ensure!(info.contains(fact), "bdinfo does not say {fact:?}:\n{info}");
    }
    guest.keys("poweroff\r")?;
    guest.powered_off()
}
