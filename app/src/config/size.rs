//! Sizes as people write them: "512M", "1G".

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A number of bytes, written with a binary unit (K, M, G, T); a bare number means mebibytes, as on QEMU's command line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct MemorySize(pub u64);

const UNITS: [(&str, u32); 4] = [("T", 40), ("G", 30), ("M", 20), ("K", 10)];

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<MemorySize, String> {
        let text = text.trim();
        let upper = text.to_ascii_uppercase();
        let number = upper.trim_end_matches('B').trim_end_matches('I');
        let (digits, shift) = UNITS
            .iter()
            .find_map(|(unit, shift)| number.strip_suffix(unit).map(|d| (d, *shift)))
            .unwrap_or((number, 20));
        let wrong =
            || format!("\"{text}\" is not a size: write a number and a unit, such as \"512M\" or \"1G\"");
        let value: u64 = digits.trim_end().parse().map_err(|_| wrong())?;
        value
            .checked_mul(1 << shift)
            .map(MemorySize)
            .ok_or_else(|| format!("\"{text}\" is larger than any memory"))
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, shift)| self.0 != 0 && self.0.is_multiple_of(1 << shift));
        match whole {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}K", self.0 >> 10),
        }
    }
}

impl Serialize for MemorySize {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MemorySize {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<MemorySize, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units_and_prints_the_largest_whole_one() {
        let bytes = |t: &str| t.parse::<MemorySize>().map(|s| s.0);
        assert_eq!(bytes("1G"), Ok(1 << 30));
        assert_eq!(bytes("512"), Ok(512 << 20));
        assert_eq!(bytes("512MiB"), Ok(512 << 20));
        assert_eq!(bytes("64 k"), Ok(64 << 10));
        assert!(bytes("").is_err() && bytes("G").is_err() && bytes("-1G").is_err() && bytes("1.5G").is_err());
        assert!(bytes("99999999999T").is_err());
        assert_eq!(MemorySize(1 << 30).to_string(), "1G");
        assert_eq!(MemorySize(1536 << 20).to_string(), "1536M");
        assert_eq!(MemorySize(0).to_string(), "0K");
    }
}
