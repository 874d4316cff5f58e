use super::*;
use crate::mem::bus::NoBus;
use crate::mem::ram::RegionSpec;

mod globals;
mod model;
mod sizes;

const RAM: u64 = 0x8000_0000;
const RAM_PAGES: u64 = 64;

fn tlb() -> Tlb {
    let spec = RegionSpec { base: RAM, len: RAM_PAGES * PAGE_SIZE, writable: true };
    Tlb::new(Memory::new(&[spec], Arc::new(NoBus)).expect("memory"))
}

/// A page with all rights.
fn to(pa: u64) -> Translation {
    Translation { pa, read: true, write: true, exec: true, size_log2: 12, global: false, cacheable: true }
}

impl Tlb {
    /// Fills the set of (context, index), not only one that is selected.
    fn enter_in(&mut self, context: u64, index: u8, access: Access, va: u64, t: Translation) {
        let set = self.set_of(context, index);
        self.fill(set, access, va, &t);
    }

    /// Whether the set of (context, index) would need no walk.
    fn knows(&mut self, context: u64, index: u8, access: Access, va: u64) -> bool {
        let set = self.set_of(context, index);
        self.recall(set, access, va).is_some()
    }
}

#[test]
fn a_set_that_data_took_over_moves_the_generation() {
    let mut t = tlb();
    t.select_fetch(1, 0);
    let before = (t.fetch_set(), t.generation());
    t.select_fetch(2, 0);
    // Data accesses in many address spaces reuse the set in which code was found.
    for context in 100..100 + SETS as u64 {
        t.select_data(context, 1);
        t.select_fetch(context, 1);
        assert_ne!((t.fetch_set(), t.generation()), before, "context {context}");
    }
}

#[test]
fn a_new_start_repeats_no_generation() {
    let mut t = fetching(3);
    let mut seen = vec![t.generation()];
    for _ in 0..4 {
        t.reset();
        t.select_fetch(1, 0);
        assert!(!seen.contains(&t.generation()) && t.fetch(0x1000).is_none());
        seen.push(t.generation());
    }
}

/// A set that fetches use, in whose fetch table the pages 1 to `n` were entered.
fn fetching(n: u64) -> Tlb {
    let mut t = tlb();
    t.select_fetch(1, 0);
    for page in 1..=n {
        t.enter_in(1, 0, Access::Fetch, page * PAGE_SIZE, to(RAM));
    }
    t
}

#[test]
fn look_ups_survive_fences_of_pages_that_hold_no_code() {
    let mut t = fetching(8);
    t.select_data(1, 0);
    t.enter_in(1, 0, Access::Load, 0x20_000, to(RAM));
    assert!(t.load(0x20_000, 3).is_some());
    let before = t.generation();
    for page in 9..200 {
        t.flush_page(page * PAGE_SIZE, true, |_, _| true);
    }
    assert_eq!((t.generation(), t.load(0x20_000, 3)), (before, None));
    t.flush_page(8 * PAGE_SIZE + 0x123, true, |_, _| true);
    assert_ne!(t.generation(), before);
    assert_eq!(t.fetch(8 * PAGE_SIZE), None);
}

#[test]
fn fences_void_look_ups_of_pages_that_have_left_the_table() {
    let n = MOST_FETCH as u64;
    for page in (1..=n).step_by(37) {
        // Page `n + page` has taken the place of page `page`, whose look-ups stand.
        let mut t = fetching(n + page);
        let before = t.generation();
        assert_eq!(t.fetch(page * PAGE_SIZE), None);
        t.flush_page(page * PAGE_SIZE, true, |_, _| true);
        assert_ne!(t.generation(), before, "page {page}");
        let before = t.generation();
        t.flush_page(page * PAGE_SIZE, true, |_, _| true);
        assert_eq!(t.generation(), before, "the second time nothing rests on it");
    }
}

#[test]
fn flushes_void_the_look_ups_of_the_sets_they_hit_only() {
    let mut t = tlb();
    let mut before = Vec::new();
    for context in 1..4 {
        t.select_fetch(context, 0);
        t.enter_in(context, 0, Access::Fetch, 0x4000, to(RAM));
        before.push(t.generation());
    }
    t.flush_page(0x4000, true, |context, _| context == 1);
    t.flush_where(true, |context, _| context == 2);
    let after: Vec<_> = (1..4)
        .map(|context| {
            t.select_fetch(context, 0);
            (t.generation(), t.fetch(0x4000).is_some())
        })
        .collect();
    assert!(after[0] != (before[0], true) && !after[0].1);
    assert!(after[1].0 != before[1] && !after[1].1);
    assert_eq!(after[2], (before[2], true));
    // Nothing has been fetched there since.
    t.select_fetch(2, 0);
    t.flush_all();
    assert_eq!(t.generation(), after[1].0);
}

