//! Rates and shares: what happened between two moments. The one place where counters are subtracted and divided.

use super::Moment;
use engine::exec::mode::TierCounts;
use engine::watch::Stage;

/// Two moments of one machine, the older one first.
#[derive(Clone, Copy, Debug)]
pub struct Between<'a> {
    /// The older one.
    pub from: &'a Moment,
    /// The newer one.
    pub to: &'a Moment,
}

impl Between<'_> {
    /// Seconds between them by the guest's clock.
    pub fn guest_seconds(&self) -> f64 {
        self.to.guest_ns.saturating_sub(self.from.guest_ns) as f64 / 1e9
    }

    /// Seconds between them by the host's clock.
    pub fn seconds(&self) -> f64 {
        self.to.at.saturating_duration_since(self.from.at).as_secs_f64()
    }

    /// How much a counter has grown.
    fn step(&self, counter: impl Fn(&TierCounts) -> u64) -> f64 {
        counter(&self.to.tiers).saturating_sub(counter(&self.from.tiers)) as f64
    }

    /// How much a counter has grown in a second.
    pub fn per_second(&self, counter: impl Fn(&TierCounts) -> u64) -> Option<f64> {
        ratio(self.step(counter), self.seconds())
    }

    /// Which part of the guest's instructions ran in a tier (0 the interpreter, 1, 2).
    pub fn tier_share(&self, tier: usize) -> Option<f64> {
        let in_tier = |i: usize| self.step(|t| t.insns.get(i).copied().unwrap_or(0));
        ratio(in_tier(tier), (0..3).map(in_tier).sum())
    }

    /// Which part of the time of all harts was spent in code of a stage, or asleep (`None`); by samples.
    pub fn time_share(&self, stage: Option<Stage>) -> Option<f64> {
        let step = |i: usize| self.to.samples[i].saturating_sub(self.from.samples[i]) as f64;
        ratio(step(stage.map_or(4, |s| s as usize)), (0..5).map(step).sum())
    }

    /// Millions of instructions that a hart retired in a second.
    pub fn mips(&self, hart: usize) -> Option<f64> {
        let (from, to) = (self.from.harts.get(hart)?, self.to.harts.get(hart)?);
        ratio(to.retired.saturating_sub(from.retired) as f64 / 1e6, self.seconds())
    }

    /// Which part of the look-ups in jump caches by compiled code hit.
    pub fn jump_hit_rate(&self) -> Option<f64> {
        let hits = self.step(|t| t.jump_hits);
        ratio(hits, hits + self.step(|t| t.jump_misses))
    }

    /// TLB misses in a thousand guest instructions: loads (0), stores (1), fetches (2).
    pub fn tlb_misses_per_thousand(&self, kind: usize) -> Option<f64> {
        let insns = self.step(|t| t.insns.iter().fold(0, |a, n| a.wrapping_add(*n)));
        ratio(self.step(|t| t.tlb_misses.get(kind).copied().unwrap_or(0)) * 1e3, insns)
    }

    /// Which part of the time a compiler was at work, 1 being one thread all the time: tier 1 (0), tier 2 (1).
    pub fn compiling(&self, tier: usize) -> Option<f64> {
        self.per_second(|t| t.compile_ns.get(tier).copied().unwrap_or(0)).map(|ns| ns / 1e9)
    }
}

/// A part of a whole, if there is a whole.
fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::moment;
    use super::*;
    use std::time::Instant;

    fn pair() -> (Moment, Moment) {
        let begin = Instant::now();
        let (mut from, mut to) = (moment(begin, 1_000, 0, 0), moment(begin, 3_000, 0, 0));
        from.tiers = TierCounts { insns: [100, 10, 0], jump_hits: 5, ..TierCounts::default() };
        to.tiers = TierCounts {
            insns: [200, 310, 600],
            jump_hits: 80,
            jump_misses: 25,
            tlb_misses: [10, 5, 1],
            invalidated: 30,
            compile_ns: [0, 500_000_000],
            ..TierCounts::default()
        };
        to.samples = [10, 20, 0, 50, 20];
        to.harts[0].retired = 50_000_000;
        (from, to)
    }

    #[test]
    fn rates_and_shares_come_from_differences() {
        let (from, to) = pair();
        let b = Between { from: &from, to: &to };
        assert_eq!((b.seconds(), b.guest_seconds()), (2.0, 2.0));
        assert_eq!([0, 1, 2].map(|t| b.tier_share(t)), [Some(0.1), Some(0.3), Some(0.6)]);
        assert_eq!((b.mips(0), b.mips(1)), (Some(25.0), None));
        assert_eq!(Stage::ALL.map(|s| b.time_share(Some(s))), [Some(0.1), Some(0.2), Some(0.0), Some(0.5)]);
        assert_eq!((b.time_share(None), b.jump_hit_rate()), (Some(0.2), Some(0.75)));
        assert_eq!([0, 1, 2].map(|k| b.tlb_misses_per_thousand(k)), [Some(10.0), Some(5.0), Some(1.0)]);
        assert_eq!(b.per_second(|t| t.invalidated), Some(15.0));
        assert_eq!((b.compiling(0), b.compiling(1)), (Some(0.0), Some(0.25)));
    }

    #[test]
    fn where_nothing_happened_there_is_no_rate() {
        let (from, _) = pair();
        let b = Between { from: &from, to: &from };
        assert_eq!((b.tier_share(0), b.mips(0), b.jump_hit_rate()), (None, None, None));
        assert_eq!(b.time_share(None), None);
        assert_eq!((b.tlb_misses_per_thousand(0), b.per_second(|t| t.evicted)), (None, None));
    }

    #[test]
    fn counters_that_went_back_do_no_harm() {
        let (from, to) = pair();
        let b = Between { from: &to, to: &from };
        assert_eq!((b.seconds(), b.tier_share(2), b.mips(0)), (0.0, None, None));
    }
}
