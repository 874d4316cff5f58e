//! The host bridge as it shows itself on its own bus, at 00:00.0.

use super::config::{ConfigSpace, Identity, SavedConfig};
use super::function::PciFunction;
use crate::device::DeviceContext;
use crate::irq::IrqLine;
use crate::state::{Saved, StateError};

const KIND: &str = "pci-host";

/// Function 0 of slot 0: an id, and nothing behind it. The id is that of QEMU's generic bridge.
pub(super) struct HostFunction(ConfigSpace);

impl HostFunction {
    pub fn new() -> HostFunction {
        let id = Identity {
            vendor: 0x1b36,
            device: 0x0008,
            revision: 0,
            class: 0x06_00_00,
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
        };
        HostFunction(ConfigSpace::new(id, 0))
    }
}

impl PciFunction for HostFunction {
    fn kind(&self) -> &'static str {
        KIND
    }
    fn config(&self) -> &ConfigSpace {
        &self.0
    }
    fn config_mut(&mut self) -> &mut ConfigSpace {
        &mut self.0
    }
    fn attach(&mut self, _: DeviceContext, _: u32, _: IrqLine) {}
    fn read_bar(&mut self, _: usize, _: u64, _: u32) -> u64 {
        0
    }
    fn write_bar(&mut self, _: usize, _: u64, _: u32, _: u64) {}
    fn reset(&mut self) {
        self.0.reset();
    }
    fn save(&self) -> Saved {
        Saved::pack(KIND, 1, &self.0.save())
    }
    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        let config: SavedConfig = saved.unpack(KIND, 1)?;
        match self.0.restore(&config) {
            true => Ok(()),
            false => Err(StateError::damaged(KIND, "registers of another function")),
        }
    }
}
