//! A hand at the switch: goes through the engine modes of a running machine, every 10 ms.

use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use vitrine::machine::api::{Command, EngineMode, MachineHandle};

const PERIOD: Duration = Duration::from_millis(10);

/// Modes that this host has.
pub fn modes() -> Vec<EngineMode> {
    EngineMode::ALL.into_iter().filter(|m| m.unavailable().is_none()).collect()
}

/// Switches until it is told to end.
pub struct Switching {
    over: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Switching {
    /// Begins.
    pub fn begin(machine: &MachineHandle) -> Switching {
        let (machine, over) = (machine.clone(), Arc::new(AtomicBool::new(false)));
        let told = over.clone();
        let switch = move || {
            let mut switched = 0;
            for mode in modes().into_iter().cycle() {
                if told.load(Ordering::Acquire) || !machine.state().is_alive() {
                    break;
                }
                // A machine that is on its way out takes no more.
                switched += usize::from(machine.send(Command::SetEngine(mode)).is_ok());
                std::thread::sleep(PERIOD);
            }
            switched
        };
        Switching { over, thread: std::thread::spawn(switch) }
    }

    /// Ends. A run in which hardly anything was switched has shown nothing.
    pub fn end(self) -> Result<()> {
        self.over.store(true, Ordering::Release);
        let switched = self.thread.join().ok().context("the hand at the switch panicked")?;
        ensure!(switched > 10, "the mode was switched only {switched} times");
        Ok(())
    }
}
