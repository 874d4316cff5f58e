//! What benches run harts on: memory, and a board that hears nothing.

use engine::exec::cpu::{MachineEvent, Platform, Shared};
use engine::exec::hart::Hart;
use engine::exec::inputs::InputPort;
use engine::exec::time::{Clock, TimeSource};
use engine::guest::riscv::Riscv;
use engine::guest::riscv::model::Model;
use engine::mem::bus::NoBus;
use engine::mem::ram::{Memory, RegionSpec};
use std::sync::Arc;

pub const RAM: u64 = 0x8000_0000;

struct Deaf;

impl Platform for Deaf {
    fn console_write(&self, _: &[u8]) {}
    fn console_read(&self, _: &mut [u8]) -> usize {
        0
    }
    fn event(&self, _: MachineEvent) {}
    fn entropy(&self, buf: &mut [u8]) {
        buf.fill(0);
    }
}

/// 16 MiB at [`RAM`].
pub fn memory() -> Arc<Memory> {
    let spec = RegionSpec { base: RAM, len: 16 << 20, writable: true };
    Memory::new(&[spec], Arc::new(NoBus)).expect("memory")
}

/// One hart without firmware, time from the instruction count.
pub fn board(memory: Arc<Memory>) -> Arc<Shared<Riscv>> {
    let mut model = Model::default();
    model.builtin_sbi = false;
    Arc::new(Shared::<Riscv> {
        model,
        memory,
        clock: Clock::new(TimeSource::Instructions, 0),
        inputs: InputPort::new(),
        harts: vec![Hart::new(0)],
        platform: Arc::new(Deaf),
        ns_per_insn: 10,
    })
}
