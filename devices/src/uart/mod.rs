//! The ns16550a serial port: a 16550 with FIFOs, at byte-wide registers.
//!
//! The transmitter is infinitely fast: what is written goes to the sink at once. The receiver takes bytes from a
//! backlog as the FIFO empties, so a fast typist (or a paste) overruns nothing; a full backlog drops bytes, sets the
//! overrun bit and counts. Register names and bits: PC16550D data sheet, chapter 8.

mod interrupts;
mod regs;
#[cfg(test)]
mod tests;

use crate::backend::chardev::{CharInput, SharedSink};
use crate::device::{Device, DeviceContext};
use crate::irq::IrqLine;
use crate::metrics::{self, Metric};
use crate::state::{Saved, StateError};
use engine::exec::inputs::InputEvent;
use engine::mem::bus::BusFault;
use engine::tier::monitor::Counter;
use regs::*;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Frequency of the port's clock, for the device tree.
pub const CLOCK_HZ: u32 = 3_686_400;
/// Bytes of register space.
pub const REGISTERS: u64 = 8;
/// An [`InputEvent::Signal`] with this value is a break condition on the line.
pub const SIGNAL_BREAK: u64 = 1;

pub(crate) const KIND: &str = "ns16550a";
const VERSION: u32 = 1;
const FIFO_DEPTH: usize = 16;
/// Typed bytes that wait for the FIFO, at most.
const BACKLOG: usize = 1 << 20;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    ier: u8,
    fcr: u8,
    lcr: u8,
    mcr: u8,
    msr: u8,
    scratch: u8,
    divisor: u16,
    /// Error bits of the line status that a read clears.
    errors: u8,
    /// The transmitter's interrupt is pending (it is one event, not a level).
    thr_pending: bool,
    /// Nothing was received or read for four character times while bytes waited.
    timed_out: bool,
    /// Clock time at which the receiver times out.
    timeout_at: Option<u64>,
    fifo: VecDeque<u8>,
    backlog: VecDeque<u8>,
}

impl State {
    fn at_reset() -> State {
        State {
            ier: 0,
            fcr: 0,
            lcr: 0,
            mcr: 0x08,
            msr: MSR_IDLE,
            scratch: 0,
            divisor: 12,
            errors: 0,
            thr_pending: false,
            timed_out: false,
            timeout_at: None,
            fifo: VecDeque::new(),
            backlog: VecDeque::new(),
        }
    }
}

#[derive(Default)]
struct Counters {
    sent: u64,
    received: u64,
    dropped: u64,
    interrupts: u64,
}

/// The device.
pub struct Uart {
    sink: SharedSink,
    typed: CharInput,
    ctx: Option<DeviceContext>,
    irq: IrqLine,
    irq_level: bool,
    alarm_set: bool,
    state: State,
    counters: Counters,
}

impl Uart {
    /// A port that writes to `sink` and is typed at through `typed`.
    pub fn new(sink: SharedSink, typed: CharInput) -> Uart {
        Uart {
            sink,
            typed,
            ctx: None,
            irq: IrqLine::unconnected(),
            irq_level: false,
            alarm_set: false,
            state: State::at_reset(),
            counters: Counters::default(),
        }
    }

    /// Takes received bytes past the guest's driver, for a firmware console on the same port. Returns how many.
    pub fn take_received(&mut self, buf: &mut [u8]) -> usize {
        let mut n = 0;
        for slot in buf.iter_mut() {
            let Some(byte) = self.state.fifo.pop_front().or_else(|| self.state.backlog.pop_front()) else {
                break;
            };
            *slot = byte;
            n += 1;
        }
        self.refill();
        self.update();
        n
    }

    fn has_fifo(&self) -> bool {
        self.state.fcr & FCR_ENABLE != 0
    }

    fn capacity(&self) -> usize {
        if self.has_fifo() { FIFO_DEPTH } else { 1 }
    }

    fn loops_back(&self) -> bool {
        self.state.mcr & MCR_LOOP != 0
    }

    /// Moves what was typed into the receiver as far as it has room.
    fn refill(&mut self) {
        while !self.loops_back() && self.state.fifo.len() < self.capacity() {
            let Some(byte) = self.state.backlog.pop_front() else { return };
            self.state.fifo.push_back(byte);
            self.restart_timeout();
        }
    }

    fn type_bytes(&mut self, bytes: &[u8]) {
        let room = BACKLOG.saturating_sub(self.state.backlog.len());
        let (kept, lost) = bytes.split_at(room.min(bytes.len()));
        self.state.backlog.extend(kept);
        self.counters.received += kept.len() as u64;
        if !lost.is_empty() {
            self.counters.dropped += lost.len() as u64;
            self.state.errors |= LSR_OVERRUN;
        }
        self.refill();
    }

    fn transmit(&mut self, byte: u8) {
        self.counters.sent += 1;
        if !self.loops_back() {
            self.sink.put(&[byte]);
        } else if self.state.fifo.len() < self.capacity() {
            self.state.fifo.push_back(byte);
            self.restart_timeout();
        } else {
            self.state.errors |= LSR_OVERRUN;
        }
        self.state.thr_pending = true;
    }

    fn receive(&mut self) -> u8 {
        let byte = self.state.fifo.pop_front().unwrap_or(0);
        self.state.timed_out = false;
        self.refill();
        self.restart_timeout();
        byte
    }

    fn line_status(&self) -> u8 {
        let ready = if self.state.fifo.is_empty() { 0 } else { LSR_READY };
        ready | self.state.errors | LSR_THR_EMPTY | LSR_TX_EMPTY
    }

