//! When code is compiled: the policy of the tiers.
//!
//! A compile pays if what it saves in the time to come is more than it costs. What is to come is guessed from the block's heat:
//! it will run for as long again as it has been. Costs are measured on this machine, in this run.

/// What compiling by a tier has cost so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// Nanoseconds spent.
    pub ns: u64,
    /// Guest instructions compiled.
    pub insns: u64,
}

impl Cost {
    /// Nanoseconds per guest instruction; `first` until enough was compiled to tell, and at most three times that: a compiler that had to
    /// wait for a busy host is not dear.
    pub fn per_insn(self, first: f64) -> f64 {
        if self.insns < 200 { first } else { (self.ns as f64 / self.insns as f64).min(3.0 * first) }
    }
}

/// A block whose counter in tier 1 ran out.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Its guest instructions.
    pub insns: u32,
    /// Its heat in runs, see [`super::heat`].
    pub heat: f64,
    /// Regions that wait for a compiler.
    pub queued: usize,
    /// What tier 2 has cost.
    pub cost: Cost,
}

/// Code that samples found hot.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Guest instructions of the blocks that were sampled.
    pub insns: u32,
    /// Blocks run there, old runs faded, see [`super::heat`].
    pub runs: f64,
    /// Regions that wait for a compiler.
    pub queued: usize,
    /// What tier 2 has cost.
    pub cost: Cost,
}

/// A region of which the counter ran out.
#[derive(Clone, Copy, Debug)]
pub struct Again {
    /// Its guest instructions.
    pub insns: u32,
    /// Its heat in runs; if it is settled, in guesses that failed.
    pub heat: f64,
    /// How often it was left for what may be pulled in, for each run.
    pub away: f64,
    /// It does not count its exits.
    pub settled: bool,
    /// How often guesses have failed for it.
    pub rounds: u32,
    /// Regions that wait for a compiler.
    pub queued: usize,
    /// What tier 2 has cost.
    pub cost: Cost,
}

/// What is done with it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Verdict {
    /// Compile; this much is expected to be saved, in ns.
    Promote {
        /// Estimated saving less cost.
        saving_ns: f64,
    },
    /// Ask again after this many more runs.
    Wait {
        /// Runs.
        runs: u32,
    },
}

/// Decides when blocks climb.
pub trait Policy: Send + Sync {
    /// Runs in the interpreter before tier 1 compiles a block of `insns` instructions.
    fn tier1_runs(&self, insns: u32) -> u32;
    /// Runs in tier 1 before a block asks for tier 2 for the first time.
    fn tier2_runs(&self, insns: u32) -> u32;
    /// What to do with a block that asks.
    fn decide(&self, ask: &Ask) -> Verdict;
    /// What to do with code that samples found hot.
    fn decide_found(&self, found: &Found) -> Verdict;
    /// Runs of a region before it may be formed again, by how it was left.
    fn region_runs(&self) -> u32;
    /// What to do with a region that has run so often.
    fn decide_again(&self, again: &Again) -> Verdict;
}

/// Guest instructions that a region round a block has, typically.
const REGION: f64 = 40.0;
/// What tier 2 costs per guest instruction before it was measured (DESIGN.md: 14 to 18 us).
const TIER2_NS: f64 = 18_000.0;
/// What tier 2 saves per guest instruction against tier 1, in ns, where it saves anything: float kernels and loops of several
/// blocks (docs/performance.md). Loops of one block are as fast in tier 1.
const GAIN_NS: f64 = 0.05;
/// What tier 2 saves for each block run in code that is no loop: registers need not go through the state between blocks. Little
/// is certain: promoting more readily cost `ossl_sha256` 3%, `python` 2 to 12% and `exec` 1% of their time, in pairs run side by side.
const BLOCK_NS: f64 = 0.02;
/// What a region saves each time it runs if it is formed again, in ns: it does not count, and is left less often. That much is
/// certain: two counters.
const RUN_NS: f64 = 1.0;
/// What it saves besides for each time that it was left to another page, or by a jump: a look-up, and the state that goes through memory.
const AWAY_NS: f64 = 3.0;
/// A loop in a region may be left more often than this for each run; but what is pulled in may be left again.
const MOST_AWAY: f64 = 4.0;
/// What a guess that fails costs.
const FAILED_NS: f64 = 2.0;
/// A region whose guesses fail is formed anew at most so often.
const ROUNDS: u32 = 3;
/// Guest instructions of the largest region.
const LARGEST: f64 = 500.0;
/// Heat is a memory of two seconds; a block is expected to run for about as long again.
const HORIZON: f64 = 2.0;

