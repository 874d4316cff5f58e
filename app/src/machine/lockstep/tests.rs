use super::*;
use crate::config::{Boot, MemorySize, Network};
use std::time::{Duration, Instant};

fn embedded(append: &str) -> MachineConfig {
    MachineConfig {
        name: "lockstep".into(),
        harts: 2,
        memory: MemorySize(64 << 20),
        boot: Boot { embedded: true, append: Some(append.into()), ..Boot::default() },
        net: Network { mode: NetworkMode::None, ..Network::default() },
        deterministic: true,
        ..MachineConfig::default()
    }
}

fn over(handle: &MachineHandle) -> (RunState, String) {
    let begin = Instant::now();
    while handle.state().is_alive() && begin.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let text = handle.serial()[0].read_since(0).bytes;
    (handle.state(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_guest_runs_to_its_end_and_is_seen_once() {
    let handle = spawn(&embedded("colour off; info; exit 3"), StartOptions::default()).expect("starts");
    let (state, text) = over(&handle);
    assert_eq!(state, RunState::Off { exit: GuestExit::Code(3) }, "{text}");
    assert_eq!(text.matches("timebase").count(), 1, "{text}");
    assert!(handle.status().harts.iter().all(|h| h.retired > 0));
}

#[test]
fn what_is_typed_goes_to_both() {
    let handle = spawn(&embedded("colour off"), StartOptions::default()).expect("starts");
    // The guest sets its serial port up first, which empties it.
    let begin = Instant::now();
    while !handle.serial()[0].read_since(0).bytes.windows(6).any(|w| w == b"glass>") {
        assert!(begin.elapsed() < Duration::from_secs(60), "no prompt");
        std::thread::sleep(Duration::from_millis(5));
    }
    handle.serial()[0].write(b"exit 5\r");
    let (state, text) = over(&handle);
    assert_eq!(state, RunState::Off { exit: GuestExit::Code(5) }, "{text}");
}

#[test]
fn a_device_that_differs_is_named() {
    let lockstep = pair(&embedded("colour off")).expect("equal machines");
    let [a, b] = lockstep.sides();
    let before = a.save_rest();
    assert_eq!(before, b.save_rest());
    b.feed(b"x");
    let found = a.explain_rest(&before, &b.save_rest());
    assert!(
        !found.is_empty() && found.iter().all(|(name, _)| name.contains("serial") || name.contains("uart")),
        "{found:?}"
    );
}

#[test]
fn a_machine_that_differs_is_reported() {
    let mut lockstep = pair(&embedded("colour off; info; exit 0")).expect("equal machines");
    let step = lockstep.step(20_000, &[]).expect("a step");
    let Step::Equal(at) = step else { panic!("{step:?}") };
    // Nobody may write memory behind the machines' backs, as here.
    lockstep.sides()[1].memory().load(0x8000_0000 + (48 << 20), &[1]);
    let step = lockstep.step(20_000, &[]).expect("a step");
    let Step::Diverged(d) = step else { panic!("{step:?}") };
    assert!(d.found.words.len() == 1 && d.equal_at == at && !d.is_exact, "{d}");
}

#[test]
fn what_the_host_answers_is_refused() {
    let mut config = embedded("");
    config.net.mode = NetworkMode::User;
    let e = spawn(&config, StartOptions::default()).map(drop).expect_err("a network");
    assert!(e.to_string().contains("disks"), "{e}");
}
