//! Litmus tests of the memory model (unprivileged specification, RVWMO): outcomes that fences forbid never occur.

use super::asm::*;
use super::machine::*;

const CELLS: u64 = 2048;
const BATCHES: u64 = 96;
/// Cells of x and y, 64 bytes apart so that they share no line.
const X: u64 = RAM + 0x40_0000;
const Y: u64 = RAM + 0x48_0000;
/// Results of hart 0 and 1, a word for each cell and batch.
const SEEN: [u64; 2] = [RAM + 0x50_0000, RAM + 0x80_0000];
const BARRIER: u64 = DATA + 0x400;

/// What a hart does with (its own, the other's) location.
#[derive(Clone, Copy)]
enum Part {
    StoreBoth,
    LoadBoth,
    StoreLoad,
    LoadStore,
}

/// For all batches and cells: the part, with a fence in the middle. s0 = first cell, s1 = second cell, s4 = results,
/// s5 = value of the batch.
fn program(base: u64, first: u64, second: u64, seen: u64, part: Part) -> Asm {
    let mut a = Asm::at(base);
    a.li(S4, seen).li(T5, BATCHES).op(&[addi(S5, ZERO, 0), addi(S6, ZERO, 0)]).li(T4, BARRIER);
    let batch = a.here();
    a.op(&[addi(S5, S5, 1), addi(S6, S6, 2)]);
    a.barrier(T4, S6);
    a.li(S0, first).li(S1, second).li(S2, CELLS);
    let cell = a.here();
    match part {
        Part::StoreBoth => a.op(&[sd(S5, S0, 0), FENCE, sd(S5, S1, 0)]),
        Part::LoadBoth => a.op(&[ld(T0, S0, 0), FENCE, ld(T1, S1, 0), slli(T0, T0, 32), add(T1, T1, T0)]),
        Part::StoreLoad => a.op(&[sd(S5, S0, 0), FENCE, ld(T1, S1, 0)]),
        Part::LoadStore => a.op(&[ld(T1, S0, 0), FENCE, sd(S5, S1, 0)]),
    };
    a.op(&[sd(T1, S4, 0), addi(S4, S4, 8), addi(S0, S0, 64), addi(S1, S1, 64), addi(S2, S2, -1)]);
    a.bne(S2, ZERO, cell);
    a.bltu(S5, T5, batch);
    a.finish_hart(DONE);
    a
}

/// Runs the parts of two harts, each with its first and second location; `forbidden` gets the batch and both results.
fn litmus(parts: [(u64, u64, Part); 2], forbidden: impl Fn(u64, [u64; 2]) -> bool) {
    in_each_mode(|| once(parts, &forbidden));
}

fn once(parts: [(u64, u64, Part); 2], forbidden: impl Fn(u64, [u64; 2]) -> bool) {
    let mut m = Machine::threads(2);
    for (i, (first, second, part)) in parts.into_iter().enumerate() {
        let base = CODE + 0x1000 * i as u64;
        m.load(program(base, first, second, SEEN[i], part));
        m.start(i, base, 0);
    }
    m.run_to_end("litmus", 2);
    for batch in 1..=BATCHES {
        for cell in 0..CELLS {
            let at = 8 * ((batch - 1) * CELLS + cell);
            let seen = SEEN.map(|s| m.word(s + at));
            assert!(!forbidden(batch, seen), "batch {batch}, cell {cell}: {seen:x?}");
        }
    }
}

#[test]
fn message_passing() {
    litmus([(X, Y, Part::StoreBoth), (Y, X, Part::LoadBoth)], |b, [_, seen]| {
        let (y, x) = (seen >> 32, seen & 0xffff_ffff);
        y == b && x != b
    });
}

#[test]
fn store_buffering() {
    litmus([(X, Y, Part::StoreLoad), (Y, X, Part::StoreLoad)], |b, seen| seen.iter().all(|&s| s != b));
}

#[test]
fn load_buffering() {
    litmus([(X, Y, Part::LoadStore), (Y, X, Part::LoadStore)], |b, seen| seen.iter().all(|&s| s == b));
}
