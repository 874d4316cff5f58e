//! Every pure op at edge values, in every arrangement of operands that the allocator can come to.

use super::*;
use crate::host::x86_64::features::Features;
use crate::ir::fields::Aux;
use crate::ir::op::Shape;
use crate::ir::{Boundary, Op, Opcode, eval};
use machine::{DATA, Setup};

const EDGES: [u64; 16] = [
    0,
    1,
    2,
    u64::MAX,
    i64::MIN as u64,
    i64::MAX as u64,
    0x8000_0000,
    0x7fff_ffff,
    0xffff_ffff,
    0xffff_ffff_8000_0000,
    0x1_0000_0000,
    63,
    64,
    0x0123_4567_89ab_cdef,
    0x8000_8080_0080_0001,
    0xfedc_ba98_0000_0000,
];

const IMMEDIATES: [i64; 12] =
    [0, 1, -1, 5, 31, 63, -128, 2047, 0x7fff_ffff, -0x8000_0000, 0xffff_ffff, 0x0123_4567_89ab_cdef];

/// A block of the ops, which then goes elsewhere.
pub fn block_of(ops: Vec<Op>) -> Block {
    let mut ops = ops;
    let bounds = (0..ops.len() as u16).map(|op| Boundary { op, offset: 4 * op, len: 4, raw: 0 }).collect();
    let bytes = 4 * ops.len() as u32;
    if !ops.last().is_some_and(Op::ends) {
        ops.push(Op { imm: i64::from(bytes), ..Op::new(Opcode::Exit) });
    }
    Block { ops, bounds, bytes }
}

fn is_integer(code: &Opcode) -> bool {
    let shape = code.shape();
    matches!(shape, Shape::Rrr | Shape::Rri | Shape::Rr | Shape::Ri | Shape::Rrrr)
}

/// Words for (a, b, c, d): all distinct, and every coincidence. 0 reads as zero.
const WORDS: [[u8; 4]; 14] = [
    [5, 6, 7, 8],
    [5, 5, 7, 8],
    [5, 6, 5, 8],
    [5, 6, 6, 8],
    [5, 5, 5, 5],
    [5, 6, 7, 5],
    [5, 6, 7, 6],
    [5, 6, 7, 7],
    [5, 0, 7, 8],
    [5, 6, 0, 8],
    [5, 0, 0, 0],
    [5, 6, 7, 0],
    [5, 5, 0, 8],
    [64, 65, 66, 67],
];

/// Ops around the one under test decide what is cached: nothing; the operands, used again; the operands, not used again.
fn around(op: Op, how: usize) -> Vec<Op> {
    let copy = |a, b| Op::rri(Opcode::XorI, a, b, 0x55);
    let words = [op.b, op.c, op.aux as u8];
    let mut ops = Vec::new();
    if op.b >= 64 {
        for (temp, word) in [(65, 6), (66, 7), (67, 8)] {
            ops.push(Op { b: word, ..Op::rri(Opcode::Mov, temp, word, 0) });
        }
    }
    if how > 0 {
        ops.extend(words.iter().enumerate().map(|(i, &w)| copy(20 + i as u8, w)));
    }
    if how == 3 {
        // Dirty operands.
        ops.extend([5, 6, 7, 8].map(|w| Op::rri(Opcode::AddI, w, w, 0)));
    }
    ops.push(op);
    if how == 2 {
        ops.extend(words.iter().enumerate().map(|(i, &w)| copy(25 + i as u8, w)));
    }
    ops.push(copy(28, op.a));
    ops
}

fn operands(code: Opcode) -> Vec<Op> {
    let fields = code.fields();
    let mut ops = Vec::new();
    for [a, b, c, d] in WORDS {
        let imms: &[i64] = if fields.imm { &IMMEDIATES } else { &[0] };
        for &imm in imms {
            let op = Op {
                code,
                a,
                b: if fields.b { b } else { 0 },
                c: if fields.c { c } else { 0 },
                aux: if fields.aux == Aux::Reg { d.into() } else { 0 },
                imm,
            };
            ops.push(op);
        }
    }
    ops
}

fn check(pair: &mut Pair) {
    let memory = vec![0; DATA];
    let setup = Setup::default();
    for code in Opcode::ALL.iter().copied().filter(is_integer) {
        let mut values = 0usize;
        for op in operands(code) {
            for how in 0..4 {
                let block = block_of(around(op, how));
                let emitted = pair.compiler.compile(&machine::input(&block, &setup)).expect("compiled");
                let entry = pair.arena.load(&emitted, i32::MAX);
                for _ in 0..8 {
                    // Steps that have no common divisor walk through all combinations.
                    values = (values + 1237) % (16 * 16 * 16);
                    let mut regs = [0; 64];
                    regs[5] = EDGES[(values / 7) % 16];
                    (regs[6], regs[7], regs[8]) =
                        (EDGES[values % 16], EDGES[values / 16 % 16], EDGES[values / 256]);
                    if code.text().starts_with("carry") || code.text().starts_with("ov") {
                        regs[8] &= 1;
                    }
                    pair.reset(&regs, &memory[..64], &setup);
                    let tested = pair.enter(entry);
                    let oracle = pair.interpret(&block, &setup);
                    assert_eq!(
                        tested.regs, oracle.regs,
                        "{op:?} arranged {how} on {regs:x?}: {:x?}",
                        emitted.code
                    );
                    assert_eq!((tested.pc, tested.budget), (oracle.pc, oracle.budget));
                }
            }
        }
    }
}

#[test]
fn every_op_computes_what_the_interpreter_does() {
    check(&mut Pair::new());
}

#[test]
fn so_it_does_without_newer_instructions() {
    let mut pair = Pair::new();
    pair.compiler.features = Features::NONE;
    check(&mut pair);
}

/// Ties the arrangement above to [`eval`] directly: all pairs of edge values of ops of two operands.
#[test]
fn all_pairs_of_edge_values() {
    let mut pair = Pair::new();
    let setup = Setup::default();
    for code in Opcode::ALL.iter().copied().filter(|c| c.shape() == Shape::Rrr && is_integer(c)) {
        let block = block_of(vec![Op::rrr(code, 5, 6, 7)]);
        let emitted = pair.compiler.compile(&machine::input(&block, &setup)).expect("compiled");
        let entry = pair.arena.load(&emitted, i32::MAX);
        for b in EDGES {
            for c in EDGES {
                let mut regs = [0; 64];
                (regs[6], regs[7]) = (b, c);
                pair.reset(&regs, &[0; 64], &setup);
                let result = pair.enter(entry).regs[5];
                assert_eq!(Some(result), eval::pure(code, b, c, 0, 0, 0), "{code:?} of {b:#x} and {c:#x}");
            }
        }
    }
}

/// Found by random blocks: tier 2's lowering joined the two carries of `b + c + d` by `or`, as if `d` were 0 or 1.
#[test]
fn two_carries_are_two() {
    for mut pair in [Pair::new(), Pair::second()] {
        let mut regs = [0; 64];
        regs[5] = u64::MAX;
        let sum = Op { aux: 5, ..Op::rrr(Opcode::CarryAdd, 12, 5, 5) };
        pair.compare(&block_of(vec![sum]), &regs, &vec![0; DATA], &Setup::default()).expect("equal");
        assert_eq!(pair.tested.regs[12], 2);
    }
}
