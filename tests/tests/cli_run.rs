//! The program itself, started as people start it: exit statuses, serial input and output, the time to the first instruction.
//!
//! The guest is the embedded one, so that nothing needs to be fetched.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A run that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program, which cargo builds beside this test.
fn vitrine() -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let dir = exe.parent().and_then(|d| d.parent()).context("a target folder")?;
    let program = dir.join("vitrine");
    ensure!(program.is_file(), "build it first: cargo build --release -p vitrine ({})", program.display());
    Ok(program)
}

fn command(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(vitrine()?);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env_remove("VITRINE_LOG");
    Ok(command)
}

/// Waits for the end, and kills what hangs.
fn finish(mut child: Child) -> Result<Output> {
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > PATIENCE {
            child.kill()?;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(child.wait_with_output()?)
}

fn run(args: &[&str]) -> Result<(Option<i32>, String, String)> {
    let output = finish(command(args)?.spawn()?)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}

#[test]
fn the_guests_end_is_the_exit_status() -> Result<()> {
    for (commands, code) in [("poweroff", 0), ("exit 7", 7), ("exit 255", 255)] {
        let append = format!("colour off; {commands}");
        let (status, out, err) = run(&["run", "--headless", "--embedded", "-append", &append])?;
        ensure!(status == Some(code), "{commands}: {status:?}\n{out}\n{err}");
    }
    Ok(())
}

#[test]
fn a_kernel_file_in_machine_mode_with_qemus_words() -> Result<()> {
    let elf = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/guest/glass.elf");
    let args = ["run", "-M", "virt", "-nographic", "-bios", "none", "-smp", "2", "-m", "64M", "-kernel", elf];
    let (status, out, err) = run(&[&args[..], &["-append", "colour off; info; exit 3"]].concat())?;
    ensure!(status == Some(3), "{status:?}\n{out}\n{err}");
    ensure!(out.contains("harts"), "{out}");
    Ok(())
}

#[test]
fn the_time_ends_a_guest_that_does_not() -> Result<()> {
    let start = Instant::now();
    let (status, _, err) = run(&["run", "--headless", "--embedded", "--timeout", "0.5"])?;
    ensure!(status == Some(124), "{status:?}: {err}");
    ensure!(err.contains("the time is over"), "{err}");
    ensure!(start.elapsed() < Duration::from_secs(20), "it took {:?}", start.elapsed());
    Ok(())
}

#[test]
fn what_is_wrong_is_said_without_a_trace() -> Result<()> {
    let cases: [(&[&str], i32, &str); 8] = [
        (&["run", "-kernle", "x"], 2, "Did you mean -kernel?"),
        (&["run", "--headless", "-m", "0", "--embedded"], 2, "memory"),
        (&["run", "--headless", "-smp", "99", "--embedded"], 2, "Use 1 to 16"),
        (&["run", "--headless", "-kernel", "/no/such/file"], 1, "/no/such/file"),
        (&["run", "--headless", "-kernel", "/"], 1, "folder"),
        (&["run", "--headless", "-kernel", "/proc/version"], 1, "vitrine: "),
        (&["run", "--headless", "--embedded", "--resume", "/no/such/state"], 1, "/no/such/state"),
        (&[], 1, "display"),
    ];
    for (args, code, part) in cases {
        let (status, _, err) = run(args)?;
        ensure!(status == Some(code), "{args:?}: {status:?}: {err}");
        ensure!(err.contains(part), "{args:?}: {err}");
        ensure!(!err.contains("panicked"), "{args:?}: {err}");
    }
    Ok(())
}

#[test]
fn typing_into_a_pipe_reaches_the_guest() -> Result<()> {
    let mut child = command(&["run", "--headless", "--embedded", "-append", "colour off"])?
        .stdin(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("a pipe")?;
    let mut stdout = child.stdout.take().context("a pipe")?;
    // The prompt shows that the guest reads.
    let mut seen = String::new();
    let mut bytes = [0; 512];
    while !seen.contains("glass> ") {
        let n = stdout.read(&mut bytes)?;
        ensure!(n > 0, "the guest ended: {seen}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..n]));
    }
    stdin.write_all(b"exit 9\r")?;
    // The end of the input is not the end of the machine.
    drop(stdin);
    stdout.read_to_string(&mut seen)?;
    let output = finish(child)?;
    ensure!(output.status.code() == Some(9), "{:?}: {seen}", output.status);
    Ok(())
}

#[test]
fn a_reader_that_leaves_ends_the_run_quietly() -> Result<()> {
    let mut child = command(&["run", "--headless", "--embedded", "-append", "bench all"])?.spawn()?;
    drop(child.stdout.take());
    let output = finish(child)?;
    let err = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "{:?}: {err}", output.status);
    ensure!(!err.contains("panicked"), "{err}");
    Ok(())
}

#[test]
fn serial_output_goes_to_a_file() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("serial.txt");
    let to = format!("file:{}", file.display());
    let (status, out, err) =
        run(&["run", "--headless", "--embedded", "-serial", &to, "-append", "colour off; poweroff"])?;
    ensure!(status == Some(0) && out.is_empty(), "{status:?}: {out}{err}");
    ensure!(std::fs::read_to_string(&file)?.contains("a small guest"), "the file lacks the output");
    Ok(())
}

#[test]
fn a_machine_file_and_what_is_wrong_with_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("m.toml");
    let path = file.display().to_string();
    let text = "schema = 1\nname = \"T\"\nmemory = \"32M\"\n[boot]\nembedded = true\nappend = \"exit 4\"\n";
    std::fs::write(&file, text)?;
    ensure!(run(&["machine", "check", &path])?.0 == Some(0));
    ensure!(run(&["run", "--headless", &path])?.0 == Some(4));
    std::fs::write(&file, text.replace("\"32M\"", "\"lots\""))?;
    for args in [["machine", "check", &path], ["run", "--headless", &path]] {
        let (status, _, err) = run(&args)?;
        ensure!(status == Some(2) && err.contains("m.toml:3:10"), "{status:?}: {err}");
    }
    Ok(())
}

