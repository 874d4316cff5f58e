//! Recognition of loops as guests have them, and idioms against the interpreter.

mod scan;

use super::{Idiom, Linear, STORES, Test, recognise};

use crate::guest::riscv::model::Model;
use crate::guest::riscv::state::Mode;
use crate::guest::riscv::testing::{RAM, set_mode};
use crate::guest::riscv::{KEY_FS_OFF, Riscv};
use crate::guest::{Guest, LiftInput};
use crate::ir::Block;
use crate::ir::op::Reg;
use crate::ir::opt::{Optimiser, Rules};
use crate::jit::abi::Exit;
use crate::jit::region::{ANYWHERE, GuestRules, RegionBlock};
use crate::jit::testing::compare::{Pair, Subject};
use crate::jit::testing::exec::Loaded as Code;
use crate::jit::testing::random::{CODE, DATA, Program, Random};
use crate::jit::tier2::Tier2;
use crate::mem::{PAGE_MASK, PAGE_SIZE};

/// Loops that are idioms, instructions in hexadecimal: whose they are, bytes of an iteration, log2 of the elements' bytes, whether they copy.
const LOOPS: [(&str, u64, u8, bool, &str); 14] = [
    ("Linux memcpy, words", 4, 2, true, "4198,591,efa023,f91,fed5ebe3"),
    (
        "Linux memset",
        256,
        3,
        false,
        "b2b023,b2b423,b2b823,b2bc23,2b2b023,2b2b423,2b2b823,2b2bc23,4b2b023,4b2b423,4b2b823,4b2bc23,6b2b023,6b2b423,\
         6b2b823,6b2bc23,8b2b023,8b2b423,8b2b823,8b2bc23,ab2b023,ab2b423,ab2b823,ab2bc23,cb2b023,cb2b423,cb2b823,cb2bc23,\
         eb2b023,eb2b423,eb2b823,eb2bc23,10028293,f6d2eee3",
    ),
    (
        "Linux memcpy",
        128,
        3,
        true,
        "6198,659c,105b803,185b883,205b283,285b303,305b383,385be03,405be83,485bf03,efb023,ffb423,10fb823,11fbc23,25fb023,\
         26fb423,27fb823,3cfbc23,5dfb023,5efb423,69b8,6dbc,605b803,685b883,705b283,785b303,8058593,4efb823,4ffbc23,70fb023,\
         71fb423,65fb823,66fbc23,80f8f93,f8d5e0e3",
    ),
    ("Linux memcpy, bytes", 1, 0, true, "58703,585,ef8023,f85,fed5eae3"),
    ("Linux memmove", 8, 3, true, "5b303,5a1,e21,fe6e3c23,fffe1ae3"),
    ("GCC copy", 8, 3, true, "6394,7a1,721,fed73c23,fec79be3"),
    (
        "Linux, bytes by eight",
        8,
        0,
        true,
        "58703,158783,258803,358883,458283,558303,658383,758e03,e50023,f500a3,1050123,11501a3,550223,6502a3,750323,\
         1c503a3,521,5a1,fad5eee3",
    ),
    (
        "Linux copy_to_user",
        64,
        3,
        true,
        "6198,659c,105b803,185b883,205b303,285b383,305be03,385be83,e118,e51c,1053823,1153c23,2653023,2753423,3c53823,\
         3d53c23,4050513,4058593,fca2f0e3",
    ),
    (
        "glibc memcpy",
        128,
        3,
        true,
        "73803,873283,1073303,1873383,2073e03,2873e83,3073f03,3873f83,107b023,57b423,67b823,77bc23,3c7b023,3d7b423,\
         3e7b823,3f7bc23,4073803,4873283,5073303,5873383,6073e03,6873e83,7073f03,7873f83,8070713,507b023,457b423,467b823,\
         477bc23,7c7b023,7d7b423,7e7b823,7f7bc23,8078793,f6d79ce3",
    ),
    ("by index", 8, 3, true, "f98733,6314,f48733,7a1,e314,fec799e3"),
    ("memset by bytes", 1, 0, false, "785,feb78fa3,fee79de3"),
    ("counted down", 8, 3, true, "5b703,e53023,858593,850513,fff60613,fe0616e3"),
    ("zeroes, the end included", 16, 3, false, "53423,53023,1050513,fea65ae3"),
    ("counted in bytes", 4, 2, false, "fed52e23,450513,ffc60613,fec04ae3"),
];

