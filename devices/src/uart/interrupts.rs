//! The port's interrupt sources in their order of priority, and the receiver's time-out.

use super::Uart;
use super::regs::*;

/// Line speed assumed while the divisor is 0, in bits per second.
const FALLBACK_BAUD: u64 = 9600;
const NS_PER_S: u64 = 1_000_000_000;

impl Uart {
    fn trigger_level(&self) -> usize {
        match (self.has_fifo(), self.state.fcr >> 6) {
            (false, _) | (true, 0) => 1,
            (true, 1) => 4,
            (true, 2) => 8,
            (true, _) => 14,
        }
    }

    /// The pending source with the highest priority (data sheet table IV).
    fn pending(&self) -> u8 {
        let s = &self.state;
        if s.ier & IER_LINE != 0 && s.errors != 0 {
            IIR_LINE
        } else if s.ier & IER_RX != 0 && s.fifo.len() >= self.trigger_level() {
            IIR_RX
        } else if s.ier & IER_RX != 0 && s.timed_out {
            IIR_TIMEOUT
        } else if s.ier & IER_THR != 0 && s.thr_pending {
            IIR_THR
        } else if s.ier & IER_MODEM != 0 && s.msr & MSR_DELTAS != 0 {
            IIR_MODEM
        } else {
            IIR_NONE
        }
    }

    /// Reading the identification takes a pending transmitter interrupt back.
    pub(super) fn read_iir(&mut self) -> u8 {
        let iir = self.pending();
        if iir == IIR_THR {
            self.state.thr_pending = false;
        }
        iir | if self.has_fifo() { IIR_FIFOS } else { 0 }
    }

    /// Sets line and alarm as the state wants them.
    pub(super) fn update(&mut self) {
        let level = self.pending() != IIR_NONE;
        if level && !self.irq_level {
            self.counters.interrupts += 1;
        }
        self.irq_level = level;
        self.irq.set(level);
        self.arm();
    }

    /// Nanoseconds of one character at the programmed speed and format.
    fn char_ns(&self) -> u64 {
        let baud = match self.state.divisor {
            0 => FALLBACK_BAUD,
            d => (super::CLOCK_HZ as u64 / 16 / d as u64).max(1),
        };
        let lcr = self.state.lcr;
        let bits = 7 + (lcr & 3) as u64 + (lcr & LCR_STOP != 0) as u64 + (lcr & LCR_PARITY != 0) as u64;
        bits * NS_PER_S / baud
    }

    fn now(&self) -> u64 {
        self.ctx.as_ref().map_or(0, |c| c.clock().now_ns())
    }

    /// Four character times from now, if FIFOs are on and bytes wait (data sheet 8.5.1).
    pub(super) fn restart_timeout(&mut self) {
        let waits = self.has_fifo() && !self.state.fifo.is_empty() && !self.state.timed_out;
        self.state.timeout_at = waits.then(|| self.now().saturating_add(4 * self.char_ns()));
    }

    pub(super) fn check_timeout(&mut self) {
        if self.state.timeout_at.is_some_and(|at| at <= self.now()) {
            self.state.timeout_at = None;
            self.state.timed_out = !self.state.fifo.is_empty();
        }
    }

    /// Sets the alarm if a time-out is due and none is set; one that rings too early is set again then.
    fn arm(&mut self) {
        if let (Some(at), false, Some(ctx)) = (self.state.timeout_at, self.alarm_set, &self.ctx) {
            ctx.alarm(at, 0);
            self.alarm_set = true;
        }
    }
}
