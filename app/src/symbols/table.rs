//! The symbols of one source, found by address and by name.

use super::place::{Place, Placement, Symbol};
use std::ops::Range;

/// Symbols that a table holds at most: a kernel with all of its drivers built in has some 300,000, a large program as many.
pub const MAX_SYMBOLS: usize = 1 << 20;
/// Bytes of all names of a table together.
pub const MAX_NAME_BYTES: usize = 128 << 20;
/// Longest name. Linux has 511 bytes at most; names of C++ and Rust can be longer in programs and are cut.
pub const MAX_NAME: usize = 1024;
/// Symbols around an address that are tried, where symbols lie in one another.
const NESTED: usize = 32;

/// What a symbol is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Code.
    Function,
    /// Data.
    Data,
    /// Not said.
    Other,
}

impl Kind {
    /// What the letter means that `nm`, `System.map` and the kernel print (binutils' manual, nm).
    pub fn of_letter(letter: u8) -> Kind {
        match letter {
            // Weak symbols of a kernel are functions with hardly an exception.
            b't' | b'T' | b'w' | b'W' | b'i' => Kind::Function,
            b'b' | b'B' | b'd' | b'D' | b'r' | b'R' | b'g' | b'G' | b's' | b'S' | b'v' | b'V' => Kind::Data,
            _ => Kind::Other,
        }
    }

    /// Its letter in a list.
    pub const fn letter(self) -> char {
        match self {
            Kind::Function => 'T',
            Kind::Data => 'D',
            Kind::Other => '?',
        }
    }
}

/// How far a symbol reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// So many bytes.
    Bytes(u64),
    /// To the next symbol, but not beyond this address. The last one has no extent if this is `u64::MAX`.
    ToNext(u64),
}

/// A symbol to go into a table.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Where it begins.
    pub address: u64,
    /// How far it reaches.
    pub extent: Extent,
    /// Its name.
    pub name: &'a str,
    /// What it is.
    pub kind: Kind,
    /// The module that it is part of; empty if of none.
    pub module: &'a str,
    /// Of several symbols at one address the lowest gives the name.
    pub rank: u8,
}

/// A table that is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

#[derive(Clone, Copy, Debug)]
struct Row {
    address: u64,
    size: u64,
    name: u32,
    len: u16,
    module: u16,
    kind: Kind,
}

/// Collects the symbols of a table.
#[derive(Debug, Default)]
pub struct Builder {
    names: String,
    modules: Vec<String>,
    rows: Vec<(Row, Extent, u8)>,
}

impl Builder {
    /// Adds a symbol, in any order. One without a name is left out.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), Full> {
        let name = cut(entry.name);
        if name.is_empty() {
            return Ok(());
        }
        if self.rows.len() >= MAX_SYMBOLS || self.names.len() + name.len() > MAX_NAME_BYTES {
            return Err(Full);
        }
        let module = self.module(cut(entry.module))?;
        let start = u32::try_from(self.names.len()).map_err(|_| Full)?;
        let len = u16::try_from(name.len()).map_err(|_| Full)?;
        self.names.push_str(name);
        let row = Row { address: entry.address, size: 0, name: start, len, module, kind: entry.kind };
        self.rows.push((row, entry.extent, entry.rank));
        Ok(())
    }

    /// The module's number. Modules come one after the other in all lists, so that the last one is nearly always it.
    fn module(&mut self, name: &str) -> Result<u16, Full> {
        if self.modules.is_empty() {
            self.modules.push(String::new());
        }
        let known = match self.modules.last() {
            Some(last) if last == name => Some(self.modules.len() - 1),
            _ if name.is_empty() => Some(0),
            _ => None,
        };
        let at = known.unwrap_or_else(|| {
            self.modules.push(name.to_owned());
            self.modules.len() - 1
        });
        u16::try_from(at).map_err(|_| Full)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table, under the name of its source.
    pub fn finish(mut self, source: &str) -> Table {
        self.rows.sort_by_key(|(row, _, rank)| (row.address, *rank));
        let mut rows: Vec<Row> = Vec::with_capacity(self.rows.len());
        // Downwards: the address that is had now, and the one above it.
        let (mut at, mut next) = (u64::MAX, u64::MAX);
        for (row, extent, _) in self.rows.iter().rev() {
            if row.address != at {
                (at, next) = (row.address, at);
            }
            rows.push(Row { size: size(row.address, *extent, next), ..*row });
        }
        rows.reverse();
        let mut table = Table {
            source: source.to_owned(),
            names: self.names,
            modules: self.modules,
            rows,
            by_name: Vec::new(),
            placement: None,
        };
        table.sort_names();
        table
    }
}

