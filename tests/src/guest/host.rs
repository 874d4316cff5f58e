//! What tests ask of the host: its tools, and how much of it a machine uses.

use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Runs a tool of the host; gives its output. `package` is where Debian has it.
pub fn tool<S: AsRef<OsStr>>(program: &str, package: &str, words: &[S]) -> Result<Vec<u8>> {
    // The tools of e2fsprogs are not on every user's path.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let output = Command::new(program)
        .args(words)
        .env("PATH", path)
        .env("LC_ALL", "C")
        .output()
        .with_context(|| format!("{program} cannot be started; install {package}"))?;
    ensure!(
        output.status.success(),
        "{program} ends with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

/// The program that this workspace builds, which lies beside the tests.
pub fn vitrine() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let dir = test.parent().and_then(Path::parent).context("tests lie in target/PROFILE/deps")?;
    let program = dir.join("vitrine");
    ensure!(program.is_file(), "{} is missing: build the workspace first", program.display());
    Ok(program)
}

/// Processor time that this process has used.
pub fn cpu_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(") ").context("a process name")?.1.split(' ').collect();
    let ticks = |n: usize| -> Result<u64> { Ok(fields.get(n).context("a field")?.parse()?) };
    // User and system time, in the kernel's hundredths of a second.
    Ok(Duration::from_millis(10 * (ticks(11)? + ticks(12)?)))
}

/// Memory that this process uses, in KiB: now, and at most so far.
pub fn memory_kib() -> Result<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|l| l.strip_prefix(name)).context("a field")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    Ok((field("VmRSS:")?, field("VmHWM:")?))
}
