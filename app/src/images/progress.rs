//! What is being done, how much of it is done, and how long the rest takes.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Is told about progress.
pub trait Progress {
    /// `done` of `total` bytes of this step; a `total` of 0 means that it is not known.
    fn step(&mut self, what: &str, done: u64, total: u64);
    /// The step is over.
    fn end(&mut self, what: &str);
}

/// Says nothing.
pub struct Quiet;

impl Progress for Quiet {
    fn step(&mut self, _: &str, _: u64, _: u64) {}
    fn end(&mut self, _: &str) {}
}

/// One line on standard error: redrawn on a terminal, else only at the start and end of each step.
pub struct Terminal {
    live: bool,
    what: String,
    started: Instant,
    drawn: Option<Instant>,
    /// Done when this step began, for the speed.
    base: u64,
    last: (u64, u64),
}

/// Redraw at most this often.
const REDRAW: Duration = Duration::from_millis(100);

impl Terminal {
    /// Draws on this process's standard error.
    pub fn new() -> Terminal {
        Terminal {
            live: stderr().is_terminal(),
            what: String::new(),
            started: Instant::now(),
            drawn: None,
            base: 0,
            last: (0, 0),
        }
    }

    fn draw(&mut self, what: &str) {
        self.drawn = Some(Instant::now());
        let line = line(what, self.last.0, self.last.1, self.base, self.started.elapsed());
        let _ = write!(stderr().lock(), "\r\x1b[K{line}");
    }
}

impl Default for Terminal {
    fn default() -> Terminal {
        Terminal::new()
    }
}

impl Progress for Terminal {
    fn step(&mut self, what: &str, done: u64, total: u64) {
        self.last = (done, total);
        if self.what != what {
            what.clone_into(&mut self.what);
            self.started = Instant::now();
            self.base = done;
            self.drawn = None;
        }
        if self.live && self.drawn.is_none_or(|d| d.elapsed() >= REDRAW) {
            self.draw(what);
        }
    }

    fn end(&mut self, what: &str) {
        let (done, total) = self.last;
        let amount = if total > 0 { format!(", {}", size(total.max(done))) } else { String::new() };
        let start = if self.live { "\r\x1b[K" } else { "" };
        let seconds = self.started.elapsed().as_secs_f64();
        let _ = writeln!(stderr().lock(), "{start}{what}: done{amount} in {seconds:.1} s");
        self.what.clear();
        self.last = (0, 0);
    }
}

/// The line: a bar, the amount, and how long the rest takes at the speed so far.
fn line(what: &str, done: u64, total: u64, base: u64, elapsed: Duration) -> String {
    if total == 0 {
        return format!("{what} ... {:.0} s", elapsed.as_secs_f64());
    }
    let done = done.min(total);
    let filled = usize::try_from(done * 24 / total).unwrap_or(24);
    let bar: String = "#".repeat(filled) + &".".repeat(24 - filled);
    let speed = done.saturating_sub(base) as f64 / elapsed.as_secs_f64().max(0.001);
    let rest = if speed > 0.0 { Some((total - done) as f64 / speed) } else { None };
    let left = rest.map_or_else(String::new, |s| format!(", {} left", seconds(s)));
    format!("{what} [{bar}] {} of {}{left}", size(done), size(total))
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn seconds(s: f64) -> String {
    if s < 90.0 { format!("{s:.0} s") } else { format!("{:.0} min", s / 60.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_how_much_and_how_long() {
        let text = line("Packages", 50_000_000, 100_000_000, 0, Duration::from_secs(5));
        assert_eq!(text, "Packages [############............] 50.0 MB of 100.0 MB, 5 s left");
        // What was there before does not count as speed.
        let resumed = line("Packages", 50, 100, 50, Duration::from_secs(5));
        assert!(!resumed.contains("left"), "{resumed}");
        assert_eq!(line("Lists", 0, 0, 0, Duration::from_secs(2)), "Lists ... 2 s");
        assert!(line("x", 5, 1, 0, Duration::ZERO).contains("1 B of 1 B"));
    }
}
