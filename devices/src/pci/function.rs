//! What a PCI function is to the bridge.

use super::config::ConfigSpace;
use crate::device::DeviceContext;
use crate::irq::IrqLine;
use crate::metrics::Metric;
use crate::state::{Saved, StateError};
use engine::exec::inputs::InputEvent;

/// One function of a device on the bus. Called with the bridge's lock held.
pub trait PciFunction: Send {
    /// What it is: `virtio-blk-pci`.
    fn kind(&self) -> &'static str;
    /// Its configuration registers.
    fn config(&self) -> &ConfigSpace;
    /// Its configuration registers, to change.
    fn config_mut(&mut self) -> &mut ConfigSpace;
    /// Called once. Inputs and alarms are numbered from `base`; `line` is the interrupt pin.
    fn attach(&mut self, ctx: DeviceContext, base: u32, line: IrqLine);
    /// A read of configuration space, already known to lie in one 32-bit register.
    fn read_config(&mut self, at: usize, width: u32) -> u32 {
        self.config().read(at, width)
    }
    /// A write to configuration space.
    fn write_config(&mut self, at: usize, width: u32, value: u32) {
        self.config_mut().write(at, width, value);
    }
    /// A read that BAR `bar` answers.
    fn read_bar(&mut self, bar: usize, offset: u64, width: u32) -> u64;
    /// A write that BAR `bar` answers.
    fn write_bar(&mut self, bar: usize, offset: u64, width: u32, value: u64);
    /// Power-on state.
    fn reset(&mut self);
    /// Stops what runs in the background.
    fn quiesce(&mut self) {}
    /// Goes on.
    fn resume(&mut self) {}
    /// An input, numbered without the base.
    fn input(&mut self, _number: u32, _event: InputEvent) {}
    /// An alarm, numbered without the base.
    fn alarm(&mut self, _number: u32) {}
    /// The state, registers included.
    fn save(&self) -> Saved;
    /// Takes a saved state; on an error the function is as after reset.
    fn restore(&mut self, saved: &Saved) -> Result<(), StateError>;
    /// Counters since power-on.
    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }
}
