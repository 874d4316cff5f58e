//! Writes kernel images with tables, for tests: independent of the code that reads them.

use super::super::memory::testing::Flat;

/// Where RAM, and the image in it, begin.
pub const RAM: u64 = 0x8000_0000;
pub const IMAGE: u64 = RAM + 0x1_0000;
/// The image's virtual address.
pub const LINKED: u64 = 0xffff_ffff_8000_0000;
/// Offsets in the image.
const TEXT: u64 = 0x2000;
pub const BANNER: u64 = 0x2_0320;
const TABLES: u64 = 0x2_1000;
const SIZE: u64 = 0x6_0000;
/// Pieces that get tokens of their own, longest first.
const PIECES: [&str; 8] = ["Tfunction_", "function_", "_of_the", "driver", "__", "td", "st", "rn"];

/// How addresses are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Addressing {
    Offsets,
    /// With so many absolute symbols.
    Signed(usize),
    Absolute,
}

/// One of the layouts.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Addresses before the names instead of at the end.
    pub addresses_first: bool,
    /// Bytes of each number in `seqs_of_names`; 0: there is no such table.
    pub seqs: usize,
    pub addressing: Addressing,
    /// A name of more than 127 tokens.
    pub long_name: bool,
    /// Moves all tables.
    pub shift: u64,
    /// All symbols, or only code.
    pub all: bool,
}

/// Linux 6.12.
pub const NEW: Layout = Layout {
    addresses_first: false,
    seqs: 3,
    addressing: Addressing::Offsets,
    long_name: true,
    shift: 0,
    all: true,
};

/// All layouts that there have been, and some that could be.
pub fn layouts() -> Vec<Layout> {
    let old = Layout { addresses_first: true, ..NEW };
    let early = Layout { seqs: 0, long_name: false, ..old };
    let all = [NEW, old, Layout { seqs: 4, ..old }, Layout { seqs: 0, ..old }, early];
    let forms = [Addressing::Offsets, Addressing::Signed(0), Addressing::Signed(3), Addressing::Absolute];
    let with = |l: &Layout| forms.map(|addressing| Layout { addressing, ..*l });
    all.iter().flat_map(with).chain([Layout { all: false, ..NEW }]).collect()
}

/// A symbol: address, letter, name.
pub type Entry = (u64, char, String);

/// An image, and where its tables lie in memory.
#[derive(Clone)]
pub struct Image {
    pub memory: Flat,
    pub symbols: Vec<Entry>,
    /// Physical addresses: the number of symbols, markers, token table, token index, addresses, base, end.
    pub count: u64,
    pub markers: u64,
    pub tokens: u64,
    pub index: u64,
    pub addresses: u64,
    pub base: u64,
    pub end: u64,
}

impl Image {
    /// The tables' place in `memory.bytes`.
    pub fn offset(&self, pa: u64) -> usize {
        (pa - self.memory.base) as usize
    }

    /// Overwrites bytes.
    pub fn put(&mut self, pa: u64, bytes: &[u8]) {
        let at = self.offset(pa);
        self.memory.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// The symbols of an image that is linked there.
fn symbols(layout: &Layout, linked: u64) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    if let Addressing::Signed(n) = layout.addressing {
        all.extend((0..n).map(|i| (16 * i as u64, 'A', format!("per_cpu_{i}"))));
    }
    let mut put = |offset, letter, name: &str| all.push((linked + offset, letter, name.to_owned()));
    if layout.all {
        put(0, 'T', "_start");
    }
    put(TEXT, 'T', "_stext");
    put(TEXT, 'T', "_text");
    for i in 0..1500 {
        let name = if i % 3 == 0 { format!("function_{i}_of_the_driver") } else { format!("static_{i}.{i}") };
        put(TEXT + 16 + 16 * i, if i % 3 == 0 { 'T' } else { 't' }, &name);
    }
    if layout.long_name {
        let name: String = (0..301).map(|i| char::from(b'a' + (i * i % 26) as u8)).collect();
        put(0x1_0000, 't', &name);
    }
    put(0x1_8000, 'T', "_etext");
    if layout.all {
        put(BANNER, 'D', "linux_banner");
        put(SIZE, 'B', "_end");
    }
    all
}

/// The token of each byte, and the bytes that stand for pieces.
fn tokens(symbols: &[Entry]) -> Vec<String> {
    let mut tokens = vec![String::new(); 256];
    for (_, letter, name) in symbols {
        for c in std::iter::once(*letter).chain(name.chars()) {
            tokens[c as usize] = c.to_string();
        }
    }
    let mut free = (0..256).filter(|i| tokens[*i].is_empty()).collect::<Vec<_>>().into_iter();
    for piece in PIECES {
        let at = free.next().expect("bytes that occur in no name");
        tokens[at] = piece.to_owned();
    }
    tokens
}

fn compress(name: &str, tokens: &[String]) -> Vec<u8> {
    let (mut rest, mut out) = (name, Vec::new());
    while !rest.is_empty() {
        // The longest first.
        let piece = PIECES.iter().find(|p| rest.starts_with(*p));
        let own = &rest[..1];
        let token = piece.copied().unwrap_or(own);
        out.push(tokens.iter().position(|t| t == token).expect("a token") as u8);
        rest = &rest[token.len()..];
    }
    out
}

/// The tables, as they are written one after the other.
struct Writer {
    bytes: Vec<u8>,
    at: u64,
}

impl Writer {
    /// Aligns; the address of what comes next.
    fn label(&mut self) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.at + self.bytes.len() as u64
    }

