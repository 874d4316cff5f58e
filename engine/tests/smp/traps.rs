//! Traps are counted as often as the guest's own handler counts them, whoever runs the code that traps.

use super::asm::*;
use super::machine::*;
use engine::exec::mode::Mode;
use engine::exec::time::TimeSource;
use engine::guest::Guest;
use engine::guest::riscv::Riscv;
use engine::tier::monitor::{HART, HartStatus, Value};

const ROUNDS: u64 = 300;
const TIMERS: u64 = 20;
const CALLS: u64 = 20_000;
/// Where the handler counts: a word for each exception, from the 32nd on for each interrupt.
const COUNTS: u64 = DATA;
const INTERRUPTS: u64 = COUNTS + 8 * 32;
/// Where the guest leaves its instruction count.
const INSTRET: u64 = DATA + 0x800;
/// Instructions from there on until the hart has stopped.
const LAST_INSNS: u64 = 29;
const HANDLER: u64 = CODE + 0x1000;
const END: u64 = CODE + 0x2000;
const ROOT: u64 = RAM + 0x30_0000;
const MIDDLE: u64 = ROOT + 0x1000;
const LEAVES: u64 = ROOT + 0x2000;
/// Code of user mode, and where it is seen.
const USER: u64 = RAM + 0x31_0000;
const USER_SEEN: u64 = 0x4000_0000;
const NOWHERE: u64 = 0x1_0000_0000;
const ILLEGAL: u32 = 0xffff_ffff;
const EBREAK: u32 = 0x0010_0073;

const SSTATUS: u32 = 0x100;
const SIE: u32 = 0x104;
const STVEC: u32 = 0x105;
const SEPC: u32 = 0x141;
const SCAUSE: u32 = 0x142;
const SIP: u32 = 0x144;
const STIMECMP: u32 = 0x14d;

fn tables(m: &Machine) {
    let entry = |at: u64, v: u64| m.put(at, &v.to_le_bytes());
    // RAM for the supervisor alone; a page for the user.
    entry(ROOT + 8 * 2, RAM >> 12 << 10 | 0xcf);
    entry(ROOT + 8, MIDDLE >> 12 << 10 | 1);
    entry(MIDDLE, LEAVES >> 12 << 10 | 1);
    entry(LEAVES, USER >> 12 << 10 | 0xdf);
}

/// Has s0, t3, t4 and t5 to itself. Goes on behind what trapped; after a breakpoint at [`END`].
fn handler() -> Asm {
    let mut a = Asm::at(HANDLER);
    a.op(&[csrrs(T3, SCAUSE, ZERO), srli(T4, T3, 63), slli(T4, T4, 5), andi(T5, T3, 31), add(T4, T4, T5)]);
    a.op(&[slli(T4, T4, 3), add(T4, T4, S0), ld(T5, T4, 0), addi(T5, T5, 1), sd(T5, T4, 0)]);
    let (interrupt, end) = (a.label(), a.label());
    a.op(&[srli(T4, T3, 63)]);
    a.bne(T4, ZERO, interrupt);
    a.op(&[addi(T5, ZERO, 3)]);
    a.beq(T3, T5, end);
    a.op(&[csrrs(T3, SEPC, ZERO), addi(T3, T3, 4), csrrw(ZERO, SEPC, T3), SRET]);
    a.bind(interrupt);
    a.op(&[csrrci(ZERO, SIP, 2), addi(T3, ZERO, -1), csrrw(ZERO, STIMECMP, T3), SRET]);
    a.bind(end);
    a.li(T3, END).op(&[csrrw(ZERO, SEPC, T3)]);
    a.li(T3, 0x100).op(&[csrrs(ZERO, SSTATUS, T3), SRET]);
    a
}

/// Waits until the handler has counted `n` interrupts of this number.
fn await_interrupt(a: &mut Asm, number: u64, n: u32) {
    a.li(T0, INTERRUPTS + 8 * number);
    let again = a.here();
    a.op(&[ld(T1, T0, 0)]);
    a.bne(T1, n, again);
}

fn main() -> Asm {
    let mut a = Asm::at(CODE);
    a.li(T0, 8 << 60 | ROOT >> 12).op(&[SFENCE_ALL, csrrw(ZERO, 0x180, T0), SFENCE_ALL]);
    a.li(S0, COUNTS).li(S1, NOWHERE).li(T0, HANDLER).op(&[csrrw(ZERO, STVEC, T0)]);
    a.op(&[addi(T0, ZERO, 0x22), csrrw(ZERO, SIE, T0), addi(T0, ZERO, 2), csrrs(ZERO, SSTATUS, T0)]);
    a.li(S2, ROUNDS).op(&[addi(S3, ZERO, 0)]);
    let round = a.here();
    a.op(&[addi(S3, S3, 1), ld(T0, S1, 0), sd(T0, S1, 0), ILLEGAL]);
    a.sbi(0x10, 3);
    a.sbi(0x1234, 0);
    a.ipi(ZERO);
    await_interrupt(&mut a, 1, S3);
    a.bltu(S3, S2, round);
    a.li(S2, TIMERS).op(&[addi(S3, ZERO, 0)]);
    let round = a.here();
    a.op(&[addi(S3, S3, 1), addi(A0, ZERO, 0)]).sbi(0x5449_4d45, 0);
    await_interrupt(&mut a, 5, S3);
    a.bltu(S3, S2, round);
    // To user mode.
    a.li(T0, USER_SEEN).op(&[csrrw(ZERO, SEPC, T0), SRET]);
    a
}

