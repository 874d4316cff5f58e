//! More code than code memory holds, run by all harts at once: what was evicted is made again, and what it links to is never stale.

use super::asm::*;
use super::machine::*;
use engine::exec::mode::Mode;
use engine::host::COMPILES;

/// Functions, of which translations take several times the code memory.
const FUNCTIONS: u64 = 3000;
/// Bytes of each.
const SIZE: u64 = 64;
const FIRST: u64 = RAM + 0x30_0000;
const CALLS: u64 = 60_000;
const HARTS: u32 = 4;
const SEEN: u64 = DATA + 0x1000;

const FACTOR: u64 = 6_364_136_223_846_793_005;

/// `a0 = ((a0 + n) * 8 ^ a0) + n`, in a block, and one more that counts in memory of the hart's own.
fn function(n: u64) -> Asm {
    let mut a = Asm::at(FIRST + n * SIZE);
    let small = (n % 2000) as i32;
    let skip = a.label();
    a.op(&[addi(T0, A0, small), slli(T0, T0, 3), xor(A0, A0, T0), addi(A0, A0, small)]);
    a.bne(A0, ZERO, skip);
    a.op(&[addi(A0, ZERO, 1)]);
    a.bind(skip);
    a.op(&[ld(T1, S4, 0), addi(T1, T1, 1), sd(T1, S4, 0), jalr(ZERO, RA, 0)]);
    a
}

fn apply(n: u64, a0: u64) -> u64 {
    let small = n % 2000;
    match (a0 ^ a0.wrapping_add(small) << 3).wrapping_add(small) {
        0 => 1,
        a0 => a0,
    }
}

/// Calls one function after the other in an order of its own.
fn caller() -> Asm {
    let mut a = Asm::at(CODE);
    a.op(&[addi(S1, A0, 1), slli(S4, A0, 6)]).li(T0, SEEN).op(&[add(S4, S4, T0), addi(S2, S1, 0)]);
    a.li(S0, CALLS).li(S3, FACTOR).li(S5, FIRST).li(S6, FUNCTIONS).op(&[addi(A0, S1, 0)]);
    let again = a.here();
    // The number of the function: the high bits of a linear congruence, modulo the count by multiplication.
    a.op(&[mul(S2, S2, S3), addi(S2, S2, 1), srli(T0, S2, 40), mul(T0, T0, S6), srli(T0, T0, 24)]);
    a.op(&[slli(T0, T0, 6), add(T0, T0, S5), jalr(RA, T0, 0), addi(S0, S0, -1)]);
    a.bne(S0, ZERO, again);
    a.op(&[sd(A0, S4, 8)]);
    a.finish_hart(DONE);
    a
}

fn expected(hart: u64) -> u64 {
    let (mut a0, mut x) = (hart + 1, hart + 1);
    for _ in 0..CALLS {
        x = x.wrapping_mul(FACTOR).wrapping_add(1);
        a0 = apply(((x >> 40) * FUNCTIONS) >> 24, a0);
    }
    a0
}

#[test]
fn evicted_code_comes_back_on_four_harts() {
    in_each_mode(|| {
        let mut m = Machine::threads(HARTS);
        (0..FUNCTIONS).for_each(|n| m.load(function(n)));
        m.load(caller());
        (0..HARTS as usize).for_each(|h| m.start(h, CODE, 0));
        m.run_to_end("calls", HARTS.into());
        for hart in 0..u64::from(HARTS) {
            let seen = SEEN + hart * 64;
            assert_eq!((m.word(seen), m.word(seen + 8)), (CALLS, expected(hart)), "hart {hart}");
        }
        let t = m.harts.tiers();
        if COMPILES && mode() != Mode::Interpreter {
            assert!(t.evicted > 100 && t.code_bytes < 1 << 20, "{t:?}");
        }
    });
}
