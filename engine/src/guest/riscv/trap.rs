//! Taking exceptions and interrupts, and returning from them (privileged specification, 3.1.6, 3.1.9, 3.3.2, 10.1).

use super::Riscv;
use super::csr::bits::*;
use super::csr::{self, write_mstatus};
use super::state::Mode;
use super::tally;
use crate::exec::cpu::Cpu;
use crate::guest::Exception;

/// The illegal-instruction exception of the instruction with these bits.
pub fn illegal(bits: u32) -> Exception {
    Exception { cause: CAUSE_ILLEGAL, tval: bits as u64 }
}

/// Enters the handler of `cause`; `epc` is where the interrupted program goes on.
fn enter(cpu: &mut Cpu<Riscv>, cause: u64, tval: u64, epc: u64) {
    let interrupt = cause & CAUSE_INTERRUPT != 0;
    let number = cause & !CAUSE_INTERRUPT;
    cpu.traps.add(tally::trap_slot(interrupt, number));
    let s = &mut cpu.ext;
    let delegated = if interrupt { s.mideleg } else { s.medeleg };
    let to_s = s.mode <= Mode::Supervisor && number < 64 && delegated >> number & 1 != 0;
    let from = s.mode;
    let mut status = s.mstatus;
    let move_bit = |status: u64, bit: u64, to: u64| {
        let cleared = status & !(bit | to);
        if status & bit != 0 { cleared | to } else { cleared }
    };
    let regs = if to_s {
        status = move_bit(status, MSTATUS_SIE, MSTATUS_SPIE) & !MSTATUS_SPP;
        if from == Mode::Supervisor {
            status |= MSTATUS_SPP;
        }
        s.mode = Mode::Supervisor;
        &mut s.s
    } else {
        status = move_bit(status, MSTATUS_MIE, MSTATUS_MPIE) & !MSTATUS_MPP;
        status |= (from as u64) << MSTATUS_MPP_SHIFT;
        s.mode = Mode::Machine;
        &mut s.m
    };
    (regs.epc, regs.cause, regs.tval) = (epc & !1, cause, tval);
    let vectored = interrupt && regs.tvec & 3 == 1;
    let base = regs.tvec & !3;
    cpu.pc = if vectored { base.wrapping_add(4 * number) } else { base };
    cpu.ext.mstatus = status;
    cpu.set_reservation(None);
    cpu.select_address_space();
}

/// Takes exception `e` of the instruction at `insn_pc`.
pub fn raise(cpu: &mut Cpu<Riscv>, e: Exception) {
    let epc = cpu.insn_pc;
    enter(cpu, e.cause & !CAUSE_INTERRUPT, e.tval, epc);
}

/// Interrupts that the current mode and global enables let through, of those that `mie` enables.
fn takeable(cpu: &Cpu<Riscv>) -> u64 {
    let s = &cpu.ext;
    let m_on = s.mode < Mode::Machine || s.mstatus & MSTATUS_MIE != 0;
    let s_on = s.mode < Mode::Supervisor || s.mode == Mode::Supervisor && s.mstatus & MSTATUS_SIE != 0;
    let m = if m_on { !s.mideleg } else { 0 };
    let s_mask = if s_on { s.mideleg } else { 0 };
    s.mie & (m | s_mask)
}

/// Of the interrupts in `ready`, the one to take. Those for M-mode come first, then MEI, MSI, MTI, SEI, SSI, STI.
fn choose(cpu: &Cpu<Riscv>, ready: u64) -> Option<u64> {
    let for_m = ready & !cpu.ext.mideleg;
    let ready = if for_m != 0 { for_m } else { ready };
    [11, 3, 7, 9, 1, 5].into_iter().find(|n| ready >> n & 1 != 0)
}

fn take(cpu: &mut Cpu<Riscv>, ready: u64) -> bool {
    let Some(number) = choose(cpu, ready) else { return false };
    let epc = cpu.pc;
    enter(cpu, CAUSE_INTERRUPT | number, 0, epc);
    true
}

/// Takes the next interrupt, if there is one.
pub fn poll(cpu: &mut Cpu<Riscv>) -> bool {
    csr::update_timer(cpu);
    let ready = csr::pending(cpu) & takeable(cpu);
    take(cpu, ready)
}

/// Interrupts that can be taken, the supervisor timer as the last poll saw it.
fn ready(cpu: &Cpu<Riscv>) -> u64 {
    match takeable(cpu) {
        0 => 0,
        wanted => csr::pending_at_poll(cpu) & wanted,
    }
}

/// Whether [`poll_after_change`] would take an interrupt.
pub fn is_due(cpu: &Cpu<Riscv>) -> bool {
    ready(cpu) != 0
}

/// The same as [`poll`] after an instruction that may have unmasked one; the supervisor timer is as the last poll saw it.
pub fn poll_after_change(cpu: &mut Cpu<Riscv>) {
    let ready = ready(cpu);
    take(cpu, ready);
}

/// Whether WFI ends: something is pending that `mie` enables, whatever the global enables say.
pub fn wakes(cpu: &Cpu<Riscv>) -> bool {
    cpu.ext.mie != 0 && csr::pending(cpu) & cpu.ext.mie != 0
}

/// When the supervisor timer will raise an enabled interrupt, in ns.
pub fn deadline(cpu: &Cpu<Riscv>) -> Option<u64> {
    let armed = csr::timer_drives(cpu) && cpu.ext.mie & STIP != 0 && !cpu.ext.timer_expired;
    if !armed {
        return None;
    }
    cpu.ext.stimecmp.checked_mul(csr::NS_PER_TICK)
}

/// MRET.
pub fn mret(cpu: &mut Cpu<Riscv>, bits: u32) -> Result<(), Exception> {
    if cpu.ext.mode != Mode::Machine {
        return Err(illegal(bits));
    }
    let old = cpu.ext.mstatus;
    let to = Mode::from_bits(old >> MSTATUS_MPP_SHIFT).unwrap_or(Mode::User);
    let mut new = old & !(MSTATUS_MIE | MSTATUS_MPP) | MSTATUS_MPIE;
    if old & MSTATUS_MPIE != 0 {
        new |= MSTATUS_MIE;
    }
    let epc = cpu.ext.m.epc;
    leave(cpu, to, new, epc);
    Ok(())
}

/// SRET.
pub fn sret(cpu: &mut Cpu<Riscv>, bits: u32) -> Result<(), Exception> {
    let old = cpu.ext.mstatus;
    let trapped = cpu.ext.mode == Mode::Supervisor && old & MSTATUS_TSR != 0;
    if cpu.ext.mode == Mode::User || trapped {
        return Err(illegal(bits));
    }
    let to = if old & MSTATUS_SPP != 0 { Mode::Supervisor } else { Mode::User };
    let mut new = old & !(MSTATUS_SIE | MSTATUS_SPP) | MSTATUS_SPIE;
    if old & MSTATUS_SPIE != 0 {
        new |= MSTATUS_SIE;
    }
    let epc = cpu.ext.s.epc;
    leave(cpu, to, new, epc);
    Ok(())
}

/// Returns to `mode`. Leaving M-mode clears MPRV; any return ends a reservation.
fn leave(cpu: &mut Cpu<Riscv>, mode: Mode, mut status: u64, epc: u64) {
    if mode != Mode::Machine {
        status &= !MSTATUS_MPRV;
    }
    cpu.ext.mode = mode;
    cpu.pc = epc;
    cpu.set_reservation(None);
    write_mstatus(cpu, status);
    cpu.select_address_space();
}

#[cfg(test)]
mod tests;
