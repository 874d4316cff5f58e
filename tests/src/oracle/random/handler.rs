//! The fixed part of a random program: boot, the trap handlers of M- and S-mode, checkpoints and the final dump.
//!
//! Handlers mix cause, value, pc and status of every trap into a hash and go on behind the instruction. Calls of the body are an
//! `ecall` with a `lui x0` behind it that says what for, so that no register is spent.

use super::layout::*;
use crate::oracle::asm::{Asm, Label, power_off, put_hex};
use crate::oracle::elf::ENTRY;
use crate::oracle::encode::{self as e, csr};
use crate::oracle::known;

/// Calls of the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// Hash everything.
    Checkpoint = 1,
    /// Go on in M-mode.
    Machine = 2,
    /// Print and power off.
    Finish = 3,
}

/// Emits a call.
pub fn call(a: &mut Asm, what: Call) {
    a.ws(&[e::ECALL, e::u(0x37, 0, what as u32)]);
}

const SUPER_SAVE: i32 = 0x200;
const STATE: u64 = WORK + 0x400;
/// How often the program has come to its end.
pub const TURNS: u64 = STATE + 0x20;
const FLOATS: u64 = WORK + 0x600;
/// The CLINT's software interrupt of hart 0.
pub const MSIP: u64 = 0x200_0000;
/// The CLINT's timer of hart 0, and its clock.
const MTIMECMP: u64 = 0x200_4000;
const MTIME: u64 = 0x200_bff8;
const K: u64 = 0x9e37_79b9_7f4a_7c15;
const FS: u64 = 3 << 13;
/// Printed before a trap in verbose runs.
pub const TRAP_MARK: u64 = 0x7a90_0000_0000_0000;
/// Printed before a dump.
pub const DUMP_MARK: u64 = 0xd0_0000_0000_0000;

/// CSRs of a checkpoint with the bits that count, `mstatus` apart.
pub const CSRS: &[(u32, u64, &str)] = &[
    (csr::MEDELEG, known::EXCEPTIONS, "medeleg"),
    (csr::MIDELEG, known::S_INTERRUPTS, "mideleg"),
    (csr::MIE, known::INTERRUPTS, "mie"),
    // Timers and outside interrupts depend on the host.
    (csr::MIP, 0xa, "mip"),
    (csr::SEPC, u64::MAX, "sepc"),
    (csr::SCAUSE, u64::MAX, "scause"),
    (csr::STVAL, u64::MAX, "stval"),
    (csr::STVEC, u64::MAX, "stvec"),
    (csr::SATP, u64::MAX, "satp"),
    (csr::MENVCFG, u64::MAX, "menvcfg"),
    (csr::SENVCFG, u64::MAX, "senvcfg"),
    (csr::MCOUNTEREN, 0xffff_ffff, "mcounteren"),
    (csr::SCOUNTEREN, 0xffff_ffff, "scounteren"),
    (csr::PMPCFG0, u64::MAX, "pmpcfg0"),
    (csr::PMPADDR0, u64::MAX, "pmpaddr0"),
    (csr::PMPADDR0 + 1, u64::MAX, "pmpaddr1"),
];

/// Names of the words of a dump.
pub fn dump_words() -> Vec<String> {
    let x = (1..32).map(|k| format!("x{k}"));
    let f = (0..32).map(|k| format!("f{k}"));
    let c = CSRS.iter().map(|c| c.2.to_owned());
    x.chain(f).chain(["fcsr".to_owned(), "mstatus".to_owned()]).chain(c).collect()
}

/// Bits of `mstatus` that count: not SD and FS.
const STATUS_MASK: u64 = !(1 << 63 | FS);

// Registers of the handlers; everything is saved.
const CAUSE: u32 = 8;
const TVAL: u32 = 9;
const EPC: u32 = 18;
const STATUS: u32 = 19;
const SP: u32 = 20;
const MUL: u32 = 21;
const HASH: u32 = 22;
const PA: u32 = 23;
const SAVE: u32 = 31;

#[derive(Clone, Copy)]
struct Level {
    scratch: u32,
    cause: u32,
    tval: u32,
    epc: u32,
    status: u32,
    ip: u32,
    ret: u32,
}

const MACHINE: Level = Level {
    scratch: csr::MSCRATCH,
    cause: csr::MCAUSE,
    tval: csr::MTVAL,
    epc: csr::MEPC,
    status: csr::MSTATUS,
    ip: csr::MIP,
    ret: e::MRET,
};
const SUPERVISOR: Level = Level {
    scratch: csr::SSCRATCH,
    cause: csr::SCAUSE,
    tval: csr::STVAL,
    epc: csr::SEPC,
    status: csr::SSTATUS,
    ip: csr::SIP,
    ret: e::SRET,
};

