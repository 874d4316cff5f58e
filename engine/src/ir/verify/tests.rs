//! Each rule broken once.

use super::*;
use crate::ir::block::Boundary;
use crate::ir::parse::parse;
use crate::ir::testing::{names, verify};
use crate::ir::{Opcode, SINK};

fn block(ops: &str) -> Block {
    parse(&format!("block 4 bytes\n; 0..4 13\n{ops}"), &names()).unwrap()
}

fn error(ops: &str) -> VerifyError {
    verify(&block(ops)).unwrap_err()
}

#[test]
fn a_good_block_passes() {
    assert_eq!(verify(&block("li %64, 1\nadd a0, a1, %64\nmov _, a0\nexit pc+4")), Ok(()));
}

#[test]
fn one_terminator_ends_the_block() {
    assert_eq!(error(""), VerifyError::Empty);
    assert_eq!(error("li a0, 1"), VerifyError::NoTerminator(0));
    assert_eq!(error("exit pc+4\nexit pc+4"), VerifyError::EarlyTerminator(0));
    let mut long = block("exit pc+4");
    long.ops = vec![long.ops[0]; 65536];
    assert_eq!(verify(&long), Err(VerifyError::TooLong(65536)));
}

#[test]
fn sources_are_written_before() {
    assert_eq!(error("mov a0, _\nexit pc+4"), VerifyError::ReadsSink(0));
    assert_eq!(error("mov a0, %64\nexit pc+4"), VerifyError::ReadsUnwritten { op: 0, reg: 64 });
    assert_eq!(error("addi %64, %64, 1\nexit pc+4"), VerifyError::ReadsUnwritten { op: 0, reg: 64 });
    assert_eq!(error("select a0, a0, a0, %70\nexit pc+4"), VerifyError::ReadsUnwritten { op: 0, reg: 70 });
    assert_eq!(error("cas.64 _, [a0], a1\nexit pc+4"), VerifyError::ReadsSink(0));
    assert_eq!(error("beq a0, %64, pc+0 else pc+4"), VerifyError::ReadsUnwritten { op: 0, reg: 64 });
}

#[test]
fn fields_are_valid() {
    let field = |code, change: fn(&mut Op)| {
        let mut bad = block("li a0, 1\nexit pc+4");
        bad.ops[0] = Op::new(code);
        change(&mut bad.ops[0]);
        bad.ops.truncate(if bad.ops[0].ends() { 1 } else { 2 });
        match verify(&bad) {
            Err(VerifyError::Field { op: 0, error }) => error,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(field(Opcode::Li, |op| op.b = 1), FieldError::Unused("b"));
    assert_eq!(field(Opcode::Mov, |op| op.c = 1), FieldError::Unused("c"));
    assert_eq!(field(Opcode::Add, |op| op.imm = 1), FieldError::Unused("imm"));
    assert_eq!(field(Opcode::Add, |op| op.aux = 1), FieldError::Unused("aux"));
    assert_eq!(field(Opcode::Select, |op| op.aux = 0x100), FieldError::Unused("aux"));
    assert_eq!(field(Opcode::Store8, |op| op.a = 1), FieldError::Unused("a"));
    assert_eq!(field(Opcode::LoadReserved, |op| op.imm = 8), FieldError::Unused("imm"));
    assert_eq!(field(Opcode::Load64, |op| op.aux = 2), FieldError::Size(2));
    assert_eq!(field(Opcode::AmoAdd, |op| op.aux = 4), FieldError::Size(4));
    assert_eq!(field(Opcode::Load64, |op| op.aux = 0x33), FieldError::Align);
    assert_eq!(field(Opcode::Load64, |op| op.aux = 0x1_0003), FieldError::Unused("aux"));
    assert_eq!(field(Opcode::FAdd, |op| op.aux = 5 << 12), FieldError::Rounding(5));
    assert_eq!(field(Opcode::FAdd, |op| op.aux = 3 << 8), FieldError::Format);
    assert_eq!(field(Opcode::FAdd, |op| op.aux = 1), FieldError::Unused("aux"));
    assert_eq!(field(Opcode::FAdd, |op| op.aux = 1 << 10), FieldError::Unused("aux"));
    assert_eq!(field(Opcode::FEq, |op| op.aux = 1 << 12), FieldError::Unused("aux"));
    assert_eq!(field(Opcode::FSqrt, |op| op.c = 1), FieldError::Unused("c"));
    assert_eq!(field(Opcode::JumpReg, |op| op.c = 4), FieldError::Hint(4));
}

#[test]
fn calls_know_where_they_are() {
    assert_eq!(error("callend _ = @9(zero, zero, 0), insn=0"), VerifyError::UnknownHelper { op: 0, id: 9 });
    let wrong = VerifyError::WrongInsn { op: 0, actual: 0, said: 1 };
    assert_eq!(error("callend _ = csr(zero, zero, 0), insn=1"), wrong);
    // An instruction without ops shares the index of the next.
    let text = "block 6 bytes\n; 0..2 1\n; 2..6 73\ncallend _ = csr(zero, zero, 0), insn=1";
    assert_eq!(verify(&parse(text, &names()).unwrap()), Ok(()));
}

#[test]
fn jumps_stay_in_reach() {
    assert_eq!(error("beq a0, a1, pc+0 else pc+8"), VerifyError::Offset(0));
    assert_eq!(error("beq a0, a1, pc+0 else pc+0"), VerifyError::Offset(0));
    assert_eq!(error("jump pc+0, ra = pc+6"), VerifyError::Offset(0));
    assert_eq!(error("exit pc+0x1000000000"), VerifyError::Offset(0));
    assert_eq!(verify(&block("jump pc-0x80000000, ra = pc+4")), Ok(()));
}

#[test]
fn boundaries_cover_the_bytes_in_order() {
    let with = |bounds: &[(u16, u16, u8)]| {
        let mut changed = block("li a0, 1\nexit pc+4");
        let bound = |&(op, offset, len)| Boundary { op, offset, len, raw: 0 };
        changed.bounds = bounds.iter().map(bound).collect();
        verify(&changed)
    };
    assert_eq!(with(&[(0, 0, 2), (0, 2, 2)]), Ok(()));
    assert_eq!(with(&[]), Err(VerifyError::Boundary(0)));
    assert_eq!(with(&[(1, 0, 4)]), Err(VerifyError::Boundary(0)));
    assert_eq!(with(&[(0, 2, 4)]), Err(VerifyError::Boundary(0)));
    assert_eq!(with(&[(0, 0, 2), (2, 2, 2)]), Err(VerifyError::Boundary(1)));
    assert_eq!(with(&[(0, 0, 1), (1, 1, 1), (0, 2, 2)]), Err(VerifyError::Boundary(2)));
    assert_eq!(with(&[(0, 0, 2), (1, 3, 2)]), Err(VerifyError::Boundary(1)));
    assert_eq!(with(&[(0, 0, 0)]), Err(VerifyError::EmptyInsn(0)));
    assert_eq!(with(&[(0, 0, 2)]), Err(VerifyError::Bytes { insns: 2, block: 4 }));
}

#[test]
fn the_sink_may_be_written() {
    let mut good = block("li a0, 1\nexit pc+4");
    good.ops[0].a = SINK;
    assert_eq!(verify(&good), Ok(()));
}
