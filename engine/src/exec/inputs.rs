//! The one port through which everything nondeterministic enters a machine.
//!
//! Serial bytes, disk completions, entropy, frames, window events: each source registers a handler and pushes events.
//! Free-running machines hand an event to its handler at once, on the pusher's thread. Deterministic machines queue it
//! and hand it over between slices, stamped with the instruction count, so that a recording of the port and the initial
//! state give the run again. Recording is a sink on this port.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Names a registered source; numbers are given in registration order, so they are stable for a machine description.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct SourceId(pub u32);

/// One input.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum InputEvent {
    /// Bytes for a serial port, a frame for a network card, entropy.
    Bytes(Vec<u8>),
    /// A request with this tag has completed, with the source's own status and data.
    Completion {
        /// The device's own number of the request.
        tag: u64,
        /// The source's own status; 0 is success.
        status: i32,
        /// What was read, if it was a read.
        data: Vec<u8>,
    },
    /// Something changed (a link state, a resize); meaning is the source's.
    Signal(u64),
}

/// Takes the events of one source. Called with no lock of the port held.
pub type Handler = Arc<dyn Fn(InputEvent) + Send + Sync>;
/// Sees every event as it is delivered: instruction count, source, event.
pub type Recorder = Box<dyn FnMut(u64, SourceId, &InputEvent) + Send>;
/// Wakes the machine when something was queued.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// The port.
#[derive(Default)]
pub struct InputPort {
    handlers: Mutex<Vec<Handler>>,
    queued: AtomicBool,
    queue: Mutex<VecDeque<(SourceId, InputEvent)>>,
    recorder: Mutex<Option<Recorder>>,
    waker: Mutex<Option<Waker>>,
}

impl InputPort {
    /// A free-running port.
    pub fn new() -> Arc<InputPort> {
        Arc::default()
    }

    /// Queue from now on (deterministic mode); `waker` is called for each push.
    pub fn set_queued(&self, waker: Waker) {
        *self.waker.lock() = Some(waker);
        self.queued.store(true, Ordering::Release);
    }

    /// Installs the recording sink.
    pub fn set_recorder(&self, recorder: Option<Recorder>) {
        *self.recorder.lock() = recorder;
    }

    /// Registers a source.
    pub fn register(&self, handler: Handler) -> SourceId {
        let mut handlers = self.handlers.lock();
        handlers.push(handler);
        SourceId(handlers.len() as u32 - 1)
    }

    /// An event from outside.
    pub fn push(&self, source: SourceId, event: InputEvent) {
        if self.queued.load(Ordering::Acquire) {
            self.queue.lock().push_back((source, event));
            let waker = self.waker.lock().clone();
            if let Some(wake) = waker {
                wake();
            }
        } else {
            self.deliver(0, source, event);
        }
    }

    /// Hands over what was queued, at instruction count `now`. Returns how many.
    pub fn drain(&self, now: u64) -> usize {
        let batch: Vec<_> = self.queue.lock().drain(..).collect();
        let n = batch.len();
        for (source, event) in batch {
            self.deliver(now, source, event);
        }
        n
    }

    /// Whether something waits to be delivered.
    pub fn has_queued(&self) -> bool {
        !self.queue.lock().is_empty()
    }

    fn deliver(&self, now: u64, source: SourceId, event: InputEvent) {
        if let Some(rec) = self.recorder.lock().as_mut() {
            rec(now, source, &event);
        }
        let handler = self.handlers.lock().get(source.0 as usize).cloned();
        if let Some(h) = handler {
            h(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queued_events_wait_for_the_drain_and_are_recorded() {
        let port = InputPort::new();
        let got = Arc::new(Mutex::new(Vec::new()));
        let g = got.clone();
        let id = port.register(Arc::new(move |e| g.lock().push(e)));
        port.push(id, InputEvent::Signal(1));
        assert_eq!(got.lock().len(), 1);
        port.set_queued(Arc::new(|| {}));
        let log = Arc::new(Mutex::new(Vec::new()));
        let l = log.clone();
        port.set_recorder(Some(Box::new(move |n, s, _| l.lock().push((n, s)))));
        port.push(id, InputEvent::Signal(2));
        assert_eq!(got.lock().len(), 1);
        assert_eq!(port.drain(77), 1);
        assert_eq!(got.lock().len(), 2);
        assert_eq!(*log.lock(), [(77, id)]);
    }
}
