//! All harts of a machine: threads, pausing, waiting, the deterministic mode.
//!
//! Free-running: a host thread for each hart; a hart that waits sleeps. Deterministic: all harts on one thread, in slices of
//! an exact number of instructions, with time from the instruction count and inputs delivered between rounds.

use super::cpu::Shared;
use super::hart::Lines;
use super::mode::{Settings, TierCounts};
use super::rounds::{Pace, rounds};
use super::time::TimeSource;
use super::vcpu::{Stop, Vcpu};
use crate::cache::code::CodeMap;
use crate::guest::{Flow, Guest};
use crate::jit::queue::Queue;
use crate::jit::region::GuestRules;
use crate::jit::translations::Translations;
use crate::jit::worker::Worker;
use crate::mem::ram::RegionSpec;
use crate::tier::monitor::HartStatus;
use crate::tier::pins::{Pin, PinError};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Instructions between polls of a free-running hart, at least.
const SLICE: i64 = 400_000;

#[derive(Default)]
struct Gate {
    paused: bool,
    quit: bool,
    /// Threads that wait at the gate.
    waiting: usize,
}

/// What steers the threads.
pub(super) struct Control {
    gate: Mutex<Gate>,
    changed: Condvar,
    /// Copy of `paused || quit` for polls.
    stop: AtomicBool,
    /// Wakes the deterministic thread: an input was queued.
    pub(super) input: AtomicBool,
    /// How far the deterministic thread runs.
    pub(super) pace: Pace,
}

/// The harts of a machine.
pub struct Harts<G: Guest> {
    shared: Arc<Shared<G>>,
    code: Arc<CodeMap>,
    settings: Arc<Settings>,
    queue: Arc<Queue>,
    vcpus: Vec<Arc<Mutex<Vcpu<G>>>>,
    control: Arc<Control>,
    threads: Vec<JoinHandle<()>>,
    /// Compile for tier 2.
    workers: Vec<JoinHandle<()>>,
}

/// A machine could not get a host thread.
#[derive(Debug, thiserror::Error)]
#[error("cannot start a thread for hart {hart}: {source}")]
pub struct ThreadError {
    /// Which hart.
    pub hart: usize,
    /// Why.
    pub source: std::io::Error,
}

impl<G: Guest> Harts<G> {
    /// Harts at reset; paused, no threads yet.
    pub fn new(shared: Arc<Shared<G>>) -> Harts<G> {
        let translations = Arc::new(Translations::new(shared.harts.len()));
        let harts: Vec<_> = shared.harts.iter().map(|h| h.lines.clone()).collect();
        // A hart may be in a loop of code that has died.
        let kick = move || harts.iter().for_each(|lines| lines.kick());
        let code = CodeMap::with(shared.memory.clone(), translations, Box::new(kick));
        let (settings, queue) = (Arc::<Settings>::default(), Arc::<Queue>::default());
        let vcpu = |id| Vcpu::with(shared.clone(), code.clone(), settings.clone(), queue.clone(), id);
        let vcpus = (0..shared.harts.len() as u32).map(|id| Arc::new(Mutex::new(vcpu(id)))).collect();
        let control = Arc::new(Control {
            gate: Mutex::new(Gate { paused: true, ..Gate::default() }),
            changed: Condvar::new(),
            stop: AtomicBool::new(true),
            input: AtomicBool::new(false),
            pace: Pace::default(),
        });
        Harts { shared, code, settings, queue, vcpus, control, threads: Vec::new(), workers: Vec::new() }
    }

    /// The code map.
    pub fn code(&self) -> &Arc<CodeMap> {
        &self.code
    }

    /// The settings of the tiers.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// See [`Engine::pin`](super::engine::Engine::pin).
    pub fn pin(&self, pin: Pin) -> Result<(), PinError> {
        let Range { start, end } = pin.range;
        let overlaps = |r: &RegionSpec| start < r.base.saturating_add(r.len) && r.base < end;
        if start < end && !self.shared.memory.regions().iter().any(overlaps) {
            return Err(PinError::NoMemory { start, end });
        }
        self.code.translations().change_pins(|pins| pins.add(pin))?;
        self.kick_all();
        Ok(())
    }

