//! The symbols of a running Linux kernel, out of its own memory.
//!
//! A kernel with `CONFIG_KALLSYMS` carries all of its symbols in its read-only data, compressed. `scripts/kallsyms.c` of Linux writes
//! the tables and `kernel/kallsyms.c` reads them; the layouts here are those of Linux 5.0 to 6.x on 64-bit little-endian machines. Each table begins at a multiple of 8:
//!
//! ```text
//! up to 6.3    offsets  relative_base  num_syms  names  markers  [seqs_of_names: 6.2 on]  token_table  token_index
//! from 6.4 on                          num_syms  names  markers  token_table  token_index  offsets  relative_base  seqs_of_names
//! ```
//!
//! No version is looked at, and no address is known beforehand: [`tokens`] finds the token table by its structure, [`names`] walks
//! from it to the names, [`addresses`] finds the addresses in one of the two places, and [`physical`] finds where the image lies. Each step
//! checks all that follows from the format, so that other memory, or a hostile guest's, is no kernel rather than a wrong one.

mod addresses;
mod names;
mod physical;
mod tokens;

use super::memory::{GuestMemory, Space};
use super::table::{Builder, Entry, Extent, Kind, Table};
use addresses::Addresses;
use names::Names;
use std::sync::Arc;
use tokens::{Needle, Tokens};

/// Name of the source.
pub const SOURCE: &str = "Linux";
/// Places that look like the middle of a token table and are looked at in one search. A kernel has some five (tables of code points).
const MAX_PLACES: usize = 1 << 14;
/// Token tables that are followed in one search. A kernel has one; a copy of it may lie elsewhere.
const MAX_TABLES: usize = 16;
/// Names that are read in one search, of right tables and wrong ones.
const MAX_NAMES_READ: usize = 1 << 21;

/// A kernel that was found.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Its symbols, with their place in physical memory where that could be found.
    pub table: Arc<Table>,
    /// Bytes that stay as long as it is this kernel at these addresses.
    witnesses: Vec<(u64, Vec<u8>)>,
}

impl Kernel {
    /// Whether it is still there and has not moved. Cheap: reads some hundred bytes. A kernel with `CONFIG_RANDOMIZE_BASE` moves once,
    /// early in its boot: it relocates its tables' base with everything else.
    pub fn is_current(&self, memory: &dyn GuestMemory) -> bool {
        let same = |(at, then): &(u64, Vec<u8>)| {
            let mut now = vec![0; then.len()];
            memory.read(*at, &mut now) && now == *then
        };
        self.witnesses.iter().all(same)
    }
}

/// What one search may still spend.
struct Budget {
    places: usize,
    tables: usize,
    names: usize,
}

/// Looks for a kernel in memory, from its beginning: that is where a kernel lies. `None` if there is none (yet).
pub fn find(memory: &dyn GuestMemory) -> Option<Kernel> {
    let space = Space::of(memory);
    let mut budget = Budget { places: MAX_PLACES, tables: MAX_TABLES, names: MAX_NAMES_READ };
    let mut needle = Needle::default();
    let mut places = Vec::new();
    // The outer option ends the search, the inner one says with what.
    space.each_page(|pa, page| {
        needle.look(pa, page, &mut places);
        for place in places.drain(..) {
            let Some(left) = budget.places.checked_sub(1) else { return Some(None) };
            budget.places = left;
            if let Some(kernel) = kernel_at(&space, place, &mut budget) {
                return Some(Some(kernel));
            }
        }
        None
    })?
}

/// The kernel whose token table has its digits at `digits`.
fn kernel_at(space: &Space<'_>, digits: u64, budget: &mut Budget) -> Option<Kernel> {
    let tokens = Tokens::read(space, digits)?;
    budget.tables = budget.tables.checked_sub(1)?;
    let names = Names::read(space, &tokens, &mut budget.names)?;
    let addresses = Addresses::read(space, &tokens, &names)?;
    let table = table(&names, &addresses)?;
    let placement = physical::find(space, &table, &addresses, tokens.start);
    let table = Arc::new(match placement {
        Some(placement) => table.placed(placement),
        None => table,
    });
    let witnesses = vec![(tokens.start, tokens.head), (names.start, names.head), addresses.anchor];
    Some(Kernel { table, witnesses })
}

fn table(names: &Names, addresses: &Addresses) -> Option<Table> {
    let mut builder = Builder::default();
    for ((letter, name), address) in names.iter().zip(&addresses.all) {
        let entry = Entry {
            address: *address,
            // What lies below the image are offsets in per-CPU areas: nothing reaches from there into it.
            extent: if *address < addresses.image { Extent::Bytes(0) } else { Extent::ToNext(u64::MAX) },
            name,
            kind: Kind::of_letter(letter),
            module: "",
            rank: 0,
        };
        builder.add(&entry).ok()?;
    }
    Some(builder.finish(SOURCE))
}

#[cfg(test)]
pub(super) mod encode;
#[cfg(test)]
mod tests;
