//! Runs an emulator as a child process and reads what it cost from the host's process table.
//!
//! The problem: shared machines make wall time worthless, and a figure must hold for us and for others alike. So the CPU
//! seconds (user and system, all threads) of the whole process are what counts, between two texts on the guest's console,
//! or from the start to the end. They are read while the process is there, or lies unreaped at its end. The process's own
//! figure counts in hundredths of a second, which is coarse for short kernels; the scheduler's figures of its threads are finer
//! but leave out threads that have ended, so they count only where both agree. The busiest thread is the vCPU's, whatever its name.

use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Console output kept to look for texts in, and to show when something failed.
const KEPT: usize = 1 << 16;

/// Where a measurement ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Until {
    /// This text is on the console.
    Text(&'static str),
    /// The process ends, with status 0.
    Exit,
    /// After this text has been there for `settle`, `window` is measured.
    Idle {
        /// The text.
        text: &'static str,
        /// Not measured.
        settle: Duration,
        /// Measured.
        window: Duration,
    },
}

/// Between which places of a run is measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watch {
    /// Measure from when this text is on the console; `None`: from the start.
    pub from: Option<&'static str>,
    /// To here.
    pub until: Until,
    /// Text that must come on the console, at the latest after the end, as proof that the work was done.
    pub proof: Option<&'static str>,
}

/// What a run cost.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reading {
    /// CPU seconds, user and system, of the whole process.
    pub cpu: f64,
    /// CPU seconds of its busiest thread; `None` if the process had ended.
    pub vcpu: Option<f64>,
    /// Wall seconds.
    pub wall: f64,
    /// Peak resident memory in KiB; `None` if the process had ended.
    pub peak_kib: Option<u64>,
}

/// A run that gave no reading.
#[derive(Debug, Error)]
pub enum MeterError {
    /// It did not start.
    #[error("{program} could not be started: {source}")]
    Start {
        /// Which program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The process table said nothing.
    #[error("the CPU time of process {0} could not be read")]
    Table(u32),
    /// It did not get there in time.
    #[error("nothing to measure within {0} seconds; the console ended with:\n{1}")]
    Late(u64, String),
    /// It ended without doing its work.
    #[error("the guest did not do its work; the console ended with:\n{0}")]
    Failed(String),
}

/// Ends and reaps the child however the measurement ends.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Both fail only if the child has been reaped, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// CPU time so far and peak memory of a process.
#[derive(Clone, Debug)]
struct Point {
    /// Seconds, in ticks.
    cpu: f64,
    /// Nanoseconds of each thread that is there.
    threads: HashMap<u64, u64>,
    at: Instant,
    peak_kib: Option<u64>,
}

/// Seconds in a tick of the process's own figure.
fn tick() -> f64 {
    1.0 / rustix::param::clock_ticks_per_second() as f64
}

fn point(pid: u32) -> Result<Point, MeterError> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|_| MeterError::Table(pid))?;
    let ticks = cpu_ticks(&stat).ok_or(MeterError::Table(pid))?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let threads = threads(pid).unwrap_or_default();
    Ok(Point { cpu: ticks as f64 * tick(), threads, at: Instant::now(), peak_kib: peak(&status) })
}

/// Nanoseconds on a CPU of each thread (first figure of `schedstat`).
fn threads(pid: u32) -> std::io::Result<HashMap<u64, u64>> {
    let mut found = HashMap::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let entry = entry?;
        let text = std::fs::read_to_string(entry.path().join("schedstat")).unwrap_or_default();
        let ns = text.split_ascii_whitespace().next().and_then(|n| n.parse::<u64>().ok());
        let id = entry.file_name().to_string_lossy().parse::<u64>().ok();
        found.extend(id.zip(ns));
    }
    Ok(found)
}

