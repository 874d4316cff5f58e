//! The state in which a kernel gets a hart: as OpenSBI leaves it, with everything delegated because nothing is behind it.

use super::A0;
use crate::exec::cpu::Cpu;
use crate::guest::riscv::Riscv;
use crate::guest::riscv::csr::bits::*;
use crate::guest::riscv::model::{Ext, Model};
use crate::guest::riscv::state::{Mode, State};

/// What firmware enables for S-mode in `menvcfg`.
fn menvcfg(model: &Model) -> u64 {
    let bits = [
        (Ext::Sstc, ENVCFG_STCE),
        (Ext::Svpbmt, ENVCFG_PBMTE),
        (Ext::Svadu, ENVCFG_ADUE),
        (Ext::Zicboz, ENVCFG_CBZE),
        (Ext::Zicbom, ENVCFG_CBCFE | 3 << ENVCFG_CBIE_SHIFT),
    ];
    bits.into_iter().filter(|(e, _)| model.has(*e)).fold(0, |m, (_, b)| m | b)
}

/// Registers of a hart that enters the kernel at `pc`: S-mode, no translation, interrupts off, a0 and a1 as given.
pub fn resume(cpu: &mut Cpu<Riscv>, pc: u64, args: [u64; 2]) {
    cpu.pc = pc;
    cpu.regs[A0] = args[0];
    cpu.regs[A0 + 1] = args[1];
    cpu.set_reservation(None);
    let s = &mut cpu.ext;
    s.mode = Mode::Supervisor;
    s.mstatus = MSTATUS_UXL_64 | MSTATUS_SXL_64 | MSTATUS_FS;
    s.satp = 0;
    cpu.select_address_space();
}

/// Hands a hart to the kernel at `pc`: a0 is the hart number, a1 the device tree or the caller's value.
pub fn hand_over(cpu: &mut Cpu<Riscv>, pc: u64, args: [u64; 2]) {
    let model = &cpu.shared.model;
    let mut s = State::reset(model, cpu.hart.id);
    s.medeleg = DELEGABLE;
    s.mideleg = S_INTERRUPTS;
    s.mcounteren = u32::MAX;
    s.scounteren = COUNTER_CY | COUNTER_TM | COUNTER_IR;
    s.mcountinhibit = !(COUNTER_CY | COUNTER_TM | COUNTER_IR);
    s.menvcfg = menvcfg(model);
    s.s.tvec = pc & !3;
    s.pmp.open();
    cpu.ext = s;
    cpu.hart.lines.set(SSIP_LINE, false);
    cpu.tlb.flush_all();
    resume(cpu, pc, args);
}
