//! Performance counters: cycles and instructions, and events of the firmware itself.
//!
//! Counters 0 and 1 are `cycle` and `instret`, read by their CSRs; from 2 on there are firmware counters, each of which
//! counts any one event.

use super::{Answer, Args, Error, value};
use crate::exec::cpu::Cpu;
use crate::guest::riscv::Riscv;
use crate::guest::riscv::csr::{self, bits::*};
use serde::{Deserialize, Serialize};

const HARDWARE: u64 = 2;
const FIRMWARE: usize = 16;
const COUNTERS: u64 = HARDWARE + FIRMWARE as u64;
/// CSR numbers of the hardware counters: what S-mode reads, what a write goes to, the bit that inhibits.
const CSRS: [(u16, u16, u32); 2] = [(0xc00, 0xb00, COUNTER_CY), (0xc02, 0xb02, COUNTER_IR)];

/// Firmware events that happen here, by their codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Event {
    /// The timer was set.
    SetTimer = 5,
    /// An IPI was sent.
    IpiSent = 6,
    /// A remote FENCE.I was asked for.
    FenceISent = 8,
    /// One was done.
    FenceIReceived = 9,
    /// A remote SFENCE.VMA was asked for.
    SfenceSent = 10,
    /// One was done.
    SfenceReceived = 11,
    /// A remote SFENCE.VMA with ASID was asked for.
    SfenceAsidSent = 12,
    /// One was done.
    SfenceAsidReceived = 13,
}

const EVENTS: [u8; 8] = [5, 6, 8, 9, 10, 11, 12, 13];

/// A firmware counter.
#[derive(Clone, Copy, Default, PartialEq, Debug, Serialize, Deserialize)]
struct Counter {
    event: Option<u8>,
    running: bool,
    value: u64,
}

/// The counters of a hart.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct PmuState {
    /// Hardware counters that were configured.
    claimed: [bool; HARDWARE as usize],
    firmware: [Counter; FIRMWARE],
}

/// Counts `event` on the counters that run for it.
pub fn count(cpu: &mut Cpu<Riscv>, event: Event) {
    for c in &mut cpu.ext.pmu.firmware {
        if c.running && c.event == Some(event as u8) {
            c.value = c.value.wrapping_add(1);
        }
    }
}

pub(super) fn call(cpu: &mut Cpu<Riscv>, function: u64, args: &Args) -> Answer {
    match function {
        0 => value(COUNTERS),
        1 => info(args[0]),
        2 => configure(cpu, args),
        3 => for_each(args, |i| start(cpu, i, args[2], args[3])),
        4 => for_each(args, |i| stop(cpu, i, args[2])),
        5 => fw_read(cpu, args[0]),
        // The upper half is RV32's.
        6 => fw_read(cpu, args[0]).and_then(|_| value(0)),
        _ => Err(Error::NotSupported),
    }
}

fn info(counter: u64) -> Answer {
    match counter {
        // CSR number, width - 1 in bits 12..18.
        0 | 1 => value(CSRS[counter as usize].0 as u64 | 63 << 12),
        _ if counter < COUNTERS => value(1 << 63),
        _ => Err(Error::InvalidParam),
    }
}

/// The counters that base and mask name; all of them must exist.
fn set_of(args: &Args) -> Result<impl Iterator<Item = u64> + use<>, Error> {
    let [base, mask, ..] = *args;
    let last = base.checked_add(63 - mask.leading_zeros().min(63) as u64);
    if mask == 0 || last.is_none_or(|l| l >= COUNTERS) {
        return Err(Error::InvalidParam);
    }
    Ok((0..64).filter(move |i| mask >> i & 1 != 0).map(move |i| base + i))
}

/// Does `f` for every named counter; the first error is the answer.
fn for_each(args: &Args, mut f: impl FnMut(u64) -> Result<(), Error>) -> Answer {
    let mut first = Ok(());
    for i in set_of(args)? {
        let done = f(i);
        if first.is_ok() {
            first = done;
        }
    }
    first.and_then(|()| value(0))
}

