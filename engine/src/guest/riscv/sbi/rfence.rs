//! Remote fences: done here and by request on the other harts before the call returns.

use super::pmu::Event;
use super::{Answer, Args, Error, pmu, targets, value};
use crate::exec::cpu::Cpu;
use crate::exec::hart::Request;
use crate::guest::Guest;
use crate::guest::riscv::Riscv;
use crate::guest::riscv::system::Remote;

pub(super) fn call(cpu: &mut Cpu<Riscv>, function: u64, args: &Args) -> Answer {
    let [mask, base, start, size, asid, _] = *args;
    let (event, remote) = match function {
        0 => (Event::FenceISent, Remote::FenceI),
        1 => (Event::SfenceSent, range(start, size, None)?),
        2 => (Event::SfenceAsidSent, range(start, size, Some(asid as u16))?),
        // 3 to 6 are the hypervisor's.
        _ => return Err(Error::NotSupported),
    };
    pmu::count(cpu, event);
    send(cpu, mask, base, remote)?;
    value(0)
}

/// Both 0, or a size of all ones, mean the whole address space.
pub(super) fn range(start: u64, size: u64, asid: Option<u16>) -> Result<Remote, Error> {
    if start == 0 && size == 0 || size == u64::MAX {
        return Ok(Remote::Sfence { first: 0, last: u64::MAX, asid });
    }
    match start.checked_add(size) {
        Some(end) => Ok(Remote::Sfence { first: start, last: end.saturating_sub(1).max(start), asid }),
        None => Err(Error::InvalidAddress),
    }
}

/// Runs `remote` on the started harts among those named.
pub(super) fn send(cpu: &mut Cpu<Riscv>, mask: u64, base: u64, remote: Remote) -> Result<(), Error> {
    let wanted = targets(cpu, mask, base)?;
    if wanted(cpu.hart.id) {
        Riscv::remote(cpu, remote.clone());
    }
    let shared = cpu.shared.clone();
    let started = |id: u32| shared.harts.get(id as usize).is_some_and(|h| h.is_started());
    cpu.ask_others(|id| wanted(id) && started(id), &Request::Guest(remote));
    Ok(())
}
