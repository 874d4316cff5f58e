//! virtio-console, section 5.3: a serial line without a baud rate. Port 0 only.

mod device;
mod metrics;
mod state;
#[cfg(test)]
mod tests;

pub use device::Console;
pub(crate) use metrics::COUNTERS;
pub(crate) use state::KIND;
