//! System reset.

use super::{Answer, Args, Error, Reply};
use crate::exec::cpu::{Cpu, MachineEvent};
use crate::guest::Flow;
use crate::guest::riscv::Riscv;

const SHUTDOWN: u64 = 0;
const COLD_REBOOT: u64 = 1;
const WARM_REBOOT: u64 = 2;
const REASON_NONE: u64 = 0;
const REASON_FAILURE: u64 = 1;

pub(super) fn call(cpu: &mut Cpu<Riscv>, function: u64, args: &Args) -> Answer {
    if function != 0 {
        return Err(Error::NotSupported);
    }
    let [kind, reason, ..] = *args;
    // From 0xe000_0000 reasons belong to implementation and vendor; they are taken as no particular one.
    if !matches!(reason, REASON_NONE | REASON_FAILURE | 0xe000_0000..=0xffff_ffff) {
        return Err(Error::InvalidParam);
    }
    let event = match kind {
        SHUTDOWN => MachineEvent::PowerOff((reason == REASON_FAILURE) as u32),
        COLD_REBOOT | WARM_REBOOT => MachineEvent::Reboot,
        0xf000_0000..=0xffff_ffff => return Err(Error::NotSupported),
        _ => return Err(Error::InvalidParam),
    };
    cpu.shared.platform.event(event);
    Ok(Reply::After(Flow::Park))
}
