//! Debug console: bytes between guest memory and the board's firmware console.

use super::{Answer, Args, Error, value};
use crate::exec::cpu::Cpu;
use crate::guest::riscv::Riscv;
use crate::mem::ram::Memory;

/// Bytes that one call moves at most; the caller comes again for the rest.
const AT_ONCE: u64 = 4096;

pub(super) fn call(cpu: &mut Cpu<Riscv>, function: u64, args: &Args) -> Answer {
    match function {
        0 => write(cpu, args),
        1 => read(cpu, args),
        2 => {
            cpu.shared.platform.console_write(&[args[0] as u8]);
            value(0)
        }
        _ => Err(Error::NotSupported),
    }
}

/// The physical address of the buffer in `args`, which must lie in RAM as a whole.
fn buffer(memory: &Memory, args: &Args) -> Result<(u64, usize), Error> {
    let [len, low, high, ..] = *args;
    let inside = |r: &crate::mem::ram::RegionSpec| {
        r.writable && low.checked_sub(r.base).is_some_and(|at| at <= r.len && len <= r.len - at)
    };
    if high != 0 || !memory.regions().iter().any(inside) {
        return Err(Error::InvalidParam);
    }
    Ok((low, len.min(AT_ONCE) as usize))
}

fn write(cpu: &mut Cpu<Riscv>, args: &Args) -> Answer {
    let (at, len) = buffer(&cpu.shared.memory, args)?;
    let mut bytes = vec![0; len];
    if !cpu.shared.memory.read_bytes(at, &mut bytes) {
        return Err(Error::InvalidParam);
    }
    cpu.shared.platform.console_write(&bytes);
    value(len as u64)
}

fn read(cpu: &mut Cpu<Riscv>, args: &Args) -> Answer {
    let (at, len) = buffer(&cpu.shared.memory, args)?;
    let mut bytes = vec![0; len];
    let got = cpu.shared.platform.console_read(&mut bytes).min(len);
    if !cpu.shared.memory.load(at, &bytes[..got]) {
        return Err(Error::InvalidParam);
    }
    value(got as u64)
}
