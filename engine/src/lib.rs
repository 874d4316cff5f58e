//! Guest ISAs, IR, interpreter, code caches and the run loop. `ARCHITECTURE.md` has the plan.
//!
//! The engine knows no device and no board: it sees guest-physical memory, a [`mem::bus::Bus`] for the rest and
//! interrupt lines that are atomics of a hart.

pub mod cache;
pub mod debug;
pub mod exec;
pub mod float;
pub mod guest;
pub mod host;
pub mod interp;
pub mod ir;
pub mod jit;
pub mod mem;
pub mod tier;
pub mod watch;
