//! Code that one hart rewrites and others run: after the remote FENCE.I nobody may run what was there before.

use super::asm::*;
use super::machine::*;

/// Writes in a round: the first kills the code, so that those after it may go by a store entry.
const WRITES: u64 = 16;
/// The last number, of 15 bits.
const LAST: u64 = 2000 * WRITES;
const SEQ: u64 = DATA;
const BAD: u64 = DATA + 0x100;

/// `lui a0, n << 4; ret` in two-byte steps, so that it may lie across pages. `n` is the second halfword.
const FUNCTION: [u8; 6] = [0x37, 0x05, 0, 0, 0x82, 0x80];

/// Writes some n one after the other into the function, fences everywhere, announces the last.
fn writer(at: u64) -> Asm {
    let mut a = Asm::at(CODE);
    a.li(S0, at).li(S1, SEQ).li(S3, LAST).op(&[addi(S2, ZERO, 0)]);
    let again = a.here();
    a.op(&[addi(T0, S2, WRITES as i32)]);
    let write = a.here();
    a.op(&[addi(S2, S2, 1), sh(S2, S0, 2)]);
    a.bltu(S2, T0, write);
    a.op(&[FENCE]);
    a.remote_fence_i();
    a.op(&[FENCE_I, FENCE, sd(S2, S1, 0)]);
    a.bltu(S2, S3, again);
    a.finish_hart(DONE);
    a
}

/// Calls the function until the writer is done: it must return what was last announced, or one that is being written.
fn caller(at: u64) -> Asm {
    let mut a = Asm::at(CODE + 0x1000);
    a.li(S0, at).li(S1, SEQ).li(S3, LAST).li(S4, BAD);
    let again = a.here();
    a.op(&[ld(S2, S1, 0), FENCE, jalr(RA, S0, 0), srli(A0, A0, 16), FENCE, ld(S5, S1, 0)]);
    a.op(&[addi(S5, S5, WRITES as i32)]);
    let (old, new, good) = (a.label(), a.label(), a.label());
    a.bltu(A0, S2, old);
    a.bltu(S5, A0, new);
    a.jal(ZERO, good);
    a.bind(old);
    a.bind(new);
    a.op(&[addi(T0, ZERO, 1), amoadd_d(ZERO, T0, S4)]);
    a.bind(good);
    a.bltu(S2, S3, again);
    a.finish_hart(DONE);
    a
}

fn rewritten_at(at: u64) {
    let mut m = Machine::threads(4);
    m.load(writer(at));
    m.load(caller(at));
    m.put(at, &FUNCTION);
    m.start(0, CODE, 0);
    (1..4).for_each(|h| m.start(h, CODE + 0x1000, 0));
    m.run_to_end("rewriting code", 4);
    assert_eq!((m.word(SEQ), m.word(BAD)), (LAST, 0), "calls of stale code at {at:#x}");
}

#[test]
fn rewritten_code_is_never_stale_after_the_fence() {
    in_each_mode(|| rewritten_at(RAM + 0x4_0000));
}

#[test]
fn rewritten_code_across_pages_is_never_stale_after_the_fence() {
    in_each_mode(|| rewritten_at(RAM + 0x4_0ffe));
}

/// The writer also stores to data in the page all the time, through whatever store entry it may have.
#[test]
fn code_beside_data_is_never_stale_after_the_fence() {
    in_each_mode(|| rewritten_at(SEQ + 0x800));
}
