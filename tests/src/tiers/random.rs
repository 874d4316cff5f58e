//! Random programs (see [`crate::oracle::random`]) in each mode beside the interpreter: everything that a guest could see must stay equal
//! all the way.
//!
//! The programs run in turns, so that code becomes hot, and thresholds are tiny, so that it is compiled at once. A timer interrupts them
//! at changing places; rounds, at whose ends interrupts are taken, are short; code memory is small in some. All of that follows from
//! the seed.

use super::Bench;
use crate::oracle::ours::Setup;
use crate::oracle::random::handler::Detail;
use crate::oracle::random::program::{Program, Shape, shaped};
use crate::oracle::values::Rng;
use anyhow::{Result, ensure};
use engine::debug::lockstep::{Lockstep, Side, Step};
use engine::exec::cpu::MachineEvent;
use engine::exec::mode::{BlockCompilers, Mode, TierCounts, Tuning};

/// Units of a program, written once.
const UNITS: usize = 400;
/// Units between two checkpoints, which take much longer than the units.
const SEGMENT: usize = 200;
/// Instructions between two comparisons.
const STRETCH: u64 = 200_000;
/// A program that is longer never ends.
const LONGEST: u64 = 50_000_000;
/// The timer's tick is 100 ns; an instruction is as long.
const NS_PER_INSN: u64 = 100;

/// A way to run programs.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Which tiers.
    pub mode: Mode,
    /// From when on.
    pub tuning: Tuning,
}

/// Each compiling mode, and tier 1 by its second compiler, with thresholds that let everything climb at once.
pub fn ways() -> [Way; 4] {
    let tuning =
        Tuning { tier1_runs: 1, tier2_runs: 2, tier2_eager_runs: 1, workers: 0, ..Tuning::default() };
    let way = |mode| Way { mode, tuning };
    let second = Tuning { tier1_compiler: BlockCompilers::Cranelift, ..tuning };
    [way(Mode::Tier1), way(Mode::Tier2), way(Mode::Adaptive), Way { mode: Mode::Tier1, tuning: second }]
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ran {
    /// Random instructions: those of the program's body, in all its turns.
    pub random: u64,
    /// All instructions that retired.
    pub retired: u64,
    /// What the tiers did.
    pub tiers: TierCounts,
}

/// How the program of a seed is run.
struct Plan {
    program: Program,
    turns: u64,
    round: u64,
    code_bytes: Option<u64>,
}

impl Plan {
    fn of(seed: u64) -> Plan {
        let mut rng = Rng::new(seed ^ 0x7135);
        let turns = rng.pick(&[4, 12, 30, 60]);
        // A timer that is always late leaves the program no time of its own: a handler takes some 120 instructions.
        let timer = (!rng.one_in(4)).then(|| 200 + rng.below(2000) as u32);
        // Where a round ends in a block, the interpreter runs the rest: in short rounds there is little compiled code.
        let round =
            if rng.one_in(8) { 1 + rng.below(16) } else { rng.pick(&[37, 64, 101, 257, 1000, 10_000]) };
        let code_bytes = rng.one_in(4).then_some(256 << 10);
        let shape = Shape { turns, timer, loops: true, segment: SEGMENT };
        let program = shaped(seed, UNITS, 0..0, Detail::default(), &shape);
        Plan { program, turns: u64::from(turns), round, code_bytes }
    }

    fn bench(&self, mode: Mode, tuning: Tuning) -> Result<Bench> {
        let tuning = Tuning { code_bytes: self.code_bytes.unwrap_or(tuning.code_bytes), ..tuning };
        let setup = Setup { mode, tuning, ns_per_insn: NS_PER_INSN, ..Setup::default() };
        Bench::load(&self.program.image, setup, self.round)
    }
}

/// Runs the program of `seed` in lockstep. What it did; an error is a difference, or a program that does not end.
pub fn compare(seed: u64, way: &Way) -> Result<Ran> {
    let plan = Plan::of(seed);
    let sides = [plan.bench(Mode::Interpreter, way.tuning)?, plan.bench(way.mode, way.tuning)?];
    let mut lockstep = Lockstep::new(sides)?;
    loop {
        match lockstep.step(STRETCH, &[])? {
            Step::Equal(at) => ensure!(at < LONGEST, "seed {seed}: the program does not end"),
            Step::Over(retired) => {
                let [reference, other] = lockstep.sides();
                let end = reference.over();
                ensure!(end == Some(MachineEvent::PowerOff(0)), "seed {seed}: it ends with {end:?}");
                let texts = [reference, other].map(|s| s.machine().text());
                ensure!(texts[0] == texts[1] && !texts[0].is_empty(), "seed {seed}: {texts:?}");
                let random = plan.program.insns as u64 * plan.turns;
                return Ok(Ran { random, retired, tiers: other.engine().tiers() });
            }
            Step::Diverged(d) => anyhow::bail!("seed {seed}, {:?}, rounds of {}:\n{d}", way.mode, plan.round),
        }
    }
}
