//! Compiled code: the contract between tiers, the memory it lies in, and the compilers.

pub mod abi;
pub mod block;
pub mod emitted;
pub mod record;
