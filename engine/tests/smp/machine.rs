//! A machine of RAM and harts with threads, for programs in S-mode over the built-in SBI.

use super::asm::Asm;
use engine::exec::cpu::{MachineEvent, Platform, Shared};
use engine::exec::hart::{Hart, Request};
use engine::exec::harts::Harts;
use engine::exec::inputs::InputPort;
use engine::exec::mode::{Mode, Settings, Tuning};
use engine::exec::time::{Clock, TimeSource};
use engine::guest::riscv::Riscv;
use engine::guest::riscv::model::Model;
use engine::mem::bus::NoBus;
use engine::mem::ram::{Memory, RegionSpec};
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const RAM: u64 = 0x8000_0000;
pub const RAM_LEN: u64 = 16 << 20;
/// Programs.
pub const CODE: u64 = RAM;
/// Data of programs; a page of its own.
pub const DATA: u64 = RAM + 0x10_0000;
/// Where harts count themselves as done.
pub const DONE: u64 = RAM + 0x20_0000;
/// How long a program may take. Generous: the host may be busy.
const LIMIT: Duration = Duration::from_secs(60);

struct Silent;

impl Platform for Silent {
    fn console_write(&self, _: &[u8]) {}
    fn console_read(&self, _: &mut [u8]) -> usize {
        0
    }
    fn event(&self, _: MachineEvent) {}
    fn entropy(&self, buf: &mut [u8]) {
        buf.fill(0);
    }
}

pub fn shared(source: TimeSource, harts: u32) -> Arc<Shared<Riscv>> {
    let spec = RegionSpec { base: RAM, len: RAM_LEN, writable: true };
    let mut model = Model::default();
    model.builtin_sbi = true;
    Arc::new(Shared {
        model,
        memory: Memory::new(&[spec], Arc::new(NoBus)).expect("memory"),
        clock: Clock::new(source, 0),
        inputs: InputPort::new(),
        harts: (0..harts).map(Hart::new).collect(),
        platform: Arc::new(Silent),
        ns_per_insn: 1,
    })
}

thread_local! {
    static MODE: Cell<Mode> = const { Cell::new(Mode::Interpreter) };
}

/// Runs a test in each mode of the engine: the machines that it makes are in that mode. Everything climbs at once, and there is so little
/// code memory that what has climbed does not stay.
pub fn in_each_mode(test: impl Fn()) {
    for mode in Mode::ALL {
        MODE.set(mode);
        println!("{mode:?}");
        test();
    }
    MODE.set(Mode::Interpreter);
}

/// The mode of the machines that this test makes now.
pub fn mode() -> Mode {
    MODE.get()
}

/// Settings of that mode; `workers` compile for tier 2.
pub fn settle(settings: &Settings, workers: u32) {
    settings.set_mode(mode());
    settings.set_tuning(Tuning {
        tier1_runs: 1,
        tier2_runs: 4,
        tier2_eager_runs: 2,
        code_bytes: 128 << 10,
        workers,
        ..Tuning::default()
    });
}

pub struct Machine {
    pub shared: Arc<Shared<Riscv>>,
    pub harts: Harts<Riscv>,
}

impl Machine {
    pub fn new(source: TimeSource, harts: u32) -> Machine {
        let shared = shared(source, harts);
        let mut harts = Harts::new(shared.clone());
        settle(harts.settings(), u32::from(source == TimeSource::Host));
        harts.spawn().expect("threads");
        Machine { shared, harts }
    }

    pub fn threads(harts: u32) -> Machine {
        Machine::new(TimeSource::Host, harts)
    }

    pub fn load(&self, asm: Asm) {
        let base = asm.base;
        self.put(base, &asm.finish());
    }

    pub fn put(&self, pa: u64, bytes: &[u8]) {
        assert!(self.shared.memory.load(pa, bytes));
    }

    pub fn word(&self, pa: u64) -> u64 {
        self.shared.memory.read(pa, 3).expect("memory")
    }

    /// Starts a hart: a0 is its number, a1 `arg`.
    pub fn start(&self, hart: usize, pc: u64, arg: u64) {
        self.shared.harts[hart].post(Request::Start(pc, [hart as u64, arg]), None);
    }

    /// Waits until `done`, for a bounded time.
    pub fn wait_for(&self, what: &str, done: impl Fn() -> bool) {
        let begin = Instant::now();
        while !done() {
            assert!(begin.elapsed() < LIMIT, "{what}: did not come to an end");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Runs until `count` harts have come to [`Asm::finish_hart`] with [`DONE`].
    pub fn run_to_end(&mut self, what: &str, count: u64) {
        self.harts.resume();
        self.wait_for(what, || self.word(DONE) == count);
        self.harts.pause();
    }
}
