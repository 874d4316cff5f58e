//! What compiled code calls when it cannot go on by itself: the Rust side of the thunks.
//!
//! Each function gets the hart by the state's address, brings its exact place up to date from the meta word
//! ([`crate::jit::abi::meta`]), and returns 0, or the word with which the code is to be left. `TIER2` says who calls.

use crate::exec::cpu::Cpu;
use crate::guest::{Access, Exception, Flow, Guest};
use crate::interp::step;
use crate::ir::op::{MemFlags, Op, Opcode};
use crate::jit::abi::{Exit, NO_PAGE};

/// Go on.
const ON: u64 = 0;

fn place<G: Guest>(cpu: &mut Cpu<G>, meta: u32, insn_pc: u64) {
    cpu.insn_pc = insn_pc;
    cpu.pc = insn_pc.wrapping_add((meta >> 24) as u64);
    cpu.unretired = (meta >> 16 & 0xff) as i64;
}

/// `moves`: what was done may have changed under which tags code is found. Accesses do not: they drop no fetch translation, and leave
/// mode, rights and block key alone.
fn finish<G: Guest, const TIER2: bool>(cpu: &mut Cpu<G>, result: Result<u64, Exception>, moves: bool) -> u64 {
    if result.is_err() {
        cpu.budget += cpu.unretired;
        cpu.unretired = 0;
    }
    if TIER2 && result != Ok(ON) {
        // The region counts what it has run where it is left, which is here.
        let ran = cpu.core.tier2_entered.wrapping_sub(cpu.core.budget);
        cpu.core.tier2_insns = cpu.core.tier2_insns.wrapping_add(ran as u64);
    }
    let word = match result {
        Ok(word) => word,
        Err(e) => {
            cpu.raise(e);
            Exit::DISPATCH
        }
    };
    cpu.unretired = 0;
    cpu.note_kills();
    if word == Exit::DISPATCH {
        return dispatch(cpu);
    }
    if moves {
        cpu.refresh_tag();
    }
    word
}

/// What the run loop does between two blocks, if that is all there is to do: traps, returns from them and changes of address
/// space go on in compiled code. Requests, the budget and attention are looked at in the head of the next block.
fn dispatch<G: Guest>(cpu: &mut Cpu<G>) -> u64 {
    G::poll_after_change(cpu);
    cpu.refresh_tag();
    match cpu.known_entry() {
        Some(entry) => {
            cpu.core.value = entry;
            Exit::ON_AT
        }
        None => Exit::LOOKUP,
    }
}

/// The jump cache did not have the pc by the likelier tag, nor by the other: the entry of the code there, or 0.
///
/// # Safety
/// As [`load`].
pub unsafe extern "sysv64" fn lookup<G: Guest>(cpu: *mut Cpu<G>) -> u64 {
    // SAFETY: by the contract of this function.
    let cpu = unsafe { &mut *cpu };
    cpu.known_entry().unwrap_or(0)
}

/// A load; the value goes to `core.value`.
///
/// # Safety
/// `cpu` points at the hart that entered the code, and nothing else refers to it meanwhile.
pub unsafe extern "sysv64" fn load<G: Guest>(cpu: *mut Cpu<G>, va: u64, meta: u32, insn_pc: u64) -> u64 {
    // SAFETY: by the contract of this function.
    let cpu = unsafe { &mut *cpu };
    place(cpu, meta, insn_pc);
    let read = cpu.load(va, MemFlags(meta & 0xffff));
    let done = read.map(|v| {
        cpu.value = v;
        ON
    });
    finish::<G, false>(cpu, done, false)
}

/// A store of `core.value`.
///
/// # Safety
/// As [`load`].
pub unsafe extern "sysv64" fn store<G: Guest>(cpu: *mut Cpu<G>, va: u64, meta: u32, insn_pc: u64) -> u64 {
    // SAFETY: by the contract of this function.
    let cpu = unsafe { &mut *cpu };
    place(cpu, meta, insn_pc);
    let value = cpu.value;
    let done = cpu.store(va, MemFlags(meta & 0xffff), value).map(|()| ON);
    finish::<G, false>(cpu, done, false)
}

/// Any op but terminators (`callend` excepted) and ops relative to the block's pc.
///
/// # Safety
/// As [`load`]; `op` points at an op in the code's constants.
pub unsafe extern "sysv64" fn op<G: Guest, const TIER2: bool>(
    cpu: *mut Cpu<G>,
    op: *const Op,
    meta: u32,
    insn_pc: u64,
) -> u64 {
    // SAFETY: by the contract of this function.
    let (cpu, op) = unsafe { (&mut *cpu, *op) };
    place(cpu, meta, insn_pc);
    cpu.merge_float_flags();
    let done = run(cpu, &op);
    // The helper may have set the rounding mode.
    cpu.left_fcr = super::fcr(cpu.fenv.rm);
    finish::<G, TIER2>(cpu, done, matches!(op.code, Opcode::Call | Opcode::CallEnd))
}

/// Brings the page of the load at `core.value` into the TLB; its addend, or [`NO_PAGE`], goes to `core.value`. For tier 2.
///
/// # Safety
/// As [`load`].
pub unsafe extern "sysv64" fn page_load<G: Guest>(cpu: *mut Cpu<G>) -> u64 {
    // SAFETY: by the contract of this function.
    page(unsafe { &mut *cpu }, Access::Load)
}

/// As [`page_load`], for stores.
///
/// # Safety
/// As [`load`].
pub unsafe extern "sysv64" fn page_store<G: Guest>(cpu: *mut Cpu<G>) -> u64 {
    // SAFETY: by the contract of this function.
    page(unsafe { &mut *cpu }, Access::Store)
}

fn page<G: Guest>(cpu: &mut Cpu<G>, access: Access) -> u64 {
    let (va, flags) = (cpu.value, MemFlags(cpu.core.access));
    cpu.value = cpu.page_addend(va, flags, access).unwrap_or(NO_PAGE);
    cpu.note_kills();
    ON
}

fn run<G: Guest>(cpu: &mut Cpu<G>, op: &Op) -> Result<u64, Exception> {
    match op.code {
        Opcode::Call => {
            if G::helper(cpu, op)? != Flow::Leave {
                return Ok(ON);
            }
            // The calling instruction is done, what was charged behind it is not.
            cpu.budget += cpu.unretired - 1;
            Ok(Exit::DISPATCH)
        }
        Opcode::CallEnd => Ok(match G::helper(cpu, op)? {
            Flow::Continue | Flow::Leave => Exit::DISPATCH,
            flow => {
                cpu.flow = flow;
                Exit::FLOW
            }
        }),
        _ => step(cpu, op).map(|()| ON),
    }
}