    /// See [`Engine::unpin`](super::engine::Engine::unpin).
    pub fn unpin(&self, range: Option<Range<u64>>) -> Result<bool, PinError> {
        let range = range.unwrap_or(0..u64::MAX);
        let changed = self.code.translations().change_pins(|pins| pins.remove(&range))?;
        self.kick_all();
        Ok(changed)
    }

    /// What the tiers have done.
    pub fn tiers(&self) -> TierCounts {
        let harts: Vec<HartStatus> = self.shared.harts.iter().map(|h| h.status()).collect();
        let translations = self.code.translations();
        let c = &translations.counts;
        let pair = |a: &[AtomicU64; 2]| [a[0].load(Ordering::Relaxed), a[1].load(Ordering::Relaxed)];
        let [jump_hits, jump_misses] = sum(&harts, |h| h.lookups);
        let [idioms, idiom_insns] = sum(&harts, |h| h.idioms);
        TierCounts {
            insns: sum(&harts, |h| h.insns),
            compiled: pair(&c.installed),
            compiled_insns: pair(&c.insns),
            compile_ns: pair(&c.compile_ns),
            host_bytes: pair(&c.host_bytes),
            failed: pair(&c.failed),
            formed_again: [&c.settled, &c.recounted].map(|n| n.load(Ordering::Relaxed)),
            invalidated: c.invalidated.load(Ordering::Relaxed),
            evicted: c.evicted.load(Ordering::Relaxed),
            reopened: c.reopened.load(Ordering::Relaxed),
            code_bytes: translations.code_bytes(),
            queued: self.queue.len() as u64,
            jump_hits,
            jump_misses,
            tlb_misses: sum(&harts, |h| h.tlb_misses),
            tlb_held: sum(&harts, |h| h.tlb_held),
            idioms,
            idiom_insns,
            events: translations.events.counts(),
        }
    }

    /// What the harts share.
    pub fn shared(&self) -> &Arc<Shared<G>> {
        &self.shared
    }

    /// Makes the threads; they wait until [`Harts::resume`].
    pub fn spawn(&mut self) -> Result<(), ThreadError> {
        self.spawn_workers();
        if self.shared.clock.source() == TimeSource::Instructions {
            let (lines, control) = (self.shared.harts[0].lines.clone(), self.control.clone());
            self.shared.inputs.set_queued(Arc::new(move || {
                control.input.store(true, Ordering::Release);
                lines.kick();
            }));
            let (vcpus, shared, control) = (self.vcpus.clone(), self.shared.clone(), self.control.clone());
            return self.thread(0, "harts".into(), move || rounds(&vcpus, &shared, &control));
        }
        let clock = self.shared.clock.clone();
        self.thread(0, "clock".into(), move || clock.run_alarms())?;
        for (id, vcpu) in self.vcpus.clone().into_iter().enumerate() {
            let control = self.control.clone();
            self.thread(id, format!("hart{id}"), move || free_run(&vcpu, &control))?;
        }
        Ok(())
    }

    /// Without workers guest code stays in tier 1, which is said and no reason to fail.
    fn spawn_workers(&mut self) {
        for n in 0..self.settings.tuning().workers {
            let (queue, code) = (self.queue.clone(), self.code.clone());
            let rules = GuestRules::of::<G>(&self.shared.model).alone(self.shared.harts.len() == 1);
            let work = move || {
                let mut worker = None;
                while let Some(job) = queue.pop() {
                    worker.get_or_insert_with(|| Worker::new(code.clone(), rules)).compile(&job, queue.len());
                }
            };
            match std::thread::Builder::new().name(format!("tier2-{n}")).spawn(work) {
                Ok(thread) => self.workers.push(thread),
                Err(e) => tracing::warn!("cannot start a compiler thread: {e}"),
            }
        }
    }

    fn thread(
        &mut self,
        hart: usize,
        name: String,
        f: impl FnOnce() + Send + 'static,
    ) -> Result<(), ThreadError> {
        let made = std::thread::Builder::new().name(name).stack_size(2 << 20).spawn(f);
        self.threads.push(made.map_err(|source| ThreadError { hart, source })?);
        Ok(())
    }

