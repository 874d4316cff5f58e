//! The built-in SBI: what OpenSBI does for a kernel in S-mode, without M-mode (SBI specification 2.0).
//!
//! A call is `ecall` in S-mode with the extension in a7 and the function in a6; the answer is an error in a0 and a value in
//! a1. M-mode is never entered: everything that traps is delegated, see [`hand_over`].

pub mod base;
mod console;
mod error;
mod hsm;
mod ipi;
mod legacy;
pub mod pmu;
mod reset;
mod rfence;
mod start;
#[cfg(test)]
mod tests;
mod time;

pub use error::Error;
pub use hsm::{restored, started, woken};
pub use start::hand_over;

use super::Riscv;
use crate::exec::cpu::Cpu;
use crate::guest::{Exception, Flow};

/// Register-file word of a0.
const A0: usize = 10;

/// What a call that succeeds does.
enum Reply {
    /// Returns this value.
    Value(u64),
    /// Returns 0, after this.
    After(Flow),
    /// Does not return: registers and pc are those of where the hart goes on, after this.
    Elsewhere(Flow),
}

type Answer = Result<Reply, Error>;

fn value(v: u64) -> Answer {
    Ok(Reply::Value(v))
}

/// Arguments a0 to a5.
type Args = [u64; 6];

type Handler = fn(&mut Cpu<Riscv>, u64, &Args) -> Answer;

/// The extensions by number; what is not here probes as absent.
const EXTENSIONS: &[(u64, Handler)] = &[
    (0x10, base::call),
    (0x5449_4d45, time::call),
    (0x0073_5049, ipi::call),
    (0x5246_4e43, rfence::call),
    (0x0048_534d, hsm::call),
    (0x5352_5354, reset::call),
    (0x4442_434e, console::call),
    (0x0050_4d55, pmu::call),
];

fn handler(extension: u64) -> Option<Handler> {
    EXTENSIONS.iter().find(|(id, _)| *id == extension).map(|(_, h)| *h)
}

/// Whether the extension is there.
fn is_present(extension: u64) -> bool {
    extension <= legacy::LAST || handler(extension).is_some()
}

/// Serves the call in the hart's registers. Exceptions come from legacy calls that pass virtual addresses.
pub fn call(cpu: &mut Cpu<Riscv>) -> Result<Flow, Exception> {
    let args: Args = std::array::from_fn(|i| cpu.regs[A0 + i]);
    let (function, extension) = (cpu.regs[A0 + 6], cpu.regs[A0 + 7]);
    if extension <= legacy::LAST {
        return legacy::call(cpu, extension, &args);
    }
    let answer = match handler(extension) {
        Some(h) => h(cpu, function, &args),
        None => Err(Error::NotSupported),
    };
    let (error, v, flow) = match answer {
        Ok(Reply::Value(v)) => (0, v, Flow::Continue),
        Ok(Reply::After(flow)) => (0, 0, flow),
        Ok(Reply::Elsewhere(flow)) => return Ok(flow),
        Err(e) => (e as i64 as u64, 0, Flow::Continue),
    };
    cpu.regs[A0] = error;
    cpu.regs[A0 + 1] = v;
    Ok(flow)
}

/// The harts that a mask and its base name: `u64::MAX` as base means all. An error if one of them does not exist.
fn targets(cpu: &Cpu<Riscv>, mask: u64, base: u64) -> Result<impl Fn(u32) -> bool + use<>, Error> {
    let count = cpu.shared.harts.len() as u64;
    let all = base == u64::MAX;
    if !all && mask != 0 {
        let last = base.checked_add(63 - mask.leading_zeros() as u64);
        if last.is_none_or(|l| l >= count) {
            return Err(Error::InvalidParam);
        }
    }
    Ok(move |id: u32| {
        all || (id as u64).checked_sub(base).is_some_and(|bit| bit < 64 && mask >> bit & 1 != 0)
    })
}
