//! Global pages, and flushes that name an address.

use super::*;

const S: u8 = 1;

fn global(pa: u64) -> Translation {
    Translation { global: true, ..to(pa) }
}

fn large(pa: u64, size_log2: u8) -> Translation {
    Translation { size_log2, ..to(pa) }
}

/// As `sfence.vma x0, asid` and `sfence.vma va, asid` with the context as ASID.
fn fence(t: &mut Tlb, va: Option<u64>, asid: Option<u64>) {
    let hit = move |context, _| asid.is_none_or(|a| a == context);
    match va {
        Some(va) => t.flush_page(va, asid.is_none(), hit),
        None => t.flush_where(asid.is_none(), hit),
    }
}

#[test]
fn flushes_of_one_address_space_keep_global_pages() {
    let mut t = tlb();
    t.select_data(7, S);
    t.select_fetch(7, S);
    t.enter_in(7, S, Access::Load, 0x1000, global(RAM));
    t.enter_in(7, S, Access::Load, 0x2000, to(RAM));
    t.enter_in(7, S, Access::Fetch, 0x1000, global(RAM));
    let generation = t.generation();
    fence(&mut t, None, Some(7));
    fence(&mut t, Some(0x1000), Some(7));
    assert!(t.load(0x1000, 3).is_some() && t.fetch(0x1000).is_some());
    assert_eq!((t.load(0x2000, 3), t.generation()), (None, generation));
    assert!(!t.knows(7, S, Access::Load, 0x2000));
    fence(&mut t, Some(0x1000), None);
    assert!(t.load(0x1000, 3).is_none() && t.fetch(0x1000).is_none() && t.generation() != generation);
    assert!(!t.knows(7, S, Access::Load, 0x1000));
}

#[test]
fn global_pages_are_known_in_all_address_spaces() {
    let mut t = tlb();
    t.enter_in(7, S, Access::Load, 0x1000, global(RAM));
    t.enter_in(7, S, Access::Load, 0x2000, to(RAM));
    assert!(t.knows(8, S, Access::Load, 0x1000) && !t.knows(8, S, Access::Load, 0x2000));
    assert!(!t.knows(8, 2, Access::Load, 0x1000), "by other rights");
    assert!(!t.knows(UNTRANSLATED, S, Access::Load, 0x1000));
    // The other space has its own entry now, which a flush of the page must find.
    t.select_data(8, S);
    assert!(t.load(0x1000, 3).is_some());
    for va in [Some(0x1000), None] {
        fence(&mut t, va, None);
        assert!(t.load(0x1000, 3).is_none());
        assert!(!t.knows(8, S, Access::Load, 0x1000) && !t.knows(7, S, Access::Load, 0x1000));
        t.enter_in(8, S, Access::Load, 0x1000, global(RAM));
    }
}

#[test]
fn a_flush_in_a_large_mapping_drops_all_of_it_and_no_more() {
    for size in [16, 21, 30] {
        let mut t = tlb();
        t.select_data(7, S);
        t.select_fetch(7, S);
        let base = 0x40_0000_0000u64;
        let slices = [base, base + 0x5000, base + 0xf000];
        for va in slices {
            t.enter_in(7, S, Access::Store, va, large(RAM, size));
            t.enter_in(7, S, Access::Fetch, va, large(RAM, size));
        }
        // In slots of their own.
        let others = [base + (1 << size) + 0x7000, base - PAGE_SIZE, 0x9000];
        for va in others {
            t.enter_in(7, S, Access::Store, va, to(RAM));
        }
        fence(&mut t, Some(0x9000), None);
        assert!(slices.iter().all(|&va| t.store(va, 3, 1) && t.fetch(va).is_some()));
        let generation = t.generation();
        fence(&mut t, Some(base + 0x9123), Some(7));
        assert!(!slices.iter().any(|&va| t.store(va, 3, 1) || t.load(va, 3).is_some()));
        assert!(!slices.iter().any(|&va| t.fetch(va).is_some() || t.knows(7, S, Access::Load, va)));
        assert_ne!(t.generation(), generation);
        assert_eq!(others.map(|va| t.store(va, 3, 1)), [true, true, false]);
    }
}

