//! A table set: an address space seen with one set of rights.

use super::fetch::Fetch;
use super::ranges::Ranges;
use super::size::Size;
use super::table::Table;
use crate::mem::PAGE_MASK;

pub(super) struct Set {
    pub context: u64,
    pub index: u8,
    /// When it was last selected.
    pub selected: u64,
    /// Moves when a fetch translation on which look-ups may rest is dropped. No other set ever had this one.
    pub generation: u64,
    /// Whose held translations are this set's. No other set ever had this number.
    pub owner: u64,
    /// Where large mappings are, some of whose pages are in the tables or held.
    large: Ranges,
    pub load: Table,
    pub store: Table,
    pub fetch: Fetch,
    /// Something local may be held.
    locals_held: bool,
    /// Something may be in the tables or held.
    in_use: bool,
}

/// What a set asks for after it dropped something.
#[derive(Clone, Copy, Default)]
pub(super) struct Dropped {
    /// Code look-ups made through it are void: a new generation.
    pub look_ups: bool,
    /// What is held for it is void: a new owner number.
    pub held: bool,
    /// Tables that shrank.
    pub shrunk: u64,
}

impl Set {
    pub fn new(generation: u64, owner: u64) -> Set {
        Set {
            context: 0,
            index: u8::MAX,
            selected: 0,
            generation,
            owner,
            large: Ranges::default(),
            load: Table::new(),
            store: Table::new(),
            fetch: Fetch::new(),
            locals_held: false,
            in_use: false,
        }
    }

    /// Notes that the page of `va`, of a mapping of this size, is about to be entered or held.
    pub fn note(&mut self, va: u64, size: Size) {
        self.in_use = true;
        self.locals_held |= !size.is_global();
        if size.is_large() {
            self.large.add(va, size.log2());
        }
    }

    /// Nothing is in it.
    pub fn is_clear(&self) -> bool {
        !self.in_use
    }

    /// Drops everything.
    #[must_use]
    pub fn clear(&mut self) -> Dropped {
        let shrunk = self.load.clear() as u64 + self.store.clear() as u64;
        self.large.clear();
        let look_ups = self.fetch.clear();
        self.in_use = false;
        Dropped { look_ups, held: std::mem::take(&mut self.locals_held), shrunk }
    }

    /// Drops everything and makes it the set of another address space, with a generation and an owner number that no set
    /// had. Returns how many tables shrank.
    pub fn recycle(&mut self, context: u64, index: u8, fresh: [u64; 2]) -> u64 {
        let dropped = self.clear();
        (self.context, self.index) = (context, index);
        [self.generation, self.owner] = fresh;
        let tables = [&mut self.load, &mut self.store, &mut self.fetch.table];
        dropped.shrunk + tables.into_iter().map(|t| t.trim() as u64).sum::<u64>()
    }

    /// Drops all but global mappings.
    #[must_use]
    pub fn drop_locals(&mut self) -> Dropped {
        self.load.drop_locals();
        self.store.drop_locals();
        let look_ups = self.fetch.drop_locals();
        Dropped { look_ups, held: std::mem::take(&mut self.locals_held), shrunk: 0 }
    }

    /// Drops the page of `va`, and the whole of a large mapping that covers it, unless it is global and `globals` is false.
    #[must_use]
    pub fn drop_page(&mut self, va: u64, globals: bool) -> Dropped {
        let page = va & PAGE_MASK;
        if self.large.may_have(page) {
            for table in [&mut self.load, &mut self.store] {
                table.drop_where(|e, size| size.covers(e.tag, page));
            }
            self.large.remove(page);
            return Dropped { look_ups: self.fetch.drop_covering(page), held: true, shrunk: 0 };
        }
        self.load.drop_page(page, globals);
        self.store.drop_page(page, globals);
        Dropped { look_ups: self.fetch.drop_page(page, globals), ..Dropped::default() }
    }
}
