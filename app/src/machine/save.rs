//! Saved machines: a container of named, versioned sections in one file.
//!
//! The header says which machine it is: its description and the length and time of each disk, because a state continued on
//! other disks would destroy what is on them. Everything in the file is hostile: sizes are checked before anything is
//! reserved, unknown sections and versions are refused with a message.
//!
//! Layout: magic, then sections of {name length u8, name, version u32, length u64, bytes}, little endian. RAM is a
//! zstd stream of {page number u64, 4096 bytes}; pages of zeroes are left out.

use super::api::{Traffic, UserError};
use super::build::{Machine, Paths, sentence};
use crate::config::MachineConfig;
use devices::board::BoardState;
use devices::metrics;
use engine::mem::ram::Memory;
use engine::mem::{PAGE_SHIFT, PAGE_SIZE};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

const MAGIC: &[u8; 16] = b"vitrine state 1\n";
/// Sections other than RAM are small.
const SMALL: u64 = 64 << 20;
/// No clock of a machine reads more: 146 years. Beyond, sums of times would wrap.
const LATEST_NS: u64 = u64::MAX / 4;

/// What a saved file says of itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SaveInfo {
    /// The machine's description, as TOML.
    pub config: String,
    /// Length in bytes and time of change (Unix ns) of each disk file.
    pub disks: Vec<(u64, u64)>,
    /// Clock reading.
    pub clock_ns: u64,
    /// Unix time of the guest's clocks.
    pub wall_ns: u64,
    /// How far a deterministic machine is in its random numbers.
    pub entropy_state: u64,
}

fn bad(what: impl Into<String>, file: &Path) -> UserError {
    UserError::new(what, file.display().to_string(), "Start the machine anew, or resume another saved state.")
}

fn io_error(what: &str, file: &Path, e: &io::Error) -> UserError {
    let next = match e.kind() {
        io::ErrorKind::StorageFull => "Free some disk space and try again.",
        io::ErrorKind::NotFound => "Check the path.",
        io::ErrorKind::PermissionDenied => "Check the permissions.",
        _ => "Try again.",
    };
    UserError::new(format!("{what}: {e}"), file.display().to_string(), next)
}

/// What must be equal for a state to fit: everything but name and window matters.
fn essence(config: &MachineConfig) -> MachineConfig {
    let mut c = config.clone();
    (c.name, c.id, c.suspend_on_close) = (String::new(), String::new(), false);
    (c.engine, c.tuning, c.pins) = Default::default();
    c.net = Default::default();
    c
}

fn disks(config: &MachineConfig) -> Result<Vec<(u64, u64)>, UserError> {
    let paths = Paths::of(config)?;
    let stamp = |file: &str| {
        let path = paths.resolve(config, file);
        let meta =
            std::fs::metadata(&path).map_err(|e| io_error("The disk cannot be looked at", &path, &e))?;
        let time = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        Ok((meta.len(), time.map_or(0, |d| d.as_nanos() as u64)))
    };
    config.drives.iter().map(|d| stamp(&d.file)).collect()
}

fn put(out: &mut impl Write, name: &str, version: u32, bytes: &[u8]) -> io::Result<()> {
    head(out, name, version, bytes.len() as u64)?;
    out.write_all(bytes)
}

fn head(out: &mut impl Write, name: &str, version: u32, len: u64) -> io::Result<()> {
    out.write_all(&[name.len() as u8])?;
    out.write_all(name.as_bytes())?;
    out.write_all(&version.to_le_bytes())?;
    out.write_all(&len.to_le_bytes())
}