/// Thresholds that follow block length, queue length and measured cost.
#[derive(Clone, Copy, Debug)]
pub struct Adaptive {
    /// Runs in the interpreter before tier 1.
    pub tier1_runs: u32,
    /// Runs in tier 1 before a block of ten instructions asks for tier 2.
    pub tier2_runs: u32,
}

impl Policy for Adaptive {
    fn tier1_runs(&self, _insns: u32) -> u32 {
        // Cost and gain both grow with the length.
        self.tier1_runs
    }

    fn tier2_runs(&self, insns: u32) -> u32 {
        // Short blocks are part of a larger region: they may wait a little longer, long ones less.
        let scaled = self.tier2_runs as u64 * 10 / insns.clamp(4, 40) as u64;
        scaled.min(i32::MAX as u64 / 2) as u32
    }

    fn decide(&self, ask: &Ask) -> Verdict {
        let region = REGION.max(ask.insns as f64);
        let cost = region * ask.cost.per_insn(TIER2_NS);
        // A longer queue means that compiling comes later and costs others their turn.
        let cost = cost * (1.0 + ask.queued as f64 / 32.0);
        let saving_ns = ask.heat * HORIZON * region.min(2.0 * ask.insns as f64) * GAIN_NS - cost;
        if saving_ns > 0.0 {
            return Verdict::Promote { saving_ns };
        }
        Verdict::Wait { runs: self.tier2_runs(ask.insns).saturating_mul(2).max(64) }
    }

    fn decide_found(&self, found: &Found) -> Verdict {
        // No sooner than a block that counts its runs: who raises that threshold means all code.
        if found.runs < f64::from(self.tier2_runs) {
            return Verdict::Wait { runs: 0 };
        }
        // What lies between the blocks that were hit is compiled too.
        let region = (1.5 * f64::from(found.insns)).clamp(REGION, LARGEST);
        let cost = region * found.cost.per_insn(TIER2_NS) * (1.0 + found.queued as f64 / 32.0);
        let saving_ns = found.runs * HORIZON * BLOCK_NS - cost;
        if saving_ns > 0.0 { Verdict::Promote { saving_ns } } else { Verdict::Wait { runs: 0 } }
    }

    fn region_runs(&self) -> u32 {
        self.tier2_runs.saturating_mul(8)
    }

    fn decide_again(&self, again: &Again) -> Verdict {
        if again.rounds >= ROUNDS && again.settled {
            return Verdict::Wait { runs: u32::MAX };
        }
        let wait = Verdict::Wait { runs: self.region_runs().saturating_mul(4) };
        // As for what samples find.
        if again.heat < f64::from(self.tier2_runs) {
            return wait;
        }
        let each = if again.settled { FAILED_NS } else { RUN_NS + AWAY_NS * again.away.min(MOST_AWAY) };
        // What was pulled in is compiled too.
        let insns = REGION.max(1.5 * f64::from(again.insns));
        let cost = insns * again.cost.per_insn(TIER2_NS) * (1.0 + again.queued as f64 / 32.0);
        let saving_ns = again.heat * HORIZON * each - cost;
        if saving_ns > 0.0 { Verdict::Promote { saving_ns } } else { wait }
    }
}

/// Compiles by tier 1 at once, by tier 2 after a fixed number of runs (modes tier 1 and tier 2).
#[derive(Clone, Copy, Debug)]
pub struct Eager {
    /// Runs in tier 1 before tier 2.
    pub tier2_runs: u32,
}

