//! `vitrine run` with real guests: console on standard output, end of the guest as exit status.

use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tests::guest::asm::{self, RAM, Segment};
use tests::guest::{Watchdog, host, images, text};

const LIMIT: Duration = Duration::from_secs(600);

/// A started program.
struct Run {
    child: Child,
    out: Heard,
    err: Heard,
    begin: Instant,
}

/// What came out of a pipe so far, and the thread that listens.
struct Heard {
    bytes: Arc<Mutex<Vec<u8>>>,
    listener: JoinHandle<()>,
}

impl Heard {
    fn listen(mut pipe: impl Read + Send + 'static) -> Heard {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let heard = bytes.clone();
        let listener = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                if let Ok(mut bytes) = heard.lock() {
                    bytes.extend(&buffer[..n]);
                }
            }
        });
        Heard { bytes, listener }
    }

    fn text(&self) -> String {
        self.bytes.lock().map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }
}

struct Outcome {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    fn start(words: &[&str]) -> Result<Run> {
        let mut command = Command::new(host::vitrine()?);
        command.arg("run").args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let out = Heard::listen(child.stdout.take().context("a pipe")?);
        let err = Heard::listen(child.stderr.take().context("a pipe")?);
        Ok(Run { child, out, err, begin: Instant::now() })
    }

    /// Waits until the guest has said this.
    fn expect(&mut self, text: &str) -> Result<()> {
        while !self.out.text().contains(text) {
            let alive = self.child.try_wait()?.is_none() && self.begin.elapsed() < LIMIT;
            if !alive {
                self.child.kill()?;
                bail!("{text:?} never came:\n{}\n{}", self.out.text(), self.err.text());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn keys(&mut self, keys: &str) -> Result<()> {
        Ok(self.child.stdin.as_mut().context("a pipe")?.write_all(keys.as_bytes())?)
    }

    /// Waits for the end.
    fn finish(mut self) -> Result<Outcome> {
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if self.begin.elapsed() > LIMIT {
                self.child.kill()?;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        while !self.out.listener.is_finished() || !self.err.listener.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Outcome { status: status.code(), out: self.out.text(), err: self.err.text() })
    }
}

#[test]
fn a_boot_ends_with_status_0() -> Result<()> {
    let _dog = Watchdog::new("vitrine run", LIMIT * 2);
    let (kernel, initrd) = images::mini()?;
    let (kernel, initrd) = (text(&kernel), text(&initrd));
    let append = "console=ttyS0 quiet run=shell";
    let words =
        ["--headless", "-m", "1G", "-smp", "4", "-kernel", &kernel, "-initrd", &initrd, "-append", append];
    let mut run = Run::start(&words)?;
    run.expect("@@INIT")?;
    run.expect("# ")?;
    run.keys("busybox nproc\rexit\r")?;
    let end = run.finish()?;
    ensure!(end.status == Some(0), "status {:?}\n{}\n{}", end.status, end.out, end.err);
    ensure!(end.out.contains("@@DONE"), "{}", end.out);
    ensure!(end.out.lines().any(|l| l.trim() == "4"), "four harts are not counted:\n{}", end.out);
    Ok(())
}

/// A guest that writes `value` to the test device, or spins.
fn small_guest(value: Option<u64>) -> Result<(tempfile::TempDir, String)> {
    let dir = tempfile::tempdir()?;
    let mut program = asm::li(asm::T0, 0x10_0000);
    if let Some(value) = value {
        program.extend(asm::li(asm::T1, value));
        program.push(asm::sw(asm::T1, asm::T0));
    }
    program.push(asm::j(0));
    let path = dir.path().join("guest.elf");
    std::fs::write(&path, asm::elf(RAM, &[Segment::new(RAM, asm::code(&program))]))?;
    Ok((dir, text(&path)))
}

fn small_status(value: Option<u64>, more: &[&str]) -> Result<Outcome> {
    let _dog = Watchdog::new("vitrine run", LIMIT * 2);
    let (_dir, elf) = small_guest(value)?;
    let mut words = vec!["--headless", "-m", "64M", "-bios", "none", "-kernel", &elf];
    words.extend(more);
    Run::start(&words)?.finish()
}

#[test]
fn statuses_tell_how_it_ended() -> Result<()> {
    let code = small_status(Some((42 << 16) | 0x3333), &[])?;
    ensure!(code.status == Some(42), "the guest's own code is 42, not {:?}: {}", code.status, code.err);
    let fine = small_status(Some(0x5555), &[])?;
    ensure!(fine.status == Some(0), "power-off is {:?}: {}", fine.status, fine.err);
    let late = small_status(None, &["--timeout", "0.5"])?;
    ensure!(late.status == Some(124), "a time-out is {:?}: {}", late.status, late.err);
    let wrong = small_status(None, &["-smp", "none"])?;
    ensure!(wrong.status == Some(2) && !wrong.err.is_empty(), "{:?}: {}", wrong.status, wrong.err);
    let missing = Run::start(&["--headless", "-kernel", "/nonexistent/Image"])?.finish()?;
    ensure!(missing.status == Some(1), "a missing kernel is {:?}: {}", missing.status, missing.err);
    ensure!(missing.err.contains("/nonexistent/Image"), "{}", missing.err);
    Ok(())
}
