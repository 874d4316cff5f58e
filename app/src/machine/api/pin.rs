//! Ranges of guest code and the tiers that they are held in, as people write them: `0x80200000-0x80201000=tier1`.
//!
//! Addresses are physical, the end is the first address that does not belong to the range, and one address alone stands for the block that
//! begins there.

use super::UserError;
use engine::tier::pins::{Level, Pin};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// How ranges are written.
const HOW: &str =
    "Write ADDRESS or START-END, where END is the first address behind; 0x begins a hexadecimal number.";

/// Words for tiers.
const WORDS: [(&str, Level); 3] =
    [("interpreter", Level::Interpreter), ("tier1", Level::Tier1), ("tier2", Level::Tier2)];

/// A range of physical addresses of guest code.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodeRange(pub Range<u64>);

/// A range that is held in a tier.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodePin(pub Pin);

/// The tier of this word.
pub fn level(word: &str) -> Result<Level, UserError> {
    WORDS.iter().find(|(w, _)| *w == word).map(|(_, level)| *level).ok_or_else(|| {
        UserError::new(
            format!("\"{word}\" is no tier that code can be pinned to"),
            "",
            "There are: interpreter, tier1, tier2.",
        )
    })
}

fn address(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None => (text, 10),
    };
    // The library's own reader takes a sign.
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
    u64::from_str_radix(digits, radix).ok().filter(|_| plain)
}

impl FromStr for CodeRange {
    type Err = UserError;

    fn from_str(text: &str) -> Result<CodeRange, UserError> {
        let (start, end) = match text.split_once('-') {
            Some((start, end)) => (address(start), address(end)),
            None => (address(text), address(text).and_then(|a| a.checked_add(1))),
        };
        let (Some(start), Some(end)) = (start, end) else {
            return Err(UserError::new(format!("\"{text}\" is no range of addresses"), "", HOW));
        };
        if end <= start {
            return Err(UserError::new(format!("The range \"{text}\" ends before it begins"), "", HOW));
        }
        Ok(CodeRange(start..end))
    }
}

impl fmt::Display for CodeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.0;
        if end - start == 1 { write!(f, "{start:#x}") } else { write!(f, "{start:#x}-{end:#x}") }
    }
}

impl FromStr for CodePin {
    type Err = UserError;

    fn from_str(text: &str) -> Result<CodePin, UserError> {
        let Some((range, word)) = text.split_once('=') else {
            let next = "Write ADDRESS=TIER or START-END=TIER, with interpreter, tier1 or tier2 for TIER.";
            return Err(UserError::new(format!("\"{text}\" names no tier"), "", next));
        };
        let CodeRange(range) = range.parse()?;
        Ok(CodePin(Pin { range, level: level(word)? }))
    }
}

impl fmt::Display for CodePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = WORDS.iter().find(|(_, level)| *level == self.0.level).map_or("", |(word, _)| word);
        write!(f, "{}={word}", CodeRange(self.0.range.clone()))
    }
}

impl TryFrom<String> for CodeRange {
    type Error = UserError;
    fn try_from(text: String) -> Result<CodeRange, UserError> {
        text.parse()
    }
}

impl From<CodeRange> for String {
    fn from(range: CodeRange) -> String {
        range.to_string()
    }
}

impl TryFrom<String> for CodePin {
    type Error = UserError;
    fn try_from(text: String) -> Result<CodePin, UserError> {
        text.parse()
    }
}

impl From<CodePin> for String {
    fn from(pin: CodePin) -> String {
        pin.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["0x80200000=tier1", "0x80200000-0x80201000=interpreter", "0x0-0xffffffffffffffff=tier2"]
        {
            let pin: CodePin = text.parse().expect(text);
            assert_eq!(pin.to_string(), text);
        }
        let decimal: CodePin = "16-32=tier2".parse().expect("decimal");
        assert_eq!(decimal.0, Pin { range: 16..32, level: Level::Tier2 });
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let cases = [
            ("0x80200000", "names no tier"),
            ("0x80200000=tier3", "tier1, tier2"),
            ("0x80200000-0x80200000=tier1", "ends before"),
            ("0x80201000-0x80200000=tier1", "ends before"),
            ("80200000z=tier1", "no range"),
            ("0x=tier1", "no range"),
            ("+5=tier1", "no range"),
            ("-0x10=tier1", "no range"),
            ("0x1-0x2-0x3=tier1", "no range"),
            ("0xffffffffffffffff=tier1", "no range"),
            ("0x10000000000000000=tier1", "no range"),
            ("=tier1", "no range"),
        ];
        for (text, part) in cases {
            let error = text.parse::<CodePin>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
