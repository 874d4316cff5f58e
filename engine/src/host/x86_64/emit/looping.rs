//! Blocks that jump back to themselves.
//!
//! The hottest blocks are loops of one block. They keep the words that they use most in registers of their own from one
//! round to the next: loaded behind the head, stored where the loop is left. A word that the loop writes counts as dirty from
//! the start, so that the books are the same at every arrival; what it was loaded with may be stored again, which is idle but right.

use super::cache::ALL;
use super::*;
use crate::jit::block::BlockInput;

/// How often the ops of a loop touch a word.
#[derive(Clone, Copy, Default)]
struct Touched {
    times: u16,
    word: Reg,
    written: bool,
}

impl Tier1 {
    /// Whether the terminator's exit 1 goes to the block's own start, unconditionally linked.
    pub(super) fn returns_to_itself(&self, last: &Op) -> bool {
        matches!(last.code.shape(), Shape::Branch | Shape::Jump) && last.imm == 0 && self.is_linkable(0)
    }

    /// Behind the head: gives words their registers and places the label to come back to.
    pub(super) fn enter_loop(&mut self, input: &BlockInput<'_>) {
        // A helper may change any word.
        if !input.ops.iter().any(|op| op.code.shape() == Shape::Call) {
            self.pin_words(input);
        }
        self.floats.enter_loop(&mut self.buf, input.ops);
        let again = self.buf.label();
        self.block.again = Some(again);
        x64!(self; =>again);
    }

    fn pin_words(&mut self, input: &BlockInput<'_>) {
        let mut words = [Touched::default(); 256];
        for op in input.ops {
            op.for_sources(|word| words[word as usize].times += 1);
            if let Some(word) = op.dest() {
                words[word as usize].times += 1;
                words[word as usize].written = true;
            }
        }
        let registers = ALL.count_ones() as usize;
        let used = words.iter().filter(|w| w.times != 0).count();
        (0..).zip(&mut words).for_each(|(i, w)| w.word = i);
        let mut guest = [Touched::default(); 256];
        let mut count = 0;
        for w in words {
            let kept = w.times != 0
                && w.word < input.temps
                && Some(w.word) != input.zero
                && !self.uses.floats.contains(w.word);
            if kept {
                guest[count] = w;
                count += 1;
            }
        }
        let guest = &mut guest[..count];
        // If not all words fit, the others need enough registers for any one op.
        let most = if used <= registers { registers } else { registers - self.uses.widest as usize };
        if guest.len() > most {
            guest.sort_unstable_by_key(|w| std::cmp::Reverse(w.times));
        }
        for w in guest.iter().take(most) {
            if let Some(h) = self.cache.pin(w.word, w.written) {
                self.buf.load_word(h, w.word);
            }
        }
    }

    /// Stores the dirty words that have no register of their own, and forgets them.
    fn drop_others(&mut self) {
        for h in bits(ALL & !self.cache.pinned()) {
            if self.cache.is_dirty(h) && self.cache.is_guest(h) {
                self.flush_host(h);
            }
        }
    }

    pub(super) fn branch_back(&mut self, op: &Op, cond: Cond, b: Src, c: Src) {
        let leave = self.buf.label();
        self.drop_others();
        let cond = self.compare(cond, b, c);
        self.buf.jcc(cond.not(), leave);
        self.go_back();
        x64!(self; =>leave);
        self.flush();
        self.count_left();
        self.go(0, i64::from(op.aux));
    }

    /// Exit 1, to the block's own start.
    pub(super) fn go_back(&mut self) {
        let Some(again) = self.block.again else { return };
        self.drop_others();
        for h in bits(self.cache.pinned()) {
            // Ops by the interpreter leave their result in the state.
            let word = self.cache.word_of(h);
            if self.cache.host_of(word).is_none() {
                self.buf.load_word(h, word);
            }
        }
        self.floats.go_back(&mut self.buf);
        self.head_again(again);
    }
}
