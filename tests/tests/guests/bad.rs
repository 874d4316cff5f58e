//! Bad input: what is wrong with files or settings is said in words, what a guest does wrong is the guest's affair.
//!
//! Whatever happens, the machine can be paused and switched off, and nothing panics or hangs (the watchdog would say so).

use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::time::Duration;
use tests::guest::asm::{self, RAM, Segment};
use tests::guest::{Guest, engine, images, text};
use vitrine::config::{Boot, MachineConfig, MemorySize, Network, NetworkMode};
use vitrine::machine::api::{Command, GuestExit, RunState, StartOptions};
use vitrine::machine::spawn;

const LIMIT: Duration = Duration::from_secs(120);
/// How long a bad guest is watched.
const WATCH: Duration = Duration::from_millis(150);

fn machine(name: &str, kernel: &Path) -> MachineConfig {
    MachineConfig {
        name: name.to_owned(),
        memory: MemorySize(64 << 20),
        boot: Boot { kernel: Some(text(kernel)), ..Boot::default() },
        net: Network { mode: NetworkMode::None, ..Network::default() },
        engine: engine(),
        ..MachineConfig::default()
    }
}

/// Starts it; the outcome is an error that says what is wrong with which file.
fn refused(config: &MachineConfig, words: &[&str]) -> Result<()> {
    let outcome = Guest::start(config, LIMIT).and_then(|mut guest| guest.off());
    let Err(error) = outcome else { bail!("{} was taken: {outcome:?}", config.name) };
    let said = format!("{error:#}");
    for word in words {
        ensure!(said.contains(word), "{}: {word:?} is not in {said:?}", config.name);
    }
    Ok(())
}

/// Starts it; it may be refused, but if it runs it can be paused and switched off.
fn manageable(config: &MachineConfig) -> Result<()> {
    let mut guest = match Guest::start(config, LIMIT) {
        Ok(guest) => guest,
        Err(e) => {
            ensure!(!e.to_string().is_empty());
            return Ok(());
        }
    };
    std::thread::sleep(WATCH);
    if let RunState::Failed(e) = guest.handle().state() {
        ensure!(!e.what.is_empty(), "{}: an error without words", config.name);
        return Ok(());
    }
    let commands = [Command::Pause, Command::Resume, Command::Reset, Command::PowerOff];
    for command in commands {
        guest.command(command.clone()).with_context(|| format!("{}: {command:?}", config.name))?;
    }
    let exit = guest.off().with_context(|| config.name.clone())?;
    ensure!(exit == GuestExit::SwitchedOff, "{}: {exit:?}", config.name);
    Ok(())
}

/// Bytes without any pattern.
fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn files_that_are_no_kernels() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name);
    let file = |name: &str, bytes: &[u8]| -> Result<MachineConfig> {
        std::fs::write(path(name), bytes)?;
        Ok(machine(name, &path(name)))
    };
    let spin = asm::code(&[asm::j(0)]);
    refused(&machine("missing", &path("missing")), &["missing"])?;
    refused(&machine("directory", dir.path()), &["directory"])?;
    refused(&file("empty", b"")?, &["empty"])?;
    let x86 = asm::elf_for(62, RAM, &[Segment::new(RAM, spin.clone())]);
    refused(&file("x86-64", &x86)?, &["x86-64"])?;
    let mut narrow = asm::elf(RAM, &[Segment::new(RAM, spin.clone())]);
    narrow[4] = 1;
    refused(&file("32 bits", &narrow)?, &["32 bits"])?;
    let outside = asm::elf(0x1000_0000, &[Segment::new(0x1000_0000, spin.clone())]);
    refused(&file("outside of memory", &outside)?, &["outside of memory"])?;
    let overlap = [Segment::new(RAM, vec![0x13; 64]), Segment::new(RAM + 32, vec![0x13; 64])];
    refused(&file("overlapping", &asm::elf(RAM, &overlap))?, &["overlap"])?;
    let huge = [Segment { memory: 1 << 50, ..Segment::new(RAM, spin.clone()) }];
    refused(&file("huge", &asm::elf(RAM, &huge))?, &["huge"])?;
    let wraps = [Segment { memory: u64::MAX, ..Segment::new(RAM, spin.clone()) }];
    refused(&file("wraps", &asm::elf(RAM, &wraps))?, &["wraps"])?;
    let good = asm::elf(RAM, &[Segment::new(RAM, vec![0x13; 4096])]);
    for cut in [5, 20, 63, 64, 100, 119, 200, good.len() - 1] {
        let name = format!("cut at {cut}");
        refused(&file(&name, &good[..cut])?, &[&name])?;
    }
    manageable(&file("noise", &noise(1 << 20))?)?;
    manageable(&machine("endless", Path::new("/dev/zero")))?;
    Ok(())
}

