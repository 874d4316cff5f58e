//! Boot loaders: what is put into memory before the first instruction, and where harts start.
//!
//! [`plan`] looks at the files and decides; [`BootPlan::apply`] writes. A plan can be applied again, for a reset.

mod elf;
pub mod error;
pub mod file;
pub mod kind;
mod place;
mod rom;
#[cfg(test)]
mod tests;
mod unpack;

use crate::board::BoardError;
use crate::board::fdt::Chosen;
use crate::board::map::{self, Range};
use crate::board::virt::VirtBoard;
use crate::fw_cfg::FwCfg;
use engine::mem::ram::Memory;
pub use error::{BootError, Role};
pub use file::{BootFile, Part};
use kind::Kind;
use std::path::{Path, PathBuf};
use vm_memory::{Bytes, GuestAddress};

/// Which firmware runs in M-mode.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Bios {
    /// None: the engine answers SBI calls itself.
    #[default]
    BuiltIn,
    /// None: the kernel has the machine to itself, in M-mode.
    None,
    /// This file.
    File(PathBuf),
}

/// What the user wants to boot.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BootSpec {
    /// `-bios`.
    pub bios: Bios,
    /// `-kernel`.
    pub kernel: Option<PathBuf>,
    /// `-initrd`.
    pub initrd: Option<PathBuf>,
    /// `-append`.
    pub append: String,
    /// Seed of the guest's random numbers.
    pub rng_seed: Option<[u8; 32]>,
}

/// What is written at one address.
#[derive(Clone, Debug)]
pub struct Blob {
    /// What it is, for messages.
    pub what: String,
    /// First address.
    pub at: u64,
    /// Bytes of RAM that it takes; those behind `content` are cleared.
    pub size: u64,
    /// Its bytes.
    pub content: Content,
}

/// Bytes of a [`Blob`].
#[derive(Clone, Debug)]
pub enum Content {
    /// From memory.
    Bytes(Vec<u8>),
    /// From a file.
    Part(Part),
}

/// Where harts start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// Hart 0 starts here in S-mode with a0 = 0 and a1 = the device tree; the others wait for the built-in SBI.
    Supervisor(u64),
    /// All harts start here in M-mode.
    Machine(u64),
}

/// A boot.
#[derive(Clone, Debug)]
pub struct BootPlan {
    /// What goes into memory.
    pub blobs: Vec<Blob>,
    /// Where the device tree is.
    pub fdt: u64,
    /// Where harts start.
    pub start: Start,
    /// What firmware in flash gets through the firmware configuration device.
    pub items: Vec<(u16, Vec<u8>)>,
}

/// What was put into RAM for one file.
struct Loaded {
    entry: u64,
    end: u64,
}

/// What the planner must know of the machine.
pub struct Target<'a> {
    /// RAM.
    pub ram: Range,
    /// Whether there is firmware in the first flash chip.
    pub flash: bool,
    /// Writes the device tree.
    pub tree: &'a dyn Fn(&Chosen) -> Result<Vec<u8>, BoardError>,
}

struct Planner<'a> {
    target: &'a Target<'a>,
    blobs: Vec<Blob>,
}

