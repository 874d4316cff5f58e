//! Words of 32 bits: arithmetic that stays narrow.
//!
//! The problem: on a 64-bit guest a 32-bit result is kept sign-extended, so each `addw` would be an addition and an extension. But
//! most such results are read by further 32-bit ops, for which the low word will do. So a result is made as a pair: the low
//! word, and its extension, a pure instruction that costs nothing unless something reads it. Bit operations and comparisons
//! of extended words are made on the low words where that saves the extension; so are the stores of cold ways out, which
//! extend anew. What is known of a value holds wherever the value does, because the pair is made in one place.

use super::Lower;
use crate::ir::Opcode;
use crate::ir::regset::RegSet;
use cranelift_codegen::entity::{EntitySet, SecondaryMap};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, InstructionData, Value, ValueDef, types};
use cranelift_codegen::packed_option::PackedOption;

/// How far back a bit operation is looked through for words whose extension it would need.
const DEPTH: u32 = 3;

/// What is known of values as words.
#[derive(Default)]
pub struct Narrow {
    /// The low words of values that were made of them.
    made: SecondaryMap<Value, PackedOption<Value>>,
    /// Low words that were taken in this block.
    taken: SecondaryMap<Value, PackedOption<Value>>,
    /// To be cleared with the block.
    in_block: Vec<Value>,
    /// Values that are their low word sign-extended.
    signed: EntitySet<Value>,
    /// Of values with a low word of their own: something on the hot way reads all of it.
    wide: EntitySet<Value>,
}

impl Narrow {
    /// Forgets what holds in a block only.
    pub fn start_block(&mut self) {
        for value in self.in_block.drain(..) {
            self.taken[value] = None.into();
        }
    }

    fn low(&self, value: Value) -> Option<Value> {
        self.made[value].expand().or_else(|| self.taken[value].expand())
    }

    /// Whether the value is an extension that nothing has needed yet.
    fn is_lazy(&self, value: Value) -> bool {
        self.made[value].is_some() && self.signed.contains(value) && !self.wide.contains(value)
    }
}

