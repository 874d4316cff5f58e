//! Pins: ranges of guest code that a person holds in one tier.
//!
//! Ranges are of *physical* addresses, because that is what code is known by: a page that several address spaces map is compiled once, and
//! events name it so. A block belongs to the range that its first byte lies in. Ranges never overlap: a new pin cuts
//! what is there.
//!
//! A pin chooses among the tiers that the mode has. In interpreter mode nothing is compiled, in tier 1 mode a pin to tier 2 is one to
//! tier 1.

use std::ops::Range;
use thiserror::Error;

/// Most ranges.
pub const MOST: usize = 1024;

/// The tier that a block is held in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// It is never compiled.
    Interpreter,
    /// It is compiled by the block compiler at its first run, and part of no region.
    Tier1,
    /// It is compiled at its first run, and asks for tier 2 soon, whatever a policy thinks of it.
    Tier2,
}

impl Level {
    /// Its number.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// A pinned range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pin {
    /// Physical addresses.
    pub range: Range<u64>,
    /// The tier.
    pub level: Level,
}

/// A range cannot be pinned.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PinError {
    /// The end does not lie behind the start.
    #[error("the range {start:#x}-{end:#x} holds no address: its end must lie behind its start")]
    Empty {
        /// First address.
        start: u64,
        /// The one behind the last.
        end: u64,
    },
    /// No code can be there.
    #[error(
        "there is no memory at {start:#x}-{end:#x} that guest code could be in; addresses are physical ones"
    )]
    NoMemory {
        /// First address.
        start: u64,
        /// The one behind the last.
        end: u64,
    },
    /// There are too many ranges.
    #[error("there are {MOST} pinned ranges already")]
    TooMany,
}

/// The pinned ranges of a machine, lowest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pins {
    list: Vec<Pin>,
}

impl Pins {
    /// The tier that the block at `pa` is held in.
    pub fn level(&self, pa: u64) -> Option<Level> {
        let behind = self.list.partition_point(|p| p.range.start <= pa);
        let pin = self.list.get(behind.checked_sub(1)?)?;
        pin.range.contains(&pa).then_some(pin.level)
    }

    /// All ranges.
    pub fn list(&self) -> &[Pin] {
        &self.list
    }

    /// Whether nothing is pinned.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds a range; what was pinned there before is not any more.
    pub fn add(&mut self, pin: Pin) -> Result<(), PinError> {
        let Range { start, end } = pin.range;
        if end <= start {
            return Err(PinError::Empty { start, end });
        }
        let mut list = self.without(&pin.range);
        if list.len() >= MOST {
            return Err(PinError::TooMany);
        }
        list.insert(list.partition_point(|p| p.range.start < start), pin);
        self.list = list;
        Ok(())
    }

    /// Takes a range out, which may cut others. Whether anything was pinned there.
    pub fn remove(&mut self, range: &Range<u64>) -> Result<bool, PinError> {
        let list = self.without(range);
        if list.len() > MOST {
            return Err(PinError::TooMany);
        }
        let changed = list != self.list;
        self.list = list;
        Ok(changed)
    }

    fn without(&self, cut: &Range<u64>) -> Vec<Pin> {
        let parts = |p: &Pin| {
            let [before, after] =
                [p.range.start..p.range.end.min(cut.start), p.range.start.max(cut.end)..p.range.end];
            let level = p.level;
            [before, after].into_iter().filter(|r| !r.is_empty()).map(move |range| Pin { range, level })
        };
        self.list.iter().flat_map(parts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(range: Range<u64>, level: Level) -> Pin {
        Pin { range, level }
    }

    #[test]
    fn a_new_pin_cuts_what_is_there() {
        let mut pins = Pins::default();
        pins.add(pin(0x1000..0x2000, Level::Tier1)).expect("a range");
        pins.add(pin(0x1400..0x1800, Level::Interpreter)).expect("a range");
        pins.add(pin(0x0..0x1001, Level::Tier2)).expect("a range");
        let level = |pa| pins.level(pa);
        assert_eq!([0, 0x1000].map(level), [Some(Level::Tier2); 2]);
        assert_eq!([0x1001, 0x13ff, 0x1800, 0x1fff].map(level), [Some(Level::Tier1); 4]);
        assert_eq!([0x1400, 0x17ff].map(level), [Some(Level::Interpreter); 2]);
        assert_eq!([0x2000, u64::MAX].map(level), [None; 2]);
        assert_eq!(pins.list().len(), 4);
        assert!(pins.list().is_sorted_by_key(|p| p.range.start));
    }

    #[test]
    fn what_is_unpinned_is_free_and_the_rest_stays() {
        let mut pins = Pins::default();
        pins.add(pin(0x1000..0x2000, Level::Tier1)).expect("a range");
        assert_eq!(pins.remove(&(0x1800..0x1801)), Ok(true));
        assert_eq!(pins.remove(&(0x1800..0x1801)), Ok(false));
        let level = |pa| pins.level(pa);
        assert_eq!(level(0x1800), None);
        assert_eq!([0x17ff, 0x1801].map(level), [Some(Level::Tier1); 2]);
        assert_eq!(pins.remove(&(0..u64::MAX)), Ok(true));
        assert!(pins.is_empty());
    }

    #[test]
    fn bad_ranges_and_too_many_are_errors_and_change_nothing() {
        let mut pins = Pins::default();
        for (start, end) in [(5, 5), (6, 5), (u64::MAX, 0)] {
            let wrong = pins.add(pin(start..end, Level::Tier1));
            assert_eq!(wrong, Err(PinError::Empty { start, end }));
        }
        for n in 0..MOST as u64 {
            pins.add(pin(n * 16..n * 16 + 8, Level::Tier1)).expect("room");
        }
        assert_eq!(pins.add(pin(1 << 40..2 << 40, Level::Tier1)), Err(PinError::TooMany));
        assert_eq!(pins.remove(&(2..3)), Err(PinError::TooMany));
        assert_eq!((pins.list().len(), pins.level(2)), (MOST, Some(Level::Tier1)));
        // One that takes the place of others fits.
        pins.add(pin(0..1 << 30, Level::Tier2)).expect("room");
        assert_eq!(pins.list().len(), 1);
    }
}
