//! Decoding RV64GC: one table of rows, for the lifter and the disassembler alike.
//!
//! The problem: a boot meets a lot of code once, so finding an instruction's row must cost a few nanoseconds, and the
//! lifter and the disassembler must never disagree on what is legal. So every encoding is a [`Row`] in one table (files
//! `table_*`), which an index built at compile time splits into short buckets. Compressed instructions are rows with
//! operand formats of their own; what they do is said in the words of the full-size ones.
//!
//! Encodings: The RISC-V Instruction Set Manual, volume I chapter "RV32/64G Instruction Set Listings" and the
//! chapters of the extensions; volume II for the privileged ones.

use super::model::Model;

mod form;
mod index;
mod row;
mod table_a;
mod table_b;
mod table_c;
mod table_f;
mod table_i;
mod table_sys;

pub use form::Form;
pub use row::{Kind, Row};

/// A decoded instruction. Register operands are words of the register file: `f` registers are 32 and up.
#[derive(Clone, Copy, Debug)]
pub struct Insn {
    /// The row of the table.
    pub row: &'static Row,
    /// The encoding, zero-extended if compressed.
    pub raw: u32,
    /// 2 or 4 bytes.
    pub len: u8,
    /// Destination; 0 if there is none (as if `x0`).
    pub rd: u8,
    /// First source.
    pub rs1: u8,
    /// Second source.
    pub rs2: u8,
    /// Immediate, sign-extended; offsets are relative to the instruction.
    pub imm: i64,
}

impl Insn {
    /// The third float source of the multiply-add family.
    pub const fn rs3(&self) -> u8 {
        super::F0 + (self.raw >> 27) as u8
    }
    /// The rounding mode or third function field.
    pub const fn rm(&self) -> u8 {
        (self.raw >> 12 & 7) as u8
    }
    /// The CSR number.
    pub const fn csr(&self) -> u16 {
        (self.raw >> 20) as u16
    }
}

/// The encoding at the start of `code` and its length; `None` if `code` ends before the instruction does.
///
/// Encodings of 48 bits and more are taken as four illegal bytes.
#[inline]
pub fn fetch(code: &[u8]) -> Option<(u32, u8)> {
    if let Some(word) = code.first_chunk::<4>() {
        let word = u32::from_le_bytes(*word);
        return Some(if word & 3 == 3 { (word, 4) } else { (word & 0xffff, 2) });
    }
    let half = u16::from_le_bytes(*code.first_chunk::<2>()?);
    (half & 3 != 3).then_some((half as u32, 2))
}

/// Decodes one encoding for a CPU model; `None` = illegal instruction.
#[inline]
pub fn decode(model: &Model, raw: u32) -> Option<Insn> {
    decode_if(raw, |row| row.needs.iter().all(|e| model.has(*e)))
}

/// Decodes one encoding as if every extension were there.
pub fn decode_any(raw: u32) -> Option<Insn> {
    decode_if(raw, |_| true)
}

#[inline]
fn decode_if(raw: u32, enabled: impl Fn(&Row) -> bool) -> Option<Insn> {
    let row = index::rows(raw).find(|row| raw & row.mask == row.bits && enabled(row))?;
    if row.kind == Kind::Reserved || row.form.has_rm() && matches!(raw >> 12 & 7, 5 | 6) {
        return None;
    }
    let o = row.form.operands(raw);
    let len = if raw & 3 == 3 { 4 } else { 2 };
    Some(Insn { row, raw, len, rd: o.rd, rs1: o.rs1, rs2: o.rs2, imm: o.imm })
}

#[cfg(test)]
mod tests;
