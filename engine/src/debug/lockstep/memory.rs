//! Memory as it was when both machines were last equal, and the pages that each has written since.

use crate::mem::PAGE_SIZE;
use crate::mem::ram::Memory;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// A page.
pub type Page = [u8; PAGE_SIZE as usize];

/// Bytes of the page at `pa`; outside of memory, zeroes.
pub fn read(memory: &Memory, pa: u64) -> Page {
    let mut page = [0; PAGE_SIZE as usize];
    memory.read_bytes(pa, &mut page);
    page
}

/// The copy.
#[derive(Default)]
pub struct Shadow {
    /// By address; a page that is missing holds zeroes.
    pages: FxHashMap<u64, Box<Page>>,
    /// Pages that each machine may have written since.
    written: [BTreeSet<u64>; 2],
}

impl Shadow {
    /// Takes note of what the machines have written. Their TLBs are empty.
    pub fn collect(&mut self, memories: [&Memory; 2]) {
        for (written, memory) in self.written.iter_mut().zip(memories) {
            written.extend(memory.take_dirty());
        }
    }

    /// Pages of which the machines have different contents.
    pub fn differ<'a>(&'a self, memories: [&'a Memory; 2]) -> impl Iterator<Item = u64> + 'a {
        let pages = self.written[0].union(&self.written[1]).copied();
        pages.filter(move |&pa| read(memories[0], pa) != read(memories[1], pa))
    }

    /// Both machines are equal to `memory`.
    pub fn update(&mut self, memory: &Memory) {
        let [first, second] = std::mem::take(&mut self.written);
        for &pa in first.union(&second) {
            let now = read(memory, pa);
            match self.pages.get_mut(&pa) {
                Some(page) => **page = now,
                None if now.iter().all(|b| *b == 0) => {}
                None => drop(self.pages.insert(pa, Box::new(now))),
            }
        }
    }

    /// Puts back what machine `i` has written, and only what has changed by that: its code lives on. Its TLB is empty.
    pub fn roll_back(&mut self, i: usize, memory: &Memory) {
        let mut written = std::mem::take(&mut self.written[i]);
        written.extend(memory.take_dirty());
        for pa in written {
            let then = self.pages.get(&pa).map_or([0; PAGE_SIZE as usize], |p| **p);
            let now = read(memory, pa);
            for (line, (then, now)) in
                then.as_chunks::<64>().0.iter().zip(now.as_chunks::<64>().0).enumerate()
            {
                if then != now {
                    memory.load(pa + 64 * line as u64, then);
                }
            }
        }
        memory.take_dirty();
    }
}
