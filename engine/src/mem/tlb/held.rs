//! Translations held behind the tables of a hart.
//!
//! The problem: the tables that emitted code reads are direct-mapped, split by kind of access and by address space, and hold
//! host addresses. So a page that lost its slot to another, the stores to a page that was only loaded, a kernel page in the
//! next address space, and every access to a device or to a page with code would cost a walk. Here data translations are kept
//! by page and rights, four to a bucket, for all address spaces of the hart: what a victim buffer is in hardware.
//!
//! A translation is reached only through its owner's number, which the owner changes to drop all that it had, or if it is
//! global. All translations of a page share a bucket, so that a fence looks at one.

use super::size::Size;
use crate::mem::{PAGE_MASK, PAGE_SHIFT};

const BUCKETS: usize = 1024;
const WAYS: usize = 4;

/// Bits of [`Way::pa`]: what the translation may be used for, by [`crate::guest::Access`]; its [`Size`] is below.
const RIGHTS: u32 = 8;

#[derive(Clone, Copy)]
struct Way {
    /// Page and MMU index. [`EMPTY`]: nothing.
    key: u64,
    pa: u64,
    owner: u64,
}

/// No page with an index is this: indices are smaller.
const EMPTY: u64 = !0;

/// What a page means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Held {
    /// Physical page.
    pub pa: u64,
    /// Loads may use it.
    pub read: bool,
    /// Stores may use it.
    pub write: bool,
    /// What it belongs to.
    pub size: Size,
}

/// Held translations.
pub(super) struct HeldTable {
    buckets: Box<[[Way; WAYS]; BUCKETS]>,
    /// Owner of global translations.
    globals: u64,
    /// Decides which way is given up.
    turn: usize,
}

fn bucket(va: u64) -> usize {
    ((va >> PAGE_SHIFT) ^ (va >> (PAGE_SHIFT + 10)) ^ (va >> (PAGE_SHIFT + 20))) as usize & (BUCKETS - 1)
}

impl HeldTable {
    /// Holds nothing; `globals` is a number that no owner has.
    pub fn new(globals: u64) -> HeldTable {
        let none = Way { key: EMPTY, pa: 0, owner: 0 };
        HeldTable { buckets: Box::new([[none; WAYS]; BUCKETS]), globals, turn: 0 }
    }

    /// The page of `va` as `owner`, who may see global translations, sees it by `index`.
    #[inline]
    pub fn get(&self, owner: u64, globals: bool, index: u8, va: u64) -> Option<Held> {
        let key = va & PAGE_MASK | index as u64;
        let also = if globals { self.globals } else { owner };
        let mut ways = self.buckets[bucket(va)].iter();
        let way = ways.find(|w| w.key == key && (w.owner == owner || w.owner == also))?;
        let right = |n: u32| way.pa >> (RIGHTS + n) & 1 != 0;
        Some(Held { pa: way.pa & PAGE_MASK, read: right(0), write: right(1), size: Size::from_bits(way.pa) })
    }

    /// Holds the page of `va` for `owner` and `index`, or for all owners if it is global.
    pub fn put(&mut self, owner: u64, index: u8, va: u64, held: Held) {
        let owner = if held.size.is_global() { self.globals } else { owner };
        let rights = held.read as u64 | (held.write as u64) << 1;
        let pa = held.pa & PAGE_MASK | rights << RIGHTS | held.size.bits();
        let new = Way { key: va & PAGE_MASK | index as u64, pa, owner };
        let ways = &mut self.buckets[bucket(va)];
        let place = ways
            .iter()
            .position(|w| w.key == new.key && w.owner == owner)
            .or_else(|| ways.iter().position(|w| w.key == EMPTY));
        self.turn = self.turn.wrapping_add(place.is_none() as usize);
        ways[place.unwrap_or(self.turn % WAYS)] = new;
    }

    /// Drops the page of `va` in all address spaces, unless it is global and `globals` is false.
    #[inline]
    pub fn drop_page(&mut self, va: u64, globals: bool) {
        for w in &mut self.buckets[bucket(va)] {
            if w.key & PAGE_MASK == va & PAGE_MASK && (globals || w.owner != self.globals) {
                w.key = EMPTY;
            }
        }
    }

    /// Drops all global translations; `owner` is a number that nobody had.
    pub fn drop_globals(&mut self, owner: u64) {
        self.globals = owner;
    }
}

const _: () = assert!(RIGHTS + 2 <= PAGE_SHIFT);
