//! Timer extension.

use super::{Answer, Args, Error, pmu, value};
use crate::exec::cpu::Cpu;
use crate::guest::riscv::{Riscv, csr};

pub(super) fn call(cpu: &mut Cpu<Riscv>, function: u64, args: &Args) -> Answer {
    if function != 0 {
        return Err(Error::NotSupported);
    }
    pmu::count(cpu, pmu::Event::SetTimer);
    csr::set_timer(cpu, args[0]);
    value(0)
}
