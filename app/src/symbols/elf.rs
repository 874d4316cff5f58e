//! The symbol table of an ELF file: a kernel (`vmlinux`), firmware, or a program.
//!
//! Only what is needed is read: header, section headers, symbols and their names, each limited. A kernel's debug information has
//! hundreds of MiB.

use super::SymbolError::{self, Damaged, OtherIsa, Stripped, TooLarge, TooMany, Unlinked};
use super::table::{Builder, Entry, Extent, Kind, MAX_SYMBOLS, Table};
use object::elf::{self, FileHeader64, SectionHeader64, Sym64};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{LittleEndian, ReadRef};

/// Sections that a file has at most. A kernel has some 50, a program compiled with one section a function some 10,000.
const MAX_SECTIONS: usize = 1 << 16;
/// Bytes of symbols, and bytes of their names.
const MAX_TABLE_MIB: u64 = 128;
/// Where class and byte order stand in an ELF header.
const CLASS: usize = 4;
const DATA: usize = 5;

type Header = FileHeader64<LittleEndian>;
type Section = SectionHeader64<LittleEndian>;
type Symbol = Sym64<LittleEndian>;
const ENDIAN: LittleEndian = LittleEndian;

/// Reads a file that begins with ELF's magic number.
pub fn read<'d, R: ReadRef<'d>>(data: R, source: &str) -> Result<Table, SymbolError> {
    let header = header(data)?;
    let sections = sections(header, data)?;
    // A stripped program still has the symbols for the dynamic linker.
    for kind in [elf::SHT_SYMTAB, elf::SHT_DYNSYM] {
        if let Some(section) = sections.iter().find(|s| s.sh_type(ENDIAN) == kind) {
            let builder = symbols(section, sections, data)?;
            if !builder.is_empty() {
                return Ok(builder.finish(source));
            }
        }
    }
    Err(Stripped)
}

fn header<'d, R: ReadRef<'d>>(data: R) -> Result<&'d Header, SymbolError> {
    let short = |()| Damaged("it ends in its header");
    let ident = data.read_bytes_at(0, 20).map_err(short)?;
    let machine = match ident {
        [.., low, high] if ident.get(DATA) == Some(&2) => u16::from_be_bytes([*low, *high]),
        [.., low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    };
    let is_64 = ident.get(CLASS) == Some(&2);
    if !is_64 || ident.get(DATA) != Some(&1) || machine != elf::EM_RISCV.0 {
        return Err(OtherIsa { found: isa(machine, is_64) });
    }
    let header = Header::parse(data).map_err(|_| Damaged("its header is wrong"))?;
    match header.e_type(ENDIAN) {
        elf::ET_EXEC | elf::ET_DYN => Ok(header),
        elf::ET_REL => Err(Unlinked),
        _ => Err(Damaged("it is no program")),
    }
}

/// The name of a processor (gABI, e_machine).
fn isa(machine: u16, is_64: bool) -> String {
    let name = match elf::Machine(machine) {
        elf::EM_386 => "x86",
        elf::EM_X86_64 => "x86-64",
        elf::EM_ARM => "Arm",
        elf::EM_AARCH64 => "AArch64",
        elf::EM_PPC64 => "PowerPC",
        elf::EM_S390 => "S/390",
        elf::EM_MIPS => "MIPS",
        elf::EM_LOONGARCH => "LoongArch",
        elf::EM_RISCV => "RISC-V",
        _ => return format!("processor number {machine}"),
    };
    format!("{name} of {} bits", if is_64 { 64 } else { 32 })
}

fn sections<'d, R: ReadRef<'d>>(header: &Header, data: R) -> Result<&'d [Section], SymbolError> {
    let wrong = |_| Damaged("its sections cannot be found");
    let many =
        header.e_shoff(ENDIAN) != 0 && header.shnum(ENDIAN, data).map_err(wrong)? as usize > MAX_SECTIONS;
    if many {
        return Err(Damaged("it says that it has more than 65536 sections"));
    }
    header.section_headers(ENDIAN, data).map_err(wrong)
}

/// The bytes of a section.
fn bytes<'d, R: ReadRef<'d>>(
    section: &Section,
    data: R,
    what: &'static str,
) -> Result<&'d [u8], SymbolError> {
    if section.sh_size(ENDIAN) > MAX_TABLE_MIB << 20 {
        return Err(TooLarge { what, mib: MAX_TABLE_MIB });
    }
    section.data(ENDIAN, data).map_err(|_| Damaged("its symbols are cut off"))
}

fn symbols<'d, R: ReadRef<'d>>(
    section: &Section,
    sections: &[Section],
    data: R,
) -> Result<Builder, SymbolError> {
    let symbols = bytes(section, data, "the table of symbols in the ELF file")?;
    let symbols: &[Symbol] =
        object::pod::slice_from_all_bytes(symbols).map_err(|()| Damaged("its symbols have a wrong size"))?;
    let names = sections.get(section.sh_link(ENDIAN) as usize).ok_or(Damaged("its symbols have no names"))?;
    let names = bytes(names, data, "the table of names in the ELF file")?;
    let mut builder = Builder::default();
    for symbol in symbols {
        let Some(entry) = entry(symbol, sections) else { continue };
        let name = name(names, symbol.st_name(ENDIAN)).ok_or(Damaged("a symbol's name is not there"))?;
        if is_local_label(name) {
            continue;
        }
        let name = String::from_utf8_lossy(name);
        builder.add(&Entry { name: &name, ..entry }).map_err(|_| TooMany(MAX_SYMBOLS))?;
    }
    Ok(builder)
}

/// What a symbol says, but for its name; none if it is not the name of an address.
fn entry(symbol: &Symbol, sections: &[Section]) -> Option<Entry<'static>> {
    // Undefined, absolute and common symbols have no section.
    let index = symbol.st_shndx(ENDIAN).index().filter(|i| *i != 0)?;
    let section = sections.get(usize::from(index))?;
    let is_code = section.sh_flags(ENDIAN).contains(elf::SHF_EXECINSTR);
    let kind = match symbol.st_type() {
        elf::STT_FUNC | elf::STT_GNU_IFUNC => Kind::Function,
        elf::STT_OBJECT => Kind::Data,
        // Labels in assembly.
        elf::STT_NOTYPE if is_code => Kind::Function,
        elf::STT_NOTYPE => Kind::Other,
        // Sections, files, offsets in thread-local storage.
        _ => return None,
    };
    let end = section.sh_addr(ENDIAN).saturating_add(section.sh_size(ENDIAN));
    let extent = match symbol.st_size(ENDIAN) {
        0 => Extent::ToNext(end),
        bytes => Extent::Bytes(bytes),
    };
    let bind = match symbol.st_bind() {
        elf::STB_GLOBAL => 0,
        elf::STB_WEAK => 1,
        _ => 2,
    };
    let untyped = u8::from(symbol.st_type() == elf::STT_NOTYPE);
    Some(Entry {
        address: symbol.st_value(ENDIAN),
        extent,
        name: "",
        kind,
        module: "",
        rank: 4 * untyped + bind,
    })
}

/// The name at an offset of a table of names.
fn name(names: &[u8], at: u32) -> Option<&[u8]> {
    let rest = names.get(at as usize..)?;
    rest.get(..memchr::memchr(0, rest)?)
}

/// Marks of where code and data begin (RISC-V ELF psABI, mapping symbols), and the compiler's own labels.
fn is_local_label(name: &[u8]) -> bool {
    [&b"$x"[..], b"$d", b".L"].iter().any(|p| name.starts_with(p))
}

#[cfg(test)]
mod tests;
