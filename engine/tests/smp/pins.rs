//! Blocks held in a tier, and modes that are changed: which translations there are afterwards.

use super::asm::*;
use super::machine::*;
use engine::exec::engine::Engine;
use engine::exec::mode::{Mode, Tuning};
use engine::exec::time::TimeSource;
use engine::guest::Guest;
use engine::guest::riscv::Riscv;
use engine::host::COMPILES;
use engine::jit::translations::Tier;
use engine::tier::events::What;
use engine::tier::pins::{Level, Pin, PinError};
use std::ops::Range;
use std::time::Duration;

/// Functions, each in a page of its own, so that no region holds two of them.
const FUNCTIONS: [u64; 2] = [CODE + 0x1000, CODE + 0x2000];
const ROUNDS: i32 = 8;
/// Where hart `n` leaves what it has counted.
const SEEN: u64 = DATA + 0x1000;

/// Adds [`ROUNDS`] to a0, in a loop.
fn function(at: u64) -> Asm {
    let mut a = Asm::at(at);
    a.op(&[addi(T0, ZERO, ROUNDS)]);
    let again = a.here();
    a.op(&[addi(A0, A0, 1), addi(T0, T0, -1)]);
    a.bne(T0, ZERO, again);
    a.op(&[jalr(ZERO, RA, 0)]);
    a
}

/// The function's blocks: its first, its loop, its last.
fn blocks(at: u64) -> [u64; 3] {
    [at, at + 4, at + 16]
}

/// Calls both functions for ever, or `turns` times (a1).
fn caller() -> Asm {
    let mut a = Asm::at(CODE);
    a.op(&[slli(S4, A0, 6), addi(S3, A1, 0), addi(A0, ZERO, 0)]).li(T0, SEEN).op(&[add(S4, S4, T0)]);
    a.li(S0, FUNCTIONS[0]).li(S1, FUNCTIONS[1]);
    let again = a.here();
    a.op(&[jalr(RA, S0, 0), jalr(RA, S1, 0), sd(A0, S4, 0), addi(S3, S3, -1)]);
    a.bne(S3, ZERO, again);
    a.finish_hart(DONE);
    a
}

fn machine(source: TimeSource, harts: u32, mode: Mode, tuning: Tuning) -> Machine {
    let m = Machine::new(source, harts);
    m.harts.settings().set_mode(mode);
    m.harts.settings().set_tuning(tuning);
    FUNCTIONS.into_iter().for_each(|f| m.load(function(f)));
    m.load(caller());
    m
}

/// Everything climbs that is not held; harts wait for their compiles.
fn eager() -> Tuning {
    Tuning { tier1_runs: 1, tier2_runs: 2, tier2_eager_runs: 2, workers: 0, ..Tuning::default() }
}

/// One hart that does not end.
fn endless(mode: Mode, tuning: Tuning) -> Machine {
    let m = machine(TimeSource::Instructions, 1, mode, tuning);
    m.start(0, CODE, 1 << 40);
    m
}

/// Runs so many instructions more.
fn go_on(m: &Machine, insns: u64) {
    let now = m.harts.vcpu(0).expect("hart").cpu.instret();
    m.harts.pause_at(now + insns);
    m.harts.resume();
    assert!(m.harts.wait_paused(Duration::from_secs(60)), "it runs for ever");
}

/// The tiers of the translations that a block is part of, sorted.
fn tiers(m: &Machine, pa: u64) -> Vec<Tier> {
    let key = Riscv::block_key(&m.harts.vcpu(0).expect("hart").cpu);
    let code = m.harts.code().find(pa, key).expect("a block");
    let mut tiers = m.harts.code().translations().tiers_of(&code);
    tiers.sort();
    tiers.dedup();
    tiers
}

fn page(at: u64) -> Range<u64> {
    at..at + 0x1000
}

fn pin(m: &Machine, at: u64, level: Level) {
    m.harts.pin(Pin { range: page(at), level }).expect("a range with memory");
}

