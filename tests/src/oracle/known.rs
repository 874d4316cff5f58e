//! Where QEMU's behaviour is not a fact about RISC-V, because the specification leaves freedom or QEMU departs from it: what is
//! not compared, and why. What the specification does pin down of these is checked on Vitrine alone, see `cases::pinned`.

use super::encode::csr;

/// Behaviour left out of the comparison, and the reason.
pub const NOT_COMPARED: &[(&str, &str)] = &[
    (
        "cause of a misaligned AMO",
        "QEMU raises load address misaligned (4); the specification says store/AMO (6), as Vitrine does",
    ),
    (
        "misaligned SC without a reservation there",
        "QEMU fails it before it looks at the alignment; the specification demands the exception",
    ),
    (
        "SC of another width than its LR, or after a store to the reserved bytes by the same hart",
        "may succeed or fail",
    ),
    (
        "mtval of an illegal CBO or MRET",
        "QEMU reports 0 or the word of an earlier exception; either zero or the instruction is allowed",
    ),
    (
        "SFENCE.W.INVAL and SFENCE.INVAL.IR in U-mode",
        "QEMU executes them; Svinval makes them illegal, as Vitrine does",
    ),
    (
        "AMOs on pages that can be read and not written, or that have no memory behind them",
        "QEMU's AMO is a load, which may fault or set A, and then a store; the specification translates once, for writing",
    ),
    (
        "two interrupts for the same mode at once",
        "QEMU without AIA takes the lowest number first, the specification external, software, timer, M before S",
    ),
    (
        "A and D of entries with a reserved NAPOT pattern",
        "QEMU sets them and then faults; the specification faults first, as Vitrine does",
    ),
    (
        "entries with the reserved memory type 3",
        "QEMU accepts them with Svpbmt on; the specification reserves them, and Vitrine faults",
    ),
    (
        "CBO instructions on a cache block that a PMP region covers in part",
        "QEMU checks one byte of the block, Vitrine all of it, of which the specification speaks",
    ),
    (
        "AMOCAS into x0 in the middle of a block; flags of Zfa instructions whose result is overwritten in the block",
        "QEMU's optimiser gets them wrong; random programs run on it with one instruction a block, where it gets them right",
    ),
    (
        "an illegal WFI in the last word of a page, in random programs",
        "QEMU reports a pc in the next page; illegal WFIs are compared alone",
    ),
    ("WFI where it may wait, WRS.NTO with TW", "the time limit is the implementation's"),
    (
        "mstatus.FS between initial, clean and dirty after traps",
        "an implementation may report dirty more often than needed",
    ),
    ("values of cycle, time, instret and hardware counters", "not architectural"),
];

/// CSR numbers (first, last) left out, and the reason.
pub const EXCLUDED_CSRS: &[(u32, u32, &str)] = &[(
    0x7a0,
    0x7af,
    "debug triggers: a hart may have none by reading zero (Vitrine) or by having no such CSRs (QEMU without them)",
)];

/// CSRs that are not even written with no bits set, and the reason.
pub const EXCLUDED_WRITES: &[(u32, u32, &str)] =
    &[(csr::MTVEC, csr::MTVEC, "the test runner's own trap vector")];

/// Whether CSR `c` is left out.
pub fn csr_excluded(c: u32) -> bool {
    EXCLUDED_CSRS.iter().any(|(first, last, _)| (*first..=*last).contains(&c))
}

/// Whether CSR `c` is only read.
pub fn write_excluded(c: u32) -> bool {
    EXCLUDED_WRITES.iter().any(|(first, last, _)| (*first..=*last).contains(&c))
}

/// `mstatus.UXL`: QEMU can switch U-mode to 32 bits, Vitrine's is fixed at 64; both are allowed.
const UXL: u64 = 3 << 32;
const UXL_64: u64 = 2 << 32;
/// Exceptions that both can delegate: QEMU keeps the bits of calls from VS- and M-mode too, the specification makes the latter
/// read-only zero.
pub const EXCEPTIONS: u64 = 0xb3ff;
/// S-mode's interrupts; QEMU has bits of the hypervisor extension even without it.
pub const S_INTERRUPTS: u64 = 0x222;
/// Interrupts of M- and S-mode.
pub const INTERRUPTS: u64 = 0xaaa;
/// The reserved value 2 of `CBIE`: QEMU keeps it.
const CBIE_HIGH: u64 = 0x20;
const CBIE: u64 = 0x30;

/// `menvcfg.CDE` of Smcdeleg, which neither has: QEMU keeps it.
const CDE: u64 = 1 << 60;

/// A CSR whose kept bits are compared.
pub struct Kept {
    /// Number.
    pub csr: u32,
    /// Name.
    pub name: &'static str,
    /// Bits that patterns may set.
    pub mask: u64,
    /// Bits always set.
    pub fixed: u64,
}

const fn kept(csr: u32, name: &'static str, mask: u64, fixed: u64) -> Kept {
    Kept { csr, name, mask, fixed }
}

/// Masks leave out what the specification leaves open (reserved values of WARL fields) and what would end the run.
pub const KEPT: &[Kept] = &[
    kept(csr::MSTATUS, "mstatus", !UXL, UXL_64),
    kept(csr::SSTATUS, "sstatus", !UXL, UXL_64),
    kept(csr::MISA, "misa", u64::MAX, 0),
    kept(csr::MEDELEG, "medeleg", EXCEPTIONS, 0),
    kept(csr::MIDELEG, "mideleg", S_INTERRUPTS, 0),
    kept(csr::MIE, "mie", INTERRUPTS, 0),
    kept(csr::MTVEC, "mtvec", !2, 0),
    kept(csr::STVEC, "stvec", !2, 0),
    // QEMU keeps bit 0, which is always zero.
    kept(csr::MEPC, "mepc", !1, 0),
    kept(csr::SEPC, "sepc", !1, 0),
    kept(csr::MTVAL, "mtval", u64::MAX, 0),
    kept(csr::STVAL, "stval", u64::MAX, 0),
    kept(csr::MENVCFG, "menvcfg", !CBIE_HIGH & !CDE, 0),
    kept(csr::MENVCFG, "menvcfg, CBIE 3", !CDE, CBIE),
    kept(csr::SENVCFG, "senvcfg", !CBIE_HIGH, 0),
    kept(csr::SENVCFG, "senvcfg, CBIE 3", u64::MAX, CBIE),
    kept(csr::MCOUNTEREN, "mcounteren", 0xffff_ffff, 0),
    kept(csr::SCOUNTEREN, "scounteren", 0xffff_ffff, 0),
    kept(csr::SATP, "satp", u64::MAX, 0),
    // QEMU keeps all 64 bits; there are 54.
    kept(csr::PMPADDR0, "pmpaddr0", (1 << 54) - 1, 0),
];
