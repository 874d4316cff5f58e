//! ELF files: programs linked for physical addresses, and position-independent firmware.
//!
//! Layout: System V ABI, chapter 4 (object files) and 5 (program loading).

use super::error::BootError;
use super::file::{BootFile, Part};
use crate::board::map::Range;

const EM_RISCV: u16 = 243;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const PT_LOAD: u32 = 1;
const HEADER: u64 = 64;
const PROGRAM_HEADER: u64 = 56;

/// One segment.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Where it goes.
    pub at: u64,
    /// What the file has of it.
    pub part: Part,
    /// Bytes with the zeroes behind them.
    pub size: u64,
}

/// A program.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// Its segments, by address, without overlap.
    pub segments: Vec<Segment>,
    /// Its first instruction.
    pub entry: u64,
}

fn machine_name(machine: u16) -> String {
    let known = match machine {
        3 => "32-bit x86",
        8 => "MIPS",
        20 | 21 => "PowerPC",
        22 => "s390",
        40 => "32-bit ARM",
        62 => "x86-64",
        183 => "arm64",
        243 => "RISC-V",
        258 => "LoongArch",
        n => return format!("machine number {n}"),
    };
    known.to_owned()
}

/// Little-endian fields of a header.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn get<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at + N)?.try_into().ok()
    }
    fn u16(&self, at: usize) -> u16 {
        self.get(at).map_or(0, u16::from_le_bytes)
    }
    fn u32(&self, at: usize) -> u32 {
        self.get(at).map_or(0, u32::from_le_bytes)
    }
    fn u64(&self, at: usize) -> u64 {
        self.get(at).map_or(0, u64::from_le_bytes)
    }
}

/// Whether the ELF with this start is one for this machine.
pub(super) fn check(head: &[u8], file: &BootFile) -> Result<(), BootError> {
    if (head.len() as u64) < HEADER {
        return Err(file.damaged("it ends within its ELF header"));
    }
    let f = Fields(head);
    let [class, data] = f.get(4).unwrap_or_default();
    let machine = match data {
        2 => f.u16(18).swap_bytes(),
        _ => f.u16(18),
    };
    if machine != EM_RISCV {
        return Err(file.foreign(format!("an ELF program for {}", machine_name(machine))));
    }
    if class != 2 || data != 1 {
        return Err(file.foreign("an ELF program for 32-bit RISC-V"));
    }
    match f.u16(16) {
        ET_EXEC | ET_DYN => Ok(()),
        1 => Err(file.foreign("an ELF object file that was not linked (or a kernel module)")),
        _ => Err(file.foreign("an ELF file that is not a program")),
    }
}

/// Reads the program. One that is position-independent and not linked for `ram` is moved to `home`.
pub(super) fn read(file: &BootFile, ram: Range, home: u64) -> Result<Program, BootError> {
    let header = file.bytes(0, HEADER)?;
    let f = Fields(&header);
    let (kind, entry, table) = (f.u16(16), f.u64(24), f.u64(32));
    let (entry_size, count) = (f.u16(54) as u64, f.u16(56) as u64);
    if count > 0 && entry_size != PROGRAM_HEADER {
        return Err(file.damaged("its program headers have an unknown size"));
    }
    let headers = file.bytes(table, count * PROGRAM_HEADER)?;
    let mut segments = Vec::new();
    for h in headers.chunks_exact(PROGRAM_HEADER as usize) {
        segments.extend(segment(file, &Fields(h))?);
    }
    segments.sort_by_key(|s| s.at);
    let Some(first) = segments.first().map(|s| s.at) else {
        return Err(file.damaged("it has nothing to load"));
    };
    let outside = first.wrapping_sub(ram.base) >= ram.size;
    let slide = if kind == ET_DYN && outside { home.wrapping_sub(first & !0xfff) } else { 0 };
    for s in &mut segments {
        s.at = s.at.wrapping_add(slide);
    }
    check_places(file, &segments, ram)?;
    Ok(Program { segments, entry: entry.wrapping_add(slide) })
}

fn segment(file: &BootFile, h: &Fields<'_>) -> Result<Option<Segment>, BootError> {
    let (offset, at) = (h.u64(8), h.u64(24));
    let (in_file, size) = (h.u64(32), h.u64(40));
    if h.u32(0) != PT_LOAD || size == 0 {
        return Ok(None);
    }
    if in_file > size {
        return Err(file.damaged("a segment has more bytes in the file than in memory"));
    }
    let part = file.all().slice(offset, in_file);
    let part = part.ok_or_else(|| file.damaged("it ends within a segment: it was cut short"))?;
    Ok(Some(Segment { at, part, size }))
}

fn check_places(file: &BootFile, segments: &[Segment], ram: Range) -> Result<(), BootError> {
    let ram_end = ram.base + ram.size;
    for s in segments {
        let end = s.at.checked_add(s.size);
        if s.at < ram.base || end.is_none_or(|e| e > ram_end) {
            return Err(BootError::Segment {
                role: file.role,
                path: file.path.clone(),
                start: s.at,
                end: end.unwrap_or(u64::MAX),
                ram_start: ram.base,
                ram_end,
            });
        }
    }
    if segments.windows(2).any(|w| w[0].at + w[0].size > w[1].at) {
        return Err(file.damaged("its segments overlap"));
    }
    Ok(())
}
