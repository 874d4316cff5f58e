//! Files of symbols that the user gives: which format it is, and how much of it is read.

use super::SymbolError::{self, NotAFile, TooLarge};
use super::table::Table;
use super::{elf, system_map};
use object::ReadCache;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Largest ELF file; little of it is read. A kernel with debug information has up to 1 GiB.
const MAX_ELF_MIB: u64 = 4 << 10;
/// Largest list of symbols. A kernel's has 10 MiB.
const MAX_MAP_MIB: u64 = 128;

/// Reads the symbols of a file; its name is the source's name.
pub fn load(path: &Path) -> Result<Table, SymbolError> {
    let failed = |source| SymbolError::Read { path: path.to_owned(), source };
    // Opening a named pipe would wait for its other end.
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() {
        return Err(NotAFile(path.to_owned()));
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut magic = Vec::new();
    file.by_ref().take(4).read_to_end(&mut magic).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let source = path.display().to_string();
    if magic == object::elf::ELFMAG {
        within(meta.len(), MAX_ELF_MIB, "the ELF file")?;
        return elf::read(&ReadCache::new(file), &source);
    }
    within(meta.len(), MAX_MAP_MIB, "the list of symbols")?;
    let mut bytes = Vec::new();
    file.take(MAX_MAP_MIB << 20).read_to_end(&mut bytes).map_err(failed)?;
    system_map::read(&bytes, &source)
}

fn within(bytes: u64, mib: u64, what: &'static str) -> Result<(), SymbolError> {
    if bytes > mib << 20 { Err(TooLarge { what, mib }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SymbolError::{Read as Unreadable, Unknown};

    #[test]
    fn files_that_hold_no_symbols_are_told_apart() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            path
        };
        assert!(matches!(load(dir.path()), Err(NotAFile(_))));
        assert!(matches!(load(Path::new("/dev/zero")), Err(NotAFile(_))));
        assert!(matches!(load(&dir.path().join("none")), Err(Unreadable { .. })));
        assert!(matches!(load(&file("empty", b"")), Err(Unknown)));
        assert!(matches!(load(&file("picture", b"\x89PNG\r\n")), Err(Unknown)));
        assert!(matches!(load(&file("cut", b"\x7fELF")), Err(SymbolError::Damaged(_))));
        let table = load(&file("System.map", b"1000 T a\n2000 T b\n")).expect("a map");
        assert_eq!(table.at(0x1ff0).map(|p| p.to_string()).as_deref(), Some("a+0xff0"));
        assert!(table.source().ends_with("System.map"));
    }

    #[test]
    fn huge_files_are_refused_unread() {
        let dir = tempfile::tempdir().expect("a folder");
        for (magic, mib) in [(&b"\x7fELF"[..], MAX_ELF_MIB), (b"1000", MAX_MAP_MIB)] {
            let path = dir.path().join("huge");
            std::fs::write(&path, magic).expect("written");
            let file = File::options().write(true).open(&path).expect("there");
            // A hole: it takes no room.
            file.set_len((mib << 20) + 1).expect("a file system with holes");
            assert!(matches!(load(&path), Err(TooLarge { mib: said, .. }) if said == mib));
        }
    }
}
