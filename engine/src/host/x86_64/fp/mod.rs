//! Float ops as SSE code.
//!
//! The problem: RISC-V's float instructions differ from the host's in small ways (one NaN, boxed narrow values, saturating
//! conversions, its own minimum and maximum), and results and accumulated flags must be those of
//! [`crate::interp::float`] bit for bit. Compiled code runs under an MXCSR with the guest's dynamic rounding mode and all
//! exceptions masked, so the host's sticky flags *are* the guest's as long as no instruction raises one that the guest's
//! would not; each file here says why that holds for what it emits. What differs in rare cases is done in the buffer's
//! cold part; nothing here calls Rust.
//!
//! Tininess is detected after rounding by both (Intel SDM volume 1, 4.9.1.5; unprivileged spec, chapter "F"). The denormal
//! flag of the host has no counterpart and is not looked at.
//!
//! **Registers.** An op may overwrite `rax`, `rcx`, `rdx` and `xmm0` to `xmm3`. The other vector registers hold words of the
//! state, see [`words`]; a result is written to the state at once, so whatever reads the state sees all.
//!
//! **Not done here** ([`Done::No`]), so left to the `op` thunk: half precision, arithmetic with a static rounding mode
//! or values that are not boxed, fused operations without FMA, some of what needs SSE 4.1 without it, `fcvtmod`.

// What dynasm expands to.
#![allow(clippy::useless_conversion)]

mod arith;
mod bits;
mod compare;
mod convert;
mod integer;
mod minmax;
mod round;
#[cfg(test)]
mod tests;
mod words;

use super::buffer::Buffer;
use super::features::Features;
use crate::ir::op::{Fmt, FpFlags, Op, Opcode, RM_DYNAMIC, Reg, Shape};
use crate::ir::regset::RegSet;
use crate::jit::abi::reg_disp;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use words::{Operand, Words};

/// One instruction of two, by the format of the op: for doubles, or for singles.
macro_rules! sized {
    ($e:ident, $double:ident | $single:ident $($operands:tt)*) => {
        if $e.single {
            dynasm!($e.asm ; .arch x64 ; $single $($operands)*)
        } else {
            dynasm!($e.asm ; .arch x64 ; $double $($operands)*)
        }
    };
}
use sized;

/// What became of an op.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done {
    /// Nothing was emitted: call the `op` thunk, and [`Floats::note`] the op.
    No,
    /// All is done.
    Yes,
    /// The result is in `rax`; the caller writes it to word `a`.
    Rax,
}

/// Emits the float ops of a block and knows which words are in vector registers.
#[derive(Default)]
pub struct Floats {
    words: Words,
}

impl Floats {
    /// At the start of a block: nothing is known.
    pub fn reset(&mut self) {
        self.words = Words::default();
    }

    /// Emits `op`. Float words are read from the state or from vector registers. An integer operand is in general
    /// register `int`, if that is given, else in the state.
    pub fn emit(&mut self, asm: &mut Buffer, features: Features, op: &Op, int: Option<u8>) -> Done {
        let flags = FpFlags(op.aux);
        let single = flags.fmt() == Fmt::S;
        self.words.unpin();
        Emit { asm, words: &mut self.words, features, op: *op, flags, single, int }.op()
    }

    /// Takes note of an op that is emitted by other means, before or after it is. If it has a result, the state has it then, or
    /// will before the word is read here.
    pub fn note(&mut self, op: &Op) {
        self.words.note(op);
    }

    /// Word `word` was written, by an op that was [noted](Floats::note), with what general register `value` holds: keeps it in
    /// a vector register too. Pays for loads of words that float ops read.
    pub fn keep(&mut self, asm: &mut Buffer, word: Reg, value: u8) {
        let x = self.target();
        dynasm!(asm ; .arch x64 ; movq Rx(x), Rq(value));
        self.words.hold_word(x, word);
    }

    /// A vector register to load a double into.
    pub fn target(&mut self) -> X {
        self.words.unpin();
        self.words.fresh()
    }

    /// `x`, from [`Floats::target`], is the new value of a word.
    pub fn loaded(&mut self, asm: &mut Buffer, word: Reg, x: X) {
        self.words.write(asm, word, x, false);
    }

    /// Before the label to which a loop of these ops jumps back: the words that come from the round before get registers for all
    /// rounds.
    pub fn enter_loop(&mut self, asm: &mut Buffer, ops: &[Op]) {
        self.words.enter_loop(asm, &carried(ops));
    }

    /// At the end of a round, on the way back to that label.
    pub fn go_back(&mut self, asm: &mut Buffer) {
        self.words.go_back(asm);
    }

    /// The vector register that holds a word.
    pub fn held(&mut self, word: Reg) -> Option<X> {
        self.words.held(word)
    }
}

