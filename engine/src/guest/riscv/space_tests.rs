//! Kernel code in global pages, called from address spaces in turn, while its mapping changes: each fence that orders global
//! mappings must be seen by the code look-ups of each tier (privileged specification, 10.2.1).

use super::Riscv;
use super::state::Mode as Privilege;
pub(super) use super::testing::RAM;
use super::testing::{machine, set_mode};
use crate::cache::code::CodeMap;
use crate::exec::mode::{Mode, Settings, Tuning};
use crate::exec::vcpu::Vcpu;
use std::sync::Arc;

/// Where the page that changes is seen, and another beside it.
pub(super) const SEEN: u64 = 0x4000_0000;
pub(super) const TABLES: u64 = RAM + 0x10_0000;
pub(super) const GLOBAL: u64 = 0x20;
/// Instructions of a round of the driver, the called ones included.
const ROUND: i64 = 10;

pub(super) fn leaf(pa: u64, global: u64) -> u64 {
    pa >> 12 << 10 | 0xcf | global
}

/// A hart in S-mode at a driver that calls the page at [`SEEN`] from two address spaces and then runs `fence`: `call; satp = a2;
/// call; satp = a3; fence; again`.
pub(super) fn kernel(mode: Mode, fence: u32) -> Vcpu<Riscv> {
    let m = machine(Default::default(), 1);
    let shared = m.cpus[0].shared.clone();
    let memory = shared.memory.clone();
    let load = |at: u64, code: &[u32]| {
        let bytes: Vec<u8> = code.iter().flat_map(|i| i.to_le_bytes()).collect();
        assert!(memory.load(at, &bytes));
    };
    const CALL: u32 = 0x0005_80e7; // jalr ra, 0(a1)
    load(RAM, &[CALL, 0x1806_1073, CALL, 0x1806_9073, fence, 0xfedf_f06f]);
    // li a0, 1 or 2; ret
    for n in 0..2 {
        load(page(n), &[0x0000_0513 | (n as u32 + 1) << 20, 0x0000_8067]);
    }
    let word = |at: u64, w: u64| assert_eq!(memory.write(at, 3, w), Ok(()));
    let table = |n: u64| TABLES + n * 0x1000;
    for root in 0..2 {
        word(table(root) + 8, table(2) >> 12 << 10 | 1);
        word(table(root) + 16, leaf(RAM, GLOBAL));
    }
    word(table(2), table(3) >> 12 << 10 | 1);
    let settings = Arc::new(Settings::default());
    settings.set_mode(mode);
    settings.set_tuning(Tuning { workers: 0, ..settings.tuning() });
    let map = CodeMap::new(memory.clone());
    let mut v = Vcpu::with(shared, map, settings, Arc::default(), 0);
    v.cpu.ext.pmp.open();
    let satp = |space: u64| 8 << 60 | (space + 1) << 44 | table(space) >> 12;
    v.cpu.ext.satp = satp(0);
    set_mode(&mut v.cpu, Privilege::Supervisor);
    v.cpu.pc = RAM;
    (v.cpu.regs[11], v.cpu.regs[12], v.cpu.regs[13]) = (SEEN, satp(1), satp(0));
    v
}

pub(super) fn page(n: u64) -> u64 {
    RAM + 0x2_0000 + n * 0x1000
}

fn map_page(v: &Vcpu<Riscv>, n: u64, global: u64) {
    let done = v.cpu.shared.memory.write(TABLES + 0x3000, 3, leaf(page(n), global));
    assert_eq!(done, Ok(()));
}

fn run(v: &mut Vcpu<Riscv>, rounds: i64) {
    run_of(v, rounds, ROUND);
}

/// Rounds of the driver that have `length` instructions each.
pub(super) fn run_of(v: &mut Vcpu<Riscv>, rounds: i64, length: i64) {
    v.begin_slice(rounds * length);
    v.run(true);
    v.end_slice();
    assert_eq!(v.cpu.pc, RAM, "whole rounds");
}

/// sfence.vma with `a4` and `a5` or x0.
pub(super) fn sfence(va: bool, asid: bool) -> u32 {
    0x1200_0073 | if va { 14 << 15 } else { 0 } | if asid { 15 << 20 } else { 0 }
}

