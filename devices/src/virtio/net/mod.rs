//! virtio-net, section 5.1: a network card over a [`crate::net::NetBackend`].
//!
//! Frames from the network are inputs of the machine: a thread of the card ([`pump`]) fetches them from the back end
//! and pushes them into the input port, never more than the card has room for. Frames to the network go straight out.
//! No checksum or segmentation offload is offered: every frame on both sides is whole.

mod device;
mod metrics;
mod pump;
mod state;
#[cfg(test)]
mod tests;

pub use device::{Net, NetOptions};
pub(crate) use metrics::COUNTERS;
pub(crate) use state::KIND;
