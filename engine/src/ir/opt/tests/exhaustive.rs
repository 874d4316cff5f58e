//! Every rewrite rule that one op, or a pair of ops, can meet: all pure integer codes with all edge constants as either
//! operand, and all pairs in all ways to share words. Random blocks seldom hit the one constant of a rule.

use super::*;
use crate::ir::fields::Aux;
use crate::ir::op::{MemFlags, Op, Opcode, Shape};
use crate::ir::{Boundary, Reg};

const EDGES: [u64; 26] = [
    0,
    1,
    2,
    3,
    5,
    8,
    9,
    31,
    32,
    33,
    48,
    56,
    63,
    64,
    0xff,
    0x100,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_8000_0000,
    u64::MAX,
];
const A0: Reg = 10;

fn integer_codes() -> impl Iterator<Item = Opcode> {
    let integer =
        |code: &Opcode| code.fields().pure && code.shape() != Shape::Float && code.shape() != Shape::Ri;
    Opcode::ALL.iter().copied().filter(integer)
}

/// One instruction of these ops and an exit.
fn block(ops: &[Op]) -> Block {
    let mut block = Block { ops: ops.to_vec(), bytes: 4, ..Block::default() };
    block.bounds.push(Boundary { op: 0, offset: 0, len: 4, raw: 0x13 });
    if !ops.last().is_some_and(Op::ends) {
        block.ops.push(Op { imm: 4, ..Op::new(Opcode::Exit) });
    }
    block
}

fn li(a: Reg, value: u64) -> Op {
    Op::rri(Opcode::Li, a, 0, value as i64)
}

/// Optimises and compares for all values of `a1` and some of the other words. Returns what came out.
fn compare(optimiser: &mut Optimiser, ops: &[Op], values: &[u64]) -> Block {
    let before = block(ops);
    let mut after = before.clone();
    optimiser.run(&mut after, &RULES);
    assert_eq!(verified(&after, &RULES), Ok(()));
    for (i, &value) in values.iter().enumerate() {
        let mut machine = Machine::new(i as u64);
        machine.regs[11] = value;
        let (got, want) = (machine.clone().run(&after), machine.run(&before));
        assert!(got == want, "a1 = {value:#x}\n{}---\n{}", print(&before, &names()), print(&after, &names()));
    }
    after
}

#[test]
fn every_code_with_every_constant() {
    let mut optimiser = Optimiser::new();
    for code in integer_codes() {
        for k in EDGES {
            let d = if code.fields().aux == Aux::Reg { 64 } else { 0 };
            let op = |b, c, imm| Op { aux: d, imm, ..Op::rrr(code, A0, b, c) };
            let imm = if code.fields().imm { k as i64 } else { 0 };
            let two = code.fields().c;
            // A carry is 0 or 1.
            let k = if d != 0 && code != Opcode::Select { k & 1 } else { k };
            compare(&mut optimiser, &[li(64, k), op(11, if two { 64 } else { 0 }, imm)], &EDGES);
            compare(&mut optimiser, &[li(64, k), op(11, if two { 11 } else { 0 }, imm)], &EDGES);
            if two {
                compare(&mut optimiser, &[li(64, k), op(64, 11, imm)], &EDGES);
            }
        }
    }
}

#[test]
fn known_operands_leave_one_li() {
    let mut optimiser = Optimiser::new();
    for code in integer_codes() {
        let fields = code.fields();
        let d = if fields.aux == Aux::Reg { 66 } else { 0 };
        for (b, c) in EDGES.into_iter().flat_map(|b| EDGES.map(|c| (b, c))) {
            let (imm, reg) = if fields.imm { (c as i64, 0) } else { (0, if fields.c { 65 } else { 0 }) };
            let op = Op { aux: d, imm, ..Op::rrr(code, A0, 64, reg) };
            let after = compare(&mut optimiser, &[li(64, b), li(65, c), li(66, c & 1), op], &[0]);
            assert_eq!(after.ops.len(), 2, "{}", print(&after, &names()));
            assert_eq!(after.ops[0].code, Opcode::Li);
        }
    }
}

