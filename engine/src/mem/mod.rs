//! Guest memory as harts and devices see it: RAM with its code and dirty bits, the bus for the rest, the TLB.
//!
//! All raw pointers into guest RAM live in this folder. What leaves it is a value read, or a [`host::HostRef`] whose
//! lifetime is tied to the [`ram::Memory`] that owns the mapping.

mod bulk;
pub mod bus;
pub mod host;
pub mod large;
pub mod ram;
pub mod tlb;

/// log2 of the base page of every guest that is supported.
pub const PAGE_SHIFT: u32 = 12;
/// Base page size in bytes.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;
/// Mask of the page number.
pub const PAGE_MASK: u64 = !(PAGE_SIZE - 1);
