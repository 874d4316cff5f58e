//! The thread that looks at a machine.

use super::{Decision, Decisions, History, Moment};
use crate::machine::api::{MachineHandle, RunState, Status};
use engine::tier::events::Event;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(100);

/// What somebody wants to see of a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wants {
    /// Its counters over time.
    pub counters: bool,
    /// What its tiers decide.
    pub decisions: bool,
    /// Where its time goes, and in which code: harts are asked where they are.
    pub spots: bool,
    /// With who called that.
    pub stacks: bool,
}

impl Wants {
    /// The counters over time.
    pub const COUNTERS: Wants = Wants { counters: true, decisions: false, spots: false, stacks: false };
    /// Counters and decisions.
    pub const DECISIONS: Wants = Wants { counters: true, decisions: true, spots: false, stacks: false };
    /// Where time goes.
    pub const SPOTS: Wants = Wants { counters: true, decisions: false, spots: true, stacks: false };
    /// Where time goes, with call stacks.
    pub const STACKS: Wants = Wants { stacks: true, ..Wants::SPOTS };

    /// Whether anything.
    pub fn any(self) -> bool {
        self.counters || self.decisions || self.spots
    }

    /// What either of two wants.
    #[must_use]
    pub fn or(self, other: Wants) -> Wants {
        Wants {
            counters: self.counters || other.counters,
            decisions: self.decisions || other.decisions,
            spots: self.spots || other.spots,
            stacks: self.stacks || other.stacks,
        }
    }
}

/// Decisions as the engine tells them.
pub struct Told {
    /// The instant from which their times count.
    pub begin: Instant,
    /// The decisions, oldest first.
    pub events: Vec<Event>,
    /// The number to ask from next.
    pub next: u64,
}

/// What can be watched.
pub trait Watched: Send {
    /// Counters, and when they were copied.
    fn counted(&self) -> (Arc<Status>, Instant);
    /// Decisions from a number on that are still there; `None` if the machine has no engine to ask (any more).
    fn told(&self, from: u64) -> Option<Told>;
}

impl Watched for MachineHandle {
    fn counted(&self) -> (Arc<Status>, Instant) {
        MachineHandle::counted(self)
    }

    fn told(&self, from: u64) -> Option<Told> {
        self.look(|engine| {
            let events = &engine.code().translations().events;
            let (list, next) = events.since(from);
            Told { begin: events.begin(), events: list, next }
        })
    }
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Rings {
    /// The counters over time.
    pub history: History,
    /// The newest decisions.
    pub decisions: Decisions,
    /// Raised with each look that showed something new.
    pub version: u64,
    /// From when on the engine's decisions count, and the number to ask from next.
    told: Option<(Instant, u64)>,
}

impl Rings {
    fn count(&mut self, status: &Status, at: Instant, stretch: u32) {
        if self.history.last().is_some_and(|last| last.guest_ns != status.uptime_ns) || self.version == 0 {
            self.version += 1;
        }
        self.history.push(Moment::of(status, at, stretch));
    }

    fn take(&mut self, told: Told) {
        if self.told.is_none_or(|(begin, _)| begin != told.begin) {
            // Another machine under the same handle: it was reset.
            self.decisions.clear();
        }
        self.told = Some((told.begin, told.next));
        self.version += u64::from(!told.events.is_empty());
        let first = told.next.saturating_sub(told.events.len() as u64);
        for (number, event) in (first..).zip(told.events) {
            let at = told.begin + Duration::from_nanos(event.at_ns);
            self.decisions.push(Decision { number, guest_ns: self.history.guest_ns(at), event });
        }
    }
}

#[derive(Default)]
struct Control {
    wants: Wants,
    /// Look once, whoever wants what.
    look: bool,
    stop: bool,
}

#[derive(Default)]
struct Shared {
    control: Mutex<Control>,
    news: Condvar,
    rings: Mutex<Rings>,
}

/// Watches one machine until it is dropped or the machine is over; what was seen stays.
pub struct Watcher {
    shared: Arc<Shared>,
}

impl Watcher {
    /// Begins to watch. `wake` is called when something was seen that nobody waits for by time (the guest was paused, or is over).
    pub fn new(watched: impl Watched + 'static, wake: impl Fn() + Send + 'static) -> Watcher {
        let shared = Arc::new(Shared::default());
        shared.control.lock().look = true;
        let mut eye = Eye { watched, shared: shared.clone(), stretch: 0 };
        let made = std::thread::Builder::new().name("watch".into()).spawn(move || eye.run(wake));
        if let Err(e) = made {
            tracing::warn!("nothing is watched, no thread could be started: {e}");
        }
        Watcher { shared }
    }

    /// What is wanted from now on.
    pub fn want(&self, wants: Wants) {
        let mut control = self.shared.control.lock();
        if control.wants != wants {
            control.wants = wants;
            // Also at a guest that stands: what it was is asked for now.
            control.look = wants.any();
            self.shared.news.notify_all();
        }
    }

    /// Looks once, now: the machine has changed its state. Keeps the guest's clock and the host's matched while nobody wants more.
    pub fn look(&self) {
        self.shared.control.lock().look = true;
        self.shared.news.notify_all();
    }

    /// What was seen. Only the watching thread waits while this is held.
    pub fn rings(&self) -> MutexGuard<'_, Rings> {
        self.shared.rings.lock()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.control.lock().stop = true;
        self.shared.news.notify_all();
    }
}

struct Eye<W> {
    watched: W,
    shared: Arc<Shared>,
    stretch: u32,
}