#[test]
fn every_branch_with_every_constant() {
    let mut optimiser = Optimiser::new();
    for &code in Opcode::ALL.iter().filter(|c| c.shape() == Shape::Branch) {
        let branch = |b, c| Op { aux: 4, imm: -64, ..Op::rrr(code, 0, b, c) };
        for k in EDGES {
            compare(&mut optimiser, &[li(64, k), branch(11, 64)], &EDGES);
            let known = compare(&mut optimiser, &[li(64, k), li(65, 9), branch(64, 65)], &EDGES);
            assert_eq!((known.ops.len(), known.ops[0].code), (1, Opcode::Jump));
            let same = compare(&mut optimiser, &[branch(11, 11)], &EDGES);
            assert_eq!(same.ops[0].code, Opcode::Jump);
        }
    }
}

#[test]
fn every_pair_in_every_way_to_share_words() {
    use Opcode::*;
    let imms = [0, 1, 2, 3, 29, 31, 32, 33, 48, 56, 63, -1, 0xff, i64::MAX];
    let values = [0, 1, 0x8000_0000, 0x1234_5678_9abc_def0, u64::MAX];
    let first = [SllI, AddI, AndI, XorI, SllIUw, ZextW, Add, Sub, SrlI];
    let second = [SrlI, SraI, AddI, AddIW, SextW, AndI, Add, And, Or, Xor, Sub];
    let forms = |code: Opcode| if code.fields().imm { imms.to_vec() } else { vec![0] };
    let words = |used: bool| if used { vec![10, 11, 12] } else { vec![0] };
    let all = |code: Opcode| {
        let mut ops = Vec::new();
        for imm in forms(code) {
            for b in words(true) {
                ops.extend(words(code.fields().c).into_iter().map(|c| Op { imm, ..Op::rrr(code, A0, b, c) }));
            }
        }
        ops
    };
    let mut optimiser = Optimiser::new();
    let mut merged = 0;
    for one in first.into_iter().flat_map(all) {
        for two in second.into_iter().flat_map(all) {
            let after = compare(&mut optimiser, &[one, two], &values);
            merged += usize::from(after.ops.len() == 2 && after.ops[0] != two);
        }
    }
    assert!(merged > 1000, "{merged} pairs merged");
}

/// All shifts of all joins, in all ways to share words: rotations, and what only looks like one.
#[test]
fn every_join_of_two_shifts() {
    use Opcode::*;
    let values = [0, 1, 0x8000_0000, 0x1234_5678_9abc_def0, 0xffff_ffff_0000_0001, u64::MAX];
    let counts = [0, 1, 7, 25, 31, 32, 33, 39, 57, 63];
    let mut shifts = Vec::new();
    for code in [SllI, SrlI, SllIW, SrlIW] {
        for (a, b) in [(10, 11), (11, 11), (12, 11), (64, 11), (12, 12)] {
            shifts.extend(counts.map(|imm| Op::rri(code, a, b, imm)));
        }
    }
    let mut optimiser = Optimiser::new();
    let mut rotated = 0;
    for &one in &shifts {
        for &two in &shifts {
            for code in [Or, Xor, Add, AddW] {
                let joined = Op::rrr(code, if one.imm & 2 == 0 { 10 } else { two.a }, one.a, two.a);
                let after = compare(&mut optimiser, &[one, two, joined], &values);
                rotated += usize::from(after.ops.iter().any(|op| matches!(op.code, RorI | RorIW)));
            }
        }
    }
    assert!(rotated > 200, "{rotated} rotations");
}