/// Halves, loaded out of order, one of them signed, with words computed from others.
const HALVES: &str = "25d703,59783,458593,e51123,f51023,450513,58813,d508b3,fec5c0e3";

/// Loops that look like idioms and are none.
const OTHERS: [(&str, &str); 6] = [
    // ld a4,0(a1); addi a4,a4,1; sd a4,0(a0); ...
    ("changes what it copies", "5b703,170713,e53023,858593,850513,fff60613,fe0614e3"),
    // sw zero,0(a0); addi a0,a0,8; bne a0,a1
    ("leaves gaps", "52023,850513,feb51ce3"),
    // ld a4,0(a1); sd a4,0(a0); addi a1,a1,8; addi a0,a0,16; bne a1,a2
    ("spreads", "5b703,e53023,858593,1050513,fec598e3"),
    // sd a0,0(a0); addi a0,a0,8; bne a0,a1
    ("stores its pointer", "a53023,850513,feb51ce3"),
    // ld a4,0(a1); sd a4,0(a0); addi a1,a1,8; addi a0,a0,8; beq a1,a2
    ("ends when they differ", "5b703,e53023,858593,850513,fec588e3"),
    // ld a0,0(a0); sd a0,0(a1); addi a1,a1,8; bne a1,a2
    ("follows a list", "53503,a5b023,858593,fec59ae3"),
];

fn lifted(hex: &str) -> Block {
    let mut bytes = Vec::new();
    for raw in hex.split(',') {
        let raw = u32::from_str_radix(raw.trim(), 16).expect("hexadecimal");
        bytes.extend_from_slice(&raw.to_le_bytes()[..if raw & 3 == 3 { 4 } else { 2 }]);
    }
    let input = LiftInput { code: &bytes, key: KEY_FS_OFF, max_insns: 64 };
    let mut block = Riscv::lift(&Model::default(), input);
    Optimiser::new().run(&mut block, &Rules::of::<Riscv>(Riscv::ZERO));
    block
}

fn seen(hex: &str) -> Option<Idiom> {
    let block = lifted(hex);
    let block = RegionBlock {
        context: ANYWHERE,
        guess: Default::default(),
        offset: 0,
        insns: block.insns(),
        ops: block.ops.into(),
        bounds: block.bounds.into(),
    };
    recognise(&block, &GuestRules::of::<Riscv>(&Model::default()))
}

#[test]
fn loops_of_guests_are_recognised() {
    for (name, stride, width, copies, hex) in LOOPS {
        let idiom = seen(hex).unwrap_or_else(|| panic!("{name}: {:?}", lifted(hex)));
        assert_eq!((idiom.stride, idiom.width, idiom.copies), (stride, width, copies), "{name}");
        assert_eq!(idiom.insns as usize, hex.split(',').count(), "{name}");
    }
    for (name, hex) in OTHERS {
        assert!(seen(hex).is_none(), "{name}");
    }
}

