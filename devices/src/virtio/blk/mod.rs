//! virtio-blk, section 5.2: a disk.
//!
//! Requests are checked and cut into pieces here ([`request`]), run by the disk's worker, and finished when their
//! completion comes back through the input port. A guest may ask for 4 GiB in one request; no more than a few MiB of it
//! are ever in the host's memory.

mod device;
mod metrics;
mod request;
mod state;
#[cfg(test)]
mod tests;

pub use device::{Blk, BlkOptions};
pub(crate) use metrics::COUNTERS;
pub(crate) use state::KIND;
