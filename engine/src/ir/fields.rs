//! Which fields each op uses, as data.
//!
//! The problem: printer, parser, verifier and every pass ask the same questions of an op (what does it read, what
//! does it write, what must be zero) and must get the same answer. [`Shape`] answers for all but the float ops,
//! whose operand count and rounding depend on the code. Passes ask for every op of every block at boot, so the
//! answer is one table look-up.

use super::op::{Align, Effects, JumpHint, MemFlags, Op, Opcode, RM_DYNAMIC, Reg, SINK, Shape};
use thiserror::Error;

/// What [`Op::aux`] holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aux {
    /// Nothing.
    None,
    /// A fourth register.
    Reg,
    /// [`MemFlags`] of an op whose code fixes the width (log2 of bytes).
    Mem(u8),
    /// [`MemFlags`] of an op of any width.
    MemAny,
    /// [`super::FpFlags`].
    Fp,
    /// An offset from the pc of the block.
    Pc,
    /// [`super::CallSite`].
    Call,
    /// The sets of a fence.
    Sets,
}

/// What the fields of one op code hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fields {
    /// `a` is a destination.
    pub writes_a: bool,
    /// `a` is a source too.
    pub reads_a: bool,
    /// `b` is a source.
    pub b: bool,
    /// `c` is a source.
    pub c: bool,
    /// Bits 0..8 of `aux` are a source.
    pub d: bool,
    /// `imm` is used.
    pub imm: bool,
    /// What `aux` holds.
    pub aux: Aux,
    /// A float op with a rounding mode.
    pub rounds: bool,
    /// A float op with a source format.
    pub from: bool,
    /// No effect but the result.
    pub pure: bool,
    /// May raise a guest exception.
    pub faults: bool,
}

const NOTHING: Fields = Fields {
    writes_a: false,
    reads_a: false,
    b: false,
    c: false,
    d: false,
    imm: false,
    aux: Aux::None,
    rounds: false,
    from: false,
    pure: false,
    faults: false,
};
const AB: Fields = Fields { writes_a: true, b: true, ..NOTHING };
const ABC: Fields = Fields { c: true, ..AB };

/// log2 of the width that the code of a load or store fixes.
const fn width(code: Opcode) -> u8 {
    use Opcode::*;
    match code {
        LoadS8 | LoadU8 | Store8 => 0,
        LoadS16 | LoadU16 | LoadBox16 | Store16 => 1,
        LoadS32 | LoadU32 | LoadBox32 | Store32 => 2,
        _ => 3,
    }
}

const fn float(code: Opcode) -> Fields {
    use Opcode::*;
    let one = Fields { aux: Aux::Fp, ..AB };
    let two = Fields { aux: Aux::Fp, ..ABC };
    match code {
        FAdd | FSub | FMul | FDiv => Fields { rounds: true, ..two },
        FMadd | FMsub | FNmsub | FNmadd => Fields { rounds: true, d: true, ..two },
        FSgnj | FSgnjn | FSgnjx | FMin | FMax | FMinM | FMaxM | FEq | FLt | FLe | FLtq | FLeq => two,
        FClass | FMoveX | FMoveF => one,
        FCvt => Fields { rounds: true, from: true, ..one },
        _ => Fields { rounds: true, ..one },
    }
}

const fn fields_of(code: Opcode) -> Fields {
    let by_shape = match code.shape() {
        Shape::Rrr => ABC,
        Shape::Rri => Fields { imm: true, ..AB },
        Shape::Rr => AB,
        Shape::Ri => Fields { writes_a: true, imm: true, ..NOTHING },
        Shape::Rrrr => Fields { d: true, aux: Aux::Reg, ..ABC },
        Shape::Load => Fields { imm: true, aux: Aux::Mem(width(code)), ..AB },
        Shape::Store => Fields { b: true, c: true, imm: true, aux: Aux::Mem(width(code)), ..NOTHING },
        Shape::Amo | Shape::StoreCond => Fields { aux: Aux::MemAny, ..ABC },
        Shape::LoadReserved => Fields { aux: Aux::MemAny, ..AB },
        Shape::CompareSwap => Fields { reads_a: true, aux: Aux::MemAny, ..ABC },
        Shape::Float => float(code),
        Shape::Branch => Fields { b: true, c: true, imm: true, aux: Aux::Pc, ..NOTHING },
        Shape::Jump => Fields { writes_a: true, imm: true, aux: Aux::Pc, ..NOTHING },
        Shape::JumpReg => Fields { imm: true, aux: Aux::Pc, ..AB },
        Shape::Exit => Fields { imm: true, ..NOTHING },
        Shape::Call => Fields { imm: true, aux: Aux::Call, ..ABC },
        Shape::Fence => Fields { aux: Aux::Sets, ..NOTHING },
    };
    let effects = code.effects();
    Fields { pure: effects.0 == Effects::PURE.0, faults: effects.has(Effects::FAULT), ..by_shape }
}

const COUNT: usize = Opcode::ALL.len();

