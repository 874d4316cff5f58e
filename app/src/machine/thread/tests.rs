//! The thread against the embedded guest.

use super::*;
use crate::config::{Boot, Network, NetworkMode};
use std::time::{Duration, Instant};

fn embedded() -> MachineConfig {
    let boot = Boot { embedded: true, append: Some("colour off".to_owned()), ..Boot::default() };
    let net = Network { mode: NetworkMode::None, ..Network::default() };
    MachineConfig { boot, net, memory: crate::config::MemorySize(64 << 20), ..MachineConfig::default() }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Gives a command and waits for its end; whether it was carried out.
fn tell(machine: &MachineHandle, command: Command) -> bool {
    let id = machine.send(command).expect("there is room");
    let mut outcome = None;
    until("answered", || {
        outcome = machine.events_since(0).0.into_iter().find_map(|e| match e {
            Event::Done { request } if request == id => Some(true),
            Event::Failed { request, .. } if request == id => Some(false),
            _ => None,
        });
        outcome.is_some()
    });
    outcome.unwrap_or_default()
}

#[test]
fn the_engine_mode_is_the_one_chosen_last_also_after_a_reset() {
    let options = StartOptions { engine: Some(EngineMode::Interpreter), ..StartOptions::default() };
    let machine = spawn(&embedded(), options).expect("starts");
    until("running", || machine.state() == RunState::Running && machine.status().harts[0].retired > 0);
    assert_eq!(machine.status().engine, EngineMode::Interpreter);
    let before: Vec<_> = machine.status().tiers.insns.into();
    assert!(before[0] > 0 && before[1..] == [0, 0], "{before:?}");
    assert!(!tell(&machine, Command::SetEngine(EngineMode::Accelerated)));
    assert_eq!(machine.status().engine, EngineMode::Interpreter);
    let other = EngineMode::Interpreter.next_available();
    assert!(tell(&machine, Command::SetEngine(other)));
    assert_eq!(machine.status().engine, other);
    assert!(tell(&machine, Command::Reset));
    until("counted anew", || machine.status().harts[0].retired > 0);
    // The counters' source has been asked by now: this is what the engine itself says.
    assert_eq!(machine.status().engine, other);
    assert!(tell(&machine, Command::PowerOff));
    until("off", || !machine.state().is_alive());
    assert!(machine.status().tiers.insns.iter().sum::<u64>() > 0, "the last counts are kept");
}

#[test]
fn pins_are_in_force_and_stay_after_a_reset() {
    let first: CodePin = "0x80000000-0x80001000=interpreter".parse().expect("a pin");
    let config = MachineConfig { pins: vec![first.clone()], ..embedded() };
    let machine = spawn(&config, StartOptions::default()).expect("starts");
    let pins = |expected: &[&str]| {
        until("pinned", || {
            let words: Vec<_> = machine.status().pins.iter().map(ToString::to_string).collect();
            words == expected
        });
    };
    until("running", || machine.state() == RunState::Running);
    pins(&["0x80000000-0x80001000=interpreter"]);
    assert!(tell(&machine, Command::Pin("0x80000800-0x80002000=tier1".parse().expect("a pin"))));
    assert!(!tell(&machine, Command::Pin("0x0-0x1000=tier1".parse().expect("a pin"))), "no memory is there");
    let both = ["0x80000000-0x80000800=interpreter", "0x80000800-0x80002000=tier1"];
    pins(&both);
    assert!(tell(&machine, Command::Reset));
    until("counted anew", || machine.status().harts[0].retired > 0);
    pins(&both);
    assert!(tell(&machine, Command::Unpin(Some("0x80000000-0x80001800".parse().expect("a range")))));
    pins(&["0x80001800-0x80002000=tier1"]);
    assert!(tell(&machine, Command::Unpin(None)));
    pins(&[]);
    assert!(tell(&machine, Command::PowerOff));
    until("off", || !machine.state().is_alive());
}

#[test]
fn a_pin_without_memory_is_refused_when_the_machine_is_built() {
    let config = MachineConfig { pins: vec!["0x10=tier1".parse().expect("a pin")], ..embedded() };
    let machine = spawn(&config, StartOptions::default()).expect("starts");
    until("over", || !machine.state().is_alive());
    assert!(
        matches!(machine.state(), RunState::Failed(e) if e.what.contains("no memory")),
        "{:?}",
        machine.state()
    );
}

#[test]
fn thresholds_change_while_it_runs_and_stay_after_a_reset() {
    let options = StartOptions { engine: Some(EngineMode::Interpreter), ..StartOptions::default() };
    let machine = spawn(&embedded(), options).expect("starts");
    until("running", || machine.state() == RunState::Running);
    let usual = Tuning::default();
    let wanted = EngineTuning { tier1_runs: Some(7), workers: Some(3), ..EngineTuning::default() };
    assert!(tell(&machine, Command::Tune(wanted)));
    until("in force", || machine.status().tuning == Tuning { tier1_runs: 7, ..usual });
    let wrong = EngineTuning { tier2_runs: Some(0), ..EngineTuning::default() };
    assert!(!tell(&machine, Command::Tune(wrong)));
    assert!(tell(&machine, Command::Reset));
    until("kept", || machine.status().tuning == Tuning { tier1_runs: 7, workers: 3, ..usual });
    assert!(tell(&machine, Command::PowerOff));
}
