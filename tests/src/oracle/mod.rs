//! Differential tests against an independent oracle: programs of our own run whole on QEMU and on Vitrine, and what they print
//! about registers, flags, CSRs, traps and memory must be the same.

pub mod asm;
pub mod cases;
pub mod diff;
pub mod elf;
pub mod encode;
pub mod isa;
pub mod known;
pub mod ours;
pub mod qemu;
pub mod random;
pub mod runner;
pub mod values;