#[test]
fn rotations_need_the_word_that_was_shifted() {
    use Opcode::*;
    let mut optimiser = Optimiser::new();
    let codes = |ops: &[Op]| {
        let after = compare(&mut optimiser, ops, &[0, 0x1234_5678_9abc_def0, u64::MAX]);
        after.ops.iter().map(|op| op.code).collect::<Vec<_>>()
    };
    let (left, right) = (Op::rri(SllIW, 64, 11, 25), Op::rri(SrlIW, 65, 11, 7));
    let join = Op::rrr(Or, 10, 64, 65);
    let mut codes = codes;
    assert_eq!(codes(&[left, right, join]), [RorIW, Exit]);
    // In place, where nobody looks at it before.
    assert_eq!(codes(&[right, Op { a: 11, ..left }, Op::rrr(Or, 11, 65, 11)]), [RorIW, Exit]);
    let other = Op::rri(AddI, 12, 12, 1);
    let in_place = Op { a: 11, ..left };
    let join_in_place = Op::rrr(Or, 11, 65, 11);
    assert_eq!(codes(&[right, in_place, other, join_in_place]), [AddI, RorIW, Exit]);
    let reader = Op::rri(AddI, 12, 11, 1);
    assert_eq!(codes(&[right, in_place, reader, join_in_place]).len(), 5);
    let load = Op { aux: MemFlags::plain(3).0, ..Op::rri(Load64, 12, 13, 0) };
    let mut seen_by_a_fault = block(&[right, in_place, load, join_in_place]);
    optimise(&mut seen_by_a_fault, &RULES);
    assert_eq!(seen_by_a_fault.ops.len(), 5);
    // Of copies, while one of them is left.
    let (copy, right_of_copy) = (Op::rrr(Mov, 13, 11, 0), Op { b: 13, ..right });
    let next = Op::rri(AddI, 11, 11, 1);
    assert!(codes(&[copy, left, next, right_of_copy, join]).contains(&RorIW));
    let changed = Op::rri(AddI, 13, 13, 1);
    assert!(!codes(&[copy, left, next, changed, right_of_copy, join]).contains(&RorIW));
    // Something else was shifted in place since.
    let shifted = [Op::rri(AddI, 11, 12, 5), Op::rri(SllI, 11, 11, 1), Op::rrr(Or, 11, 64, 65)];
    assert!(!codes(&[&[left, right][..], &shifted].concat()).contains(&RorIW));
    // Written between, or in place with the result elsewhere.
    assert_eq!(codes(&[left, Op::rri(AddI, 11, 11, 1), right, join]).len(), 5);
    assert!(!codes(&[left, right, Op::rri(AddI, 11, 11, 1), join]).contains(&RorIW));
    assert!(!codes(&[right, Op { a: 11, ..left }, Op::rrr(Or, 10, 65, 11)]).contains(&RorIW));
}

#[test]
fn distances_from_the_pc() {
    use Opcode::*;
    let mut optimiser = Optimiser::new();
    let pc = |a, imm| Op { imm, ..Op::rrr(AddPc, a, 0, 0) };
    for k in EDGES {
        let k = k as i64;
        let ops = [pc(64, k), Op::rri(AddI, 10, 64, 0x10), li(65, k as u64), Op::rrr(Add, 12, 65, 64)];
        let after = compare(&mut optimiser, &ops, &[0]);
        assert!(after.ops[..2].iter().all(|op| op.code == AddPc), "{}", print(&after, &names()));
        compare(
            &mut optimiser,
            &[pc(64, k), li(65, 7), Op::rrr(Sub, 10, 64, 65), Op::rrr(Sub, 11, 65, 64)],
            &[0],
        );
        for imm in [0, 2, -16, 1] {
            let jump = Op { aux: 4, imm, ..Op::rrr(JumpReg, 1, 64, 0) };
            let jumped = compare(&mut optimiser, &[pc(64, k), jump], &[0]);
            let near = k.checked_add(imm).is_some_and(|d| d & 1 == 0 && i32::try_from(d).is_ok());
            assert_eq!(jumped.ops.last().map(|op| op.code), Some(if near { Jump } else { JumpReg }));
        }
    }
}
