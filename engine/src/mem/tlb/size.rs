//! What mapping a page was found in.

use crate::mem::PAGE_SHIFT;

/// log2 of the size of a mapping, and whether the mapping is global, in a byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Size(u8);

const GLOBAL: u8 = 0x80;

impl Size {
    /// A page that is not global.
    pub const PAGE: Size = Size(PAGE_SHIFT as u8);

    /// A mapping of `1 << log2` bytes.
    pub fn new(log2: u8, global: bool) -> Size {
        Size(log2.clamp(PAGE_SHIFT as u8, 63) | if global { GLOBAL } else { 0 })
    }

    /// From [`Size::bits`].
    pub fn from_bits(bits: u64) -> Size {
        Size(bits as u8)
    }

    /// Eight bits.
    pub fn bits(self) -> u64 {
        self.0 as u64
    }

    /// log2 of the size.
    pub fn log2(self) -> u32 {
        (self.0 & 0x3f) as u32
    }

    /// Larger than a page.
    pub fn is_large(self) -> bool {
        self.log2() > PAGE_SHIFT
    }

    /// Exists in all address spaces.
    pub fn is_global(self) -> bool {
        self.0 & GLOBAL != 0
    }

    /// Whether a mapping of this size that covers `page` covers `va` too.
    pub fn covers(self, page: u64, va: u64) -> bool {
        (page ^ va) >> self.log2() == 0
    }
}