#[test]
fn protected_pages_have_no_store_entry_in_any_set() {
    let mut t = tlb();
    for context in 0..4 {
        t.enter_in(context, 1, Access::Store, 0x5000 + context * PAGE_SIZE, to(RAM + 0x3000));
    }
    t.memory().set_code(RAM + 0x3000);
    t.protect(RAM + 0x3008);
    for context in 0..4 {
        let va = 0x5000 + context * PAGE_SIZE;
        t.select_data(context, 1);
        assert!(!t.store(va, 3, 1) && t.store_ref(va, 3).is_none());
        assert_eq!(t.load(va, 3), Some(0));
        // By a walk, from what is held, or because a load found the page writable.
        t.enter_in(context, 1, Access::Store, va, to(RAM + 0x3000));
        t.enter_in(context, 1, Access::Load, va, to(RAM + 0x3000));
        assert!(t.knows(context, 1, Access::Store, va), "the translation is no secret");
        assert!(!t.store(va, 3, 1));
    }
}

#[test]
fn protection_sees_pages_that_share_a_bit() {
    // Pages that are 4,096 apart share a bit of the filter.
    let spec = RegionSpec { base: RAM, len: 3 * 4096 * PAGE_SIZE, writable: true };
    let mut t = Tlb::new(Memory::new(&[spec], Arc::new(NoBus)).expect("memory"));
    let page = |i: u64| RAM + i * 4096 * PAGE_SIZE;
    t.select_data(1, 1);
    for i in 0..3 {
        t.enter_in(1, 1, Access::Store, i * PAGE_SIZE, to(page(i)));
    }
    for i in 0..3 {
        assert!(t.store(i * PAGE_SIZE, 3, 1));
        t.memory().set_code(page(i));
        t.protect(page(i));
        assert!(!t.store(i * PAGE_SIZE, 3, 1), "page {i}");
    }
}

#[test]
fn one_walk_serves_loads_and_stores() {
    let mut t = tlb();
    t.select_data(1, 1);
    t.enter_in(1, 1, Access::Load, 0x1000, to(RAM));
    t.enter_in(1, 1, Access::Store, 0x2000, to(RAM));
    t.enter_in(1, 1, Access::Load, 0x3000, Translation { write: false, ..to(RAM) });
    assert!(t.store(0x1008, 3, 5) && t.store(0x2008, 3, 6) && !t.store(0x3008, 3, 7));
    assert_eq!((t.load(0x1008, 3), t.load(0x2008, 3), t.load(0x3008, 3)), (Some(6), Some(6), Some(6)));
    assert!(!t.knows(1, 1, Access::Store, 0x3000), "clean or read-only: a store must walk");
    // Outside memory nothing enters, but the translation is held.
    t.enter_in(1, 1, Access::Load, 0x4000, to(0x1000_0000));
    assert_eq!(t.load(0x4000, 3), None);
    let set = t.data_set();
    assert_eq!(t.recall(set, Access::Store, 0x4010), Some(0x1000_0010));
}

#[test]
fn what_lost_its_place_is_held() {
    let mut t = tlb();
    t.select_data(1, 1);
    let far = |i: u64| i * MOST_DATA as u64 * PAGE_SIZE;
    for i in 0..4 {
        t.enter_in(1, 1, Access::Load, far(i), to(RAM + i * PAGE_SIZE));
    }
    for i in 0..4 {
        assert_eq!(t.recall(t.data_set(), Access::Load, far(i) + 8), Some(RAM + i * PAGE_SIZE + 8));
        assert!(t.load(far(i), 3).is_some());
    }
    assert_eq!((t.counts().misses, t.counts().held, t.counts().walks()), ([4, 0, 0], [4, 0], [0; 3]));
    assert!(!t.knows(1, 2, Access::Load, 0) && !t.knows(2, 1, Access::Load, 0), "other rights and spaces");
}

#[test]
fn addresses_at_the_top_match_no_empty_entry() {
    let mut t = tlb();
    for size in 0..4 {
        for back in 1..16 {
            assert_eq!(t.load(0u64.wrapping_sub(back), size), None);
            assert!(!t.store(0u64.wrapping_sub(back), size, 0));
        }
    }
}
