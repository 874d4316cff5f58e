//! The system bus: which device answers at which physical address.

use crate::device::DeviceCell;
use engine::mem::bus::{Bus, BusFault};
use parking_lot::RwLock;
use std::sync::Arc;
use thiserror::Error;

/// A device cannot sit at an address.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BusError {
    /// Another device is there.
    #[error("{name} at {base:#x} overlaps {other}")]
    Overlap {
        /// The new device.
        name: String,
        /// Where it was to go.
        base: u64,
        /// Who is there.
        other: String,
    },
    /// The region is empty or ends beyond the address space.
    #[error("{name} cannot take {size:#x} bytes at {base:#x}")]
    Range {
        /// The new device.
        name: String,
        /// Where it was to go.
        base: u64,
        /// Bytes.
        size: u64,
    },
}

/// One region of the bus.
#[derive(Clone)]
pub struct BusRegion {
    /// The device's name on the board.
    pub name: Arc<str>,
    /// First physical address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
    /// Offset of `base` in the device's registers; not 0 if a device has several windows.
    pub offset: u64,
    /// Who answers.
    pub cell: Arc<DeviceCell>,
}

/// A bus to which devices can be added while it is in use.
#[derive(Default)]
pub struct SystemBus {
    /// Sorted by base, without overlap.
    regions: RwLock<Vec<BusRegion>>,
}

impl SystemBus {
    /// An empty bus.
    pub fn new() -> Arc<SystemBus> {
        Arc::default()
    }

    /// Adds a region.
    pub fn add(&self, region: BusRegion) -> Result<(), BusError> {
        let BusRegion { base, size, .. } = region;
        let name = region.name.to_string();
        let ends = base.checked_add(size).filter(|_| size > 0);
        let Some(end) = ends.filter(|_| region.offset.checked_add(size).is_some()) else {
            return Err(BusError::Range { name, base, size });
        };
        let mut regions = self.regions.write();
        let at = regions.partition_point(|r| r.base < base);
        let before = at.checked_sub(1).and_then(|i| regions.get(i)).filter(|r| r.base + r.size > base);
        let after = regions.get(at).filter(|r| r.base < end);
        if let Some(other) = before.or(after) {
            return Err(BusError::Overlap { name, base, other: other.name.to_string() });
        }
        regions.insert(at, region);
        Ok(())
    }

    /// Takes the region that starts at `base` away.
    pub fn remove(&self, base: u64) -> Option<BusRegion> {
        let mut regions = self.regions.write();
        let at = regions.iter().position(|r| r.base == base)?;
        Some(regions.remove(at))
    }

    /// Takes all regions away.
    pub fn clear(&self) {
        let regions = std::mem::take(&mut *self.regions.write());
        drop(regions);
    }

    /// All regions by address.
    pub fn regions(&self) -> Vec<BusRegion> {
        self.regions.read().clone()
    }

    /// The device with all of `pa..pa + size` in one region, and the offset in it. The look-up lock is released on return, so
    /// a device may change the map.
    fn find(&self, pa: u64, size: u32) -> Result<(Arc<DeviceCell>, u64), BusFault> {
        let regions = self.regions.read();
        let at = regions.partition_point(|r| r.base <= pa);
        let r = at.checked_sub(1).and_then(|i| regions.get(i)).ok_or(BusFault)?;
        let offset = pa - r.base;
        let fits = offset.checked_add(size as u64).is_some_and(|end| end <= r.size);
        if fits { Ok((r.cell.clone(), r.offset + offset)) } else { Err(BusFault) }
    }
}

impl Bus for SystemBus {
    fn read(&self, pa: u64, size: u32) -> Result<u64, BusFault> {
        let (cell, offset) = self.find(pa, size)?;
        cell.read(offset, size)
    }

    fn write(&self, pa: u64, size: u32, value: u64) -> Result<(), BusFault> {
        let (cell, offset) = self.find(pa, size)?;
        cell.write(offset, size, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Device, DeviceContext, tests::test_wiring};
    use crate::state::{Saved, StateError};

    /// Reads give the offset.
    struct Echo;

    impl Device for Echo {
        fn kind(&self) -> &'static str {
            "echo"
        }
        fn attach(&mut self, _: DeviceContext) {}
        fn read(&mut self, offset: u64, _: u32) -> Result<u64, BusFault> {
            Ok(offset)
        }
        fn write(&mut self, _: u64, _: u32, _: u64) -> Result<(), BusFault> {
            Err(BusFault)
        }
        fn reset(&mut self) {}
        fn save(&self) -> Saved {
            Saved::pack("echo", 1, &())
        }
        fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
            saved.unpack("echo", 1)
        }
    }

    fn region(base: u64, size: u64, offset: u64) -> BusRegion {
        let cell = DeviceCell::attach(Box::new(Echo), "echo", &test_wiring(), &[]);
        BusRegion { name: "echo".into(), base, size, offset, cell }
    }

    #[test]
    fn accesses_find_their_region() {
        let bus = SystemBus::new();
        assert_eq!(bus.add(region(0x2000, 0x100, 0x40)), Ok(()));
        assert_eq!(bus.add(region(0x1000, 0x1000, 0)), Ok(()));
        assert_eq!(bus.read(0x1ff8, 8), Ok(0xff8));
        assert_eq!(bus.read(0x1ffc, 8), Err(BusFault));
        assert_eq!(bus.read(0x20fc, 4), Ok(0x13c));
        assert_eq!(bus.read(0x2100, 1), Err(BusFault));
        assert_eq!(bus.read(0xfff, 1), Err(BusFault));
        assert_eq!(bus.read(u64::MAX, 8), Err(BusFault));
        assert_eq!(bus.write(0x1000, 1, 0), Err(BusFault));
        assert!(bus.remove(0x1000).is_some() && bus.remove(0x1000).is_none());
        assert_eq!(bus.read(0x1000, 1), Err(BusFault));
    }

    #[test]
    fn overlaps_and_wraps_are_refused() {
        let bus = SystemBus::new();
        assert_eq!(bus.add(region(0x1000, 0x1000, 0)), Ok(()));
        for base in [0x801, 0x1000, 0x1fff] {
            assert!(matches!(bus.add(region(base, 0x800, 0)), Err(BusError::Overlap { .. })), "{base:#x}");
        }
        assert!(matches!(bus.add(region(0x5000, 0, 0)), Err(BusError::Range { .. })));
        assert!(matches!(bus.add(region(u64::MAX - 1, 8, 0)), Err(BusError::Range { .. })));
        assert!(matches!(bus.add(region(0x5000, 8, u64::MAX - 1)), Err(BusError::Range { .. })));
    }
}