impl Planner<'_> {
    fn ram_end(&self) -> u64 {
        self.target.ram.base + self.target.ram.size
    }

    /// Loads a kernel or firmware; what says nothing of its address goes to `at`.
    fn program(&mut self, file: &BootFile, at: u64) -> Result<Loaded, BootError> {
        /// A compressed Image in a zboot image in a .gz is as deep as it gets.
        const DEPTH: usize = 3;
        let mut file = file.clone();
        for _ in 0..DEPTH {
            match kind::identify(&file)? {
                Kind::Elf => return self.elf(&file, at),
                Kind::LinuxImage { size } => return self.flat(&file, at, size),
                Kind::Flat => return self.flat(&file, at, file.all().len()),
                Kind::Packed { packing, offset, len } => {
                    file = unpack::unpack(&file, packing, offset, len, self.target.ram.size)?;
                }
            }
        }
        Err(file.damaged("it is compressed again and again"))
    }

    fn flat(&mut self, file: &BootFile, at: u64, size: u64) -> Result<Loaded, BootError> {
        place::check_fits(file, at, size, self.ram_end())?;
        let part = file.all().clone();
        // What lies behind the file's end is the kernel's to clear.
        self.blobs.push(Blob { what: file.title(), at, size: part.len(), content: Content::Part(part) });
        Ok(Loaded { entry: at, end: at + size })
    }

    fn elf(&mut self, file: &BootFile, home: u64) -> Result<Loaded, BootError> {
        let program = elf::read(file, self.target.ram, home)?;
        let end = program.segments.iter().map(|s| s.at + s.size).max().unwrap_or(home);
        for s in program.segments {
            let content = Content::Part(s.part);
            self.blobs.push(Blob { what: file.title(), at: s.at, size: s.size, content });
        }
        Ok(Loaded { entry: program.entry, end })
    }

    /// Writes the device tree, and puts the initial ramdisk where the tree says.
    fn tree(
        &mut self,
        spec: &BootSpec,
        initrd: Option<&BootFile>,
        kernel_end: u64,
    ) -> Result<u64, BootError> {
        /// Firmware adds nodes in place.
        const GROWTH: u64 = 64 << 10;
        let mut chosen =
            Chosen { bootargs: spec.append.clone(), initrd: initrd.map(|_| (0, 0)), rng_seed: spec.rng_seed };
        let len = (self.target.tree)(&chosen)?.len() as u64;
        let at = place::fdt(self.target.ram, len + GROWTH);
        if let Some(file) = initrd {
            let start = place::initrd(file, self.target.ram, kernel_end, at)?;
            let part = file.all().clone();
            chosen.initrd = Some((start, start + part.len()));
            let blob = Blob { what: file.title(), at: start, size: part.len(), content: Content::Part(part) };
            self.blobs.push(blob);
        }
        let bytes = (self.target.tree)(&chosen)?;
        let size = bytes.len() as u64;
        self.blobs.push(Blob { what: "the device tree".into(), at, size, content: Content::Bytes(bytes) });
        Ok(at)
    }

    fn check_overlaps(&self) -> Result<(), BootError> {
        let mut by_address: Vec<_> = self.blobs.iter().collect();
        by_address.sort_by_key(|b| b.at);
        for w in by_address.windows(2) {
            if w[0].at.saturating_add(w[0].size) > w[1].at {
                return Err(BootError::Overlap { a: w[0].what.clone(), b: w[1].what.clone(), at: w[1].at });
            }
        }
        Ok(())
    }
}

fn open(role: Role, path: Option<&PathBuf>) -> Result<Option<BootFile>, BootError> {
    path.map(|p| BootFile::open(role, p)).transpose()
}

/// Files that were opened for a [`BootSpec`].
#[derive(Default)]
pub struct BootFiles {
    /// Firmware; `None` if there is none or it is built in.
    pub firmware: Option<BootFile>,
    /// Kernel.
    pub kernel: Option<BootFile>,
    /// Initial ramdisk.
    pub initrd: Option<BootFile>,
}

impl BootFiles {
    /// Opens them.
    pub fn open(spec: &BootSpec) -> Result<BootFiles, BootError> {
        let firmware = match &spec.bios {
            Bios::File(path) => Some(BootFile::open(Role::Firmware, Path::new(path))?),
            Bios::BuiltIn | Bios::None => None,
        };
        let kernel = open(Role::Kernel, spec.kernel.as_ref())?;
        Ok(BootFiles { firmware, kernel, initrd: open(Role::Initrd, spec.initrd.as_ref())? })
    }
}

/// Plans the boot of `board`.
pub fn plan(spec: &BootSpec, board: &VirtBoard) -> Result<BootPlan, BootError> {
    let target = Target {
        ram: Range { base: map::RAM_BASE, size: board.config().ram_bytes },
        flash: board.boots_from_flash(),
        tree: &|chosen| board.device_tree(chosen),
    };
    plan_files(spec, &BootFiles::open(spec)?, &target)
}

/// Kernel, ramdisk and command line for UEFI firmware, which loads them itself.
fn items(spec: &BootSpec, files: &BootFiles, ram: Range) -> Result<Vec<(u16, Vec<u8>)>, BootError> {
    use crate::fw_cfg::keys::*;
    let mut items = Vec::new();
    let parts = [(&files.kernel, KERNEL_SIZE, KERNEL_DATA), (&files.initrd, INITRD_SIZE, INITRD_DATA)];
    for (file, size, data) in parts {
        let Some(file) = file else { continue };
        let len = file.all().len();
        place::check_fits(file, ram.base, len, ram.base + ram.size)?;
        let short = u32::try_from(len).map_err(|_| file.foreign("larger than 4 GiB"))?;
        items.push((size, short.to_le_bytes().to_vec()));
        items.push((data, file.bytes(0, len)?));
    }
    if files.kernel.is_some() {
        let mut line = spec.append.clone().into_bytes();
        line.push(0);
        items.push((CMDLINE_SIZE, (line.len() as u32).to_le_bytes().to_vec()));
        items.push((CMDLINE_DATA, line));
    }
    Ok(items)
}

