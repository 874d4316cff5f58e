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
use super::tally;
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

/// The extensions by number, with their names in counters; what is not here probes as absent.
const EXTENSIONS: [(u64, &str, Handler); 8] = [
    (0x10, "base", base::call),
    (0x5449_4d45, "time", time::call),
    (0x0073_5049, "ipi", ipi::call),
    (0x5246_4e43, "rfence", rfence::call),
    (0x0048_534d, "hsm", hsm::call),
    (0x5352_5354, "srst", reset::call),
    (0x4442_434e, "dbcn", console::call),
    (0x0050_4d55, "pmu", pmu::call),
];

/// Number of kinds of calls that are counted apart.
pub const CALLS: usize = EXTENSIONS.len() + 2;
/// Number of the legacy calls among them.
const LEGACY: usize = EXTENSIONS.len();
/// Number of calls of extensions that are not there.
const UNKNOWN: usize = LEGACY + 1;

/// Names of kinds of calls.
pub const CALL_NAMES: [&str; CALLS] = {
    let mut names = ["unknown"; CALLS];
    let mut n = 0;
    while n < EXTENSIONS.len() {
        names[n] = EXTENSIONS[n].1;
        n += 1;
    }
    names[LEGACY] = "legacy";
    names
};

/// Where the extension is in the table.
fn find(extension: u64) -> Option<usize> {
    EXTENSIONS.iter().position(|(id, ..)| *id == extension)
}

/// Whether the extension is there.
fn is_present(extension: u64) -> bool {
    extension <= legacy::LAST || find(extension).is_some()
}

/// Serves the call in the hart's registers. Exceptions come from legacy calls that pass virtual addresses.
pub fn call(cpu: &mut Cpu<Riscv>) -> Result<Flow, Exception> {
    let args: Args = std::array::from_fn(|i| cpu.regs[A0 + i]);
    let (function, extension) = (cpu.regs[A0 + 6], cpu.regs[A0 + 7]);
    if extension <= legacy::LAST {
        cpu.traps.add(tally::call_slot(LEGACY));
        return legacy::call(cpu, extension, &args);
    }
    let found = find(extension);
    cpu.traps.add(tally::call_slot(found.unwrap_or(UNKNOWN)));
    let answer = match found.and_then(|n| EXTENSIONS.get(n)) {
        Some((.., handler)) => handler(cpu, function, &args),
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
