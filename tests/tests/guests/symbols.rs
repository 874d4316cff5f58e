//! Names out of a running kernel, against what the kernel itself says.

use anyhow::{Context, Result, ensure};
use engine::guest::Guest as _;
use engine::guest::riscv::Riscv;
use std::time::{Duration, Instant};
use tests::guest::{Guest, host, images, linux, text};
use vitrine::config::{Boot, MachineConfig, Network, NetworkMode};
use vitrine::machine::api::{Command, MachineHandle};
use vitrine::symbols::finder::Finder;
use vitrine::symbols::kallsyms::{self, Kernel};
use vitrine::symbols::table::{Kind, Table};
use vitrine::symbols::{Placement, Symbols};

const LIMIT: Duration = Duration::from_secs(600);
const APPEND: &str = "console=ttyS0 quiet run=shell";

/// A machine with a shell, and its kernel.
fn booted() -> Result<(Guest, Kernel)> {
    let (kernel, initrd) = images::mini()?;
    let mut guest = Guest::start(&linux("symbols", &kernel, &initrd, APPEND), LIMIT)?;
    guest.expect("@@INIT")?;
    guest.expect("# ")?;
    let kernel = kallsyms::find(guest.handle()).context("no kernel in memory")?;
    Ok((guest, kernel))
}

/// The table as the guest prints it: address and name.
fn as_text(table: &Table) -> String {
    table.iter().map(|s| format!("{:016x} {}\n", s.address, s.name)).collect()
}

fn digest(text: &str) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("symbols");
    std::fs::write(&file, text)?;
    let said = String::from_utf8(host::tool("sha256sum", "coreutils", &[file])?)?;
    Ok(said.split(' ').next().unwrap_or_default().to_owned())
}

#[test]
fn all_symbols_are_those_that_the_kernel_prints() -> Result<()> {
    let (mut guest, kernel) = booted()?;
    let table = &kernel.table;
    ensure!(table.len() > 50_000, "only {} symbols", table.len());
    for name in ["start_kernel", "schedule", "do_idle", "memcpy", "handle_exception", "linux_banner"] {
        ensure!(table.named(name).count() == 1, "{name} is not there once");
    }
    ensure!(table.named("start_kernel").all(|s| s.kind == Kind::Function));
    // What belongs to modules and to BPF programs has a fourth word. Lines that wrap would not be understood.
    guest.shell("cd /tmp; busybox awk 'NF<4{print $1,$3}' /proc/kallsyms >k")?;
    let count = guest.shell("busybox wc -l <k")?;
    ensure!(
        count.trim() == table.len().to_string(),
        "the kernel counts {}, not {}",
        count.trim(),
        table.len()
    );
    let said = guest.shell("busybox sha256sum k")?;
    ensure!(said.starts_with(&digest(&as_text(table))?), "names or addresses differ: {said}");
    Ok(())
}

/// What a machine that stands would run at `pc`, by the machine's own translation.
fn first_insn(machine: &MachineHandle, pc: u64) -> Result<String> {
    let block = machine.look(|engine| engine.explain(0, pc)).flatten().context("no code there")?;
    Ok(block.insns.first().context("an empty block")?.1.clone())
}

/// What lies at its physical address.
fn physical_insn(machine: &MachineHandle, placement: &Placement, pc: u64) -> Result<String> {
    let pa = placement.to_physical(pc).context("not in the kernel's image")?;
    let mut code = [0; Riscv::MAX_INSN_BYTES];
    let read = machine.look(|engine| engine.code().memory().read_bytes(pa, &mut code));
    ensure!(read == Some(true), "no memory at {pa:#x}");
    Ok(Riscv::disassemble(&code, pc).0)
}