/// Plans a boot of files that are open.
///
/// Firmware in flash runs in M-mode with [`Bios::None`]; else it is what M-mode firmware starts, and a kernel is not loaded
/// but handed to it.
pub fn plan_files(spec: &BootSpec, files: &BootFiles, target: &Target<'_>) -> Result<BootPlan, BootError> {
    if !(target.flash && (spec.bios != Bios::None || files.kernel.is_none())) {
        return plan_direct(spec, files, target, None);
    }
    let items = items(spec, files, target.ram)?;
    let firmware = BootFiles { firmware: files.firmware.clone(), ..BootFiles::default() };
    let plan = plan_direct(spec, &firmware, target, Some(map::FLASH[0].base))?;
    Ok(BootPlan { items, ..plan })
}

fn plan_direct(
    spec: &BootSpec,
    files: &BootFiles,
    target: &Target<'_>,
    flash: Option<u64>,
) -> Result<BootPlan, BootError> {
    if files.initrd.is_some() && files.kernel.is_none() {
        return Err(BootError::InitrdAlone);
    }
    let mut p = Planner { target, blobs: Vec::new() };
    let base = target.ram.base;
    let firmware = files.firmware.as_ref().map(|f| p.program(f, base)).transpose()?;
    let behind = match (&firmware, &spec.bios) {
        (Some(f), _) => place::kernel(f.end),
        (None, Bios::None) => base,
        // Where firmware would be nothing is, but kernels expect to start one step up.
        (None, _) => base + place::KERNEL_ALIGN,
    };
    let kernel = files.kernel.as_ref().map(|k| p.program(k, behind)).transpose()?;
    let kernel_end = kernel.as_ref().or(firmware.as_ref()).map_or(base, |l| l.end);
    let next = kernel.as_ref().map(|k| k.entry).or(flash);
    let first = firmware.as_ref().map(|f| f.entry).or(next).ok_or(BootError::Nothing)?;
    let fdt = p.tree(spec, files.initrd.as_ref(), kernel_end)?;
    let start = if spec.bios == Bios::BuiltIn {
        Start::Supervisor(first)
    } else {
        let rom = rom::write(first, fdt, if firmware.is_some() { next.unwrap_or(0) } else { 0 });
        let (at, size) = (map::ROM.base, rom.len() as u64);
        p.blobs.push(Blob { what: "the reset code".into(), at, size, content: Content::Bytes(rom) });
        Start::Machine(at)
    };
    p.check_overlaps()?;
    Ok(BootPlan { blobs: p.blobs, fdt, start, items: Vec::new() })
}

impl BootPlan {
    /// Writes everything to memory. No hart may run.
    pub fn apply(&self, memory: &Memory) -> Result<(), BootError> {
        self.blobs.iter().try_for_each(|b| b.write(memory))
    }

    /// Writes everything to `board`: memory, and what firmware in flash is given. No hart may run.
    pub fn install(&self, board: &VirtBoard) -> Result<(), BootError> {
        self.apply(board.memory())?;
        let set = |f: &mut FwCfg| self.items.iter().for_each(|(key, bytes)| f.set_item(*key, bytes.clone()));
        let fw_cfg = board.device("fw-cfg").and_then(|cell| cell.with_as(set));
        fw_cfg.ok_or(BootError::NoFwCfg)
    }

    /// The device tree as it will be in memory.
    pub fn device_tree(&self) -> &[u8] {
        let tree = self.blobs.iter().find(|b| b.at == self.fdt);
        match tree.map(|b| &b.content) {
            Some(Content::Bytes(bytes)) => bytes,
            _ => &[],
        }
    }
}

impl Blob {
    fn put(&self, memory: &Memory, at: u64, bytes: &[u8]) -> Result<(), BootError> {
        // ROM is not in the RAM map and small.
        let done = memory.ram().write_slice(bytes, GuestAddress(at)).is_ok() || memory.load(at, bytes);
        if done { Ok(()) } else { Err(self.failed(at, "there is no memory")) }
    }

    fn failed(&self, at: u64, why: impl ToString) -> BootError {
        BootError::Load { what: self.what.clone(), at, why: why.to_string() }
    }

    fn write(&self, memory: &Memory) -> Result<(), BootError> {
        const CHUNK: usize = 1 << 20;
        let len = match &self.content {
            Content::Bytes(bytes) => {
                self.put(memory, self.at, bytes)?;
                bytes.len() as u64
            }
            Content::Part(part) => {
                let mut buf = vec![0; CHUNK.min(part.len() as usize)];
                let mut done = 0;
                while done < part.len() {
                    let at = self.at + done;
                    let n = part.read_at(done, &mut buf).map_err(|e| self.failed(at, e))?;
                    self.put(memory, at, &buf[..n])?;
                    done += n as u64;
                }
                done
            }
        };
        let zeroes = vec![0; CHUNK.min(self.size.saturating_sub(len) as usize)];
        let mut done = len;
        while done < self.size {
            let n = (self.size - done).min(CHUNK as u64);
            self.put(memory, self.at + done, &zeroes[..n as usize])?;
            done += n;
        }
        Ok(())
    }
}