/// What was used between two points.
fn between(first: &Point, last: &Point) -> Reading {
    let used = |(id, ns): (&u64, &u64)| ns.saturating_sub(first.threads.get(id).copied().unwrap_or(0));
    let each: Vec<u64> = last.threads.iter().map(used).collect();
    let (coarse, fine) = (last.cpu - first.cpu, each.iter().sum::<u64>() as f64 / 1e9);
    // A dead process's threads have no time of their own any more.
    let alive = last.peak_kib.is_some();
    Reading {
        cpu: if alive && (coarse - fine).abs() <= 2.5 * tick() { fine } else { coarse },
        vcpu: each.iter().max().filter(|_| alive).map(|ns| *ns as f64 / 1e9),
        wall: last.at.duration_since(first.at).as_secs_f64(),
        peak_kib: last.peak_kib,
    }
}

/// User and system ticks of a line of `/proc/PID/stat` (fields 14 and 15; the name before may hold anything).
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    next()?.checked_add(next()?)
}

fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The console of a child: what it has written lately.
struct Console {
    bytes: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    deadline: Instant,
    limit: Duration,
}

impl Console {
    fn of(child: &mut Child, limit: Duration) -> Console {
        let (tx, bytes) = unbounded();
        if let Some(mut out) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut buf = [0; 4096];
                while let Ok(n @ 1..) = out.read(&mut buf) {
                    if tx.send(buf[..n].to_vec()).is_err() {
                        break;
                    }
                }
            });
        }
        Console { bytes, seen: Vec::new(), deadline: Instant::now() + limit, limit }
    }

    fn has(&self, text: &str) -> bool {
        self.seen.windows(text.len().max(1)).any(|w| w == text.as_bytes())
    }

    fn tail(&self) -> String {
        let from = self.seen.len().saturating_sub(600);
        String::from_utf8_lossy(&self.seen[from..]).into_owned()
    }

    /// Takes what comes. False at the end of the output.
    fn more(&mut self) -> Result<bool, MeterError> {
        match self.bytes.recv_deadline(self.deadline) {
            Ok(bytes) => {
                self.seen.extend(bytes);
                let excess = self.seen.len().saturating_sub(KEPT);
                self.seen.drain(..excess);
                Ok(true)
            }
            Err(RecvTimeoutError::Disconnected) => Ok(false),
            Err(RecvTimeoutError::Timeout) => Err(MeterError::Late(self.limit.as_secs(), self.tail())),
        }
    }

    fn wait_for(&mut self, text: &str) -> Result<(), MeterError> {
        while !self.has(text) {
            if !self.more()? {
                return Err(MeterError::Failed(self.tail()));
            }
        }
        Ok(())
    }

    fn wait_for_end(&mut self) -> Result<(), MeterError> {
        while self.more()? {}
        Ok(())
    }
}

/// Waits until the child has ended and leaves it unreaped; whether its status was 0.
fn wait_unreaped(pid: u32) -> Result<bool, MeterError> {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(MeterError::Table(pid))?;
    loop {
        match waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Ok(status) => return Ok(status.is_some_and(|s| s.exit_status() == Some(0))),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Err(MeterError::Table(pid)),
        }
    }
}

