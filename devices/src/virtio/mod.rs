//! Virtio 1.2: paravirtual devices that share rings in guest memory with their drivers.
//!
//! Rings are written by the guest, so everything in them may be a lie: [`chain`] and [`queue`] check what enters, a ring
//! that breaks the rules puts the device into the error state that the specification has for it
//! (`DEVICE_NEEDS_RESET`, section 2.1) and nothing else. [`core`] is what all devices have in common (features,
//! status, rings, interrupts, save and restore); transports ([`mmio`], [`pci`]) show it to the guest as registers;
//! devices ([`blk`], [`console`], [`rng`], [`net`]) see neither registers nor rings, only requests.

pub mod blk;
pub mod chain;
pub mod console;
pub mod core;
pub mod device;
pub mod interrupt;
pub mod io;
pub mod mmio;
pub mod net;
pub mod pci;
pub mod queue;
pub mod rng;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use device::{VirtioContext, VirtioDevice};
pub use io::Io;

/// Device types, section 5.
pub mod id {
    /// Network card.
    pub const NET: u16 = 1;
    /// Block device.
    pub const BLOCK: u16 = 2;
    /// Console.
    pub const CONSOLE: u16 = 3;
    /// Entropy source.
    pub const ENTROPY: u16 = 4;
}

/// Feature bits of every device, section 6.
pub mod feature {
    /// Indirect descriptors.
    pub const INDIRECT_DESC: u64 = 1 << 28;
    /// `used_event` and `avail_event`.
    pub const EVENT_IDX: u64 = 1 << 29;
    /// Virtio 1.0 and later.
    pub const VERSION_1: u64 = 1 << 32;
    /// What every device here offers.
    pub const ALL: u64 = INDIRECT_DESC | EVENT_IDX | VERSION_1;
}

/// Device status bits, section 2.1.
pub mod status {
    /// The guest has seen the device.
    pub const ACKNOWLEDGE: u8 = 1;
    /// The guest has a driver for it.
    pub const DRIVER: u8 = 2;
    /// The driver is set up.
    pub const DRIVER_OK: u8 = 4;
    /// The features are agreed on.
    pub const FEATURES_OK: u8 = 8;
    /// The device has met something it cannot go on after.
    pub const NEEDS_RESET: u8 = 0x40;
    /// The driver has given up.
    pub const FAILED: u8 = 0x80;
}
