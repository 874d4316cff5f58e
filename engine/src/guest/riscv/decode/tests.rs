//! What is legal, and operands of encodings that are easy to get wrong.

use super::*;
use crate::guest::riscv::model::Ext;

fn name(raw: u32) -> Option<&'static str> {
    decode_any(raw).map(|i| i.row.name)
}

#[test]
fn legal_compressed_encodings() {
    // Counted by hand from the listings of the quadrants: all halves less the reserved ones.
    let halves = || (0..0x1_0000u32).filter(|h| h & 3 != 3);
    let all = Model::default();
    let legal = |h: u32| decode(&all, h).is_some();
    let per_quadrant = |q: u32| halves().filter(|h| h & 3 == q && legal(*h)).count();
    // Seven rows of 2048, without the eight zero immediates of c.addi4spn, and Zcb's part of the eighth: c.lbu,
    // c.lhu and c.lh, c.sb, c.sh.
    let zcb_memory = 256 + 256 + 256 + 128;
    assert_eq!(per_quadrant(0), 7 * 2048 - 8 + zcb_memory);
    // Less c.addiw to x0, c.lui and c.addi16sp of 0, and what Zcb leaves of the last arithmetic pattern.
    let reserved_arith = 64 - 6 * 8;
    assert_eq!(per_quadrant(1), 8 * 2048 - 64 - 32 - reserved_arith);
    // Less c.lwsp and c.ldsp to x0, and c.jr x0.
    assert_eq!(per_quadrant(2), 8 * 2048 - 64 - 64 - 1);

    let mut bare = Model::default();
    bare.set(Ext::Zcb, false);
    let zcb = halves().filter(|h| legal(*h) && decode(&bare, *h).is_none()).count();
    assert_eq!(zcb, zcb_memory + 64 + 6 * 8);
    assert!(
        halves().all(|h| decode_any(h).is_none_or(|i| i.len == 2 && i.rd < 64 && i.rs1 < 64 && i.rs2 < 64))
    );
}

#[test]
fn reserved_encodings_are_illegal() {
    for raw in [
        0x0000_0000,           // all zero
        0xffff_ffff,           // all ones
        0x0000_5053,           // fadd.s rm = 5
        0x0000_6053,           // fadd.s rm = 6
        0x0220_95bb,           // slliw by 32 with the sixth bit set
        0x1010_a02f | 1 << 20, // lr.w with rs2
        0x2820_c0af,           // amocas.q with rd = x1
        0x2830_c02f,           // amocas.q with rs2 = x3
        0x0000_9067,           // jalr with a third function field
        0x3020_00f3,           // mret with rd
        0x1200_00f3,           // sfence.vma with rd
        0x0000_a08f,           // cbo.inval with rd
        0xc280_0053 | 2 << 25, // fcvtmod with dynamic rounding and the wrong format
        0x6000_9713 | 6 << 20, // beyond sext.h
    ] {
        assert_eq!(name(raw), None, "{raw:#x}");
    }
}

#[test]
fn ignored_fields_and_special_cases() {
    for (raw, want) in [
        (0x0ff0_000f, "fence"),
        (0x5ff1_818f, "fence"), // reserved mode and registers
        (0x0100_000f, "pause"),
        (0x8330_000f, "fence.tso"),
        (0xfff1_918f, "fence.i"), // reserved fields
        (0x0000_6013, "prefetch.i"),
        (0x0210_e013, "prefetch.r"),
        (0x0020_e013, "ori"), // no prefetch has number 2
        (0x0000_e093, "ori"),
        (0x0801_453b, "zext.h"),
        (0xc287_9553, "fcvtmod.w.d"),
        (0x2820_c02f, "amocas.q"),
    ] {
        assert_eq!(name(raw), Some(want), "{raw:#x}");
    }
}

#[test]
fn absent_extensions_are_illegal_and_hints_stay() {
    let mut m = Model::default();
    for (ext, raw) in [
        (Ext::Zba, 0x20b5_2533), // sh1add
        (Ext::Zicboz, 0x0045_200f),
        (Ext::Zawrs, 0x00d0_0073),
        (Ext::Svinval, 0x1800_0073),
        (Ext::Zfhmin, 0x0005_1507), // flh
        (Ext::Zacas, 0x28b5_252f),
        (Ext::Zicond, 0x0eb5_5533),
    ] {
        assert!(decode(&m, raw).is_some(), "{raw:#x}");
        m.set(ext, false);
        assert!(decode(&m, raw).is_none(), "{raw:#x}");
    }
    m.set(Ext::Zicbop, false);
    m.set(Ext::Zihintpause, false);
    assert!(decode(&m, 0x0000_6013).is_some_and(|i| i.row.name == "ori"));
    assert!(decode(&m, 0x0100_000f).is_some_and(|i| i.row.name == "fence"));
}

#[test]
fn a_cut_off_encoding_is_no_encoding() {
    assert_eq!(fetch(&[]), None);
    assert_eq!(fetch(&[1]), None);
    assert_eq!(fetch(&[1, 0]), Some((1, 2)));
    assert_eq!(fetch(&[1, 0, 0xff]), Some((1, 2)));
    assert_eq!(fetch(&[0x13, 0, 0]), None);
    assert_eq!(fetch(&[0x13, 0, 0, 0]), Some((0x13, 4)));
}

#[test]
fn rows_do_what_their_names_say() {
    use crate::ir::Opcode;
    let find = |name: &str| index::TABLE.iter().find(|r| r.name == name);
    for row in &index::TABLE {
        match row.kind {
            Kind::Reg(op) | Kind::Imm(op) | Kind::Unary(op) | Kind::Branch(op) if row.bits & 3 == 3 => {
                assert_eq!(row.name, op.text());
            }
            Kind::Amo(op, size) => {
                assert_eq!(
                    row.name.replace("amo", "amo."),
                    format!("{}.{}", op.text(), ["w", "d"][size as usize - 2])
                );
            }
            Kind::Float(Opcode::FCvt | Opcode::FMoveX | Opcode::FMoveF) => {}
            Kind::Float(op) if !row.name.starts_with("fcvt.") => {
                assert_eq!(row.name.split('.').next(), Some(op.text()));
            }
            _ => {}
        }
        // A compressed instruction does what the full-size one of that name does.
        if let Some(full) = row.name.strip_prefix("c.").and_then(find) {
            assert_eq!(row.kind, full.kind, "{}", row.name);
        }
    }
    for (name, op) in [
        ("fcvt.w.s", Opcode::FToI32),
        ("fcvt.wu.d", Opcode::FToU32),
        ("fcvt.l.h", Opcode::FToI64),
        ("fcvt.lu.s", Opcode::FToU64),
        ("fcvt.s.w", Opcode::FFromI32),
        ("fcvt.d.wu", Opcode::FFromU32),
        ("fcvt.h.l", Opcode::FFromI64),
        ("fcvt.s.lu", Opcode::FFromU64),
        ("fcvt.s.d", Opcode::FCvt),
        ("fcvtmod.w.d", Opcode::FCvtMod),
    ] {
        assert_eq!(find(name).map(|r| r.kind), Some(Kind::Float(op)), "{name}");
    }
}
