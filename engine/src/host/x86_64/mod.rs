//! x86-64: entry thunks and the tier 1 emitter.

pub(crate) mod asm;
pub mod buffer;
pub mod emit;
pub mod features;
pub mod fp;
pub mod stub;
pub mod thunks;

pub use emit::Tier1;
pub use stub::{link_stub, page_stub};
pub use thunks::{enter, fcr, fcr_flags, gone, thunks};

/// Whether the CPU has fused multiply-add.
pub fn fuses() -> bool {
    is_x86_feature_detected!("fma")
}

/// Whether code can be compiled for this host.
pub const COMPILES: bool = true;
