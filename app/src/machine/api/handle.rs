//! Both ends of the interface: [`MachineHandle`] for whoever looks, [`MachineEnd`] for the machine's thread.

use super::{
    Command, EngineMode, Event, Request, RequestId, RunState, SerialPort, Status, Traffic, UserError,
};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use engine::exec::engine::Engine;
use engine::exec::mode::{TierCounts, Tuning};
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Commands that may wait for the machine's thread.
const COMMAND_QUEUE: usize = 256;
/// Events kept for readers.
const EVENT_RING: usize = 1024;
/// Counters are copied at most this often.
const COUNTER_INTERVAL: Duration = Duration::from_millis(100);

/// What a machine shows of itself while it is there. Called on the reader's thread.
pub trait Source: Send + Sync {
    /// Fills in the counters of a [`Status`] (all but its state) from atomics.
    fn counters(&self, status: &mut Status);
    /// Its harts and their code, if it lets others look at them.
    fn engine(&self) -> Option<&dyn Engine> {
        None
    }
}

impl<F: Fn(&mut Status) + Send + Sync> Source for F {
    fn counters(&self, status: &mut Status) {
        self(status);
    }
}

/// One subscriber's flag: set by news, cleared by [`Subscription::acknowledge`], so that a chatty guest costs one wake each time the subscriber looks.
struct Slot {
    pending: AtomicBool,
    lock: Mutex<()>,
    news: Condvar,
    wake: Box<dyn Fn() + Send + Sync>,
}

/// All subscribers of a machine.
#[derive(Default)]
pub(super) struct Wakers {
    slots: RwLock<Vec<Arc<Slot>>>,
}

impl Wakers {
    pub(super) fn notify(&self) {
        for slot in self.slots.read().iter() {
            if !slot.pending.load(Ordering::Acquire) && !slot.pending.swap(true, Ordering::AcqRel) {
                drop(slot.lock.lock());
                slot.news.notify_all();
                (slot.wake)();
            }
        }
    }
}

/// Tells one reader that there is news (events, serial output, a new state). Dropping it unsubscribes.
pub struct Subscription {
    slot: Arc<Slot>,
    wakers: Arc<Wakers>,
}

impl Subscription {
    /// Call before reading: news from here on wakes again. Says whether there was any.
    pub fn acknowledge(&self) -> bool {
        self.slot.pending.swap(false, Ordering::AcqRel)
    }

    /// Sleeps until there is news or the time is over, and acknowledges it. Says whether there was any.
    pub fn wait(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut guard = self.slot.lock.lock();
        while !self.slot.pending.load(Ordering::Acquire) {
            if self.slot.news.wait_until(&mut guard, deadline).timed_out() {
                break;
            }
        }
        drop(guard);
        self.acknowledge()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.wakers.slots.write().retain(|s| !Arc::ptr_eq(s, &self.slot));
    }
}

#[derive(Default)]
struct EventLog {
    ring: VecDeque<Event>,
    end: u64,
}

struct Counters {
    status: Arc<Status>,
    copied: Option<Instant>,
}

struct Shared {
    name: String,
    next_request: AtomicU64,
    events: Mutex<EventLog>,
    counters: Mutex<Counters>,
    /// Locked before the counters.
    source: RwLock<Option<Arc<dyn Source>>>,
    serial: Vec<SerialPort>,
    wakers: Arc<Wakers>,
}

/// A machine as seen from outside. Cheap to clone; no call blocks on the engine.
#[derive(Clone)]
pub struct MachineHandle {
    shared: Arc<Shared>,
    commands: Sender<Request>,
}

/// A machine as seen by its own thread.
pub struct MachineEnd {
    shared: Arc<Shared>,
    /// The commands to carry out; each is answered by [`MachineEnd::done`] or [`MachineEnd::failed`].
    pub commands: Receiver<Request>,
}

/// Makes both ends for a machine of this name, with these serial ports and this many harts, in state [`RunState::Starting`].
pub fn channel(
    name: &str,
    serial_names: &[&str],
    harts: usize,
    engine: EngineMode,
) -> (MachineHandle, MachineEnd) {
    let wakers = Arc::new(Wakers::default());
    let serial = serial_names.iter().map(|n| SerialPort::new((*n).to_owned(), wakers.clone())).collect();
    let status = Status {
        state: RunState::Starting,
        engine,
        uptime_ns: 0,
        harts: vec![super::HartStatus::default(); harts],
        disk: Traffic::default(),
        net: Traffic::default(),
        devices: Vec::new(),
        tiers: TierCounts::default(),
        tuning: Tuning::default(),
        samples: [0; 5],
        pins: Vec::new(),
    };
    let shared = Arc::new(Shared {
        name: name.to_owned(),
        next_request: AtomicU64::new(1),
        events: Mutex::default(),
        counters: Mutex::new(Counters { status: Arc::new(status), copied: None }),
        source: RwLock::default(),
        serial,
        wakers,
    });
    let (tx, rx) = bounded(COMMAND_QUEUE);
    (MachineHandle { shared: shared.clone(), commands: tx }, MachineEnd { shared, commands: rx })
}

