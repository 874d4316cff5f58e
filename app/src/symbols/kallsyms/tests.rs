use super::super::memory::testing::Flat;
use super::encode::{Addressing, BANNER, IMAGE, Image, LINKED, Layout, NEW, RAM, image, layouts};
use super::*;
use proptest::prelude::*;

fn kernel(image: &Image) -> Option<Kernel> {
    find(&image.memory)
}

/// All that must be so, whatever was found.
fn is_sound(kernel: &Kernel) -> bool {
    let table = &kernel.table;
    let fine =
        |s: &super::super::Symbol<'_>| !s.name.is_empty() && s.name.bytes().all(|b| b.is_ascii_graphic());
    table.len() >= names::MIN_SYMBOLS
        && table.iter().all(|s| fine(&s))
        && table.iter().is_sorted_by_key(|s| s.address)
        && table.named("_stext").count() > 0
}

#[test]
fn every_layout_is_read_back() {
    for layout in layouts() {
        let image = image(&layout, LINKED);
        let found = kernel(&image).unwrap_or_else(|| panic!("not found: {layout:?}"));
        let got: Vec<_> = found.table.iter().map(|s| (s.address, s.name.to_owned())).collect();
        let expected: Vec<_> = image.symbols.iter().map(|(a, _, n)| (*a, n.clone())).collect();
        assert_eq!(got, expected, "{layout:?}");
        assert!(is_sound(&found) && found.is_current(&image.memory));
        let kinds = |name| found.table.named(name).next().map(|s| s.kind);
        assert_eq!(kinds("static_1.1"), Some(Kind::Function));
        if layout.all {
            assert_eq!(kinds("linux_banner"), Some(Kind::Data));
        }
    }
}

#[test]
fn code_has_names_by_virtual_and_by_physical_address() {
    for layout in layouts().into_iter().filter(|l| l.all) {
        let found = kernel(&image(&layout, LINKED)).expect("a kernel");
        let name = |address| found.table.at(address).map(|p| p.to_string());
        let physical = |address| found.table.at_physical(address).map(|p| p.to_string());
        assert_eq!(name(LINKED + 0x2010).as_deref(), Some("function_0_of_the_driver"));
        assert_eq!(physical(IMAGE + 0x2010).as_deref(), Some("function_0_of_the_driver"));
        assert_eq!(physical(IMAGE + 0x2010 + 48 + 14).as_deref(), Some("function_3_of_the_driver+0xe"));
        // The first of two at one address.
        assert_eq!(name(LINKED + 0x2004).as_deref(), Some("_stext+0x4"));
        assert_eq!(physical(IMAGE - 1), None);
        assert_eq!(name(LINKED - 1), None);
        assert_eq!(physical(LINKED + 0x2010), None);
    }
}

#[test]
fn without_a_banner_the_images_header_tells_where_it_lies() {
    let mut image = image(&NEW, LINKED);
    image.put(IMAGE + BANNER, b"Minix");
    let placement = *kernel(&image).expect("a kernel").table.placement().expect("the header");
    assert_eq!(placement.to_physical(LINKED), Some(IMAGE));
    image.put(IMAGE + 0x30, b"RESCUE");
    assert_eq!(kernel(&image).expect("a kernel").table.placement(), None);
    // Two places that could be it are none.
    image.put(IMAGE + BANNER - 0x1000, b"Linux version 1");
    image.put(IMAGE + BANNER - 0x2000, b"Linux version 2");
    assert_eq!(kernel(&image).expect("a kernel").table.placement(), None);
}

#[test]
fn a_kernel_that_relocates_itself_is_noticed() {
    let (early, late) = (image(&NEW, LINKED), image(&NEW, LINKED + 0x1234_0000));
    let found = kernel(&early).expect("a kernel");
    assert!(found.is_current(&early.memory));
    assert!(!found.is_current(&late.memory));
    let moved = kernel(&late).expect("a kernel");
    let start = |k: &Kernel| k.table.named("_start").next().map(|s| s.address);
    assert_eq!(start(&moved), start(&found).map(|a| a + 0x1234_0000));
    assert_eq!(moved.table.placement().and_then(|p| p.to_virtual(IMAGE)), Some(LINKED + 0x1234_0000));
    assert!(!found.is_current(&Flat { base: RAM, bytes: vec![0; 0x1000] }));
}

#[test]
fn tables_are_found_at_every_place_in_a_page() {
    for shift in (0..4096).step_by(8) {
        let image = image(&Layout { shift, ..NEW }, LINKED);
        assert!(kernel(&image).is_some_and(|k| k.table.len() == image.symbols.len()), "{shift}");
    }
}