#[test]
fn fences_of_all_address_spaces_void_global_code() {
    for mode in Mode::ALL {
        for va in [false, true] {
            for global in [GLOBAL, 0] {
                let v = &mut kernel(mode, sfence(va, false));
                v.cpu.regs[14] = SEEN + 0x10;
                for turn in 0..6 {
                    map_page(v, turn & 1, global);
                    // The first may be stale, its fence ends that.
                    run(v, 1);
                    run(v, 40);
                    assert_eq!(v.cpu.regs[10], 1 + (turn & 1), "{mode:?}, va {va}, global {global:#x}");
                }
            }
        }
    }
}

#[test]
fn fences_of_one_address_space_void_its_own_code() {
    for mode in Mode::ALL {
        for va in [false, true] {
            let v = &mut kernel(mode, sfence(va, true));
            v.cpu.regs[14] = SEEN;
            for turn in 0..6 {
                map_page(v, turn & 1, 0);
                for asid in [1, 2] {
                    v.cpu.regs[15] = asid;
                    run(v, 1);
                }
                run(v, 40);
                assert_eq!(v.cpu.regs[10], 1 + (turn & 1), "{mode:?}, va {va}");
            }
        }
    }
}

#[test]
fn global_code_is_looked_up_once_for_all_address_spaces() {
    let asked = |global: u64| {
        let v = &mut kernel(Mode::Interpreter, sfence(false, true));
        v.cpu.regs[15] = 9;
        map_page(v, 0, global);
        run(v, 8);
        let before = v.cpu.jumps.counts.misses;
        run(v, 100);
        v.cpu.jumps.counts.misses - before
    };
    assert!(asked(GLOBAL) < 10, "{}", asked(GLOBAL));
    assert!(asked(0) >= 100, "each address space has its own: {}", asked(0));
}

/// Has the driver call an instruction over two pages, `addi a0, a0, N`, and `ret` in the second. The first is page 2 in all address
/// spaces, the second what [`map_second`] says.
fn over_two_pages(mode: Mode, fence: u32, global: u64) -> Vcpu<Riscv> {
    let mut v = kernel(mode, fence);
    let write = |at: u64, size: u32, w: u64| assert_eq!(v.cpu.shared.memory.write(at, size, w), Ok(()));
    write(page(2) + 0xffe, 1, 0x0513);
    for n in 3..7 {
        write(page(n), 1, n << 4 | 5);
        write(page(n) + 2, 2, 0x8067);
    }
    // The second address space gets tables of its own.
    write(TABLES + 0x1000 + 8, 3, (TABLES + 0x4000) >> 12 << 10 | 1);
    write(TABLES + 0x4000, 3, (TABLES + 0x5000) >> 12 << 10 | 1);
    for table in [0x3000, 0x5000] {
        write(TABLES + table, 3, leaf(page(2), global));
    }
    (v.cpu.regs[11], v.cpu.regs[14]) = (SEEN + 0xffe, SEEN + 0x1000);
    v
}

pub(super) fn map_second(v: &Vcpu<Riscv>, space: u64, n: u64, global: u64) {
    let at = TABLES + 0x3008 + space * 0x2000;
    assert_eq!(v.cpu.shared.memory.write(at, 3, leaf(page(n), global)), Ok(()));
}

#[test]
fn fences_void_instructions_over_two_pages() {
    for mode in Mode::ALL {
        for (va, first, second) in (0..8).map(|n| (n & 1 != 0, n >> 1 & 1, n >> 2)) {
            let v = &mut over_two_pages(mode, sfence(va, false), GLOBAL * first);
            for turn in 0..6 {
                // What is global is the same in both.
                let pages = [3 + (turn & 1), if second == 0 { 5 + (turn & 1) } else { 3 + (turn & 1) }];
                (0..2).for_each(|space| map_second(v, space, pages[space as usize], GLOBAL * second));
                run(v, 40);
                v.cpu.regs[10] = 0;
                run(v, 1);
                let case = format!("{mode:?}, va {va}, global {first} {second}, turn {turn}");
                assert_eq!(v.cpu.regs[10], pages.iter().sum::<u64>(), "{case}");
            }
        }
    }
}

#[test]
fn instructions_over_two_pages_are_compiled() {
    let v = &mut over_two_pages(Mode::Tier1, sfence(false, true), GLOBAL);
    v.cpu.regs[15] = 9;
    (0..2).for_each(|space| map_second(v, space, 3, GLOBAL));
    run(v, 40);
    let before = v.cpu.jumps.counts.misses;
    run(v, 100);
    assert!(v.cpu.jumps.counts.misses - before < 10, "the run loop is not asked");
}
