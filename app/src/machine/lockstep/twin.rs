//! One of the two machines: how its state outside of harts and memory is taken, put back and told apart.

use crate::config::MachineConfig;
use crate::machine::api::{EngineMode, MachineEnd, UserError, channel};
use crate::machine::build::Machine;
use crossbeam_channel::{Receiver, unbounded};
use devices::board::BoardState;
use engine::debug::lockstep::{LockstepError, Side};
use engine::exec::compare::leaves;
use engine::exec::cpu::MachineEvent;
use engine::exec::engine::Engine;
use engine::mem::ram::Memory;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Differences of devices that are named.
const SHOWN: usize = 12;

/// What a guest can see beside harts and memory.
#[derive(PartialEq, Debug, Serialize, Deserialize)]
struct Rest {
    clock_ns: u64,
    wall_ns: u64,
    entropy_state: u64,
    /// Hash of all that the console has said.
    console: u64,
    board: BoardState,
}

#[derive(Default)]
struct Console {
    /// What of the port was read.
    cursor: u64,
    hash: u64,
    /// What was said since somebody last asked.
    text: Vec<u8>,
}

/// A machine of the pair.
pub struct Twin {
    machine: Machine,
    end: MachineEnd,
    power: Receiver<MachineEvent>,
    console: Mutex<Console>,
    over: Mutex<Option<MachineEvent>>,
}

impl Twin {
    /// Builds and boots it, in this mode.
    pub fn boot(config: &MachineConfig, mode: EngineMode) -> Result<Twin, UserError> {
        let mut config = MachineConfig { engine: mode, ..config.clone() };
        // Compiles happen at the same instructions in each run.
        config.tuning.workers = Some(0);
        let (_, end) = channel(&config.name, &["ttyS0"], config.harts as usize, mode);
        let (tell, power) = unbounded();
        let machine = Machine::build(&config, end.serial(), tell, &(Arc::new(|_: &str| {}) as _))?;
        machine.boot(&config)?;
        Ok(Twin { machine, end, power, console: Mutex::default(), over: Mutex::default() })
    }

    /// What the console has said since the last call, up to where the machine stood when its state was last taken.
    pub fn take_text(&self) -> Vec<u8> {
        std::mem::take(&mut self.console.lock().text)
    }

    /// How the guest has switched it off.
    pub fn over(&self) -> Option<MachineEvent> {
        let mut over = self.over.lock();
        *over = over.or(self.power.try_recv().ok());
        *over
    }

    /// Nanoseconds since power-on.
    pub fn uptime_ns(&self) -> u64 {
        self.machine.clock.now_ns()
    }

    fn said(&self) -> u64 {
        let Some(port) = self.end.serial().first() else { return 0 };
        let mut console = self.console.lock();
        let read = port.read_since(console.cursor);
        console.cursor = read.cursor;
        if !read.bytes.is_empty() {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(console.hash);
            read.bytes.iter().for_each(|b| hasher.write_u8(*b));
            console.hash = hasher.finish();
            console.text.extend(read.bytes);
        }
        console.hash
    }
}

impl Side for Twin {
    fn engine(&self) -> &dyn Engine {
        &*self.machine.engine
    }

    fn memory(&self) -> &Memory {
        self.machine.board.memory()
    }

    fn save_rest(&self) -> Vec<u8> {
        let m = &self.machine;
        m.rest();
        let rest = Rest {
            clock_ns: m.clock.now_ns(),
            wall_ns: m.clock.wall_ns(),
            entropy_state: m.entropy_state.load(Ordering::Relaxed),
            console: self.said(),
            board: m.board.save(),
        };
        m.wake(false);
        // It holds nothing that cannot be written; if it did, the two machines would be told apart by harts and memory alone.
        postcard::to_stdvec(&rest).unwrap_or_default()
    }

    fn restore_rest(&self, saved: &[u8]) -> Result<(), LockstepError> {
        let wrong = |e: &dyn std::fmt::Display| LockstepError::Devices(e.to_string());
        let rest: Rest = postcard::from_bytes(saved).map_err(|e| wrong(&e))?;
        let m = &self.machine;
        m.rest();
        m.clock.set_virtual(rest.clock_ns);
        m.clock.set_wall_ns(rest.wall_ns);
        m.entropy_state.store(rest.entropy_state, Ordering::Relaxed);
        m.board.restore(&rest.board).map_err(|e| wrong(&e))?;
        self.said();
        let mut console = self.console.lock();
        console.hash = rest.console;
        console.text.clear();
        while self.power.try_recv().is_ok() {}
        *self.over.lock() = None;
        m.wake(false);
        Ok(())
    }

    fn explain_rest(&self, first: &[u8], second: &[u8]) -> Vec<(String, [String; 2])> {
        let [Ok(first), Ok(second)] = [first, second].map(postcard::from_bytes::<Rest>) else {
            return Vec::new();
        };
        let (a, b) = (leaves(&first), leaves(&second));
        // By path: a list that is longer on one side shifts nothing else.
        let by_path = |side: &[(String, String)]| side.iter().cloned().collect::<BTreeMap<_, _>>();
        let (in_a, in_b) = (by_path(&a), by_path(&b));
        let nothing = || "nothing".to_owned();
        let missing = b.iter().filter(|(path, _)| !in_a.contains_key(path));
        let paths = a.iter().chain(missing).map(|(path, _)| path);
        let value =
            |side: &BTreeMap<String, String>, path: &String| side.get(path).cloned().unwrap_or_else(nothing);
        let found: Vec<_> = paths
            .filter(|&path| in_a.get(path) != in_b.get(path))
            .take(SHOWN)
            .map(|path| (named(path, &a), [value(&in_a, path), value(&in_b, path)]))
            .collect();
        found
    }

    fn feed(&self, input: &[u8]) {
        if let Some(typed) = self.machine.typed.first().filter(|_| !input.is_empty()) {
            typed.send(input);
        }
    }

    fn is_over(&self) -> bool {
        self.over().is_some()
    }
}

/// A device's field by the device's name instead of its number.
fn named(path: &str, leaves: &[(String, String)]) -> String {
    let mut parts = path.splitn(4, '.');
    if let (Some("board"), Some("devices"), Some(number), Some(rest)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    {
        let name = leaves.iter().find(|(p, _)| *p == format!("board.devices.{number}.0"));
        let field = rest.strip_prefix("1.").unwrap_or(rest);
        return format!("{} {field}", name.map_or(number, |(_, n)| n.trim_matches('"')));
    }
    path.to_owned()
}
