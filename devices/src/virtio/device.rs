//! What a virtio device is to the parts around it.

use super::io::Io;
use crate::device::DeviceContext;
use crate::metrics::Metric;
use crate::state::{Saved, StateError};
use engine::exec::inputs::{InputEvent, InputPort, SourceId};
use engine::exec::time::{AlarmId, Clock, TimeSource};
use engine::mem::ram::GuestRam;
use std::sync::Arc;

/// A virtio device without its transport. Everything here is called with the device's lock held.
pub trait VirtioDevice: Send {
    /// Device type, section 5.
    fn id(&self) -> u16;
    /// Name of its kind: `virtio-blk`.
    fn kind(&self) -> &'static str;
    /// PCI class code, 24 bits.
    fn pci_class(&self) -> u32;
    /// Features of its own, without those of [`super::feature::ALL`].
    fn features(&self) -> u64;
    /// Sizes of its queues, powers of two.
    fn queues(&self) -> &[u16];
    /// Fills `data` from the configuration space; zero where it has nothing.
    fn read_config(&self, offset: usize, data: &mut [u8]);
    /// The driver writes to the configuration space.
    fn write_config(&mut self, _offset: usize, _data: &[u8], _io: &mut Io) {}
    /// Called once, before anything else.
    fn attach(&mut self, ctx: VirtioContext);
    /// The driver is ready, and has agreed to `features`.
    fn activate(&mut self, _features: u64, _io: &mut Io) {}
    /// The driver has put something into `queue`, or may have.
    fn kick(&mut self, queue: usize, io: &mut Io);
    /// An event for the input registered with this number.
    fn input(&mut self, _number: u32, _event: InputEvent, _io: &mut Io) {}
    /// The alarm set with this number.
    fn alarm(&mut self, _number: u32, _io: &mut Io) {}
    /// Power-on state; requests under way are forgotten.
    fn reset(&mut self);
    /// Stops what runs in the background.
    fn quiesce(&mut self) {}
    /// Goes on, also after a restore. All queues are kicked afterwards.
    fn resume(&mut self, _io: &mut Io) {}
    /// The device's own state, requests under way included.
    fn save(&self) -> Saved;
    /// Takes a saved state. The queues have been restored.
    fn restore(&mut self, saved: &Saved, io: &mut Io) -> Result<(), StateError>;
    /// Counters since power-on.
    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }
}

/// Inputs and alarms that one device may number, so that several can sit in one cell (behind a PCI bridge).
pub const NUMBERS: u32 = 1 << 16;

/// What a virtio device gets when it is attached.
#[derive(Clone)]
pub struct VirtioContext {
    ctx: DeviceContext,
    base: u32,
}

impl VirtioContext {
    /// A device whose inputs and alarms are numbered from `base`.
    pub fn new(ctx: DeviceContext, base: u32) -> VirtioContext {
        VirtioContext { ctx, base }
    }

    /// Guest memory.
    pub fn ram(&self) -> &GuestRam {
        self.ctx.ram()
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        self.ctx.clock()
    }

    /// The input port.
    pub fn inputs(&self) -> &Arc<InputPort> {
        &self.ctx.wiring().inputs
    }

    /// Registers an input: its events arrive at [`VirtioDevice::input`] with `number`, below [`NUMBERS`].
    pub fn input(&self, number: u32) -> SourceId {
        self.ctx.input(self.base.wrapping_add(number % NUMBERS))
    }

    /// Calls [`VirtioDevice::alarm`] with `number`, below [`NUMBERS`], once the clock has reached `at_ns`.
    pub fn alarm(&self, at_ns: u64, number: u32) -> AlarmId {
        self.ctx.alarm(at_ns, self.base.wrapping_add(number % NUMBERS))
    }

    /// Whether time is the instruction count: then nothing may depend on when a thread of the host runs.
    pub fn deterministic(&self) -> bool {
        self.clock().source() == TimeSource::Instructions
    }
}

/// Copies the part of the configuration structure `config` that starts at `offset`; zeroes beyond its end.
pub(super) fn copy_config(config: &[u8], offset: usize, data: &mut [u8]) {
    for (i, byte) in data.iter_mut().enumerate() {
        *byte = offset.checked_add(i).and_then(|at| config.get(at)).copied().unwrap_or(0);
    }
}