/// The first character of the guest is its first act, some thousand instructions after the first one.
#[test]
fn the_first_character_comes_within_a_third_of_a_second() -> Result<()> {
    let mut best = Duration::MAX;
    // Other work on the machine disturbs: the best of some starts is what the program can do.
    for _ in 0..5 {
        let start = Instant::now();
        let mut child =
            command(&["run", "--headless", "--embedded", "--timeout", "60", "-append", "poweroff"])?
                .spawn()?;
        let mut byte = [0; 1];
        child.stdout.as_mut().context("a pipe")?.read_exact(&mut byte)?;
        best = best.min(start.elapsed());
        finish(child)?;
    }
    ensure!(best < Duration::from_millis(300), "it took {best:?}");
    Ok(())
}

#[test]
fn code_and_device_tree_can_be_looked_at() -> Result<()> {
    let elf = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/guest/glass.elf");
    let (status, out, err) = run(&["debug", "disasm", "-kernel", elf, "--count", "4"])?;
    ensure!(status == Some(0) && out.lines().count() == 4, "{status:?}: {out}{err}");
    ensure!(out.trim_start().starts_with("0x80000000"), "{out}");
    let (status, out, err) = run(&["debug", "ir", "-kernel", elf, "--at", "0x80000000"])?;
    ensure!(status == Some(0) && out.contains("block ") && out.contains("; 0x0.."), "{status:?}: {out}{err}");
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("virt.dtb");
    let path = file.display().to_string();
    let (status, _, err) = run(&["debug", "dtb", "-o", &path, "-smp", "3", "--embedded"])?;
    ensure!(status == Some(0), "{status:?}: {err}");
    let tree = std::fs::read(&file)?;
    ensure!(tree.starts_with(&[0xd0, 0x0d, 0xfe, 0xed]), "no device tree");
    ensure!(tree.windows(5).any(|w| w == b"cpu@2"), "it lacks the third hart");
    Ok(())
}
