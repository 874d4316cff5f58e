//! Heads, links, jump-cache probes, polls.

use super::*;
use crate::cache::jump::index;
use crate::exec::core::JumpEntry;
use crate::ir::{Op, Opcode};
use crate::jit::block::{Failed, Profile};
use machine::{DATA, Setup};
use pure::block_of;
use std::sync::atomic::Ordering;

fn start(pair: &mut Pair, regs: &[u64; 64], setup: &Setup) {
    pair.reset(regs, &vec![0; DATA], setup);
}

fn branch(imm: i64) -> Block {
    let mut block =
        block_of(vec![Op::rri(Opcode::AddI, 5, 5, -1), Op { imm, aux: 8, ..Op::rrr(Opcode::BrNe, 0, 5, 0) }]);
    block.bytes = 8;
    block
}

#[test]
fn a_branch_leaves_by_its_links() {
    let mut pair = Pair::new();
    let setup = Setup::default();
    for (value, left, pc) in [(1, Left::Exit(0), 8), (2, Left::Exit(1), 0x100)] {
        let mut regs = [0; 64];
        regs[5] = value;
        start(&mut pair, &regs, &setup);
        let end = pair.run(&branch(0x100), &setup);
        assert_eq!((end.left, end.pc, end.budget, end.regs[5]), (left, setup.pc + pc, 998, value - 1));
    }
}

#[test]
fn a_linked_exit_goes_on_there() {
    let mut pair = Pair::new();
    let setup = Setup { budget: 9, ..Setup::default() };
    let mut regs = [0; 64];
    regs[5] = 100;
    start(&mut pair, &regs, &setup);
    let emitted = pair.compiler.compile(&machine::input(&branch(0x100), &setup)).expect("compiled");
    let entry = pair.arena.load(&emitted, i32::MAX);
    // To itself, which takes it for the block at the target.
    pair.arena.link(1).store(entry, Ordering::Relaxed);
    let end = pair.enter(entry);
    assert_eq!((end.left, end.pc, end.budget, end.regs[5]), (Left::Poll, setup.pc + 0x400, 1, 96));
}

#[test]
fn exits_to_other_pages_ask_the_jump_cache() {
    let mut pair = Pair::new();
    for (one_page, imm) in [(true, 0x1000), (true, -0x1000), (true, 1 << 32), (false, 0x100)] {
        let setup = Setup { one_page, ..Setup::default() };
        let mut regs = [0; 64];
        regs[5] = 2;
        start(&mut pair, &regs, &setup);
        let end = pair.run(&branch(imm), &setup);
        assert_eq!((end.left, end.pc), (Left::Lookup, setup.pc.wrapping_add(imm as u64)));
    }
}

#[test]
fn the_jump_cache_answers_if_pc_and_tag_match() {
    let mut pair = Pair::new();
    let setup = Setup::default();
    let target = 0xffff_ffff_8123_4566u64;
    let jump = block_of(vec![Op { imm: 3, aux: 4, ..Op::rri(Opcode::JumpReg, 1, 5, 3) }]);
    pair.tested.refresh_tag();
    let tag = pair.tested.tag;
    let slot = index::of(target);
    let record = pair.arena.record() as *const _ as u64;
    for (pc, tag, hits) in [(target, tag, true), (target + 2, tag, false), (target, tag + 1, false)] {
        pair.jumps[slot] = JumpEntry { pc, tag, record, local: 0 };
        let mut regs = [0; 64];
        regs[5] = target - 2;
        start(&mut pair, &regs, &setup);
        let before = pair.tested.jump_hits;
        pair.tested.budget = 1;
        // On a hit it goes to the record's entry: itself again, which polls.
        let end = pair.run(&jump, &setup);
        let left = if hits { Left::Poll } else { Left::Lookup };
        assert_eq!((end.left, end.pc, end.regs[1]), (left, target, setup.pc + 4));
        assert_eq!(pair.tested.jump_hits - before, u64::from(hits));
    }
}

#[test]
fn a_jump_reads_its_base_before_it_links() {
    let mut pair = Pair::new();
    let setup = Setup::default();
    for link in [5, 1] {
        let jump = block_of(vec![
            Op::rri(Opcode::AddI, 5, 5, 16),
            Op { aux: 8, ..Op::rri(Opcode::JumpReg, link, 5, 0) },
        ]);
        let mut regs = [0; 64];
        regs[5] = 0x8000_0001;
        pair.compare(&jump, &regs, &vec![0; DATA], &setup).expect("equal");
        assert_eq!(pair.tested.pc, 0x8000_0010);
    }
}

