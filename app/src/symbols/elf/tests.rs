use super::*;
use object::elf::{
    EM_AARCH64, EM_RISCV, ET_DYN, ET_EXEC, ET_REL, SHF_ALLOC, SHF_EXECINSTR, SHT_PROGBITS, SHT_STRTAB,
};
use proptest::prelude::*;

/// A file to be written: what tests change of it.
struct File {
    machine: u16,
    kind: u16,
    class: u8,
    /// Type of the section with the symbols.
    table: u32,
    /// Name, value, size, info, section.
    symbols: Vec<(&'static str, u64, u64, u8, u16)>,
}

const FUNC: u8 = 2;
const OBJECT: u8 = 1;
const GLOBAL: u8 = 1 << 4;

impl Default for File {
    fn default() -> File {
        let symbols = vec![
            ("helper", 0x1_0010, 0x20, FUNC, 1),
            ("main", 0x1_0040, 0x40, FUNC | GLOBAL, 1),
            ("main_alias", 0x1_0040, 0x40, FUNC, 1),
            ("label", 0x1_0080, 0, 0, 1),
            ("table", 0x2_0000, 8, OBJECT | GLOBAL, 2),
            ("$xrv64i2p1", 0x1_0050, 0, 0, 1),
            (".Ltmp1", 0x1_0054, 0, 0, 1),
            ("other", 0, 0, GLOBAL, 0),
            ("absolute", 0x1_0000, 0, GLOBAL, 0xfff1),
            ("in_tls", 0x10, 4, 6, 2),
            ("no_section", 0x1_0000, 4, FUNC, 99),
        ];
        File { machine: EM_RISCV.0, kind: ET_EXEC.0, class: 2, table: elf::SHT_SYMTAB.0, symbols }
    }
}

const HEADER: usize = 64;
const SECTION: usize = 64;

impl File {
    /// The file, with section headers at its end (gABI, ELF-64).
    fn write(&self) -> Vec<u8> {
        let mut names = vec![0];
        let mut table = vec![0; 24];
        for (name, value, size, info, section) in &self.symbols {
            table.extend((names.len() as u32).to_le_bytes());
            table.extend([*info, 0]);
            table.extend(section.to_le_bytes());
            table.extend(value.to_le_bytes());
            table.extend(size.to_le_bytes());
            names.extend(name.bytes().chain([0]));
        }
        let (at_table, at_names) = (HEADER, HEADER + table.len());
        let at_sections = at_names + names.len();
        let mut out = vec![0x7f, b'E', b'L', b'F', self.class, 1, 1];
        out.resize(16, 0);
        out.extend(self.kind.to_le_bytes());
        out.extend(self.machine.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        out.extend([0; 16]);
        out.extend((at_sections as u64).to_le_bytes());
        out.extend([0; 4]);
        [HEADER as u16, 56, 0, SECTION as u16, 5, 0].iter().for_each(|v| out.extend(v.to_le_bytes()));
        out.extend(table.iter().chain(&names));
        let code = (SHF_ALLOC | SHF_EXECINSTR).0;
        let sections = [
            (0, 0, 0, 0, 0, 0),
            (SHT_PROGBITS.0, code, 0x1_0000, 0, 0x100, 0),
            (SHT_PROGBITS.0, SHF_ALLOC.0, 0x2_0000, 0, 0x100, 0),
            (self.table, 0, 0, at_table, table.len(), 4),
            (SHT_STRTAB.0, 0, 0, at_names, names.len(), 0),
        ];
        for (kind, flags, address, offset, size, link) in sections {
            out.extend([0; 4]);
            out.extend(u32::to_le_bytes(kind));
            for v in [flags, address, offset as u64, size as u64] {
                out.extend(u64::to_le_bytes(v));
            }
            out.extend(u32::to_le_bytes(link));
            out.extend([0; 20]);
        }
        out
    }

    fn read(&self) -> Result<Table, SymbolError> {
        read(&*self.write(), "test")
    }
}

#[test]
fn functions_data_and_labels_are_named() {
    let table = File::default().read().expect("an ELF file");
    let names: Vec<_> = table.iter().map(|s| s.name).collect();
    assert_eq!(names, ["helper", "main", "main_alias", "label", "table"]);
    let name = |address| table.at(address).map(|p| p.to_string());
    assert_eq!(name(0x1_0054).as_deref(), Some("main+0x14"));
    assert_eq!(name(0x1_00ff).as_deref(), Some("label+0x7f"), "a label reaches to the end of its section");
    assert_eq!(name(0x1_0100), None);
    assert_eq!(name(0x1_0030), None, "between functions");
    assert_eq!(name(0x2_0004).as_deref(), Some("table+0x4"));
    assert_eq!(table.named("table").next().map(|s| (s.kind, s.size)), Some((Kind::Data, 8)));
}

#[test]
fn the_dynamic_linkers_symbols_are_better_than_none() {
    let table = elf::SHT_DYNSYM.0;
    let dynamic = File { table, kind: ET_DYN.0, ..File::default() };
    assert_eq!(dynamic.read().expect("an ELF file").len(), 5);
    let stripped = [File { table: 1, ..File::default() }, File { symbols: Vec::new(), ..File::default() }];
    assert!(stripped.iter().all(|f| matches!(f.read(), Err(Stripped))));
}

#[test]
fn other_files_are_told_apart() {
    let other = |file: File| file.read().expect_err("refused").to_string();
    assert!(other(File { machine: EM_AARCH64.0, ..File::default() }).contains("AArch64 of 64 bits"));
    assert!(other(File { class: 1, ..File::default() }).contains("RISC-V of 32 bits"));
    assert!(other(File { machine: 0x1234, ..File::default() }).contains("processor number 4660"));
    assert!(matches!(File { kind: ET_REL.0, ..File::default() }.read(), Err(Unlinked)));
    assert!(matches!(File { kind: 4, ..File::default() }.read(), Err(Damaged(_))));
}

#[test]
fn every_cut_is_an_error() {
    let whole = File::default().write();
    for len in 4..whole.len() {
        assert!(read(&whole[..len], "cut").is_err(), "{len}");
    }
}

#[test]
fn sizes_beyond_reason_are_errors() {
    let whole = File::default().write();
    let sections = whole.len() - 5 * SECTION;
    let with = |at: usize, bytes: &[u8]| {
        let mut file = whole.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        read(&*file, "test")
    };
    let huge = (1u64 << 40).to_le_bytes();
    assert!(matches!(with(sections + 3 * SECTION + 32, &huge), Err(TooLarge { .. })));
    assert!(matches!(with(sections + 4 * SECTION + 32, &huge), Err(TooLarge { .. })));
    assert!(matches!(with(sections + 3 * SECTION + 24, &huge), Err(Damaged(_))));
    assert!(matches!(with(sections + 3 * SECTION + 40, &[9]), Err(Damaged(_))), "no such section of names");
    // The number of sections in section 0, as files with very many have it.
    let mut many = whole.clone();
    many[60..62].fill(0);
    many[sections + 32..sections + 40].copy_from_slice(&0xffff_ffffu64.to_le_bytes());
    assert!(matches!(read(&*many, "test"), Err(Damaged(_))));
    assert!(matches!(with(HEADER + 24, &u32::MAX.to_le_bytes()), Err(Damaged(_))), "a name beyond the names");
}

proptest! {
    #[test]
    fn damaged_files_do_no_harm(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut file = File::default().write();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(table) = read(&*file, "damaged") {
            prop_assert!(table.iter().is_sorted_by_key(|s| s.address));
        }
    }
}
