//! Loops whose runs nobody counts: what samples say of them is enough for tier 2.

use super::asm::*;
use super::machine::*;
use engine::exec::mode::{Mode, Tuning};
use engine::exec::time::TimeSource;
use engine::guest::Guest;
use engine::guest::riscv::Riscv;
use engine::host::COMPILES;
use engine::jit::translations::Tier;

/// Instructions of a round: they divide the length of the shortest slice.
const LENGTH: u64 = 4;
const ROUNDS: u64 = 15_000_000;

/// Where the loop is, and where its second block.
const LOOP: u64 = CODE + 0x100;
const SECOND: u64 = LOOP + 8;

/// A loop of two blocks, the first of which never goes back though it could.
fn looping() -> Asm {
    let mut a = Asm::at(LOOP);
    let again = a.here();
    a.op(&[addi(A0, A0, 1)]);
    a.beq(T1, ZERO, again);
    a.op(&[addi(T0, T0, -1)]);
    a.bne(T0, ZERO, again);
    a.finish_hart(DONE);
    a
}

#[test]
fn a_loop_climbs_by_samples_and_knows_its_likely_way() {
    if !COMPILES {
        return;
    }
    let mut m = Machine::new(TimeSource::Host, 1);
    m.harts.settings().set_mode(Mode::Adaptive);
    m.harts.settings().set_tuning(Tuning { tier1_runs: 1, tier2_runs: 2, workers: 0, ..Tuning::default() });
    m.load(looping());
    let mut start = Asm::at(CODE);
    start.op(&[addi(A0, ZERO, 0)]).li(T0, ROUNDS).li(T1, LOOP).op(&[jalr(ZERO, T1, 0)]);
    m.load(start);
    m.start(0, CODE, 0);
    m.run_to_end("rounds", 1);
    let key = Riscv::block_key(&m.harts.vcpu(0).expect("hart").cpu);
    let translations = m.harts.code().translations();
    let seen = [LOOP, SECOND].map(|pa| {
        let code = m.harts.code().find(pa, key).expect("a block");
        assert!(translations.tiers_of(&code).contains(&Tier::Two), "{pa:#x}: {:?}", m.harts.tiers());
        translations.profile(&code).expect("tier 1 code")
    });
    // What was counted is exact, the runs are about right.
    let [(all, back), (_, on)] = seen;
    assert!(all + on > 0 && back <= all / 4 * 3 && on + 1 >= seen[1].0, "{seen:?}");
    assert!(m.harts.tiers().insns[2] > ROUNDS * LENGTH / 2, "{:?}", m.harts.tiers());
}
