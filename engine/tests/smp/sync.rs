//! Counters, and harts that wait for each other.

use super::asm::*;
use super::machine::*;

#[test]
fn atomic_counters_lose_nothing() {
    in_each_mode(count_together);
}

fn count_together() {
    const EACH: u64 = 20_000;
    let mut m = Machine::threads(4);
    let mut a = Asm::at(CODE);
    a.li(S0, DATA).li(S2, EACH).op(&[
        addi(S1, S0, 64),
        addi(S3, S0, 128),
        addi(S4, S0, 196),
        addi(T3, ZERO, 1),
    ]);
    let again = a.here();
    a.op(&[amoadd_d(ZERO, T3, S0), amoadd_w(ZERO, T3, S4)]);
    for (load, cond, at) in [(lr_d(T0, S1), sc_d(T2, T1, S1), S1), (lr_w(T0, S3), sc_w(T2, T1, S3), S3)] {
        let _ = at;
        let retry = a.here();
        a.op(&[load, addi(T1, T0, 1), cond]);
        a.bne(T2, ZERO, retry);
    }
    a.op(&[addi(S2, S2, -1)]);
    a.bne(S2, ZERO, again);
    a.finish_hart(DONE);
    m.load(a);
    (0..4).for_each(|h| m.start(h, CODE, 0));
    m.run_to_end("counting", 4);
    let low = |at: u64| m.shared.memory.read(at, 2).expect("memory");
    let counts = [m.word(DATA), m.word(DATA + 64), low(DATA + 128), low(DATA + 196)];
    assert_eq!(counts, [4 * EACH; 4]);
    assert_eq!(low(DATA + 200), 0);
}

#[test]
fn no_wake_up_is_lost_in_a_ring_of_interrupts() {
    in_each_mode(pass_a_token);
}

/// A token goes round by interrupts; every hart sleeps until it has it.
fn pass_a_token() {
    const TURNS: u64 = 3000;
    let harts = 3u64;
    let mut m = Machine::threads(harts as u32);
    let mut a = Asm::at(CODE);
    // s1 = the turn that is ours next, s2 = who comes after us.
    a.li(S0, DATA).li(S3, harts).li(S4, TURNS).op(&[addi(S1, A0, 0), addi(S2, A0, 1)]);
    let first = a.label();
    a.bne(S2, S3, first);
    a.op(&[addi(S2, ZERO, 0)]);
    a.bind(first);
    a.op(&[addi(T0, ZERO, 2), csrrs(ZERO, 0x104, T0)]);
    let (sleep, look, mine) = (a.label(), a.label(), a.label());
    a.jal(ZERO, look);
    a.bind(sleep);
    a.op(&[WFI]);
    a.bind(look);
    a.op(&[csrrci(ZERO, 0x144, 2), FENCE, ld(T0, S0, 0)]);
    a.beq(T0, S1, mine);
    a.bltu(T0, S4, sleep);
    // It is over; tell the next, who may sleep.
    a.ipi(S2);
    a.finish_hart(DONE);
    a.bind(mine);
    a.op(&[add(S1, S1, S3), addi(T0, T0, 1), sd(T0, S0, 0), FENCE]);
    a.ipi(S2);
    a.jal(ZERO, look);
    m.load(a);
    (0..harts as usize).for_each(|h| m.start(h, CODE, 0));
    m.run_to_end("the ring", harts);
    assert!(m.word(DATA) >= TURNS);
}
