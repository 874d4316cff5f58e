//! What a look-up gives: a symbol, a place in one, and how a source's addresses lie in physical memory.

use super::table::Kind;
use std::fmt;
use std::ops::Range;

/// A symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Symbol<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it begins, virtual.
    pub address: u64,
    /// How many bytes it has; 0 if nobody knows.
    pub size: u64,
    /// What it is.
    pub kind: Kind,
    /// The module that it is part of; empty if of none.
    pub module: &'a str,
    /// Where that is known from.
    pub source: &'a str,
}

/// A place in a symbol, shown as `name+0x1c`, and with its module as the kernel does: `name+0x1c [module]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place<'a> {
    /// The symbol.
    pub symbol: Symbol<'a>,
    /// Bytes from its beginning.
    pub offset: u64,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol.name)?;
        if self.offset != 0 {
            write!(f, "+{:#x}", self.offset)?;
        }
        if !self.symbol.module.is_empty() {
            write!(f, " [{}]", self.symbol.module)?;
        }
        Ok(())
    }
}

/// A piece of virtual addresses that lies in one piece in physical memory, as a kernel's image does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placement {
    start: u64,
    end: u64,
    /// What is added to a virtual address, modulo 2⁶⁴.
    delta: u64,
}

impl Placement {
    /// The virtual addresses `range` begin at physical address `at`.
    pub fn new(range: Range<u64>, at: u64) -> Placement {
        Placement { start: range.start, end: range.end, delta: at.wrapping_sub(range.start) }
    }

    /// The virtual addresses.
    pub fn range(&self) -> Range<u64> {
        self.start..self.end
    }

    /// The virtual address of a physical one, if it is of this piece.
    pub fn to_virtual(&self, physical: u64) -> Option<u64> {
        let address = physical.wrapping_sub(self.delta);
        self.range().contains(&address).then_some(address)
    }

    /// The physical address of a virtual one, if it is of this piece.
    pub fn to_physical(&self, address: u64) -> Option<u64> {
        self.range().contains(&address).then(|| address.wrapping_add(self.delta))
    }
}
