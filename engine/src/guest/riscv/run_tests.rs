//! Privileged behaviour that needs running code: fetches under PMP, traps to handlers, page tables.

use super::Riscv;
use super::csr::bits::*;
use super::state::Mode;
use super::testing::{RAM, RAM_LEN, machine, set_mode};
use crate::cache::code::CodeMap;
use crate::exec::vcpu::Vcpu;

const NOP: u32 = 0x0000_0013;

/// A hart in M-mode with PMP open and these instructions at [`RAM`].
fn vcpu(code: &[u32]) -> Vcpu<Riscv> {
    let m = machine(Default::default(), 1);
    let shared = m.cpus[0].shared.clone();
    let bytes: Vec<u8> = code.iter().flat_map(|i| i.to_le_bytes()).collect();
    assert!(shared.memory.load(RAM, &bytes));
    let map = CodeMap::new(shared.memory.clone());
    let mut v = Vcpu::new(shared, map, 0);
    v.cpu.ext.pmp.open();
    v.cpu.pc = RAM;
    v
}

fn run(v: &mut Vcpu<Riscv>, insns: i64) {
    v.begin_slice(insns);
    v.run(true);
    v.end_slice();
}

#[test]
fn fetches_stop_at_the_border_of_a_pmp_region() {
    for (border, last) in [(RAM + 0x100, RAM + 0x100), (RAM + 0x104, RAM + 0x104)] {
        let v = &mut vcpu(&[NOP; 0x100]);
        v.cpu.ext.m.tvec = RAM + 0x1000;
        v.cpu.ext.pmp.set_addr(1, u64::MAX);
        v.cpu.ext.pmp.set_cfg(1, 0x1f);
        v.cpu.ext.pmp.set_addr(0, border >> 2);
        v.cpu.ext.pmp.set_cfg(0, 2 << 3);
        set_mode(&mut v.cpu, Mode::Supervisor);
        v.cpu.pc = RAM + 0xf0;
        run(v, (last - (RAM + 0xf0)) as i64 / 4 + 1);
        let m = v.cpu.ext.m;
        assert_eq!((m.cause, m.epc, m.tval), (CAUSE_FETCH_ACCESS, last, last));
    }
}

#[test]
fn a_long_instruction_over_a_pmp_border_faults_at_itself() {
    // c.nop at the border's page, so that the long instruction lies at 2 modulo 4.
    let v = &mut vcpu(&[0x0013_0001, NOP << 16]);
    v.cpu.ext.m.tvec = RAM + 0x1000;
    v.cpu.ext.pmp.set_addr(1, u64::MAX);
    v.cpu.ext.pmp.set_cfg(1, 0x1f);
    v.cpu.ext.pmp.set_addr(0, (RAM + 4) >> 2);
    v.cpu.ext.pmp.set_cfg(0, 2 << 3);
    set_mode(&mut v.cpu, Mode::Supervisor);
    run(v, 2);
    let m = v.cpu.ext.m;
    assert_eq!((m.cause, m.epc, m.tval), (CAUSE_FETCH_ACCESS, RAM + 2, RAM + 4));
}

#[test]
fn the_second_half_of_an_instruction_over_two_pages_can_be_rewritten() {
    // A loop over the border of two pages: `addi x5, x5, 1` whose immediate lies in the second page, then a jump back.
    let v = &mut vcpu(&[NOP; 0x800]);
    let border = RAM + 0x1000;
    let add = 1u32 << 20 | 5 << 15 | 5 << 7 | 0x13;
    assert!(v.cpu.shared.memory.load(border - 2, &add.to_le_bytes()));
    v.cpu.pc = border - 2;
    run(v, 1);
    assert_eq!(v.cpu.regs[5], 1);
    // Immediate 3 instead of 1.
    assert_eq!(v.cpu.shared.memory.write(border, 1, (add >> 16 | 2 << 4) as u64), Ok(()));
    v.cpu.pc = border - 2;
    run(v, 1);
    assert_eq!(v.cpu.regs[5], 4);
}

