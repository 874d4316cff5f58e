//! Regions across pages: what they assume of the pages, and how a hart makes sure of it.
//!
//! The problem: loops and calls do not end where a page ends, but what is mapped behind it may be another page by the next run, or in
//! another address space. So such a region names its [pages](PageMap) by their distance from the entry's, and looks at its
//! entry whether this hart has made sure of them. Its record has a *certificate* for each hart: a tag of code look-ups, and
//! the guest address of the entry's page. While the hart's tag is that one, all of the pages are mapped as the region wants, because a
//! tag moves as soon as a translation is dropped on which an answer under it may rest (see [`crate::cache::jump`]). Inside of the region
//! nothing can move it: what drops translations ends a block and leaves, and requests of other harts are looked at where polls leave.
//!
//! Without a certificate the region is left before anything has happened ([`Exit::PAGES`](super::abi::Exit::PAGES)). The hart then looks
//! at the pages and certifies, or goes on in the code below. A page without its accessed bit is none of the region's: to set that is for the
//! guest to see.

use crate::exec::core::Core;
use crate::mem::PAGE_SHIFT;
use smallvec::SmallVec;

/// A guest address relative to the start of the page in which a region is entered.
pub type Place = i32;

/// Blocks further away than this are no part of a region.
const FARTHEST: i64 = 1 << 30;

/// Pages of a region at most.
pub const MOST_PAGES: usize = 12;

/// Words of a hart's certificate: tag, page of the entry.
pub const CERTIFICATE_WORDS: usize = 2;

/// Harts that can have a certificate; more than a board has.
pub const MOST_HARTS: usize = 64;

/// What lies `by` from `from`, if that is near enough.
pub fn place(from: Place, by: i64) -> Option<Place> {
    let at = by.saturating_add(from.into());
    (-FARTHEST..FARTHEST).contains(&at).then_some(at as Place)
}

/// The number of the page in which a place is; that of the entry is 0.
pub const fn page_of(at: Place) -> i32 {
    at >> PAGE_SHIFT
}

/// The guest address of page `number` where that of the entry is at `entry_page`.
pub const fn page_address(entry_page: u64, number: i32) -> u64 {
    entry_page.wrapping_add(((number as i64) << PAGE_SHIFT) as u64)
}

/// Where in a record a hart's certificate is, in bytes behind the first hart's. What [`Core::certificate`] holds.
pub const fn certificate_offset(hart: u32) -> u64 {
    hart as u64 * (CERTIFICATE_WORDS * size_of::<u64>()) as u64
}
const _: () = assert!(std::mem::offset_of!(Core, certificate) % 8 == 0);

/// Physical pages by number.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PageMap(SmallVec<[(i32, u64); 4]>);

impl PageMap {
    /// One page, that of the entry.
    pub fn of_entry(pa: u64) -> PageMap {
        PageMap(SmallVec::from_slice(&[(0, pa)]))
    }

    /// The physical page with this number.
    pub fn get(&self, number: i32) -> Option<u64> {
        self.0.iter().find(|(n, _)| *n == number).map(|(_, pa)| *pa)
    }

    /// The same; what is not known is asked of `find` and kept if there is room.
    pub fn get_or(&mut self, number: i32, find: impl FnOnce() -> Option<u64>) -> Option<u64> {
        if let Some(pa) = self.get(number) {
            return Some(pa);
        }
        let pa = if self.0.len() < MOST_PAGES { find()? } else { return None };
        self.0.push((number, pa));
        Some(pa)
    }

    /// Those of the pages that are in `used`; none if that is the entry's alone.
    pub fn only(&self, used: &[i32]) -> PageMap {
        if used.iter().all(|&n| n == 0) {
            return PageMap::default();
        }
        PageMap(self.0.iter().copied().filter(|(n, _)| used.contains(n)).collect())
    }

    /// No page, which means: that of the entry alone.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number and physical address of each.
    pub fn iter(&self) -> impl Iterator<Item = (i32, u64)> {
        self.0.iter().copied()
    }
}

/// What a hart finds when it looks at the pages of a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// All are mapped so, under this tag.
    Good {
        /// The tag.
        tag: u64,
        /// Guest address of the entry's page.
        page: u64,
    },
    /// One is not mapped, or has not been gone to.
    Absent,
    /// One is mapped to something else.
    Other,
}

/// Times that pages may not be found before the region is formed without them,
const MOST_ABSENT: u32 = 512;
/// and what a page counts for that is another.
const OTHER: u32 = 16;

/// What is kept of a region across pages.
#[derive(Debug)]
pub struct Across {
    /// Its pages.
    pub pages: PageMap,
    /// How often it was not entered for them.
    missed: u32,
}

impl Across {
    /// A region that has not been entered yet.
    pub fn new(pages: PageMap) -> Across {
        Across { pages, missed: 0 }
    }

    /// Notes that the region could not be entered. Whether that was once too often; says so once.
    pub fn miss(&mut self, look: Look) -> bool {
        let before = self.missed;
        self.missed = before.saturating_add(if look == Look::Other { OTHER } else { 1 });
        before < MOST_ABSENT && self.missed >= MOST_ABSENT
    }

    /// Notes that it was entered.
    pub fn hit(&mut self) {
        self.missed = self.missed.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_pages() {
        assert_eq!([0, 0xfff, 0x1000, -1, -0x1000, -0x1001].map(page_of), [0, 0, 1, -1, -1, -2]);
        assert_eq!((place(0x10, -0x20), place(0x10, 1 << 31), place(0, i64::MIN)), (Some(-0x10), None, None));
        assert_eq!([page_address(0x5000, -2), page_address(0x5000, 3)], [0x3000, 0x8000]);
    }

    #[test]
    fn a_map_keeps_what_was_found_while_there_is_room() {
        let mut map = PageMap::of_entry(0x8000_0000);
        assert_eq!((map.get(0), map.get(1)), (Some(0x8000_0000), None));
        assert_eq!(map.get_or(1, || None), None);
        for n in 1..MOST_PAGES as i32 + 4 {
            let found = map.get_or(n, || Some(n as u64 * 0x1000));
            assert_eq!(found.is_some(), n < MOST_PAGES as i32, "{n}");
        }
        assert_eq!(map.get_or(1, || panic!("it is known")), Some(0x1000));
        assert!(map.only(&[0, 0]).is_empty());
        assert_eq!(map.only(&[0, 2]).iter().collect::<Vec<_>>(), [(0, 0x8000_0000), (2, 0x2000)]);
    }

    #[test]
    fn pages_that_are_never_there_are_given_up_once() {
        let mut across = Across::new(PageMap::default());
        let given_up = |across: &mut Across, look, n| (0..n).filter(|_| across.miss(look)).count();
        assert_eq!(given_up(&mut across, Look::Absent, 500), 0);
        (0..400).for_each(|_| across.hit());
        assert_eq!(given_up(&mut across, Look::Absent, 400), 0);
        assert_eq!(given_up(&mut across, Look::Other, 100), 1);
    }
}
