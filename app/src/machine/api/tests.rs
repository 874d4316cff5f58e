use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn pair() -> (MachineHandle, MachineEnd) {
    channel("test", &["ttyS0"], 2, EngineMode::Interpreter)
}

#[test]
fn serial_ring_keeps_the_newest_and_counts_what_was_missed() {
    let (handle, _end) = pair();
    let port = &handle.serial()[0];
    port.push_output(b"abc");
    let first = port.read_since(0);
    assert_eq!((first.bytes.as_slice(), first.cursor, first.missed), (&b"abc"[..], 3, 0));
    let big = vec![b'x'; (1 << 20) + 5];
    port.push_output(&big);
    let late = port.read_since(first.cursor);
    assert_eq!(late.bytes.len(), 1 << 20);
    assert_eq!(late.missed, 5);
    assert_eq!(late.cursor, 3 + big.len() as u64);
    assert!(port.read_since(u64::MAX).bytes.is_empty());
}

#[test]
fn serial_input_is_bounded_and_notifies() {
    let (handle, end) = pair();
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = calls.clone();
    end.serial()[0].set_input_notifier(Box::new(move || {
        seen.fetch_add(1, Ordering::Relaxed);
    }));
    let port = &handle.serial()[0];
    assert_eq!(port.write(&vec![1; 70_000]), 1 << 16);
    assert_eq!(port.write(b"x"), 0);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(end.serial()[0].take_input(10).len(), 10);
    assert_eq!(port.write(b"xyz"), 3);
}

#[test]
fn a_subscriber_is_woken_once_until_it_acknowledges() {
    let (handle, end) = pair();
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = calls.clone();
    let subscription = handle.subscribe(Box::new(move || {
        seen.fetch_add(1, Ordering::Relaxed);
    }));
    end.serial()[0].push_output(b"a");
    end.serial()[0].push_output(b"b");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(subscription.wait(Duration::ZERO));
    assert!(!subscription.wait(Duration::from_millis(1)));
    end.set_state(RunState::Running);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    drop(subscription);
    end.emit(Event::GuestExit { code: 0 });
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[test]
fn wait_wakes_from_another_thread() {
    let (handle, end) = pair();
    let subscription = handle.subscribe(Box::new(|| {}));
    let thread = std::thread::spawn(move || end.emit(Event::GuestExit { code: 3 }));
    assert!(subscription.wait(Duration::from_secs(20)));
    thread.join().expect("the emitter ends");
    assert_eq!(handle.events_since(0), (vec![Event::GuestExit { code: 3 }], 1));
}

#[test]
fn commands_are_numbered_and_bounded() {
    let (handle, end) = pair();
    let a = handle.send(Command::Pause).expect("there is room");
    let b = handle.send(Command::Resume).expect("there is room");
    assert!(a < b);
    assert_eq!(end.commands.try_recv().expect("queued").command, Command::Pause);
    while handle.send(Command::Pause).is_ok() {}
    assert_eq!(end.commands.len(), 256);
    drop(end);
    let error = handle.send(Command::Pause).expect_err("nobody listens");
    assert!(error.what.contains("switched off"));
}

#[test]
fn status_has_the_new_state_and_the_counters() {
    let (handle, end) = pair();
    end.set_source(Arc::new(|s: &mut Status| s.harts[1].retired += 7));
    assert_eq!(handle.status().harts[1].retired, 7);
    assert_eq!(handle.status().harts[1].retired, 7, "copied at most every 100 ms");
    end.set_state(RunState::Paused);
    assert_eq!(handle.status().state, RunState::Paused);
    end.freeze_counters();
    let last = handle.status().harts[1].retired;
    std::thread::sleep(Duration::from_millis(110));
    assert_eq!(handle.status().harts[1].retired, last);
}