    fn hart_threads(&self) -> usize {
        match self.shared.clock.source() {
            // The clock's thread came first.
            TimeSource::Host => self.threads.len().saturating_sub(1),
            TimeSource::Instructions => self.threads.len(),
        }
    }

    /// Goes on, clock included.
    pub fn resume(&self) {
        self.shared.clock.resume();
        let mut gate = self.control.gate.lock();
        gate.paused = false;
        self.control.stop.store(gate.quit, Ordering::Release);
        drop(gate);
        self.control.changed.notify_all();
    }

    /// Stops all harts at a safepoint, then the clock; returns when all of them stand.
    pub fn pause(&self) {
        let mut gate = self.control.gate.lock();
        gate.paused = true;
        self.control.stop.store(true, Ordering::Release);
        self.kick_all();
        while gate.waiting < self.hart_threads() {
            self.control.changed.wait_for(&mut gate, Duration::from_millis(1));
            self.kick_all();
        }
        drop(gate);
        self.shared.clock.pause();
    }

    /// Runs until about `insns` instructions have retired in all since power-on, then pauses by itself. Deterministic mode
    /// only; the stop is at the end of a round.
    pub fn pause_at(&self, insns: u64) {
        self.control.pace.end_of_round(insns);
    }

    /// As [`Harts::pause_at`], but stops on the instruction, in the midst of a round, which goes on where it was when the harts
    /// are resumed.
    pub fn pause_exactly_at(&self, insns: u64) {
        self.control.pace.exactly(insns);
    }

    /// Sets the instructions of a hart per round of deterministic mode. Interrupts and inputs come in between rounds, so this is part
    /// of what the run depends on.
    pub fn set_round(&self, insns: u64) {
        self.control.pace.set_length(insns);
    }

    /// A restored machine begins a round.
    pub(super) fn forget_round(&self) {
        self.control.pace.forget_round();
    }

    /// Hands over what waits at the input port of deterministic harts, which stand.
    pub fn settle(&self) {
        if self.shared.clock.source() == TimeSource::Instructions {
            let counts = (0..self.len()).filter_map(|i| self.vcpu(i)).map(|v| v.cpu.instret());
            let total = counts.fold(0, u64::wrapping_add);
            self.shared.inputs.drain(total);
        }
    }

    /// What makes deterministic harts pause at the end of the round in which it is called.
    pub fn halter(&self) -> Arc<dyn Fn() + Send + Sync> {
        let control = self.control.clone();
        Arc::new(move || control.pace.end_of_round(0))
    }

    /// Whether all harts stand at the gate.
    pub fn is_paused(&self) -> bool {
        let gate = self.control.gate.lock();
        gate.paused && gate.waiting >= self.hart_threads()
    }

    /// Waits until all harts stand at the gate, at most `time`. Whether they do.
    pub fn wait_paused(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut gate = self.control.gate.lock();
        while !(gate.paused && gate.waiting >= self.hart_threads()) {
            if self.control.changed.wait_until(&mut gate, until).timed_out() {
                return false;
            }
        }
        true
    }

    fn kick_all(&self) {
        self.shared.harts.iter().for_each(|h| h.lines.kick());
    }

    /// A hart's state; meaningful while paused, blocks until then.
    pub fn vcpu(&self, id: usize) -> Option<MutexGuard<'_, Vcpu<G>>> {
        self.vcpus.get(id).map(|v| v.lock())
    }

    /// Number of harts.
    pub fn len(&self) -> usize {
        self.vcpus.len()
    }

    /// Never: a machine has at least one hart.
    pub fn is_empty(&self) -> bool {
        self.vcpus.is_empty()
    }

    /// Ends all threads.
    pub fn stop(&mut self) {
        let mut gate = self.control.gate.lock();
        gate.quit = true;
        self.control.stop.store(true, Ordering::Release);
        drop(gate);
        self.control.changed.notify_all();
        self.kick_all();
        self.shared.clock.stop();
        self.queue.close();
        for t in self.threads.drain(..).chain(self.workers.drain(..)) {
            if t.join().is_err() {
                tracing::error!("a thread of the machine ended in a panic; please report this");
            }
        }
    }
}

