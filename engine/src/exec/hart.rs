//! What others can do to a hart: raise its interrupt lines, send it requests, wake it.
//!
//! A hart looks here at its polls only. A poll happens at a block head when the instruction budget, which only the hart
//! itself writes, underflows, or when another thread has set the attention word. The two are kept apart so that a forced
//! poll never loses the exact instruction count.

use super::traps::{SLOTS, Traps};
use crate::tier::monitor::HartStatus;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// A request to a hart, run at its next poll. `R` is the guest ISA's own kind.
#[derive(Clone, Debug)]
pub enum Request<R> {
    /// Drop store entries to this physical page, whose code bit was just set.
    Protect(u64),
    /// Start at this pc with these arguments.
    Start(u64, [u64; 2]),
    /// The guest ISA's.
    Guest(R),
}

/// Counts down as harts acknowledge.
pub struct Ack {
    left: AtomicUsize,
    /// Of the hart that waits; it has its own mail to run meanwhile, so both wake it in one place.
    waiter: Arc<Lines>,
}

impl Ack {
    /// Expects `n` acknowledgements, for which the hart with these lines waits.
    pub fn new(n: usize, waiter: Arc<Lines>) -> Arc<Ack> {
        Arc::new(Ack { left: AtomicUsize::new(n), waiter })
    }

    fn one(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.waiter.wake();
        }
    }

    /// Whether all have acknowledged.
    pub fn is_done(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }
}

/// Requests that a sleeping hart lets pile up.
const SLEEPERS_MAIL: usize = 32;

struct Mailbox<R> {
    queue: VecDeque<(Request<R>, Option<Arc<Ack>>)>,
    /// The hart runs no guest code and will empty the mailbox before it does: requests count as done when queued.
    asleep: bool,
}

/// The limit while somebody asks for attention: no budget reaches it.
const ATTENTION: i64 = i64::MAX;

/// The interrupt lines of a hart, as devices see them.
#[derive(Default)]
pub struct Lines {
    /// Levels by the ISA's numbering (RISC-V: `mip` bits).
    level: AtomicU64,
    /// What budgets are compared with at polls: 0, or [`ATTENTION`].
    limit: AtomicI64,
    wake: Mutex<bool>,
    woken: Condvar,
}

impl Lines {
    /// Sets or clears a line.
    pub fn set(&self, bit: u32, on: bool) {
        let mask = 1u64 << (bit & 63);
        if on {
            if self.level.fetch_or(mask, Ordering::AcqRel) & mask == 0 {
                self.kick();
            }
        } else {
            self.level.fetch_and(!mask, Ordering::AcqRel);
        }
    }

    /// Replaces all levels (restore).
    pub fn set_levels(&self, levels: u64) {
        self.level.store(levels, Ordering::Release);
        self.kick();
    }

    /// All levels.
    #[inline]
    pub fn levels(&self) -> u64 {
        self.level.load(Ordering::Acquire)
    }

    /// Asks for a poll soon and wakes the hart if it waits.
    pub fn kick(&self) {
        self.limit.store(ATTENTION, Ordering::Release);
        self.wake();
    }

    /// Ends a sleep, now or when it begins.
    fn wake(&self) {
        let mut wake = self.wake.lock();
        *wake = true;
        drop(wake);
        self.woken.notify_all();
    }

    /// Takes the attention flag.
    pub fn take_attention(&self) -> bool {
        self.limit.swap(0, Ordering::AcqRel) != 0
    }

    /// Whether somebody asked for a poll.
    #[inline(always)]
    pub fn has_attention(&self) -> bool {
        self.limit.load(Ordering::Relaxed) != 0
    }

    /// The word that emitted code compares budgets with.
    pub fn limit(&self) -> &AtomicI64 {
        &self.limit
    }

    /// Sleeps until a kick, at most `time` (forever if `None`).
    pub fn sleep(&self, time: Option<Duration>) {
        let mut wake = self.wake.lock();
        if !*wake {
            match time {
                Some(t) => {
                    self.woken.wait_for(&mut wake, t);
                }
                None => self.woken.wait(&mut wake),
            }
        }
        *wake = false;
    }
}

/// Reads counters.
fn read<const N: usize>(counters: &[AtomicU64; N]) -> [u64; N] {
    std::array::from_fn(|n| counters[n].load(Ordering::Relaxed))
}

/// Publishes counters, which only their hart writes.
pub(super) fn publish<const N: usize>(counters: &[AtomicU64; N], values: &[u64; N]) {
    counters.iter().zip(values).for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
}

