//! Which traps are counted where, and by which names: exceptions and interrupts by cause (privileged specification, 3.1.15), calls of
//! the built-in SBI by extension.
//!
//! A trap counts when its handler is entered, in whatever mode that runs. Calls that the built-in SBI serves enter none: they are no
//! exceptions here. A legacy call whose hart mask cannot be read counts as a call and raises its exception besides.

use super::csr::bits::*;
use super::sbi::{CALL_NAMES, CALLS};
use crate::exec::traps::SLOTS;
use crate::tier::monitor::{Counter, HartStatus, Split};

/// Slots of interrupts follow those of exceptions.
const INTERRUPTS_AT: usize = 16;
/// Slots of calls follow those.
const CALLS_AT: usize = 32;
const _: () = assert!(CALLS_AT + CALLS <= SLOTS);

/// Exceptions that there are, in the order of [`EXCEPTION_NAMES`].
const EXCEPTIONS: [u64; 14] = [
    CAUSE_FETCH_MISALIGNED,
    CAUSE_FETCH_ACCESS,
    CAUSE_ILLEGAL,
    CAUSE_BREAKPOINT,
    CAUSE_LOAD_MISALIGNED,
    CAUSE_LOAD_ACCESS,
    CAUSE_STORE_MISALIGNED,
    CAUSE_STORE_ACCESS,
    CAUSE_ECALL_U,
    CAUSE_ECALL_S,
    CAUSE_ECALL_M,
    CAUSE_FETCH_PAGE,
    CAUSE_LOAD_PAGE,
    CAUSE_STORE_PAGE,
];

const EXCEPTION_NAMES: [&str; EXCEPTIONS.len()] = [
    "instruction_address_misaligned",
    "instruction_access_fault",
    "illegal_instruction",
    "breakpoint",
    "load_address_misaligned",
    "load_access_fault",
    "store_address_misaligned",
    "store_access_fault",
    "ecall_from_u",
    "ecall_from_s",
    "ecall_from_m",
    "instruction_page_fault",
    "load_page_fault",
    "store_page_fault",
];

/// Interrupts by their numbers, in the order of [`INTERRUPT_NAMES`].
const INTERRUPT_CAUSES: [u64; 6] = [1, 3, 5, 7, 9, 11];

const INTERRUPT_NAMES: [&str; INTERRUPT_CAUSES.len()] = [
    "supervisor_software",
    "machine_software",
    "supervisor_timer",
    "machine_timer",
    "supervisor_external",
    "machine_external",
];

/// Slot of a trap with cause `number`.
#[inline]
pub(super) fn trap_slot(interrupt: bool, number: u64) -> usize {
    if number >= INTERRUPTS_AT as u64 {
        return SLOTS;
    }
    number as usize + if interrupt { INTERRUPTS_AT } else { 0 }
}

/// Slot of an SBI call of this kind.
#[inline]
pub(super) fn call_slot(kind: usize) -> usize {
    CALLS_AT + kind
}

fn part(h: &HartStatus, interrupt: bool, causes: &[u64], n: usize) -> u64 {
    causes.get(n).map_or(0, |cause| h.traps.count(trap_slot(interrupt, *cause)))
}

/// Counters of a RISC-V hart.
pub static COUNTERS: &[Counter<HartStatus>] = &[
    Counter::split(
        "exceptions",
        "exceptions",
        "exceptions taken; calls that the built-in SBI serves are not among them, but in sbi_calls",
        Split { by: "cause", parts: &EXCEPTION_NAMES },
        |h, n| part(h, false, &EXCEPTIONS, n),
    ),
    Counter::split(
        "interrupts",
        "interrupts",
        "interrupts taken",
        Split { by: "cause", parts: &INTERRUPT_NAMES },
        |h, n| part(h, true, &INTERRUPT_CAUSES, n),
    ),
    Counter::split(
        "sbi_calls",
        "calls",
        "calls of the built-in SBI; real firmware serves its own, after an exception",
        Split { by: "extension", parts: &CALL_NAMES },
        |h, n| h.traps.count(call_slot(n)),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::traps::Traps;
    use crate::guest::Exception;
    use crate::guest::riscv::testing::hart;
    use crate::guest::riscv::trap;
    use crate::tier::monitor::Value;

    fn parts(name: &str, traps: Traps) -> Vec<(&'static str, u64)> {
        let counter = COUNTERS.iter().find(|c| c.declared.name == name).expect("declared");
        let Value::Parts(all) = counter.read(&HartStatus { traps, ..HartStatus::default() }) else {
            panic!("{name} has parts")
        };
        let names = counter.declared.split.expect("split").parts;
        names.iter().copied().zip(all).filter(|(_, n)| *n > 0).collect()
    }

    #[test]
    fn each_cause_has_its_own_name_and_slot() {
        assert_eq!(INTERRUPT_CAUSES.iter().fold(0, |all, n| all | 1 << n), INTERRUPTS);
        for (cause, name) in EXCEPTIONS.into_iter().zip(EXCEPTION_NAMES) {
            let mut cpu = hart();
            trap::raise(&mut cpu, Exception { cause, tval: 0 });
            assert_eq!(parts("exceptions", cpu.traps), [(name, 1)]);
            assert!(parts("interrupts", cpu.traps).is_empty() && parts("sbi_calls", cpu.traps).is_empty());
        }
        for (line, name) in INTERRUPT_CAUSES.into_iter().zip(INTERRUPT_NAMES) {
            let mut cpu = hart();
            (cpu.ext.mie, cpu.ext.mstatus) = (INTERRUPTS, MSTATUS_MIE);
            // Of the supervisor's timer and external lines the software halves.
            match line {
                5 | 9 => cpu.ext.mip = 1 << line,
                _ => cpu.hart.lines.set(line as u32, true),
            }
            assert!(trap::poll(&mut cpu), "{name}");
            assert_eq!(parts("interrupts", cpu.traps), [(name, 1)]);
            assert!(parts("exceptions", cpu.traps).is_empty());
        }
    }

    #[test]
    fn causes_that_are_not_there_are_counted_nowhere() {
        assert_eq!((trap_slot(false, 16), trap_slot(true, u64::MAX >> 1)), (SLOTS, SLOTS));
    }
}
