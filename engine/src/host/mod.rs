//! What depends on the CPU that we run on: entry into compiled code, its slow paths, the emitter.
//!
//! A host without a folder here interprets: [`COMPILES`] says so to the run loop.

#[cfg(target_arch = "x86_64")]
pub mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::{COMPILES, Tier1, enter, fcr, fcr_flags, fuses, gone, link_stub, page_stub, thunks};

#[cfg(not(target_arch = "x86_64"))]
mod none;
#[cfg(not(target_arch = "x86_64"))]
pub use none::{COMPILES, Tier1, enter, fcr, fcr_flags, fuses, gone, link_stub, page_stub, thunks};

#[cfg(target_arch = "x86_64")]
mod slow;