fn pinned_events(m: &Machine, tier: u8) -> Vec<u64> {
    let (events, _) = m.harts.code().translations().events.since(0);
    events.iter().filter(|e| e.what == What::Pinned { tier }).map(|e| e.pa).collect()
}

const ENOUGH: u64 = 100_000;

#[test]
fn a_pinned_block_stays_in_tier_1_while_its_neighbours_climb() {
    if !COMPILES {
        return;
    }
    let m = endless(Mode::Tier2, eager());
    let [held, free] = FUNCTIONS;
    pin(&m, held, Level::Tier1);
    go_on(&m, ENOUGH);
    for block in blocks(held) {
        assert_eq!(tiers(&m, block), [Tier::One], "{block:#x}");
    }
    assert!(tiers(&m, free + 4).contains(&Tier::Two));
    assert!(pinned_events(&m, 1).contains(&(held + 4)), "{:x?}", pinned_events(&m, 1));
    assert_eq!(m.harts.unpin(Some(page(held))), Ok(true));
    go_on(&m, ENOUGH);
    assert!(tiers(&m, held + 4).contains(&Tier::Two), "unpinned, it climbs");
}

#[test]
fn a_pin_on_running_code_takes_it_down() {
    if !COMPILES {
        return;
    }
    let m = endless(Mode::Tier2, eager());
    let [held, free] = FUNCTIONS;
    go_on(&m, ENOUGH);
    assert!(tiers(&m, held + 4).contains(&Tier::Two));
    pin(&m, held, Level::Tier1);
    assert_eq!(tiers(&m, held + 4), [Tier::One], "at once");
    go_on(&m, ENOUGH);
    assert_eq!(tiers(&m, held + 4), [Tier::One]);
    let interpreted = m.harts.tiers().insns[0];
    pin(&m, held, Level::Interpreter);
    go_on(&m, ENOUGH);
    for block in blocks(held) {
        assert_eq!(tiers(&m, block), [], "{block:#x}");
    }
    assert!(tiers(&m, free + 4).contains(&Tier::Two));
    // Nearly half of all instructions are the held function's.
    assert!(m.harts.tiers().insns[0] - interpreted > ENOUGH / 3, "{:?}", m.harts.tiers());
    assert_eq!(m.harts.pins(), [Pin { range: page(held), level: Level::Interpreter }]);
    assert_eq!(m.harts.unpin(None), Ok(true));
    go_on(&m, ENOUGH);
    assert!(tiers(&m, held + 4).contains(&Tier::Two));
    assert!(m.harts.pins().is_empty());
}

#[test]
fn a_block_pinned_to_tier_2_climbs_whatever_the_thresholds_are() {
    if !COMPILES {
        return;
    }
    let never = Tuning { tier1_runs: 1 << 30, tier2_runs: 1 << 30, ..eager() };
    let m = endless(Mode::Adaptive, never);
    let [held, free] = FUNCTIONS;
    pin(&m, held, Level::Tier2);
    go_on(&m, ENOUGH);
    assert!(tiers(&m, held + 4).contains(&Tier::Two));
    assert_eq!(tiers(&m, free + 4), []);
    assert!(pinned_events(&m, 2).contains(&(held + 4)));
    // One that was let go of is not asked for again by heat in the thresholds' time.
    pin(&m, held, Level::Interpreter);
    go_on(&m, ENOUGH);
    assert_eq!(tiers(&m, held + 4), []);
}

#[test]
fn tier_2_is_not_for_modes_without_it() {
    if !COMPILES {
        return;
    }
    let m = endless(Mode::Tier1, eager());
    pin(&m, FUNCTIONS[0], Level::Tier2);
    pin(&m, FUNCTIONS[1], Level::Interpreter);
    go_on(&m, ENOUGH);
    assert_eq!(tiers(&m, FUNCTIONS[0] + 4), [Tier::One]);
    assert_eq!(tiers(&m, FUNCTIONS[1] + 4), []);
}

