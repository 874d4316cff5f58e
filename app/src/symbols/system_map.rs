//! Lists of symbols as text: `System.map`, the output of `nm`, and `/proc/kallsyms` of a guest.
//!
//! A line is `address letter name`, and in `/proc/kallsyms` a module in brackets may follow (proc(5)); nm leaves the address
//! of undefined symbols out.

use super::SymbolError::{self, Hidden, Line, TooMany, Unknown};
use super::table::{Builder, Entry, Extent, Kind, MAX_SYMBOLS, Table};

/// Reads a list.
pub fn read(bytes: &[u8], source: &str) -> Result<Table, SymbolError> {
    let mut builder = Builder::default();
    let mut highest = 0;
    for (n, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        // If not even the first line fits it is no such list at all.
        let wrong = || if builder.is_empty() { Unknown } else { Line { line: n + 1 } };
        let Some(entry) = std::str::from_utf8(line).ok().and_then(entry) else { return Err(wrong()) };
        let Some(entry) = entry.symbol() else { continue };
        highest = highest.max(entry.address);
        builder.add(&entry).map_err(|_| TooMany(MAX_SYMBOLS))?;
    }
    match (builder.is_empty(), highest) {
        (true, _) => Err(Unknown),
        (false, 0) => Err(Hidden),
        _ => Ok(builder.finish(source)),
    }
}

/// The parts of a line.
struct Parts<'a> {
    address: Option<u64>,
    letter: u8,
    name: &'a str,
    module: &'a str,
}

fn entry(line: &str) -> Option<Parts<'_>> {
    let mut words = line.split_ascii_whitespace();
    let (mut first, mut address) = (words.next()?, None);
    if first.len() > 1 {
        address = Some(u64::from_str_radix(first, 16).ok()?);
        first = words.next()?;
    }
    let [letter] = first.as_bytes() else { return None };
    let name = words.next()?;
    let module = match words.next() {
        Some(word) => word.strip_prefix('[')?.strip_suffix(']')?,
        None => "",
    };
    let fits = words.next().is_none() && (letter.is_ascii_alphabetic() || matches!(letter, b'?' | b'-'));
    fits.then_some(Parts { address, letter: *letter, name, module })
}

impl<'a> Parts<'a> {
    /// The symbol, if it names an address: undefined ones do not, and absolute ones name numbers.
    fn symbol(self) -> Option<Entry<'a>> {
        if matches!(self.letter, b'U' | b'A' | b'a') {
            return None;
        }
        Some(Entry {
            address: self.address?,
            extent: Extent::ToNext(u64::MAX),
            name: self.name,
            kind: Kind::of_letter(self.letter),
            module: self.module,
            rank: u8::from(self.name.starts_with('$')),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "\
        ffffffff80000000 T _start\n\
        ffffffff80002000 T _stext\n\
        0000000000001234 A absolute\n\
                         U undefined\n\
        ffffffff80002100 t helper\n\
        ffffffff01234000 t virtblk_probe\t[virtio_blk]\n\
        ffffffff80003000 B data\n";

    #[test]
    fn maps_and_lists_of_modules_are_read() {
        let table = read(MAP.as_bytes(), "System.map").expect("a map");
        assert_eq!(table.len(), 5);
        let name = |address| table.at(address).map(|p| p.to_string());
        assert_eq!(name(0xffff_ffff_8000_20fe).as_deref(), Some("_stext+0xfe"));
        assert_eq!(name(0xffff_ffff_0123_4010).as_deref(), Some("virtblk_probe+0x10 [virtio_blk]"));
        assert_eq!(name(0xffff_ffff_8000_3000).as_deref(), Some("data"));
        assert_eq!(name(0xffff_ffff_8000_3001), None, "nobody knows how long the last one is");
        assert_eq!(name(0x1234), None);
        assert_eq!(table.named("data").next().map(|s| s.kind), Some(Kind::Data));
    }

    #[test]
    fn bad_lists_are_told_apart() {
        assert!(matches!(read(b"", "x"), Err(Unknown)));
        assert!(matches!(read(b"\n\n", "x"), Err(Unknown)));
        assert!(matches!(read(b"GIF89a", "x"), Err(Unknown)));
        assert!(matches!(read(b"1000 T a\n2000 T b c d\n", "x"), Err(Line { line: 2 })));
        assert!(matches!(read(b"1000 T a\n\n10000000000000000 T b\n", "x"), Err(Line { line: 3 })));
        assert!(matches!(read(b"1000 T a\n1001 \xff b\n", "x"), Err(Line { line: 2 })));
        assert!(matches!(read(b"0000000000000000 T a\n0000000000000000 t b\n", "x"), Err(Hidden)));
    }

    #[test]
    fn more_lines_than_a_table_holds_are_an_error() {
        let text = "10 T a\n".repeat(MAX_SYMBOLS + 1);
        assert!(matches!(read(text.as_bytes(), "x"), Err(TooMany(MAX_SYMBOLS))));
    }
}
