//! Assembly text of RISC-V instructions, from the decode table.
//!
//! Mnemonics are those of the encoding (`c.` and all), but for the few pseudo-instructions that everybody reads: `nop`,
//! `mv`, `li`, `j`, `jr`, `ret`, `beqz`, `bnez`. Branch targets are absolute.

use super::csr;
use super::decode::{self, Form, Insn, Kind};
use super::lift::fli_constant;
use crate::ir::Opcode;
use std::fmt::Write;

#[rustfmt::skip]
const NAMES: [&str; 64] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5",
    "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5",
    "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
];

/// ABI name of a register-file word, `None` for temporaries.
pub fn reg_name(reg: u8) -> Option<&'static str> {
    NAMES.get(reg as usize).copied()
}

fn name(reg: u8) -> &'static str {
    reg_name(reg).unwrap_or("?")
}

/// The text of the instruction at the start of `code`, which is at `pc`, and how many bytes it takes (0 if `code` is empty).
/// What no extension defines is shown as data.
pub fn disassemble(code: &[u8], pc: u64) -> (String, usize) {
    let Some((raw, len)) = decode::fetch(code) else {
        return match *code {
            [] => (String::new(), 0),
            [byte] => (format!(".byte {byte:#04x}"), 1),
            [low, high, ..] => (format!(".2byte {:#06x}", u16::from_le_bytes([low, high])), 2),
        };
    };
    let text = match decode::decode_any(raw) {
        Some(insn) => pseudo(&insn, pc).unwrap_or_else(|| plain(&insn, pc)),
        None if len == 2 => format!(".2byte {raw:#06x}"),
        None => format!(".4byte {raw:#010x}"),
    };
    (text, len as usize)
}

/// The text of an instruction that has a common name of another kind.
fn pseudo(i: &Insn, pc: u64) -> Option<String> {
    let (rd, rs1, rs2) = (name(i.rd), name(i.rs1), name(i.rs2));
    let target = pc.wrapping_add(i.imm as u64);
    Some(match i.row.kind {
        Kind::Nop if i.row.form == Form::CNop => "nop".to_owned(),
        Kind::Imm(Opcode::AddI) if i.rd == 0 && i.rs1 == 0 && i.imm == 0 => "nop".to_owned(),
        Kind::Imm(Opcode::AddI) if i.rs1 == 0 && i.row.form != Form::CI => format!("li {rd},{}", i.imm),
        Kind::Imm(Opcode::AddI) if i.imm == 0 && i.row.form == Form::I => format!("mv {rd},{rs1}"),
        Kind::Reg(Opcode::Add) if i.row.form == Form::CMv => format!("mv {rd},{rs2}"),
        Kind::Jal if i.rd == 0 => format!("j {target:#x}"),
        Kind::Jalr if i.rd == 0 && i.imm == 0 && i.rs1 == 1 => "ret".to_owned(),
        Kind::Jalr if i.rd == 0 && i.imm == 0 => format!("jr {rs1}"),
        Kind::Branch(Opcode::BrEq) if i.rs2 == 0 => format!("beqz {rs1},{target:#x}"),
        Kind::Branch(Opcode::BrNe) if i.rs2 == 0 => format!("bnez {rs1},{target:#x}"),
        _ => return None,
    })
}

/// The text of an instruction as encoded.
fn plain(i: &Insn, pc: u64) -> String {
    let mut s = String::from(i.row.name);
    if matches!(i.row.form, Form::Amo | Form::LoadReserved) {
        s.push_str(match i.raw >> 25 & 3 {
            0 => "",
            1 => ".rl",
            2 => ".aq",
            _ => ".aqrl",
        });
    }
    let syntax = i.row.form.syntax();
    if !syntax.is_empty() {
        s.push(' ');
    }
    for c in syntax.chars() {
        operand(&mut s, c, i, pc);
    }
    s
}

