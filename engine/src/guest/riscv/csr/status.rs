//! `mstatus`, `sstatus`, `satp`, `misa` (privileged specification, 3.1.1, 3.1.6, 10.1.1, 10.1.11).

use super::bits::*;
use crate::exec::cpu::Cpu;
use crate::guest::riscv::model::{Model, VmMode};
use crate::guest::riscv::state::Mode;
use crate::guest::riscv::{Riscv, mmu};

const fn letters(text: &[u8]) -> u64 {
    let mut bits = 0;
    let mut i = 0;
    while i < text.len() {
        bits |= 1 << (text[i] - b'A');
        i += 1;
    }
    bits
}

/// `misa`, fixed: MXL = 64 bits, and the single-letter extensions.
pub const MISA: u64 = 2 << 62 | letters(b"IMAFDCSU");

fn with_sd(bits: u64) -> u64 {
    if bits & MSTATUS_FS == MSTATUS_FS { bits | MSTATUS_SD } else { bits }
}

pub fn mstatus(cpu: &Cpu<Riscv>, _: u16) -> u64 {
    with_sd(cpu.ext.mstatus)
}

pub fn sstatus(cpu: &Cpu<Riscv>, _: u16) -> u64 {
    with_sd(cpu.ext.mstatus & super::moves::SSTATUS)
}

/// Replaces `mstatus`, whose fields are legal already, and tells whoever depends on a changed field.
pub fn write_mstatus(cpu: &mut Cpu<Riscv>, new: u64) {
    let changed = cpu.ext.mstatus ^ new;
    cpu.ext.mstatus = new;
    if changed & (MSTATUS_MPRV | MSTATUS_MPP | MSTATUS_SUM | MSTATUS_MXR) != 0 {
        cpu.select_address_space();
    }
    if changed & MSTATUS_FS != 0 {
        cpu.context_changed = true;
    }
}

fn merge(cpu: &mut Cpu<Riscv>, value: u64, mut mask: u64) {
    if Mode::from_bits(value >> MSTATUS_MPP_SHIFT).is_none() {
        mask &= !MSTATUS_MPP;
    }
    let new = cpu.ext.mstatus & !mask | value & mask;
    write_mstatus(cpu, new);
}

pub fn set_mstatus(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    merge(cpu, value, MSTATUS_WRITE);
}

pub fn set_sstatus(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    merge(cpu, value, SSTATUS_WRITE);
}

pub fn satp_allowed(cpu: &Cpu<Riscv>, _: u16) -> bool {
    cpu.ext.mode != Mode::Supervisor || cpu.ext.mstatus & MSTATUS_TVM == 0
}

fn supports(model: &Model, mode: u64) -> bool {
    match mode {
        mmu::SATP_BARE | mmu::SATP_SV39 => true,
        mmu::SATP_SV48 => model.vm >= VmMode::Sv48,
        mmu::SATP_SV57 => model.vm >= VmMode::Sv57,
        _ => false,
    }
}

/// A write with an unsupported mode has no effect at all.
pub fn set_satp(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    if supports(&cpu.shared.model, value >> SATP_MODE_SHIFT) && cpu.ext.satp != value {
        cpu.ext.satp = value;
        cpu.select_address_space();
    }
}
