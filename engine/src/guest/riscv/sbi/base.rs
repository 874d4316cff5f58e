//! Base extension.

use super::{Answer, Args, Error, is_present, value};
use crate::exec::cpu::Cpu;
use crate::guest::riscv::{Riscv, csr};

/// SBI 2.0.
pub const SPEC_VERSION: u64 = 2 << 24;
/// Implementation number: none is assigned to this one, and no other uses it.
pub const IMPLEMENTATION: u64 = 0x5669_7472;
/// Version of this implementation.
pub const VERSION: u64 = 1;

pub(super) fn call(cpu: &mut Cpu<Riscv>, function: u64, args: &Args) -> Answer {
    let csr = |number| csr::peek(cpu, number).unwrap_or(0);
    value(match function {
        0 => SPEC_VERSION,
        1 => IMPLEMENTATION,
        2 => VERSION,
        3 => is_present(args[0]) as u64,
        4 => csr(0xf11),
        5 => csr(0xf12),
        6 => csr(0xf13),
        _ => return Err(Error::NotSupported),
    })
}
