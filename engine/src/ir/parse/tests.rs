//! Round trips of every op and of random blocks, and errors at their places.

use super::*;
use crate::ir::print::{op_text, print};
use crate::ir::testing::{blocks, names};
use proptest::prelude::*;

/// One line per shape and flag, as people write them.
const LINES: &[&str] = &[
    "add a0, a1, %64",
    "addi a0, sp, -0x800",
    "mov _, zero",
    "li a0, -0x8000000000000000",
    "li a0, 9",
    "addpc a0, pc-0x10",
    "select a0, a1, a2, %70",
    "add.uw a0, a1, a2",
    "ld.s32 a0, [a1+0xc]",
    "ld.box32 ft0, [a1-8]",
    "ld.64.be.unaligned.acq a0, [a1], mmu=3",
    "st.8.rel [a0+1], a1, mmu=0",
    "amo.add.32.acq.rel a0, [a1], a2",
    "amo.maxu.8 _, [a1], a2",
    "lr.64.aligned.acq a0, [a1]",
    "sc.64.aligned.rel a0, [a1], a2",
    "cas.16 a0, [a1], a2, mmu=7",
    "fence 0x33",
    "fadd.d.dyn ft0, ft1, ft2",
    "fmadd.s.rne ft0, ft1, ft2, ft3",
    "fsqrt.h.rmm.raw ft0, ft1",
    "fsgnj.d ft0, ft1, ft1",
    "fle.s a0, ft0, ft1",
    "fclass.d a0, ft0",
    "fcvt.s.d.rup ft0, ft1",
    "i322f.d.rdn ft0, a0",
    "f2u64.h.rtz a0, ft1",
    "beq a0, zero, pc-0x20 else pc+4",
    "jump pc+0x100, ra = pc+4",
    "jumpr a5-8, ra = pc+4, call",
    "jumpr ra+0, _ = pc+2, return",
    "jumpr t0+0, t0 = pc+2, return-call",
    "exit pc+0x1000",
    "call a0 = csr(a1, zero, 0x30052073), insn=3",
    "callend _ = @77(zero, zero, 0), insn=0",
    "fence 0x0",
];

#[test]
fn lines_come_back_as_written() {
    for line in LINES {
        let op = parse_op(line, &names()).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(op_text(&op, &names()).to_string(), *line);
    }
}

#[test]
fn every_code_round_trips() {
    for &code in Opcode::ALL {
        let mut op = Op::new(code);
        if let Aux::Mem(width) = code.fields().aux {
            op.aux = MemFlags::plain(width.into()).0;
        }
        let text = op_text(&op, &Names::none()).to_string();
        assert_eq!(parse_op(&text, &Names::none()).as_ref(), Ok(&op), "{text}");
    }
}

#[test]
fn an_invalid_op_prints_raw() {
    let op = Op { aux: 9, ..Op::rrr(Opcode::Add, 1, 2, 3) };
    let text = op_text(&op, &names()).to_string();
    assert_eq!(text, "!add a=1 b=2 c=3 aux=0x9 imm=0x0 (unused field aux is not zero)");
}

#[test]
fn blocks_show_their_instructions() {
    let text = "block 0x6 bytes\n; 0x0..0x2 4501  c.li a0,0\n    li a0, 0\n; 0x2..0x6 0000006f  j 0x2\n\
                \x20   jump pc+2, _ = pc+6\n";
    let asm = |b: &Boundary| Some(if b.len == 2 { "c.li a0,0" } else { "j 0x2" }.to_owned());
    let block = parse(text, &names()).unwrap();
    assert_eq!(block.bounds[1], Boundary { op: 1, offset: 2, len: 4, raw: 0x6f });
    assert_eq!(print(&block, &Names { asm: &asm, ..names() }), text);
}

#[test]
fn comments_and_spaces_are_free() {
    let text = "# a case\n\nblock 4 bytes # four\n;0x0 .. 0x4 13\n  add   a0,a1 , a2#sum\nexit pc + 4\n";
    let block = parse(text, &names()).unwrap();
    assert_eq!(block.ops[0], Op::rrr(Opcode::Add, 10, 11, 12));
    assert_eq!(block.ops[1].imm, 4);
}

#[test]
fn errors_name_the_place() {
    let at = |text: &str| parse(text, &names()).unwrap_err().to_string();
    assert_eq!(at(""), "1:1: expected `block <n> bytes` first");
    assert_eq!(at("add a0, a1, a2"), "1:1: expected `block <n> bytes` first");
    let op = |text: &str| parse_op(text, &names()).unwrap_err().to_string();
    assert_eq!(at("block 4 bytes\n  addq a0, a1"), "2:3: unknown op `addq`");
    assert_eq!(op("add a0, b1, a2"), "1:9: unknown register `b1`");
    assert_eq!(op("add a0, , a2"), "1:9: expected a register");
    assert_eq!(op("add a0 a1, a2"), "1:8: expected `,`");
    assert_eq!(op("addi a0, a1, x"), "1:14: expected a number");
    assert_eq!(op("li a0, 0x8000000000000000"), "1:8: number out of range");
    assert_eq!(op("mov %256, a0"), "1:6: number out of range");
    assert_eq!(op("ld.64 a0, [a1], mmu=256"), "1:21: number out of range");
    assert_eq!(op("beq a0, a1, pc+4 else pc-4"), "1:22: number out of range");
    assert_eq!(op("add a0, a1, a2 a3"), "1:16: expected the end of the line");
    assert_eq!(op("ld.64.rel.acq a0, [a1]"), "1:1: unknown or misplaced suffix `.acq`");
    assert_eq!(op("amo.add a0, [a1], a2"), "1:1: the op needs a suffix for the width");
    assert_eq!(op("fadd.d ft0, ft0, ft0"), "1:1: the op needs a suffix for the rounding mode");
    assert_eq!(op("call _ = nothing(zero, zero, 0), insn=0"), "1:10: unknown helper `nothing`");
    assert_eq!(op("jumpr a0+0, _ = pc+0, back"), "1:23: expected `call`, `return` or `return-call`");
}

proptest! {
    #[test]
    fn random_blocks_round_trip(block in blocks(40)) {
        let text = print(&block, &names());
        prop_assert_eq!(parse(&text, &names()), Ok(block), "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic(text in "(block 4 bytes\n)?[a-z0-9 ;.,%+=\\[\\]()é-]{0,60}") {
        let _ = parse(&text, &names());
    }
}
