//! Regions against the interpreter.

use crate::guest::riscv::model::Model;
use crate::ir::op::{Align, MemFlags};
use crate::ir::{Block, Boundary, Op, Opcode, SINK};
use crate::jit::abi::Exit;
use crate::jit::emitted::Emitted;
use crate::jit::testing::compare::{Pair, Subject};
use crate::jit::testing::exec::Loaded;
use crate::jit::testing::kernels::{KERNELS, Runner};
use crate::jit::testing::random::{CODE, Mix, Program, Random, program};
use crate::jit::tier2::Tier2;
use crate::jit::ways::Counts;

/// Programs of a run; more with `VITRINE_LONG_TESTS`, whose number is a factor.
fn programs() -> u64 {
    let factor = std::env::var("VITRINE_LONG_TESTS").ok().and_then(|v| v.parse().ok());
    150 * factor.unwrap_or(1)
}

fn dump(tier2: &Tier2, subject: &Subject, code: &Emitted) {
    eprintln!("{:#?}", subject.region);
    eprintln!("{}", tier2.clif());
    std::fs::write(std::env::temp_dir().join("region.bin"), &code.code).expect("written");
}

/// Compares until the first difference, whose seed is printed. Returns how many guest instructions ran compiled.
fn compare(seed: u64, mix: Mix, model: &Model) -> u64 {
    let mut tier2 = Tier2::new().expect("compiler");
    let mut pair = Pair::new(model.clone());
    let mut ran = 0;
    for n in 0..programs() {
        let seed = seed + n;
        let mut r = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| _ = r.next());
        let mut subject = Subject::new(&program(&mut r, mix), model);
        if mix.calls {
            subject.copy_functions(&mut r);
            subject.guess(&mut r);
        }
        let emitted = tier2.compile(&subject.region).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        let loaded = Loaded::new(&emitted);
        for _ in 0..6 {
            let budget = if r.one_in(2) { r.below(200) } else { r.below(3000) } as i64 + 1;
            pair.reset(&mut r, subject.entry(), budget);
            // The counter of runs, or of guesses that failed, may run out.
            loaded.set_heat(if r.one_in(2) { r.below(6) as i32 } else { i32::MAX });
            let other_way = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                one_run(&mut pair, &subject, &loaded)
            }));
            match other_way {
                Ok(insns) => ran += insns,
                Err(e) => {
                    dump(&tier2, &subject, &emitted);
                    eprintln!("seed {seed}");
                    std::panic::resume_unwind(e);
                }
            }
        }
    }
    ran
}

fn one_run(pair: &mut Pair, subject: &Subject, loaded: &Loaded) -> u64 {
    let start = pair.fast.budget;
    // Through the jump cache some exits come back to the entry.
    pair.remember(subject.entry(), loaded.record());
    if !subject.region.pages.is_empty() {
        enter_uncertified(pair, subject, loaded);
    }
    let exit = pair.enter(loaded);
    let (left, attention) = (pair.fast.budget, pair.fast.hart.lines.has_attention());
    let at = pair.fast.pc.wrapping_sub(subject.entry()) as i64;
    let here = subject.region.blocks.iter().any(|b| b.offset as i64 == at);
    let enough = left >= subject.region.insns() as i64 && !attention;
    // Leaves for an access are in front of one, and polls only where need be.
    let access = exit.kind() == Exit::POLL && (enough || !here);
    if access {
        assert!(subject.accesses_at(at), "an access at {at}");
        pair.run_rest(subject);
    }
    pair.catch_up(subject);
    pair.check();
    let fast = &pair.fast;
    let in_page = fast.pc & !0xfff == subject.page();
    let ran = (start - fast.budget) as u64;
    if !access {
        let raised = u64::from(fast.retired_base != 0);
        assert_eq!(fast.tier2_insns, ran - raised, "retired by tier 2");
    }
    match exit.kind() {
        Exit::LINK => {
            assert!(loaded.slot(exit.address()).is_some(), "a slot");
            assert!(in_page && !here, "links leave the region and stay in the page");
        }
        Exit::LOOKUP => {
            let known = fast.tag != 0 && !subject.calls_before_entry();
            assert!(fast.pc != subject.entry() || !known, "the entry is known");
        }
        Exit::HOT => {
            assert_eq!(exit.address(), loaded.record());
            assert!(subject.region.counts == Counts::Failures || fast.pc == subject.entry(), "at the entry");
        }
        Exit::POLL | Exit::DISPATCH | Exit::FLOW => {}
        kind => panic!("exit {kind}"),
    }
    ran
}

