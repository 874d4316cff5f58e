//! Legacy extensions 0 to 8: the answer is in a0 alone, and hart masks are passed by virtual address.

use super::{A0, Args, Error, ipi, rfence};
use crate::exec::cpu::{Cpu, MachineEvent};
use crate::guest::riscv::Riscv;
use crate::guest::riscv::csr::{self, bits::SSIP_LINE};
use crate::guest::riscv::system::Remote;
use crate::guest::{Exception, Flow};
use crate::ir::op::MemFlags;

/// The last of them.
pub const LAST: u64 = 8;

pub(super) fn call(cpu: &mut Cpu<Riscv>, extension: u64, args: &Args) -> Result<Flow, Exception> {
    let mut flow = Flow::Continue;
    let mut answer = 0;
    let done = match extension {
        0 => {
            csr::set_timer(cpu, args[0]);
            Ok(())
        }
        1 => {
            cpu.shared.platform.console_write(&[args[0] as u8]);
            Ok(())
        }
        2 => {
            let mut byte = [0];
            let got = cpu.shared.platform.console_read(&mut byte);
            answer = if got == 0 { u64::MAX } else { byte[0] as u64 };
            Ok(())
        }
        3 => {
            cpu.hart.lines.set(SSIP_LINE, false);
            Ok(())
        }
        4 => {
            let (mask, base) = harts(cpu, args[0])?;
            ipi::send(cpu, mask, base)
        }
        5 => {
            let (mask, base) = harts(cpu, args[0])?;
            rfence::send(cpu, mask, base, Remote::FenceI)
        }
        6 | 7 => {
            let (mask, base) = harts(cpu, args[0])?;
            let asid = (extension == 7).then_some(args[3] as u16);
            rfence::range(args[1], args[2], asid).and_then(|r| rfence::send(cpu, mask, base, r))
        }
        8 => {
            cpu.shared.platform.event(MachineEvent::PowerOff(0));
            flow = Flow::Park;
            Ok(())
        }
        _ => Err(Error::NotSupported),
    };
    cpu.regs[A0] = match done {
        Ok(()) => answer,
        Err(e) => e as i64 as u64,
    };
    Ok(flow)
}

/// Mask and base of the harts named by the mask at `va`; no address means all.
fn harts(cpu: &mut Cpu<Riscv>, va: u64) -> Result<(u64, u64), Exception> {
    if va == 0 {
        return Ok((0, u64::MAX));
    }
    let mask = cpu.load(va, MemFlags::plain(3))?;
    Ok((mask, 0))
}
