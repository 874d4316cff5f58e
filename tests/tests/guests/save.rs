//! Saved machines go on as if nothing had happened.

use super::deterministic;
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;
use tests::guest::exact::Exact;
use tests::guest::{Guest, host, images, linux, text};
use vitrine::config::{Drive, MachineConfig, NetworkMode, Transport};
use vitrine::machine::api::{AfterSave, Command, GuestExit, RunState};

const LIMIT: Duration = Duration::from_secs(600);

/// Saves at `instructions`; the machine that goes on and the machine that is restored must come to the same end.
fn same_end(harts: u32, instructions: u64) -> Result<()> {
    let config = deterministic::machine(harts, "console=ttyS0 run=dmesg")?;
    let dir = tempfile::tempdir()?;
    let state = dir.path().join("state");
    let machine = Exact::boot(&config, LIMIT)?;
    machine.run_to(instructions)?;
    let (before, here) = (machine.console().len(), machine.moment()?);
    let retired: u64 = here.retired.iter().sum();
    ensure!(retired >= instructions, "stopped at {retired}, not at {instructions}");
    machine.save(&state)?;
    let restored = Exact::restored(&config, &state, LIMIT)?;
    ensure!(restored.moment()? == here, "restored:\n{:?}\nsaved:\n{here:?}", restored.moment()?);
    machine.run_to_end()?;
    restored.run_to_end()?;
    let console = machine.console();
    ensure!(console.contains("@@DONE"), "no end:\n{console}");
    ensure!(console[before..] == restored.console(), "{}\nand\n{}", &console[before..], restored.console());
    let (ours, theirs) = (machine.moment()?, restored.moment()?);
    ensure!(ours == theirs, "two ends:\n{ours:?}\nand\n{theirs:?}");
    Ok(())
}

#[test]
fn restored_in_the_early_kernel() -> Result<()> {
    same_end(1, 150_000_000)
}

#[test]
fn restored_with_two_harts_at_work() -> Result<()> {
    same_end(2, 900_000_000)
}

/// A server on the host that answers each connection with "yes".
fn yes_server() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut line = String::new();
            let heard = stream.try_clone().and_then(|s| BufReader::new(s).read_line(&mut line));
            if heard.is_ok() {
                let _ = stream.write_all(b"yes\n");
            }
        }
    });
    Ok(port)
}

fn disk_and_network(disk: &Path, transport: Transport) -> Result<MachineConfig> {
    let (kernel, initrd) = images::disk()?;
    let mut config = linux("saved", &kernel, &initrd, "console=ttyS0 quiet run=net,mkroot,shell");
    config.harts = 2;
    config.drives = vec![Drive { file: text(disk), transport, ..Drive::default() }];
    config.net.mode = NetworkMode::User;
    config.net.transport = transport;
    Ok(config)
}

/// Keeps the disk busy, in the background, until it is told to end.
const WRITER: &str = "(n=0; until test -e /stop; do busybox dd if=/dev/urandom of=/mnt/$((n % 8)) bs=64k count=64; busybox sync; \
    n=$((n + 1)); done; echo all \"\"written) 2>/dev/null &";

