//! The text of IR, for golden tests and for people.
//!
//! The problem: a block must read well beside the guest code it came from, and [`super::parse`] must get the same
//! block back. So there is one op a line, a `;` line for each guest instruction, and every field that is not at
//! its default is printed by name:
//!
//! ```text
//! block 0xa bytes
//! ; 0x0..0x4 00c5a503  lw a0,12(a1)
//!     ld.s32 a0, [a1+0xc]
//! ; 0x4..0x8 00b57463  bgeu a0,a1,8
//!     bgeu a0, a1, pc+0xc else pc+0x8
//! ```
//!
//! An op whose fields are invalid prints raw, after a `!`.

use super::block::{Block, Boundary};
use super::fields::{Aux, Fields};
use super::op::{
    Align, CallSite, Fmt, FpFlags, JumpHint, MMU_CURRENT, MemFlags, Op, RM_DYNAMIC, Reg, SINK, Shape,
};
use crate::guest::Guest;
use std::fmt::{self, Display, Write};

/// How registers, helpers and guest instructions are named.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// The name of a register-file word, `None` for temporaries.
    pub reg: &'a dyn Fn(Reg) -> Option<&'static str>,
    /// The name of a helper.
    pub helper: &'a dyn Fn(u16) -> Option<&'static str>,
    /// The disassembly of a guest instruction.
    pub asm: &'a dyn Fn(&Boundary) -> Option<String>,
}

impl Names<'static> {
    /// No names: numbers only.
    pub fn none() -> Names<'static> {
        Names { reg: &|_| None, helper: &|_| None, asm: &|_| None }
    }

    /// The names of a guest ISA, without disassembly.
    pub fn of<G: Guest>() -> Names<'static> {
        Names { reg: &|r| G::reg_name(r), helper: &|id| G::helper_desc(id).map(|d| d.name), asm: &|_| None }
    }
}

/// Disassembles the guest instructions of a block at `pc`, for [`Names::asm`]. Instructions of more bytes than a boundary
/// keeps have no text.
pub fn disassembler<G: Guest>(pc: u64) -> impl Fn(&Boundary) -> Option<String> {
    move |bound| {
        let raw = bound.raw.to_le_bytes();
        let code = raw.get(..usize::from(bound.len))?;
        Some(G::disassemble(code, pc.wrapping_add(bound.offset.into())).0)
    }
}

/// The text of a block, with a newline at the end.
pub fn print(block: &Block, names: &Names<'_>) -> String {
    let mut out = String::with_capacity(48 * (block.ops.len() + block.bounds.len()) + 32);
    // Writing to a string cannot fail.
    let _ = writeln!(out, "block {:#x} bytes", block.bytes);
    let mut bounds = block.bounds.iter().peekable();
    for (i, op) in block.ops.iter().enumerate() {
        while let Some(bound) = bounds.next_if(|b| usize::from(b.op) <= i) {
            boundary(&mut out, bound, names);
        }
        let _ = writeln!(out, "    {}", op_text(op, names));
    }
    for bound in bounds {
        boundary(&mut out, bound, names);
    }
    out
}

fn boundary(out: &mut String, bound: &Boundary, names: &Names<'_>) {
    let digits = usize::from(bound.len).min(4) * 2;
    let end = u32::from(bound.offset) + u32::from(bound.len);
    let _ = write!(out, "; {:#x}..{end:#x} {:0digits$x}", bound.offset, bound.raw);
    if let Some(text) = (names.asm)(bound) {
        let _ = write!(out, "  {text}");
    }
    out.push('\n');
}

/// One op, to be formatted with `{}`.
pub fn op_text<'a>(op: &'a Op, names: &'a Names<'a>) -> impl Display + 'a {
    OpText { op, names }
}

struct OpText<'a> {
    op: &'a Op,
    names: &'a Names<'a>,
}

/// A register by name, `%n` for a temporary, `_` for the sink.
struct RegText(Reg, Option<&'static str>);

impl Display for RegText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (SINK, _) => f.write_str("_"),
            (_, Some(name)) => f.write_str(name),
            (n, None) => write!(f, "%{n}"),
        }
    }
}

