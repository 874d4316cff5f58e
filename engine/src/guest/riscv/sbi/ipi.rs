//! Inter-processor interrupts: SSIP is a line of the target hart.

use super::{Answer, Args, Error, pmu, targets, value};
use crate::exec::cpu::Cpu;
use crate::guest::riscv::Riscv;
use crate::guest::riscv::csr::bits::SSIP_LINE;

pub(super) fn call(cpu: &mut Cpu<Riscv>, function: u64, args: &Args) -> Answer {
    if function != 0 {
        return Err(Error::NotSupported);
    }
    send(cpu, args[0], args[1])?;
    value(0)
}

/// Raises SSIP on the started harts among those named.
pub(super) fn send(cpu: &mut Cpu<Riscv>, mask: u64, base: u64) -> Result<(), Error> {
    let wanted = targets(cpu, mask, base)?;
    let shared = cpu.shared.clone();
    for hart in shared.harts.iter().filter(|h| wanted(h.id) && h.is_started()) {
        pmu::count(cpu, pmu::Event::IpiSent);
        hart.lines.set(SSIP_LINE, true);
    }
    Ok(())
}
