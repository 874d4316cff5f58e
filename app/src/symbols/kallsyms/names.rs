//! From the token table to the names: over the markers, which say where every 256th name begins.

use super::super::memory::Space;
use super::super::table::MAX_SYMBOLS;
use super::tokens::Tokens;

/// A kernel with fewer symbols is none.
pub const MIN_SYMBOLS: usize = 1000;
/// Longest name with its letter: `KSYM_NAME_LEN` is 512 since Linux 6.1, 128 before.
const MAX_NAME: usize = 512;
/// Names for one marker.
const PER_MARKER: usize = 256;
/// Fewest bytes from one marker to the next: each name has a length, and a letter with at least something in one token.
const MIN_STEP: u32 = 2 * PER_MARKER as u32;
/// Most: lengths of two bytes.
const MAX_STEP: u32 = (MAX_NAME as u32 + 2) * PER_MARKER as u32;
/// What lies between markers and token table at most: numbers of symbols in the order of their names, which some versions put there,
/// in three or four bytes each.
const MAX_SEQS: u64 = 4 * MAX_SYMBOLS as u64;
/// Bytes of all names together, and of all markers.
const MAX_NAMES: u32 = 64 << 20;
const MAX_MARKERS: u64 = 4 * (MAX_SYMBOLS / PER_MARKER) as u64;
/// How many markers there can be; one more by chance.
const MARKERS: std::ops::RangeInclusive<usize> = MIN_SYMBOLS / PER_MARKER..=MAX_SYMBOLS / PER_MARKER + 1;
/// Places that look like a first marker, and are followed, for one token table.
const MAX_RUNS: usize = 16;

/// The names of all symbols, by address.
pub struct Names {
    /// Where the number of symbols stands, 8 bytes before the first name.
    pub start: u64,
    /// The first bytes from there on.
    pub head: Vec<u8>,
    letters: Vec<u8>,
    text: String,
    /// Where each name ends in `text`.
    ends: Vec<u32>,
}

/// Words that could be markers.
struct Run {
    at: u64,
    markers: Vec<u32>,
}

impl Names {
    /// Finds and reads the names that belong to a token table. `budget` is how many names may be read.
    pub fn read(space: &Space<'_>, tokens: &Tokens, budget: &mut usize) -> Option<Names> {
        let from = tokens.start.saturating_sub(MAX_SEQS + MAX_MARKERS);
        let before = space.around(tokens.start, from.next_multiple_of(8), tokens.start)?;
        let at = before.start;
        let bytes = space.bytes(before)?;
        let words: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        drop(bytes);
        runs(&words, at).take(MAX_RUNS).find_map(|run| run.names(space, tokens, budget))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Letter and name of each symbol.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &str)> {
        let mut from = 0;
        self.letters.iter().zip(&self.ends).map(move |(letter, end)| {
            let range = from as usize..*end as usize;
            from = *end;
            (*letter, self.text.get(range).unwrap_or_default())
        })
    }

    /// Reads `count` names that must begin where the markers say and end with `bytes`, but for padding.
    fn parse(bytes: &[u8], count: usize, markers: &[u32], tokens: &Tokens) -> Option<Names> {
        let (mut letters, mut text, mut ends) = (Vec::new(), String::new(), Vec::new());
        let mut rest = bytes;
        for n in 0..count {
            if n.is_multiple_of(PER_MARKER)
                && *markers.get(n / PER_MARKER)? as usize != bytes.len() - rest.len()
            {
                return None;
            }
            let (name, behind) = one(rest)?;
            rest = behind;
            let (mut parts, before) = (name.iter().map(|t| tokens.get(*t)), text.len());
            let (letter, first) = parts.next()?.split_at_checked(1)?;
            text.push_str(first);
            parts.for_each(|p| text.push_str(p));
            let letter = *letter.as_bytes().first()?;
            let len = text.len() - before;
            if !letter.is_ascii_alphabetic() || len == 0 || len >= MAX_NAME {
                return None;
            }
            letters.push(letter);
            ends.push(u32::try_from(text.len()).ok()?);
        }
        let padded = rest.len() < 8 && rest.iter().all(|b| *b == 0);
        padded.then_some(Names { start: 0, head: Vec::new(), letters, text, ends })
    }
}

/// The tokens of the first name, and what comes behind it. Lengths are LEB128 of at most two bytes since Linux 6.1; before, names
/// were too short for a second one.
fn one(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        return rest.split_at_checked(usize::from(*first));
    }
    let (second, rest) = rest.split_first()?;
    rest.split_at_checked(usize::from(first & 0x7f) | usize::from(*second) << 7)
}

/// All runs of words that could be markers, from the last one on. The first marker is 0.
fn runs(words: &[u32], at: u64) -> impl Iterator<Item = Run> {
    let starts = (0..words.len()).rev().filter(|n| n.is_multiple_of(2) && words[*n] == 0);
    starts.filter_map(move |n| {
        let steps = words[n..].windows(2).take_while(|w| {
            w[1].checked_sub(w[0]).is_some_and(|step| (MIN_STEP..=MAX_STEP).contains(&step))
                && w[1] <= MAX_NAMES
        });
        let len = steps.count() + 1;
        MARKERS.contains(&len).then(|| Run { at: at + 4 * n as u64, markers: words[n..n + len].to_vec() })
    })
}

impl Run {
    /// The names before these markers.
    fn names(&self, space: &Space<'_>, tokens: &Tokens, budget: &mut usize) -> Option<Names> {
        // The word behind the last marker may look like one more, by chance.
        let (last, before) = (*self.markers.last()?, *self.markers.iter().rev().nth(1)?);
        let from = self.at.checked_sub(u64::from(last) + u64::from(MAX_STEP))?.next_multiple_of(8);
        let to = self.at.checked_sub(u64::from(before))?;
        let window = space.around(self.at, from, to)?;
        let start = window.start;
        let heads = space.bytes(window)?;
        heads.as_chunks::<8>().0.iter().enumerate().find_map(|(n, head)| {
            let count = usize::try_from(u64::from_le_bytes(*head)).ok()?;
            self.names_at(space, tokens, start + 8 * n as u64, count, budget)
        })
    }

    /// The names whose number, `count`, stands at `start`.
    fn names_at(
        &self,
        space: &Space<'_>,
        tokens: &Tokens,
        start: u64,
        count: usize,
        budget: &mut usize,
    ) -> Option<Names> {
        if !(MIN_SYMBOLS..=MAX_SYMBOLS).contains(&count) || !self.leads_to(tokens.start, count) {
            return None;
        }
        *budget = budget.checked_sub(count)?;
        let bytes = space.bytes(start..self.at)?;
        let (head, rest) = bytes.split_at_checked(8)?;
        let names = Names::parse(rest, count, &self.markers, tokens)?;
        let head = head.iter().chain(rest.iter().take(56)).copied().collect();
        Some(Names { start, head, ..names })
    }

    /// Whether the token table is where it must be with so many symbols.
    fn leads_to(&self, token_table: u64, count: usize) -> bool {
        let markers = count.div_ceil(PER_MARKER);
        if markers != self.markers.len() && markers + 1 != self.markers.len() {
            return false;
        }
        let end = (self.at + 4 * markers as u64).next_multiple_of(8);
        let seqs = |bytes: usize| end + (bytes * count).next_multiple_of(8) as u64;
        [0, 3, 4].into_iter().any(|bytes| seqs(bytes) == token_table)
    }
}