#[test]
fn a_loop_runs_until_its_budget_is_used_up() {
    let mut pair = Pair::new();
    let setup = Setup { budget: 101, ..Setup::default() };
    let mut regs = [0; 64];
    regs[5] = 1000;
    start(&mut pair, &regs, &setup);
    let end = pair.run(&branch(0), &setup);
    assert_eq!((end.left, end.pc, end.budget, end.regs[5]), (Left::Poll, setup.pc, 1, 950));
}

#[test]
fn attention_stops_a_block_before_it_starts() {
    let mut pair = Pair::new();
    let setup = Setup::default();
    start(&mut pair, &[0; 64], &setup);
    pair.tested.hart.lines.kick();
    let end = pair.run(&branch(0x100), &setup);
    assert_eq!((end.left, end.pc, end.budget, end.regs[5]), (Left::Poll, setup.pc, 1000, 0));
}

/// Both compilers.
fn pairs() -> [Pair; 2] {
    [Pair::new(), Pair::second()]
}

#[test]
fn heat_runs_out_at_the_head_with_nothing_charged() {
    for mut pair in pairs() {
        let setup = Setup { profile: Profile::Runs, ..Setup::default() };
        let mut regs = [0; 64];
        regs[5] = 1000;
        start(&mut pair, &regs, &setup);
        let emitted = pair.compile(&branch(0), &setup).expect("compiled");
        let entry = pair.arena.load(&emitted, 10);
        let end = pair.enter(entry);
        assert_eq!((end.left, end.pc, end.budget, end.regs[5]), (Left::Hot, setup.pc, 980, 990));
        assert_eq!(pair.arena.left(), 0);
        assert_eq!(pair.arena.heat().load(Ordering::Relaxed), -1);
    }
}

#[test]
fn only_exit_0_of_a_branch_is_counted() {
    for (mut pair, profile) in pairs()
        .into_iter()
        .zip([Profile::Left, Profile::Runs])
        .chain(pairs().into_iter().zip([Profile::Runs, Profile::Left]))
    {
        let setup = Setup { profile, ..Setup::default() };
        let mut counted = Vec::new();
        for (imm, value) in [(0x100, 1), (0x100, 2), (0x1000, 2), (1 << 32, 1), (0, 3)] {
            let mut regs = [0; 64];
            regs[5] = value;
            start(&mut pair, &regs, &setup);
            pair.run(&branch(imm), &setup);
            counted.push(pair.arena.left());
        }
        let jump = block_of(vec![Op { a: crate::ir::SINK, imm: 8, aux: 4, ..Op::new(Opcode::Jump) }]);
        let exit = block_of(vec![Op { imm: 8, ..Op::new(Opcode::Exit) }]);
        for block in [jump, exit] {
            start(&mut pair, &[0; 64], &setup);
            pair.run(&block, &setup);
            counted.push(pair.arena.left());
        }
        assert_eq!(counted, [1, 0, 0, 1, 1, 0, 0]);
        assert_eq!(pair.arena.heat().load(Ordering::Relaxed) == i32::MAX, profile == Profile::Left);
    }
}

#[test]
fn malformed_blocks_are_refused() {
    for mut pair in pairs() {
        let setup = Setup::default();
        let mut compile = |block: &Block| pair.compile(block, &setup);
        assert_eq!(compile(&Block::default()), Err(Failed::Malformed));
        let mut block = block_of(vec![Op::new(Opcode::Exit)]);
        block.ops.push(Op::new(Opcode::Li));
        assert_eq!(compile(&block), Err(Failed::Malformed));
        assert_eq!(compile(&block_of(vec![Op::new(Opcode::Li); 256])), Err(Failed::TooLong));
        let mut block = block_of(vec![Op::rrr(Opcode::AmoAdd, 5, 6, 7)]);
        block.ops = vec![block.ops[0]; 9000];
        block.ops.push(Op::new(Opcode::Exit));
        assert_eq!(compile(&block), Err(Failed::TooLong));
    }
    let over_two_pages = Setup { one_page: false, ..Setup::default() };
    assert_eq!(Pair::second().compile(&branch(8), &over_two_pages), Err(Failed::TwoPages));
}