#[test]
fn a_loop_is_described_as_it_is() {
    let idiom = seen(HALVES).expect("an idiom");
    assert_eq!((idiom.stride, idiom.width, idiom.copies, idiom.insns), (4, 1, true, 9));
    assert_eq!((idiom.load, idiom.store), (Linear::word(11), Linear::word(10)));
    assert_eq!(idiom.order[..usize::from(idiom.accesses)], [1, 0, STORES | 1, STORES]);
    let trips = idiom.trips;
    assert_eq!((trips.moving, trips.still), (Linear::word(11).plus(4), Linear::word(12)));
    assert_eq!((trips.step, trips.test, trips.signed), (4, Test::Less, true));
    let loaded = idiom.loaded[..usize::from(idiom.loads)].iter();
    assert_eq!(
        loaded.map(|l| (l.word, l.element, l.signed)).collect::<Vec<_>>(),
        [(14, 1, false), (15, 0, true)]
    );
    let computed = idiom.computed[..usize::from(idiom.computes)].iter();
    let sum = Linear::word(10).sum(&Linear::word(13)).expect("two words").plus(4);
    assert_eq!(
        computed.map(|c| (c.word, c.value, c.moves)).collect::<Vec<_>>(),
        [
            (10, Linear::word(10).plus(4), true),
            (11, Linear::word(11).plus(4), true),
            (16, Linear::word(11).plus(4), false),
            (17, sum, false)
        ]
    );
}

#[test]
fn trips_are_those_of_the_loop() {
    let mut r = Random(77);
    for _ in 0..20_000 {
        let test = r.pick(&[Test::Other, Test::Less, Test::LessEqual, Test::Greater, Test::GreaterEqual]);
        let step = r.pick(&[1, 2, 3, 8, -1, -2, -8]);
        let signed = r.one_in(2);
        let trips = super::Trips {
            moving: Linear::word(1),
            still: Linear::word(2),
            step,
            test,
            signed,
            ..Default::default()
        };
        if !trips.ends() {
            continue;
        }
        let mut regs = [0; 256];
        regs[1] = r.pick(&[0, 1 << 63, u64::MAX, 1000, 1 << 40]).wrapping_add(r.below(300)).wrapping_sub(150);
        regs[2] = regs[1].wrapping_add(r.below(2000)).wrapping_sub(1000);
        let goes_on = |x: u64| match (test, signed) {
            (Test::Other, _) => x != regs[2],
            (Test::Less, false) => x < regs[2],
            (Test::Less, true) => (x as i64) < regs[2] as i64,
            (Test::LessEqual, false) => x <= regs[2],
            (Test::LessEqual, true) => x as i64 <= regs[2] as i64,
            (Test::Greater, false) => x > regs[2],
            (Test::Greater, true) => x as i64 > regs[2] as i64,
            (Test::GreaterEqual, false) => x >= regs[2],
            (Test::GreaterEqual, true) => x as i64 >= regs[2] as i64,
        };
        let Some(back) = trips.back(&regs) else { continue };
        let at = |n: u64| regs[1].wrapping_add((step as u64).wrapping_mul(n));
        let all = back.min(3000);
        assert!((0..all).all(|n| goes_on(at(n))), "{trips:?} {:x?} {back}", &regs[1..3]);
        assert!(back > 3000 || !goes_on(at(back)), "{trips:?} {:x?} {back}", &regs[1..3]);
    }
}

/// Where the tables lie, and the pages that they map, round which nothing is.
const TABLES: u64 = RAM + 0x8000;
const SEEN: u64 = 0x4000_0000;
const PAGES: u64 = 16;

