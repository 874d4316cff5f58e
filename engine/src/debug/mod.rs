//! Looking for what is wrong: in guests, and in the engine itself.

pub mod lockstep;