/// How much a run tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Detail {
    /// Number of a checkpoint: it, the one before and what traps between are printed.
    pub verbose: Option<u64>,
    /// Checkpoints hash memory and page tables too, and at the end every word of them that is not zero is printed.
    pub deep: bool,
}

/// The fixed code.
pub fn code(detail: Detail, timer: Option<u32>) -> Vec<u8> {
    let mut a = Asm::new(ENTRY);
    let start = a.label();
    a.jal(0, start);
    let hex = put_hex(&mut a);
    let finish = a.label();
    let supervisor = handler(&mut a, SUPERVISOR, hex, finish, None);
    let machine = handler(&mut a, MACHINE, hex, finish, timer);
    final_dump(&mut a, hex, finish);
    a.bind(start);
    let mut set = |c: u32, value: u64| {
        a.li(5, value);
        a.w(e::csrw(c, 5));
    };
    set(csr::MSTATUS, FS);
    set(csr::PMPADDR0 + 7, (1 << 54) - 1);
    set(csr::PMPCFG0, 0x1f << 56);
    set(csr::MEDELEG, 0);
    set(csr::MIDELEG, known::S_INTERRUPTS);
    set(csr::MIE, if timer.is_some() { 1 << 7 } else { 0 });
    set(csr::MSCRATCH, WORK);
    set(csr::SSCRATCH, WORK + SUPER_SAVE as u64);
    set(csr::SATP, 0);
    set(csr::SEPC, 0);
    set(csr::SCAUSE, 0);
    set(csr::STVAL, 0);
    set(csr::FCSR, 0);
    // CBO instructions on in all modes.
    set(csr::MENVCFG, 0xd0);
    set(csr::SENVCFG, 0xd0);
    set(csr::MCOUNTEREN, 0);
    set(csr::SCOUNTEREN, 0);
    a.la(5, machine);
    a.w(e::csrw(csr::MTVEC, 5));
    a.la(5, supervisor);
    a.w(e::csrw(csr::STVEC, 5));
    a.li(5, STATE);
    a.li(6, detail.verbose.unwrap_or(u64::MAX));
    a.ws(&[
        e::sd(0, 5, 0),
        e::sd(0, 5, 8),
        e::sd(6, 5, 16),
        e::addi(6, 0, detail.deep as i32),
        e::sd(6, 5, 24),
    ]);
    a.w(e::sd(0, 5, (TURNS - STATE) as i32));
    timer.inspect(|ticks| set_timer(&mut a, *ticks));
    for f in 0..32 {
        a.w(e::fmv_d_x(f, 0));
    }
    a.li(31, BODY);
    for x in 1..31 {
        a.w(e::addi(x, 0, 0));
    }
    a.w(e::jalr(0, 31, 0));
    a.finish()
}

/// hash = (hash ^ x) * K, high half over low half. Destroys x6.
fn mix(a: &mut Asm, x: u32) {
    a.ws(&[e::xor(HASH, HASH, x), e::mul(HASH, HASH, MUL), e::srli(6, HASH, 32), e::xor(HASH, HASH, 6)]);
}

fn print(a: &mut Asm, hex: Label, x: u32) {
    a.w(e::addi(10, x, 0));
    a.jal(5, hex);
}

fn handler(a: &mut Asm, l: Level, hex: Label, finish: Label, timer: Option<u32>) -> Label {
    let is_machine = l.ret == e::MRET;
    let exit = a.label();
    let interrupt = a.label();
    let calls = a.label();
    a.align(4);
    let entry = a.mark();
    a.w(e::csrrw(SAVE, l.scratch, SAVE));
    for k in 1..31 {
        a.w(e::sd(k, SAVE, 8 * k as i32));
    }
    a.ws(&[e::csrr(5, l.scratch), e::sd(5, SAVE, 8 * 31), e::csrw(l.scratch, SAVE)]);
    a.ws(&[e::csrr(CAUSE, l.cause), e::csrr(TVAL, l.tval), e::csrr(EPC, l.epc), e::csrr(STATUS, l.status)]);
    a.li(SP, STATE);
    a.li(MUL, K);
    a.w(e::ld(HASH, SP, 0));
    a.branch(4, CAUSE, 0, interrupt);
    physical(a);
    if is_machine {
        for k in [8, 9, 11] {
            a.w(e::addi(5, 0, k));
            a.branch(0, CAUSE, 5, calls);
        }
    }
    let trap = a.mark();
    report(a, hex);
    // Where to go on: fetches that failed return to their caller.
    let link = a.label();
    for k in [0, 1, 12] {
        a.w(e::addi(5, 0, k));
        a.branch(0, CAUSE, 5, link);
    }
    a.li(5, BODY);
    a.w(e::sub(5, PA, 5));
    a.li(6, BODY_SIZE);
    a.branch(7, 5, 6, link);
    a.ws(&[e::lhu(5, PA, 0), e::andi(5, 5, 3), e::addi(5, 5, -3), e::addi(6, 0, 2)]);
    let short = a.label();
    a.branch(1, 5, 0, short);
    a.w(e::addi(6, 0, 4));
    a.bind(short);
    a.w(e::add(EPC, EPC, 6));
    let go = a.label();
    a.jal(0, go);
    a.bind(link);
    a.w(e::ld(EPC, SAVE, 8));
    a.bind(go);
    a.w(e::csrw(l.epc, EPC));
    a.bind(exit);
    a.w(e::sd(HASH, SP, 0));
    for k in 1..32 {
        a.w(e::ld(k, SAVE, 8 * k as i32));
    }
    a.w(l.ret);

    a.bind(interrupt);
    report(a, hex);
    a.w(e::addi(5, 0, 2));
    a.w(e::csrrc(0, l.ip, 5));
    if is_machine {
        a.li(5, MSIP);
        a.w(e::sw(0, 5, 0));
        wait_until_clear(a);
    }
    timer.inspect(|ticks| set_timer(a, *ticks));
    a.jal(0, exit);

    a.bind(calls);
    if is_machine {
        machine_calls(a, hex, trap, exit, finish);
    }
    entry
}

