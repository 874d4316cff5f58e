//! Compiled code: the contract between tiers, the memory it lies in, and the compilers.

pub mod abi;
pub mod arena;
pub mod block;
pub mod emitted;
pub mod queue;
pub mod record;
pub mod translations;