fn configure(cpu: &mut Cpu<Riscv>, args: &Args) -> Answer {
    const SKIP_MATCH: u64 = 1;
    const CLEAR: u64 = 2;
    const AUTO_START: u64 = 4;
    let [_, _, flags, event, ..] = *args;
    let mut named = set_of(args)?;
    let chosen = if flags & SKIP_MATCH != 0 {
        named.next().filter(|i| is_claimed(cpu, *i))
    } else {
        named.find(|i| !is_claimed(cpu, *i) && counts(*i, event))
    };
    let Some(i) = chosen else {
        return Err(if flags & SKIP_MATCH != 0 { Error::InvalidParam } else { Error::NotSupported });
    };
    if flags & SKIP_MATCH == 0 {
        claim(cpu, i, event);
    }
    if flags & CLEAR != 0 {
        set_value(cpu, i, 0);
    }
    if flags & AUTO_START != 0 {
        // Counting already is what was wanted.
        let _ = start(cpu, i, 0, 0);
    }
    value(i)
}

/// Whether counter `i` can count `event` (type in bits 16..20, code below).
fn counts(i: u64, event: u64) -> bool {
    match event {
        1 => i == 0,
        2 => i == 1,
        _ => i >= HARDWARE && event >> 16 == 0xf && EVENTS.iter().any(|e| *e as u64 == event & 0xffff),
    }
}

fn firmware(cpu: &mut Cpu<Riscv>, i: u64) -> Option<&mut Counter> {
    cpu.ext.pmu.firmware.get_mut(i.checked_sub(HARDWARE)? as usize)
}

fn is_claimed(cpu: &mut Cpu<Riscv>, i: u64) -> bool {
    match firmware(cpu, i) {
        Some(c) => c.event.is_some(),
        None => cpu.ext.pmu.claimed.get(i as usize).copied().unwrap_or(false),
    }
}

fn claim(cpu: &mut Cpu<Riscv>, i: u64, event: u64) {
    match firmware(cpu, i) {
        Some(c) => *c = Counter { event: Some(event as u8), ..Counter::default() },
        None => set_claimed(cpu, i, true),
    }
}

fn set_claimed(cpu: &mut Cpu<Riscv>, i: u64, on: bool) {
    if let Some(c) = cpu.ext.pmu.claimed.get_mut(i as usize) {
        *c = on;
    }
}

fn set_value(cpu: &mut Cpu<Riscv>, i: u64, v: u64) {
    match (firmware(cpu, i), CSRS.get(i as usize)) {
        (Some(c), _) => c.value = v,
        (None, Some((_, number, _))) => {
            csr::poke(cpu, *number, v);
        }
        _ => {}
    }
}

/// Starts or stops counter `i`. Whether it ran before.
fn run(cpu: &mut Cpu<Riscv>, i: u64, on: bool) -> bool {
    if let Some(c) = firmware(cpu, i) {
        return std::mem::replace(&mut c.running, on);
    }
    let Some((_, _, bit)) = CSRS.get(i as usize) else { return false };
    let before = cpu.ext.mcountinhibit;
    let after = if on { before & !bit } else { before | bit };
    csr::poke(cpu, 0x320, after as u64);
    before & bit == 0
}

fn start(cpu: &mut Cpu<Riscv>, i: u64, flags: u64, initial: u64) -> Result<(), Error> {
    const SET_VALUE: u64 = 1;
    if flags & !SET_VALUE != 0 || !is_claimed(cpu, i) {
        return Err(Error::InvalidParam);
    }
    if flags & SET_VALUE != 0 {
        set_value(cpu, i, initial);
    }
    if run(cpu, i, true) && i >= HARDWARE { Err(Error::AlreadyStarted) } else { Ok(()) }
}

fn stop(cpu: &mut Cpu<Riscv>, i: u64, flags: u64) -> Result<(), Error> {
    const RESET: u64 = 1;
    let ran = run(cpu, i, false);
    if flags & RESET != 0 {
        match firmware(cpu, i) {
            Some(c) => *c = Counter::default(),
            None => set_claimed(cpu, i, false),
        }
    }
    if ran { Ok(()) } else { Err(Error::AlreadyStopped) }
}

fn fw_read(cpu: &mut Cpu<Riscv>, i: u64) -> Answer {
    match firmware(cpu, i) {
        Some(c) if c.event.is_some() => value(c.value),
        _ => Err(Error::InvalidParam),
    }
}
