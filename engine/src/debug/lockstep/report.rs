//! What to say about two machines that are not equal.

use super::memory::read;
use super::{Back, Lockstep, LockstepError, Seen, Side, Until, look, memories};
use crate::exec::compare::Difference;
use crate::exec::engine::Explained;
use std::fmt;

/// Instructions before the first difference that are shown; no block is longer.
const TRACE: u64 = 64;
/// Words of memory that are shown.
const WORDS: usize = 16;

/// A word of memory that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WordDifference {
    /// Physical address.
    pub pa: u64,
    /// What the reference has, and the other.
    pub values: [u64; 2],
}

/// All that differs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// Registers and other state of harts.
    pub harts: Vec<Difference>,
    /// Words of memory, the first few.
    pub words: Vec<WordDifference>,
    /// Devices and clocks.
    pub rest: Vec<(String, [String; 2])>,
}

/// An instruction that the reference ran.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Traced {
    /// Which hart.
    pub hart: usize,
    /// Where it stood before.
    pub pc: u64,
}

/// Two machines that are not equal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// They were equal after so many instructions.
    pub equal_at: u64,
    /// They differ after so many.
    pub differ_at: u64,
    /// The second run differed too, so the two counts are neighbours; else the state is that of the first run.
    pub is_exact: bool,
    /// What the reference ran before, up to the instruction in question.
    pub trace: Vec<Traced>,
    /// The block with the last of them. A tier runs it whole, so any instruction of it may be the culprit.
    pub block: Option<Explained>,
    /// What differs.
    pub found: Found,
}

impl Found {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.harts.is_empty() && self.words.is_empty() && self.rest.is_empty()
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<28} {:>20}  {:>20}", "", "reference", "under test")?;
        let mut line = |name: &str, [a, b]: [&str; 2]| writeln!(f, "  {name:<28} {a:>20}  {b:>20}");
        for d in &self.harts {
            line(&format!("hart {} {}", d.hart, d.name), [&d.values[0], &d.values[1]])?;
        }
        for w in &self.words {
            let [a, b] = w.values.map(|v| format!("{v:#018x}"));
            line(&format!("memory at {:#x}", w.pa), [&a, &b])?;
        }
        for (name, values) in &self.rest {
            line(name, [&values[0], &values[1]])?;
        }
        Ok(())
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (a, b) = (self.equal_at, self.differ_at);
        writeln!(f, "The machines are equal after {a} instructions and differ after {b}.")?;
        if !self.is_exact {
            writeln!(f, "They did not differ when they ran that stretch again, so the place is not known.")?;
        }
        if let Some(last) = self.trace.last() {
            writeln!(
                f,
                "Hart {} had come to {:#x}. Before that the reference ran, latest last:",
                last.hart, last.pc
            )?;
            for t in self.trace.iter().rev().take(16).rev() {
                writeln!(f, "  hart {} {:#x}", t.hart, t.pc)?;
            }
        }
        if let Some(block) = &self.block {
            let pc = block.insns.first().map_or(0, |i| i.0);
            writeln!(f, "The block at {pc:#x}, which a tier runs whole:")?;
            for (pc, text) in &block.insns {
                writeln!(f, "  {pc:#18x}  {text}")?;
            }
            writeln!(f, "Its IR:\n{}", block.text.trim_end())?;
        }
        writeln!(f, "What differs:\n{}", self.found)
    }
}

impl<S: Side> Lockstep<S> {
    /// What differs now.
    pub(super) fn differences(&mut self, seen: &[Seen; 2]) -> Result<Found, LockstepError> {
        self.shadow.collect(memories(&self.sides));
        let memories = memories(&self.sides);
        let words = self.shadow.differ(memories).flat_map(|pa| {
            let [a, b] = memories.map(|m| read(m, pa));
            let word = |b: &[u8; 8]| u64::from_le_bytes(*b);
            let pairs = a.as_chunks().0.iter().zip(b.as_chunks().0).enumerate();
            let found: Vec<_> = pairs
                .filter(|(_, (a, b))| a != b)
                .map(|(i, (a, b))| WordDifference { pa: pa + 8 * i as u64, values: [word(a), word(b)] })
                .collect();
            found
        });
        let words = words.take(WORDS).collect();
        let mut rest = self.sides[0].explain_rest(&seen[0].rest, &seen[1].rest);
        let over = [0, 1].map(|i| self.sides[i].is_over());
        if over[0] != over[1] {
            rest.push(("switched off".into(), over.map(|o| o.to_string())));
        }
        let harts = self.sides[0].engine().differences(&seen[0].harts, &seen[1].harts)?;
        Ok(Found { harts, words, rest })
    }

    /// They differ after `differ` instructions and not after `equal`, which is one less.
    pub(super) fn report(&mut self, way: Back, equal: u64, differ: u64) -> Result<Divergence, LockstepError> {
        self.differ_at(way, differ)?;
        let seen = [look(&self.sides[0])?, look(&self.sides[1])?];
        let found = self.differences(&seen)?;
        let trace = self.trace(way, equal)?;
        let block = self.block(&trace);
        Ok(Divergence { equal_at: equal, differ_at: differ, is_exact: true, trace, block, found })
    }

    /// What the reference runs up to the instruction behind `equal`, which it has not run when this comes back.
    fn trace(&mut self, way: Back, equal: u64) -> Result<Vec<Traced>, LockstepError> {
        self.back(way)?;
        let reference = &self.sides[0];
        reference.feed(&self.input);
        let first = equal.saturating_sub(TRACE).max(self.at);
        if first > self.at {
            reference.run(Until::Exactly(first));
        }
        let engine = reference.engine();
        let places = || (0..engine.harts()).filter_map(|i| engine.view(i)).collect::<Vec<_>>();
        let mut trace = Vec::new();
        let mut before = places();
        for n in first..equal {
            reference.run(Until::Exactly(n + 1));
            let after = places();
            let ran = before.iter().zip(&after).position(|(b, a)| a.retired != b.retired);
            trace.extend(ran.map(|hart| Traced { hart, pc: before[hart].pc }));
            before = after;
        }
        // Which hart is next only running tells; that is done on the other machine, so that this one stays here.
        let other = &self.sides[1];
        other.feed(&self.input);
        other.run(Until::Exactly(equal + 1));
        let after = (0..engine.harts()).filter_map(|i| other.engine().view(i));
        let next = before.iter().zip(after).position(|(b, a)| a.retired != b.retired);
        trace.extend(next.map(|hart| Traced { hart, pc: before[hart].pc }));
        Ok(trace)
    }

    /// The block with the last instruction of the trace.
    fn block(&self, trace: &[Traced]) -> Option<Explained> {
        const LONGEST_INSN: u64 = 16;
        let engine = self.sides[0].engine();
        let last = trace.last()?;
        // Straight-line code that led there: a block began somewhere in it.
        let follows = |a: &Traced, b: &Traced| {
            a.hart == b.hart && (1..=LONGEST_INSN).contains(&b.pc.wrapping_sub(a.pc))
        };
        let line = 1 + trace.windows(2).rev().take_while(|w| follows(&w[0], &w[1])).count();
        let line = &trace[trace.len() - line..];
        let mut from = 0;
        while let Some(t) = line.get(from) {
            let block = engine.explain(t.hart, t.pc)?;
            if block.insns.iter().any(|i| i.0 == last.pc) {
                return Some(block);
            }
            let end = block.insns.last()?.0;
            from = line.iter().position(|t| t.pc > end)?;
        }
        None
    }
}
