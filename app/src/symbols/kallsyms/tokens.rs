//! The token table: 256 strings of which all names are made, and the index of where each begins.
//!
//! The kernel's script gives each byte that occurs in a name itself as its token and uses the other bytes for frequent pieces. Digits
//! occur in every kernel's names, so the table holds `0 1 ... 9`, each with its NUL; tables of 16-bit code points do too, but they
//! have no fitting index behind them.

use super::super::memory::Space;
use memchr::memmem;

/// The digits as tokens.
const DIGITS: &[u8; 20] = b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\0";
/// The number of the first of them.
const FIRST_DIGIT: usize = 0x30;
/// Tokens in a table.
const TOKENS: usize = 256;
/// Bytes that a token table has at most. The index has 16 bits; real tables have about 1 KiB.
const MAX_BYTES: u64 = 16 << 10;
/// Bytes of the index: 256 of 16 bits.
const INDEX_BYTES: u64 = 512;

/// Looks for digits in pages that come one after the other.
#[derive(Default)]
pub struct Needle {
    /// The end of the page before, and the new page behind it.
    window: Vec<u8>,
    /// Where the window ends.
    end: u64,
}

impl Needle {
    /// Adds the places where the digits begin, as far as they end in this page.
    pub fn look(&mut self, pa: u64, page: &[u8], places: &mut Vec<u64>) {
        if self.end == pa {
            let kept = self.window.len().min(DIGITS.len() - 1);
            self.window.drain(..self.window.len() - kept);
        } else {
            self.window.clear();
        }
        let start = pa - self.window.len() as u64;
        self.window.extend_from_slice(page);
        self.end = pa + page.len() as u64;
        places.extend(memmem::find_iter(&self.window, DIGITS).map(|at| start + at as u64));
    }
}

/// The token table of a kernel, and where it lies.
pub struct Tokens {
    /// Where it begins.
    pub start: u64,
    /// Where what comes behind the index begins.
    pub end: u64,
    /// The table's first bytes.
    pub head: Vec<u8>,
    /// The tokens, one behind the other.
    text: String,
    /// Where each begins in `text`, and where the last one ends.
    at: [u16; TOKENS + 1],
}

impl Tokens {
    /// Reads the table whose digits are at `digits`; `None` if it is not one.
    pub fn read(space: &Space<'_>, digits: u64) -> Option<Tokens> {
        let behind = space.around(digits, digits, digits.saturating_add(MAX_BYTES))?;
        let index_at = end_of(&space.bytes(behind)?, TOKENS - FIRST_DIGIT)?
            .checked_add(digits)?
            .checked_next_multiple_of(8)?;
        let index: [u8; INDEX_BYTES as usize] = space.array(index_at)?;
        let index = index.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b));
        let index: Vec<u16> = index.collect();
        let start = digits.checked_sub(u64::from(*index.get(FIRST_DIGIT)?))?;
        if !start.is_multiple_of(8) {
            return None;
        }
        let bytes = space.bytes(space.around(digits, start, index_at)?)?;
        Tokens::parse(&bytes, &index).map(|(text, at)| {
            let head = bytes.into_iter().take(64).collect();
            Tokens { start, end: index_at + INDEX_BYTES, head, text, at }
        })
    }

    /// The tokens in `bytes`, which must be just where `index` says.
    fn parse(bytes: &[u8], index: &[u16]) -> Option<(String, [u16; TOKENS + 1])> {
        let mut text = String::new();
        let mut at = [0; TOKENS + 1];
        let mut from = 0;
        for (n, begin) in index.iter().enumerate() {
            if usize::from(*begin) != from {
                return None;
            }
            let rest = bytes.get(from..)?;
            let token = rest.get(..memchr::memchr(0, rest)?)?;
            if !token.iter().all(u8::is_ascii_graphic) {
                return None;
            }
            text.push_str(std::str::from_utf8(token).ok()?);
            from += token.len() + 1;
            *at.get_mut(n + 1)? = u16::try_from(text.len()).ok()?;
        }
        let padding = bytes.get(from..)?;
        (padding.len() < 8 && padding.iter().all(|b| *b == 0)).then_some((text, at))
    }

    /// A token.
    pub fn get(&self, n: u8) -> &str {
        let n = usize::from(n);
        self.text.get(usize::from(self.at[n])..usize::from(self.at[n + 1])).unwrap_or_default()
    }
}

/// Where the `n`th NUL ends.
fn end_of(bytes: &[u8], n: usize) -> Option<u64> {
    memchr::memchr_iter(0, bytes).nth(n.checked_sub(1)?).map(|at| at as u64 + 1)
}
