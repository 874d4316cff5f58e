//! Tables that grow and shrink, and what that costs.

use super::*;
use crate::mem::tlb::table::{START, Table};

fn len(t: &Tlb, set: usize) -> [usize; 3] {
    let s = &t.sets[set];
    [s.load.len(), s.store.len(), s.fetch.table.len()]
}

/// Loads from `pages` pages in turn, `rounds` times, by walks where need be.
fn sweep(t: &mut Tlb, pages: u64, rounds: u64) {
    for i in 0..pages * rounds {
        let va = i % pages * PAGE_SIZE;
        if t.load(va, 3).is_none() && t.recall(t.data_set(), Access::Load, va).is_none() {
            let pa = RAM + va % (RAM_PAGES * PAGE_SIZE);
            t.fill(t.data_set(), Access::Load, va, &Translation { write: false, ..to(pa) });
        }
    }
}

#[test]
fn tables_grow_until_the_pages_fit() {
    let mut t = tlb();
    t.select_data(1, 1);
    assert_eq!(len(&t, t.data_set()), [1, 1, 1], "an address space costs nothing at first");
    sweep(&mut t, 1000, 64);
    assert_eq!(len(&t, t.data_set()), [1024, 1, 1]);
    let before = t.counts().misses[0];
    sweep(&mut t, 1000, 1);
    assert_eq!(t.counts().misses[0], before);
    for page in 0..1000 {
        assert!(t.load(page * PAGE_SIZE, 3).is_some());
    }
    sweep(&mut t, 100_000, 8);
    assert_eq!(len(&t, t.data_set())[0], MOST_DATA);
}

#[test]
fn tables_that_stay_empty_shrink() {
    let mut t = tlb();
    t.select_data(1, 1);
    sweep(&mut t, 4000, 64);
    assert_eq!(len(&t, t.data_set())[0], 4096);
    for _ in 0..64 {
        t.flush_all();
        sweep(&mut t, 10, 2);
        assert!(t.load(9 * PAGE_SIZE, 3).is_some());
    }
    assert_eq!(len(&t, t.data_set())[0], START);
    assert_eq!((t.counts().grown, t.counts().shrunk), (6, 6));
}

#[test]
fn all_tables_together_are_bounded() {
    let mut t = tlb();
    for context in 1..3 * SETS as u64 {
        t.select_data(context, 1);
        sweep(&mut t, 10_000, 20);
    }
    let all: usize = (0..t.sets.len()).flat_map(|i| len(&t, i)).sum();
    assert!(all <= MOST_ALL + SETS * MOST_FETCH, "{all}");
    assert!(t.sets.len() <= SETS && t.counts().evicted_sets > 0);
}

#[test]
fn old_address_spaces_make_room_for_new_ones() {
    let mut t = tlb();
    for context in 1..2 + (MOST_ALL / MOST_DATA) as u64 {
        t.select_data(context, 1);
        sweep(&mut t, 100_000, 8);
        assert_eq!(len(&t, t.data_set())[0], MOST_DATA, "address space {context}");
    }
}

#[test]
fn a_table_forgets_what_it_filled_and_nothing_else() {
    for n in [1, 5, 16, 17, 18, 60, 64] {
        let mut t = Table::new();
        for i in 0..n {
            t.put(i * PAGE_SIZE, i, Size::new(12, i % 2 == 0));
        }
        assert_eq!((t.used(), t.is_clear()), (n as usize, false));
        t.drop_locals();
        for i in 0..n {
            assert_eq!(t.get(i * PAGE_SIZE), (i % 2 == 0).then_some(i), "global pages stay");
        }
        t.put(PAGE_SIZE, 7, Size::PAGE);
        t.clear();
        assert!((0..64).all(|i| t.get(i * PAGE_SIZE).is_none()) && t.is_clear() && t.used() == 0);
    }
}

#[test]
fn a_table_that_keeps_few_pages_is_not_searched_as_a_whole() {
    let mut t = Table::new();
    let keep = Size::new(12, true);
    t.put(0, 0, keep);
    for round in 0..100 {
        for i in 1..40 {
            t.put(i * PAGE_SIZE, i, Size::PAGE);
        }
        assert!(t.is_spilled());
        t.drop_locals();
        assert!(!t.is_spilled() && t.used() == 1 && t.get(0) == Some(0), "round {round}");
    }
    t.drop_where(|_, _| true);
    assert!(t.is_clear());
}

#[test]
fn resizing_loses_nothing() {
    let mut t = Table::new();
    for i in 0..64 {
        t.put(i * PAGE_SIZE, i, Size::new(12, i % 3 == 0));
    }
    t.resize(1024);
    assert!((0..64).all(|i| t.get(i * PAGE_SIZE) == Some(i)));
    t.drop_locals();
    assert!((0..64).all(|i| t.get(i * PAGE_SIZE).is_some() == (i % 3 == 0)));
}
