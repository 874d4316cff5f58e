//! Heat: how often a block runs, with old runs fading.
//!
//! The problem: a counter that only grows calls a block hot that was busy once, at boot. So runs decay: heat is the number of
//! runs, each weighed by `exp(-age / MEMORY)`, an exponentially weighted moving average times its memory. Counters in emitted
//! code count plainly; heat is brought up to date when one of them runs out.

use std::time::{Duration, Instant};

/// The time in which a run's weight falls to 1/e.
pub const MEMORY: Duration = Duration::from_secs(2);

/// A block's heat.
#[derive(Clone, Copy, Debug)]
pub struct Heat {
    weight: f64,
    at: Instant,
}

impl Heat {
    /// Cold.
    pub fn new(now: Instant) -> Heat {
        Heat { weight: 0.0, at: now }
    }

    /// Adds runs that happened evenly since the last call; gives the heat now, in runs.
    pub fn add(&mut self, runs: u64, now: Instant) -> f64 {
        let dt = now.saturating_duration_since(self.at).as_secs_f64();
        let memory = MEMORY.as_secs_f64();
        let fade = (-dt / memory).exp();
        // The mean weight of runs spread evenly over the time that has passed.
        let spread = if dt > 1e-9 { (1.0 - fade) * memory / dt } else { 1.0 };
        self.weight = self.weight * fade + runs as f64 * spread;
        self.at = now;
        self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_runs_fade_and_steady_ones_settle() {
        let begin = Instant::now();
        let mut heat = Heat::new(begin);
        assert_eq!(heat.add(1000, begin), 1000.0);
        let later = heat.add(0, begin + 10 * MEMORY);
        assert!(later < 0.1, "{later}");
        let mut settled = 0.0;
        for second in 21..60 {
            settled = heat.add(500, begin + Duration::from_secs(second));
        }
        // 500 runs a second over a memory of two seconds.
        assert!((settled - 1000.0).abs() < 10.0, "{settled}");
    }
}
