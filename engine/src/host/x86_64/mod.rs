//! x86-64: entry thunks and the tier 1 emitter.

pub mod buffer;
pub mod features;
pub mod fp;
pub mod thunks;

pub use thunks::{enter, fcr, fcr_flags, gone, thunks};

/// Whether code can be compiled for this host.
pub const COMPILES: bool = true;
