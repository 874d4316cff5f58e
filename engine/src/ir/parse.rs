//! The text of IR back into a block: the inverse of [`super::print`].
//!
//! The problem: golden tests and reduced cases are written by people, so errors name line and column, `#` starts a
//! comment, and spaces are free. What follows the raw bits on a `;` line is disassembly and ignored.

use super::block::{Block, Boundary};
use super::fields::{Aux, Fields};
use super::op::{
    Align, CallSite, Fmt, FpFlags, JumpHint, MMU_CURRENT, MemFlags, Op, Opcode, Reg, SINK, Shape,
};
use super::print::{FORMATS, HINTS, Names, ROUNDINGS};
use thiserror::Error;

/// What is wrong with the text, and where (both from 1).
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{line}:{column}: {problem}")]
pub struct ParseError {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with the text of IR.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Problem {
    /// Something else should stand here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// No such op.
    #[error("unknown op `{0}`")]
    UnknownOp(String),
    /// No such register.
    #[error("unknown register `{0}`")]
    UnknownReg(String),
    /// No such helper.
    #[error("unknown helper `{0}`")]
    UnknownHelper(String),
    /// A suffix that the op does not have, or that stands at the wrong place.
    #[error("unknown or misplaced suffix `.{0}`")]
    UnknownSuffix(String),
    /// A suffix is missing.
    #[error("the op needs a suffix for {0}")]
    MissingSuffix(&'static str),
    /// A number that its field cannot hold.
    #[error("number out of range")]
    Range,
    /// A block needs a header line.
    #[error("expected `block <n> bytes` first")]
    NoHeader,
}

/// Parses a block.
pub fn parse(text: &str, names: &Names<'_>) -> Result<Block, ParseError> {
    let mut block = Block::default();
    let mut headed = false;
    for (i, line) in text.lines().enumerate() {
        let mut cursor = Cursor::new(line);
        parse_line(&mut cursor, &mut block, &mut headed, names)
            .map_err(|problem| cursor.locate(i, problem))?;
    }
    if headed { Ok(block) } else { Err(Cursor::new("").locate(0, Problem::NoHeader)) }
}

/// Parses one op.
pub fn parse_op(text: &str, names: &Names<'_>) -> Result<Op, ParseError> {
    let mut cursor = Cursor::new(text);
    let parsed = op(&mut cursor, names).and_then(|op| cursor.end().map(|()| op));
    parsed.map_err(|problem| cursor.locate(0, problem))
}

fn parse_line(
    c: &mut Cursor<'_>,
    block: &mut Block,
    headed: &mut bool,
    names: &Names<'_>,
) -> Result<(), Problem> {
    if c.end().is_ok() {
        return Ok(());
    }
    if !*headed {
        if !c.eat("block") {
            return Err(Problem::NoHeader);
        }
        block.bytes = c.narrow()?;
        c.expect("bytes", "`bytes`")?;
        *headed = true;
    } else if c.eat(";") {
        block.bounds.push(boundary(c, block.ops.len())?);
        return Ok(());
    } else {
        block.ops.push(op(c, names)?);
    }
    c.end()
}

fn boundary(c: &mut Cursor<'_>, op: usize) -> Result<Boundary, Problem> {
    let offset: u16 = c.narrow()?;
    c.expect("..", "`..`")?;
    let end: u32 = c.narrow()?;
    let len = end.checked_sub(offset.into()).and_then(|n| u8::try_from(n).ok()).ok_or(Problem::Range)?;
    let raw = u32::from_str_radix(c.word(), 16).map_err(|_| Problem::Expected("raw bits in hexadecimal"))?;
    Ok(Boundary { op: u16::try_from(op).map_err(|_| Problem::Range)?, offset, len, raw })
}

/// A place in a line.
struct Cursor<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(line: &'a str) -> Cursor<'a> {
        Cursor { line, at: 0 }
    }
    fn locate(&self, row: usize, problem: Problem) -> ParseError {
        let column = self.line.get(..self.at).map_or(0, |before| before.chars().count()) + 1;
        ParseError { line: row + 1, column, problem }
    }
    fn rest(&self) -> &'a str {
        self.line.get(self.at..).unwrap_or("")
    }
    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }
    /// Steps over `text` if it comes next.
    fn eat(&mut self, text: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }
    fn expect(&mut self, text: &str, what: &'static str) -> Result<(), Problem> {
        if self.eat(text) { Ok(()) } else { Err(Problem::Expected(what)) }
    }
    fn comma(&mut self) -> Result<(), Problem> {
        self.expect(",", "`,`")
    }
    /// Nothing but a comment may follow.
    fn end(&mut self) -> Result<(), Problem> {
        self.skip_space();
        if self.rest().is_empty() || self.rest().starts_with('#') {
            Ok(())
        } else {
            Err(Problem::Expected("the end of the line"))
        }
    }
    /// The name that comes next; empty if none does.
    fn word(&mut self) -> &'a str {
        self.skip_space();
        let rest = self.rest();
        let len = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "._".contains(c))).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }
    /// A number with an optional sign.
    fn number(&mut self) -> Result<i64, Problem> {
        let negative = self.eat("-");
        self.magnitude(negative)
    }
    fn magnitude(&mut self, negative: bool) -> Result<i64, Problem> {
        self.skip_space();
        let rest = self.rest();
        let (digits, radix) = rest.strip_prefix("0x").map_or((rest, 10), |digits| (digits, 16));
        let len = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        if len == 0 {
            return Err(Problem::Expected("a number"));
        }
        let value = i128::from_str_radix(&digits[..len], radix).map_err(|_| Problem::Range)?;
        let value = i64::try_from(if negative { -value } else { value }).map_err(|_| Problem::Range)?;
        self.at += rest.len() - digits.len() + len;
        Ok(value)
    }
    /// A number that fits its field.
    fn narrow<T: TryFrom<i64>>(&mut self) -> Result<T, Problem> {
        let at = self.at;
        T::try_from(self.number()?).map_err(|_| {
            self.at = at;
            Problem::Range
        })
    }
    /// A sign and a number, or nothing for zero.
    fn offset(&mut self) -> Result<i64, Problem> {
        match (self.eat("+"), self.eat("-")) {
            (false, false) => Ok(0),
            (_, negative) => self.magnitude(negative),
        }
    }
    fn pc(&mut self) -> Result<i64, Problem> {
        self.expect("pc", "`pc`")?;
        self.offset()
    }
    fn narrow_pc(&mut self) -> Result<u32, Problem> {
        let at = self.at;
        u32::try_from(self.pc()?).map_err(|_| {
            self.at = at;
            Problem::Range
        })
    }
    fn reg(&mut self, names: &Names<'_>) -> Result<Reg, Problem> {
        self.skip_space();
        let at = self.at;
        if self.eat("%") {
            return self.narrow();
        }
        let word = self.word();
        if word == "_" {
            return Ok(SINK);
        }
        let found = if word.is_empty() { None } else { (0..SINK).find(|&r| (names.reg)(r) == Some(word)) };
        found.ok_or_else(|| {
            self.at = at;
            if word.is_empty() { Problem::Expected("a register") } else { Problem::UnknownReg(word.into()) }
        })
    }
}

