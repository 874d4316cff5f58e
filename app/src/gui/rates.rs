//! Rates out of counters: speed, load of each hart, activity lights. They change at most four times a second.

use crate::machine::api::{Status, Traffic};
use std::time::{Duration, Instant};

/// Time between two values.
pub const INTERVAL: Duration = Duration::from_millis(250);

struct Sample {
    at: Instant,
    uptime_ns: u64,
    /// Instructions retired and nanoseconds asleep, for each hart.
    harts: Vec<(u64, u64)>,
    disk: Traffic,
    net: Traffic,
}

impl Sample {
    fn of(status: &Status, at: Instant) -> Sample {
        Sample {
            at,
            uptime_ns: status.uptime_ns,
            harts: status.harts.iter().map(|h| (h.retired, h.idle_ns)).collect(),
            disk: status.disk,
            net: status.net,
        }
    }
}

/// The values shown.
#[derive(Default)]
pub struct Rates {
    last: Option<Sample>,
    /// Millions of guest instructions per second of the host's time; `None` until two samples exist.
    pub mips: Option<f64>,
    /// Busy part of each hart, 0 to 1.
    pub load: Vec<f32>,
    /// Whether disks have moved bytes since the last value.
    pub disk: bool,
    /// Whether the network has moved bytes since the last value.
    pub net: bool,
}

impl Rates {
    /// Whether a new value is due.
    pub fn due(&self, now: Instant) -> bool {
        self.last.as_ref().is_none_or(|s| now.duration_since(s.at) >= INTERVAL)
    }

    /// Takes a sample.
    pub fn update(&mut self, status: &Status, now: Instant) {
        let sample = Sample::of(status, now);
        if let Some(last) = &self.last {
            let steps: Vec<(u64, u64)> = sample
                .harts
                .iter()
                .zip(&last.harts)
                .map(|(now, then)| (now.0.saturating_sub(then.0), now.1.saturating_sub(then.1)))
                .collect();
            let seconds = now.duration_since(last.at).as_secs_f64();
            if seconds > 0.0 {
                #[expect(clippy::cast_precision_loss, reason = "a rate of three digits")]
                let retired = steps.iter().map(|s| s.0).fold(0, u64::saturating_add) as f64;
                self.mips = Some(retired / seconds / 1e6);
            }
            let guest = sample.uptime_ns.saturating_sub(last.uptime_ns);
            // A sleep is counted when it ends: who has retired nothing has slept.
            let load = |s: &(u64, u64)| if s.0 == 0 { 0.0 } else { busy(s.1, guest) };
            self.load = steps.iter().map(load).collect();
            self.disk = sample.disk != last.disk;
            self.net = sample.net != last.net;
        }
        self.last = Some(sample);
    }

    /// Whether all numbers but the time stand still.
    pub fn is_quiet(&self) -> bool {
        self.mips.is_some_and(|m| m < 0.005) && !self.disk && !self.net
    }

    /// Forgets everything: the machine stands still or starts anew.
    pub fn clear(&mut self) {
        *self = Rates::default();
    }
}

fn busy(idle: u64, total: u64) -> f32 {
    if total == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a bar of a few pixels")]
    let part = 1.0 - idle as f32 / total as f32;
    part.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::api::{EngineMode, HartStatus, RunState};

    #[test]
    fn rates_come_from_differences() {
        let hart = |retired, idle_ns| HartStatus { retired, idle_ns, started: true, ..HartStatus::default() };
        let status = |uptime_ns, harts| Status {
            state: RunState::Running,
            engine: EngineMode::Interpreter,
            uptime_ns,
            harts,
            disk: Traffic::default(),
            net: Traffic::default(),
            devices: Vec::new(),
            tiers: Default::default(),
            tuning: Default::default(),
            samples: [0; 5],
            pins: Vec::new(),
        };
        let start = Instant::now();
        let mut rates = Rates::default();
        assert!(rates.due(start));
        rates.update(&status(0, vec![hart(0, 0), hart(0, 0)]), start);
        assert!(rates.mips.is_none() && !rates.due(start));
        let later = start + Duration::from_secs(2);
        let mut second = status(2_000, vec![hart(60_000_000, 500), hart(40_000_000, 5_000)]);
        second.disk.read_bytes = 1;
        rates.update(&second, later);
        assert!(!rates.is_quiet());
        assert_eq!(rates.mips, Some(50.0));
        assert_eq!(rates.load, [0.75, 0.0]);
        assert!(rates.disk && !rates.net);
        // Still asleep: nothing retired, and the sleep is not counted yet.
        second.uptime_ns += 2_000;
        rates.update(&second, later + INTERVAL);
        assert_eq!(rates.load, [0.0, 0.0]);
        assert!(rates.is_quiet());
    }
}
