//! How a device interrupts its driver: a level line with a status register, or messages (section 4.1.4.5, 4.2.2).

use crate::irq::IrqLine;
use std::sync::Arc;

/// Interrupt status: a queue has been used.
pub const ISR_QUEUE: u32 = 1;
/// Interrupt status: the configuration or the device status has changed.
pub const ISR_CONFIG: u32 = 2;

/// Message-signalled interrupts, where the board has a target for them.
pub trait Messages: Send + Sync {
    /// Whether the guest has switched from the line to messages.
    fn enabled(&self) -> bool;
    /// Sends the message of this vector, or keeps it pending if it is masked.
    fn send(&self, vector: u16);
}

/// The interrupts of one device.
pub struct Interrupts {
    isr: u32,
    line: IrqLine,
    /// The line is held low by PCI's interrupt-disable bit.
    masked: bool,
    messages: Option<Arc<dyn Messages>>,
    /// Vector of configuration changes.
    pub(super) config_vector: u16,
    raised: u64,
}

impl Interrupts {
    /// Interrupts over `line`, or over `messages` when the guest enables them.
    pub(super) fn new(line: IrqLine, messages: Option<Arc<dyn Messages>>) -> Interrupts {
        let config_vector = super::queue::NO_VECTOR;
        Interrupts { isr: 0, line, masked: false, messages, config_vector, raised: 0 }
    }

    fn update(&self) {
        self.line.set(self.isr != 0 && !self.masked);
    }

    fn raise(&mut self, bit: u32, vector: u16) {
        self.raised += 1;
        if let Some(m) = self.messages.as_ref().filter(|m| m.enabled()) {
            m.send(vector);
            return;
        }
        self.isr |= bit;
        self.update();
    }

    pub(super) fn queue(&mut self, vector: u16) {
        self.raise(ISR_QUEUE, vector);
    }

    pub(super) fn config(&mut self) {
        self.raise(ISR_CONFIG, self.config_vector);
    }

    /// The status register.
    pub(super) fn isr(&self) -> u32 {
        self.isr
    }

    /// Interrupts raised so far.
    pub(super) fn raised(&self) -> u64 {
        self.raised
    }

    /// Acknowledges `bits`.
    pub(super) fn ack(&mut self, bits: u32) {
        self.isr &= !bits;
        self.update();
    }

    /// Sets the status, of a restored device.
    pub(super) fn set_isr(&mut self, isr: u32) {
        self.isr = isr & (ISR_QUEUE | ISR_CONFIG);
        self.update();
    }

    /// Holds the line low, or lets it go.
    pub(super) fn mask(&mut self, masked: bool) {
        self.masked = masked;
        self.update();
    }

    pub(super) fn reset(&mut self) {
        self.isr = 0;
        self.config_vector = super::queue::NO_VECTOR;
        self.update();
    }
}