/// The op code that `word` starts with, up to a dot, and the suffixes after it.
fn split_code(word: &str) -> Option<(Opcode, &str)> {
    Opcode::ALL
        .iter()
        .filter_map(|&code| {
            let rest = word.strip_prefix(code.text())?;
            (rest.is_empty() || rest.starts_with('.')).then_some((code, rest))
        })
        .min_by_key(|(_, rest)| rest.len())
}

fn op(c: &mut Cursor<'_>, names: &Names<'_>) -> Result<Op, Problem> {
    c.skip_space();
    let start = c.at;
    let word = c.word();
    let back = |c: &mut Cursor<'_>, problem| {
        c.at = start;
        problem
    };
    let (code, rest) = split_code(word).ok_or_else(|| back(c, Problem::UnknownOp(word.into())))?;
    let mut op = Op::new(code);
    let fields = code.fields();
    op.aux = suffixes(fields, rest).map_err(|problem| back(c, problem))?;
    operands(c, &mut op, fields, names)?;
    Ok(op)
}

fn suffixes(fields: &Fields, rest: &str) -> Result<u32, Problem> {
    let mut list = Suffixes(rest.strip_prefix('.').map(|s| s.split('.').collect()).unwrap_or_default());
    let aux = match fields.aux {
        Aux::Mem(width) => list.memory(width.into()),
        Aux::MemAny => {
            let width = list.take(&[("8", 0), ("16", 1), ("32", 2), ("64", 3)]);
            list.memory(width.ok_or(Problem::MissingSuffix("the width"))?)
        }
        Aux::Fp => list.float(fields)?,
        _ => 0,
    };
    match list.0.first() {
        Some(other) => Err(Problem::UnknownSuffix(other.to_string())),
        None => Ok(aux),
    }
}

