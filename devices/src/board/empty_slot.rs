//! A virtio-mmio slot with nothing in it.
//!
//! The device tree names all slots, and drivers probe them: device number 0 says that nobody is there (Virtual I/O Device
//! specification 1.3, section 4.2.3.1).

use crate::device::{Device, DeviceContext};
use crate::state::{Saved, StateError};
use engine::mem::bus::BusFault;

const KIND: &str = "virtio-mmio-empty";
const MAGIC: u64 = u32::from_le_bytes(*b"virt") as u64;
const VENDOR: u64 = u32::from_le_bytes(*b"QEMU") as u64;

/// The empty slot.
pub(super) struct EmptySlot;

impl Device for EmptySlot {
    fn kind(&self) -> &'static str {
        KIND
    }
    fn attach(&mut self, _: DeviceContext) {}
    fn read(&mut self, offset: u64, width: u32) -> Result<u64, BusFault> {
        Ok(match (offset, width) {
            (0, 4) => MAGIC,
            (4, 4) => 2,
            (12, 4) => VENDOR,
            _ => 0,
        })
    }
    fn write(&mut self, _: u64, _: u32, _: u64) -> Result<(), BusFault> {
        Ok(())
    }
    fn reset(&mut self) {}
    fn save(&self) -> Saved {
        Saved::pack(KIND, 1, &())
    }
    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        saved.unpack(KIND, 1)
    }
}
