//! Counters, timer and their enables (privileged specification, 3.1.10 to 3.1.12, 10.1.5; Sstc).
//!
//! A cycle is an instruction: the interpreter and the compilers have no other notion of one that would be the same in
//! every tier. The programmable counters can be written and hold their value; no event is counted.

use super::bits::*;
use super::interrupt::update_timer;
use crate::exec::cpu::Cpu;
use crate::guest::riscv::Riscv;
use crate::guest::riscv::state::Mode;

/// Nanoseconds of a tick of `time`: 10 MHz, as the device tree says.
pub const NS_PER_TICK: u64 = 100;

/// `time` now.
pub fn ticks(cpu: &Cpu<Riscv>) -> u64 {
    cpu.now_ns() / NS_PER_TICK
}

pub fn time(cpu: &Cpu<Riscv>, _: u16) -> u64 {
    ticks(cpu)
}

/// Bit in `mcountinhibit` of `mcycle` and `minstret`.
const INHIBIT: [u32; 2] = [COUNTER_CY, COUNTER_IR];

fn fixed(cpu: &Cpu<Riscv>, i: usize) -> u64 {
    let base = cpu.ext.fixed[i];
    if cpu.ext.mcountinhibit & INHIBIT[i] != 0 { base } else { base.wrapping_add(cpu.instret()) }
}

pub fn cycle(cpu: &Cpu<Riscv>, _: u16) -> u64 {
    fixed(cpu, 0)
}

pub fn instret(cpu: &Cpu<Riscv>, _: u16) -> u64 {
    fixed(cpu, 1)
}

/// The written value is what the next instruction reads: the write replaces the increment of its own instruction.
fn store_fixed(cpu: &mut Cpu<Riscv>, i: usize, value: u64) {
    let running = cpu.ext.mcountinhibit & INHIBIT[i] == 0;
    let from = if running { cpu.instret().wrapping_add(1) } else { 0 };
    cpu.ext.fixed[i] = value.wrapping_sub(from);
}

pub fn set_fixed<const I: usize>(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    store_fixed(cpu, I, value);
}

pub fn set_mcountinhibit(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    let now = [fixed(cpu, 0), fixed(cpu, 1)];
    let before = cpu.ext.mcountinhibit;
    cpu.ext.mcountinhibit = value as u32 & !COUNTER_TM;
    for (i, bit) in INHIBIT.into_iter().enumerate() {
        if (before ^ cpu.ext.mcountinhibit) & bit != 0 {
            store_fixed(cpu, i, now[i]);
        }
    }
}

pub fn hpm(cpu: &Cpu<Riscv>, i: u16) -> u64 {
    cpu.ext.hpm.get(i as usize).copied().unwrap_or(0)
}

pub fn set_hpm(cpu: &mut Cpu<Riscv>, i: u16, value: u64, _: u64) {
    if let Some(c) = cpu.ext.hpm.get_mut(i as usize) {
        *c = value;
    }
}

pub fn hpm_event(cpu: &Cpu<Riscv>, i: u16) -> u64 {
    cpu.ext.hpm_event.get(i as usize).copied().unwrap_or(0)
}

pub fn set_hpm_event(cpu: &mut Cpu<Riscv>, i: u16, value: u64, _: u64) {
    if let Some(e) = cpu.ext.hpm_event.get_mut(i as usize) {
        *e = value;
    }
}

pub fn set_mcounteren(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    cpu.ext.mcounteren = value as u32;
}

pub fn set_scounteren(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    cpu.ext.scounteren = value as u32;
}

/// Whether counter `FIRST + place` may be read in the current mode.
pub fn enabled<const FIRST: u16>(cpu: &Cpu<Riscv>, place: u16) -> bool {
    let s = &cpu.ext;
    let open = match s.mode {
        Mode::Machine => return true,
        Mode::Supervisor => s.mcounteren,
        Mode::User => s.mcounteren & s.scounteren,
    };
    open >> ((FIRST + place) & 31) & 1 != 0
}

/// From below M-mode, `stimecmp` needs `menvcfg.STCE` and `mcounteren.TM`.
pub fn stimecmp_allowed(cpu: &Cpu<Riscv>, _: u16) -> bool {
    cpu.ext.menvcfg & ENVCFG_STCE != 0 && cpu.ext.mcounteren & COUNTER_TM != 0
}

pub fn set_stimecmp(cpu: &mut Cpu<Riscv>, _: u16, value: u64, _: u64) {
    set_timer(cpu, value);
}

/// Arms the supervisor timer at `time` tick `at`.
pub fn set_timer(cpu: &mut Cpu<Riscv>, at: u64) {
    cpu.ext.stimecmp = at;
    cpu.ext.timer_expired = false;
    update_timer(cpu);
}
