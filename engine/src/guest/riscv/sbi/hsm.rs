//! Hart state management.
//!
//! What other harts may see is in the hart's firmware word; whether it runs is the engine's own started flag. A start is
//! claimed by compare-and-swap, so that two callers cannot both start a hart.

use super::{Answer, Args, Error, Reply, start, value};
use crate::exec::cpu::Cpu;
use crate::exec::hart::Request;
use crate::guest::Flow;
use crate::guest::riscv::Riscv;
use std::sync::atomic::Ordering;

/// Firmware word: nothing beyond the started flag.
pub const WORD_NONE: u32 = 0;
/// Firmware word: a start was asked for and has not happened.
pub const WORD_START_PENDING: u32 = 2;
/// Firmware word: suspended.
pub const WORD_SUSPENDED: u32 = 4;

const STARTED: u64 = 0;
const STOPPED: u64 = 1;
const START_PENDING: u64 = 2;
const SUSPENDED: u64 = 4;

const SUSPEND_RETENTIVE: u64 = 0;
const SUSPEND_NON_RETENTIVE: u64 = 0x8000_0000;

pub(super) fn call(cpu: &mut Cpu<Riscv>, function: u64, args: &Args) -> Answer {
    match function {
        0 => hart_start(cpu, args[0], args[1], args[2]),
        1 => {
            cpu.hart.set_started(false);
            Ok(Reply::After(Flow::Park))
        }
        2 => status(cpu, args[0]),
        3 => suspend(cpu, args[0], args[1], args[2]),
        _ => Err(Error::NotSupported),
    }
}

fn status(cpu: &Cpu<Riscv>, id: u64) -> Answer {
    let hart = usize::try_from(id).ok().and_then(|i| cpu.shared.harts.get(i)).ok_or(Error::InvalidParam)?;
    value(match (hart.firmware.load(Ordering::Acquire), hart.is_started()) {
        (WORD_START_PENDING, _) => START_PENDING,
        (WORD_SUSPENDED, true) => SUSPENDED,
        (_, true) => STARTED,
        (_, false) => STOPPED,
    })
}

fn hart_start(cpu: &mut Cpu<Riscv>, id: u64, pc: u64, opaque: u64) -> Answer {
    let shared = cpu.shared.clone();
    let hart = usize::try_from(id).ok().and_then(|i| shared.harts.get(i)).ok_or(Error::InvalidParam)?;
    if hart.is_started() {
        return Err(Error::AlreadyAvailable);
    }
    if !shared.memory.is_memory(pc) {
        return Err(Error::InvalidAddress);
    }
    let claim =
        hart.firmware.compare_exchange(WORD_NONE, WORD_START_PENDING, Ordering::AcqRel, Ordering::Acquire);
    if claim.is_err() {
        return Err(Error::AlreadyAvailable);
    }
    hart.post(Request::Start(pc, [id, opaque]), None);
    value(0)
}

/// Retentive: the call returns when an interrupt is pending. Non-retentive: the hart goes on at `resume` as if started.
fn suspend(cpu: &mut Cpu<Riscv>, kind: u64, resume: u64, opaque: u64) -> Answer {
    let reply = match kind {
        SUSPEND_RETENTIVE => Reply::After(Flow::Wait),
        SUSPEND_NON_RETENTIVE => {
            if !cpu.shared.memory.is_memory(resume) {
                return Err(Error::InvalidAddress);
            }
            let id = cpu.hart.id as u64;
            start::resume(cpu, resume, [id, opaque]);
            Reply::Elsewhere(Flow::Wait)
        }
        // Platform-specific kinds.
        0x1000_0000..=0x7fff_ffff | 0x9000_0000..=0xffff_ffff => return Err(Error::NotSupported),
        _ => return Err(Error::InvalidParam),
    };
    cpu.ext.suspended = true;
    cpu.hart.firmware.store(WORD_SUSPENDED, Ordering::Release);
    Ok(reply)
}

/// The hart runs again.
pub fn woken(cpu: &mut Cpu<Riscv>) {
    if cpu.ext.suspended {
        cpu.ext.suspended = false;
        cpu.hart.firmware.store(WORD_NONE, Ordering::Release);
    }
}

/// The hart has been started: its claim ends only after the started flag is set, so that no second start can slip between.
pub fn started(cpu: &Cpu<Riscv>) {
    cpu.hart.set_started(true);
    cpu.hart.firmware.store(WORD_NONE, Ordering::Release);
}

/// The hart's state was restored.
pub fn restored(cpu: &Cpu<Riscv>) {
    let word = if cpu.ext.suspended { WORD_SUSPENDED } else { WORD_NONE };
    cpu.hart.firmware.store(word, Ordering::Release);
}
