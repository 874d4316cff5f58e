//! Names for guest addresses.
//!
//! The problem: what runs in a guest is known by addresses, and people know functions. The names of a Linux kernel lie in its own memory
//! ([`kallsyms`]); other names come from files that the user gives ([`file`]): ELF, or a `System.map`. All of them are tables
//! of one form ([`table::Table`]), side by side in [`Symbols`], which is cheap to clone and never changes under a reader.
//!
//! Memory and files are hostile input: what is read of them is limited by constants, and what does not fit together in every
//! respect is no symbol table.

mod elf;
mod error;
pub mod file;
pub mod finder;
pub mod kallsyms;
pub mod memory;
mod place;
mod system_map;
pub mod table;

pub use error::SymbolError;
pub use place::{Place, Placement, Symbol};
use std::sync::Arc;
use table::Table;

/// Sources that can be in use at once.
pub const MAX_SOURCES: usize = 64;

/// The symbols of all sources. Those that came first are asked first.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    sources: Vec<Arc<Table>>,
}

impl Symbols {
    /// Adds a source, in place of one of the same name.
    pub fn put(&mut self, table: Arc<Table>) -> Result<(), SymbolError> {
        if let Some(old) = self.sources.iter_mut().find(|t| t.source() == table.source()) {
            *old = table;
        } else if self.sources.len() < MAX_SOURCES {
            self.sources.push(table);
        } else {
            return Err(SymbolError::TooManySources(MAX_SOURCES));
        }
        Ok(())
    }

    /// Removes the source of this name. Whether it was there.
    pub fn remove(&mut self, source: &str) -> bool {
        let before = self.sources.len();
        self.sources.retain(|t| t.source() != source);
        self.sources.len() < before
    }

    /// The sources.
    pub fn sources(&self) -> &[Arc<Table>] {
        &self.sources
    }

    /// The symbol that a virtual address lies in.
    pub fn at(&self, address: u64) -> Option<Place<'_>> {
        self.sources.iter().find_map(|t| t.at(address))
    }

    /// The symbol that a physical address lies in, of sources that know where they are.
    pub fn at_physical(&self, address: u64) -> Option<Place<'_>> {
        self.sources.iter().find_map(|t| t.at_physical(address))
    }

    /// All symbols of this name.
    pub fn named<'a>(&'a self, name: &str) -> impl Iterator<Item = Symbol<'a>> {
        self.sources.iter().flat_map(move |t| t.named(name))
    }

    /// At most `limit` symbols whose name holds this text: first those of just this name, then those that begin so, then the others.
    pub fn search<'a>(&'a self, text: &str, limit: usize) -> Vec<Symbol<'a>> {
        let exact = self.named(text);
        let longer = self.sources.iter().flat_map(|t| t.starting(text)).filter(|s| s.name.len() > text.len());
        let inner =
            self.sources.iter().flat_map(|t| t.containing(text)).filter(|s| !s.name.starts_with(text));
        exact.chain(longer).chain(inner).take(limit).collect()
    }
}

#[cfg(test)]
mod tests;
