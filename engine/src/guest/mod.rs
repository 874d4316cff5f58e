//! What a guest ISA is to the engine: one trait, one folder for each ISA.
//!
//! The engine's run loop, interpreter and compilers are generic over [`Guest`]. They know guest registers as words
//! of a file, guest memory through MMU indices, and everything privileged as helpers and polls that the ISA defines.

use crate::exec::cpu::Cpu;
use crate::ir::{Block, Op};
use crate::tier::monitor::{Counter, HartStatus};
use crate::watch::samples::Privilege;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

pub mod riscv;

/// What an access wants to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Access {
    /// Data read.
    Load = 0,
    /// Data write, or a read-modify-write (which faults as a store).
    Store = 1,
    /// Instruction fetch.
    Fetch = 2,
}

/// A guest exception before it is taken: the ISA's cause number and trap value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exception {
    /// Cause as the ISA numbers it (RISC-V: `mcause` without the interrupt bit).
    pub cause: u64,
    /// Trap value (RISC-V: `mtval`).
    pub tval: u64,
}

/// Why memory refused an access after translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// Misaligned where alignment is required.
    Misaligned,
    /// Nothing answers at the physical address, or the device refused.
    Bus,
}

/// The result of a page-table walk for one access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// Physical address of the access.
    pub pa: u64,
    /// Whether loads by the same index may use this entry too. Says nothing after a fetch.
    pub read: bool,
    /// Whether stores may, without another walk (dirty already set). Says nothing after a fetch.
    pub write: bool,
    /// Whether fetches may use it.
    pub exec: bool,
    /// log2 of the size of the mapping that was walked to (12 for a base page).
    pub size_log2: u8,
    /// Kept by ASID flushes.
    pub global: bool,
    /// False if the TLB must not keep it (protection finer than a page).
    pub cacheable: bool,
}

/// What the run loop does after a helper.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// Go on (after [`Op`] `callend`: at `cpu.pc`, through the dispatcher).
    Continue,
    /// Go on at `cpu.pc` through the dispatcher, in mid-block too: the rest of the block was lifted under another key, or an
    /// interrupt is to be taken.
    Leave,
    /// Wait for an interrupt; then go on at `cpu.pc`.
    Wait,
    /// Wait at most this many nanoseconds (WRS), then go on at `cpu.pc`.
    WaitBounded(u64),
    /// This hart stops until another starts it (SBI HSM).
    Park,
}

/// Declares a helper to verifier, passes and compilers.
#[derive(Clone, Copy, Debug)]
pub struct HelperDesc {
    /// Printed name.
    pub name: &'static str,
    /// Ranges of register-file words that it reads, as (first, count), beyond its operands.
    pub reads: &'static [(u8, u8)],
    /// Ranges of register-file words that it writes, beyond its destination.
    pub writes: &'static [(u8, u8)],
    /// Whether it may raise a guest exception.
    pub faults: bool,
    /// Whether, called in mid-block, it changes the block key ([`Guest::block_key`]) without saying [`Flow::Leave`]: what
    /// follows the block was lifted under another key than the block.
    pub changes_key: bool,
}

/// A helper call that does no more than move a word of the hart's state, for compilers that do it inline: if the guard allows
/// it, else the helper is called. Places are in bytes from the start of [`Cpu`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateMove {
    /// The word.
    pub at: usize,
    /// It counts instructions: read are the sum of it, of these two words and of minus the budget that is left before the instruction.
    pub counts: Option<[usize; 2]>,
    /// When it may be done inline.
    pub guard: StateGuard,
    /// What of the word goes to the op's destination.
    pub seen: u64,
    /// The destination's top bit is set if all of these bits are, which are in `seen`. 0: it is the word's.
    pub summary: u32,
    /// What the word becomes.
    pub write: Option<StateWrite>,
}

/// See [`StateMove::guard`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateGuard {
    /// The byte at `at` is at least `least`.
    AtLeast {
        /// Its place.
        at: usize,
        /// See there.
        least: u8,
    },
    /// The 32-bit words at `set` have all of `bits`, that at `clear` has none.
    Bits {
        /// Places.
        set: [usize; 2],
        /// Place.
        clear: usize,
        /// The bits.
        bits: u32,
    },
}

/// What a call of a helper does, if that can be said as a move.
pub type StateMoves = fn(&Op) -> Option<StateMove>;

/// See [`StateMove::write`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateWrite {
    /// How the word and the operand make the new word.
    pub how: StateChange,
    /// The operand; `None`: the op's operand `b`.
    pub number: Option<u8>,
    /// Clears the lowest bit of the new word.
    pub even: bool,
}

/// See [`StateWrite::how`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateChange {
    /// The operand.
    Replace,
    /// The word with the operand's bits set.
    Set,
    /// The word with the operand's bits cleared.
    Clear,
}

/// What the lifter gets.
#[derive(Clone, Copy, Debug)]
pub struct LiftInput<'a> {
    /// Code bytes from the first instruction; ends at the end of the page, or holds one instruction that spans two.
    pub code: &'a [u8],
    /// What of the hart's mode the translation may depend on, see [`Guest::block_key`].
    pub key: u32,
    /// At most this many guest instructions (at least 1).
    pub max_insns: u32,
}

