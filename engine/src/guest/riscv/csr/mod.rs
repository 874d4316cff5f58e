//! CSRs: one table says which there are, who may touch them and what reading and writing does (privileged specification,
//! chapter 2).
//!
//! Privilege and read-only are in the number itself: bits 9:8 are the lowest mode, bits 11:10 equal to 3 mean read-only.
//! Everything else is in [`TABLE`]. Writes get the merged new value and the mask of bits that the instruction meant to
//! write, for registers whose bits others change at the same time (`mip`).

pub mod bits;
mod counter;
mod env;
mod float;
mod interrupt;
mod moves;
mod pmpregs;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod trapregs;

pub use counter::{NS_PER_TICK, set_timer, ticks};
pub use interrupt::{pending, pending_at_poll, timer_drives, update_timer};
pub use moves::state_moves;
pub use status::write_mstatus;
pub use table::TABLE;

use super::Riscv;
use super::model::Model;
use super::state::Mode;
use super::trap::illegal;
use crate::exec::cpu::Cpu;
use crate::guest::Exception;

/// A CSR, or `count` of a kind with consecutive numbers.
pub struct Csr {
    /// Number of the first.
    pub number: u16,
    /// How many.
    pub count: u16,
    /// Name; of a group, without the number that follows.
    pub name: &'static str,
    /// What the first of a group is numbered in its name.
    first: u16,
    exists: fn(&Model) -> bool,
    /// Conditions of the hart's state beyond the privilege mode.
    allowed: fn(&Cpu<Riscv>, u16) -> bool,
    /// Reads; the argument is the place in the group.
    read: fn(&Cpu<Riscv>, u16) -> u64,
    /// Writes (place in the group, merged value, mask of written bits).
    write: fn(&mut Cpu<Riscv>, u16, u64, u64),
}

/// Place in [`TABLE`] plus one of every CSR number; 0 is none.
static PLACES: [u8; 4096] = places();

const fn places() -> [u8; 4096] {
    let mut out = [0; 4096];
    let mut i = 0;
    while i < TABLE.len() {
        let mut n = 0;
        while n < TABLE[i].count {
            out[(TABLE[i].number + n) as usize] = i as u8 + 1;
            n += 1;
        }
        i += 1;
    }
    out
}

/// The table entry of CSR `number`, and its place in the entry's group.
pub fn find(number: u16) -> Option<(&'static Csr, u16)> {
    let place = *PLACES.get(number as usize)?;
    let csr = TABLE.get((place as usize).checked_sub(1)?)?;
    Some((csr, number - csr.number))
}

/// The name of CSR `number`, if there is such a CSR in any model.
pub fn name(number: u16) -> Option<String> {
    let (csr, i) = find(number)?;
    Some(if csr.count == 1 { csr.name.to_string() } else { format!("{}{}", csr.name, csr.first + i) })
}

/// Reads CSR `number` for a debugger: no privilege check. `None` if the model does not have it.
pub fn peek(cpu: &Cpu<Riscv>, number: u16) -> Option<u64> {
    let (csr, i) = find(number)?;
    (csr.exists)(&cpu.shared.model).then(|| (csr.read)(cpu, i))
}

/// Writes CSR `number` for a debugger, with the effects and limits of a write by the guest. False if it cannot be written.
pub fn poke(cpu: &mut Cpu<Riscv>, number: u16, value: u64) -> bool {
    let Some((csr, i)) = find(number) else { return false };
    if number >> 10 == 3 || !(csr.exists)(&cpu.shared.model) {
        return false;
    }
    (csr.write)(cpu, i, value, u64::MAX);
    true
}

fn may_access(cpu: &Cpu<Riscv>, csr: &Csr, place: u16, number: u16, write: bool) -> bool {
    let lowest = number >> 8 & 3;
    let read_only = number >> 10 == 3;
    lowest <= cpu.ext.mode as u16
        && !(write && read_only)
        && (csr.exists)(&cpu.shared.model)
        && (cpu.ext.mode == Mode::Machine && lowest != 0 || (csr.allowed)(cpu, place))
}

/// Whether the Zicsr instruction `insn` may let an interrupt through, as far as anybody looks behind it: by enabling it, by
/// raising it or by delegating it. Not behind moves, which compilers do inline.
pub fn may_unmask(insn: u32) -> bool {
    let number = insn >> 20;
    matches!(number, 0x100 | 0x104 | 0x144 | 0x14d | 0x300 | 0x303 | 0x304 | 0x344)
        && !moves::only_clears_sie(insn)
}

/// Executes the Zicsr instruction `insn`, whose register operand reads as `operand`. Returns the old value.
pub fn execute(cpu: &mut Cpu<Riscv>, insn: u32, operand: u64) -> Result<u64, Exception> {
    let number = (insn >> 20) as u16;
    let rs1 = insn >> 15 & 31;
    let source = if insn & 1 << 14 != 0 { rs1 as u64 } else { operand };
    let mask = match insn >> 12 & 3 {
        1 => Some(u64::MAX),
        _ if rs1 == 0 => None,
        _ => Some(source),
    };
    let Some((csr, place)) = find(number) else { return Err(illegal(insn)) };
    if !may_access(cpu, csr, place, number, mask.is_some()) {
        return Err(illegal(insn));
    }
    let old = (csr.read)(cpu, place);
    if let Some(mask) = mask {
        let bits = if insn >> 12 & 3 == 3 { 0 } else { source };
        (csr.write)(cpu, place, old & !mask | bits & mask, mask);
    }
    Ok(old)
}
