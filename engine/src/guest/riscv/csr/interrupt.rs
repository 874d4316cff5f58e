//! `mip`, `mie`, `mideleg` and their supervisor views (privileged specification, 3.1.9 and 10.1.3).

use super::bits::*;
use super::counter::ticks;
use crate::exec::cpu::Cpu;
use crate::guest::riscv::Riscv;
use crate::guest::riscv::model::Ext;

/// Whether `stimecmp` drives STIP: by Sstc, or as the timer of the built-in SBI.
pub fn timer_drives(cpu: &Cpu<Riscv>) -> bool {
    let model = &cpu.shared.model;
    model.builtin_sbi || model.has(Ext::Sstc) && cpu.ext.menvcfg & ENVCFG_STCE != 0
}

/// Reads the clock to see whether the supervisor timer has expired. Once it has, it stays so until it is set again.
pub fn update_timer(cpu: &mut Cpu<Riscv>) {
    if !cpu.ext.timer_expired && cpu.ext.stimecmp != u64::MAX {
        cpu.ext.timer_expired = ticks(cpu) >= cpu.ext.stimecmp;
    }
}

fn pending_with(cpu: &Cpu<Riscv>, timer: bool) -> u64 {
    let lines = cpu.hart.lines.levels() & (SSIP | MSIP | MTIP | SEIP | MEIP);
    let stip = if timer_drives(cpu) { timer } else { cpu.ext.mip & STIP != 0 };
    lines | cpu.ext.mip & SEIP | if stip { STIP } else { 0 }
}

/// Pending interrupts: lines, software bits and the supervisor timer as the last poll saw it.
pub fn pending_at_poll(cpu: &Cpu<Riscv>) -> u64 {
    pending_with(cpu, cpu.ext.timer_expired)
}

/// Pending interrupts now.
pub fn pending(cpu: &Cpu<Riscv>) -> u64 {
    let at = cpu.ext.stimecmp;
    pending_with(cpu, cpu.ext.timer_expired || at != u64::MAX && ticks(cpu) >= at)
}

pub fn mip(cpu: &Cpu<Riscv>, _: u16) -> u64 {
    pending(cpu)
}

/// Only the bits in `mask` are written, so that a line that rises meanwhile is not lost, and the external SEIP line is
/// never copied into its software bit.
pub fn set_mip(cpu: &mut Cpu<Riscv>, _: u16, value: u64, mask: u64) {
    let mut soft = SEIP;
    if !timer_drives(cpu) {
        soft |= STIP;
    }
    cpu.ext.mip = cpu.ext.mip & !(soft & mask) | value & soft & mask;
    if mask & SSIP != 0 {
        cpu.hart.lines.set(SSIP_LINE, value & SSIP != 0);
    }
}

pub fn set_mie(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    cpu.ext.mie = value & INTERRUPTS;
}

pub fn set_mideleg(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    cpu.ext.mideleg = value & S_INTERRUPTS;
}

pub fn sie(cpu: &Cpu<Riscv>, _: u16) -> u64 {
    cpu.ext.mie & cpu.ext.mideleg
}

pub fn set_sie(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    let delegated = cpu.ext.mideleg;
    cpu.ext.mie = cpu.ext.mie & !delegated | value & delegated;
}

pub fn sip(cpu: &Cpu<Riscv>, _: u16) -> u64 {
    pending(cpu) & cpu.ext.mideleg
}

/// Of `sip` only SSIP can be written.
pub fn set_sip(cpu: &mut Cpu<Riscv>, _: u16, value: u64, mask: u64) {
    set_mip(cpu, 0, value, mask & cpu.ext.mideleg & SSIP);
}