    fn word(&mut self, value: u64, bytes: usize) {
        self.bytes.extend(&value.to_le_bytes()[..bytes]);
    }

    /// Addresses and their base.
    fn addresses(&mut self, layout: &Layout, symbols: &[Entry], linked: u64) -> (u64, u64) {
        let is_absolute = |letter: char| letter == 'A';
        let base = symbols.iter().find(|(_, letter, _)| !is_absolute(*letter)).map_or(linked, |s| s.0);
        let at = self.label();
        for (address, letter, _) in symbols {
            match layout.addressing {
                Addressing::Absolute => self.word(*address, 8),
                Addressing::Signed(_) if !is_absolute(*letter) => {
                    self.word(base.wrapping_sub(address + 1), 4)
                }
                Addressing::Signed(_) => self.word(*address, 4),
                Addressing::Offsets => self.word(address - base, 4),
            }
        }
        if layout.addressing == Addressing::Absolute {
            return (at, at);
        }
        let base_at = self.label();
        self.word(base, 8);
        (at, base_at)
    }

    fn seqs(&mut self, layout: &Layout, count: usize) {
        self.label();
        (0..count as u64).for_each(|i| self.word(0x30_0000 + i, layout.seqs));
    }
}

/// An image in memory, relocated to `linked`.
pub fn image(layout: &Layout, linked: u64) -> Image {
    let symbols = symbols(layout, linked);
    let table = tokens(&symbols);
    let mut w = Writer { bytes: Vec::new(), at: IMAGE + TABLES + layout.shift };
    let mut places = (0, 0);
    if layout.addresses_first {
        places = w.addresses(layout, &symbols, linked);
    }
    let count = w.label();
    w.word(symbols.len() as u64, 4);
    let names = w.label();
    let mut starts = Vec::new();
    for (n, (_, letter, name)) in symbols.iter().enumerate() {
        if n % 256 == 0 {
            starts.push(w.at + w.bytes.len() as u64 - names);
        }
        let packed = compress(&format!("{letter}{name}"), &table);
        match packed.len() {
            len @ ..0x80 => w.word(len as u64, 1),
            len => w.word((len as u64 & 0x7f | 0x80) | (len as u64 >> 7) << 8, 2),
        }
        w.bytes.extend(packed);
    }
    let markers = w.label();
    starts.iter().for_each(|s| w.word(*s, 4));
    if layout.addresses_first {
        w.seqs(layout, symbols.len());
    }
    let tokens = w.label();
    let mut index = Vec::new();
    for token in &table {
        index.push(w.at + w.bytes.len() as u64 - tokens);
        w.bytes.extend(token.bytes().chain([0]));
    }
    let index_at = w.label();
    index.iter().for_each(|i| w.word(*i, 2));
    if !layout.addresses_first {
        places = w.addresses(layout, &symbols, linked);
        w.seqs(layout, symbols.len());
    }
    let end = w.label();
    let mut memory = Flat { base: RAM, bytes: vec![0; (IMAGE - RAM + SIZE + 0x1_0000) as usize] };
    let mut put = |pa: u64, bytes: &[u8]| {
        memory.bytes[(pa - RAM) as usize..][..bytes.len()].copy_from_slice(bytes);
    };
    put(IMAGE + 0x30, b"RISCV\0\0\0RSC\x05");
    put(IMAGE + BANNER, b"Linux version 6.12 (of a test)\n");
    put(w.at, &w.bytes);
    let (addresses, base) = places;
    Image { memory, symbols, count, markers, tokens, index: index_at, addresses, base, end }
}
