//! From standard input to the guest's serial port, at the guest's pace.

use super::keys::{Key, Keys};
use crate::machine::api::SerialPort;
use rustix::fs::fstat;
use rustix::process::getpgrp;
use rustix::termios::{isatty, tcgetpgrp};
use std::collections::VecDeque;
use std::io::stdin;
use std::time::Duration;

/// How soon to offer the guest again what it did not take.
const RETRY: Duration = Duration::from_millis(5);

/// Whether standard input is open at all.
pub fn usable() -> bool {
    fstat(stdin()).is_ok() && (!isatty(stdin()) || in_foreground())
}

/// Whether this process may use the terminal: one in the background would be stopped.
pub fn in_foreground() -> bool {
    !isatty(stdin()) || tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp())
}

/// Input on its way.
pub struct Input {
    port: Option<SerialPort>,
    keys: Keys,
    pending: VecDeque<u8>,
    open: bool,
}

impl Input {
    /// Input for this port; `escapes` says whether Ctrl-A is ours.
    pub fn new(port: Option<SerialPort>, escapes: bool) -> Input {
        let open = port.is_some();
        Input { port, keys: Keys::new(escapes), pending: VecDeque::new(), open }
    }

    /// Whether standard input should be read now. A terminal always is, for the keys that are ours.
    pub fn wants_more(&self) -> bool {
        self.open && self.pending.len() < 1 << 16
    }

    /// When to try again to hand over what the guest did not take.
    pub fn retry_after(&self) -> Option<Duration> {
        (!self.pending.is_empty()).then_some(RETRY)
    }

    /// Reads what there is; at its end or on an error the input is closed, and the machine goes on without.
    pub fn read(&mut self) -> Vec<Key> {
        let mut bytes = [0u8; 4096];
        match rustix::io::read(stdin(), &mut bytes) {
            Ok(n) if n > 0 => self.keys.sort(bytes.get(..n).unwrap_or_default()),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Vec::new(),
            Ok(_) | Err(_) => {
                self.open = false;
                Vec::new()
            }
        }
    }

    /// Bytes for the guest.
    pub fn queue(&mut self, bytes: &[u8]) {
        self.pending.extend(bytes);
    }

    /// Hands over as much as the guest takes.
    pub fn forward(&mut self) {
        let Some(port) = &self.port else { return };
        while !self.pending.is_empty() {
            let taken = port.write(self.pending.make_contiguous());
            self.pending.drain(..taken);
            if taken == 0 {
                return;
            }
        }
    }
}
