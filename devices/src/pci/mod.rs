//! PCI Express as the generic ECAM host bridge shows it: one root bus, functions with configuration space, BARs and
//! interrupt pins (PCI Local Bus 3.0 chapter 6, PCI Express Base chapter 7.2.2).
//!
//! The bridge is one device on the system bus with four windows: configuration space, port I/O, and memory below and
//! above 4 GiB. It finds the function that an access is for by the BARs that the guest has programmed.

pub mod bridge;
pub mod config;
pub mod function;
mod host;
mod intx;
#[cfg(test)]
mod tests;

pub use bridge::{HostBridge, PlugError, Window};
pub use config::{Bar, ConfigSpace, Identity};
pub use function::PciFunction;
