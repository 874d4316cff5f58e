//! Disks: what a guest writes must be what the host finds.

use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::Duration;
use tests::guest::{Guest, host, images, linux, text};
use vitrine::config::{Drive, MachineConfig, Transport};

const LIMIT: Duration = Duration::from_secs(600);
const SIZE: u64 = 96 << 20;

fn machine(disk: &Path, transport: Transport, jobs: &str) -> Result<MachineConfig> {
    let (kernel, initrd) = images::disk()?;
    let mut config = linux(jobs, &kernel, &initrd, &format!("console=ttyS0 quiet run={jobs}"));
    config.drives = vec![Drive { file: text(disk), transport, ..Drive::default() }];
    Ok(config)
}

fn empty_disk(path: &Path) -> Result<()> {
    Ok(std::fs::File::create(path)?.set_len(SIZE)?)
}

fn run(config: &MachineConfig, jobs: &[&str]) -> Result<String> {
    let mut guest = Guest::start(config, LIMIT)?;
    guest.powered_off()?;
    let text = guest.text();
    for job in jobs {
        ensure!(text.contains(&format!("@@END {job} rc 0")), "{job} fails:\n{text}");
    }
    Ok(text)
}

/// Checks the file system, and each file in it that the guest has made a sum of.
fn check_on_host(disk: &Path, dir: &Path) -> Result<String> {
    let disk = text(disk);
    host::tool("fsck.ext4", "e2fsprogs", &["-f", "-n", &disk])?;
    let read = |file: &str| host::tool("debugfs", "e2fsprogs", &["-R", &format!("cat /data/{file}"), &disk]);
    let sums = String::from_utf8(read("sums")?)?;
    for line in sums.lines() {
        let (sum, file) = line.split_once("  ").context("a sum and a name")?;
        let copy = dir.join(file);
        std::fs::write(&copy, read(file)?)?;
        let ours = String::from_utf8(host::tool("md5sum", "coreutils", &[&copy])?)?;
        ensure!(ours.starts_with(sum), "{file} should have {sum}, has {ours}");
    }
    ensure!(sums.lines().count() == 2, "two files: {sums}");
    Ok(sums)
}

fn written_disks_are_clean(transport: Transport) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let disk = dir.path().join("disk.raw");
    empty_disk(&disk)?;
    let console = run(&machine(&disk, transport, "mkroot,check")?, &["mkroot", "check"])?;
    let sums = check_on_host(&disk, dir.path())?;
    ensure!(sums.lines().all(|l| console.contains(l)), "the guest saw other sums:\n{console}\n{sums}");
    // A root file system lives on: another boot finds it, works in it, and leaves it clean.
    run(&machine(&disk, transport, "inroot,check")?, &["inroot", "check"])?;
    let after = check_on_host(&disk, dir.path())?;
    ensure!(after != sums, "the second boot has written nothing");
    Ok(())
}

#[test]
fn disks_on_pci_are_clean_after_power_off() -> Result<()> {
    written_disks_are_clean(Transport::Pci)
}

#[test]
fn disks_on_virtio_mmio_are_clean_after_power_off() -> Result<()> {
    written_disks_are_clean(Transport::Mmio)
}

#[test]
fn snapshots_leave_the_file_alone() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let disk = dir.path().join("disk.raw");
    empty_disk(&disk)?;
    // Something must be there that could be changed.
    host::tool("mkfs.ext4", "e2fsprogs", &["-q", &text(&disk)])?;
    let before = std::fs::read(&disk)?;
    let mut config = machine(&disk, Transport::Pci, "mkroot,inroot")?;
    config.drives[0].snapshot = true;
    run(&config, &["mkroot", "inroot"])?;
    ensure!(std::fs::read(&disk)? == before, "the file has changed");
    Ok(())
}
