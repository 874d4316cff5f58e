//! Boards: which devices sit where, and how the guest is told.
//!
//! A board builds memory, bus, interrupt controllers and the devices that are always there; disks, networks and displays are
//! attached by whoever reads the machine's configuration.

mod empty_slot;
pub mod fdt;
pub mod map;
pub mod platform;
mod state;
pub mod virt;

use crate::bus::BusError;
use crate::state::StateError;
use engine::exec::hart::{Hart, Lines};
use engine::mem::ram::RamError;
use std::sync::Arc;
use thiserror::Error;

pub use state::BoardState;

/// A board cannot be built.
#[derive(Debug, Error)]
pub enum BoardError {
    /// A size or number is out of range.
    #[error("{0}")]
    Config(String),
    /// Memory.
    #[error(transparent)]
    Ram(#[from] RamError),
    /// A device has no place.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The device tree.
    #[error("cannot write the device tree: {0}")]
    Fdt(#[from] vm_fdt::Error),
    /// A saved state.
    #[error(transparent)]
    State(#[from] StateError),
}

/// `n` harts, numbered from 0, with their interrupt lines for the board.
pub fn make_harts<R>(n: u32) -> (Vec<Arc<Hart<R>>>, Vec<Arc<Lines>>) {
    let harts: Vec<_> = (0..n).map(Hart::new).collect();
    let lines = harts.iter().map(|h| h.lines.clone()).collect();
    (harts, lines)
}