/// Writes the machine, which is at rest ([`Machine::rest`]), to `path`; the file is there whole or not at all.
pub fn save(config: &MachineConfig, machine: &Machine, path: &Path) -> Result<(), UserError> {
    let written = || Traffic::of(&metrics::reports(machine.board.slots())).0.written_bytes;
    if config.drives.iter().any(|d| d.snapshot) && written() > 0 {
        return Err(UserError::new(
            "The guest has written to a drive with snapshot = true, and that is part of no saved state",
            "",
            "Give the machine a copy of the drive's file without snapshot = true.",
        ));
    }
    let text =
        toml::to_string(config).map_err(|e| bad(format!("The description cannot be written: {e}"), path))?;
    let info = SaveInfo {
        config: text,
        disks: disks(config)?,
        clock_ns: machine.clock.now_ns(),
        wall_ns: machine.clock.wall_ns(),
        entropy_state: machine.entropy_state.load(Ordering::Relaxed),
    };
    let harts = machine.engine.save().map_err(|e| bad(sentence(&e.to_string()), path))?;
    let partial = path.with_extension("partial");
    let write = || -> io::Result<()> {
        let encode = |e: postcard::Error| io::Error::other(e.to_string());
        let mut out = BufWriter::new(File::create(&partial)?);
        out.write_all(MAGIC)?;
        put(&mut out, "info", 1, &postcard::to_stdvec(&info).map_err(encode)?)?;
        put(&mut out, "harts", 1, &harts)?;
        put(&mut out, "board", 1, &postcard::to_stdvec(&machine.board.save()).map_err(encode)?)?;
        // The last section runs to the end of the file.
        head(&mut out, "ram", 1, u64::MAX)?;
        let mut packed = zstd::Encoder::new(out, 1)?;
        write_ram(machine.board.memory(), &mut packed)?;
        let file = packed.finish()?.into_inner().map_err(|e| e.into_error())?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|e| {
        let _ = std::fs::remove_file(&partial);
        io_error("The state could not be saved", path, &e)
    })
}

fn write_ram(memory: &Memory, out: &mut impl Write) -> io::Result<()> {
    let mut page = [0u8; PAGE_SIZE as usize];
    for region in memory.regions() {
        for pa in (region.base..region.base + region.len).step_by(PAGE_SIZE as usize) {
            if memory.read_bytes(pa, &mut page) && page.iter().any(|b| *b != 0) {
                out.write_all(&(pa >> PAGE_SHIFT).to_le_bytes())?;
                out.write_all(&page)?;
            }
        }
    }
    out.write_all(&u64::MAX.to_le_bytes())
}

struct Section {
    name: String,
    version: u32,
    len: u64,
}

fn section(input: &mut impl Read) -> io::Result<Section> {
    let mut n = [0];
    input.read_exact(&mut n)?;
    let mut name = vec![0; n[0] as usize];
    input.read_exact(&mut name)?;
    let (mut version, mut len) = ([0; 4], [0; 8]);
    input.read_exact(&mut version)?;
    input.read_exact(&mut len)?;
    let name = String::from_utf8_lossy(&name).into_owned();
    Ok(Section { name, version: u32::from_le_bytes(version), len: u64::from_le_bytes(len) })
}

struct Reader<'a> {
    input: BufReader<File>,
    path: &'a Path,
}