/// The dotted words after an op's name.
struct Suffixes<'a>(Vec<&'a str>);

impl Suffixes<'_> {
    /// Takes the next word if the table has it.
    fn take<T: Copy>(&mut self, table: &[(&str, T)]) -> Option<T> {
        let first = *self.0.first()?;
        let found = table.iter().find(|(word, _)| *word == first)?.1;
        self.0.remove(0);
        Some(found)
    }
    fn flag(&mut self, word: &str) -> bool {
        self.take(&[(word, ())]).is_some()
    }
    fn memory(&mut self, size: u32) -> u32 {
        let big = if self.flag("be") { 8 } else { 0 };
        let align =
            self.take(&[("aligned", Align::Trap), ("unaligned", Align::Any)]).unwrap_or(Align::Policy);
        let (acquire, release) = (self.flag("acq"), self.flag("rel"));
        MemFlags::plain(size).align(align).order(acquire, release).0 | big
    }
    fn format(&mut self) -> Result<Fmt, Problem> {
        self.take(&FORMATS).ok_or(Problem::MissingSuffix("the format"))
    }
    fn float(&mut self, fields: &Fields) -> Result<u32, Problem> {
        let fmt = self.format()?;
        let source = if fields.from { self.format()? } else { Fmt::S };
        let rm = if fields.rounds {
            self.take(&ROUNDINGS).ok_or(Problem::MissingSuffix("the rounding mode"))?
        } else {
            0
        };
        let boxed = if self.flag("raw") { 0 } else { u32::MAX };
        // Format S is zero, so an absent source format leaves the bits clear.
        Ok(FpFlags::boxed(fmt, rm).from(source).0 & (boxed | 0x7fff))
    }
}

