//! The thread that carries frames from the network to the input port.
//!
//! The back end's notification may come from any thread, with any lock held, so it only sets a flag. The pump then
//! fetches frames, as many as the card has credit for; the rest waits in the back end.

use crate::net::NetBackend;
use engine::exec::inputs::{InputEvent, InputPort, SourceId};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Frames between the pump and the guest, at most.
pub(super) const CREDIT: u32 = 256;

#[derive(Default)]
struct State {
    /// The back end may have something.
    ready: bool,
    /// Frames pushed and not taken yet.
    under_way: u32,
    stop: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    backend: Mutex<Box<dyn NetBackend>>,
}

/// A back end with its thread.
pub(super) struct Pump {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Pump {
    pub fn new(mut backend: Box<dyn NetBackend>) -> Pump {
        let shared = Arc::new_cyclic(|me: &std::sync::Weak<Shared>| {
            let me = me.clone();
            backend.set_notify(Box::new(move || {
                if let Some(shared) = me.upgrade() {
                    shared.wake(|s| s.ready = true);
                }
            }));
            let state = State { ready: true, ..State::default() };
            Shared { state: Mutex::new(state), changed: Condvar::new(), backend: Mutex::new(backend) }
        });
        Pump { shared, thread: None }
    }

    /// Starts carrying frames to `source`.
    pub fn start(&mut self, port: Arc<InputPort>, source: SourceId) {
        let shared = self.shared.clone();
        let thread =
            std::thread::Builder::new().name("net-rx".into()).spawn(move || shared.run(&port, source));
        match thread {
            Ok(t) => self.thread = Some(t),
            Err(e) => tracing::error!("no thread for a network card ({e}); the guest will receive nothing"),
        }
    }

    /// The back end. Not to be held while anything is pushed into the port.
    pub fn with<R>(&self, f: impl FnOnce(&mut dyn NetBackend) -> R) -> R {
        f(&mut **self.shared.backend.lock())
    }

    /// The card has taken `n` frames.
    pub fn taken(&self, n: u32) {
        self.shared.wake(|s| s.under_way = s.under_way.saturating_sub(n));
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.shared.wake(|s| s.stop = true);
        self.with(|b| b.quiesce());
        if let Some(t) = self.thread.take()
            && t.thread().id() != std::thread::current().id()
        {
            let _ = t.join();
        }
    }
}

impl Shared {
    fn wake(&self, f: impl FnOnce(&mut State)) {
        f(&mut self.state.lock());
        self.changed.notify_all();
    }

    fn run(&self, port: &InputPort, source: SourceId) {
        let mut frame = Vec::new();
        while self.wait() {
            if self.backend.lock().receive(&mut frame) {
                {
                    let mut s = self.state.lock();
                    s.ready = true;
                    s.under_way += 1;
                }
                port.push(source, InputEvent::Bytes(std::mem::take(&mut frame)));
            }
        }
    }

    /// Waits until there may be a frame and there is credit for it. False when the card is gone.
    fn wait(&self) -> bool {
        let mut s = self.state.lock();
        while !s.stop && (!s.ready || s.under_way >= CREDIT) {
            self.changed.wait(&mut s);
        }
        // Lowered before the back end is asked, so that a notification which comes meanwhile is not lost.
        s.ready = false;
        !s.stop
    }
}
