//! Results whose NaNs are not canonical yet.
//!
//! The problem: every operation delivers RISC-V's canonical NaN, the host another one. To look at each result at once is two
//! instructions and a branch an operation, but float arithmetic does not care which quiet NaN it is given: it raises nothing for any, delivers
//! a quiet NaN, and comparisons and conversions only ask whether there is one. So a result may stay as the host made it, *loose*, for as long as
//! nothing sees its bits, and is *settled* when something may: moves, stores and sign injection, an op that is run by the
//! interpreter's meaning, the end of the block. One comparison settles two. A way out that stores a loose word settles it there.
//!
//! A loose result that is overwritten unsettled may have raised flags. Cranelift drops what nobody uses, so one that nobody has read is kept.

use super::{Lower, type_of};
use crate::ir::op::{Fmt, Reg};
use crate::ir::regset::RegSet;
use crate::jit::abi::reg_disp;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};

/// The loose words of a block.
#[derive(Default)]
pub struct Loose {
    doubles: RegSet,
    singles: RegSet,
    /// Those of them that nothing has read.
    unread: RegSet,
}

impl Loose {
    fn of(&mut self, fmt: Fmt) -> &mut RegSet {
        if fmt == Fmt::S { &mut self.singles } else { &mut self.doubles }
    }

    fn fmt(&self, word: Reg) -> Option<Fmt> {
        if self.doubles.contains(word) {
            return Some(Fmt::D);
        }
        self.singles.contains(word).then_some(Fmt::S)
    }

    /// An op has read the word as a float.
    pub fn read(&mut self, word: Reg) {
        self.unread.remove(word);
    }
}

impl Lower<'_> {
    /// The result of an op: loose where the word can hold it so, else settled at once.
    pub(super) fn set_result(&mut self, word: Reg, x: Value, fmt: Fmt) {
        let can = if fmt == Fmt::S { self.has_single(word) } else { self.has_double(word) };
        if !can {
            let x = self.canonical(x, fmt, |_| ());
            return self.set_float(word, x, fmt);
        }
        self.set_float(word, x, fmt);
        let loose = &mut self.values.floats.loose;
        loose.of(fmt).insert(word);
        loose.unread.insert(word);
    }

    /// The word gets another value.
    pub fn overwrites(&mut self, word: Reg) {
        let Some(fmt) = self.values.floats.loose.fmt(word) else { return };
        if self.values.floats.loose.unread.contains(word) {
            let x = self.get_float(word, fmt);
            self.keep(x);
        }
        let loose = &mut self.values.floats.loose;
        loose.of(fmt).remove(word);
        loose.unread.remove(word);
    }

    /// Makes a word canonical whose bits may be seen, and another one by the same comparison.
    pub fn settle(&mut self, word: Reg) {
        let Some(fmt) = self.values.floats.loose.fmt(word) else { return };
        let loose = self.values.floats.loose.of(fmt);
        loose.remove(word);
        let other = loose.iter().next();
        let words: Vec<Reg> = [Some(word), other].into_iter().flatten().collect();
        self.settle_by_one(&words, fmt);
    }

    /// Makes all words canonical.
    pub fn settle_all(&mut self) {
        for fmt in [Fmt::D, Fmt::S] {
            while let Some(word) = self.values.floats.loose.of(fmt).iter().next() {
                self.settle(word);
            }
        }
    }

    /// Makes one or two words canonical.
    fn settle_by_one(&mut self, words: &[Reg], fmt: Fmt) {
        let values: Vec<Value> = words.iter().map(|&w| self.get_float(w, fmt)).collect();
        for &word in words {
            self.values.floats.loose.of(fmt).remove(word);
        }
        let [cold, done] = [(); 2].map(|()| self.b.create_block());
        self.b.set_cold_block(cold);
        let settled: Vec<Value> =
            words.iter().map(|_| self.b.append_block_param(done, type_of(fmt))).collect();
        let args = |values: &[Value]| values.iter().map(|&v| BlockArg::Value(v)).collect::<Vec<_>>();
        let unordered = self.b.ins().fcmp(FloatCC::Unordered, values[0], values[values.len() - 1]);
        self.b.ins().brif(unordered, cold, &[], done, &args(&values));
        self.go_on_in(cold);
        let canonical: Vec<Value> = values.iter().map(|&v| self.or_nan(v, fmt)).collect();
        self.b.ins().jump(done, &args(&canonical));
        self.go_on_in(done);
        for (&word, x) in words.iter().zip(settled) {
            self.replace_float(word, x, fmt);
        }
    }

    /// The float of a loose word, for a way out that may store it.
    pub fn loose_float(&mut self, word: Reg) -> Option<(Value, Fmt)> {
        let fmt = self.values.floats.loose.fmt(word)?;
        Some((self.get_float(word, fmt), fmt))
    }

    /// Stores a loose word to the state.
    pub fn store_loose(&mut self, word: Reg, (x, fmt): (Value, Fmt)) {
        let x = self.or_nan(x, fmt);
        self.state_store(x, reg_disp(word));
        if fmt == Fmt::S {
            let upper = self.b.ins().iconst(types::I32, -1);
            self.state_store(upper, reg_disp(word) + 4);
        }
    }

    /// `x`, or the canonical NaN for any NaN, without a branch of ours.
    fn or_nan(&mut self, x: Value, fmt: Fmt) -> Value {
        let nan = self.nan(fmt);
        let is_nan = self.b.ins().fcmp(FloatCC::Unordered, x, x);
        self.b.ins().select(is_nan, nan, x)
    }
}