/// Without its certificate a region does nothing. It has it afterwards.
fn enter_uncertified(pair: &mut Pair, subject: &Subject, loaded: &Loaded) {
    let (tag, page) = (pair.fast.tag, subject.page());
    for (tag, page) in [(tag ^ 1, page), (tag, page ^ 0x1000), (0, 0)] {
        loaded.certify(tag, page);
        let exit = pair.enter(loaded);
        assert_eq!((exit.kind(), exit.address()), (Exit::PAGES, loaded.record()));
        pair.check();
    }
    loaded.certify(tag, page);
}

const ALL: Mix = Mix { blocks: 8, ops: 24, floats: true, wild: true, calls: false, pages: 1 };

#[test]
fn random_regions() {
    assert!(compare(1000, ALL, &Model::default()) > 10_000);
}

#[test]
fn random_integer_loops() {
    let mix = Mix { blocks: 4, ops: 12, floats: false, wild: false, calls: false, pages: 1 };
    assert!(compare(2_000_000, mix, &Model::default()) > 10_000);
}

#[test]
fn random_regions_across_pages() {
    let mix = Mix { blocks: 12, ops: 12, floats: true, wild: true, calls: true, pages: 6 };
    assert!(compare(5_000_000, mix, &Model::default()) > 10_000);
}

#[test]
fn random_calls() {
    let mix = Mix { blocks: 12, ops: 8, floats: false, wild: true, calls: true, pages: 1 };
    assert!(compare(4_000_000, mix, &Model::default()) > 10_000);
}

#[test]
fn random_regions_where_misaligned_accesses_trap() {
    let mut model = Model::default();
    model.trap_misaligned = true;
    assert!(compare(3_000_000, ALL, &model) > 10_000);
}

/// `word += 1`, then a jump to `to`.
fn counting_block(at: u16, word: u8, to: u16) -> (u16, Block) {
    let ops = vec![
        Op::rri(Opcode::AddI, word, word, 1),
        Op { a: SINK, imm: to as i64 - at as i64, aux: 8, ..Op::new(Opcode::Jump) },
    ];
    let bound = |op, offset| Boundary { op, offset, len: 4, raw: 0 };
    (at, Block { ops, bounds: vec![bound(0, 0), bound(1, 4)], bytes: 8 })
}

#[test]
fn linked_regions_go_round_without_using_host_stack() {
    let model = Model::default();
    let mut tier2 = Tier2::new().expect("compiler");
    let [a, b] = [(0, 8, 256), (256, 9, 0)].map(|(at, word, to)| {
        let program = Program { blocks: vec![counting_block(at, word, to)] };
        let subject = Subject::new(&program, &model);
        Loaded::new(&tier2.compile(&subject.region).expect("compiled"))
    });
    a.link(0, b.entry());
    b.link(0, a.entry());
    let mut pair = Pair::new(model);
    let mut r = Random(1);
    while pair.fast.pc != CODE || pair.fast.hart.lines.has_attention() {
        pair.reset(&mut r, CODE, 4_000_001);
    }
    (pair.fast.regs[8], pair.fast.regs[9]) = (0, 0);
    let exit = pair.enter(&a);
    assert_eq!((exit.kind(), pair.fast.pc, pair.fast.budget), (Exit::POLL, CODE, 1));
    assert_eq!((pair.fast.regs[8], pair.fast.regs[9]), (1_000_000, 1_000_000));
}

/// The function for one block of `ops`, each an instruction, that goes round to itself.
fn function_of(mut ops: Vec<Op>) -> String {
    ops.push(Op { a: SINK, aux: 4, ..Op::new(Opcode::Jump) });
    let bound = |op| Boundary { op, offset: op * 4, len: 4, raw: 0 };
    let bounds: Vec<Boundary> = (0..ops.len() as u16).map(bound).collect();
    let bytes = ops.len() as u32 * 4;
    let program = Program { blocks: vec![(0, Block { ops, bounds, bytes })] };
    let mut tier2 = Tier2::new().expect("compiler");
    tier2.compile(&Subject::new(&program, &Model::default()).region).expect("compiled");
    tier2.clif()
}

#[test]
fn atomics_are_done_inline() {
    use Opcode::*;
    let flags = MemFlags::plain(3).align(Align::Trap).0;
    for code in [AmoAdd, AmoMax, LoadReserved, StoreCond, CompareSwap] {
        let text = function_of(vec![Op { a: 8, b: 9, c: 10, aux: flags, ..Op::new(code) }]);
        assert!(!text.contains("call_indirect sig1"), "{code:?}: {text}");
        assert!(code == LoadReserved || text.contains("atomic_"), "{code:?}");
    }
}

#[test]
fn kernels_give_the_interpreters_results() {
    for (name, offset, rounds) in KERNELS {
        let slow = Runner::new(false).call(offset, rounds);
        let mut fast = Runner::new(true);
        let result = fast.call(offset, rounds);
        assert_eq!(result, slow, "{name}");
        assert!(fast.compiled > 0, "{name}");
    }
}
