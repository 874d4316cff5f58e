//! The one clock of a machine, and its alarms.
//!
//! No device, firmware call or hart reads host time. They read [`Clock`], which is host time that can be paused, or
//! the instruction count. Device timers are alarms on it: in host time a thread of the machine rings them, in
//! instruction-count time the run loop does, between slices.

use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// What an alarm calls.
pub type AlarmFn = Box<dyn FnOnce() + Send>;

/// Where time comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeSource {
    /// The host's monotonic clock.
    Host,
    /// Instructions executed; [`Clock::set_virtual`] moves it.
    Instructions,
}

#[derive(Default)]
struct Alarms {
    next_id: u64,
    queue: BTreeMap<(u64, u64), AlarmFn>,
    /// The thread that runs an alarm's function now.
    ringing: Option<ThreadId>,
    stop: bool,
}

struct HostTime {
    /// Clock reading at `since`.
    base_ns: u64,
    /// `None` while paused.
    since: Option<Instant>,
}

/// Time of one machine in nanoseconds since power-on.
pub struct Clock {
    source: TimeSource,
    host: Mutex<HostTime>,
    /// Instruction time, and the paused reading of host time.
    virt: AtomicU64,
    /// Lock-free copy of the running host origin: ns of `epoch` at which the clock read 0.
    origin: AtomicU64,
    running: AtomicBool,
    epoch: Instant,
    /// Unix time in ns at clock zero, for real-time clocks; an input, so it can be replayed.
    wall_base: AtomicU64,
    alarms: Mutex<Alarms>,
    changed: Condvar,
}

/// Names an alarm so that it can be taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AlarmId(u64, u64);

