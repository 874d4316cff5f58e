//! The counters of a machine over time.

use super::Between;
use crate::machine::api::{EngineMode, HartStatus, Status, Traffic};
use engine::exec::mode::{TierCounts, Tuning};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Moments kept. At ten a second the newest half is seven minutes, and each older half is half as dense.
const KEPT: usize = 8192;

/// The counters of one moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// When, by the host's clock.
    pub at: Instant,
    /// When, by the guest's clock.
    pub guest_ns: u64,
    /// Moments of one number were sampled without a break: between others nobody looked, or the guest stood still.
    pub stretch: u32,
    /// The engine mode.
    pub engine: EngineMode,
    /// Each hart.
    pub harts: Box<[HartStatus]>,
    /// What the tiers have done.
    pub tiers: TierCounts,
    /// Where harts were when they were asked: by stage of the code, and, last, asleep.
    pub samples: [u64; 5],
    /// Thresholds and sizes that were in force.
    pub tuning: Tuning,
    /// All disks.
    pub disk: Traffic,
    /// All network cards.
    pub net: Traffic,
}

impl Moment {
    /// What a status says, copied at an instant.
    pub fn of(status: &Status, at: Instant, stretch: u32) -> Moment {
        Moment {
            at,
            guest_ns: status.uptime_ns,
            stretch,
            engine: status.engine,
            harts: status.harts.as_slice().into(),
            tiers: status.tiers,
            samples: status.samples,
            tuning: status.tuning,
            disk: status.disk,
            net: status.net,
        }
    }
}

/// A stretch of guest time and the two moments that enclose it most closely, where it was watched.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its begin.
    pub start_ns: u64,
    /// Its end.
    pub end_ns: u64,
    moments: Option<(Arc<Moment>, Arc<Moment>)>,
}

impl Column {
    /// What happened in it, if that was watched.
    pub fn between(&self) -> Option<Between<'_>> {
        self.moments.as_ref().map(|(from, to)| Between { from, to })
    }
}

/// Moments in the order of guest time: all of the last minutes, fewer of the time before.
#[derive(Debug, Default)]
pub struct History {
    moments: VecDeque<Arc<Moment>>,
}

impl History {
    /// Adds a moment. One that lies before the last one begins anew: the machine was reset. One of the same guest time says only that
    /// nothing has happened since.
    pub fn push(&mut self, moment: Moment) {
        match self.moments.back() {
            Some(last) if moment.guest_ns < last.guest_ns => self.moments.clear(),
            Some(last) if moment.guest_ns == last.guest_ns => return,
            _ => {}
        }
        if self.moments.len() >= KEPT {
            self.thin_out();
        }
        self.moments.push_back(Arc::new(moment));
    }

    /// Every second moment of the older half goes.
    fn thin_out(&mut self) {
        let half = self.moments.len() / 2;
        let mut number = 0;
        self.moments.retain(|_| {
            number += 1;
            number > half || number % 2 == 1
        });
    }

    /// The newest moment.
    pub fn last(&self) -> Option<&Arc<Moment>> {
        self.moments.back()
    }

    /// The oldest moment.
    pub fn first(&self) -> Option<&Arc<Moment>> {
        self.moments.front()
    }

    /// What happened in the last `time` of the guest, as far as it was watched without a break.
    pub fn lately(&self, time: Duration) -> Option<(Arc<Moment>, Arc<Moment>)> {
        let last = self.moments.back()?;
        let since = last.guest_ns.saturating_sub(nanoseconds(time));
        let from = self.moments.partition_point(|m| m.guest_ns < since);
        let first = self.moments.range(from..).find(|m| m.stretch == last.stretch)?;
        (!Arc::ptr_eq(first, last)).then(|| (first.clone(), last.clone()))
    }

    /// Guest time at an instant of the host: between two moments in proportion, outside of them as if both clocks went alike.
    pub fn guest_ns(&self, at: Instant) -> u64 {
        let next = self.moments.partition_point(|m| m.at <= at);
        match (next.checked_sub(1).and_then(|i| self.moments.get(i)), self.moments.get(next)) {
            (Some(a), Some(b)) => {
                let part = at.duration_since(a.at).as_secs_f64() / b.at.duration_since(a.at).as_secs_f64();
                a.guest_ns + ((b.guest_ns - a.guest_ns) as f64 * part) as u64
            }
            (Some(a), None) => a.guest_ns.saturating_add(nanoseconds(at.duration_since(a.at))),
            (None, Some(b)) => b.guest_ns.saturating_sub(nanoseconds(b.at.duration_since(at))),
            (None, None) => 0,
        }
    }

