//! `xtvec` and `medeleg` (privileged specification, 3.1.7, 3.1.8, 10.1.2).

use super::bits::DELEGABLE;
use crate::exec::cpu::Cpu;
use crate::guest::riscv::Riscv;

/// Direct and vectored; a write of a reserved mode has no effect.
fn legal_tvec(value: u64) -> bool {
    value & 3 < 2
}

pub fn set_stvec(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    if legal_tvec(value) {
        cpu.ext.s.tvec = value;
    }
}

pub fn set_mtvec(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    if legal_tvec(value) {
        cpu.ext.m.tvec = value;
    }
}

pub fn set_medeleg(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    cpu.ext.medeleg = value & DELEGABLE;
}
