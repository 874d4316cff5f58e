//! All tiers against the interpreter, on random programs: see [`random`].

pub mod random;
mod side;

pub use side::Bench;
