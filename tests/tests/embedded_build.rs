//! Does the embedded guest that we ship come from the source that we ship?
//!
//! The ELF in `assets/guest` is checked in so that nobody needs a cross compiler. Where there is one, the
//! source is built again: the same compiler must give the same code and data, another version must give a
//! guest that works. What could not be compared on this machine is said in the test's output.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol};

/// First byte of the `virt` board's RAM, where harts start without firmware.
const RAM_BASE: u64 = 0x8000_0000;
const MAX_ELF_BYTES: usize = 100 * 1024;
const MAX_MEMORY_BYTES: u64 = 16 << 20;
/// Sections that decide what the guest does.
const CONTENT: [&str; 3] = [".text", ".rodata", ".data"];
const CLEARED: [&str; 2] = [".bss", ".scratch"];
const COMPILER: &str = "riscv64-linux-gnu-gcc";
const ORACLE: &str = "qemu-system-riscv64";
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// Past the test harness, which keeps what a passing test prints to itself.
fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

fn guest_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/guest")
}

fn read_elf(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn section_bytes<'a>(elf: &object::File<'a>, name: &str) -> Result<&'a [u8]> {
    let section = elf.section_by_name(name).with_context(|| format!("no section {name}"))?;
    Ok(section.data()?)
}

fn compiler_of(elf: &object::File<'_>) -> Result<String> {
    let comment = section_bytes(elf, ".comment")?;
    Ok(String::from_utf8_lossy(comment).trim_end_matches('\0').to_owned())
}

fn installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// What a loader, and the promise of a small stripped file, need of the ELF.
fn check_shape(bytes: &[u8]) -> Result<()> {
    let elf = object::File::parse(bytes)?;
    ensure!(elf.architecture() == object::Architecture::Riscv64, "not RISC-V 64");
    ensure!(elf.entry() == RAM_BASE, "entry at {:#x}", elf.entry());
    ensure!(bytes.len() < MAX_ELF_BYTES, "{} bytes is not small", bytes.len());
    ensure!(elf.symbols().any(|s| s.name() == Ok("glass_main")), "the symbol table is missing");
    let debug = elf.sections().find(|s| s.name().is_ok_and(|n| n.starts_with(".debug")));
    ensure!(debug.is_none(), "debug sections were left in");
    let mut segments = 0;
    for segment in elf.segments() {
        segments += 1;
        let end = segment.address() + segment.size();
        ensure!(segment.address() >= RAM_BASE && end <= RAM_BASE + MAX_MEMORY_BYTES, "{segment:?}");
    }
    ensure!(segments == 2, "{segments} segments instead of code and data");
    Ok(())
}

fn build(output: &Path) -> Result<()> {
    let run = Command::new("sh")
        .arg(guest_dir().join("build.sh"))
        .arg(output)
        .env("CROSS", COMPILER.trim_end_matches("gcc"))
        .output()
        .context("cannot start the build script")?;
    ensure!(run.status.success(), "the build failed:\n{}", String::from_utf8_lossy(&run.stderr));
    Ok(())
}

fn ensure_same_content(shipped: &object::File<'_>, built: &object::File<'_>) -> Result<()> {
    for name in CONTENT {
        let (old, new) = (section_bytes(shipped, name)?, section_bytes(built, name)?);
        let difference = old.iter().zip(new).position(|(a, b)| a != b);
        ensure!(
            old == new,
            "{name} differs from the shipped ELF ({} and {} bytes, first at {difference:?}): \
             run assets/guest/build.sh and commit glass.elf",
            old.len(),
            new.len(),
        );
    }
    for name in CLEARED {
        let size = |elf: &object::File<'_>| elf.section_by_name(name).map(|s| (s.address(), s.size()));
        ensure!(size(shipped) == size(built), "{name} differs from the shipped ELF");
    }
    Ok(())
}

/// Runs the guest's own checks on the oracle with the given number of harts.
fn run_on_oracle(elf: &Path, harts: u32) -> Result<String> {
    const SCRIPT: &str =
        "colour off; info; bench; fp; smc 200; harts; page; trap; ticks 3 20; mandel; exit 42";
    let output = tempfile::NamedTempFile::new()?;
    let mut child = Command::new(ORACLE)
        .args(["-M", "virt", "-display", "none", "-serial", "stdio", "-monitor", "none", "-bios", "none"])
        .args(["-smp", &harts.to_string(), "-append", SCRIPT, "-kernel"])
        .arg(elf)
        .stdin(Stdio::null())
        .stdout(output.reopen()?)
        .spawn()?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > RUN_LIMIT {
            child.kill()?;
            child.wait()?;
            bail!("still running after {RUN_LIMIT:?}:\n{}", std::fs::read_to_string(output.path())?);
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let text = String::from_utf8_lossy(&std::fs::read(output.path())?).into_owned();
    ensure!(status.code() == Some(42), "ended with {status}:\n{text}");
    Ok(text)
}

fn check_run(elf: &Path, harts: u32) -> Result<()> {
    let text = run_on_oracle(elf, harts)?;
    for bad in ["wrong", "did not answer", "unexpected trap", "no such command"] {
        ensure!(!text.contains(bad), "the guest says {bad:?} with {harts} harts:\n{text}");
    }
    // 24 kernels, floating point, self-modifying code, harts, the picture.
    let good = text.lines().filter(|l| l.trim_end().ends_with(" ok")).count();
    ensure!(good == 28, "{good} good checks instead of 28 with {harts} harts:\n{text}");
    let sum = format!("amoadd says {},000", harts * 20);
    ensure!(text.contains(&sum), "no {sum:?}:\n{text}");
    Ok(())
}

#[test]
fn shipped_elf_is_small_and_loads_at_the_start_of_ram() -> Result<()> {
    check_shape(&read_elf(&guest_dir().join("glass.elf"))?)
}

#[test]
fn shipped_elf_comes_from_the_shipped_source() -> Result<()> {
    if !installed(COMPILER) {
        say(&format!("NOT COMPARED: there is no {COMPILER}, so the embedded guest was not rebuilt"));
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("rebuilt.elf");
    build(&path)?;
    let (shipped_bytes, built_bytes) = (read_elf(&guest_dir().join("glass.elf"))?, read_elf(&path)?);
    check_shape(&built_bytes)?;
    let (shipped, built) = (object::File::parse(&*shipped_bytes)?, object::File::parse(&*built_bytes)?);
    let (theirs, ours) = (compiler_of(&shipped)?, compiler_of(&built)?);
    if theirs == ours {
        return ensure_same_content(&shipped, &built);
    }
    say(&format!("NOT COMPARED byte for byte: shipped from {theirs:?}, rebuilt by {ours:?}"));
    if installed(ORACLE) {
        check_run(&path, 2)?;
    } else {
        say(&format!("NOT RUN: there is no {ORACLE}"));
    }
    Ok(())
}

#[test]
fn shipped_elf_passes_its_own_checks_on_the_oracle() -> Result<()> {
    if !installed(ORACLE) {
        say(&format!("NOT RUN: there is no {ORACLE}"));
        return Ok(());
    }
    let elf = guest_dir().join("glass.elf");
    check_run(&elf, 1)?;
    check_run(&elf, 4)
}