fn goes_on_with_disk_and_network(transport: Transport) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (disk, state) = (dir.path().join("disk.raw"), dir.path().join("state"));
    std::fs::File::create(&disk)?.set_len(96 << 20)?;
    let config = disk_and_network(&disk, transport)?;
    let port = yes_server()?;
    let ask = format!("echo hello | busybox timeout 20 busybox nc 10.0.2.2 {port}");
    let mut guest = Guest::start(&config, LIMIT)?;
    guest.expect("@@END net rc 0")?;
    guest.expect("@@END mkroot rc 0")?;
    guest.expect("# ")?;
    guest.shell("busybox mount -t ext4 /dev/vda /mnt")?;
    ensure!(guest.shell(&ask)?.contains("yes"), "no connection before");
    // Requests must be under way when the machine is saved, and go on afterwards.
    guest.keys(&format!("{WRITER}\r"))?;
    guest.expect("# ")?;
    guest.shell("until test -e /mnt/3; do busybox usleep 10000; done")?;
    guest.save(&dir.path().join("on the way"), AfterSave::Continue)?;
    ensure!(guest.handle().state() == RunState::Running, "saving stops the machine");
    guest.shell("echo more >/mnt/more && busybox sync")?;
    guest.save(&state, AfterSave::PowerOff)?;
    ensure!(guest.off()? == GuestExit::Suspended, "the machine is not suspended");
    drop(guest);
    // The disk has changed since the first state: going on from there would destroy it.
    let mut stale = Guest::resume(&config, &dir.path().join("on the way"), LIMIT)?;
    let refused = stale.off().err().context("an old state was taken with a new disk")?.to_string();
    ensure!(refused.contains("disk has changed"), "refused for another reason: {refused}");
    drop(stale);

    let mut guest = Guest::resume(&config, &state, LIMIT)?;
    guest.shell("echo >/stop")?;
    guest.wait("the writer's end", |g| g.text().contains("all written").then_some(()))?;
    guest.keys("\r")?;
    guest.expect("# ")?;
    ensure!(guest.shell(&ask)?.contains("yes"), "no connection afterwards");
    guest.shell("cd /mnt && busybox md5sum [0-7] > sums && cd / && busybox umount /mnt")?;
    guest.shell("e2fsck -f -n /dev/vda")?;
    guest.keys("busybox poweroff -f\r")?;
    guest.powered_off()?;
    host::tool("fsck.ext4", "e2fsprogs", &["-f", "-n", &text(&disk)])?;
    Ok(())
}

#[test]
fn disk_and_network_on_pci_go_on_after_a_restore() -> Result<()> {
    goes_on_with_disk_and_network(Transport::Pci)
}

#[test]
fn disk_and_network_on_virtio_mmio_go_on_after_a_restore() -> Result<()> {
    goes_on_with_disk_and_network(Transport::Mmio)
}

#[test]
fn paused_machines_stand_still_and_reset_machines_boot_again() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let disk = dir.path().join("disk.raw");
    std::fs::File::create(&disk)?.set_len(96 << 20)?;
    let mut config = disk_and_network(&disk, Transport::Pci)?;
    config.boot.append = Some("console=ttyS0 quiet run=net,shell".to_owned());
    // The forwarded port and the disk's lock must be free again when the machine comes back.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    config.net.hostfwd = vec![format!("tcp:127.0.0.1:{port}-:7777")];
    let mut guest = Guest::start(&config, LIMIT)?;
    guest.expect("@@END net rc 0")?;
    guest.expect("# ")?;
    guest.command(Command::Pause)?;
    let (retired, uptime) = (guest.retired(), guest.status().uptime_ns);
    guest.keys("echo typed while it stood\r")?;
    std::thread::sleep(Duration::from_millis(400));
    ensure!((guest.retired(), guest.status().uptime_ns) == (retired, uptime), "a paused machine moves");
    guest.command(Command::Resume)?;
    guest.expect("typed while it stood\r\ntyped while it stood")?;
    guest.command(Command::Reset)?;
    guest.expect("@@END net rc 0")?;
    guest.expect("# ")?;
    ensure!(guest.shell("echo here")?.trim() == "here", "the console is deaf after a reset");
    Ok(())
}

#[test]
fn written_snapshots_are_not_saved() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (disk, state) = (dir.path().join("disk.raw"), dir.path().join("state"));
    std::fs::File::create(&disk)?.set_len(96 << 20)?;
    let mut config = disk_and_network(&disk, Transport::Pci)?;
    config.drives[0].snapshot = true;
    let mut guest = Guest::start(&config, LIMIT)?;
    guest.expect("@@END mkroot rc 0")?;
    let error = guest.save(&state, AfterSave::PowerOff).err().context("saved without what was written")?;
    ensure!(error.to_string().contains("snapshot"), "{error}");
    guest.expect("# ")?;
    ensure!(guest.shell("echo on")?.trim() == "on", "the machine must go on");
    Ok(())
}