/// `sd a0, 0(a1); ld a2, 0(a1)`, misaligned at every offset round the border of two pages, the second of which is there or not.
#[test]
fn misaligned_accesses_over_pages_are_done_whole_or_not_at_all() {
    let border = RAM + RAM_LEN - 0x1000;
    for end in [border, RAM + RAM_LEN] {
        for back in 1..8 {
            let v = &mut vcpu(&[0x00a5_b023, 0x0005_b603]);
            let memory = v.cpu.shared.memory.clone();
            v.cpu.ext.m.tvec = RAM + 0x1000;
            let at = end - back;
            let old = 0x1122_3344_5566_7788u64;
            assert!(memory.load(end - 8, &old.to_le_bytes()));
            (v.cpu.regs[10], v.cpu.regs[11]) = (0xa1a2_a3a4_a5a6_a7a8, at);
            // Twice: by the walk, and by the TLB.
            for _ in 0..2 {
                v.cpu.pc = RAM;
                run(v, if end == border { 2 } else { 1 });
                if end == border {
                    assert_eq!((v.cpu.regs[12], v.cpu.pc), (v.cpu.regs[10], RAM + 8));
                    assert_eq!(
                        memory.read(end - 8, 3).map(|w| w << (8 * back) >> (8 * back)),
                        Ok(old << (8 * back) >> (8 * back))
                    );
                } else {
                    let m = v.cpu.ext.m;
                    assert_eq!((m.cause, m.epc, m.tval), (CAUSE_STORE_ACCESS, RAM, end));
                    assert_eq!(memory.read(end - 8, 3), Ok(old));
                }
            }
        }
    }
}

/// Two blocks of one virtual page, in two physical pages because its mapping changed between them, are not linked: the first
/// may be entered again under the old mapping.
#[test]
fn links_do_not_outlive_a_mapping() {
    const SATP: u64 = 8 << 60 | (RAM + 0x10_0000) >> 12;
    const SEEN: u64 = 0x4000_0000;
    let leaf = |pa: u64| pa >> 12 << 10 | 0xcf;
    let v = &mut vcpu(&[]);
    let memory = v.cpu.shared.memory.clone();
    let word = |at: u64, w: u64| assert_eq!(memory.write(at, 3, w), Ok(()));
    let table = |n: u64| RAM + 0x10_0000 + n * 0x1000;
    word(table(0) + 8, table(1) >> 12 << 10 | 1);
    word(table(1), table(2) >> 12 << 10 | 1);
    // Both pages: beqz a1, +8; addi a0, zero, 1 or 2; j back to the start.
    let pages = [RAM + 0x20_000, RAM + 0x21_000];
    for (n, page) in pages.iter().enumerate() {
        let code = [0x0005_8463u32, 0x0000_0513 | (n as u32 + 1) << 20, 0xff9f_f06f];
        let bytes: Vec<u8> = code.iter().flat_map(|i| i.to_le_bytes()).collect();
        assert!(memory.load(*page, &bytes));
    }
    set_mode(&mut v.cpu, Mode::Supervisor);
    v.cpu.ext.satp = SATP;
    v.cpu.select_address_space();
    word(table(2), leaf(pages[0]));
    // The branch alone, taken: it is in the jump cache. Then the mapping changes and the fetch entry is lost to a conflict; a walk
    // finds the new page, which the hart may use without a fence.
    v.cpu.pc = SEEN;
    run(v, 1);
    assert_eq!(v.cpu.pc, SEEN + 8);
    word(table(2), leaf(pages[1]));
    word(table(2) + 8 * 256, leaf(pages[1]));
    v.cpu.pc = SEEN + 256 * 0x1000 + 8;
    run(v, 1);
    v.cpu.pc = SEEN;
    v.cpu.regs[11] = 1;
    // Three, so that the second block is run whole.
    run(v, 3);
    assert_eq!(v.cpu.regs[10], 2);
    // Now the old mapping comes back, with a fence.
    word(table(2), leaf(pages[0]));
    v.cpu.tlb.flush_all();
    v.cpu.pc = SEEN;
    run(v, 3);
    assert_eq!(v.cpu.regs[10], 1);
}