/// Maps pages at random to those of [`DATA`]: some twice, some not, some without a right, some without A and D bits, some to where
/// nothing is, some with code.
fn map(pair: &mut Pair, r: &mut Random) {
    let tidy = r.one_in(2);
    let coded: Vec<u64> = (0..PAGES).filter(|_| !tidy && r.one_in(24)).collect();
    let leaves: Vec<u64> = (0..PAGES)
        .map(|n| {
            let page = if tidy || r.one_in(2) { n } else { r.below(PAGES) };
            let pa = DATA.start + page * PAGE_SIZE;
            let (pa, bits) = match r.below(if tidy { 1 } else { 30 }) {
                1 => (pa, 0),
                2 => (pa, 0x43),
                3 => (0x1000_0000, 0xc7),
                4..9 => (pa, 0x07),
                9..12 => (pa, 0x47),
                _ => (pa, 0xc7),
            };
            pa >> 12 << 10 | bits
        })
        .collect();
    for cpu in [&mut pair.fast, &mut pair.slow] {
        let memory = cpu.shared.memory.clone();
        let put = |at: u64, w: u64| assert_eq!(memory.write(at, 3, w), Ok(()));
        put(TABLES + 8, (TABLES + 0x1000) >> 12 << 10 | 1);
        put(TABLES + 0x1000, (TABLES + 0x2000) >> 12 << 10 | 1);
        leaves.iter().enumerate().for_each(|(n, &leaf)| put(TABLES + 0x2000 + 8 * n as u64, leaf));
        for n in 0..PAGES {
            let pa = DATA.start + n * PAGE_SIZE;
            memory.clear_code(pa);
            if coded.contains(&n) {
                memory.set_code(pa);
            }
        }
        cpu.ext.satp = 8 << 60 | TABLES >> 12;
        // Hardware updates accessed and dirty bits.
        cpu.ext.menvcfg |= 1 << 61;
        set_mode(cpu, Mode::Supervisor);
        cpu.tlb.flush_all();
        cpu.select_address_space();
        cpu.refresh_tag();
    }
}

/// Gives a word of a sum that `free` allows the value with which the sum is `value`.
fn solve(regs: &mut [u64; 256], sum: &Linear, value: u64, free: impl Fn(Reg) -> bool) {
    if let Some(&word) = sum.words().iter().rev().find(|&&w| free(w)) {
        regs[usize::from(word)] = 0;
        regs[usize::from(word)] = value.wrapping_sub(sum.value(regs));
    }
}

/// Registers for `n` iterations.
fn words(idiom: &Idiom, r: &mut Random, regs: &mut [u64; 256], n: u64) {
    let size = 1 << idiom.width;
    let moves = |w: Reg| {
        idiom.computed[..usize::from(idiom.computes)].iter().any(|c| c.word == w && c.moves && c.step != 0)
    };
    let place = |r: &mut Random| {
        let page = SEEN + r.below(PAGES - 1) * PAGE_SIZE;
        let at = match r.below(3) {
            0 => 0,
            1 => PAGE_SIZE - r.below(idiom.stride * 3).min(PAGE_SIZE),
            _ => r.below(PAGE_SIZE),
        };
        let at = if r.one_in(30) { at } else { at / size * size };
        page + if r.one_in(4) { at / 64 * 64 } else { at }
    };
    let to = place(r);
    let from = match r.below(3) {
        0 => to.wrapping_add(r.below(3 * idiom.stride / size + 40) * size),
        1 => to.wrapping_sub(r.below(3 * idiom.stride / size + 40) * size),
        _ => place(r),
    };
    let both = |w: Reg| idiom.store.count == 2 && moves(w);
    for &index in idiom.store.words().iter().filter(|&&w| both(w)) {
        regs[usize::from(index)] = r.below(4000) / size * size;
    }
    solve(regs, &idiom.store, to, |w| !both(w));
    solve(regs, &idiom.load, from, |w| !both(w));
    let trips = &idiom.trips;
    let far = (trips.step as u64).wrapping_mul(n);
    let near = if trips.test == Test::Other { 0 } else { r.below(trips.step.unsigned_abs()) };
    if trips.still.count > 0 {
        let end = trips.moving.value(regs).wrapping_add(far).wrapping_add(near);
        solve(regs, &trips.still, end, |_| true);
    } else {
        let begin = trips.still.value(regs).wrapping_sub(far).wrapping_add(near);
        solve(regs, &trips.moving, begin, |_| true);
    }
}

fn check(pair: &Pair) {
    pair.check();
    let read = |cpu: &crate::exec::cpu::Cpu<Riscv>| {
        let mut bytes = vec![0u8; 0x3000];
        assert!(cpu.shared.memory.read_bytes(TABLES, &mut bytes));
        bytes
    };
    assert!(read(&pair.fast) == read(&pair.slow), "page tables");
}

