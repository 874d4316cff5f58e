//! Regions across pages, while what is mapped behind the first page differs between address spaces, changes, and is seen at
//! two addresses: see [`crate::jit::across`].

use super::Riscv;
use super::space_tests::{GLOBAL, RAM, SEEN, TABLES, kernel, leaf, map_second, page, run_of, sfence};
use crate::exec::mode::Mode;
use crate::exec::vcpu::Vcpu;
use crate::jit::across::{Look, PageMap};
use crate::tier::events::What;

/// Rounds of the loop in a call.
const TURNS: u64 = 20;
/// Instructions of a round of the driver.
const ROUND: i64 = 6 + 2 * (2 + 3 * TURNS as i64);
/// Where else the loop is seen.
const ALSO: u64 = SEEN + 0x10_0000;

/// Has the driver call a loop over the border of two pages: `li t0, TURNS; 1: addi t0, t0, -1` in the first, page 2, and `addi a0, a0, N; bnez t0,
/// 1b; ret` in the second, which is page N.
fn looping(mode: Mode, fence: u32, global: u64) -> Vcpu<Riscv> {
    let mut v = kernel(mode, fence);
    let write = |at: u64, size: u32, w: u64| assert_eq!(v.cpu.shared.memory.write(at, size, w), Ok(()));
    write(page(2) + 0xff8, 2, TURNS << 20 | 0x293);
    write(page(2) + 0xffc, 2, 0xfff2_8293);
    for n in 3..7 {
        write(page(n), 2, n << 20 | 0x5_0513);
        write(page(n) + 4, 2, 0xfe02_9ce3);
        write(page(n) + 8, 2, 0x8067);
    }
    // The second address space gets tables of its own.
    write(TABLES + 0x1000 + 8, 3, (TABLES + 0x4000) >> 12 << 10 | 1);
    write(TABLES + 0x4000, 3, (TABLES + 0x5000) >> 12 << 10 | 1);
    for table in [0x3000, 0x5000] {
        write(TABLES + table, 3, leaf(page(2), global));
        write(TABLES + table + 0x800, 3, leaf(page(2), global));
        write(TABLES + table + 0x808, 3, leaf(page(6), global));
    }
    (v.cpu.regs[11], v.cpu.regs[14]) = (SEEN + 0xff8, SEEN + 0x1000);
    v
}

/// What one round adds to a0.
fn sum(v: &mut Vcpu<Riscv>) -> u64 {
    v.cpu.regs[10] = 0;
    run_of(v, 1, ROUND);
    v.cpu.regs[10] / TURNS
}

fn saw(v: &Vcpu<Riscv>, what: impl Fn(&What) -> bool) -> bool {
    v.code().translations().events.since(0).0.iter().any(|e| what(&e.what))
}

fn is_across(what: &What) -> bool {
    matches!(what, What::Settled { pages: 2, .. })
}

fn map_both(v: &Vcpu<Riscv>, pages: [u64; 2], global: u64) {
    (0..2).for_each(|space| map_second(v, space, pages[space as usize], global));
}

#[test]
fn loops_over_pages_become_one_region() {
    for global in [0, GLOBAL] {
        let v = &mut looping(Mode::Tier2, sfence(false, true), global);
        v.cpu.regs[15] = 9;
        map_both(v, [3, 3], global);
        run_of(v, 400, ROUND);
        assert!(saw(v, is_across), "global {global:#x}");
        let before = (v.cpu.jump_hits, v.cpu.jumps.counts.misses, v.cpu.core.tier2_insns);
        run_of(v, 100, ROUND);
        let core = &v.cpu.core;
        assert!(core.jump_hits - before.0 < 100 * 12, "{} look-ups", core.jump_hits - before.0);
        assert!(v.cpu.jumps.counts.misses - before.1 < 100 * 8, "{}", v.cpu.jumps.counts.misses - before.1);
        assert!(core.tier2_insns - before.2 > 100 * 120, "{} in regions", core.tier2_insns - before.2);
        assert_eq!(sum(v), 6);
    }
}

#[test]
fn fences_void_certificates() {
    for mode in Mode::ALL {
        for (va, first, second) in (0..8).map(|n| (n & 1 != 0, n >> 1 & 1, n >> 2)) {
            let v = &mut looping(mode, sfence(va, false), GLOBAL * first);
            for turn in 0..8 {
                // What is global is the same in both.
                let pages = [3 + (turn & 1), if second == 0 { 5 + (turn & 1) } else { 3 + (turn & 1) }];
                map_both(v, pages, GLOBAL * second);
                run_of(v, 130, ROUND);
                let case = format!("{mode:?}, va {va}, global {first} {second}, turn {turn}");
                assert_eq!(sum(v), pages.iter().sum::<u64>(), "{case}");
            }
        }
    }
}