impl MachineHandle {
    /// The machine's name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Gives a command. Its outcome comes as an event with the same number.
    pub fn send(&self, command: Command) -> Result<RequestId, UserError> {
        let id = RequestId(self.shared.next_request.fetch_add(1, Ordering::Relaxed));
        self.commands.try_send(Request { id, command }).map_err(|e| match e {
            TrySendError::Full(_) => UserError::new(
                "The machine does not answer: too many commands are waiting",
                self.name(),
                "Wait a moment, then try again.",
            ),
            TrySendError::Disconnected(_) => {
                UserError::new("The machine is switched off", self.name(), "Start it again.")
            }
        })?;
        Ok(id)
    }

    /// Counters, at most 100 ms old; state and engine are always of now.
    pub fn status(&self) -> Arc<Status> {
        self.counted().0
    }

    /// As [`MachineHandle::status`], with the instant at which the counters were copied: whoever makes rates of them needs that.
    pub fn counted(&self) -> (Arc<Status>, Instant) {
        let source = self.shared.source.read();
        let mut counters = self.shared.counters.lock();
        let copied = match counters.copied.filter(|t| t.elapsed() < COUNTER_INTERVAL) {
            Some(copied) => copied,
            None => counters.refresh(source.as_deref()),
        };
        (counters.status.clone(), copied)
    }

    /// Looks at harts and code of the machine, on this thread; `None` once it is off. Be quick: a machine that ends, or is reset, waits
    /// for whoever looks.
    pub fn look<R>(&self, look: impl FnOnce(&dyn Engine) -> R) -> Option<R> {
        self.shared.source.read().as_ref()?.engine().map(look)
    }

    /// Where the machine is in its life.
    pub fn state(&self) -> RunState {
        self.shared.counters.lock().status.state.clone()
    }

    /// Events since `cursor` (start with 0), and the cursor for the next call. A reader more than 1,024 events behind loses the oldest.
    pub fn events_since(&self, cursor: u64) -> (Vec<Event>, u64) {
        let log = self.shared.events.lock();
        let start = log.end - log.ring.len() as u64;
        let from = cursor.clamp(start, log.end);
        let skip = usize::try_from(from - start).unwrap_or(log.ring.len());
        (log.ring.range(skip..).cloned().collect(), log.end)
    }

    /// The serial ports in the machine's order; the first is the console.
    pub fn serial(&self) -> &[SerialPort] {
        &self.shared.serial
    }

    /// Calls `wake` (from any thread; it must be quick and must not call back) when there is news and the last news was acknowledged.
    pub fn subscribe(&self, wake: Box<dyn Fn() + Send + Sync>) -> Subscription {
        let slot = Arc::new(Slot {
            pending: AtomicBool::new(false),
            lock: Mutex::new(()),
            news: Condvar::new(),
            wake,
        });
        self.shared.wakers.slots.write().push(slot.clone());
        Subscription { slot, wakers: self.shared.wakers.clone() }
    }
}

impl Counters {
    fn refresh(&mut self, source: Option<&dyn Source>) -> Instant {
        if let Some(source) = source {
            source.counters(Arc::make_mut(&mut self.status));
        }
        let now = Instant::now();
        self.copied = Some(now);
        now
    }
}

impl MachineEnd {
    /// Enters a state and tells everybody.
    pub fn set_state(&self, state: RunState) {
        {
            let source = self.shared.source.read();
            let mut counters = self.shared.counters.lock();
            if counters.status.state == state {
                return;
            }
            counters.refresh(source.as_deref());
            Arc::make_mut(&mut counters.status).state = state.clone();
        }
        self.emit(Event::StateChanged(state));
    }

    /// Notes the engine mode, which is in force now, and tells everybody.
    pub fn set_engine(&self, engine: EngineMode) {
        Arc::make_mut(&mut self.shared.counters.lock().status).engine = engine;
        self.emit(Event::EngineChanged(engine));
    }

    /// Sets where counters come from. The source is kept until [`MachineEnd::freeze_counters`]; after that no reader is in it.
    pub fn set_source(&self, source: Arc<dyn Source>) {
        *self.shared.source.write() = Some(source);
    }

    /// Takes a last copy of the counters and drops their source (and what it holds).
    pub fn freeze_counters(&self) {
        let mut source = self.shared.source.write();
        self.shared.counters.lock().refresh(source.as_deref());
        *source = None;
    }

    /// Appends an event and wakes the readers.
    pub fn emit(&self, event: Event) {
        {
            let mut log = self.shared.events.lock();
            if log.ring.len() == EVENT_RING {
                log.ring.pop_front();
            }
            log.ring.push_back(event);
            log.end += 1;
        }
        self.shared.wakers.notify();
    }

    /// A command was carried out.
    pub fn done(&self, request: RequestId) {
        self.emit(Event::Done { request });
    }

    /// A command was not carried out.
    pub fn failed(&self, request: RequestId, error: UserError) {
        self.emit(Event::Failed { request, error });
    }

    /// The serial ports in the machine's order.
    pub fn serial(&self) -> &[SerialPort] {
        &self.shared.serial
    }
}
