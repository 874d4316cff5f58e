//! A serial port's two directions, each bounded, so that neither side can fill the other's memory or make it wait.
//!
//! Output is a ring with an absolute cursor: any number of readers follow it, each with a cursor of its own, and a reader
//! that is too slow learns how much it missed. Input is a queue that the machine drains at the device's pace; a writer
//! is told how much was taken and keeps the rest.

use super::handle::Wakers;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

/// Output bytes kept for readers.
const OUTPUT_CAPACITY: usize = 1 << 20;
/// Input bytes kept for the device.
const INPUT_CAPACITY: usize = 1 << 16;

/// What a reader got.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SerialRead {
    /// The bytes from the cursor on.
    pub bytes: Vec<u8>,
    /// The cursor for the next read.
    pub cursor: u64,
    /// Bytes that were overwritten before this reader came.
    pub missed: u64,
}

#[derive(Default)]
struct Output {
    ring: VecDeque<u8>,
    /// Absolute number of the byte after the newest.
    end: u64,
}

struct Shared {
    name: String,
    output: Mutex<Output>,
    input: Mutex<VecDeque<u8>>,
    input_notifier: OnceLock<Box<dyn Fn() + Send + Sync>>,
    wakers: Arc<Wakers>,
}

/// One serial port, shared by machine and readers.
#[derive(Clone)]
pub struct SerialPort {
    shared: Arc<Shared>,
}

impl SerialPort {
    pub(super) fn new(name: String, wakers: Arc<Wakers>) -> SerialPort {
        SerialPort {
            shared: Arc::new(Shared {
                name,
                output: Mutex::default(),
                input: Mutex::default(),
                input_notifier: OnceLock::new(),
                wakers,
            }),
        }
    }

    /// Its name for people ("ttyS0").
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The bytes that the guest has written since `cursor`; start with 0.
    pub fn read_since(&self, cursor: u64) -> SerialRead {
        let output = self.shared.output.lock();
        let start = output.end - output.ring.len() as u64;
        let from = cursor.clamp(start, output.end);
        let skip = usize::try_from(from - start).unwrap_or(output.ring.len());
        SerialRead {
            bytes: output.ring.range(skip..).copied().collect(),
            cursor: output.end,
            missed: from.saturating_sub(cursor),
        }
    }

    /// Sends bytes to the guest and says how many were taken. Fewer than all means that the guest is slow: keep the rest and try again later.
    pub fn write(&self, bytes: &[u8]) -> usize {
        let taken = {
            let mut input = self.shared.input.lock();
            let taken = bytes.len().min(INPUT_CAPACITY - input.len().min(INPUT_CAPACITY));
            input.extend(&bytes[..taken]);
            taken
        };
        if taken > 0
            && let Some(notify) = self.shared.input_notifier.get()
        {
            notify();
        }
        taken
    }

    /// Machine's side: appends what the guest wrote and wakes the readers.
    pub fn push_output(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        {
            let mut output = self.shared.output.lock();
            let kept = &bytes[bytes.len().saturating_sub(OUTPUT_CAPACITY)..];
            let excess = (output.ring.len() + kept.len()).saturating_sub(OUTPUT_CAPACITY);
            output.ring.drain(..excess);
            output.ring.extend(kept);
            output.end += bytes.len() as u64;
        }
        self.shared.wakers.notify();
    }

    /// Machine's side: takes up to `limit` bytes of input.
    pub fn take_input(&self, limit: usize) -> Vec<u8> {
        let mut input = self.shared.input.lock();
        let n = limit.min(input.len());
        input.drain(..n).collect()
    }

    /// Machine's side: how many bytes of input wait.
    pub fn input_waiting(&self) -> usize {
        self.shared.input.lock().len()
    }

    /// Machine's side, once: called after each write, on the writer's thread; it must not block.
    pub fn set_input_notifier(&self, notify: Box<dyn Fn() + Send + Sync>) {
        // A second machine on the same port would be a mistake of the caller; the first one stays.
        let _ = self.shared.input_notifier.set(notify);
    }
}