#[test]
fn ranges_without_memory_are_refused() {
    let m = machine(TimeSource::Instructions, 1, Mode::Adaptive, eager());
    let pin = |range| m.harts.pin(Pin { range, level: Level::Tier1 });
    assert_eq!(pin(0..RAM), Err(PinError::NoMemory { start: 0, end: RAM }));
    assert!(matches!(pin(RAM + RAM_LEN..u64::MAX), Err(PinError::NoMemory { .. })));
    assert_eq!(pin(RAM..RAM), Err(PinError::Empty { start: RAM, end: RAM }));
    assert_eq!(pin(RAM + RAM_LEN - 1..u64::MAX), Ok(()));
    assert_eq!(m.harts.unpin(Some(0..RAM)), Ok(false));
}

#[test]
fn pins_change_under_four_running_harts() {
    const TURNS: u64 = 40_000;
    for mode in [Mode::Tier2, Mode::Adaptive] {
        let tuning = Tuning { workers: 1, code_bytes: 1 << 20, ..eager() };
        let mut m = machine(TimeSource::Host, 4, mode, tuning);
        (0..4).for_each(|h| m.start(h, CODE, TURNS));
        m.harts.resume();
        let levels = [Level::Interpreter, Level::Tier1, Level::Tier2];
        for n in 0..600u64 {
            let at = CODE + (n * 7 % 3) * 0x1000 + (n % 5) * 4;
            let range = at..at + 1 + n % 11 * 16;
            if n % 4 == 3 {
                m.harts.unpin(Some(range)).expect("few pins");
            } else {
                m.harts.pin(Pin { range, level: levels[n as usize / 3 % 3] }).expect("few pins");
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        m.run_to_end("turns", 4);
        for hart in 0..4 {
            assert_eq!(m.word(SEEN + hart * 64), TURNS * 2 * ROUNDS as u64, "hart {hart}, {mode:?}");
        }
        let t = m.harts.tiers();
        let retired: u64 = (0..4).map(|h| m.harts.vcpu(h).expect("hart").cpu.instret()).sum();
        assert_eq!(t.insns.iter().sum::<u64>(), retired, "{t:?}");
    }
}

/// Code that was made for adaptive mode does not count its runs unless it closes a loop. Mode tier 2 wants all of it.
#[test]
fn blocks_that_did_not_count_climb_when_the_mode_becomes_tier_2() {
    if !COMPILES {
        return;
    }
    let never = Tuning { tier2_runs: 1 << 30, ..eager() };
    let m = endless(Mode::Adaptive, never);
    // A function that is one block and closes no loop.
    let leaf = FUNCTIONS[0];
    m.put(leaf, &{
        let mut a = Asm::at(leaf);
        a.op(&[addi(A0, A0, 1), xor(T0, A0, A0), jalr(ZERO, RA, 0)]);
        a.finish()
    });
    go_on(&m, ENOUGH);
    assert_eq!(tiers(&m, leaf), [Tier::One]);
    m.harts.settings().set_mode(Mode::Tier2);
    go_on(&m, ENOUGH);
    assert!(tiers(&m, leaf).contains(&Tier::Two));
    // And back: what is there and good is kept.
    let compiled = m.harts.tiers().compiled[1];
    m.harts.settings().set_mode(Mode::Adaptive);
    go_on(&m, ENOUGH);
    assert!(tiers(&m, leaf).contains(&Tier::Two));
    assert_eq!(m.harts.tiers().compiled[1], compiled);
}

#[test]
fn regions_come_back_after_a_time_in_tier_1() {
    if !COMPILES {
        return;
    }
    let m = endless(Mode::Tier2, eager());
    let loops = FUNCTIONS.map(|f| f + 4);
    for (mode, expected) in [(Mode::Tier2, true), (Mode::Tier1, false), (Mode::Tier2, true)] {
        m.harts.settings().set_mode(mode);
        go_on(&m, ENOUGH);
        assert_eq!(loops.map(|at| tiers(&m, at).contains(&Tier::Two)), [expected; 2], "{mode:?}");
    }
}
