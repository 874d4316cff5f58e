//! Real programs in the guest: they must end well, with the output that they have on QEMU.
//!
//! A miscompiled instruction shows here long before it shows anywhere else: each of these programs checks megabytes of its own
//! results against a hash.

use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tests::guest::{Guest, images, linux, qemu, text};

const LIMIT: Duration = Duration::from_secs(1200);

/// The lines from the first to the last mark, without what depends on time and without the kernel's own.
fn essence(console: &str) -> Vec<String> {
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

fn compare(jobs: &[&str]) -> Result<()> {
    let (kernel, initrd) = images::work()?;
    let append = format!("console=ttyS0 quiet run={}", jobs.join(","));
    let words = ["-kernel", &text(&kernel), "-initrd", &text(&initrd), "-append", &append].map(str::to_owned);
    let reference = std::thread::spawn(move || qemu::run(&words, LIMIT));
    let mut guest = Guest::start(&linux(&jobs.join(" "), &kernel, &initrd, &append), LIMIT)?;
    guest.powered_off()?;
    let ours = essence(&guest.text());
    let theirs = reference.join().ok().context("QEMU's thread panicked")??;
    for job in jobs {
        let end = format!("@@END {job} rc 0");
        ensure!(ours.contains(&end), "{job} does not end well:\n{}", ours.join("\n"));
    }
    ensure!(ours.last().is_some_and(|l| l == "@@DONE"), "no end:\n{}", ours.join("\n"));
    ensure!(ours == essence(&theirs), "ours:\n{}\nQEMU's:\n{theirs}", ours.join("\n"));
    Ok(())
}

#[test]
fn exec_and_python_say_what_they_say_on_qemu() -> Result<()> {
    compare(&["exec", "python"])
}

#[test]
fn openssl_says_what_it_says_on_qemu() -> Result<()> {
    compare(&["ossl_sha256", "ossl_aes"])
}

#[test]
fn zstd_says_what_it_says_on_qemu() -> Result<()> {
    compare(&["zstd"])
}

#[test]
fn xz_says_what_it_says_on_qemu() -> Result<()> {
    compare(&["xz"])
}

#[test]
fn times_are_no_part_of_the_comparison() {
    assert_eq!(timeless("@@END xz rc 0 uptime 12.30"), "@@END xz rc 0");
    assert_eq!(timeless("sort 506 0.123 s"), "sort 506");
    assert_eq!(timeless("a line of 5 s"), "a line of 5 s");
    assert_eq!(essence("[    0.1] x\r\n@@INIT uptime 2.1\r\n[  2.2] y\r\nout\r\n"), ["@@INIT", "out"]);
}