impl<'a> Reader<'a> {
    fn open(path: &'a Path) -> Result<Reader<'a>, UserError> {
        let file = File::open(path).map_err(|e| io_error("The saved state could not be opened", path, &e))?;
        let mut r = Reader { input: BufReader::new(file), path };
        let mut magic = [0; 16];
        if r.input.read_exact(&mut magic).is_err() || magic != *MAGIC {
            return Err(bad("This is not a saved machine, or one of another version", path));
        }
        Ok(r)
    }

    fn damaged(&self, why: impl std::fmt::Display) -> UserError {
        bad(format!("The saved state is damaged: {why}"), self.path)
    }

    /// The head of the next section, which must be `name` in version 1.
    fn expect(&mut self, name: &str) -> Result<Section, UserError> {
        let s = section(&mut self.input).map_err(|e| self.damaged(e))?;
        match (s.name == name, s.version) {
            (true, 1) => Ok(s),
            (true, v) => {
                Err(bad(format!("Section {name} has version {v}; this program reads version 1"), self.path))
            }
            _ => Err(self.damaged(format!("section {:?} where {name} should be", s.name))),
        }
    }

    fn small(&mut self, name: &str) -> Result<Vec<u8>, UserError> {
        let s = self.expect(name)?;
        if s.len > SMALL {
            return Err(self.damaged(format!("section {name} says it has {} bytes", s.len)));
        }
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(s.len).read_to_end(&mut bytes).map_err(|e| self.damaged(e))?;
        if read as u64 != s.len {
            return Err(self.damaged("it ends too early"));
        }
        Ok(bytes)
    }

    fn info(&mut self) -> Result<SaveInfo, UserError> {
        let bytes = self.small("info")?;
        postcard::from_bytes(&bytes).map_err(|e| self.damaged(e))
    }
}

/// What the file at `path` says of itself.
pub fn inspect(path: &Path) -> Result<SaveInfo, UserError> {
    Reader::open(path)?.info()
}

/// Puts the state in `path` in place of that of `machine`, which was just built from `config`.
pub fn restore(config: &MachineConfig, machine: &Machine, path: &Path) -> Result<(), UserError> {
    let mut r = Reader::open(path)?;
    let info = r.info()?;
    let saved: MachineConfig = toml::from_str(&info.config).map_err(|e| r.damaged(e))?;
    if essence(&saved) != essence(config) {
        return Err(UserError::new(
            "The state was saved from a machine with other settings",
            path.display().to_string(),
            "Give the machine the settings that it had (processors, memory, drives, boot files), or start it anew.",
        ));
    }
    if info.disks != disks(config)? {
        return Err(UserError::new(
            "A disk has changed since the state was saved; going on would damage what is on it",
            path.display().to_string(),
            "Start the machine anew.",
        ));
    }
    if info.clock_ns > LATEST_NS {
        return Err(r.damaged("its clock is beyond the end of time"));
    }
    let harts = r.small("harts")?;
    let board = r.small("board")?;
    let board: BoardState = postcard::from_bytes(&board).map_err(|e| r.damaged(e))?;
    r.expect("ram")?;
    read_ram(&mut r, machine.board.memory())?;
    machine.clock.set_virtual(info.clock_ns);
    machine.clock.set_wall_ns(info.wall_ns);
    machine.entropy_state.store(info.entropy_state, Ordering::Relaxed);
    machine.board.restore(&board).map_err(|e| bad(sentence(&e.to_string()), path))?;
    machine.engine.restore(&harts).map_err(|e| bad(sentence(&e.to_string()), path))
}

fn read_ram(r: &mut Reader<'_>, memory: &Memory) -> Result<(), UserError> {
    let path = r.path;
    let damaged = |why: &dyn std::fmt::Display| bad(format!("The saved state is damaged: {why}"), path);
    let mut packed = zstd::Decoder::with_buffer(&mut r.input).map_err(|e| damaged(&e))?;
    let (mut number, mut page) = ([0; 8], [0; PAGE_SIZE as usize]);
    // Pages ascend, so that a small file cannot unpack for ever.
    let mut least = 0;
    loop {
        packed.read_exact(&mut number).map_err(|e| damaged(&e))?;
        let n = u64::from_le_bytes(number);
        if n == u64::MAX {
            return Ok(());
        }
        if n < least {
            return Err(damaged(&"its pages are out of order"));
        }
        least = n + 1;
        packed.read_exact(&mut page).map_err(|e| damaged(&e))?;
        let pa = n.checked_mul(PAGE_SIZE).ok_or_else(|| damaged(&"a page lies outside memory"))?;
        if !memory.load(pa, &page) {
            return Err(damaged(&"a page lies outside memory"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::mem::bus::NoBus;
    use engine::mem::ram::RegionSpec;
    use std::sync::Arc;

    const BASE: u64 = 0x8000_0000;

    fn memory() -> Arc<Memory> {
        let rom = RegionSpec { base: 0x1000, len: 0x1000, writable: false };
        let ram = RegionSpec { base: BASE, len: 0x10_0000, writable: true };
        Memory::new(&[rom, ram], Arc::new(NoBus)).expect("memory")
    }

    fn info() -> SaveInfo {
        SaveInfo {
            config: "name = \"x\"".into(),
            disks: vec![(1, 2)],
            clock_ns: 3,
            wall_ns: 4,
            entropy_state: 5,
        }
    }

    /// A container whose last section is `ram`, packed.
    fn container(ram: &[u8]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put(&mut out, "info", 1, &postcard::to_stdvec(&info()).expect("info")).expect("memory");
        put(&mut out, "harts", 1, &[1, 2, 3]).expect("memory");
        put(&mut out, "board", 1, &[0]).expect("memory");
        head(&mut out, "ram", 1, u64::MAX).expect("memory");
        out.extend(zstd::encode_all(ram, 1).expect("memory"));
        out
    }

    /// Reads everything that needs no machine.
    fn read(bytes: &[u8], memory: &Memory) -> Result<(), UserError> {
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), bytes).expect("write");
        let mut r = Reader::open(file.path())?;
        let info = r.info()?;
        let _ = toml::from_str::<MachineConfig>(&info.config);
        let _ = r.small("harts")?;
        let _ = postcard::from_bytes::<BoardState>(&r.small("board")?);
        r.expect("ram")?;
        read_ram(&mut r, memory)
    }

    fn pages(numbers: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        for n in numbers {
            out.extend(n.to_le_bytes());
            out.extend([*n as u8; PAGE_SIZE as usize]);
        }
        out.extend(u64::MAX.to_le_bytes());
        out
    }

    #[test]
    fn memory_comes_back() {
        let (from, to) = (memory(), memory());
        assert!(from.load(BASE + 0x5000, b"hello") && from.load(0x1ffc, b"rom!"));
        let mut ram = Vec::new();
        write_ram(&from, &mut ram).expect("memory");
        assert_eq!(read(&container(&ram), &to), Ok(()));
        assert_eq!(to.read(BASE + 0x5000, 2), Ok(u32::from_le_bytes(*b"hell") as u64));
        assert_eq!(to.read(0x1ffc, 2), Ok(u32::from_le_bytes(*b"rom!") as u64));
    }

    #[test]
    fn pages_must_ascend_and_be_memory() {
        let first = BASE >> PAGE_SHIFT;
        assert_eq!(read(&container(&pages(&[1, first, first + 9])), &memory()), Ok(()));
        for bad in [&[first, first][..], &[first + 1, first], &[0], &[first + 0x100], &[u64::MAX - 1]] {
            assert!(read(&container(&pages(bad)), &memory()).is_err(), "{bad:x?}");
        }
    }

    #[test]
    fn sections_are_refused_before_they_are_reserved() {
        for len in [SMALL + 1, u64::MAX, SMALL] {
            let mut out = MAGIC.to_vec();
            head(&mut out, "info", 1, len).expect("memory");
            assert!(read(&out, &memory()).is_err());
        }
        let mut newer = MAGIC.to_vec();
        put(&mut newer, "info", 2, &[]).expect("memory");
        let error = read(&newer, &memory()).expect_err("version");
        assert!(format!("{error:?}").contains("version 2"), "{error:?}");
    }

    #[test]
    fn damaged_files_end_in_messages() {
        let good = container(&pages(&[1, BASE >> PAGE_SHIFT]));
        let memory = memory();
        let mut x = 0x1234_5678_9abc_def1u64;
        let mut random = |below: usize| {
            x ^= x >> 12;
            x ^= x << 25;
            x ^= x >> 27;
            (x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
        };
        for _ in 0..3000 {
            let mut bytes = good.clone();
            for _ in 0..1 + random(4) {
                let at = random(bytes.len());
                match random(4) {
                    0 => bytes.truncate(at.max(1)),
                    1 => bytes.insert(at, random(256) as u8),
                    2 => bytes[at] ^= 1 << random(8),
                    _ => bytes[at] = random(256) as u8,
                }
            }
            let _ = read(&bytes, &memory);
        }
    }
}
