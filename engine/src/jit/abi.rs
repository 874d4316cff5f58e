//! The entry contract: what translated code may rely on and must leave behind, for every tier and host.
//!
//! **Registers at the entry of a translation** (x86-64):
//! - `r15` the state pointer: [`STATE`] bytes behind the start of the hart's [`Core`], which is guest register 16. Never changes.
//! - `rdi` guest pc of the translation's first instruction. Code holds no guest address: all is relative to it.
//! - `rsi` instruction budget (signed).
//! - `rsp` is 8 modulo 16 and points at a return address into the entry thunk. Translations that need a frame make it and
//!   take it down before they jump on. MXCSR is the guest's. Direction flag clear. Every other register is free.
//!
//! **Passing control on** is a jump with the same contract: `rdi` the target's pc, `rsi` what is left of the budget.
//! **Leaving** is `ret` with [`Core::pc`] and [`Core::budget`] stored and an [`Exit`] word in `rax`; the thunk [`Thunks::leave`],
//! jumped to with `rdi`, `rsi` and `rax`, does just that.
//!
//! **Block head.** Subtract the block's instruction count from the budget; if less than [`Core::limit`]'s word is left, add it
//! back and leave with [`Exit::POLL`] at the block's pc. Nothing of the block has happened then.
//!
//! **Exits.** A direct exit to an address in the same guest page jumps through a link slot of the translation's
//! [`record`](super::record), rip-relative: records lie at a fixed distance behind the code, writable and never executable, so code bytes
//! are immutable. A slot that is not linked holds the address of the exit's own cold stub, which leaves with [`Exit::LINK`] and the
//! slot's address. Exits to other pages, and indirect ones, look in the hart's jump cache: the entry by
//! [`index`](crate::cache::jump::index) at [`Core::jumps`]; on a match of pc and [`Core::tag`] jump to the first word of its record; else jump on to
//! [`Thunks::lookup`] with the same contract, which tries what else the hart knows before it leaves with [`Exit::LOOKUP`].
//!
//! **Slow paths of tier 1** (`call [r15 + thunk]`): `rax` virtual address, `rcx` meta word ([`meta`]), `rdx` guest address of the
//! instruction, [`Core::value`] the value to store; a load's zero-extended value comes back in [`Core::value`]. **Ops** that
//! are not compiled: `rax` the address of the [`Op`](crate::ir::Op) (in the code's constant pool), `rcx` meta word with the
//! instruction's length, `rdx` its guest address. All guest registers must be in the state. Both preserve every register but `rax`, `rcx`,
//! `rdx` and `xmm0` to `xmm3`; a fault does not come back. `callend` never comes back.
//!
//! **Slow paths of tier 2** are called by `PreserveAll`; they preserve every register. Ops: (address of the op, meta, instruction
//! pc), after storing the budget to [`Core::budget`] and dirty guest registers to the state; a fault does not come back. TLB
//! misses: nothing is passed or stored but the address in [`Core::value`] and the flags in [`Core::access`]; in [`Core::value`] comes
//! back the addend of the page, which is in the TLB then, or [`NO_PAGE`] where the access is none that compiled code can do (it faults, crosses pages, is a device's or goes
//! to a page with code): the region then leaves with [`Exit::POLL`] before the instruction. Idioms: (address of the
//! [`Idiom`](super::idiom::Idiom)), after storing what its loop reads to the state and the budget of polls to [`Core::value`]; in [`Core::value`] come
//! back the instructions that were run, and in the state, if there were any, all words that the loop writes.
//!
//! **Tier 1 by tier 2's compiler** ([`super::single`]) uses the slow paths of tier 2 and leaves as a region does, but counts heat and
//! taken exits as tier 1 does, and what it runs as tier 1's.

use crate::exec::core::Core;
use std::mem::offset_of;

/// Distance from the start of [`Core`] to where the state pointer points: guest register 16.
pub const STATE: i32 = offset_of!(Core, regs) as i32 + 128;

