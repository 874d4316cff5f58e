//! Signals as events of the run's loop: a socket that becomes readable, and which one it was.

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::low_level::pipe;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Signals that end the run.
const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// The signals that have come.
pub struct Signals {
    wake: UnixStream,
    ending: Arc<AtomicUsize>,
    continued: Arc<AtomicBool>,
}

impl Signals {
    /// Catches the signals from now on.
    pub fn catch() -> io::Result<Signals> {
        let (wake, write) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let signals = Signals {
            wake,
            ending: Arc::new(AtomicUsize::new(0)),
            continued: Arc::new(AtomicBool::new(false)),
        };
        // Actions run in the order of their registration: first the note, then the wake.
        for signal in ENDING {
            let number = usize::try_from(signal).unwrap_or_default();
            signal_hook::flag::register_usize(signal, signals.ending.clone(), number)?;
            pipe::register(signal, write.try_clone()?)?;
        }
        signal_hook::flag::register(SIGCONT, signals.continued.clone())?;
        pipe::register(SIGCONT, write)?;
        Ok(signals)
    }

    /// What becomes readable when a signal comes.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Empties the socket.
    pub fn acknowledge(&mut self) {
        let mut bytes = [0; 64];
        while self.wake.read(&mut bytes).is_ok_and(|n| n > 0) {}
    }

    /// The signal that wants the end, if one came.
    pub fn ending(&self) -> Option<i32> {
        i32::try_from(self.ending.load(Ordering::Acquire)).ok().filter(|s| *s != 0)
    }

    /// Whether the process was continued after a stop since the last call.
    pub fn take_continued(&self) -> bool {
        self.continued.swap(false, Ordering::AcqRel)
    }
}

/// Dies as the signal would have let the process die, for the parent to see.
pub fn die_of(signal: i32) {
    let _ = signal_hook::low_level::emulate_default_handler(signal);
}