impl<G: Guest> Drop for Harts<G> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Control {
    /// Waits while paused. False: end the thread.
    pub(super) fn pass(&self) -> bool {
        let mut gate = self.gate.lock();
        gate.waiting += 1;
        self.changed.notify_all();
        while gate.paused && !gate.quit {
            self.changed.wait(&mut gate);
        }
        gate.waiting -= 1;
        !gate.quit
    }

    /// The deterministic thread has come to where it stops.
    pub(super) fn shut(&self) {
        self.gate.lock().paused = true;
    }

    pub(super) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// A counter of all harts.
fn sum<const N: usize>(harts: &[HartStatus], of: impl Fn(&HartStatus) -> [u64; N]) -> [u64; N] {
    let all = harts.iter().map(of);
    all.fold([0; N], |sum, one| std::array::from_fn(|n| sum[n].wrapping_add(one[n])))
}

/// Instructions of the next slice. They vary, so that slices do not always end in the same block of a loop: samples would be of no use.
fn slice_length(retired: u64) -> i64 {
    // The top bits of a product are a hash (Knuth, The Art of Computer Programming, volume 3, 6.4).
    SLICE + (retired.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50) as i64
}

/// Body of a hart's own thread.
fn free_run<G: Guest>(vcpu: &Mutex<Vcpu<G>>, control: &Control) {
    let lines = vcpu.lock().cpu.hart.lines.clone();
    while control.pass() {
        let mut v = vcpu.lock();
        while !control.stopping() {
            if !v.cpu.hart.is_started() || v.waiting.is_some() {
                wait(&mut v, &lines, control);
            } else {
                run_slice(&mut v, &lines);
            }
        }
        // While the gate is shut the hart runs no guest code, so requests need not wait for it.
        while !v.cpu.hart.set_asleep(true) {
            v.cpu.run_requests();
        }
    }
}

fn run_slice<G: Guest>(v: &mut Vcpu<G>, lines: &Lines) {
    // From here on requests must be acknowledged by us, so take what came while we slept.
    v.cpu.hart.set_asleep(false);
    lines.take_attention();
    v.cpu.run_requests();
    G::poll(&mut v.cpu);
    v.begin_slice(slice_length(v.cpu.instret()));
    let stop = v.run(false);
    v.end_slice();
    if let Stop::Flow(flow) = stop {
        note_flow(v, flow);
    }
}

pub(super) fn note_flow<G: Guest>(v: &mut Vcpu<G>, flow: Flow) {
    match flow {
        Flow::Continue | Flow::Leave => {}
        Flow::Park => v.cpu.hart.set_started(false),
        Flow::Wait | Flow::WaitBounded(_) => v.waiting = Some(flow),
    }
}

/// Sleeps until the hart's wait is over or the threads are stopping.
fn wait<G: Guest>(v: &mut Vcpu<G>, lines: &Lines, control: &Control) {
    let begin = Instant::now();
    let bound = match v.waiting {
        Some(Flow::WaitBounded(ns)) => Some(Duration::from_nanos(ns)),
        _ => None,
    };
    while !control.stopping() {
        lines.take_attention();
        v.cpu.run_requests();
        let started = v.cpu.hart.is_started();
        let late = bound.is_some_and(|b| begin.elapsed() >= b);
        if started && (v.waiting.is_none() || late || G::wakes(&mut v.cpu)) {
            v.waiting = None;
            break;
        }
        let timer = G::deadline(&v.cpu)
            .filter(|_| started)
            .map(|at| Duration::from_nanos(at.saturating_sub(v.cpu.shared.clock.now_ns())));
        let rest = bound.filter(|_| started).map(|b| b.saturating_sub(begin.elapsed()));
        let time = [timer, rest].into_iter().flatten().min();
        if v.cpu.hart.set_asleep(true) && !control.stopping() {
            lines.sleep(time);
        }
        v.cpu.hart.set_asleep(false);
    }
    v.cpu.hart.idle_ns.fetch_add(begin.elapsed().as_nanos() as u64, Ordering::Relaxed);
}
