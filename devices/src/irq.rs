//! Interrupt lines between devices and an interrupt controller.
//!
//! A line is a clonable handle that any thread may set at any time, also one that holds the device's own lock. So
//! controllers keep what lines touch in atomics, and setting a line takes no lock.

use engine::exec::hart::Lines;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// An interrupt controller, seen from its inputs. Implementations are lock-free.
pub trait IrqSink: Send + Sync {
    /// Sets the level of input `number`.
    fn set(&self, number: u32, level: bool);
}

/// One interrupt line. Setting the level that it already has changes nothing.
#[derive(Clone)]
pub struct IrqLine {
    sink: Option<Arc<dyn IrqSink>>,
    number: u32,
}

impl IrqLine {
    /// Input `number` of `sink`.
    pub fn new(sink: Arc<dyn IrqSink>, number: u32) -> IrqLine {
        IrqLine { sink: Some(sink), number }
    }

    /// A line that leads nowhere.
    pub fn unconnected() -> IrqLine {
        IrqLine { sink: None, number: 0 }
    }

    /// Input number at its controller.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Sets the level.
    pub fn set(&self, level: bool) {
        if let Some(sink) = &self.sink {
            sink.set(self.number, level);
        }
    }

    /// Raises and lowers the line.
    pub fn pulse(&self) {
        self.set(true);
        self.set(false);
    }
}

impl std::fmt::Debug for IrqLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IrqLine({})", self.number)
    }
}

impl IrqSink for Lines {
    fn set(&self, number: u32, level: bool) {
        Lines::set(self, number, level);
    }
}

/// Up to 64 lines that only remember their level: for tests, and for devices without a controller.
#[derive(Default)]
pub struct LevelLatch(AtomicU64);

impl LevelLatch {
    /// Level of line `number`.
    pub fn level(&self, number: u32) -> bool {
        self.0.load(Ordering::Acquire) >> (number & 63) & 1 != 0
    }

    /// A latch and the line that sets its input 0.
    pub fn with_line() -> (Arc<LevelLatch>, IrqLine) {
        let latch = Arc::<LevelLatch>::default();
        (latch.clone(), IrqLine::new(latch, 0))
    }
}

impl IrqSink for LevelLatch {
    fn set(&self, number: u32, level: bool) {
        let mask = 1u64 << (number & 63);
        if level {
            self.0.fetch_or(mask, Ordering::AcqRel);
        } else {
            self.0.fetch_and(!mask, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_reach_their_input() {
        let (latch, line) = LevelLatch::with_line();
        line.set(true);
        assert!(latch.level(0) && !latch.level(1));
        line.clone().set(false);
        assert!(!latch.level(0));
        IrqLine::unconnected().pulse();
    }
}
