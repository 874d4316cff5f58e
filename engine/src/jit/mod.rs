//! Compiled code: the contract between tiers, the memory it lies in, and the compilers.

pub mod abi;
pub mod across;
pub mod arena;
pub mod block;
pub mod emitted;
pub mod find;
pub mod idiom;
mod lower;
pub mod queue;
pub mod record;
pub mod region;
mod seed;
pub mod shape;
pub mod single;
pub mod targets;
pub mod tier2;
pub mod translations;
pub mod wanted;
pub mod ways;
pub mod worker;

#[cfg(test)]
pub(crate) mod testing;
