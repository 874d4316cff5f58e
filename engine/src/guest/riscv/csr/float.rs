//! `fflags`, `frm`, `fcsr` (unprivileged specification, chapter "F"), and `mstatus.FS`.

use super::bits::*;
use crate::exec::cpu::Cpu;
use crate::guest::Guest;
use crate::guest::riscv::Riscv;

pub fn on(cpu: &Cpu<Riscv>, _: u16) -> bool {
    cpu.ext.float_state() != 0
}

pub fn fflags(cpu: &Cpu<Riscv>, _: u16) -> u64 {
    cpu.fenv.flags as u64 & 0x1f
}

pub fn frm(cpu: &Cpu<Riscv>, _: u16) -> u64 {
    cpu.fenv.rm as u64 & 7
}

pub fn fcsr(cpu: &Cpu<Riscv>, _: u16) -> u64 {
    frm(cpu, 0) << 5 | fflags(cpu, 0)
}

fn set(cpu: &mut Cpu<Riscv>, flags: u64, rm: u64) {
    let before = Riscv::block_key(cpu);
    cpu.fenv.flags = (flags & 0x1f) as u8;
    cpu.fenv.rm = (rm & 7) as u8;
    cpu.ext.mstatus |= MSTATUS_FS;
    if Riscv::block_key(cpu) != before {
        cpu.context_changed = true;
    }
}

pub fn set_fflags(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    set(cpu, value, frm(cpu, 0));
}

pub fn set_frm(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    set(cpu, fflags(cpu, 0), value);
}

pub fn set_fcsr(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    set(cpu, value, value >> 5);
}
