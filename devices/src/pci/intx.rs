//! Interrupt pins. Four lines of the board serve all slots; a line is high while any function on it is.

use crate::irq::{IrqLine, IrqSink};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Lines of the root bus.
pub(super) const LINES: usize = 4;

/// One line of the board and the slots that hold it high. All slots are behind the bridge's lock, so the level that is
/// computed last is the level that is set last.
struct SharedLine {
    high: AtomicU32,
    line: IrqLine,
}

impl IrqSink for SharedLine {
    fn set(&self, slot: u32, level: bool) {
        let bit = 1 << (slot & 31);
        let high = match level {
            true => self.high.fetch_or(bit, Ordering::AcqRel) | bit,
            false => self.high.fetch_and(!bit, Ordering::AcqRel) & !bit,
        };
        self.line.set(high != 0);
    }
}

/// The lines of a root bus.
pub(super) struct Pins([Arc<SharedLine>; LINES]);

impl Pins {
    pub fn new(line: impl Fn(usize) -> IrqLine) -> Pins {
        Pins(std::array::from_fn(|n| Arc::new(SharedLine { high: AtomicU32::new(0), line: line(n) })))
    }

    /// Pin `pin` (1 is INTA) of the device in `slot`: pins rotate over the lines from slot to slot, as the board's
    /// interrupt map says.
    pub fn of(&self, slot: u8, pin: u8) -> IrqLine {
        let n = (slot as usize + (pin as usize).saturating_sub(1)) % LINES;
        match (pin, self.0.get(n)) {
            (1..=4, Some(line)) => IrqLine::new(line.clone(), slot as u32),
            _ => IrqLine::unconnected(),
        }
    }
}