static TABLE: [Fields; COUNT] = {
    let mut table = [NOTHING; COUNT];
    let mut i = 0;
    while i < COUNT {
        table[i] = fields_of(Opcode::ALL[i]);
        i += 1;
    }
    table
};

impl Opcode {
    /// What the fields of such an op hold.
    #[inline(always)]
    pub fn fields(self) -> &'static Fields {
        &TABLE[self as usize]
    }
}

impl Op {
    /// The fourth register of an op that has one.
    pub const fn reg_d(&self) -> Reg {
        self.aux as u8
    }
    /// The word that the op writes; `None` for none and for [`SINK`].
    #[inline(always)]
    pub fn dest(&self) -> Option<Reg> {
        (self.code.fields().writes_a && self.a != SINK).then_some(self.a)
    }
    /// Calls `f` with each word that the op reads as an operand.
    #[inline(always)]
    pub fn for_sources(&self, mut f: impl FnMut(Reg)) {
        let fields = self.code.fields();
        if fields.b {
            f(self.b);
        }
        if fields.c {
            f(self.c);
        }
        if fields.d {
            f(self.reg_d());
        }
        if fields.reads_a {
            f(self.a);
        }
    }
    /// Replaces each operand that is only read by `f` of it.
    #[inline(always)]
    pub fn map_sources(&mut self, mut f: impl FnMut(Reg) -> Reg) {
        let fields = self.code.fields();
        if fields.b {
            self.b = f(self.b);
        }
        if fields.c {
            self.c = f(self.c);
        }
        if fields.d {
            self.aux = self.aux & !0xff | f(self.reg_d()) as u32;
        }
    }
    /// Whether every field holds what its code allows, and every unused one zero, so that equal ops compare equal.
    pub fn check_fields(&self) -> Result<(), FieldError> {
        let fields = self.code.fields();
        let unused = |used: bool, zero: bool, field| {
            if used || zero { Ok(()) } else { Err(FieldError::Unused(field)) }
        };
        unused(fields.writes_a || fields.reads_a, self.a == 0, "a")?;
        unused(fields.b, self.b == 0, "b")?;
        if self.code == Opcode::JumpReg {
            JumpHint::from_bits(self.c).ok_or(FieldError::Hint(self.c))?;
        } else {
            unused(fields.c, self.c == 0, "c")?;
        }
        unused(fields.imm, self.imm == 0, "imm")?;
        match fields.aux {
            Aux::None => unused(false, self.aux == 0, "aux"),
            Aux::Reg => unused(false, self.aux >> 8 == 0, "aux"),
            Aux::Mem(width) => self.check_mem(Some(width)),
            Aux::MemAny => self.check_mem(None),
            Aux::Fp => self.check_fp(fields),
            Aux::Pc | Aux::Call | Aux::Sets => Ok(()),
        }
    }

    fn check_mem(&self, width: Option<u8>) -> Result<(), FieldError> {
        let flags = MemFlags(self.aux);
        if flags.size() > 3 || width.is_some_and(|w| u32::from(w) != flags.size()) {
            return Err(FieldError::Size(flags.size()));
        }
        if self.aux >> 4 & 3 > Align::Any as u32 {
            return Err(FieldError::Align);
        }
        if self.aux >> 16 != 0 { Err(FieldError::Unused("aux")) } else { Ok(()) }
    }

    fn check_fp(&self, fields: &Fields) -> Result<(), FieldError> {
        let rm = (self.aux >> 12 & 7) as u8;
        if rm > 4 && rm != RM_DYNAMIC {
            return Err(FieldError::Rounding(rm));
        }
        if self.aux >> 8 & 3 == 3 || self.aux >> 10 & 3 == 3 {
            return Err(FieldError::Format);
        }
        let clean = self.aux >> 16 == 0
            && (fields.d || self.aux & 0xff == 0)
            && (fields.from || self.aux & 0xc00 == 0)
            && (fields.rounds || rm == 0);
        if clean { Ok(()) } else { Err(FieldError::Unused("aux")) }
    }
}

impl JumpHint {
    /// The hint that field `c` of an indirect jump holds.
    pub const fn from_bits(bits: u8) -> Option<JumpHint> {
        Some(match bits {
            0 => JumpHint::None,
            1 => JumpHint::Call,
            2 => JumpHint::Return,
            3 => JumpHint::ReturnCall,
            _ => return None,
        })
    }
}

/// A field of an op holds what it must not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FieldError {
    /// A field, or a part of it, that the code does not use is not zero.
    #[error("unused field {0} is not zero")]
    Unused(&'static str),
    /// The access width does not exist or is not the code's.
    #[error("access width 2^{0} does not fit the op")]
    Size(u32),
    /// No such alignment rule.
    #[error("unknown alignment rule")]
    Align,
    /// No such rounding mode.
    #[error("unknown rounding mode {0}")]
    Rounding(u8),
    /// No such float format.
    #[error("unknown float format")]
    Format,
    /// No such jump hint.
    #[error("unknown jump hint {0}")]
    Hint(u8),
}
