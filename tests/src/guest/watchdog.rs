//! Ends the test program when a test hangs where no time-out of its own looks (a lock, a thread that is joined).

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Armed until it is dropped.
pub struct Watchdog {
    _disarm: Sender<()>,
}

impl Watchdog {
    /// Aborts the process if this is not dropped within `limit`.
    pub fn new(what: &str, limit: Duration) -> Watchdog {
        let (disarm, armed) = channel::<()>();
        let what = what.to_owned();
        std::thread::spawn(move || {
            if armed.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{what} hangs: nothing within {} s", limit.as_secs());
                std::process::abort();
            }
        });
        Watchdog { _disarm: disarm }
    }
}
