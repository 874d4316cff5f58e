//! virtio-rng, section 5.4: entropy for the guest.
//!
//! Random bytes are an input like any other: the [`source`] is asked, what it gives goes through the input port, and a
//! replay gets it from the recording. Not faster than a rate, so that a guest cannot keep the host busy with it.

mod device;
mod metrics;
pub mod source;
mod state;
#[cfg(test)]
mod tests;

pub use device::{Rng, RngOptions};
pub(crate) use metrics::COUNTERS;
pub use source::{EntropySource, HostEntropy, SeededEntropy};
pub(crate) use state::KIND;