#[test]
fn fences_of_one_address_space_void_its_certificates() {
    for mode in Mode::ALL {
        for va in [false, true] {
            let v = &mut looping(mode, sfence(va, true), 0);
            for turn in 0..8 {
                let pages = [3 + (turn & 1), 5 + (turn & 1)];
                map_both(v, pages, 0);
                for asid in [1, 2] {
                    v.cpu.regs[15] = asid;
                    run_of(v, 1, ROUND);
                }
                run_of(v, 130, ROUND);
                assert_eq!(sum(v), pages.iter().sum::<u64>(), "{mode:?}, va {va}, turn {turn}");
            }
        }
    }
}

#[test]
fn a_certificate_is_void_after_a_fence_for_any_of_its_pages() {
    for (first, second, all) in (0..8).map(|n| (GLOBAL * (n & 1), GLOBAL * (n >> 1 & 1), n >> 2 != 0)) {
        let v = &mut looping(Mode::Interpreter, sfence(false, !all), first);
        v.cpu.regs[15] = 9;
        map_both(v, [3, 3], second);
        let mut pages = PageMap::of_entry(page(2));
        assert_eq!(pages.get_or(1, || Some(page(3))), Some(page(3)));
        run_of(v, 2, ROUND);
        v.cpu.core.pc = SEEN + 0xff8;
        // The second look is sure to find the tables filled, and the tag where the first has left it.
        let looks = [(); 2].map(|()| v.cpu.look_at_pages(&pages));
        v.cpu.core.pc = RAM;
        let case = format!("global {first:#x} {second:#x}, all {all}");
        if first != second {
            assert_eq!(looks, [Look::Other; 2], "{case}");
            continue;
        }
        let Look::Good { tag, page } = looks[1] else { panic!("{case}: {looks:?}") };
        assert_eq!(page, SEEN);
        assert!(v.cpu.tags().contains(&tag), "{case}");
        v.cpu.regs[15] = 1;
        run_of(v, 1, ROUND);
        let dead = all || first == 0;
        assert_eq!(!v.cpu.tags().contains(&tag), dead, "{case}");
    }
}

#[test]
fn a_certificate_is_for_one_address() {
    for mode in Mode::ALL {
        let v = &mut looping(mode, sfence(false, true), 0);
        v.cpu.regs[15] = 9;
        map_both(v, [3, 3], 0);
        run_of(v, 400, ROUND);
        assert_eq!(saw(v, is_across), mode == Mode::Tier2, "{mode:?}");
        for _ in 0..6 {
            v.cpu.regs[11] = ALSO + 0xff8;
            assert_eq!(sum(v), 12, "{mode:?}");
            v.cpu.regs[11] = SEEN + 0xff8;
            assert_eq!(sum(v), 6, "{mode:?}");
        }
    }
}

#[test]
fn regions_whose_pages_are_elsewhere_stay_in_their_page() {
    let v = &mut looping(Mode::Tier2, sfence(false, true), 0);
    v.cpu.regs[15] = 9;
    map_both(v, [3, 4], 0);
    run_of(v, 1500, ROUND);
    assert!(saw(v, is_across) && saw(v, |what| *what == What::InPage));
    assert_eq!(sum(v), 7);
    // For good.
    let settled = |v: &Vcpu<Riscv>| {
        v.code().translations().events.since(0).0.iter().filter(|e| is_across(&e.what)).count()
    };
    let before = settled(v);
    run_of(v, 1500, ROUND);
    assert_eq!(settled(v), before);
}

#[test]
fn writes_to_the_second_page_take_the_region_away() {
    for mode in Mode::ALL {
        let v = &mut looping(mode, sfence(false, true), 0);
        v.cpu.regs[15] = 9;
        map_both(v, [3, 3], 0);
        run_of(v, 400, ROUND);
        assert_eq!(sum(v), 6);
        assert_eq!(v.cpu.shared.memory.write(page(3), 2, 9 << 20 | 0x5_0513), Ok(()));
        v.code().invalidate(page(3), 4);
        assert_eq!(sum(v), 18, "{mode:?}");
        assert!(v.cpu.pc == RAM);
    }
}
