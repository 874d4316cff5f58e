//! A small machine for unit tests: RAM at 0x8000_0000, a clock that tests move, a console that keeps what is written.

use super::Riscv;
use super::model::Model;
use super::state::Mode;
use crate::exec::cpu::{Cpu, MachineEvent, Platform, Shared};
use crate::exec::hart::Hart;
use crate::exec::inputs::InputPort;
use crate::exec::time::{Clock, TimeSource};
use crate::mem::bus::NoBus;
use crate::mem::ram::{Memory, RegionSpec};
use parking_lot::Mutex;
use std::sync::Arc;

/// Base of RAM.
pub const RAM: u64 = 0x8000_0000;
/// Bytes of RAM.
pub const RAM_LEN: u64 = 2 << 20;

#[derive(Default)]
pub struct TestPlatform {
    pub written: Mutex<Vec<u8>>,
    pub typed: Mutex<Vec<u8>>,
    pub events: Mutex<Vec<MachineEvent>>,
}

impl Platform for TestPlatform {
    fn console_write(&self, bytes: &[u8]) {
        self.written.lock().extend_from_slice(bytes);
    }
    fn console_read(&self, buf: &mut [u8]) -> usize {
        let mut typed = self.typed.lock();
        let n = typed.len().min(buf.len());
        for (to, from) in buf.iter_mut().zip(typed.drain(..n)) {
            *to = from;
        }
        n
    }
    fn event(&self, event: MachineEvent) {
        self.events.lock().push(event);
    }
    fn entropy(&self, buf: &mut [u8]) {
        buf.fill(0);
    }
}

pub struct Machine {
    // Boxed as the run loop has them: a hart is large.
    #[allow(clippy::vec_box)]
    pub cpus: Vec<Box<Cpu<Riscv>>>,
    pub platform: Arc<TestPlatform>,
}

/// A machine of `harts` harts at reset.
pub fn machine(model: Model, harts: u32) -> Machine {
    let spec = RegionSpec { base: RAM, len: RAM_LEN, writable: true };
    let platform = Arc::new(TestPlatform::default());
    let shared = Arc::new(Shared {
        model,
        memory: Memory::new(&[spec], Arc::new(NoBus)).expect("memory"),
        clock: Clock::new(TimeSource::Instructions, 0),
        inputs: InputPort::new(),
        harts: (0..harts).map(Hart::new).collect(),
        platform: platform.clone(),
        ns_per_insn: 1,
    });
    Machine { cpus: (0..harts).map(|id| Cpu::new(shared.clone(), id)).collect(), platform }
}

/// One hart of the default model, in M-mode with PMP open.
pub fn hart() -> Box<Cpu<Riscv>> {
    hart_of(Model::default())
}

/// One hart of `model`, in M-mode with PMP open.
pub fn hart_of(model: Model) -> Box<Cpu<Riscv>> {
    let mut cpu = machine(model, 1).cpus.remove(0);
    cpu.ext.pmp.open();
    cpu
}

/// Changes the mode as a return from a trap would.
pub fn set_mode(cpu: &mut Cpu<Riscv>, mode: Mode) {
    cpu.ext.mode = mode;
    cpu.select_address_space();
}

/// Moves the clock to `ns`.
pub fn set_time(cpu: &mut Cpu<Riscv>, ns: u64) {
    cpu.shared.clock.set_virtual(ns);
    cpu.slice_ns = ns;
}