fn operands(c: &mut Cursor<'_>, op: &mut Op, fields: &Fields, names: &Names<'_>) -> Result<(), Problem> {
    match op.code.shape() {
        Shape::Rrr | Shape::Rr | Shape::Rri | Shape::Rrrr | Shape::Float => {
            op.a = c.reg(names)?;
            let next = |c: &mut Cursor<'_>, used: bool| {
                if used { c.comma().and_then(|()| c.reg(names)) } else { Ok(0) }
            };
            op.b = next(c, fields.b)?;
            op.c = next(c, fields.c)?;
            op.aux |= u32::from(next(c, fields.d)?);
            if fields.imm {
                c.comma()?;
                op.imm = c.number()?;
            }
        }
        Shape::Ri => {
            op.a = c.reg(names)?;
            c.comma()?;
            op.imm = if op.code == Opcode::AddPc { c.pc()? } else { c.number()? };
        }
        Shape::Load | Shape::LoadReserved => {
            op.a = c.reg(names)?;
            c.comma()?;
            address(c, op, fields, names)?;
            mmu(c, op)?;
        }
        Shape::Store => {
            address(c, op, fields, names)?;
            c.comma()?;
            op.c = c.reg(names)?;
            mmu(c, op)?;
        }
        Shape::Amo | Shape::StoreCond | Shape::CompareSwap => {
            op.a = c.reg(names)?;
            c.comma()?;
            address(c, op, fields, names)?;
            c.comma()?;
            op.c = c.reg(names)?;
            mmu(c, op)?;
        }
        Shape::Branch => {
            op.b = c.reg(names)?;
            c.comma()?;
            op.c = c.reg(names)?;
            c.comma()?;
            op.imm = c.pc()?;
            c.expect("else", "`else`")?;
            op.aux = c.narrow_pc()?;
        }
        Shape::Jump => {
            op.imm = c.pc()?;
            linked(c, op, names)?;
        }
        Shape::JumpReg => {
            op.b = c.reg(names)?;
            op.imm = c.offset()?;
            linked(c, op, names)?;
            op.c = hint(c)? as u8;
        }
        Shape::Exit => op.imm = c.pc()?,
        Shape::Call => call(c, op, names)?,
        Shape::Fence => op.aux = c.narrow()?,
    }
    Ok(())
}

fn address(c: &mut Cursor<'_>, op: &mut Op, fields: &Fields, names: &Names<'_>) -> Result<(), Problem> {
    c.expect("[", "`[`")?;
    op.b = c.reg(names)?;
    if fields.imm {
        op.imm = c.offset()?;
    }
    c.expect("]", "`]`")
}

fn mmu(c: &mut Cursor<'_>, op: &mut Op) -> Result<(), Problem> {
    let index = if c.eat(",") {
        c.expect("mmu=", "`mmu=`")?;
        c.narrow()?
    } else {
        MMU_CURRENT
    };
    op.aux = MemFlags(op.aux).mmu(index).0;
    Ok(())
}

/// `, a = pc+aux`
fn linked(c: &mut Cursor<'_>, op: &mut Op, names: &Names<'_>) -> Result<(), Problem> {
    c.comma()?;
    op.a = c.reg(names)?;
    c.expect("=", "`=`")?;
    op.aux = c.narrow_pc()?;
    Ok(())
}

fn hint(c: &mut Cursor<'_>) -> Result<JumpHint, Problem> {
    if !c.eat(",") {
        return Ok(JumpHint::None);
    }
    // The longest first, for one word is the start of another.
    let found = HINTS.iter().rev().find(|(word, _)| c.eat(word));
    found.map(|(_, hint)| *hint).ok_or(Problem::Expected("`call`, `return` or `return-call`"))
}

fn call(c: &mut Cursor<'_>, op: &mut Op, names: &Names<'_>) -> Result<(), Problem> {
    op.a = c.reg(names)?;
    c.expect("=", "`=`")?;
    let id: u16 = if c.eat("@") { c.narrow()? } else { helper(c, names)? };
    c.expect("(", "`(`")?;
    op.b = c.reg(names)?;
    c.comma()?;
    op.c = c.reg(names)?;
    c.comma()?;
    op.imm = c.number()?;
    c.expect(")", "`)`")?;
    c.comma()?;
    c.expect("insn=", "`insn=`")?;
    op.aux = CallSite::new(id, c.narrow()?).0;
    Ok(())
}

fn helper(c: &mut Cursor<'_>, names: &Names<'_>) -> Result<u16, Problem> {
    c.skip_space();
    let at = c.at;
    let word = c.word();
    (0..=u16::MAX).find(|&id| (names.helper)(id) == Some(word)).ok_or_else(|| {
        c.at = at;
        Problem::UnknownHelper(word.into())
    })
}

#[cfg(test)]
mod tests;