/// Runs a command and measures what `watch` says, for at most `limit`.
pub fn run(command: &[OsString], watch: &Watch, limit: Duration) -> Result<Reading, MeterError> {
    let (program, args) = command.split_first().map_or((OsString::new(), &[][..]), |(p, a)| (p.clone(), a));
    let begin = Instant::now();
    let child = Command::new(&program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|source| MeterError::Start { program: program.into(), source })?;
    let mut child = Reaped(child);
    let pid = child.0.id();
    let mut console = Console::of(&mut child.0, limit);
    let mut first = Point { cpu: 0.0, threads: HashMap::new(), at: begin, peak_kib: None };
    if let Some(text) = watch.from {
        console.wait_for(text)?;
        first = point(pid)?;
    }
    match watch.until {
        Until::Text(text) => console.wait_for(text)?,
        Until::Exit => {
            console.wait_for_end()?;
            if !wait_unreaped(pid)? {
                return Err(MeterError::Failed(console.tail()));
            }
        }
        Until::Idle { text, settle, window } => {
            console.wait_for(text)?;
            std::thread::sleep(settle);
            first = point(pid)?;
            std::thread::sleep(window);
        }
    }
    let last = point(pid)?;
    // The proof may be the rest of the line whose beginning was the end.
    if let Some(proof) = watch.proof {
        console.wait_for(proof)?;
    }
    Ok(between(&first, &last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, until: Until, proof: Option<&'static str>) -> Result<Reading, MeterError> {
        let command = ["/bin/sh", "-c", script].map(OsString::from);
        run(&command, &Watch { from: None, until, proof }, Duration::from_secs(60))
    }

    #[test]
    fn finer_figures_count_where_they_agree() {
        let point = |cpu, threads: &[(u64, u64)], peak_kib| Point {
            cpu,
            threads: threads.iter().copied().collect(),
            at: Instant::now(),
            peak_kib,
        };
        let first = point(1.0, &[(1, 500_000_000), (2, 500_000_000)], None);
        let last = point(1.5, &[(1, 600_000_000), (2, 900_000_000), (3, 4_000_000)], Some(1));
        let r = between(&first, &last);
        assert!((r.cpu - 0.504).abs() < 1e-9 && (r.vcpu.expect("alive") - 0.4).abs() < 1e-9, "{r:?}");
        // A thread has ended in between, or the whole process.
        let r = between(&first, &point(1.5, &[(1, 600_000_000)], Some(1)));
        assert!((r.cpu - 0.5).abs() < 1e-9, "{r:?}");
        let r = between(&first, &point(1.51, &[(1, 1_000_000_000)], None));
        assert!((r.cpu - 0.51).abs() < 1e-9 && r.vcpu.is_none(), "{r:?}");
    }

    #[test]
    fn fields_are_found_behind_any_name() {
        let line = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 70 30 0 0 20 0 1";
        assert_eq!(cpu_ticks(line), Some(100));
        assert_eq!(cpu_ticks("42 (x) S 1"), None);
        assert_eq!(peak("VmPeak:\t 9 kB\nVmHWM:\t  5120 kB\n"), Some(5120));
        assert_eq!(peak(""), None);
    }

    #[test]
    fn an_ended_process_is_read_before_it_is_reaped() {
        let reading =
            shell("i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; echo yes", Until::Exit, Some("yes"));
        let reading = reading.expect("a reading");
        assert!(reading.cpu > 0.0 && reading.peak_kib.is_none());
    }

    #[test]
    fn a_text_ends_the_measurement_and_the_process() {
        let reading = shell("echo begin; exec sleep 1000", Until::Text("begin"), None).expect("a reading");
        assert!(reading.peak_kib.is_some_and(|k| k > 0) && reading.vcpu.is_some());
    }

    #[test]
    fn a_proof_may_come_after_the_end() {
        let script = "printf 'END x '; sleep 0.3; echo rc 0; exec sleep 1000";
        let reading = shell(script, Until::Text("END x "), Some("END x rc 0")).expect("a reading");
        assert!(reading.peak_kib.is_some());
        let script = "printf 'END x '; sleep 0.1; echo rc 1";
        assert!(matches!(
            shell(script, Until::Text("END x "), Some("END x rc 0")),
            Err(MeterError::Failed(_))
        ));
    }

    #[test]
    fn failures_are_told() {
        assert!(
            matches!(shell("echo no; exit 3", Until::Exit, None), Err(MeterError::Failed(t)) if t == "no\n")
        );
        assert!(matches!(shell("echo no", Until::Exit, Some("yes")), Err(MeterError::Failed(_))));
        assert!(matches!(shell("echo no", Until::Text("yes"), None), Err(MeterError::Failed(_))));
        let watch = Watch { from: None, until: Until::Exit, proof: None };
        let gone = run(&["/nowhere/program".into()], &watch, Duration::from_secs(1));
        assert!(matches!(gone, Err(MeterError::Start { .. })));
    }
}
