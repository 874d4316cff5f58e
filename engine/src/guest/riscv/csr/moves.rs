//! CSRs that compilers read and write inline: plain words of the state, whose only condition is the privilege mode, and the
//! counters of instructions.
//!
//! The problem: a system call reads and writes a dozen of them, and a helper call for each would be most of what it costs.

use super::bits::*;
use crate::exec::cpu::Cpu;
use crate::guest::riscv::Riscv;
use crate::guest::riscv::helpers::Helper;
use crate::guest::riscv::model::{Ext, Model};
use crate::guest::riscv::state::State;
use crate::guest::{StateChange, StateGuard, StateMove, StateMoves, StateWrite};
use crate::ir::Op;
use crate::ir::op::CallSite;
use std::mem::offset_of;

/// What of `mstatus` is seen through `sstatus`.
pub const SSTATUS: u64 = SSTATUS_WRITE | 3 << 32;

/// Where a plain CSR is in the state.
fn plain(number: u16) -> Option<usize> {
    Some(match number {
        0x140 => offset_of!(State, s.scratch),
        0x141 => offset_of!(State, s.epc),
        0x142 => offset_of!(State, s.cause),
        0x143 => offset_of!(State, s.tval),
        0x340 => offset_of!(State, m.scratch),
        0x341 => offset_of!(State, m.epc),
        0x342 => offset_of!(State, m.cause),
        0x343 => offset_of!(State, m.tval),
        _ => return None,
    })
}

/// How the Zicsr instruction `insn` changes its register; `None`: not at all.
fn write(insn: u32) -> Option<StateWrite> {
    let rs1 = insn >> 15 & 31;
    let how = match insn >> 12 & 3 {
        1 => StateChange::Replace,
        _ if rs1 == 0 => return None,
        2 => StateChange::Set,
        _ => StateChange::Clear,
    };
    let even = matches!(insn >> 20, 0x141 | 0x341);
    Some(StateWrite { how, number: (insn & 1 << 14 != 0).then_some(rs1 as u8), even })
}

/// Whether the instruction clears bits of `sstatus` by an immediate operand, which reaches SIE alone of all that can be written.
pub fn only_clears_sie(insn: u32) -> bool {
    insn >> 20 == 0x100 && insn >> 12 & 7 == 7
}

/// Which calls of helpers are moves on this model.
pub fn state_moves(model: &Model) -> StateMoves {
    if model.has(Ext::Zicntr) { |op| state_move(op).or_else(|| count(op)) } else { state_move }
}

/// The Zicsr instruction that the op is.
fn zicsr(op: &Op) -> Option<u32> {
    (CallSite(op.aux).id() == Helper::Csr as u16).then_some(op.imm as u32)
}

/// What a call of the CSR helper does, if it reads `cycle` or `instret`. Reads of those that have been stopped, or that only M-mode may
/// read or M-mode and S-mode, are left to the helper.
fn count(op: &Op) -> Option<StateMove> {
    let insn = zicsr(op)?;
    let (i, bits) = match insn >> 20 {
        0xc00 => (0, COUNTER_CY),
        0xc02 => (1, COUNTER_IR),
        _ => return None,
    };
    let ext = offset_of!(Cpu<Riscv>, ext);
    let guard = StateGuard::Bits {
        set: [ext + offset_of!(State, mcounteren), ext + offset_of!(State, scounteren)],
        clear: ext + offset_of!(State, mcountinhibit),
        bits,
    };
    let at = ext + offset_of!(State, fixed) + i * size_of::<u64>();
    let counts = Some([offset_of!(Cpu<Riscv>, retired_base), offset_of!(Cpu<Riscv>, slice)]);
    let reads = write(insn).is_none();
    reads.then_some(StateMove { at, counts, guard, seen: u64::MAX, summary: 0, write: None })
}

/// What a call of the CSR helper does, if it moves a plain word.
fn state_move(op: &Op) -> Option<StateMove> {
    let insn = zicsr(op)?;
    let number = (insn >> 20) as u16;
    let ext = offset_of!(Cpu<Riscv>, ext);
    let guard = StateGuard::AtLeast { at: ext + offset_of!(State, mode), least: (number >> 8 & 3) as u8 };
    if number == 0x100 {
        let write = write(insn);
        if write.is_some() && !only_clears_sie(insn) {
            return None;
        }
        let write = write.map(|w| StateWrite { number: w.number.map(|n| n & SSTATUS_WRITE as u8), ..w });
        let at = ext + offset_of!(State, mstatus);
        return Some(StateMove { at, counts: None, guard, seen: SSTATUS, summary: MSTATUS_FS as u32, write });
    }
    let at = ext + plain(number)?;
    Some(StateMove { at, counts: None, guard, seen: u64::MAX, summary: 0, write: write(insn) })
}