/// A signed number: decimal below ten, else hexadecimal.
struct Num(i64);

impl Display for Num {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        match self.0.unsigned_abs() {
            n @ 0..10 => write!(f, "{sign}{n}"),
            n => write!(f, "{sign}{n:#x}"),
        }
    }
}

/// What is added to a base, with its sign.
struct Offset(i64);

impl Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 0 { write!(f, "+{}", Num(self.0)) } else { Num(self.0).fmt(f) }
    }
}

/// The suffixes of formats, by [`Fmt`].
pub(super) const FORMATS: [(&str, Fmt); 3] = [("s", Fmt::S), ("d", Fmt::D), ("h", Fmt::H)];
/// The suffixes of rounding modes, by their RISC-V numbers.
pub(super) const ROUNDINGS: [(&str, u8); 6] =
    [("rne", 0), ("rtz", 1), ("rdn", 2), ("rup", 3), ("rmm", 4), ("dyn", RM_DYNAMIC)];
/// The words for jump hints.
pub(super) const HINTS: [(&str, JumpHint); 3] =
    [("call", JumpHint::Call), ("return", JumpHint::Return), ("return-call", JumpHint::ReturnCall)];

fn word_for<T: PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, v)| *v == value).map_or("?", |(word, _)| word)
}

impl OpText<'_> {
    fn reg(&self, reg: Reg) -> RegText {
        RegText(reg, (self.names.reg)(reg))
    }

    fn memory_suffixes(&self, f: &mut fmt::Formatter<'_>, fixed_width: bool) -> fmt::Result {
        let flags = MemFlags(self.op.aux);
        if !fixed_width {
            write!(f, ".{}", 8 << flags.size())?;
        }
        if flags.0 & 8 != 0 {
            f.write_str(".be")?;
        }
        f.write_str(match flags.align_rule() {
            Align::Policy => "",
            Align::Trap => ".aligned",
            Align::Any => ".unaligned",
        })?;
        f.write_str(if flags.acquire() { ".acq" } else { "" })?;
        f.write_str(if flags.release() { ".rel" } else { "" })
    }

    fn float_suffixes(&self, f: &mut fmt::Formatter<'_>, fields: &Fields) -> fmt::Result {
        let flags = FpFlags(self.op.aux);
        write!(f, ".{}", word_for(&FORMATS, flags.fmt()))?;
        if fields.from {
            write!(f, ".{}", word_for(&FORMATS, flags.source()))?;
        }
        if fields.rounds {
            write!(f, ".{}", word_for(&ROUNDINGS, flags.rm()))?;
        }
        f.write_str(if flags.is_boxed() { "" } else { ".raw" })
    }

    /// `[b+imm]`, or `[b]` for ops without an offset.
    fn address(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.op.imm {
            0 => write!(f, "[{}]", self.reg(self.op.b)),
            imm => write!(f, "[{}{}]", self.reg(self.op.b), Offset(imm)),
        }
    }

    fn mmu(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match MemFlags(self.op.aux).mmu_index() {
            MMU_CURRENT => Ok(()),
            index => write!(f, ", mmu={index}"),
        }
    }

    fn call(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = self.op;
        let site = CallSite(op.aux);
        write!(f, " {} = ", self.reg(op.a))?;
        match (self.names.helper)(site.id()) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "@{}", site.id())?,
        }
        write!(f, "({}, {}, {}), insn={}", self.reg(op.b), self.reg(op.c), Num(op.imm), site.insn())
    }

    fn registers(&self, f: &mut fmt::Formatter<'_>, fields: &Fields) -> fmt::Result {
        let op = self.op;
        write!(f, " {}", self.reg(op.a))?;
        if fields.b {
            write!(f, ", {}", self.reg(op.b))?;
        }
        if fields.c {
            write!(f, ", {}", self.reg(op.c))?;
        }
        if fields.d {
            write!(f, ", {}", self.reg(op.reg_d()))?;
        }
        Ok(())
    }
}

