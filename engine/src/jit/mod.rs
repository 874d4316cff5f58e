//! Compiled code: the contract between tiers, the memory it lies in, and the compilers.

pub mod abi;
pub mod emitted;
mod lower;
pub mod record;
pub mod region;
pub mod tier2;

#[cfg(test)]
mod testing;