    /// Columns of `width_ns`, from a multiple of it on, that cover the time from `from_ns` to `to_ns`.
    pub fn columns(&self, from_ns: u64, to_ns: u64, width_ns: u64) -> Vec<Column> {
        let width = width_ns.max(1);
        (from_ns / width..to_ns.div_ceil(width).max(from_ns / width + 1))
            .map(|n| self.column(n * width, ((n + 1) * width).min(to_ns)))
            .collect()
    }

    fn column(&self, start_ns: u64, end_ns: u64) -> Column {
        let before = self.moments.partition_point(|m| m.guest_ns <= start_ns).checked_sub(1);
        let after = self.moments.partition_point(|m| m.guest_ns < end_ns);
        let to = self.moments.get(after).or(self.moments.back());
        let moments = before.and_then(|i| self.moments.get(i)).zip(to);
        let watched = |(a, b): &(&Arc<Moment>, &Arc<Moment>)| {
            a.stretch == b.stretch && b.guest_ns > start_ns && !Arc::ptr_eq(a, b)
        };
        let moments = moments.filter(watched).map(|(a, b)| (a.clone(), b.clone()));
        Column { start_ns, end_ns, moments }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A moment at `ms` of guest and host time, at which `insns` were retired in tier 2.
    pub(in crate::watch) fn moment(begin: Instant, ms: u64, stretch: u32, insns: u64) -> Moment {
        Moment {
            at: begin + Duration::from_millis(ms),
            guest_ns: ms * MS,
            stretch,
            engine: EngineMode::Adaptive,
            harts: Box::new([HartStatus { retired: insns, started: true, ..HartStatus::default() }]),
            tiers: TierCounts { insns: [0, 0, insns], ..TierCounts::default() },
            samples: [0; 5],
            tuning: Tuning::default(),
            disk: Traffic::default(),
            net: Traffic::default(),
        }
    }

    fn seconds(columns: &[Column]) -> Vec<Option<f64>> {
        columns.iter().map(|c| c.between().map(|b| b.guest_seconds())).collect()
    }

    #[test]
    fn it_is_bounded_and_reaches_back_ten_minutes() {
        let begin = Instant::now();
        let mut history = History::default();
        for i in 0..50_000 {
            history.push(moment(begin, i * 100, 0, i));
            assert!(history.moments.len() <= KEPT);
        }
        let span = history.last().expect("newest").guest_ns - history.first().expect("oldest").guest_ns;
        assert!(span > 600_000 * MS, "{span}");
        // The last minutes are whole.
        let (a, b) = history.lately(Duration::from_secs(400)).expect("watched");
        assert_eq!(b.guest_ns - a.guest_ns, 400_000 * MS);
        let newest: Vec<_> = history.moments.iter().rev().take(4000).map(|m| m.guest_ns).collect();
        assert!(newest.windows(2).all(|w| w[0] - w[1] == 100 * MS));
    }

    #[test]
    fn a_reset_begins_anew_and_a_pause_adds_nothing() {
        let begin = Instant::now();
        let mut history = History::default();
        for ms in [100, 200, 200, 200] {
            history.push(moment(begin, ms, 0, ms));
        }
        assert_eq!(history.moments.len(), 2);
        history.push(moment(begin, 50, 0, 0));
        assert_eq!(history.moments.len(), 1);
    }

    #[test]
    fn columns_are_enclosed_by_moments_and_breaks_show() {
        let begin = Instant::now();
        let mut history = History::default();
        for ms in [0, 100, 200, 300, 400] {
            history.push(moment(begin, ms, 0, ms));
        }
        for ms in [1_000, 1_100, 1_200] {
            history.push(moment(begin, ms, 1, ms));
        }
        let columns = history.columns(0, 1_200 * MS, 200 * MS);
        let expected = [Some(0.2), Some(0.2), None, None, None, Some(0.2)];
        assert_eq!(seconds(&columns), expected);
        // Odd limits: the grid stays where it is, the last column ends now.
        let columns = history.columns(1_050 * MS, 1_150 * MS, 100 * MS);
        assert_eq!((columns[0].start_ns, columns[1].end_ns), (1_000 * MS, 1_150 * MS));
        // Finer than the samples: the rate of the samples round it.
        let columns = history.columns(110 * MS, 140 * MS, 10 * MS);
        assert_eq!(seconds(&columns), [Some(0.1), Some(0.1), Some(0.1)]);
        assert!(History::default().columns(0, 10, 0).iter().all(|c| c.between().is_none()));
    }

    #[test]
    fn host_instants_have_a_guest_time() {
        let begin = Instant::now();
        let mut history = History::default();
        assert_eq!(history.guest_ns(begin), 0);
        history.push(moment(begin, 100, 0, 0));
        let mut later = moment(begin, 300, 0, 0);
        later.guest_ns = 200 * MS;
        history.push(later);
        let at = |ms| history.guest_ns(begin + Duration::from_millis(ms)) / MS;
        assert_eq!((at(0), at(60), at(200), at(350)), (0, 60, 150, 250));
    }
}
