//! The program on a terminal: raw while it runs, as before when it has ended, whatever ended it; and the keys after Ctrl-A.
//!
//! The terminal is a pseudo-terminal made by `script` of util-linux, which every Debian has.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use vitrine::machine::api::EngineMode;

const PATIENCE: Duration = Duration::from_secs(60);

fn vitrine() -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let dir = exe.parent().and_then(|d| d.parent()).context("a target folder")?;
    let program = dir.join("vitrine");
    ensure!(program.is_file(), "build it first: cargo build --release -p vitrine ({})", program.display());
    Ok(program)
}

/// A shell command on a terminal of its own.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    /// Runs the program with these arguments, then shows the terminal's settings.
    fn start(args: &str) -> Result<Terminal> {
        let program = vitrine()?;
        let line =
            format!("sh -c 'echo pid=$$.; exec {} {args}'; echo \"status=$?\"; stty -a", program.display());
        let mut child = Command::new("script")
            .args(["-q", "-e", "-c", &line, "/dev/null"])
            .env("SHELL", "/bin/sh")
            .env_remove("VITRINE_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("script of util-linux")?;
        let keys = child.stdin.take().context("a pipe")?;
        let mut out = child.stdout.take().context("a pipe")?;
        let (send, screen) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n) = out.read(&mut bytes) {
                if n == 0 || send.send(bytes[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Terminal { child, keys, screen, seen: String::new() })
    }

    /// Reads until this text has come.
    fn expect(&mut self, text: &str) -> Result<()> {
        let start = Instant::now();
        while !self.seen.contains(text) {
            match self.screen.recv_timeout(Duration::from_millis(100)) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if start.elapsed() > PATIENCE {
                break;
            }
        }
        ensure!(self.seen.contains(text), "no {text:?} in:\n{}", self.seen);
        Ok(())
    }

    /// Sends a signal to the program.
    fn signal(&self, name: &str) -> Result<()> {
        let pid = self.seen.split("pid=").nth(1).and_then(|t| t.split('.').next()).context("the process")?;
        let status = Command::new("kill").args([&format!("-{name}"), pid]).status()?;
        ensure!(status.success(), "kill failed");
        Ok(())
    }

    fn press(&mut self, keys: &[u8]) -> Result<()> {
        self.keys.write_all(keys)?;
        self.keys.flush()?;
        Ok(())
    }

    /// The end: the status is this, and the terminal echoes and edits lines again.
    fn ends_with(mut self, status: &str) -> Result<()> {
        self.expect(&format!("status={status}"))?;
        self.expect("icanon")?;
        let settings = self.seen.rsplit("status=").next().unwrap_or_default().to_owned();
        let has = |word: &str| settings.split_whitespace().any(|w| w.trim_end_matches(';') == word);
        ensure!(has("icanon") && has("echo") && has("isig") && has("opost"), "{settings}");
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Already ended, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const GUEST: &str = "run --headless --embedded -append \"colour off; info\"";

#[test]
fn keys_after_ctrl_a() -> Result<()> {
    let mut terminal = Terminal::start(GUEST)?;
    terminal.expect("harts")?;
    terminal.press(b"\x01h")?;
    terminal.expect("Ctrl-A x")?;
    terminal.press(b"\x01c")?;
    terminal.expect("(vitrine) ")?;
    terminal.press(b"info status\r")?;
    terminal.expect(&format!("running, engine {}", EngineMode::default().word()))?;
    terminal.press(b"info tiers\r")?;
    terminal.expect(" % interpreter")?;
    terminal.press(b"engine interpreter\r")?;
    terminal.expect("engine mode interpreter")?;
    terminal.press(b"\x01e")?;
    terminal.expect(&format!("engine mode {}", EngineMode::Interpreter.next_available().word()))?;
    terminal.press(b"dance\r")?;
    terminal.expect("no command \"dance\"")?;
    terminal.press(b"\x01c\x01x")?;
    terminal.ends_with("0")
}

#[test]
fn ctrl_c_is_the_guests_and_power_off_gives_the_terminal_back() -> Result<()> {
    let mut terminal = Terminal::start(GUEST)?;
    // At the prompt: a command that is interrupted forgets what was typed behind.
    terminal.expect("glass>")?;
    terminal.press(b"\x03")?;
    terminal.expect("^C")?;
    terminal.press(b"exit 5\r")?;
    terminal.ends_with("5")
}

#[test]
fn a_signal_gives_the_terminal_back() -> Result<()> {
    let mut terminal = Terminal::start(GUEST)?;
    terminal.expect("harts")?;
    terminal.signal("TERM")?;
    // 128 + SIGTERM, as shells say it.
    terminal.ends_with("143")?;
    let mut terminal = Terminal::start("run --headless --embedded --timeout 1")?;
    terminal.expect("the time is over")?;
    terminal.ends_with("124")
}
