//! A host that we have no emitter for: nothing is compiled, so nothing is ever entered.

use crate::exec::core::Core;
use crate::guest::Guest;
use crate::jit::abi::{Exit, Thunks};
use crate::jit::block::{BlockCompiler, BlockInput, Failed};
use crate::jit::emitted::Emitted;

/// Compiles nothing.
#[derive(Default)]
pub struct Tier1;

impl Tier1 {
    /// There is nothing to note.
    pub fn mark(&mut self) {}
}

impl BlockCompiler for Tier1 {
    /// Never called, because nothing is compiled.
    fn compile_into(&mut self, _input: &BlockInput<'_>, _out: &mut Emitted) -> Result<(), Failed> {
        Err(Failed::Internal)
    }
}

/// Whether code can be compiled for this host.
pub const COMPILES: bool = false;

/// No function is ever called.
pub fn thunks<G: Guest>() -> Thunks {
    Thunks {
        leave: 0,
        load: 0,
        store: 0,
        op: 0,
        leave_poll: 0,
        lookup: 0,
        leave_lookup: 0,
        page_load: 0,
        page_store: 0,
        op_all: 0,
        idiom: 0,
        op_saved: 0,
    }
}

/// Never called, because there is no code.
///
/// # Safety
/// None needed.
pub unsafe fn enter(_core: *mut Core, _entry: u64) -> Exit {
    Exit(Exit::DISPATCH)
}

/// No code is ever jumped to.
pub fn gone() -> u64 {
    0
}

/// The float control word for a rounding mode.
pub const fn fcr(_rm: u8) -> u32 {
    0
}

/// The RISC-V flags that a float control word holds.
pub const fn fcr_flags(_fcr: u32) -> u8 {
    0
}

/// No code is ever linked.
pub fn link_stub() -> ([u8; 0], usize) {
    ([], 0)
}

/// Whether the CPU has fused multiply-add, as far as compiled code is concerned.
pub fn fuses() -> bool {
    false
}

/// No code ever asks for a page.
pub fn page_stub(_flags: u32, _store: bool) -> [u8; 0] {
    []
}
