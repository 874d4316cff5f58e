//! Where the card's thread and the network's thread meet: two bounded queues of frames, a doorbell, counters,
//! and the pause protocol.
//!
//! The doorbell is an eventfd, because the network's thread sleeps in `poll` on its sockets. It is rung only
//! when a queue leaves a state in which the other side may be asleep, so a busy stream costs no system call
//! per frame.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};
use rustix::event::{EventfdFlags, eventfd};

use crate::net::NetMetrics;

/// Frames that either queue holds at most.
pub const QUEUE_FRAMES: usize = 512;

/// Longest frame: an IP packet of [`MTU`](super::packet::MTU) bytes behind an Ethernet header.
pub const MAX_FRAME: usize = super::packet::MTU + super::packet::ETHERNET_HEADER;

type Notify = Arc<dyn Fn() + Send + Sync>;

/// What the network's thread has been told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Work.
    Run,
    /// Stand still until told otherwise.
    Pause,
    /// End.
    Stop,
}

#[derive(Debug)]
struct Control {
    order: Order,
    /// The thread stands still, or is gone.
    still: bool,
}

#[derive(Default)]
struct ToGuest {
    frames: VecDeque<Vec<u8>>,
    /// The thread found the queue full and wants the bell when there is room.
    starved: bool,
}

/// Counters which either thread adds to.
#[derive(Debug, Default)]
pub struct Counters {
    pub tx_frames: AtomicU64,
    pub tx_bytes: AtomicU64,
    pub tx_dropped: AtomicU64,
    pub rx_frames: AtomicU64,
    pub rx_bytes: AtomicU64,
    pub rx_dropped: AtomicU64,
    pub rejected: AtomicU64,
    pub refused: AtomicU64,
    pub tcp_flows: AtomicU64,
    pub udp_flows: AtomicU64,
    pub stack_faults: AtomicU64,
    /// Turns of the network's event loop.
    pub turns: AtomicU64,
}

/// Adds one to a counter.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The meeting place.
pub struct Exchange {
    from_guest: Mutex<VecDeque<Vec<u8>>>,
    to_guest: Mutex<ToGuest>,
    bell: OwnedFd,
    notify: Mutex<Option<Notify>>,
    /// The callback is new and has not been told of frames that were there before it.
    fresh: AtomicBool,
    control: Mutex<Control>,
    obeyed: Condvar,
    /// The counters.
    pub counters: Counters,
}

