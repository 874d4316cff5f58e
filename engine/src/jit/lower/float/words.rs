//! Words as floats.
//!
//! A word is a 64-bit integer to most ops. Words that the region uses mostly as doubles have variables of that type, so that
//! loops do not carry them through general registers. A single is the low half of its word; that the upper half is all
//! ones is looked at once for each value (unprivileged spec, chapter "D", NaN boxing of narrower values). Words that are used mostly
//! as singles have a second variable for that, so that loops do not look again.

use super::loose::Loose;
use super::{Lower, NAN_SINGLE};
use crate::ir::op::{Fmt, FpFlags, Reg, SINK, Shape};
use crate::ir::regset::RegSet;
use crate::ir::{Op, Opcode};
use crate::jit::region::Region;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::Variable;
use rustc_hash::{FxHashMap, FxHashSet};

/// What is known of words and values as floats.
pub struct Floats {
    /// Words whose variable is a double.
    doubles: RegSet,
    /// Words with a second variable, and those.
    singles: RegSet,
    variables: FxHashMap<Reg, Variable>,
    /// Doubles of values, and back.
    as_double: FxHashMap<Value, Value>,
    as_bits: FxHashMap<Value, Value>,
    /// Singles of boxed values.
    as_single: FxHashMap<Value, Value>,
    /// Values whose upper half is all ones.
    boxed: FxHashSet<Value>,
    /// Words whose NaNs are not canonical yet.
    pub loose: Loose,
}

impl Floats {
    /// Counts uses.
    pub fn of(region: &Region) -> Floats {
        let words_used_as = |fmt: Fmt| {
            let mut score = [0i32; 256];
            region.blocks.iter().flat_map(|b| b.ops.iter()).for_each(|op| count(op, fmt, &mut score));
            let mut words = RegSet::default();
            (0..region.rules.temps)
                .filter(|&word| score[usize::from(word)] > 0)
                .for_each(|word| words.insert(word));
            region.rules.zero.into_iter().for_each(|zero| words.remove(zero));
            words
        };
        Floats {
            doubles: words_used_as(Fmt::D),
            singles: words_used_as(Fmt::S),
            variables: FxHashMap::default(),
            as_double: FxHashMap::default(),
            as_bits: FxHashMap::default(),
            as_single: FxHashMap::default(),
            boxed: FxHashSet::default(),
            loose: Loose::default(),
        }
    }

    /// Whether the word's variable is a double.
    pub fn is_double(&self, word: Reg) -> bool {
        self.doubles.contains(word)
    }

    /// The type of the word's variable.
    pub fn type_of(&self, word: Reg) -> Type {
        if self.is_double(word) { types::F64 } else { types::I64 }
    }

    /// Forgets what holds in a block only.
    pub fn start_block(&mut self) {
        self.as_double.clear();
        self.as_bits.clear();
        self.as_single.clear();
        self.boxed.clear();
    }
}

/// One for each use in format `fmt`, less one for each as something else; loads and stores count for neither.
fn count(op: &Op, fmt: Fmt, score: &mut [i32; 256]) {
    use Opcode::*;
    let mut add = |word: Reg, n: i32| score[usize::from(word)] += n;
    let flags = FpFlags(op.aux);
    let of = |format: Fmt| if format == fmt { 1 } else { -1 };
    let lowered = op.code.shape() == Shape::Float && super::lowers(op);
    let (source, dest) = match op.code {
        Load64 | Store64 | LoadBox32 | Store32 => {
            add(op.b, -1);
            return;
        }
        _ if !lowered => (-1, -1),
        FMoveX | FEq | FLt | FLe | FLtq | FLeq | FToI32 | FToU32 | FToI64 | FToU64 => (of(flags.fmt()), -1),
        FClass => (if fmt == Fmt::S { of(flags.fmt()) } else { -1 }, -1),
        FMoveF | FFromI32 | FFromU32 | FFromI64 | FFromU64 => (-1, of(flags.fmt())),
        FCvt => (of(flags.source()), of(flags.fmt())),
        _ => (of(flags.fmt()), of(flags.fmt())),
    };
    op.for_sources(|word| add(word, source));
    if let Some(a) = op.dest() {
        add(a, dest);
    }
}

