//! QEMU, which runs the same guest beside ours.

use super::watchdog::Watchdog;
use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = "qemu-system-riscv64";

/// Runs QEMU's `virt` machine with these words until the guest powers off; gives what its console said.
pub fn run<S: AsRef<OsStr>>(words: &[S], limit: Duration) -> Result<String> {
    let _dog = Watchdog::new(PROGRAM, limit + Duration::from_secs(60));
    let mut child = Command::new(PROGRAM)
        .args(["-M", "virt", "-m", "1G", "-nographic", "-no-reboot", "-net", "none"])
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| {
            format!("{PROGRAM} cannot be started; install qemu-system-misc, version 10 or newer")
        })?;
    let mut out = child.stdout.take().context("a pipe")?;
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).map(|_| bytes)
    });
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if begin.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let bytes = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    ensure!(status.is_some(), "QEMU does not end within {} s; the guest said:\n{text}", limit.as_secs());
    ensure!(status.is_some_and(|s| s.success()), "QEMU ends with {status:?}:\n{text}");
    Ok(text)
}