fn size(address: u64, extent: Extent, next: u64) -> u64 {
    let end = match extent {
        Extent::Bytes(bytes) => return bytes,
        Extent::ToNext(limit) => next.min(limit),
    };
    if end == u64::MAX { 0 } else { end.saturating_sub(address) }
}

/// A name of at most [`MAX_NAME`] bytes.
fn cut(name: &str) -> &str {
    name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or_default()
}

/// All symbols of one source.
#[derive(Debug)]
pub struct Table {
    source: String,
    names: String,
    modules: Vec<String>,
    /// By address.
    rows: Vec<Row>,
    /// Numbers of rows, by name.
    by_name: Vec<u32>,
    placement: Option<Placement>,
}

impl Table {
    fn sort_names(&mut self) {
        let mut order: Vec<u32> = (0..u32::try_from(self.rows.len()).unwrap_or(u32::MAX)).collect();
        order.sort_by_key(|i| self.name_of(*i));
        self.by_name = order;
    }

    /// The same table, which now knows where its code lies in physical memory.
    pub fn placed(self, placement: Placement) -> Table {
        Table { placement: Some(placement), ..self }
    }

    /// Where it comes from: a file's name, or the kernel's.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Where its code lies in physical memory, if that is known.
    pub fn placement(&self) -> Option<&Placement> {
        self.placement.as_ref()
    }

    /// How many symbols there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn symbol(&self, row: &Row) -> Symbol<'_> {
        let start = row.name as usize;
        Symbol {
            name: self.names.get(start..start + usize::from(row.len)).unwrap_or_default(),
            address: row.address,
            size: row.size,
            kind: row.kind,
            module: self.modules.get(usize::from(row.module)).map_or("", String::as_str),
            source: &self.source,
        }
    }

    fn name_of(&self, row: u32) -> &str {
        self.rows.get(row as usize).map_or("", |r| self.symbol(r).name)
    }

    /// All symbols, lowest address first.
    pub fn iter(&self) -> impl Iterator<Item = Symbol<'_>> {
        self.rows.iter().map(|r| self.symbol(r))
    }

    /// The symbol that a virtual address lies in: the innermost one.
    pub fn at(&self, address: u64) -> Option<Place<'_>> {
        let mut end = self.rows.partition_point(|r| r.address <= address);
        for _ in 0..NESTED {
            let begin = self.rows.get(end.checked_sub(1)?)?.address;
            let start = self.rows.partition_point(|r| r.address < begin);
            let offset = address - begin;
            let covers = |r: &&Row| offset < r.size.max(1);
            if let Some(row) = self.rows.get(start..end)?.iter().take(NESTED).find(covers) {
                return Some(Place { symbol: self.symbol(row), offset });
            }
            end = start;
        }
        None
    }

    /// The symbol that a physical address lies in, if the table is [`Table::placed`].
    pub fn at_physical(&self, address: u64) -> Option<Place<'_>> {
        self.at(self.placement?.to_virtual(address)?)
    }

    /// All symbols of this name; a kernel has many static functions of one name.
    pub fn named<'a>(&'a self, name: &str) -> impl Iterator<Item = Symbol<'a>> + use<'a> {
        let start = self.by_name.partition_point(|i| self.name_of(*i) < name);
        let end = self.by_name.partition_point(|i| self.name_of(*i) <= name);
        self.rows_of(start..end)
    }

    /// All symbols whose name begins so, by name.
    pub fn starting<'a>(&'a self, prefix: &str) -> impl Iterator<Item = Symbol<'a>> + use<'a> {
        let start = self.by_name.partition_point(|i| self.name_of(*i) < prefix);
        let behind = |i: &u32| {
            let name = self.name_of(*i);
            name < prefix || name.starts_with(prefix)
        };
        self.rows_of(start..self.by_name.partition_point(behind))
    }

    /// All symbols whose name holds this, by name. Looks at each name, so take what is needed.
    pub fn containing<'a>(&'a self, text: &str) -> impl Iterator<Item = Symbol<'a>> {
        self.rows_of(0..self.by_name.len()).filter(move |s| s.name.contains(text))
    }

    fn rows_of(&self, range: Range<usize>) -> impl Iterator<Item = Symbol<'_>> {
        let numbers = self.by_name.get(range).unwrap_or_default();
        numbers.iter().filter_map(|i| self.rows.get(*i as usize)).map(|r| self.symbol(r))
    }
}
