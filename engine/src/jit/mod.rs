//! Compiled code: the contract between tiers, the memory it lies in, and the compilers.

pub mod abi;
pub mod arena;
pub mod emitted;
pub mod record;
pub mod translations;
