//! Workloads of the guest `work.cpio`: run here in any engine mode, and on QEMU for what they should say.

use super::switching::Switching;
use super::{Guest, images, linux, qemu, text};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::time::Duration;
use vitrine::machine::api::EngineMode;

/// For one run of some jobs. The slowest mode on a busy host is what it is for.
const LIMIT: Duration = Duration::from_secs(1200);

/// How the jobs are to be run.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Engine mode; absent: all of them in turn, changed every 10 ms.
    pub mode: Option<EngineMode>,
    /// Harts.
    pub harts: u32,
}

/// The lines from the first to the last mark, without what depends on time and without the kernel's own.
pub fn essence(console: &str) -> Vec<String> {
    let lines = console.lines().map(str::trim_end);
    let marked = lines.skip_while(|l| !l.starts_with("@@INIT"));
    marked.filter(|l| !l.starts_with('[')).map(|l| timeless(l).to_owned()).collect()
}

/// A line without its time, which stands at its end: "uptime 1.23", or "0.123 s".
fn timeless(line: &str) -> &str {
    if let Some((head, _)) = line.split_once(" uptime ") {
        return head;
    }
    let number = |word: &str| word.contains('.') && word.parse::<f64>().is_ok();
    match line.strip_suffix(" s").and_then(|l| l.rsplit_once(' ')) {
        Some((head, seconds)) if number(seconds) => head,
        _ => line,
    }
}

/// Runs the jobs here, in each of these ways, and on QEMU: they must end well and say the same.
pub fn compare(jobs: &[&str], ways: &[Way]) -> Result<()> {
    let files = images::work()?;
    let append = format!("console=ttyS0 quiet run={}", jobs.join(","));
    let words =
        ["-kernel", &text(&files.0), "-initrd", &text(&files.1), "-append", &append].map(str::to_owned);
    let reference = std::thread::spawn(move || qemu::run(&words, LIMIT));
    let said: Vec<_> = ways.iter().map(|way| run(&files, &append, jobs, way)).collect::<Result<_>>()?;
    let theirs = reference.join().ok().context("QEMU's thread panicked")??;
    for (way, ours) in ways.iter().zip(said) {
        for job in jobs {
            let end = format!("@@END {job} rc 0");
            ensure!(ours.contains(&end), "{way:?}: {job} does not end well:\n{}", ours.join("\n"));
        }
        ensure!(ours.last().is_some_and(|l| l == "@@DONE"), "{way:?}: no end:\n{}", ours.join("\n"));
        ensure!(ours == essence(&theirs), "{way:?}, ours:\n{}\nQEMU's:\n{theirs}", ours.join("\n"));
    }
    Ok(())
}

fn run(files: &(PathBuf, PathBuf), append: &str, jobs: &[&str], way: &Way) -> Result<Vec<String>> {
    let mut config = linux(&format!("{} {way:?}", jobs.join(" ")), &files.0, &files.1, append);
    config.harts = way.harts;
    config.engine = way.mode.unwrap_or_default();
    let mut guest = Guest::start(&config, LIMIT)?;
    let switching = way.mode.is_none().then(|| Switching::begin(guest.handle()));
    guest.powered_off()?;
    if let Some(switching) = switching {
        switching.end()?;
    }
    Ok(essence(&guest.text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_no_part_of_the_comparison() {
        assert_eq!(timeless("@@END xz rc 0 uptime 12.30"), "@@END xz rc 0");
        assert_eq!(timeless("sort 506 0.123 s"), "sort 506");
        assert_eq!(timeless("a line of 5 s"), "a line of 5 s");
        assert_eq!(essence("[    0.1] x\r\n@@INIT uptime 2.1\r\n[  2.2] y\r\nout\r\n"), ["@@INIT", "out"]);
    }
}
