//! Character back ends: where the bytes of serial ports and consoles go to and come from.
//!
//! Output is handed to a sink, which must not block the hart that wrote it. Input comes through the machine's
//! input port, so that it can be recorded.

use engine::exec::inputs::{InputEvent, InputPort, SourceId};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

/// Takes a device's output.
pub trait CharSink: Send {
    /// Takes all of `bytes`, without blocking for long. What cannot be kept is dropped.
    fn put(&mut self, bytes: &[u8]);
}

/// Forgets everything.
pub struct NullSink;

impl CharSink for NullSink {
    fn put(&mut self, _: &[u8]) {}
}

impl<F: FnMut(&[u8]) + Send> CharSink for F {
    fn put(&mut self, bytes: &[u8]) {
        self(bytes);
    }
}

/// A sink that a device and the built-in firmware's console write to.
#[derive(Clone)]
pub struct SharedSink(Arc<Mutex<Box<dyn CharSink>>>);

impl SharedSink {
    /// Shares `sink`.
    pub fn new(sink: Box<dyn CharSink>) -> SharedSink {
        SharedSink(Arc::new(Mutex::new(sink)))
    }

    /// Writes.
    pub fn put(&self, bytes: &[u8]) {
        self.0.lock().put(bytes);
    }

    /// Sends output elsewhere from now on.
    pub fn replace(&self, sink: Box<dyn CharSink>) {
        *self.0.lock() = sink;
    }
}

struct RingState {
    bytes: VecDeque<u8>,
    capacity: usize,
    dropped: u64,
}

/// A bounded ring of output, written by a device and read by whoever shows it. When full the oldest bytes are dropped
/// and counted.
#[derive(Clone)]
pub struct ByteRing(Arc<Mutex<RingState>>);

impl ByteRing {
    /// A ring of at most `capacity` bytes (at least 1).
    pub fn new(capacity: usize) -> ByteRing {
        let capacity = capacity.max(1);
        ByteRing(Arc::new(Mutex::new(RingState { bytes: VecDeque::new(), capacity, dropped: 0 })))
    }

    /// Takes everything that is there.
    pub fn take(&self) -> Vec<u8> {
        self.0.lock().bytes.drain(..).collect()
    }

    /// Bytes dropped so far.
    pub fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }
}

impl CharSink for ByteRing {
    fn put(&mut self, bytes: &[u8]) {
        let mut ring = self.0.lock();
        let keep = bytes.len().min(ring.capacity);
        let over = (ring.bytes.len() + keep).saturating_sub(ring.capacity);
        ring.bytes.drain(..over);
        ring.bytes.extend(&bytes[bytes.len() - keep..]);
        ring.dropped += (over + bytes.len() - keep) as u64;
    }
}

/// The outside end of a device's input. Made before the device, connected when the device is attached.
#[derive(Clone, Default)]
pub struct CharInput(Arc<OnceLock<(Arc<InputPort>, SourceId)>>);

impl CharInput {
    /// Called by the device when it has registered its source.
    pub fn connect(&self, inputs: Arc<InputPort>, source: SourceId) {
        let _ = self.0.set((inputs, source));
    }

    /// Sends bytes to the device; false if no device is connected.
    pub fn send(&self, bytes: &[u8]) -> bool {
        let Some((inputs, source)) = self.0.get() else { return false };
        inputs.push(*source, InputEvent::Bytes(bytes.to_vec()));
        true
    }

    /// The source's number in recordings.
    pub fn source(&self) -> Option<SourceId> {
        self.0.get().map(|(_, source)| *source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_drops_the_oldest_bytes() {
        let mut ring = ByteRing::new(4);
        ring.put(b"abc");
        ring.put(b"de");
        assert_eq!((ring.take(), ring.dropped()), (b"bcde".to_vec(), 1));
        ring.put(b"123456");
        assert_eq!((ring.take(), ring.dropped()), (b"3456".to_vec(), 3));
    }

    #[test]
    fn input_needs_a_connection() {
        let input = CharInput::default();
        assert!(!input.send(b"x"));
        let port = InputPort::new();
        let got = Arc::new(Mutex::new(Vec::new()));
        let g = got.clone();
        let source = port.register(Arc::new(move |e| g.lock().push(e)));
        input.clone().connect(port, source);
        assert!(input.send(b"x"));
        assert_eq!(*got.lock(), [InputEvent::Bytes(b"x".to_vec())]);
    }
}
