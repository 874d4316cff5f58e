//! RISC-V 64: RV64GC with M, S and U mode and the extensions of [`model::Ext`].
//!
//! Register file words: 0..32 `x0`..`x31` (word 0 is never written), 32..64 `f0`..`f31`, NaN-boxed; temporaries from 64.

#[cfg(test)]
mod across_tests;
pub mod csr;
#[cfg(test)]
mod csr_run_tests;
pub mod decode;
pub mod disasm;
mod frames;
#[cfg(test)]
mod fuzz_tests;
mod guest;
pub mod helpers;
pub mod lift;
pub mod mmu;
pub mod model;
pub mod pmp;
#[cfg(test)]
mod run_tests;
pub mod sbi;
#[cfg(test)]
mod space_tests;
pub mod state;
pub mod system;
pub mod tally;
#[cfg(test)]
pub(crate) mod testing;
pub mod trap;
#[cfg(test)]
mod watch_tests;

pub use guest::Riscv;

use crate::exec::cpu::Shared;
use crate::exec::engine::Engine;
use crate::exec::harts::Harts;
use std::sync::Arc;

/// The harts of a RISC-V machine; paused, no threads yet.
pub fn engine(shared: Arc<Shared<Riscv>>) -> Box<dyn Engine> {
    Box::new(Harts::new(shared))
}

/// Register-file word of `f0`.
pub const F0: u8 = 32;
/// First temporary.
pub const TEMPS: u8 = 64;

/// Block key: float state off (float instructions are illegal).
pub const KEY_FS_OFF: u32 = 0;
/// Block key: float state initial or clean: the first float write of a block calls [`helpers::Helper::FloatDirty`].
pub const KEY_FS_CLEAN: u32 = 1;
/// Block key: float state dirty.
pub const KEY_FS_DIRTY: u32 = 2;
/// Mask of the float state in a block key.
pub const KEY_FS: u32 = 3;
/// Block key: `frm` holds an invalid mode, so instructions with dynamic rounding are illegal.
pub const KEY_FRM_INVALID: u32 = 4;
/// Block key: `frm` holds round-to-nearest-max-magnitude, which hosts lack. Dynamic rounding is lifted as that static mode,
/// so that what compilers see as dynamic is always a mode that the host's unit has.
pub const KEY_FRM_RMM: u32 = 8;