/// The part of a hart that other threads reach.
pub struct Hart<R> {
    /// Hart number.
    pub id: u32,
    /// Interrupt lines and wake-up.
    pub lines: Arc<Lines>,
    mailbox: Mutex<Mailbox<R>>,
    /// Runs, or waits for an interrupt (true); parked harts have been stopped by firmware (false).
    started: AtomicBool,
    /// A word of the firmware interface's own (RISC-V: SBI HSM); 0 at reset.
    pub firmware: AtomicU32,
    /// Instructions retired, published at polls.
    pub retired: AtomicU64,
    /// Those retired here (not before a state was saved), by the interpreter, tier 1 and tier 2.
    pub insns: [AtomicU64; 3],
    /// Look-ups in the jump cache by compiled code that hit; that missed.
    pub lookups: [AtomicU64; 2],
    /// Look-ups by the run loop that the jump cache, the hart's table and the code map answered.
    pub dispatched: [AtomicU64; 3],
    /// Loads, stores and fetches that the TLB's tables did not answer.
    pub tlb_misses: [AtomicU64; 3],
    /// Loads and stores among them that held translations answered.
    pub tlb_held: [AtomicU64; 2],
    /// Runs of idioms; guest instructions that they did.
    pub idioms: [AtomicU64; 2],
    /// Traps by the ISA's slots.
    pub traps: [AtomicU64; SLOTS],
    /// Nanoseconds of host time spent waiting, published at polls.
    pub idle_ns: AtomicU64,
}

impl<R> Hart<R> {
    /// A hart that has not started; asleep.
    pub fn new(id: u32) -> Arc<Hart<R>> {
        Arc::new(Hart {
            id,
            lines: Arc::default(),
            mailbox: Mutex::new(Mailbox { queue: VecDeque::new(), asleep: true }),
            started: AtomicBool::new(false),
            firmware: AtomicU32::new(0),
            retired: AtomicU64::new(0),
            insns: [const { AtomicU64::new(0) }; 3],
            lookups: [const { AtomicU64::new(0) }; 2],
            dispatched: [const { AtomicU64::new(0) }; 3],
            tlb_misses: [const { AtomicU64::new(0) }; 3],
            tlb_held: [const { AtomicU64::new(0) }; 2],
            idioms: [const { AtomicU64::new(0) }; 2],
            traps: [const { AtomicU64::new(0) }; SLOTS],
            idle_ns: AtomicU64::new(0),
        })
    }

    /// What the hart has done, as of its last poll.
    pub fn status(&self) -> HartStatus {
        HartStatus {
            retired: self.retired.load(Ordering::Relaxed),
            idle_ns: self.idle_ns.load(Ordering::Relaxed),
            started: self.is_started(),
            insns: read(&self.insns),
            lookups: read(&self.lookups),
            dispatched: read(&self.dispatched),
            tlb_misses: read(&self.tlb_misses),
            tlb_held: read(&self.tlb_held),
            idioms: read(&self.idioms),
            traps: Traps::from(read(&self.traps)),
        }
    }

    /// Queues a request. `ack` is told when it is done, which is now if the hart sleeps; it is not woken for what can wait
    /// until it runs again.
    pub fn post(&self, request: Request<R>, ack: Option<&Arc<Ack>>) {
        let mut mail = self.mailbox.lock();
        let asleep = mail.asleep;
        let can_wait = asleep && !matches!(request, Request::Start(..)) && mail.queue.len() < SLEEPERS_MAIL;
        mail.queue.push_back((request, ack.filter(|_| !asleep).cloned()));
        if !can_wait {
            // Under the lock: a hart that finds the request in its mail finds the attention flag set too.
            self.lines.kick();
        }
        drop(mail);
        if let Some(a) = ack.filter(|_| asleep) {
            a.one();
        }
    }

    /// Drops all requests (restore).
    pub fn forget_requests(&self) {
        let queue = std::mem::take(&mut self.mailbox.lock().queue);
        queue.into_iter().for_each(|(_, ack)| Self::done(ack));
    }

    /// Takes the oldest request; call the returned acknowledgement through [`Hart::done`].
    pub fn take(&self) -> Option<(Request<R>, Option<Arc<Ack>>)> {
        self.mailbox.lock().queue.pop_front()
    }

    /// Acknowledges.
    pub fn done(ack: Option<Arc<Ack>>) {
        if let Some(a) = ack {
            a.one();
        }
    }

    /// Says that the hart runs no guest code (true), or is about to (false). Going to sleep with mail waiting is refused.
    pub fn set_asleep(&self, asleep: bool) -> bool {
        let mut mail = self.mailbox.lock();
        if asleep && !mail.queue.is_empty() {
            return false;
        }
        if !asleep && !mail.queue.is_empty() && mail.asleep {
            mail.asleep = false;
            return false;
        }
        mail.asleep = asleep;
        true
    }

    /// Whether it runs no guest code: it waits, is parked, or stands.
    pub fn is_asleep(&self) -> bool {
        self.mailbox.lock().asleep
    }

    /// Whether firmware has started the hart.
    pub fn is_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// Marks the hart started or parked.
    pub fn set_started(&self, on: bool) {
        self.started.store(on, Ordering::Release);
    }
}
