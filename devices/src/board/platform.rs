//! What firmware built into the engine gets of the board: console, power, entropy.

use crate::backend::chardev::SharedSink;
use crate::device::DeviceCell;
use crate::syscon::EventFn;
use crate::uart::Uart;
use engine::exec::cpu::{MachineEvent, Platform};
use std::sync::Arc;

/// Fills a buffer with random bytes, or with those of a recording.
pub type EntropyFn = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// The board's side of [`Platform`].
pub struct BoardPlatform {
    pub(super) sink: SharedSink,
    pub(super) serial: Arc<DeviceCell>,
    pub(super) events: EventFn,
    pub(super) entropy: EntropyFn,
}

impl Platform for BoardPlatform {
    fn console_write(&self, bytes: &[u8]) {
        self.sink.put(bytes);
    }

    fn console_read(&self, buf: &mut [u8]) -> usize {
        self.serial.with_as(|uart: &mut Uart| uart.take_received(buf)).unwrap_or(0)
    }

    fn event(&self, event: MachineEvent) {
        (self.events)(event);
    }

    fn entropy(&self, buf: &mut [u8]) {
        (self.entropy)(buf);
    }
}