/// The words that float ops read before the block writes them.
fn carried(ops: &[Op]) -> Vec<Operand> {
    let (mut written, mut seen) = (RegSet::default(), Vec::new());
    for op in ops {
        if op.code.shape() == Shape::Float {
            let single = source_format(op) == Some(Fmt::S);
            let reads = source_format(op).is_some();
            op.for_sources(|word| {
                let operand = Operand { word, single };
                if reads && !written.contains(word) && !seen.contains(&operand) {
                    seen.push(operand);
                }
            });
        }
        op.dest().into_iter().for_each(|word| written.insert(word));
    }
    seen
}

/// In which format an op reads its operands, if they are floats.
fn source_format(op: &Op) -> Option<Fmt> {
    use Opcode::*;
    let flags = FpFlags(op.aux);
    match op.code {
        FFromI32 | FFromU32 | FFromI64 | FFromU64 | FMoveF => None,
        FMoveX if flags.fmt() != Fmt::D => None,
        FCvt => Some(flags.source()).filter(|fmt| *fmt != Fmt::H),
        _ => Some(flags.fmt()).filter(|fmt| *fmt != Fmt::H),
    }
}

/// One op in the making.
struct Emit<'a> {
    asm: &'a mut Buffer,
    words: &'a mut Words,
    features: Features,
    op: Op,
    flags: FpFlags,
    /// Format S; else D, unless the op says otherwise.
    single: bool,
    int: Option<u8>,
}

/// A vector register by number.
pub type X = u8;

impl Emit<'_> {
    fn op(mut self) -> Done {
        use Opcode::*;
        match (self.op.code, self.flags.fmt()) {
            (FMoveX, _) => self.move_x(),
            (FMoveF, _) => self.move_f(),
            (_, Fmt::H) => Done::No,
            (FCvt, _) => self.convert(),
            (_, Fmt::S) if !self.flags.is_boxed() => Done::No,
            (FAdd | FSub | FMul | FDiv | FSqrt, _) => self.arith(),
            (FMadd | FMsub | FNmsub | FNmadd, _) => self.fused(),
            (FSgnj | FSgnjn | FSgnjx, _) => self.sign(),
            (FMin | FMax | FMinM | FMaxM, _) => self.min_max(),
            (FEq | FLt | FLe | FLtq | FLeq, _) => self.compare(),
            (FClass, _) => self.class(),
            (FToI32 | FToU32 | FToI64 | FToU64, _) => self.integer(),
            (FFromI32 | FFromU32 | FFromI64 | FFromU64, _) => self.convert_integer(),
            (FRound | FRoundNx, _) => self.round(),
            _ => Done::No,
        }
    }

    /// Whether the op rounds as the MXCSR says.
    fn rounds_dynamically(&self) -> bool {
        self.flags.rm() == RM_DYNAMIC
    }

    /// The canonical NaN of the op's format as a word.
    fn canonical(&self) -> u64 {
        if self.single { words::CANONICAL_SINGLE } else { 0x7ff8_0000_0000_0000 }
    }

    /// The vector register with float operand `reg`. Not to be written.
    fn read(&mut self, reg: Reg) -> X {
        if self.single { self.words.read_single(self.asm, reg) } else { self.words.read(self.asm, reg) }
    }

    /// A vector register for the result.
    fn fresh(&mut self) -> X {
        self.words.fresh()
    }

    /// `x` (from [`Emit::fresh`]) is the result.
    fn write(&mut self, x: X) -> Done {
        self.words.write(self.asm, self.op.a, x, self.single);
        Done::Yes
    }

    /// As [`Emit::write`], after replacing any NaN in `x` by the canonical one. All NaNs that arithmetic delivers are
    /// quiet, so the test raises nothing.
    fn write_number(&mut self, x: X) -> Done {
        sized!(self, ucomisd | ucomiss Rx(x), Rx(x));
        let (nan, back) = (self.asm.label(), self.asm.label());
        dynasm!(self.asm ; .arch x64 ; jp =>nan ; =>back);
        self.asm.cold();
        dynasm!(self.asm ; .arch x64 ; =>nan);
        self.set_canonical(x);
        dynasm!(self.asm ; .arch x64 ; jmp =>back);
        self.asm.hot();
        self.write(x)
    }

    /// `x = canonical NaN`, by way of `rax`.
    fn set_canonical(&mut self, x: X) {
        let nan = self.canonical() as i64;
        dynasm!(self.asm ; .arch x64 ; mov rax, QWORD nan ; movq Rx(x), rax);
    }

    /// The general register with the integer operand: the one that was given, or `rax`.
    fn integer_operand(&mut self) -> u8 {
        self.int.unwrap_or_else(|| {
            dynasm!(self.asm ; .arch x64 ; mov rax, [r15 + reg_disp(self.op.b)]);
            0
        })
    }
}
