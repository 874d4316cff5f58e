//! The part of a hart's state that emitted code reads and writes.
//!
//! The problem: translated code reaches everything through one register, the state pointer, and on some hosts a load soon
//! after a store through the same base register at another address, but with the same displacement modulo 1024, waits for
//! the store (DESIGN.md, "State layout"). So all that compiled code touches often lies within 1 KiB, and integer registers are
//! where one-byte displacements reach. The layout is `repr(C)`: offsets are part of the contract in [`crate::jit::abi`].

use super::cpu::FloatEnv;
use crate::jit::abi::Thunks;
use crate::mem::tlb::Tlb;
use std::sync::atomic::AtomicI64;

/// An entry of a hart's jump cache as emitted code reads it; see [`crate::cache::jump`].
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub struct JumpEntry {
    /// Guest address of a block.
    pub pc: u64,
    /// [`Core::tag`] under which the address means that block.
    pub tag: u64,
    /// Address of the block's record, whose first word is where to jump; see [`crate::jit::record::Record`].
    pub record: u64,
    /// The block's number in the hart's table.
    pub local: u32,
}

/// The reservation of LR as emitted code reads it; see [`super::cpu::Reservation`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Held {
    /// Virtual address.
    pub va: u64,
    /// What LR read, zero-extended.
    pub value: u64,
    /// log2 of the width, [`NOTHING_HELD`] without a reservation.
    pub size_log2: u64,
}

/// See [`Held::size_log2`].
pub const NOTHING_HELD: u64 = u64::MAX;

impl Held {
    /// No reservation.
    pub const NONE: Held = Held { va: 0, value: 0, size_log2: NOTHING_HELD };
}

/// See [`Core::pages`].
pub const PAGE_SLOTS: usize = 8;

/// What compiled code shares with the run loop. Everything else of a hart is in [`super::cpu::Cpu`].
#[repr(C)]
pub struct Core {
    /// TLB; the part that emitted code reads is its last field.
    pub tlb: Tlb,
    /// Next instruction. During a block: stale, except around helper calls (see [`crate::guest::Guest::helper`]).
    pub pc: u64,
    /// Instructions left of the slice; each block head subtracts its count. Underflow is poll and end of slice in one.
    /// While compiled code runs the count is in a host register.
    pub budget: i64,
    /// What the budget is compared with at polls: 0, or more than any budget when somebody asks for attention.
    pub limit: *const AtomicI64,
    /// The calling or faulting instruction, in helpers and [`crate::guest::Guest::raise`].
    pub insn_pc: u64,
    /// Instructions of the running block that were charged but have not retired, the current one included.
    pub unretired: i64,
    /// Slow paths: what a load read, or what a store is to write.
    pub value: u64,
    /// Tag of code look-ups now: generation of fetch translations, table set, block key. See [`crate::cache::jump`].
    pub tag: u64,
    /// The other tag under which an answer holds now: of all address spaces, or of this one.
    pub other_tag: u64,
    /// The hart's jump cache, [`crate::cache::jump::ENTRIES`] of them.
    pub jumps: *mut JumpEntry,
    /// Look-ups that emitted code made in the jump cache and that hit.
    pub jump_hits: u64,
    /// Guest instructions retired by tier 2; each region adds what it has run when control leaves it.
    pub tier2_insns: u64,
    /// The budget with which the running region was entered.
    pub tier2_entered: i64,
    /// Where the hart's certificate is in records, see [`across`](crate::jit::across).
    pub certificate: u64,
    /// Runs of [idioms](crate::jit::idiom), and the guest instructions that they did.
    pub idioms: [u64; 2],
    /// While a region of tier 2 runs: page addresses, and what to add to addresses in them; its own otherwise.
    pub pages: [[u64; 2]; PAGE_SLOTS],
    /// The reservation.
    pub held: Held,
    /// Host stack pointer with which translations are entered; it points at the return address into the entry thunk.
    pub entry_sp: u64,
    /// Float control word of the guest for the host's unit (x86-64: MXCSR), flags clear; set before code is entered.
    pub guest_fcr: u32,
    /// Float control word of Rust code.
    pub host_fcr: u32,
    /// Float control word as compiled code left it: new flags.
    pub left_fcr: u32,
    /// [`MemFlags`](crate::ir::MemFlags) of an access whose page tier 2 asks for; its address is in `value`.
    pub access: u32,
    /// Float environment. Flags raised by compiled code are merged when it is left or calls a helper.
    pub fenv: FloatEnv,
    /// Where emitted code finds the engine's functions.
    pub thunks: Thunks,
    /// Guest registers and temporaries.
    pub regs: [u64; 256],
}

/// The limit of a hart that looks at requests between slices only (deterministic mode).
pub static NO_LIMIT: AtomicI64 = AtomicI64::new(0);
/// The limit of a hart that must leave compiled code at the next poll, because it has changed code.
pub static FORCED: AtomicI64 = AtomicI64::new(i64::MAX);
