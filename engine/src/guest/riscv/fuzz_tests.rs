//! Nonsense from the guest: CSR accesses, SBI calls and page tables with random contents must neither panic nor leave a
//! state that the specification does not have.

use super::csr::{self, bits::*};
use super::state::Mode;
use super::testing::{RAM, RAM_LEN, machine, set_mode};
use super::{Riscv, mmu, sbi};
use crate::exec::cpu::Cpu;
use crate::guest::{Access, Guest};

/// xorshift64*; reproducible.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Values near the edges as often as any others.
    fn value(&mut self) -> u64 {
        match self.below(6) {
            0 => self.below(70),
            1 => u64::MAX - self.below(70),
            2 => 1 << self.below(64),
            3 => RAM + self.below(RAM_LEN + 64),
            4 => self.next() >> self.below(64),
            _ => self.next(),
        }
    }
}

fn check(cpu: &Cpu<Riscv>) {
    let s = &cpu.ext;
    let fixed = MSTATUS_UXL_64 | MSTATUS_SXL_64;
    assert_eq!(s.mstatus & !MSTATUS_WRITE, fixed, "{:#x}", s.mstatus);
    assert!(Mode::from_bits(s.mstatus >> MSTATUS_MPP_SHIFT).is_some());
    assert_eq!((s.mie & !INTERRUPTS, s.mideleg & !S_INTERRUPTS, s.medeleg & !DELEGABLE), (0, 0, 0));
    assert!(matches!(s.satp >> SATP_MODE_SHIFT, 0 | 8..=10));
    assert!(s.m.tvec & 3 < 2 && s.s.tvec & 3 < 2 && s.m.epc & 1 == 0 && s.s.epc & 1 == 0);
    assert!(cpu.fenv.flags < 32 && cpu.fenv.rm < 8);
}

#[test]
fn random_csr_accesses() {
    let mut r = Random(0x1234_5678_9abc_def1);
    let cpu = &mut machine(Default::default(), 1).cpus.remove(0);
    for _ in 0..300_000 {
        set_mode(cpu, [Mode::User, Mode::Supervisor, Mode::Machine, Mode::Machine][r.below(4) as usize]);
        let entry = &csr::TABLE[r.below(csr::TABLE.len() as u64) as usize];
        let number = entry.number as u64 + r.below(entry.count as u64 + 1);
        let insn = (number << 20 | r.below(32) << 15 | r.below(8) << 12 | 5 << 7 | 0x73) as u32;
        let value = r.value();
        let before = cpu.ext.clone();
        let done = csr::execute(cpu, insn, value);
        if done.is_err() {
            assert_eq!(cpu.ext, before, "a refused access changes nothing");
        }
        check(cpu);
    }
}

#[test]
fn random_sbi_calls() {
    const IDS: [u64; 9] = [
        0x10,
        0x5449_4d45,
        0x0073_5049,
        0x5246_4e43,
        0x0048_534d,
        0x5352_5354,
        0x4442_434e,
        0x0050_4d55,
        0x4350_5043,
    ];
    let mut r = Random(0xfeed_beef_1234_0001);
    let mut model = super::model::Model::default();
    model.builtin_sbi = true;
    let m = &mut machine(model, 3);
    let cpu = &mut m.cpus[0];
    Riscv::start(cpu, RAM, [0, 0]);
    for _ in 0..200_000 {
        for i in 10..16 {
            cpu.regs[i] = r.value();
        }
        cpu.regs[16] = r.below(9);
        cpu.regs[17] = if r.below(8) == 0 { r.below(10) } else { IDS[r.below(9) as usize] };
        // An exception is the guest's own: a legacy call with a bad address.
        let _ = sbi::call(cpu);
        check(cpu);
        assert!(cpu.ext.mode == Mode::Supervisor);
        m.platform.written.lock().clear();
        m.platform.events.lock().clear();
    }
}

#[test]
fn random_page_tables() {
    let mut r = Random(0x0bad_cafe_0000_0003);
    let cpu = &mut machine(Default::default(), 1).cpus.remove(0);
    let mut found = 0;
    for round in 0..120_000u64 {
        cpu.ext.pmp.open();
        if round % 64 == 0 {
            // Tables that point into themselves, with some of every bit.
            for at in (0..0x4000).step_by(8) {
                let frame = (RAM >> 12) + r.below(6);
                let bits = if r.below(3) == 0 { 1 } else { r.below(256) | 1 };
                let high = if r.below(16) == 0 { r.next() & 0x7ff << 53 } else { 0 };
                let pte = high | frame << 10 | bits;
                assert!(cpu.shared.memory.write(RAM + at, 3, pte).is_ok());
            }
        }
        let root = (RAM >> 12) + r.below(5);
        cpu.ext.satp = (8 + r.below(3)) << SATP_MODE_SHIFT | root;
        cpu.ext.menvcfg = r.next() & (ENVCFG_PBMTE | ENVCFG_ADUE);
        cpu.ext.pmp.set_cfg(1, r.next() as u8 & 0x7f);
        cpu.ext.pmp.set_addr(1, r.value());
        let va = if r.below(2) == 0 { r.next() >> 26 } else { r.value() };
        let access = [Access::Load, Access::Store, Access::Fetch][r.below(3) as usize];
        match mmu::translate(cpu, va, 1 << r.below(4), access, [0, 1, 2, 4, 5, 6][r.below(6) as usize]) {
            Ok(t) => {
                found += 1;
                assert!(t.pa < 1 << 56 && t.pa & 0xfff == va & 0xfff);
            }
            Err(e) => assert!(matches!(e.cause, 1 | 5 | 7 | 12 | 13 | 15) && e.tval == va),
        }
    }
    assert!(found > 500, "too few walks succeed to mean anything: {found}");
}

#[test]
fn hostile_states_do_not_enter_the_machine_mode_that_is_not_there() {
    let mut model = super::model::Model::default();
    model.builtin_sbi = true;
    let cpu = &mut machine(model, 1).cpus.remove(0);
    Riscv::start(cpu, RAM, [0, 0]);
    cpu.ext.mode = Mode::Machine;
    (cpu.ext.medeleg, cpu.ext.mideleg, cpu.ext.mie) = (0, 0, u64::MAX);
    Riscv::sanitise(cpu);
    assert_eq!((cpu.ext.mode, cpu.ext.medeleg, cpu.ext.mideleg), (Mode::Supervisor, DELEGABLE, S_INTERRUPTS));
    cpu.hart.lines.set_levels(u64::MAX);
    Riscv::poll(cpu);
    Riscv::raise(cpu, crate::guest::Exception { cause: CAUSE_LOAD_ACCESS, tval: 0 });
    assert_eq!(cpu.ext.mode, Mode::Supervisor);
}

#[test]
fn time_ends_rather_than_wraps() {
    let cpu = &mut machine(Default::default(), 1).cpus.remove(0);
    cpu.slice = 100;
    cpu.slice_ns = u64::MAX - 10;
    assert_eq!(cpu.now_ns(), u64::MAX);
}