impl Lower<'_> {
    /// Says that all of a value is read.
    pub fn reads_all(&mut self, value: Value) {
        if self.values.narrow.made[value].is_some() {
            self.values.narrow.wide.insert(value);
        }
    }

    /// Says that `low` is the low word of `value`, which was made of it.
    pub fn is_low(&mut self, value: Value, low: Value) {
        self.values.narrow.made[value] = low.into();
    }

    /// Says that `value` is its low word, sign-extended.
    pub fn is_signed(&mut self, value: Value) {
        self.values.narrow.signed.insert(value);
    }

    /// Whether `value` is known to be its low word, sign-extended.
    pub fn known_signed(&self, value: Value) -> bool {
        self.values.narrow.signed.contains(value)
    }

    /// The low word of a value.
    pub fn low(&mut self, value: Value) -> Value {
        if let Some(low) = self.values.narrow.low(value) {
            return low;
        }
        let low = self.twin(value).unwrap_or_else(|| self.b.ins().ireduce(types::I32, value));
        self.values.narrow.taken[value] = low.into();
        self.values.narrow.in_block.push(value);
        low
    }

    /// A word, sign-extended.
    pub fn signed(&mut self, low: Value) -> Value {
        let value = self.b.ins().sextend(types::I64, low);
        self.is_low(value, low);
        self.is_signed(value);
        value
    }

    /// A word, zero-extended.
    pub fn unsigned(&mut self, low: Value) -> Value {
        let value = self.b.ins().uextend(types::I64, low);
        self.is_low(value, low);
        value
    }

    /// Says that the words which the block leaves to the rest of the region are read.
    pub fn reads_what_stays(&mut self) {
        let mut after = RegSet::default();
        for &next in self.flow.successors(self.at.block) {
            after.extend(&self.live.start[next]);
        }
        for word in self.values.written.common(&after).iter() {
            let value = self.raw(word);
            self.reads_all(value);
        }
    }

    /// A value to store where it may be cold: extended here, unless the hot way does it.
    pub fn extended_here(&mut self, value: Value) -> Value {
        match self.values.narrow.made[value].expand() {
            Some(low) if self.values.narrow.is_lazy(value) => self.b.ins().sextend(types::I64, low),
            _ => value,
        }
    }

    fn made_by(&self, value: Value) -> Option<InstructionData> {
        match self.b.func.dfg.value_def(value) {
            ValueDef::Result(inst, _) => Some(self.b.func.dfg.insts[inst]),
            _ => None,
        }
    }

    /// The number that a value is.
    fn constant_of(&self, value: Value) -> Option<i64> {
        match self.made_by(value)? {
            InstructionData::UnaryImm { opcode: ir::Opcode::Iconst, imm } => Some(imm.bits()),
            _ => None,
        }
    }

    fn bit_operation(&self, value: Value) -> Option<(ir::Opcode, [Value; 2])> {
        match self.made_by(value)? {
            InstructionData::Binary { opcode, args }
                if matches!(opcode, ir::Opcode::Band | ir::Opcode::Bor | ir::Opcode::Bxor) =>
            {
                Some((opcode, args))
            }
            _ => None,
        }
    }

    /// Whether a 64-bit operation has made this of words whose extension it needed for that.
    fn needs_extensions(&self, value: Value, depth: u32) -> bool {
        let Some((_, args)) = self.bit_operation(value) else { return false };
        args.iter()
            .any(|&v| self.values.narrow.is_lazy(v) || depth > 0 && self.needs_extensions(v, depth - 1))
    }

    /// The low word of a number, or of a bit operation, made in another way than from all of it.
    fn twin(&mut self, value: Value) -> Option<Value> {
        if let Some(n) = self.constant_of(value) {
            return Some(self.b.ins().iconst(types::I32, n as u32 as i64));
        }
        if !self.needs_extensions(value, DEPTH) {
            return None;
        }
        let (opcode, args) = self.bit_operation(value)?;
        let [x, y] = args.map(|v| self.low(v));
        Some(match opcode {
            ir::Opcode::Band => self.b.ins().band(x, y),
            ir::Opcode::Bor => self.b.ins().bor(x, y),
            _ => self.b.ins().bxor(x, y),
        })
    }

    /// Lowers an op on extended words by their low words, where that saves an extension.
    pub fn narrow_op(&mut self, code: Opcode, b: Value, c: Value) -> Option<Value> {
        use Opcode::*;
        if !matches!(code, And | Or | Xor | AndNot | OrNot | XorNot | Slt | Sltu | Seq) {
            return None;
        }
        if code == And
            && let Some(mask) = self.constant_of(c)
            && (0..=i32::MAX as i64).contains(&mask)
        {
            return self.masked(b, mask);
        }
        if !self.both_narrow(b, c) {
            return None;
        }
        match code {
            Slt => return Some(self.flag(IntCC::SignedLessThan, b, c)),
            Sltu => return Some(self.flag(IntCC::UnsignedLessThan, b, c)),
            Seq => return Some(self.flag(IntCC::Equal, b, c)),
            _ => {}
        }
        let (b, c) = (self.low(b), self.low(c));
        let low = self.bits_of_two(code, b, c);
        Some(self.signed(low))
    }

    /// `b & mask` of a mask that leaves no sign.
    fn masked(&mut self, b: Value, mask: i64) -> Option<Value> {
        if !self.values.narrow.is_lazy(b) && !self.needs_extensions(b, DEPTH) {
            return None;
        }
        let low = self.low(b);
        let low = self.b.ins().band_imm_s(low, mask);
        let value = self.unsigned(low);
        self.is_signed(value);
        Some(value)
    }

    /// Whether an operation on both as words gives what one on all of them does, extended, and saves something.
    fn both_narrow(&self, b: Value, c: Value) -> bool {
        let narrow = &self.values.narrow;
        narrow.signed.contains(b) && narrow.signed.contains(c) && (narrow.is_lazy(b) || narrow.is_lazy(c))
    }

    /// A comparison, of low words if that saves an extension: extending keeps both orders.
    pub fn comparison(&mut self, cond: IntCC, b: Value, c: Value) -> Value {
        if self.both_narrow(b, c) {
            let (b, c) = (self.low(b), self.low(c));
            return self.b.ins().icmp(cond, b, c);
        }
        self.reads_all(b);
        self.reads_all(c);
        self.b.ins().icmp(cond, b, c)
    }

    /// A bit operation of any width.
    pub fn bits_of_two(&mut self, code: Opcode, b: Value, c: Value) -> Value {
        use Opcode::*;
        match code {
            And => self.b.ins().band(b, c),
            Or => self.b.ins().bor(b, c),
            Xor => self.b.ins().bxor(b, c),
            AndNot => {
                let c = self.b.ins().bnot(c);
                self.b.ins().band(b, c)
            }
            OrNot => {
                let c = self.b.ins().bnot(c);
                self.b.ins().bor(b, c)
            }
            _ => {
                let x = self.b.ins().bxor(b, c);
                self.b.ins().bnot(x)
            }
        }
    }

    /// A shift by a number, as (opcode, shifted, by).
    fn shift_of(&self, value: Value) -> Option<(ir::Opcode, Value, i64)> {
        match self.made_by(value)? {
            InstructionData::Binary { opcode, args: [x, by] } => Some((opcode, x, self.constant_of(by)?)),
            _ => None,
        }
    }

    /// What a value is the sum of, if that is another one and a number.
    pub fn moved(&self, value: Value) -> Option<(Value, i64)> {
        match self.made_by(value)? {
            InstructionData::Binary { opcode: ir::Opcode::Iadd, args: [x, by] } => {
                Some((x, self.constant_of(by)?))
            }
            _ => None,
        }
    }

    /// `x << 32 >> by`: how compilers for guests without an instruction for it extend words, often with other code between.
    pub fn extension(&mut self, code: Opcode, b: Value, c: Value) -> Option<Value> {
        let by = self.constant_of(c)?;
        let (opcode, x, 32) = self.shift_of(b)? else { return None };
        if opcode != ir::Opcode::Ishl || !(1..=32).contains(&by) {
            return None;
        }
        let low = self.low(x);
        let wide = match code {
            Opcode::Srl => self.unsigned(low),
            Opcode::Sra => self.signed(low),
            _ => return None,
        };
        Some(if by == 32 { wide } else { self.b.ins().ishl_imm_s(wide, 32 - by) })
    }
}
