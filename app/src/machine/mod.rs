//! Machines: what runs them, and the one interface through which everything else reaches them.
//!
//! [`spawn`] makes a thread that builds the machine ([`build`]), carries out commands ([`thread`]) and saves and restores it
//! ([`save`]). Nobody else touches engine or devices.

pub mod api;
mod attach;
pub mod build;
pub mod lockstep;
mod save;
mod thread;
pub mod tiers;

pub use save::{SaveInfo, inspect, restore, save};
pub use thread::spawn;
