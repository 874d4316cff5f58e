//! A page that one hart maps elsewhere while others read and run it: after the remote SFENCE.VMA the old page is gone.

use super::asm::*;
use super::machine::*;

const ROUNDS: u64 = 1500;
const SEQ: u64 = DATA;
const BAD: u64 = DATA + 0x100;
const ROOT: u64 = RAM + 0x30_0000;
const MIDDLE: u64 = ROOT + 0x1000;
const LEAVES: u64 = ROOT + 0x2000;
const PAGES: [u64; 2] = [RAM + 0x31_0000, RAM + 0x31_1000];
/// Where the page is seen.
const SEEN: u64 = 0x4000_0000;
/// The word in the page, and the function.
const WORD: u64 = 0x800;
const RWX_AD: u64 = 0xcf;
const SATP: u64 = 8 << 60 | ROOT >> 12;

fn leaf(pa: u64) -> u64 {
    pa >> 12 << 10 | RWX_AD
}

fn tables(m: &Machine) {
    let entry = |at: u64, v: u64| m.put(at, &v.to_le_bytes());
    entry(ROOT + 8 * 2, leaf(RAM));
    entry(ROOT + 8, MIDDLE >> 12 << 10 | 1);
    entry(MIDDLE, LEAVES >> 12 << 10 | 1);
    entry(LEAVES, leaf(PAGES[0]));
}

fn enable(a: &mut Asm) {
    a.li(T0, SATP).op(&[SFENCE_ALL, csrrw(ZERO, 0x180, T0), SFENCE_ALL]);
}

/// Round n: n goes into the page that is not mapped, as data and as what its function returns; the pages change places; all
/// are fenced; the old one is poisoned.
fn mapper() -> Asm {
    let mut a = Asm::at(CODE);
    enable(&mut a);
    a.li(S0, PAGES[0]).li(S1, PAGES[1]).li(S2, LEAVES).li(S3, SEQ).li(S4, ROUNDS).li(S6, SEEN);
    a.li(T3, WORD).li(T4, leaf(0)).op(&[addi(S5, ZERO, 0)]);
    let again = a.here();
    a.op(&[addi(S5, S5, 1), add(T0, S1, T3), sd(S5, T0, 0), slli(T1, S5, 4), sh(T1, S1, 2), FENCE]);
    a.op(&[srli(T0, S1, 2), add(T0, T0, T4), sd(T0, S2, 0), FENCE]);
    a.remote_sfence(S6);
    a.remote_fence_i();
    a.op(&[sfence_va(S6), FENCE_I, FENCE, sd(S5, S3, 0), FENCE]);
    // Poison the page that is out, and swap.
    a.op(&[add(T0, S0, T3), sd(ZERO, T0, 0), sh(ZERO, S0, 2)]);
    a.op(&[addi(T0, S0, 0), addi(S0, S1, 0), addi(S1, T0, 0)]);
    a.bltu(S5, S4, again);
    a.finish_hart(DONE);
    a
}

/// Reads the word and calls the function, both by the page that is mapped.
fn user() -> Asm {
    let mut a = Asm::at(CODE + 0x1000);
    enable(&mut a);
    a.li(S0, SEEN).li(S1, SEQ).li(S3, ROUNDS).li(S4, BAD).li(S6, SEEN + WORD);
    let again = a.here();
    let (bad, good) = (a.label(), a.label());
    a.op(&[ld(S2, S1, 0), FENCE, ld(T3, S6, 0), jalr(RA, S0, 0), FENCE, ld(S5, S1, 0), addi(S5, S5, 1)]);
    for got in [T3, A0] {
        a.bltu(got, S2, bad);
        a.bltu(S5, got, bad);
    }
    a.jal(ZERO, good);
    a.bind(bad);
    a.op(&[addi(T0, ZERO, 1), amoadd_d(ZERO, T0, S4)]);
    a.bind(good);
    a.bltu(S2, S3, again);
    a.finish_hart(DONE);
    a
}

#[test]
fn a_page_mapped_elsewhere_is_never_seen_after_the_fence() {
    in_each_mode(mapped_elsewhere);
}

fn mapped_elsewhere() {
    let mut m = Machine::threads(4);
    tables(&m);
    for page in PAGES {
        m.put(page, &[0x13, 0x05, 0, 0, 0x82, 0x80]);
    }
    m.load(mapper());
    m.load(user());
    m.start(0, CODE, 0);
    (1..4).for_each(|h| m.start(h, CODE + 0x1000, 0));
    m.run_to_end("mapping", 4);
    assert_eq!((m.word(SEQ), m.word(BAD)), (ROUNDS, 0), "accesses to the old page");
}
