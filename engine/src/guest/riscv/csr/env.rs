//! `menvcfg` and `senvcfg` (privileged specification, 3.1.18 and 10.1.10).

use super::bits::*;
use crate::exec::cpu::Cpu;
use crate::guest::riscv::Riscv;
use crate::guest::riscv::model::{Ext, Model};

fn lower_mask(model: &Model) -> u64 {
    let mut mask = ENVCFG_FIOM;
    if model.has(Ext::Zicbom) {
        mask |= ENVCFG_CBIE | ENVCFG_CBCFE;
    }
    if model.has(Ext::Zicboz) {
        mask |= ENVCFG_CBZE;
    }
    mask
}

fn upper_mask(model: &Model) -> u64 {
    [(Ext::Sstc, ENVCFG_STCE), (Ext::Svpbmt, ENVCFG_PBMTE), (Ext::Svadu, ENVCFG_ADUE)]
        .into_iter()
        .filter(|(e, _)| model.has(*e))
        .fold(0, |m, (_, bit)| m | bit)
}

/// CBIE = 2 is reserved: the field keeps what it has.
fn merge(old: u64, new: u64, mut mask: u64) -> u64 {
    if new & ENVCFG_CBIE == 2 << ENVCFG_CBIE_SHIFT {
        mask &= !ENVCFG_CBIE;
    }
    old & !mask | new & mask
}

pub fn set_menvcfg(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    let mask = lower_mask(&cpu.shared.model) | upper_mask(&cpu.shared.model);
    let old = cpu.ext.menvcfg;
    cpu.ext.menvcfg = merge(old, value, mask);
    let changed = old ^ cpu.ext.menvcfg;
    if changed & (ENVCFG_PBMTE | ENVCFG_ADUE) != 0 {
        cpu.tlb.flush_all();
        cpu.context_changed = true;
    }
}

pub fn set_senvcfg(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    cpu.ext.senvcfg = merge(cpu.ext.senvcfg, value, lower_mask(&cpu.shared.model));
}
