//! The oracle: QEMU 10 or newer, with the extensions of our CPU model switched on and what we lack switched off.

use super::elf::Image;
use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Extensions of our default model beyond RV64GC that QEMU knows by the same name.
const ON: &[&str] = &[
    "zicbom",
    "zicbop",
    "zicboz",
    "zicntr",
    "zicond",
    "zihintpause",
    "zihpm",
    "zacas",
    "zawrs",
    "zfa",
    "zfh",
    "zfhmin",
    "zcb",
    "zba",
    "zbb",
    "zbc",
    "zbs",
    "sstc",
    "svadu",
    "svinval",
    "svnapot",
    "svpbmt",
    "zifencei",
    "zicsr",
    "mmu",
    "pmp",
];

/// What QEMU's `rv64` has or may come to have by default and our model has not.
const OFF: &[&str] = &[
    "h",
    "v",
    "svade",
    "zimop",
    "zcmop",
    "zcmp",
    "zcmt",
    "zfbfmin",
    "zabha",
    "zama16b",
    "smaia",
    "ssaia",
    "sscofpmf",
    "smepmp",
    "smstateen",
    "smrnmi",
    "smdbltrp",
    "ssdbltrp",
    "smcntrpmf",
    "smcsrind",
    "sscsrind",
    "zicfilp",
    "zicfiss",
    "zbkb",
    "zbkc",
    "zbkx",
    "zkr",
    "zvfh",
    "svvptc",
];

const INSTALL: &str = "the oracle tests need qemu-system-riscv64, version 10 or newer: run `.ci/setup test` \
    (on Debian it installs qemu-system-misc, from backports where the release is older)";

/// The `-cpu` argument.
fn cpu() -> String {
    let on = ON.iter().map(|e| format!(",{e}=true"));
    let off = OFF.iter().map(|e| format!(",{e}=false"));
    // All 29 hardware counters, as ours; no debug triggers.
    format!("rv64,pmu-mask=0xfffffff8,debug=false{}{}", on.collect::<String>(), off.collect::<String>())
}

/// Fails with what to install unless QEMU 10 or newer is there.
pub fn check() -> Result<()> {
    static SEEN: OnceLock<Result<(), String>> = OnceLock::new();
    let seen = SEEN.get_or_init(|| {
        version().and_then(|v| if v >= 10 { Ok(()) } else { Err(format!("found version {v}; {INSTALL}")) })
    });
    seen.clone().map_err(anyhow::Error::msg)
}

fn version() -> Result<u32, String> {
    let out = Command::new("qemu-system-riscv64")
        .arg("--version")
        .output()
        .map_err(|e| format!("{e}; {INSTALL}"))?;
    let text = String::from_utf8_lossy(&out.stdout);
    let number = text.split("version ").nth(1).and_then(|t| t.split('.').next()).and_then(|n| n.parse().ok());
    number.ok_or_else(|| format!("cannot read QEMU's version from {text:?}; {INSTALL}"))
}

/// How QEMU translates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blocks {
    /// As it likes.
    Long,
    /// One instruction a block: its optimiser loses flags of float instructions whose result is overwritten (FROUNDNX), and takes a
    /// wrong constant behind AMOCAS into x0.
    Single,
}

impl Blocks {
    fn accel(self) -> &'static str {
        match self {
            Blocks::Long => "tcg,thread=single,tb-size=64",
            Blocks::Single => "tcg,thread=single,tb-size=64,one-insn-per-tb=on",
        }
    }
}

/// Runs the program and returns what it wrote to its serial port.
pub fn run(image: &Image, blocks: Blocks, limit: Duration) -> Result<String> {
    check()?;
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(&image.elf())?;
    let mut child = Command::new("qemu-system-riscv64")
        .args(["-M", "virt", "-cpu", &cpu(), "-m", "128M", "-smp", "1", "-accel", blocks.accel()])
        .args([
            "-display",
            "none",
            "-monitor",
            "none",
            "-serial",
            "stdio",
            "-no-reboot",
            "-bios",
            "none",
            "-kernel",
        ])
        .arg(file.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context(INSTALL)?;
    let read = |mut pipe: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned())
        })
    };
    let out = read(Box::new(child.stdout.take().context("stdout is piped")?));
    let err = read(Box::new(child.stderr.take().context("stderr is piped")?));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = out.join().map_err(|_| anyhow::anyhow!("reader of QEMU's output failed"))??;
    let err = err.join().map_err(|_| anyhow::anyhow!("reader of QEMU's messages failed"))??;
    let Some(status) = status else {
        let tail = text.lines().rev().take(4).collect::<Vec<_>>();
        bail!("the program did not end on QEMU within {limit:?}; last lines (newest first): {tail:?} {err}");
    };
    ensure!(status.success(), "QEMU ended with {status}: {err}");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every extension of our default model is switched on in the oracle (Svade and Svadu exclude each other).
    #[test]
    fn the_oracle_has_our_model() {
        let model = engine::guest::riscv::model::Model::default();
        for name in model.isa_extensions() {
            assert!(name.len() == 1 || ON.contains(&name), "{name} is not switched on in QEMU");
        }
    }
}