#[test]
fn damaged_copies_of_a_real_kernel() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (kernel, initrd) = images::mini()?;
    let whole = std::fs::read(&kernel)?;
    let file = |name: &str, bytes: &[u8]| -> Result<MachineConfig> {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes)?;
        let mut config = machine(name, &path);
        config.memory = MemorySize(256 << 20);
        Ok(config)
    };
    for cut in [40, 64, 4096, 1 << 20, 20 << 20] {
        manageable(&file(&format!("cut at {cut}"), &whole[..cut])?)?;
    }
    let mut spoilt = whole.clone();
    let hole = noise(1 << 20);
    spoilt[1 << 20..2 << 20].copy_from_slice(&hole);
    manageable(&file("spoilt", &spoilt)?)?;
    let mut small = file("too large", &whole)?;
    small.memory = MemorySize(16 << 20);
    refused(&small, &["memory"])?;
    let mut config = machine("large initrd", &kernel);
    config.boot.initrd = Some(text(&initrd));
    let large = dir.path().join("initrd");
    std::fs::File::create(&large)?.set_len(1 << 30)?;
    config.boot.initrd = Some(text(&large));
    refused(&config, &["initrd"])?;
    config.boot.initrd = Some(text(&dir.path().join("no such initrd")));
    refused(&config, &["no such initrd"])
}

#[test]
fn settings_that_make_no_sense() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("spin.elf");
    std::fs::write(&path, asm::elf(RAM, &[Segment::new(RAM, asm::code(&[asm::j(0)]))]))?;
    for harts in [0, 17, 1000, u32::MAX] {
        let mut config = machine("harts", &path);
        config.harts = harts;
        let error = spawn(&config, StartOptions::default()).err().context("taken")?;
        ensure!(error.to_string().contains("harts"), "{error}");
    }
    for bytes in [0, 1, 4095, (1 << 20) + 1, 1 << 40, u64::MAX, u64::MAX - 4095] {
        let mut config = machine("memory", &path);
        config.memory = MemorySize(bytes);
        let error = spawn(&config, StartOptions::default()).err().context("taken")?;
        ensure!(error.to_string().contains("memory"), "{error}");
    }
    // More than any host has, but a machine can have it as long as it does not use it.
    let mut config = machine("much memory", &path);
    config.memory = MemorySize(512 << 30);
    manageable(&config)?;
    config.memory = MemorySize(4 << 20);
    config.harts = 16;
    manageable(&config)
}

#[test]
fn saved_states_that_are_none() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let kernel = dir.path().join("spin.elf");
    std::fs::write(&kernel, asm::elf(RAM, &[Segment::new(RAM, asm::code(&[asm::j(0)]))]))?;
    let config = machine("states", &kernel);
    let state = dir.path().join("state");
    let mut guest = Guest::start(&config, LIMIT)?;
    guest.save(&state, vitrine::machine::api::AfterSave::PowerOff)?;
    guest.off()?;
    drop(guest);
    let good = std::fs::read(&state)?;
    let mut again = Guest::resume(&config, &state, LIMIT)?;
    again.command(Command::PowerOff)?;
    again.off()?;
    drop(again);
    let attempt = |bytes: &[u8]| -> Result<bool> {
        std::fs::write(&state, bytes)?;
        let mut guest = Guest::resume(&config, &state, LIMIT)?;
        let _ = guest.handle().send(Command::PowerOff);
        Ok(guest.off().is_ok())
    };
    for cut in (0..good.len()).step_by(good.len() / 24 + 1) {
        ensure!(!attempt(&good[..cut])?, "a state cut at {cut} of {} was taken", good.len());
    }
    // A flipped bit may go unnoticed by the format (in a register, say), but not by the process.
    for at in (0..good.len()).step_by(good.len() / 60 + 1) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        attempt(&bytes)?;
    }
    ensure!(!attempt(&noise(100_000))?, "noise was taken");
    Ok(())
}

