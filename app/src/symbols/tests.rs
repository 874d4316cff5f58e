use super::table::{Builder, Entry, Extent, Kind, MAX_NAME, MAX_SYMBOLS, Table};
use super::*;

fn entry(address: u64, name: &str, extent: Extent) -> Entry<'_> {
    Entry { address, extent, name, kind: Kind::Function, module: "", rank: 0 }
}

fn table(source: &str, entries: &[Entry<'_>]) -> Table {
    let mut builder = Builder::default();
    entries.iter().for_each(|e| builder.add(e).expect("room"));
    builder.finish(source)
}

fn name(table: &Table, address: u64) -> Option<String> {
    table.at(address).map(|p| p.to_string())
}

const NEXT: Extent = Extent::ToNext(u64::MAX);

#[test]
fn addresses_lead_to_the_innermost_symbol() {
    let table = table(
        "t",
        &[
            entry(0x1000, "outer", Extent::Bytes(0x100)),
            entry(0x1010, "inner", Extent::Bytes(0x10)),
            entry(0x1010, "alias", Extent::Bytes(0x20)),
            entry(0x2000, "label", Extent::ToNext(0x2080)),
            entry(0x3000, "open", NEXT),
            entry(0x3100, "last", NEXT),
        ],
    );
    let expected = [
        (0xfff, None),
        (0x1000, Some("outer")),
        (0x100f, Some("outer+0xf")),
        (0x1010, Some("inner")),
        (0x101f, Some("inner+0xf")),
        (0x1020, Some("alias+0x10")),
        (0x1030, Some("outer+0x30")),
        (0x10ff, Some("outer+0xff")),
        (0x1100, None),
        (0x207f, Some("label+0x7f")),
        (0x2080, None),
        (0x30ff, Some("open+0xff")),
        (0x3100, Some("last")),
        (0x3101, None),
        (u64::MAX, None),
    ];
    for (address, wanted) in expected {
        assert_eq!(name(&table, address).as_deref(), wanted, "{address:#x}");
    }
}

#[test]
fn symbols_at_one_address_share_their_extent_and_the_lowest_rank_names_it() {
    let low = Entry { rank: 1, ..entry(0x10, "local", NEXT) };
    let table = table("t", &[low, entry(0x20, "next", NEXT), entry(0x10, "global", NEXT)]);
    assert_eq!(name(&table, 0x1f).as_deref(), Some("global+0xf"));
    assert!(table.iter().take(2).all(|s| s.size == 0x10));
}

#[test]
fn ends_of_the_address_space_are_no_special_case() {
    let table = table("t", &[entry(0, "zero", NEXT), entry(u64::MAX, "top", Extent::Bytes(u64::MAX))]);
    assert_eq!(name(&table, 0).as_deref(), Some("zero"));
    assert_eq!(name(&table, u64::MAX).as_deref(), Some("top"));
    assert_eq!(name(&table, u64::MAX - 1), None);
}

#[test]
fn names_are_found_whole_by_beginning_and_by_part() {
    let names = ["do_idle", "idle", "do_idle", "cpu_idle_loop", "do_exit", "idle_cpu"];
    let entries: Vec<_> = (1u64..).zip(names).map(|(i, n)| entry(i * 16, n, NEXT)).collect();
    let mut symbols = Symbols::default();
    symbols.put(Arc::new(table("a", &entries))).expect("room");
    symbols.put(Arc::new(table("b", &[entry(1, "do_idle", NEXT)]))).expect("room");
    let addresses: Vec<_> = symbols.named("do_idle").map(|s| (s.source, s.address)).collect();
    assert_eq!(addresses, [("a", 16), ("a", 48), ("b", 1)]);
    assert_eq!(symbols.named("do_idl").count() + symbols.named("do_idle2").count(), 0);
    let found = |text, limit| symbols.search(text, limit).iter().map(|s| s.name).collect::<Vec<_>>();
    let all = ["idle", "idle_cpu", "cpu_idle_loop", "do_idle", "do_idle", "do_idle"];
    assert_eq!(found("idle", 100), all);
    assert_eq!(found("idle", 3), all[..3]);
    assert_eq!(found("", 100).len(), 7);
    assert!(found("nothing", 100).is_empty() && found("zz", 100).is_empty());
}

#[test]
fn a_source_takes_the_place_of_an_older_one() {
    let mut symbols = Symbols::default();
    for address in [0x10, 0x20] {
        symbols.put(Arc::new(table("kernel", &[entry(address, "f", Extent::Bytes(4))]))).expect("room");
    }
    let before = symbols.clone();
    assert!(symbols.at(0x10).is_none() && symbols.at(0x23).is_some_and(|p| p.offset == 3));
    assert!(symbols.remove("kernel") && !symbols.remove("kernel"));
    assert!(symbols.at(0x20).is_none() && before.at(0x20).is_some());
    for i in 0..MAX_SOURCES {
        symbols.put(Arc::new(table(&i.to_string(), &[]))).expect("room");
    }
    let full = symbols.put(Arc::new(table("one more", &[])));
    assert!(matches!(full, Err(SymbolError::TooManySources(_))));
    assert!(symbols.put(Arc::new(table("7", &[]))).is_ok());
}

#[test]
fn tables_and_names_have_their_limits() {
    let mut builder = Builder::default();
    builder.add(&entry(8, "", NEXT)).expect("ignored");
    assert!(builder.is_empty());
    // Two bytes a letter, so that the limit falls into one.
    let long = format!("x{}", "é".repeat(MAX_NAME));
    builder.add(&entry(8, &long, NEXT)).expect("room");
    (1..MAX_SYMBOLS).for_each(|_| builder.add(&entry(9, "y", NEXT)).expect("room"));
    assert!(builder.add(&entry(10, "z", NEXT)).is_err());
    let table = builder.finish("t");
    assert_eq!(table.len(), MAX_SYMBOLS);
    let longest = table.iter().map(|s| s.name.len()).max();
    assert_eq!(longest, Some(MAX_NAME - 1));
    assert_eq!(name(&table, 9).as_deref(), Some("y"));
}

#[test]
fn placements_lead_both_ways_and_not_beyond() {
    let p = Placement::new(0xffff_ffff_8000_0000..0xffff_ffff_8100_0000, 0x8020_0000);
    assert_eq!(p.to_physical(0xffff_ffff_8000_0010), Some(0x8020_0010));
    assert_eq!(p.to_virtual(0x8020_0010), Some(0xffff_ffff_8000_0010));
    assert_eq!((p.to_virtual(0x801f_ffff), p.to_virtual(0x8120_0000)), (None, None));
    assert_eq!((p.to_physical(0xffff_ffff_8100_0000), p.to_physical(0x8020_0000)), (None, None));
}
