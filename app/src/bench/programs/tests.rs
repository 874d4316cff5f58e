//! Each program runs to its end here, and executes the instructions that it says it does.

use super::*;
use crate::config::{MachineConfig, MemorySize, NetworkMode};
use crate::machine::api::{GuestExit, MachineHandle, RunState, StartOptions};
use crate::machine::spawn;
use std::time::Duration;

/// A machine with this ELF file.
fn machine(elf: &[u8], harts: u32) -> (tempfile::TempDir, MachineHandle) {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("program.elf");
    std::fs::write(&file, elf).expect("written");
    let mut config = MachineConfig { memory: MemorySize(64 << 20), harts, ..MachineConfig::default() };
    config.net.mode = NetworkMode::None;
    config.boot.bios = Some("none".to_owned());
    config.boot.kernel = Some(file.display().to_string());
    (dir, spawn(&config, StartOptions::default()).expect("a machine"))
}

/// Runs an ELF file to its power-off; the instructions it took.
fn run(elf: &[u8]) -> u64 {
    let (_dir, machine) = machine(elf, 1);
    let news = machine.subscribe(Box::new(|| {}));
    for _ in 0..600 {
        if !machine.state().is_alive() {
            break;
        }
        news.wait(Duration::from_millis(100));
    }
    assert_eq!(machine.state(), RunState::Off { exit: GuestExit::Code(0) });
    machine.status().harts[0].retired
}

/// The count that a machine shows last may lack the slice in which it powered off.
const SLACK: u64 = 60_000;

/// With the events it is `per_event` instructions more for each than without; without, at least `least`.
fn check(twins: &Twins, per_event: u64, least: u64) {
    let (with, without) = (run(&twins.with), run(&twins.without));
    let slack = SLACK + with / 50;
    assert!(without + slack >= least, "{without} of {least} instructions");
    let more = twins.events * per_event;
    assert!(with.abs_diff(without + more) <= slack, "{with} and {without} for {} events", twins.events);
}

#[test]
fn a_trap_retires_the_four_instructions_of_its_handler() {
    check(&traps(200_000), 4, 400_000);
}

#[test]
fn walks_do_the_same_as_their_twin() {
    check(&walks(100), 0, 1_600_000);
}

#[test]
fn flushes_are_one_instruction_each() {
    check(&flushes(500_000), 1, 1_500_000);
}

#[test]
fn jumps_do_the_same_as_their_twin() {
    check(&jumps(200_000), 0, 800_000);
}

#[test]
fn chains_are_as_long_as_each_other() {
    check(&chain(30), 0, 900_000);
}

#[test]
fn busy_harts_do_the_same_work_each() {
    const ROUNDS: u64 = 200_000;
    for harts in [1, 2] {
        let (_dir, machine) = machine(&busy(harts, ROUNDS), harts);
        let news = machine.subscribe(Box::new(|| {}));
        let said = || String::from_utf8_lossy(&machine.serial()[0].read_since(0).bytes).contains(DONE);
        for _ in 0..600 {
            if said() {
                break;
            }
            news.wait(Duration::from_millis(100));
        }
        assert!(said());
        // Counters are at most 100 ms old.
        std::thread::sleep(Duration::from_millis(150));
        for hart in &machine.status().harts {
            // Nine instructions a round, and a few.
            assert!((ROUNDS * 9..ROUNDS * 9 + 100).contains(&hart.retired), "{}", hart.retired);
        }
    }
}