/// A program that starts in M-mode without firmware.
fn bare(name: &str, program: &[u32]) -> Result<(tempfile::TempDir, MachineConfig)> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("guest.elf");
    std::fs::write(&path, asm::elf(RAM, &[Segment::new(RAM, asm::code(program))]))?;
    let mut config = machine(name, &path);
    config.boot.bios = Some("none".to_owned());
    Ok((dir, config))
}

fn bare_is_manageable(name: &str, program: &[u32], harts: u32) -> Result<()> {
    let (_dir, mut config) = bare(name, program)?;
    config.harts = harts;
    manageable(&config)
}

/// Addresses of everything on the board that is no RAM, of nothing, and at the edges.
const PLACES: [u64; 17] = [
    0,
    0x1000,
    0x10_0000,
    0x10_1000,
    0x200_0000,
    0x300_0000,
    0xc00_0000,
    0x1000_0000,
    0x1000_1000,
    0x1010_0000,
    0x2000_0000,
    0x3000_0000,
    0x4000_0000,
    RAM + (64 << 20) - 4,
    RAM + (64 << 20),
    0x4_0000_0000,
    0xffff_ffff_ffff_fff8,
];

#[test]
fn guests_that_jump_anywhere() -> Result<()> {
    for place in PLACES {
        let mut program = asm::li(asm::T0, place);
        program.push(asm::jr(asm::T0));
        bare_is_manageable(&format!("jump to {place:#x}"), &program, 1)?;
    }
    Ok(())
}

#[test]
fn guests_whose_traps_lead_anywhere() -> Result<()> {
    for place in PLACES {
        let mut program = asm::li(asm::T0, place);
        program.extend([asm::csrw(asm::MTVEC, asm::T0), 0, asm::j(0)]);
        bare_is_manageable(&format!("trap to {place:#x}"), &program, 2)?;
    }
    Ok(())
}

/// Goes to S-mode, all traps delegated, with page tables of this kind at `root`.
fn paged(root: u64, mode: u64) -> Vec<u32> {
    let mut p = Vec::new();
    let mut set = |csr: u32, value: u64| {
        p.extend(asm::li(asm::T0, value));
        p.push(asm::csrw(csr, asm::T0));
    };
    set(asm::PMPADDR0, u64::MAX >> 10);
    set(asm::PMPCFG0, 0x1f);
    set(asm::MEDELEG, 0xb3ff);
    set(asm::STVEC, RAM);
    set(asm::SATP, (mode << 60) | (root >> 12));
    set(asm::MSTATUS, 1 << 11);
    set(asm::MEPC, RAM);
    p.push(asm::SFENCE_VMA);
    p.push(asm::MRET);
    p
}

#[test]
fn guests_whose_page_tables_lie_anywhere() -> Result<()> {
    for place in PLACES {
        for mode in [8, 10] {
            bare_is_manageable(&format!("tables at {place:#x}, mode {mode}"), &paged(place, mode), 1)?;
        }
    }
    Ok(())
}

#[test]
fn guests_that_never_listen() -> Result<()> {
    let mut write_own_code = asm::li(asm::T0, RAM);
    write_own_code.extend([asm::addi(asm::T1, asm::ZERO, 0x13), asm::sw(asm::T1, asm::T0), asm::j(-4)]);
    bare_is_manageable("writes its own code", &write_own_code, 4)?;
    bare_is_manageable("waits for nothing", &[asm::WFI, asm::j(-4)], 16)?;
    bare_is_manageable("spins", &[asm::j(0)], 16)?;
    bare_is_manageable("calls nobody", &[asm::ECALL, asm::j(-4)], 16)?;
    bare_is_manageable("illegal", &[0, 0, 0], 16)
}

#[test]
fn exit_codes_reach_the_host() -> Result<()> {
    let mut program = asm::li(asm::T0, 0x10_0000);
    program.extend(asm::li(asm::T1, (42 << 16) | 0x3333));
    program.extend([asm::sw(asm::T1, asm::T0), asm::j(0)]);
    let (_dir, config) = bare("exit code", &program)?;
    let exit = Guest::start(&config, LIMIT)?.off()?;
    ensure!(exit == GuestExit::Code(42), "{exit:?}");
    Ok(())
}
