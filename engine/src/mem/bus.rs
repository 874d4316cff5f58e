//! What the engine sees of everything that is not RAM.

/// A device, or nothing, refused an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BusFault;

/// Physical accesses outside RAM. Implementations lock the one device that is addressed and nothing else.
pub trait Bus: Send + Sync {
    /// Reads `size` (1, 2, 4 or 8) bytes at physical address `pa`, zero-extended.
    fn read(&self, pa: u64, size: u32) -> Result<u64, BusFault>;
    /// Writes the low `size` bytes of `value`.
    fn write(&self, pa: u64, size: u32, value: u64) -> Result<(), BusFault>;
}

/// A bus without devices.
pub struct NoBus;

impl Bus for NoBus {
    fn read(&self, _: u64, _: u32) -> Result<u64, BusFault> {
        Err(BusFault)
    }
    fn write(&self, _: u64, _: u32, _: u64) -> Result<(), BusFault> {
        Err(BusFault)
    }
}