impl Lower<'_> {
    fn bitcast(&mut self, ty: Type, value: Value) -> Value {
        self.b.ins().bitcast(ty, MemFlagsData::new(), value)
    }

    /// The value of a word as its bits.
    pub fn as_bits(&mut self, value: Value) -> Value {
        if self.b.func.dfg.value_type(value) == types::I64 {
            return value;
        }
        if let Some(&bits) = self.values.floats.as_bits.get(&value) {
            return bits;
        }
        let bits = self.bitcast(types::I64, value);
        self.values.floats.as_bits.insert(value, bits);
        self.values.floats.as_double.insert(bits, value);
        bits
    }

    /// Bits as a double.
    pub fn as_double(&mut self, bits: Value) -> Value {
        if let Some(&value) = self.values.floats.as_double.get(&bits) {
            return value;
        }
        let value = self.bitcast(types::F64, bits);
        self.values.floats.as_bits.insert(value, bits);
        self.values.floats.as_double.insert(bits, value);
        value
    }

    /// Says that the upper half of `bits` is all ones.
    pub fn is_boxed(&mut self, bits: Value) {
        self.values.floats.boxed.insert(bits);
    }

    /// The value of a word as a float; which NaN it is may not matter.
    pub fn get_float(&mut self, reg: Reg, fmt: Fmt) -> Value {
        self.values.floats.loose.read(reg);
        if fmt == Fmt::S {
            return self.get_single(reg);
        }
        if self.has_double(reg) {
            return self.raw(reg);
        }
        let bits = self.get(reg);
        self.as_double(bits)
    }

    fn get_single(&mut self, reg: Reg) -> Value {
        if self.has_single(reg) {
            let variable = self.single_variable(reg);
            return self.b.use_var(variable);
        }
        let bits = self.get(reg);
        self.single_of(bits)
    }

    /// Whether the word has a variable for the single in it.
    pub fn has_single(&self, reg: Reg) -> bool {
        self.live.guest.contains(reg) && self.values.floats.singles.contains(reg)
    }

    /// Whether the word's variable is a double.
    pub fn has_double(&self, reg: Reg) -> bool {
        self.live.guest.contains(reg) && self.values.floats.is_double(reg)
    }

    fn single_variable(&mut self, reg: Reg) -> Variable {
        *self.values.floats.variables.entry(reg).or_insert_with(|| self.b.declare_var(types::F32))
    }

    /// A word was given a value: its second variable too, if it has one.
    pub fn follow(&mut self, reg: Reg, bits: Value) {
        if self.has_single(reg) {
            let single = self.single_of(bits);
            let variable = self.single_variable(reg);
            self.b.def_var(variable, single);
        }
    }

    /// Bits as a boxed single.
    fn single_of(&mut self, bits: Value) -> Value {
        if let Some(&single) = self.values.floats.as_single.get(&bits) {
            return single;
        }
        let low = self.low(bits);
        let low = if self.values.floats.boxed.contains(&bits) { low } else { self.unboxed(bits, low) };
        let single = self.bitcast(types::F32, low);
        self.values.floats.as_single.insert(bits, single);
        single
    }

    /// The bits of a word's single.
    pub fn unboxed_bits(&mut self, reg: Reg) -> Value {
        let single = self.get_single(reg);
        self.bitcast(types::I32, single)
    }

    /// The single in a word, if the word is known to be what boxing that gives.
    pub fn known_single(&mut self, bits: Value) -> Option<Value> {
        let floats = &self.values.floats;
        floats.as_single.get(&bits).copied().filter(|_| floats.boxed.contains(&bits))
    }

    /// `low`, the low half of `bits`, or the canonical NaN if the upper half does not box it.
    fn unboxed(&mut self, bits: Value, low: Value) -> Value {
        let (cold, done) = (self.b.create_block(), self.b.create_block());
        let result = self.b.append_block_param(done, types::I32);
        self.b.set_cold_block(cold);
        let upper = self.b.ins().ushr_imm_s(bits, 32);
        let boxed = self.b.ins().icmp_imm_s(IntCC::Equal, upper, 0xffff_ffff);
        self.b.ins().brif(boxed, done, &[BlockArg::Value(low)], cold, &[]);
        self.go_on_in(cold);
        let nan = self.b.ins().iconst(types::I32, NAN_SINGLE as i64);
        self.b.ins().jump(done, &[BlockArg::Value(nan)]);
        self.go_on_in(done);
        result
    }

    /// Gives a word a float as its value.
    pub fn set_float(&mut self, reg: Reg, value: Value, fmt: Fmt) {
        match fmt {
            Fmt::S => self.set_single(reg, value),
            _ => self.set_double(reg, value),
        }
    }

    /// Gives a word a double as its value.
    pub fn set_double(&mut self, reg: Reg, value: Value) {
        if reg == SINK {
            return;
        }
        if self.has_double(reg) {
            self.overwrites(reg);
            self.ways.written(reg);
            self.replace_float(reg, value, Fmt::D);
        } else {
            let bits = self.as_bits(value);
            self.set(reg, bits);
        }
    }

    /// Gives a word a single as its value.
    pub fn set_single(&mut self, reg: Reg, value: Value) {
        let bits = self.boxed(value);
        self.set(reg, bits);
    }

    /// The bits of a word with a single in it.
    fn boxed(&mut self, single: Value) -> Value {
        let low = self.bitcast(types::I32, single);
        let wide = self.unsigned(low);
        let bits = self.b.ins().bor_imm_s(wide, !0xffff_ffff);
        self.is_low(bits, low);
        self.is_boxed(bits);
        self.values.floats.as_single.insert(bits, single);
        bits
    }

    /// Gives the variables of a word that holds floats of this format another value, which the guest takes for the same.
    pub fn replace_float(&mut self, reg: Reg, value: Value, fmt: Fmt) {
        let variable = self.variable(reg);
        if fmt == Fmt::S {
            let bits = self.boxed(value);
            self.b.def_var(variable, bits);
            self.follow(reg, bits);
        } else {
            self.b.def_var(variable, value);
        }
    }
}