impl Policy for Eager {
    fn tier1_runs(&self, _insns: u32) -> u32 {
        0
    }
    fn tier2_runs(&self, _insns: u32) -> u32 {
        self.tier2_runs
    }
    fn decide(&self, _ask: &Ask) -> Verdict {
        Verdict::Promote { saving_ns: 0.0 }
    }
    fn decide_found(&self, _found: &Found) -> Verdict {
        // Everything counts its runs in these modes.
        Verdict::Wait { runs: 0 }
    }
    fn region_runs(&self) -> u32 {
        self.tier2_runs.saturating_mul(16)
    }
    fn decide_again(&self, again: &Again) -> Verdict {
        if again.rounds >= ROUNDS && again.settled {
            return Verdict::Wait { runs: u32::MAX };
        }
        Verdict::Promote { saving_ns: 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Adaptive = Adaptive { tier1_runs: 24, tier2_runs: 4000 };

    fn ask(heat: f64) -> Ask {
        Ask { insns: 10, heat, queued: 0, cost: Cost::default() }
    }

    #[test]
    fn only_what_saves_more_than_it_costs_is_promoted() {
        assert!(matches!(POLICY.decide(&ask(1e7)), Verdict::Promote { saving_ns } if saving_ns > 0.0));
        assert!(matches!(POLICY.decide(&ask(100.0)), Verdict::Wait { runs } if runs > 0));
    }

    #[test]
    fn what_samples_find_must_run_many_blocks() {
        let found = |runs| Found { insns: 30, runs, queued: 0, cost: Cost::default() };
        assert!(
            matches!(POLICY.decide_found(&found(1e9)), Verdict::Promote { saving_ns } if saving_ns > 0.0)
        );
        assert!(matches!(POLICY.decide_found(&found(1e6)), Verdict::Wait { .. }));
        let many = Found { queued: 2000, ..found(1e8) };
        assert!(matches!(POLICY.decide_found(&found(1e8)), Verdict::Promote { .. }));
        assert!(matches!(POLICY.decide_found(&many), Verdict::Wait { .. }));
        let eager = Eager { tier2_runs: 1 };
        assert!(matches!(eager.decide_found(&found(1e9)), Verdict::Wait { .. }), "it counts everything");
    }

    #[test]
    fn a_full_queue_and_dear_compiles_raise_the_bar() {
        let least = |queued, ns| {
            let cost = Cost { ns, insns: 1000 };
            (0..64).map(|n| 1.5f64.powi(n)).find(|&heat| {
                matches!(POLICY.decide(&Ask { queued, cost, ..ask(heat) }), Verdict::Promote { .. })
            })
        };
        let easy = least(0, 10_000_000);
        assert!(easy.is_some() && easy < least(200, 10_000_000) && easy < least(0, 40_000_000));
    }

    #[test]
    fn regions_are_formed_again_while_that_helps() {
        let again = |heat, settled, rounds| {
            let cost = Cost::default();
            let again = Again { insns: 60, heat, away: 0.0, settled, rounds, queued: 0, cost };
            matches!(POLICY.decide_again(&again), Verdict::Promote { .. })
        };
        assert!(again(1e8, false, 0) && again(1e8, true, 0) && again(1e8, false, ROUNDS));
        assert!(!again(1e4, false, 0) && !again(1e4, true, 0) && !again(1e12, true, ROUNDS));
        assert!(matches!(
            Eager { tier2_runs: 1 }.decide_again(&Again {
                insns: 60,
                heat: 1.0,
                away: 0.0,
                settled: true,
                rounds: ROUNDS,
                queued: 0,
                cost: Cost::default()
            }),
            Verdict::Wait { .. }
        ));
    }

    #[test]
    fn the_threshold_is_for_sampled_code_too() {
        let found = Found { insns: 40, runs: 1e9 - 1.0, queued: 0, cost: Cost::default() };
        assert!(matches!(POLICY.decide_found(&found), Verdict::Promote { .. }));
        let never = Adaptive { tier2_runs: 1_000_000_000, ..POLICY };
        assert_eq!(never.decide_found(&found), Verdict::Wait { runs: 0 });
    }

    #[test]
    fn long_blocks_ask_sooner() {
        assert!(POLICY.tier2_runs(40) < POLICY.tier2_runs(10));
        assert!(POLICY.tier2_runs(10) < POLICY.tier2_runs(1));
    }
}