/// The next interrupt of the CLINT's timer, so many ticks from now.
fn set_timer(a: &mut Asm, ticks: u32) {
    a.li(5, MTIME);
    a.w(e::ld(6, 5, 0));
    a.li(7, u64::from(ticks));
    a.w(e::add(6, 6, 7));
    a.li(5, MTIMECMP);
    a.w(e::sd(6, 5, 0));
}

/// The CLINT's line may fall a little later than the store.
fn wait_until_clear(a: &mut Asm) {
    let again = a.mark();
    a.ws(&[e::csrr(5, csr::MIP), e::andi(5, 5, 8)]);
    a.branch(1, 5, 0, again);
}

/// PA = physical address of EPC, if it is in the body; else EPC.
fn physical(a: &mut Asm) {
    let found = a.label();
    for base in [BODY_S, BODY_U] {
        a.li(5, base);
        a.w(e::sub(5, EPC, 5));
        a.li(6, BODY);
        a.w(e::add(PA, 5, 6));
        a.li(6, BODY_SIZE);
        a.branch(6, 5, 6, found);
    }
    a.w(e::addi(PA, EPC, 0));
    a.bind(found);
}

/// Mixes a trap into the hash, and prints it if this is the segment of interest.
fn report(a: &mut Asm, hex: Label) {
    a.li(5, STATUS_MASK);
    a.w(e::and(24, STATUS, 5));
    for x in [CAUSE, TVAL, EPC, 24] {
        mix(a, x);
    }
    a.ws(&[e::ld(5, SP, 8), e::ld(6, SP, 16)]);
    let quiet = a.label();
    a.branch(1, 5, 6, quiet);
    a.li(10, TRAP_MARK);
    a.jal(5, hex);
    for x in [CAUSE, TVAL, EPC, 24] {
        print(a, hex, x);
    }
    a.bind(quiet);
}

fn machine_calls(a: &mut Asm, hex: Label, trap: Label, exit: Label, finish: Label) {
    let checkpoint = a.label();
    let not_machine = a.label();
    // lw, arithmetic shift: the number of the call, if the next word is `lui x0`.
    a.ws(&[e::lw(5, PA, 4), e::srli(7, 5, 12), e::slli(5, 5, 52), e::srli(5, 5, 52), e::addi(6, 0, 0x37)]);
    let genuine = a.label();
    a.branch(0, 5, 6, genuine);
    a.jal(0, trap);
    a.bind(genuine);
    a.w(e::addi(6, 0, Call::Finish as i32));
    let no_finish = a.label();
    a.branch(1, 7, 6, no_finish);
    a.jal(0, finish);
    a.bind(no_finish);
    a.w(e::addi(6, 0, Call::Machine as i32));
    a.branch(1, 7, 6, not_machine);
    a.ws(&[e::addi(PA, PA, 8), e::csrw(csr::MEPC, PA)]);
    // To M-mode, with its interrupts off.
    a.li(5, 3 << 11);
    a.w(e::csrrs(0, csr::MSTATUS, 5));
    a.li(5, 1 << 7);
    a.w(e::csrrc(0, csr::MSTATUS, 5));
    a.jal(0, exit);
    a.bind(not_machine);
    a.ws(&[e::addi(EPC, EPC, 8), e::csrw(csr::MEPC, EPC)]);
    a.bind(checkpoint);
    floats_to_memory(a);
    a.w(e::ld(5, SP, 8));
    a.w(e::ld(7, SP, 16));
    // Dumps at the checkpoint of interest and the one before.
    let dump = a.label();
    let no_dump = a.label();
    a.branch(0, 5, 7, dump);
    a.w(e::addi(5, 5, 1));
    a.branch(1, 5, 7, no_dump);
    a.bind(dump);
    a.li(10, DUMP_MARK);
    a.jal(5, hex);
    each_word(a, |a, x| print(a, hex, x));
    a.bind(no_dump);
    each_word(a, mix);
    a.w(e::ld(5, SP, 24));
    let shallow = a.label();
    a.branch(0, 5, 0, shallow);
    each_memory_word(a, mix);
    a.bind(shallow);
    a.ws(&[e::ld(5, SP, 8), e::slli(6, 5, 3)]);
    a.li(7, CHECKPOINTS);
    a.ws(&[e::add(6, 6, 7), e::sd(HASH, 6, 0), e::addi(5, 5, 1), e::sd(5, SP, 8)]);
    a.jal(0, exit);
}