    fn read_register(&mut self, offset: u64) -> u8 {
        let dlab = self.state.lcr & LCR_DLAB != 0;
        match offset {
            0 if dlab => self.state.divisor as u8,
            0 => self.receive(),
            1 if dlab => (self.state.divisor >> 8) as u8,
            1 => self.state.ier,
            2 => self.read_iir(),
            3 => self.state.lcr,
            4 => self.state.mcr,
            5 => {
                let lsr = self.line_status();
                self.state.errors = 0;
                lsr
            }
            6 => {
                let msr = self.state.msr;
                self.state.msr &= !MSR_DELTAS;
                msr
            }
            _ => self.state.scratch,
        }
    }

    fn write_register(&mut self, offset: u64, value: u8) {
        let dlab = self.state.lcr & LCR_DLAB != 0;
        match offset {
            0 if dlab => self.state.divisor = self.state.divisor & 0xff00 | value as u16,
            0 => self.transmit(value),
            1 if dlab => self.state.divisor = self.state.divisor & 0xff | (value as u16) << 8,
            1 => self.write_ier(value),
            2 => self.write_fcr(value),
            3 => self.state.lcr = value,
            4 => self.write_mcr(value),
            5 | 6 => {}
            _ => self.state.scratch = value,
        }
    }

    fn write_ier(&mut self, value: u8) {
        let new = value & 0x0f;
        // The transmitter is always empty, so enabling its interrupt raises it (data sheet 8.6).
        if new & !self.state.ier & IER_THR != 0 {
            self.state.thr_pending = true;
        }
        self.state.ier = new;
    }

    fn write_fcr(&mut self, value: u8) {
        let toggled = (value ^ self.state.fcr) & FCR_ENABLE != 0;
        if toggled || value & FCR_CLEAR_RX != 0 {
            self.state.fifo.clear();
            self.state.timed_out = false;
            self.state.timeout_at = None;
        }
        if toggled || value & FCR_CLEAR_TX != 0 {
            self.state.thr_pending = true;
        }
        self.state.fcr = if value & FCR_ENABLE != 0 { value & (FCR_ENABLE | FCR_TRIGGER) } else { 0 };
        self.refill();
    }

    /// In loopback the four modem outputs are the four inputs (data sheet 8.7).
    fn write_mcr(&mut self, value: u8) {
        self.state.mcr = value & 0x1f;
        let inputs = match self.loops_back() {
            true => {
                let m = self.state.mcr;
                (m & MCR_RTS) << 3 | (m & MCR_DTR) << 5 | (m & MCR_OUT1) << 4 | (m & MCR_OUT2) << 4
            }
            false => MSR_IDLE,
        };
        let old = self.state.msr;
        let changed = (old ^ inputs) >> 4;
        let ring_ended = old & MSR_RI != 0 && inputs & MSR_RI == 0;
        let deltas = changed & !MSR_RING_ENDED | if ring_ended { MSR_RING_ENDED } else { 0 };
        self.state.msr = inputs & 0xf0 | old & MSR_DELTAS | deltas;
        self.refill();
    }
}

/// What it counts.
pub(crate) static COUNTERS: &[Counter<Uart>] = &[
    Counter::total("sent", "bytes", "bytes the guest wrote", |u| u.counters.sent),
    Counter::total("received", "bytes", "bytes typed at the port", |u| u.counters.received),
    Counter::total("dropped", "bytes", "typed bytes lost because the guest did not read", |u| {
        u.counters.dropped
    }),
    Counter::total("interrupts", "interrupts", "times the interrupt line rose", |u| u.counters.interrupts),
];

impl Device for Uart {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn attach(&mut self, ctx: DeviceContext) {
        self.irq = ctx.irq(0);
        self.typed.connect(ctx.wiring().inputs.clone(), ctx.input(0));
        self.ctx = Some(ctx);
    }

    fn read(&mut self, offset: u64, _: u32) -> Result<u64, BusFault> {
        if offset >= REGISTERS {
            return Err(BusFault);
        }
        let value = self.read_register(offset);
        self.update();
        Ok(value as u64)
    }

    fn write(&mut self, offset: u64, _: u32, value: u64) -> Result<(), BusFault> {
        if offset >= REGISTERS {
            return Err(BusFault);
        }
        self.write_register(offset, value as u8);
        self.update();
        Ok(())
    }

    fn reset(&mut self) {
        let backlog = std::mem::take(&mut self.state.backlog);
        self.state = State { backlog, ..State::at_reset() };
        self.refill();
        self.update();
    }

    fn input(&mut self, _: u32, event: InputEvent) {
        match event {
            InputEvent::Bytes(bytes) => self.type_bytes(&bytes),
            InputEvent::Signal(SIGNAL_BREAK) => {
                self.type_bytes(&[0]);
                self.state.errors |= LSR_BREAK;
            }
            _ => {}
        }
        self.update();
    }

    fn alarm(&mut self, _: u32) {
        self.alarm_set = false;
        self.check_timeout();
        self.update();
    }

    fn save(&self) -> Saved {
        Saved::pack(KIND, VERSION, &self.state)
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.state = State::at_reset();
        let restored = saved.unpack::<State>(KIND, VERSION).and_then(|s| match s.fifo.len() {
            0..=FIFO_DEPTH if s.backlog.len() <= BACKLOG => Ok(s),
            _ => Err(StateError::damaged(KIND, "more received bytes than the port can hold")),
        });
        let result = restored.map(|s| self.state = s);
        self.update();
        result
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics::read(COUNTERS, self)
    }
}