#[test]
fn kernel_code_has_one_name_by_virtual_and_by_physical_address() -> Result<()> {
    let (mut guest, kernel) = booted()?;
    let placement = *kernel.table.placement().context("nobody knows where the kernel lies")?;
    guest.command(Command::Pause)?;
    let machine = guest.handle();
    let mut symbols = Symbols::default();
    symbols.put(kernel.table.clone())?;
    // Where it stands: idle, with nobody typing.
    let pc = machine.look(|engine| engine.view(0)).flatten().context("hart 0 shows nothing")?.pc;
    let functions = ["start_kernel", "schedule", "do_idle", "memcpy", "kallsyms_lookup_name"];
    let starts = functions.iter().filter_map(|f| kernel.table.named(f).next()).map(|s| s.address);
    let mut compared = 0;
    for pc in starts.chain([pc]).filter(|pc| placement.range().contains(pc)) {
        let place = symbols.at(pc).with_context(|| format!("{pc:#x} has no name"))?;
        ensure!(place.symbol.kind == Kind::Function, "{place} is no function");
        ensure!(symbols.at_physical(placement.to_physical(pc).unwrap_or_default()) == Some(place));
        // The kernel frees start_kernel after boot.
        if place.symbol.name != "start_kernel" {
            let (ours, theirs) = (physical_insn(machine, &placement, pc)?, first_insn(machine, pc)?);
            ensure!(ours == theirs, "{place}: {ours} is not {theirs}");
            compared += 1;
        }
    }
    ensure!(compared >= 5, "{compared} addresses compared; hart 0 stood at {pc:#x}, outside of the kernel");
    Ok(())
}

#[test]
fn the_names_are_there_from_the_start_and_again_after_a_reset() -> Result<()> {
    let (kernel, initrd) = images::mini()?;
    let mut guest = Guest::start(&linux("symbols", &kernel, &initrd, APPEND), LIMIT)?;
    let mut finder = Finder::default();
    let mut found = |guest: &mut Guest| -> Result<usize> {
        guest.wait("the symbols", |g| {
            finder.poll(g.handle(), Instant::now());
            finder.kernel().filter(|k| k.is_current(g.handle())).map(|k| k.table.len())
        })
    };
    let early = found(&mut guest)?;
    ensure!(!guest.text().contains("@@INIT"), "that was late");
    guest.expect("# ")?;
    ensure!(found(&mut guest)? == early);
    guest.command(Command::Reset)?;
    guest.expect("@@INIT")?;
    ensure!(found(&mut guest)? == early);
    Ok(())
}

#[test]
fn a_guest_that_is_no_linux_has_no_names() -> Result<()> {
    let boot = Boot { embedded: true, ..Boot::default() };
    let net = Network { mode: NetworkMode::None, ..Network::default() };
    let config = MachineConfig { boot, net, ..MachineConfig::default() };
    let mut guest = Guest::start(&config, LIMIT)?;
    guest.wait("its first words", |g| (!g.bytes().is_empty()).then_some(()))?;
    ensure!(kallsyms::find(guest.handle()).is_none());
    Ok(())
}

/// The command, as people type it.
#[test]
fn the_command_names_addresses_of_a_kernel_and_of_files() -> Result<()> {
    let (kernel, _) = images::mini()?;
    let vitrine = text(&host::vitrine()?);
    let run = |words: &[&str]| -> Result<String> {
        let said = host::tool(&vitrine, "this workspace", &[&["debug", "symbols"], words].concat())?;
        Ok(String::from_utf8(said)?)
    };
    let all = run(&["-m", "256M", "-kernel", &text(&kernel)])?;
    ensure!(all.lines().count() > 50_000, "{} lines", all.lines().count());
    let line =
        all.lines().find(|l| l.ends_with(" T do_idle") || l.ends_with(" t do_idle")).context("do_idle")?;
    let address = line.split(' ').next().context("an address")?;
    let dir = tempfile::tempdir()?;
    let map = dir.path().join("System.map");
    std::fs::write(&map, &all)?;
    let named = run(&["--symbols", &text(&map), "--at", address])?;
    ensure!(named.trim_end().ends_with(" do_idle"), "{named}");
    let found = run(&["--symbols", &text(&map), "--find", "do_idle"])?;
    ensure!(found.lines().next() == Some(line), "{found}");
    Ok(())
}
