//! Deterministic mode: all harts on one thread, in rounds.
//!
//! Each hart has an exact number of instructions in a round; time is that of the round's begin plus the hart's own instructions;
//! inputs, alarms and interrupts are looked at where a hart's part of a round begins and nowhere else. So where the thread stops
//! for others changes nothing, and it can stop on any instruction: the rest of the round waits in [`Pace`].

use super::cpu::Shared;
use super::harts::{Control, note_flow};
use super::vcpu::{Stop, Vcpu};
use crate::guest::{Flow, Guest};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Instructions of a hart per round, if nobody wants otherwise.
const ROUND: i64 = 10_000;

/// How far the thread runs: length of rounds, where it stops by itself, and what is left of the round in which it did.
pub(super) struct Pace {
    /// Instructions of a hart per round.
    length: AtomicI64,
    /// Instructions retired in all; `u64::MAX` = never.
    insns: AtomicU64,
    /// On the instruction, not at the end of its round.
    exact: AtomicBool,
    open: Mutex<Option<Round>>,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            length: AtomicI64::new(ROUND),
            insns: AtomicU64::new(u64::MAX),
            exact: AtomicBool::new(false),
            open: Mutex::default(),
        }
    }
}

impl Pace {
    pub(super) fn set_length(&self, insns: u64) {
        self.length.store(insns.clamp(1, i64::MAX as u64) as i64, Ordering::Release);
    }

    pub(super) fn end_of_round(&self, insns: u64) {
        self.exact.store(false, Ordering::Release);
        self.insns.store(insns, Ordering::Release);
    }

    pub(super) fn exactly(&self, insns: u64) {
        self.insns.store(insns, Ordering::Release);
        self.exact.store(true, Ordering::Release);
    }

    pub(super) fn forget_round(&self) {
        *self.open.lock() = None;
    }

    /// Instructions until the stop, if it may be in the midst of a round.
    fn room(&self, total: u64) -> i64 {
        if !self.exact.load(Ordering::Acquire) {
            return i64::MAX;
        }
        self.insns.load(Ordering::Acquire).saturating_sub(total).min(i64::MAX as u64) as i64
    }

    /// Whether it is time to stop, where a round would begin.
    fn is_reached(&self, total: u64) -> bool {
        total >= self.insns.load(Ordering::Acquire)
    }
}

/// A round that is under way.
struct Round {
    /// Clock reading at its begin.
    begin: u64,
    /// Instructions of each hart.
    length: i64,
    /// Whose part is next or under way.
    hart: usize,
    /// Instructions of that part so far.
    used: i64,
    /// Some hart ran.
    busy: bool,
}

fn total<G: Guest>(vs: &[MutexGuard<'_, Vcpu<G>>]) -> u64 {
    vs.iter().fold(0, |sum, v| sum.wrapping_add(v.cpu.instret()))
}

/// Body of the one thread.
pub(super) fn rounds<G: Guest>(vcpus: &[Arc<Mutex<Vcpu<G>>>], shared: &Shared<G>, control: &Control) {
    // All harts are on this thread: none is ever waited for.
    while control.pass() {
        let mut vs: Vec<_> = vcpus.iter().map(|v| v.lock()).collect();
        while !control.stopping() {
            let open = control.pace.open.lock().take();
            let begun = open.or_else(|| begin_round(&vs, shared, control));
            let Some(mut round) = begun else { break };
            if !round.run(&mut vs, control) {
                *control.pace.open.lock() = Some(round);
                stop(control);
                break;
            }
            if round.busy {
                // A timer that the guest has set to the end of time is where idle time may have gone.
                let length = (round.length as u64).saturating_mul(shared.ns_per_insn);
                shared.clock.set_virtual(round.begin.saturating_add(length));
            } else {
                skip_idle(&vs, shared, control, round.begin);
            }
        }
    }
}

/// Lets inputs and alarms in, unless it is time to stop.
fn begin_round<G: Guest>(
    vs: &[MutexGuard<'_, Vcpu<G>>],
    shared: &Shared<G>,
    control: &Control,
) -> Option<Round> {
    let total = total(vs);
    if control.pace.is_reached(total) {
        stop(control);
        return None;
    }
    control.input.store(false, Ordering::Release);
    shared.inputs.drain(total);
    shared.clock.ring_due();
    let length = control.pace.length.load(Ordering::Acquire);
    Some(Round { begin: shared.clock.now_ns(), length, hart: 0, used: 0, busy: false })
}

fn stop(control: &Control) {
    control.pace.end_of_round(u64::MAX);
    control.shut();
}

impl Round {
    /// Runs what is left of the round. False: stopped in its midst.
    fn run<G: Guest>(&mut self, vs: &mut [MutexGuard<'_, Vcpu<G>>], control: &Control) -> bool {
        while self.hart < vs.len() {
            let room = control.pace.room(total(vs));
            if room == 0 {
                return false;
            }
            let v = &mut vs[self.hart];
            if self.used > 0 || begin_part(v, self.begin) {
                self.busy = true;
                if self.run_part(v, room) {
                    continue;
                }
            }
            (self.hart, self.used) = (self.hart + 1, 0);
        }
        true
    }

    /// Runs some of a hart's part. Whether there may be more of it.
    fn run_part<G: Guest>(&mut self, v: &mut Vcpu<G>, room: i64) -> bool {
        let length = room.min(self.length - self.used);
        // The hart's clock counts from the begin of its slice.
        v.cpu.slice_ns =
            self.begin.saturating_add((self.used as u64).saturating_mul(v.cpu.shared.ns_per_insn));
        v.begin_slice(length);
        let stop = v.run(true);
        v.end_slice();
        // An exception uses up budget without retiring, so this may be short of the stop.
        self.used += length;
        if let Stop::Flow(flow) = stop {
            note_flow(v, flow);
            return false;
        }
        self.used < self.length
    }
}

/// A hart's look at the outside. Whether it runs in this round.
fn begin_part<G: Guest>(v: &mut Vcpu<G>, begin: u64) -> bool {
    v.cpu.slice_ns = begin;
    v.cpu.hart.lines.take_attention();
    v.cpu.run_requests();
    if !v.cpu.hart.is_started() {
        return false;
    }
    if let Some(flow) = v.waiting {
        let bounded = matches!(flow, Flow::WaitBounded(_));
        if !bounded && !G::wakes(&mut v.cpu) {
            return false;
        }
        v.waiting = None;
    }
    G::poll(&mut v.cpu);
    true
}

/// Nobody can run: moves time to the next thing that happens by itself, or waits for an input.
fn skip_idle<G: Guest>(vs: &[MutexGuard<'_, Vcpu<G>>], shared: &Shared<G>, control: &Control, now: u64) {
    let timers = vs.iter().filter(|v| v.cpu.hart.is_started()).filter_map(|v| G::deadline(&v.cpu));
    match timers.chain(shared.clock.next_alarm()).min() {
        Some(at) if at != u64::MAX => shared.clock.set_virtual(at.max(now.saturating_add(1))),
        _ if control.input.load(Ordering::Acquire) || shared.inputs.has_queued() => {}
        _ => shared.harts[0].lines.sleep(Some(Duration::from_millis(100))),
    }
}