impl<W: Watched> Eye<W> {
    fn run(&mut self, wake: impl Fn()) {
        let mut standing = false;
        while let Some(wants) = self.wait(standing) {
            let state = self.see(wants);
            standing = state != RunState::Running;
            if standing {
                wake();
            }
            if !state.is_alive() {
                return;
            }
        }
    }

    /// Waits until it is time to look; `None` when it is over. A guest that stands is looked at when somebody says that it has changed.
    fn wait(&mut self, standing: bool) -> Option<Wants> {
        let mut control = self.shared.control.lock();
        let due = Instant::now() + INTERVAL;
        let mut rested = false;
        loop {
            if control.stop {
                return None;
            }
            if std::mem::take(&mut control.look) {
                break;
            }
            if standing || !control.wants.any() {
                rested = true;
                self.shared.news.wait(&mut control);
            } else if rested || self.shared.news.wait_until(&mut control, due).timed_out() {
                break;
            }
        }
        self.stretch += u32::from(rested);
        Some(control.wants)
    }

    fn see(&self, wants: Wants) -> RunState {
        let (status, at) = self.watched.counted();
        let from = {
            let mut rings = self.shared.rings.lock();
            rings.count(&status, at, self.stretch);
            rings.told.map_or(0, |(_, next)| next)
        };
        // Asked without the lock: the engine may have thousands to tell.
        if wants.decisions
            && let Some(told) = self.watched.told(from)
        {
            self.hear(told);
        }
        status.state.clone()
    }

    fn hear(&self, told: Told) {
        let known = self.shared.rings.lock().told;
        let anew = known.is_some_and(|(begin, _)| begin != told.begin);
        // The numbers of another machine begin at 0.
        let told = if anew { self.watched.told(0) } else { Some(told) };
        if let Some(told) = told {
            self.shared.rings.lock().take(told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::api::{EngineMode, MachineEnd, channel};
    use engine::tier::events::What;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A machine whose clock goes on by 100 ms with each look, and that decides something each time.
    struct Script {
        handle: MachineHandle,
        begin: Instant,
        looks: Arc<AtomicU64>,
    }

    impl Watched for Script {
        fn counted(&self) -> (Arc<Status>, Instant) {
            let n = self.looks.fetch_add(1, Ordering::Relaxed);
            let mut status = Status::clone(&self.handle.status());
            status.uptime_ns = n * 100_000_000;
            (Arc::new(status), self.begin + Duration::from_millis(n * 100))
        }
        fn told(&self, from: u64) -> Option<Told> {
            let next = self.looks.load(Ordering::Relaxed);
            let event = |n: u64| Event {
                at_ns: n * 100_000_000,
                pa: n,
                what: What::InPage,
                queued: 0,
                compile_ns: 0,
            };
            Some(Told { begin: self.begin, events: (from..next).map(event).collect(), next })
        }
    }

    fn watched() -> (MachineEnd, Arc<AtomicU64>, Watcher) {
        let (handle, end) = channel("m", &[], 1, EngineMode::Adaptive);
        end.set_state(RunState::Running);
        let looks = Arc::new(AtomicU64::new(0));
        let script = Script { handle, begin: Instant::now(), looks: looks.clone() };
        (end, looks, Watcher::new(script, || {}))
    }

    fn until(mut done: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !done() {
            assert!(Instant::now() < end);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn it_looks_only_while_wanted_and_ends_with_the_machine() {
        let (end, looks, watcher) = watched();
        let seen = || looks.load(Ordering::Relaxed);
        until(|| seen() == 1);
        std::thread::sleep(2 * INTERVAL);
        assert_eq!(seen(), 1, "nobody wants anything");
        watcher.want(Wants::DECISIONS);
        until(|| seen() >= 4 && watcher.rings().decisions.end() >= 4);
        {
            let rings = watcher.rings();
            let times: Vec<u64> = rings.decisions.since(0).map(|d| d.guest_ns / 100_000_000).collect();
            assert_eq!(times[..4], [0, 1, 2, 3], "their guest time is that of the moments round them");
        }
        end.set_state(RunState::Paused);
        watcher.look();
        std::thread::sleep(2 * INTERVAL);
        let paused = seen();
        std::thread::sleep(2 * INTERVAL);
        assert_eq!(seen(), paused, "a guest that stands is left alone");
        end.set_state(RunState::Off { exit: crate::machine::api::GuestExit::Code(0) });
        watcher.look();
        until(|| seen() == paused + 1);
        until(|| Arc::strong_count(&watcher.shared) == 1);
        assert!(watcher.rings().history.last().is_some(), "the last picture stays");
    }

    #[test]
    fn it_ends_when_it_is_dropped() {
        let (_end, looks, watcher) = watched();
        watcher.want(Wants::COUNTERS);
        let shared = Arc::downgrade(&watcher.shared);
        drop(watcher);
        until(|| shared.strong_count() == 0);
        assert!(looks.load(Ordering::Relaxed) < 3);
    }

    #[test]
    fn a_reset_begins_anew() {
        let mut rings = Rings::default();
        let event = Event { at_ns: 5, pa: 1, what: What::InPage, queued: 0, compile_ns: 0 };
        let begin = Instant::now();
        rings.take(Told { begin, events: vec![event; 3], next: 10 });
        assert_eq!((rings.decisions.first(), rings.decisions.end()), (7, 10));
        let later = begin + Duration::from_secs(1);
        rings.take(Told { begin: later, events: vec![event], next: 1 });
        assert_eq!((rings.decisions.first(), rings.decisions.end()), (0, 1));
    }
}