/// Appends one operand of [`Form::syntax`].
fn operand(s: &mut String, letter: char, i: &Insn, pc: u64) {
    // Writing to a string cannot fail.
    let _ = match letter {
        'd' => s.write_str(name(i.rd)),
        's' => s.write_str(name(i.rs1)),
        't' => s.write_str(name(i.rs2)),
        'r' => s.write_str(name(i.rs3())),
        'i' | 'z' => write!(s, "{}", i.imm),
        'x' => write!(s, "{:#x}", i.imm),
        'U' => write!(s, "{:#x}", i.imm >> 12 & 0xf_ffff),
        'b' => write!(s, "{:#x}", pc.wrapping_add(i.imm as u64)),
        'c' => match csr::name(i.csr()) {
            Some(name) => s.write_str(&name),
            None => write!(s, "{:#x}", i.csr()),
        },
        'p' => s.write_str(fence_set(i.raw >> 24)),
        'q' => s.write_str(fence_set(i.raw >> 20)),
        'f' => s.write_str(&constant(i.imm as usize)),
        'm' => s.write_str(match i.rm() {
            0 => ",rne",
            1 => ",rtz",
            2 => ",rdn",
            3 => ",rup",
            4 => ",rmm",
            _ => "",
        }),
        other => s.write_char(other),
    };
}

fn fence_set(bits: u32) -> &'static str {
    const SETS: [&str; 16] =
        ["0", "w", "r", "rw", "o", "ow", "or", "orw", "i", "iw", "ir", "irw", "io", "iow", "ior", "iorw"];
    SETS[bits as usize & 15]
}

/// The operand of FLI; number 1 is the smallest normal number of whichever format.
fn constant(number: usize) -> String {
    match number & 31 {
        1 => "min".to_owned(),
        30 => "inf".to_owned(),
        31 => "nan".to_owned(),
        n => format!("{:?}", f64::from(fli_constant(n))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: u32, want: &str) {
        let (text, len) = disassemble(&raw.to_le_bytes(), 0x8000_0000);
        assert_eq!((text.as_str(), len), (want, if raw & 3 == 3 { 4 } else { 2 }), "{raw:#x}");
    }

    #[test]
    fn texts() {
        check(0x0055_8513, "addi a0,a1,5");
        check(0xff85_3683, "ld a3,-8(a0)");
        check(0xe914, "c.sd a3,16(a0)");
        check(0xfed5_19e3, "bne a0,a3,0x7ffffff2");
        check(0x8000_0537, "lui a0,0x80000");
        check(0x7139, "c.addi16sp sp,-64");
        check(0x28c5_a02f, "amocas.w zero,a2,(a1)");
        check(0x1605_b52f, "lr.d.aqrl a0,(a1)");
        check(0x0310_000f, "fence rw,w");
        check(0x1405_1573, "csrrw a0,sscratch,a0");
        check(0x1001_7073, "csrrci zero,sstatus,2");
        check(0x6ac5_8543, "fmadd.d fa0,fa1,fa2,fa3,rne");
        check(0x00c5_f553, "fadd.s fa0,fa1,fa2");
        check(0xf210_8553, "fli.d fa0,min");
        check(0xf018_0553, "fli.s fa0,1.0");
        check(0x12b5_0073, "sfence.vma a0,a1");
        check(0x0045_200f, "cbo.zero (a0)");
    }

    #[test]
    fn pseudo_instructions() {
        check(0x0001, "nop");
        check(0x0000_0013, "nop");
        check(0x0005_8513, "mv a0,a1");
        check(0x852e, "mv a0,a1");
        check(0x4505, "li a0,1");
        check(0x8082, "ret");
        check(0x0000_8067, "ret");
        check(0x8502, "jr a0");
        check(0xbffd, "j 0x7ffffffe");
        check(0xd17d, "beqz a0,0x7fffffe6");
    }

    #[test]
    fn what_is_not_an_instruction_is_data() {
        check(0, ".2byte 0x0000");
        check(0xffff_ffff, ".4byte 0xffffffff");
        assert_eq!(disassemble(&[], 0), (String::new(), 0));
        assert_eq!(disassemble(&[0x13], 0), (".byte 0x13".to_owned(), 1));
        assert_eq!(disassemble(&[0x13, 5, 0], 0), (".2byte 0x0513".to_owned(), 2));
    }
}