#[test]
fn what_does_not_fit_together_is_no_kernel() {
    for layout in layouts() {
        let whole = image(&layout, LINKED);
        assert!(kernel(&whole).is_some());
        // Breaks one thing; then there must be no kernel.
        let breaks = |what, f: &dyn Fn(&mut Image)| {
            let mut image = whole.clone();
            f(&mut image);
            assert!(kernel(&image).is_none(), "{what}: {layout:?}");
        };
        for count in [0, 1, 999, 1_000_000, 1 << 31, u64::MAX] {
            breaks("count", &|i| i.put(i.count, &count.to_le_bytes()));
        }
        breaks("one symbol less", &|i| {
            let count = i.symbols.len() as u64 - 1;
            i.put(i.count, &count.to_le_bytes());
        });
        for n in 0..5 {
            breaks("marker", &|i| i.put(i.markers + 4 * n, &0x00ff_1234_u32.to_le_bytes()));
            breaks("marker", &|i| i.put(i.markers + 4 * n, &[1]));
        }
        breaks("first length", &|i| i.put(i.count + 8, &[0]));
        breaks("long length", &|i| i.put(i.count + 8, &[0xff, 0xff]));
        for n in 0..256 {
            breaks("token index", &|i| {
                let at = i.offset(i.index + 2 * n);
                i.memory.bytes[at] ^= 1;
            });
        }
        breaks("token", &|i| i.put(i.tokens + 1, &[7]));
        breaks("base", &|i| i.put(i.base, &[0; 8]));
        if layout.addressing != Addressing::Absolute {
            breaks("base", &|i| i.put(i.base, &[0xff; 8]));
        }
        breaks("order of addresses", &|i| {
            let width = if layout.addressing == Addressing::Absolute { 8 } else { 4 };
            i.put(i.addresses + width * 700, &[0x7f; 8]);
        });
    }
}

#[test]
fn a_table_that_is_cut_off_is_no_kernel() {
    for layout in layouts() {
        let whole = image(&layout, LINKED);
        let first = whole.count.min(whole.addresses);
        let last = whole.index.max(whole.base);
        for cut in (first..last).step_by(512) {
            let mut image = whole.clone();
            let (from, to) = (image.offset(cut), image.offset(image.end));
            image.memory.bytes[from..to].fill(0);
            assert!(kernel(&image).is_none(), "{cut:#x} {layout:?}");
            // Memory that ends there.
            image.memory.bytes.truncate(from / 4096 * 4096);
            assert!(kernel(&image).is_none(), "{cut:#x} {layout:?}");
        }
    }
}

#[test]
fn a_kernel_without_its_code_symbols_is_none() {
    // The name `_etext` becomes another of the same length.
    let mut image = image(&NEW, LINKED);
    let at = image.memory.bytes.windows(6).position(|w| w == b"_etext").expect("no piece of it is a token");
    image.memory.bytes[at + 1] = b'a';
    assert!(kernel(&image).is_none());
}

#[test]
fn memory_full_of_what_looks_like_tables_ends() {
    // Digits everywhere; every other page with an index that fits; words that are all first markers.
    let digits: Vec<u8> = (b'0'..=b'9').flat_map(|d| [d, 0]).collect();
    let bytes: Vec<u8> = digits.iter().copied().cycle().take(32 << 20).collect();
    assert!(find(&Flat { base: RAM, bytes }).is_none());
    let whole = image(&NEW, LINKED);
    let part = whole.memory.bytes[whole.offset(whole.tokens)..whole.offset(whole.index) + 512].to_vec();
    let mut page = part.clone();
    page.resize(part.len().next_multiple_of(4096), 0);
    let bytes: Vec<u8> = page.iter().copied().cycle().take(page.len() * 4096).collect();
    assert!(find(&Flat { base: RAM, bytes }).is_none());
    assert!(find(&Flat { base: RAM, bytes: Vec::new() }).is_none());
}

#[test]
fn a_copy_that_is_damaged_does_not_hide_the_kernel() {
    let (mut damaged, whole) = (image(&NEW, LINKED), image(&NEW, LINKED));
    damaged.put(damaged.count, &[0; 8]);
    damaged.memory.bytes.extend(&whole.memory.bytes);
    let found = kernel(&damaged).expect("the second");
    let second = IMAGE + whole.memory.bytes.len() as u64;
    assert_eq!(found.table.at_physical(second + 0x2010).map(|p| p.offset), Some(0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_memory_is_no_kernel(bytes in prop::collection::vec(any::<u8>(), 1 << 14)) {
        let memory = Flat { base: RAM, bytes };
        prop_assert!(find(&memory).is_none());
    }

    /// Anything may happen to the tables: nothing panics, and what is found is sound.
    #[test]
    fn damaged_tables_are_sound_or_none(
        layout in 0..21usize,
        damage in prop::collection::vec((0.0..1.0f64, prop::collection::vec(any::<u8>(), 1..16)), 1..8),
    ) {
        let layout = layouts()[layout];
        let mut image = image(&layout, LINKED);
        let from = image.count.min(image.addresses);
        for (place, bytes) in damage {
            let at = from + ((image.end - from) as f64 * place) as u64;
            image.put(at, &bytes);
        }
        prop_assert!(kernel(&image).is_none_or(|k| is_sound(&k)));
    }
}