/// Saves the float registers behind FLOATS, `fcsr` after them, with FS as before afterwards.
fn floats_to_memory(a: &mut Asm) {
    a.li(5, FS);
    a.w(e::csrrs(0, csr::MSTATUS, 5));
    a.li(7, FLOATS);
    for f in 0..32 {
        a.w(e::fsd(f, 7, 8 * f as i32));
    }
    a.ws(&[e::csrr(6, csr::FCSR), e::sd(6, 7, 256)]);
    a.ws(&[e::csrrc(0, csr::MSTATUS, 5), e::and(6, STATUS, 5), e::csrrs(0, csr::MSTATUS, 6)]);
}

/// `f` on every word of a dump in order. May destroy x5 to x7, x10, x28, x29.
fn each_word(a: &mut Asm, f: impl Fn(&mut Asm, u32)) {
    let area = |a: &mut Asm, first: u64, n: u64| {
        a.li(25, first);
        a.li(26, first + 8 * n);
        let again = a.mark();
        a.w(e::ld(27, 25, 0));
        f(a, 27);
        a.w(e::addi(25, 25, 8));
        a.branch(1, 25, 26, again);
    };
    area(a, WORK + 8, 31);
    area(a, FLOATS, 33);
    a.li(5, STATUS_MASK);
    a.w(e::and(27, STATUS, 5));
    f(a, 27);
    for (c, mask, _) in CSRS {
        a.w(e::csrr(27, *c));
        a.li(5, *mask);
        a.w(e::and(27, 27, 5));
        f(a, 27);
    }
}

/// `f` on every word of data and of page tables, its address in x25.
fn each_memory_word(a: &mut Asm, f: impl Fn(&mut Asm, u32)) {
    for (first, end) in MEMORY {
        a.li(25, first);
        a.li(26, end);
        let word = a.mark();
        a.w(e::ld(27, 25, 0));
        f(a, 27);
        a.w(e::addi(25, 25, 8));
        a.branch(1, 25, 26, word);
    }
}

/// Data and page tables.
const MEMORY: [(u64, u64); 2] = [(DATA, DATA + DATA_SIZE + 4096), (TABLES, TABLES + TABLES_SIZE)];

/// Prints all checkpoints, hashes of data and page tables, and the state at the end.
fn final_dump(a: &mut Asm, hex: Label, finish: Label) {
    a.bind(finish);
    a.li(25, CHECKPOINTS);
    a.ws(&[e::ld(26, SP, 8), e::slli(26, 26, 3), e::add(26, 26, 25)]);
    let done = a.label();
    let again = a.mark();
    a.branch(0, 25, 26, done);
    a.w(e::ld(10, 25, 0));
    a.jal(5, hex);
    a.w(e::addi(25, 25, 8));
    a.jal(0, again);
    a.bind(done);
    for (first, end) in MEMORY {
        a.li(25, first);
        a.li(26, end);
        a.li(HASH, 0);
        let word = a.mark();
        a.w(e::ld(27, 25, 0));
        mix(a, 27);
        a.w(e::addi(25, 25, 8));
        a.branch(1, 25, 26, word);
        print(a, hex, HASH);
    }
    floats_to_memory(a);
    each_word(a, |a, x| print(a, hex, x));
    a.w(e::ld(5, SP, 24));
    let off = a.label();
    a.branch(0, 5, 0, off);
    each_memory_word(a, |a, x| {
        let zero = a.label();
        a.branch(0, x, 0, zero);
        print(a, hex, 25);
        print(a, hex, x);
        a.bind(zero);
    });
    a.bind(off);
    power_off(a);
}