impl Display for OpText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = self.op;
        if let Err(error) = op.check_fields() {
            return write!(f, "!{op:?} ({error})");
        }
        let fields = op.code.fields();
        f.write_str(op.code.text())?;
        match fields.aux {
            Aux::Mem(_) => self.memory_suffixes(f, true)?,
            Aux::MemAny => self.memory_suffixes(f, false)?,
            Aux::Fp => self.float_suffixes(f, fields)?,
            _ => {}
        }
        let reg = |r| self.reg(r);
        match op.code.shape() {
            Shape::Rrr | Shape::Rr | Shape::Rrrr | Shape::Float => self.registers(f, fields),
            Shape::Rri => write!(f, " {}, {}, {}", reg(op.a), reg(op.b), Num(op.imm)),
            Shape::Ri if op.code == super::Opcode::AddPc => write!(f, " {}, pc{}", reg(op.a), Offset(op.imm)),
            Shape::Ri => write!(f, " {}, {}", reg(op.a), Num(op.imm)),
            Shape::Load | Shape::LoadReserved => {
                write!(f, " {}, ", reg(op.a))?;
                self.address(f)?;
                self.mmu(f)
            }
            Shape::Store => {
                f.write_str(" ")?;
                self.address(f)?;
                write!(f, ", {}", reg(op.c))?;
                self.mmu(f)
            }
            Shape::Amo | Shape::StoreCond | Shape::CompareSwap => {
                write!(f, " {}, ", reg(op.a))?;
                self.address(f)?;
                write!(f, ", {}", reg(op.c))?;
                self.mmu(f)
            }
            Shape::Branch => {
                let (yes, no) = (Offset(op.imm), Offset(op.aux.into()));
                write!(f, " {}, {}, pc{yes} else pc{no}", reg(op.b), reg(op.c))
            }
            Shape::Jump => write!(f, " pc{}, {} = pc{}", Offset(op.imm), reg(op.a), Offset(op.aux.into())),
            Shape::JumpReg => {
                write!(f, " {}{}, {} = pc{}", reg(op.b), Offset(op.imm), reg(op.a), Offset(op.aux.into()))?;
                match JumpHint::from_bits(op.c) {
                    None | Some(JumpHint::None) => Ok(()),
                    Some(hint) => write!(f, ", {}", word_for(&HINTS, hint)),
                }
            }
            Shape::Exit => write!(f, " pc{}", Offset(op.imm)),
            Shape::Call => self.call(f),
            Shape::Fence => write!(f, " {:#x}", op.aux),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::LiftInput;
    use crate::guest::riscv::{KEY_FS_DIRTY, Riscv};

    #[test]
    fn guest_code_beside_its_ops() {
        // c.addi a0,-16; ld a1,8(a0); csrr a2,mscratch; bnez a1,.-10
        let code = [0x41, 0x15, 0x83, 0x35, 0x85, 0, 0x73, 0x26, 0, 0x34, 0xe3, 0x9b, 5, 0xfe];
        let block =
            Riscv::lift(&Default::default(), LiftInput { code: &code, key: KEY_FS_DIRTY, max_insns: 9 });
        let asm = disassembler::<Riscv>(0x8000_0000);
        let text = print(&block, &Names { asm: &asm, ..Names::of::<Riscv>() });
        let ops: Vec<&str> = text.lines().filter(|line| !line.starts_with(';')).collect();
        assert_eq!(
            ops,
            [
                "block 0xe bytes",
                "    addi a0, a0, -0x10",
                "    ld.64 a1, [a0+8]",
                "    call a2 = csr(zero, zero, 0x34002673), insn=2",
                "    bne a1, zero, pc+0 else pc+0xe",
            ]
        );
        let asm: Vec<&str> = text.lines().filter(|line| line.starts_with(';')).collect();
        assert!(asm[0].starts_with("; 0x0..0x2 1541  ") && asm[0].contains("-16"), "{text}");
        assert!(asm[3].starts_with("; 0xa..0xe fe059be3  bn") && asm[3].contains("80000000"), "{text}");
    }
}