#[test]
fn a_flush_in_a_large_global_mapping_drops_it_everywhere() {
    let mut t = tlb();
    let mapping = Translation { size_log2: 21, ..global(RAM) };
    t.enter_in(7, S, Access::Load, 0x20_0000, mapping);
    t.enter_in(7, S, Access::Load, 0x20_1000, Translation { pa: RAM + 0x1000, ..mapping });
    assert!(t.knows(8, S, Access::Load, 0x20_0000));
    fence(&mut t, Some(0x3f_0000), None);
    for (context, va) in [(7, 0x20_0000), (8, 0x20_0000), (7, 0x20_1000), (8, 0x20_1000)] {
        t.select_data(context, S);
        assert!(t.load(va, 3).is_none() && !t.knows(context, S, Access::Load, va));
    }
}

#[test]
fn code_look_ups_in_large_mappings_are_voided_after_their_pages_left_the_table() {
    let mut t = tlb();
    t.select_fetch(7, S);
    let base = 0x40_0000_0000;
    for page in 0..=MOST_FETCH as u64 {
        t.enter_in(7, S, Access::Fetch, base + page * PAGE_SIZE, large(RAM, 30));
    }
    for page in 1..=MOST_FETCH as u64 {
        t.enter_in(7, S, Access::Fetch, page * PAGE_SIZE, to(RAM));
    }
    assert!(t.fetch(base).is_none() && t.fetch(base + MOST_FETCH as u64 * PAGE_SIZE).is_none());
    let generation = t.generation();
    fence(&mut t, Some(base + (1 << 29)), None);
    assert_ne!(t.generation(), generation);
}

/// Where a look-up at `va` in `context` finds an answer that was made at `at`.
fn finds(t: &mut Tlb, context: u64, at: CodeSpace) -> bool {
    t.select_fetch(context, S);
    let (first, second) = t.code_spaces();
    first == at || second == Some(at)
}

#[test]
fn answers_in_global_pages_hold_in_all_address_spaces_until_they_are_fenced() {
    let mut t = tlb();
    let answer = |t: &mut Tlb| {
        t.enter_in(7, S, Access::Fetch, 0x1000, global(RAM));
        t.select_fetch(7, S);
        t.answer_space(0x1000)
    };
    let at = answer(&mut t);
    assert!(finds(&mut t, 7, at) && finds(&mut t, 8, at) && !finds(&mut t, UNTRANSLATED, at));
    t.select_fetch(8, 0);
    assert!(t.code_spaces().0 != at && t.code_spaces().1 != Some(at), "by other rights");
    // What does not order it, and other pages.
    for (va, asid) in [(None, Some(7)), (Some(0x1000), Some(7)), (Some(0x9000), None)] {
        fence(&mut t, va, asid);
        assert!(finds(&mut t, 8, at), "{va:?} {asid:?}");
    }
    for va in [Some(0x1000), None] {
        let at = answer(&mut t);
        assert!(finds(&mut t, 8, at));
        fence(&mut t, va, None);
        assert!(!finds(&mut t, 7, at) && !finds(&mut t, 8, at), "{va:?}");
    }
    let at = answer(&mut t);
    t.reset();
    assert!(!finds(&mut t, 7, at) && !finds(&mut t, 8, at));
}

#[test]
fn a_fence_inside_of_a_large_global_mapping_voids_answers_in_all_of_it() {
    let mut t = tlb();
    t.enter_in(7, S, Access::Fetch, 0x4000_5000, Translation { global: true, ..large(RAM, 21) });
    t.select_fetch(7, S);
    let at = t.answer_space(0x4000_5000);
    // The set with the table may be gone, the answer is not.
    (100..200).for_each(|context| t.select_fetch(context, S));
    assert!(finds(&mut t, 8, at));
    fence(&mut t, Some(0x4020_0000), None);
    assert!(finds(&mut t, 8, at), "beside it");
    fence(&mut t, Some(0x401f_f000), None);
    assert!(!finds(&mut t, 8, at));
}

#[test]
fn answers_in_other_pages_are_those_of_their_address_space() {
    let mut t = tlb();
    t.enter_in(7, S, Access::Fetch, 0x1000, to(RAM));
    t.select_fetch(7, S);
    let at = t.answer_space(0x1000);
    assert!(finds(&mut t, 7, at) && !finds(&mut t, 8, at) && finds(&mut t, 7, at));
    fence(&mut t, None, Some(7));
    assert!(!finds(&mut t, 7, at));
}
