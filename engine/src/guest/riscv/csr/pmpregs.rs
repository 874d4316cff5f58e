//! `pmpcfg` and `pmpaddr` (privileged specification, 3.7.1). RV64 has only the even `pmpcfg`.

use crate::exec::cpu::Cpu;
use crate::guest::riscv::Riscv;
use crate::guest::riscv::model::Model;

pub fn exist(model: &Model) -> bool {
    model.pmp_regions > 0
}

pub fn cfg<const FIRST: usize>(cpu: &Cpu<Riscv>, _: u16) -> u64 {
    (0..8).fold(0, |v, i| v | (cpu.ext.pmp.cfg(FIRST + i) as u64) << (8 * i))
}

fn changed(cpu: &mut Cpu<Riscv>) {
    cpu.tlb.flush_all();
    cpu.context_changed = true;
}

pub fn set_cfg<const FIRST: usize>(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    let bytes = value.to_le_bytes();
    let mut any = false;
    for (i, b) in bytes.into_iter().enumerate() {
        any |= cpu.ext.pmp.set_cfg(FIRST + i, b);
    }
    if any {
        changed(cpu);
    }
}

pub fn addr(cpu: &Cpu<Riscv>, i: u16) -> u64 {
    cpu.ext.pmp.addr(i as usize)
}

pub fn set_addr(cpu: &mut Cpu<Riscv>, i: u16, value: u64, _: u64) {
    if cpu.ext.pmp.set_addr(i as usize, value) {
        changed(cpu);
    }
}