/// A guest ISA.
pub trait Guest: Sized + Send + 'static {
    /// Short name: `riscv64`.
    const NAME: &'static str;
    /// First register-file word that is a block temporary.
    const TEMPS: u8;
    /// A register-file word that always reads as zero and is never written, if the ISA has one.
    const ZERO: Option<u8>;
    /// Longest instruction in bytes.
    const MAX_INSN_BYTES: usize;
    /// Counters of a hart that only this ISA has: its traps.
    const COUNTERS: &'static [Counter<HartStatus>];
    /// The CPU model: ISA string, features, policies. Belongs to the machine.
    type Model: Clone + Debug + Send + Sync + Serialize + DeserializeOwned;
    /// Privileged and rarely used state of a hart: saved whole.
    type Ext: Clone + PartialEq + Debug + Send + Serialize + DeserializeOwned;
    /// What one hart can ask of the others beyond the engine's own requests (remote fences).
    type Remote: Clone + Debug + Send;

    /// Whether plain misaligned accesses raise an exception instead of being done.
    fn traps_misaligned(model: &Self::Model) -> bool;
    /// The state at reset of hart `id`.
    fn reset(model: &Self::Model, id: u32) -> Self::Ext;
    /// Name of a register-file word, `None` for temporaries.
    fn reg_name(reg: u8) -> Option<&'static str>;
    /// The helper table.
    fn helper_desc(id: u16) -> Option<&'static HelperDesc>;

    /// Which calls of helpers are moves.
    fn state_moves(_model: &Self::Model) -> StateMoves {
        |_| None
    }

    /// What translations of code fetched now depend on; part of a block's key. Pure function of the hart's state.
    fn block_key(cpu: &Cpu<Self>) -> u32;
    /// Decodes and lifts one block. An empty block means that the first instruction is cut off by the end of `code`.
    fn lift(model: &Self::Model, input: LiftInput<'_>) -> Block;
    /// Assembly text of the instruction at the start of `code`, and its length.
    fn disassemble(code: &[u8], pc: u64) -> (String, usize);

    /// MMU index of instruction fetches now.
    fn fetch_index(cpu: &Cpu<Self>) -> u8;
    /// MMU index of plain data accesses now.
    fn data_index(cpu: &Cpu<Self>) -> u8;
    /// The address space that `index` means now: tags a TLB table set. Equal contexts translate alike until a flush. Without
    /// translation it is [`UNTRANSLATED`](crate::mem::tlb::UNTRANSLATED), else anything else.
    fn context(cpu: &Cpu<Self>, index: u8) -> u64;
    /// Walks for one access of `size` bytes at `va`, sets accessed and dirty bits, checks protection.
    fn translate(
        cpu: &mut Cpu<Self>,
        va: u64,
        size: u32,
        access: Access,
        index: u8,
    ) -> Result<Translation, Exception>;
    /// The translation of a fetch at `va`, if there is one without an exception and without a change of page tables.
    fn peek_fetch(cpu: &Cpu<Self>, va: u64) -> Option<Translation>;
    /// The translation of a load of `size` bytes at `va`, if there is one without an exception and without a change of page tables.
    fn peek_load(cpu: &Cpu<Self>, va: u64, size: u32) -> Option<Translation>;
    /// The hart's privilege, in the words of [`crate::watch`].
    fn privilege(cpu: &Cpu<Self>) -> Privilege;
    /// Adds the return addresses of the functions that are being run to `out`, the nearest first, as far as frames can be followed; at
    /// most as many as fit. Whether the outermost was reached. `read` reads a word of guest memory as a load by the hart would.
    fn callers(cpu: &Cpu<Self>, read: impl FnMut(u64) -> Option<u64>, out: &mut Vec<u64>) -> bool;
    /// The exception for an access that memory refused.
    fn memory_fault(kind: FaultKind, access: Access, va: u64) -> Exception;

    /// Runs helper `CallSite(op.aux).id()`. Before the call `cpu.insn_pc` is the calling instruction, `cpu.pc` the next.
    fn helper(cpu: &mut Cpu<Self>, op: &Op) -> Result<Flow, Exception>;
    /// Takes an exception raised by the instruction at `cpu.insn_pc`: sets trap state and `cpu.pc`.
    fn raise(cpu: &mut Cpu<Self>, e: Exception);
    /// At a poll: takes the highest pending enabled interrupt, if any. Returns whether one was taken.
    fn poll(cpu: &mut Cpu<Self>) -> bool;
    /// After an instruction that may have unmasked interrupts: as [`Guest::poll`], but may leave the hart's own timers to
    /// the next poll so as not to read the clock.
    fn poll_after_change(cpu: &mut Cpu<Self>);
    /// Whether a waiting hart must wake (an interrupt is pending and locally enabled, even if globally masked).
    fn wakes(cpu: &mut Cpu<Self>) -> bool;
    /// The clock time in ns at which the hart's own timers next raise an interrupt, if any.
    fn deadline(cpu: &Cpu<Self>) -> Option<u64>;
    /// Runs a request of another hart.
    fn remote(cpu: &mut Cpu<Self>, request: Self::Remote);
    /// Forces restored state, which may come from a hostile file, into what the ISA allows.
    fn sanitise(cpu: &mut Cpu<Self>);
    /// Starts a parked hart at `pc` with two arguments (SBI HSM, reset).
    fn start(cpu: &mut Cpu<Self>, pc: u64, args: [u64; 2]);
}