/// Displacement of a field of [`Core`] from the state pointer.
#[macro_export]
macro_rules! disp {
    ($($field:tt)+) => { std::mem::offset_of!($crate::exec::core::Core, $($field)+) as i32 - $crate::jit::abi::STATE };
}

/// Displacement of a register-file word from the state pointer.
pub const fn reg_disp(reg: u8) -> i32 {
    reg as i32 * 8 - 128
}

// Hot scalars, and the guest registers of an ISA with 64 of them, in one window of 1 KiB.
const _: () = assert!(offset_of!(Core, regs) - offset_of!(Core, tlb.fast) <= 512);

/// Why translated code was left: the word in `rax`. The low three bits say what, the rest is an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit(pub u64);

impl Exit {
    /// By a direct exit that is not linked; the rest is the address of the link slot.
    pub const LINK: u64 = 0;
    /// By a helper or an exception: look at interrupts, then look everything up again. Thunks leave with `LOOKUP` instead, because
    /// the first has been done then.
    pub const DISPATCH: u64 = 1;
    /// By a helper that says what to do; the rest is nothing, see `Cpu::flow`.
    pub const FLOW: u64 = 2;
    /// Before an instruction that is to be interpreted: too little budget, attention, or an access or a move of state that compiled code cannot do.
    /// The rest is 0 if a block of tier 1 is left, [`Exit::REGION`] if a region is.
    pub const POLL: u64 = 3;
    /// At a block head, or where a settled region was left because a guess failed: the counter ran out; the rest is the address of
    /// the record.
    pub const HOT: u64 = 4;
    /// The hart does not know the next pc. Interrupts that an instruction unmasked have been looked at.
    pub const LOOKUP: u64 = 5;
    /// Not a reason to leave: the thunk that gets this word from Rust goes on at the entry in [`Core::value`], with the
    /// state's pc and budget.
    pub const ON_AT: u64 = 6;

    /// At the entry of a region across pages, of which this hart has not made sure (see [`super::across`]); the rest is the address of the
    /// record.
    pub const PAGES: u64 = 7;

    /// See [`Exit::POLL`].
    pub const REGION: u64 = 8;

    /// What happened.
    pub const fn kind(self) -> u64 {
        self.0 & 7
    }
    /// The address that came with it.
    pub const fn address(self) -> u64 {
        self.0 & !7
    }
}

/// The meta word of a slow path: bits 0..16 [`MemFlags`](crate::ir::MemFlags), 16..24 instructions charged and not retired
/// (this one included), 24..32 length of the instruction in bytes.
pub const fn meta(flags: u32, unretired: u32, len: u8) -> u32 {
    flags & 0xffff | (unretired & 0xff) << 16 | (len as u32) << 24
}

/// No addend: those are differences of page addresses.
pub const NO_PAGE: u64 = !0;

/// Functions that emitted code reaches through the state. Addresses of host code.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Thunks {
    /// Stores pc and budget and leaves.
    pub leave: u64,
    /// Tier 1: a load that the TLB did not answer.
    pub load: u64,
    /// Tier 1: a store that the TLB did not answer.
    pub store: u64,
    /// Tier 1: any op, by the interpreter's meaning.
    pub op: u64,
    /// Tier 2: leaves with [`Exit::POLL`]; counts what the region has run.
    pub leave_poll: u64,
    /// Goes on at the guest pc by the jump cache, as an exit to another page does; link slots may lead here.
    pub probe: u64,
    /// Tier 1: goes on at the guest pc by what the hart knows beside the likelier tag of the jump cache.
    pub lookup: u64,
    /// Tier 2: as `lookup`; counts what the region has run.
    pub leave_lookup: u64,
    /// Tier 2: brings a page into the TLB for loads.
    pub page_load: u64,
    /// Tier 2: brings a page into the TLB for stores.
    pub page_store: u64,
    /// Tier 2: as `op`.
    pub op_all: u64,
    /// Tier 2: iterations of an [idiom](super::idiom).
    pub idiom: u64,
    /// Single blocks by tier 2's compiler: as `op_all`, but counts nothing where the code is left.
    pub op_saved: u64,
}