impl Clock {
    /// A stopped clock at 0 whose real-time base is `wall_base_ns` (Unix ns).
    pub fn new(source: TimeSource, wall_base_ns: u64) -> Arc<Clock> {
        Arc::new(Clock {
            source,
            host: Mutex::new(HostTime { base_ns: 0, since: None }),
            virt: AtomicU64::new(0),
            origin: AtomicU64::new(0),
            running: AtomicBool::new(false),
            epoch: Instant::now(),
            wall_base: AtomicU64::new(wall_base_ns),
            alarms: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Where time comes from.
    pub fn source(&self) -> TimeSource {
        self.source
    }

    /// Nanoseconds since power-on, not counting pauses.
    pub fn now_ns(&self) -> u64 {
        if self.source == TimeSource::Host && self.running.load(Ordering::Acquire) {
            let host = self.epoch.elapsed().as_nanos() as u64;
            return host.wrapping_sub(self.origin.load(Ordering::Relaxed));
        }
        self.virt.load(Ordering::Acquire)
    }

    /// Unix time in ns.
    pub fn wall_ns(&self) -> u64 {
        self.wall_base.load(Ordering::Relaxed).wrapping_add(self.now_ns())
    }

    /// Moves the real-time base so that [`Clock::wall_ns`] reads `unix_ns` now.
    pub fn set_wall_ns(&self, unix_ns: u64) {
        self.wall_base.store(unix_ns.wrapping_sub(self.now_ns()), Ordering::Relaxed);
    }

    /// Starts or goes on.
    pub fn resume(&self) {
        let mut host = self.host.lock();
        if self.source == TimeSource::Host && host.since.is_none() {
            host.since = Some(Instant::now());
            let base = self.virt.load(Ordering::Relaxed);
            host.base_ns = base;
            self.origin.store((self.epoch.elapsed().as_nanos() as u64).wrapping_sub(base), Ordering::Relaxed);
            self.running.store(true, Ordering::Release);
        }
        drop(host);
        // With the lock, or the clock's thread could miss it between its look at `running` and its sleep.
        let _alarms = self.alarms.lock();
        self.changed.notify_all();
    }

    /// Stops; readings stay where they are. When it returns no alarm is ringing, unless an alarm called it.
    pub fn pause(&self) {
        let mut host = self.host.lock();
        if host.since.take().is_some() {
            let now = self.now_ns();
            self.virt.store(now.max(host.base_ns), Ordering::Release);
            self.running.store(false, Ordering::Release);
        }
        drop(host);
        let mut alarms = self.alarms.lock();
        while alarms.ringing.is_some_and(|t| t != std::thread::current().id()) {
            self.changed.wait(&mut alarms);
        }
    }

    /// Whether alarms may ring: a paused clock keeps them.
    fn rings(&self) -> bool {
        self.source == TimeSource::Instructions || self.running.load(Ordering::Acquire)
    }

    /// Sets the reading: of a paused clock after a restore, or of instruction time by the run loop.
    pub fn set_virtual(&self, ns: u64) {
        self.virt.store(ns, Ordering::Release);
    }

    /// Calls `f` once the clock has reached `at_ns`, on the clock's thread or, in instruction time, on the harts' thread.
    pub fn alarm(&self, at_ns: u64, f: AlarmFn) -> AlarmId {
        let mut alarms = self.alarms.lock();
        alarms.next_id += 1;
        let id = AlarmId(at_ns, alarms.next_id);
        alarms.queue.insert((id.0, id.1), f);
        drop(alarms);
        self.changed.notify_all();
        id
    }

    /// Takes an alarm back. False if it has rung, or is ringing.
    pub fn cancel(&self, id: AlarmId) -> bool {
        self.alarms.lock().queue.remove(&(id.0, id.1)).is_some()
    }

    /// When the next alarm rings.
    pub fn next_alarm(&self) -> Option<u64> {
        self.alarms.lock().queue.keys().next().map(|k| k.0)
    }

    /// Rings every alarm that is due.
    pub fn ring_due(&self) {
        loop {
            let now = self.now_ns();
            let mut alarms = self.alarms.lock();
            if !self.rings() {
                return;
            }
            match alarms.queue.first_entry() {
                Some(e) if e.key().0 <= now => {
                    let f = e.remove();
                    alarms.ringing = Some(std::thread::current().id());
                    drop(alarms);
                    f();
                    self.alarms.lock().ringing = None;
                    self.changed.notify_all();
                }
                _ => return,
            }
        }
    }

    /// Body of the clock's thread in host time: rings alarms until [`Clock::stop`].
    pub fn run_alarms(&self) {
        loop {
            self.ring_due();
            let mut alarms = self.alarms.lock();
            if alarms.stop {
                return;
            }
            let next = alarms.queue.keys().next().map(|k| k.0);
            match next.filter(|_| self.rings()) {
                Some(at) => {
                    let wait = at.saturating_sub(self.now_ns());
                    if wait > 0 {
                        self.changed.wait_for(&mut alarms, Duration::from_nanos(wait));
                    }
                }
                None => self.changed.wait(&mut alarms),
            }
        }
    }

    /// Ends [`Clock::run_alarms`] and forgets all alarms.
    pub fn stop(&self) {
        let mut alarms = self.alarms.lock();
        alarms.stop = true;
        alarms.queue.clear();
        drop(alarms);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paused_time_stands_still() {
        let c = Clock::new(TimeSource::Host, 0);
        assert_eq!(c.now_ns(), 0);
        c.resume();
        std::thread::sleep(Duration::from_millis(2));
        c.pause();
        let t = c.now_ns();
        assert!(t >= 2_000_000);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(c.now_ns(), t);
        c.resume();
        assert!(c.now_ns() >= t);
    }

    #[test]
    fn alarms_ring_in_order_and_can_be_cancelled() {
        let c = Clock::new(TimeSource::Instructions, 0);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let push = |n: u32| {
            let seen = seen.clone();
            Box::new(move || seen.lock().push(n)) as AlarmFn
        };
        c.alarm(20, push(2));
        c.alarm(10, push(1));
        let gone = c.alarm(15, push(9));
        assert!(c.cancel(gone));
        c.set_virtual(12);
        c.ring_due();
        assert_eq!(*seen.lock(), [1]);
        assert_eq!(c.next_alarm(), Some(20));
        c.set_virtual(20);
        c.ring_due();
        assert_eq!(*seen.lock(), [1, 2]);
        assert!(!c.cancel(gone));
    }

    #[test]
    fn alarms_ring_after_every_resume_and_never_in_a_pause() {
        let c = Clock::new(TimeSource::Host, 0);
        let rung = Arc::new(AtomicU64::new(0));
        let thread = std::thread::spawn({
            let c = c.clone();
            move || c.run_alarms()
        });
        for i in 0..2000u64 {
            let r = rung.clone();
            c.alarm(c.now_ns(), Box::new(move || _ = r.fetch_add(1, Ordering::SeqCst)));
            assert_eq!(rung.load(Ordering::SeqCst), i, "rung while paused");
            c.resume();
            let begin = Instant::now();
            while rung.load(Ordering::SeqCst) <= i {
                assert!(begin.elapsed() < Duration::from_secs(10), "alarm {i} was lost");
                std::thread::yield_now();
            }
            c.pause();
        }
        c.stop();
        thread.join().expect("the clock's thread");
    }
}