fn user() -> Asm {
    let mut a = Asm::at(USER);
    a.li(T0, CALLS);
    let again = a.here();
    a.op(&[ECALL, addi(T0, T0, -1)]);
    a.bne(T0, ZERO, again);
    a.op(&[EBREAK]);
    a
}

fn end() -> Asm {
    let mut a = Asm::at(END);
    a.li(S1, INSTRET).op(&[csrrs(S2, 0xc02, ZERO), sd(S2, S1, 0)]);
    a.finish_hart(DONE);
    a
}

/// The parts of a counter that are not 0.
fn parts(h: &HartStatus, name: &str) -> Vec<(&'static str, u64)> {
    let counter = HART.iter().chain(Riscv::COUNTERS).find(|c| c.declared.name == name).expect("declared");
    let (Some(split), Value::Parts(all)) = (counter.declared.split, counter.read(h)) else {
        panic!("{name} has parts")
    };
    split.parts.iter().copied().zip(all).filter(|(_, n)| *n > 0).collect()
}

#[test]
fn traps_are_counted_as_the_guest_counts_them() {
    in_each_mode(|| {
        for source in [TimeSource::Host, TimeSource::Instructions] {
            count(source);
        }
    });
}

fn count(source: TimeSource) {
    let mut m = Machine::new(source, 1);
    tables(&m);
    for part in [main(), handler(), user(), end()] {
        m.load(part);
    }
    m.start(0, CODE, 0);
    m.run_to_end("traps", 1);
    let h = m.shared.harts[0].status();
    let exceptions = [
        ("illegal_instruction", ROUNDS, 2),
        ("breakpoint", 1, 3),
        ("ecall_from_u", CALLS, 8),
        ("load_page_fault", ROUNDS, 13),
        ("store_page_fault", ROUNDS, 15),
    ];
    assert_eq!(parts(&h, "exceptions"), exceptions.map(|(name, n, _)| (name, n)));
    assert_eq!(exceptions.map(|(.., cause)| m.word(COUNTS + 8 * cause)), exceptions.map(|(_, n, _)| n));
    assert_eq!(parts(&h, "interrupts"), [("supervisor_software", ROUNDS), ("supervisor_timer", TIMERS)]);
    assert_eq!([1, 5].map(|number| m.word(INTERRUPTS + 8 * number)), [ROUNDS, TIMERS]);
    let calls = [("base", ROUNDS), ("time", TIMERS), ("ipi", ROUNDS), ("hsm", 1), ("unknown", ROUNDS)];
    assert_eq!(parts(&h, "sbi_calls"), calls);

    assert_eq!(h.retired, m.word(INSTRET) + LAST_INSNS);
    assert_eq!(h.insns.iter().sum::<u64>(), h.retired);
    let [_, one, two] = h.insns;
    match mode() {
        Mode::Interpreter => assert_eq!([one, two], [0, 0]),
        Mode::Tier1 => assert!(one > h.retired / 2 && two == 0, "{:?}", h.insns),
        // Where a worker compiles, the program may be over before it has.
        Mode::Tier2 if source == TimeSource::Instructions => assert!(two > h.retired / 2, "{:?}", h.insns),
        Mode::Tier2 | Mode::Adaptive => assert!(one + two > h.retired / 2, "{:?}", h.insns),
    }
}

#[test]
fn a_saved_state_brings_its_instruction_count_and_no_work_of_ours() {
    let mut m = Machine::new(TimeSource::Instructions, 1);
    tables(&m);
    for part in [main(), handler(), user(), end()] {
        m.load(part);
    }
    m.start(0, CODE, 0);
    m.run_to_end("traps", 1);
    let before = m.shared.harts[0].status();
    let state = m.harts.vcpu(0).expect("a hart").save();
    let other = Machine::new(TimeSource::Instructions, 1);
    other.harts.vcpu(0).expect("a hart").restore(&state).expect("restored");
    other.harts.resume();
    other.wait_for("the counters", || other.shared.harts[0].status().retired == before.retired);
    other.harts.pause();
    let after = other.shared.harts[0].status();
    assert_eq!((after.retired, after.insns), (before.retired, [0; 3]));
    assert!(parts(&after, "exceptions").is_empty());
}