/// Runs a loop on both sides, from entry to entry, until it is left or the budget is used up.
fn one_run(pair: &mut Pair, subject: &Subject, code: &Code) {
    for _ in 0..200 {
        pair.remember(subject.entry(), code.record());
        pair.fast.core.limit = pair.fast.hart.lines.limit();
        let left = pair.fast.budget;
        let exit = pair.enter(code);
        let at = pair.fast.pc.wrapping_sub(subject.entry()) as i64;
        if exit.kind() == Exit::POLL && subject.accesses_at(at) {
            pair.run_rest(subject);
        }
        pair.catch_up(subject);
        check(pair);
        if pair.fast.pc != subject.entry() || pair.fast.budget == left {
            return;
        }
    }
}

/// Compares `runs` runs of a loop; how often iterations were done at once, and how many instructions that were.
fn compare(hex: &str, seed: u64, runs: u64) -> [u64; 2] {
    let model = Model::default();
    let idiom = seen(hex).expect("an idiom");
    let program = Program { blocks: vec![(0x100, lifted(hex))] };
    let subject = Subject::new(&program, &model);
    let code = Code::new(&Tier2::new().expect("compiler").compile(&subject.region).expect("compiled"));
    let mut pair = Pair::new(model);
    for n in 0..runs {
        let mut r = Random((seed + n).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| _ = r.next());
        let most = if r.one_in(2) { 40 } else { 3 * PAGE_SIZE / idiom.stride + 40 };
        let n = 1 + r.below(most);
        let budget = match r.below(3) {
            0 => r.below(400),
            1 => r.below(n * idiom.insns * 2),
            _ => 1 << 30,
        };
        pair.reset(&mut r, CODE + 0x100, budget as i64 + 1);
        map(&mut pair, &mut r);
        let mut regs = pair.fast.regs;
        words(&idiom, &mut r, &mut regs, n);
        pair.fast.regs = regs;
        pair.slow.regs = regs;
        let result =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| one_run(&mut pair, &subject, &code)));
        if let Err(e) = result {
            eprintln!("{hex}: {n} iterations, budget {budget}, {:x?}\n{idiom:x?}", &regs[..32]);
            std::panic::resume_unwind(e);
        }
    }
    pair.fast.core.idioms
}

#[test]
fn idioms_do_what_their_loops_do() {
    let factor: u64 = std::env::var("VITRINE_LONG_TESTS").ok().and_then(|v| v.parse().ok()).unwrap_or(1);
    for (name, hex) in LOOPS.iter().map(|l| (l.0, l.4)).chain([("halves", HALVES)]) {
        let [runs, insns] = compare(hex, 1, 60 * factor);
        assert!(runs > 10 && insns > 2_000, "{name}: {runs} runs of {insns} instructions");
    }
}

#[test]
fn an_idiom_over_many_pages_is_one_run() {
    let hex = LOOPS[2].4;
    let program = Program { blocks: vec![(0x100, lifted(hex))] };
    let subject = Subject::new(&program, &Model::default());
    let code = Code::new(&Tier2::new().expect("compiler").compile(&subject.region).expect("compiled"));
    let mut pair = Pair::new(Model::default());
    let mut r = Random(5);
    pair.reset(&mut r, CODE + 0x100, 1 << 30);
    for cpu in [&mut pair.fast, &mut pair.slow] {
        cpu.hart.lines.take_attention();
        // Neither aligned to pages nor alike.
        cpu.regs[11] = DATA.start + 0x28;
        cpu.regs[31] = DATA.start + 0x8070;
        cpu.regs[13] = cpu.regs[11] + 200 * 128;
    }
    let before = pair.fast.core.idioms;
    one_run(&mut pair, &subject, &code);
    assert_eq!(pair.fast.core.idioms, [before[0] + 1, before[1] + 199 * 35]);
    assert_eq!(pair.fast.regs[11] & PAGE_MASK, (DATA.start + 200 * 128) & PAGE_MASK);
}
