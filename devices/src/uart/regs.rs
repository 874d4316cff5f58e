//! Register bits of the 16550.

pub(super) const IER_RX: u8 = 1;
pub(super) const IER_THR: u8 = 2;
pub(super) const IER_LINE: u8 = 4;
pub(super) const IER_MODEM: u8 = 8;

pub(super) const IIR_NONE: u8 = 1;
pub(super) const IIR_MODEM: u8 = 0;
pub(super) const IIR_THR: u8 = 2;
pub(super) const IIR_RX: u8 = 4;
pub(super) const IIR_LINE: u8 = 6;
pub(super) const IIR_TIMEOUT: u8 = 12;
pub(super) const IIR_FIFOS: u8 = 0xc0;

pub(super) const FCR_ENABLE: u8 = 1;
pub(super) const FCR_CLEAR_RX: u8 = 2;
pub(super) const FCR_CLEAR_TX: u8 = 4;
pub(super) const FCR_TRIGGER: u8 = 0xc0;

pub(super) const LCR_STOP: u8 = 4;
pub(super) const LCR_PARITY: u8 = 8;
pub(super) const LCR_DLAB: u8 = 0x80;

pub(super) const MCR_DTR: u8 = 1;
pub(super) const MCR_RTS: u8 = 2;
pub(super) const MCR_OUT1: u8 = 4;
pub(super) const MCR_OUT2: u8 = 8;
pub(super) const MCR_LOOP: u8 = 0x10;

pub(super) const LSR_READY: u8 = 1;
pub(super) const LSR_OVERRUN: u8 = 2;
pub(super) const LSR_BREAK: u8 = 0x10;
pub(super) const LSR_THR_EMPTY: u8 = 0x20;
pub(super) const LSR_TX_EMPTY: u8 = 0x40;

pub(super) const MSR_RING_ENDED: u8 = 4;
pub(super) const MSR_DELTAS: u8 = 0x0f;
pub(super) const MSR_RI: u8 = 0x40;
/// Clear to send, data set ready, carrier: somebody is there.
pub(super) const MSR_IDLE: u8 = 0xb0;