impl Exchange {
    /// An empty meeting place.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            from_guest: Mutex::default(),
            to_guest: Mutex::default(),
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            notify: Mutex::new(None),
            fresh: AtomicBool::new(false),
            control: Mutex::new(Control { order: Order::Run, still: false }),
            obeyed: Condvar::new(),
            counters: Counters::default(),
        })
    }

    // ---- the card's side ----

    /// Queues a frame of the guest.
    pub fn send(&self, frame: &[u8]) {
        if frame.len() > MAX_FRAME || !self.try_send(frame) {
            count(&self.counters.tx_dropped);
            return;
        }
        count(&self.counters.tx_frames);
        self.counters.tx_bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
    }

    fn try_send(&self, frame: &[u8]) -> bool {
        let mut queue = self.from_guest.lock();
        if queue.len() >= QUEUE_FRAMES {
            return false;
        }
        queue.push_back(frame.to_vec());
        let first = queue.len() == 1;
        drop(queue);
        if first {
            self.ring();
        }
        true
    }

    /// Takes the next frame for the guest.
    pub fn fetch(&self) -> Option<Vec<u8>> {
        let mut queue = self.to_guest.lock();
        let frame = queue.frames.pop_front()?;
        let ring = queue.starved && queue.frames.len() <= QUEUE_FRAMES / 2;
        if ring {
            queue.starved = false;
        }
        drop(queue);
        if ring {
            self.ring();
        }
        count(&self.counters.rx_frames);
        self.counters.rx_bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
        Some(frame)
    }

    /// Sets the callback; the thread calls it at once if frames wait already.
    pub fn set_notify(&self, notify: Notify) {
        *self.notify.lock() = Some(notify);
        self.fresh.store(true, Ordering::Release);
        self.ring();
    }

    /// Gives an order and, unless it is to run, waits until it is obeyed.
    pub fn order(&self, order: Order) {
        let mut control = self.control.lock();
        if control.order == Order::Stop {
            return;
        }
        control.order = order;
        self.obeyed.notify_all();
        self.ring();
        while order != Order::Run && !control.still {
            self.obeyed.wait(&mut control);
        }
    }

    /// The counters' values.
    pub fn metrics(&self) -> NetMetrics {
        let c = &self.counters;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        NetMetrics {
            tx_frames: get(&c.tx_frames),
            tx_bytes: get(&c.tx_bytes),
            tx_dropped: get(&c.tx_dropped),
            rx_frames: get(&c.rx_frames),
            rx_bytes: get(&c.rx_bytes),
            rx_dropped: get(&c.rx_dropped),
            rejected: get(&c.rejected),
            refused: get(&c.refused),
            tcp_flows: get(&c.tcp_flows),
            udp_flows: get(&c.udp_flows),
            stack_faults: get(&c.stack_faults),
        }
    }

    // ---- the network's side ----

    /// What to wait on for the bell.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    fn ring(&self) {
        // Only a full counter can refuse, and then the bell rings already.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }

    /// Silences the bell; to be called before looking at what it announces.
    pub fn silence(&self) {
        let _ = rustix::io::read(&self.bell, &mut [0u8; 8]);
    }

    /// Moves at most `most` frames of the guest to `batch`; returns whether more are waiting.
    pub fn take(&self, batch: &mut Vec<Vec<u8>>, most: usize) -> bool {
        let mut queue = self.from_guest.lock();
        let n = most.min(queue.len());
        batch.extend(queue.drain(..n));
        !queue.is_empty()
    }

    /// Whether a frame for the guest would be taken; if not, the bell rings when half the queue is free.
    pub fn has_room(&self) -> bool {
        let mut queue = self.to_guest.lock();
        queue.starved = queue.frames.len() >= QUEUE_FRAMES;
        !queue.starved
    }

    /// Queues a frame for the guest; drops and counts it when the queue is full.
    pub fn deliver(&self, frame: Vec<u8>) {
        let mut queue = self.to_guest.lock();
        if queue.frames.len() < QUEUE_FRAMES {
            queue.frames.push_back(frame);
        } else {
            queue.starved = true;
            count(&self.counters.rx_dropped);
        }
    }

    /// Whether the callback is new since the last call.
    pub fn take_fresh(&self) -> bool {
        self.fresh.swap(false, Ordering::Acquire)
    }

    /// Calls the callback if frames wait.
    pub fn notify(&self) {
        if self.to_guest.lock().frames.is_empty() {
            return;
        }
        let callback = self.notify.lock().clone();
        if let Some(callback) = callback {
            callback();
        }
    }

    /// The order in force.
    pub fn current_order(&self) -> Order {
        self.control.lock().order
    }

    /// Reports to be standing still, waits for another order than to pause, and returns it.
    pub fn stand_still(&self) -> Order {
        let mut control = self.control.lock();
        control.still = true;
        self.obeyed.notify_all();
        while control.order == Order::Pause {
            self.obeyed.wait(&mut control);
        }
        control.still = false;
        control.order
    }

    /// Reports that the thread ends, for good.
    pub fn gone(&self) {
        let mut control = self.control.lock();
        control.order = Order::Stop;
        control.still = true;
        self.obeyed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_bounded_and_counted() {
        let ex = Exchange::new().expect("an eventfd");
        for _ in 0..QUEUE_FRAMES + 3 {
            ex.send(&[0; 60]);
        }
        ex.send(&[0; MAX_FRAME + 1]);
        let m = ex.metrics();
        assert_eq!((m.tx_frames, m.tx_dropped), (QUEUE_FRAMES as u64, 4));
        let mut batch = Vec::new();
        assert!(ex.take(&mut batch, 10) && batch.len() == 10);
        assert!(!ex.take(&mut batch, QUEUE_FRAMES));
        for _ in 0..QUEUE_FRAMES {
            assert!(ex.has_room());
            ex.deliver(vec![0; 60]);
        }
        assert!(!ex.has_room());
        ex.deliver(vec![0; 60]);
        assert_eq!(ex.metrics().rx_dropped, 1);
        ex.silence();
        let rings = |ex: &Exchange| rustix::io::read(ex.bell(), &mut [0u8; 8]).is_ok();
        for _ in 0..QUEUE_FRAMES / 2 - 1 {
            assert!(ex.fetch().is_some() && !rings(&ex));
        }
        assert!(ex.fetch().is_some() && rings(&ex), "half empty: the bell");
    }
}
