//! What kind of file something is, by its bytes: names lie.

use super::error::BootError;
use super::file::BootFile;

/// How something is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    /// gzip.
    Gzip,
    /// xz.
    Xz,
    /// lzma, the format before xz.
    Lzma,
    /// zstd.
    Zstd,
}

/// A kind of file that can be booted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An ELF of this machine.
    Elf,
    /// A RISC-V Linux `Image`; it takes this many bytes of RAM from its start.
    LinuxImage {
        /// Bytes with everything that it clears after itself.
        size: u64,
    },
    /// Something compressed at these bytes of the file.
    Packed {
        /// How.
        packing: Packing,
        /// Where it starts.
        offset: u64,
        /// Bytes; `None` to the end.
        len: Option<u64>,
    },
    /// Code without a header.
    Flat,
}

/// Enough to see the volume descriptor of a CD image.
const HEAD: usize = 0x8006;
const PE_RISCV64: u16 = 0x5064;

fn u16_at(head: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(head: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(head: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?))
}

fn has(head: &[u8], at: usize, magic: &[u8]) -> bool {
    at.checked_add(magic.len()).and_then(|end| head.get(at..end)) == Some(magic)
}

fn packing(head: &[u8]) -> Option<Packing> {
    match () {
        () if has(head, 0, &[0x1f, 0x8b]) => Some(Packing::Gzip),
        () if has(head, 0, b"\xfd7zXZ\0") => Some(Packing::Xz),
        () if has(head, 0, &[0x28, 0xb5, 0x2f, 0xfd]) => Some(Packing::Zstd),
        () => None,
    }
}

/// What the guest of another machine would call its own, and files that belong elsewhere on the command line.
fn known_foreign(head: &[u8]) -> Option<&'static str> {
    let table: [(usize, &[u8], &str); 19] = [
        (0x202, b"HdrS", "an x86 Linux kernel (bzImage)"),
        (0x38, b"ARM\x64", "an arm64 Linux kernel (Image)"),
        (0x24, &[0x18, 0x28, 0x6f, 0x01], "a 32-bit ARM Linux kernel (zImage)"),
        (0x8001, b"CD001", "a CD image: attach it as a drive"),
        (0, b"QFI\xfb", "a qcow2 disk image: attach it as a drive"),
        (0, b"KDMV", "a VMDK disk image: attach it as a drive"),
        (0, b"conectix", "a VHD disk image: attach it as a drive"),
        (0, b"070701", "a cpio archive: give it as -initrd"),
        (0, b"070702", "a cpio archive: give it as -initrd"),
        (0, b"070707", "a cpio archive: give it as -initrd"),
        (0, b"!<arch>\n", "a package or library archive: unpack it first"),
        (0, b"PK\x03\x04", "a zip archive: unpack it first"),
        (257, b"ustar", "a tar archive: unpack it first"),
        (0, b"BZh", "compressed with bzip2: unpack it first"),
        (0, &[0x27, 0x05, 0x19, 0x56], "a U-Boot uImage: take the plain Image"),
        (0, &[0xd0, 0x0d, 0xfe, 0xed], "a device tree or FIT image"),
        (0, b"\x89PNG", "a picture"),
        (0, b"%PDF", "a PDF document"),
        (0, &[0xce, 0xfa, 0xed, 0xfe], "a Mach-O program"),
    ];
    let found = table.iter().find(|(at, magic, _)| has(head, *at, magic));
    found.map(|(_, _, is)| *is).or_else(|| {
        let text = head.iter().take(512).all(|b| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..));
        let blank = head.iter().all(|b| *b == 0);
        let disk = has(head, 0x1fe, &[0x55, 0xaa]) && !has(head, 0, b"MZ");
        match () {
            () if blank => Some("nothing but zeroes"),
            () if text && head.is_ascii() => Some("a text file"),
            () if disk => Some("a disk image: attach it as a drive"),
            () => None,
        }
    })
}

/// The Linux kernel's Documentation/arch/riscv/boot-image-header.rst.
fn linux_image(head: &[u8], file: &BootFile) -> Result<Option<Kind>, BootError> {
    if !has(head, 0x38, b"RSC\x05") && !has(head, 0x30, b"RISCV\0\0\0") {
        return Ok(None);
    }
    let cut = || file.damaged("it ends within its header");
    let (size, flags) = (u64_at(head, 0x10).ok_or_else(cut)?, u64_at(head, 0x18).ok_or_else(cut)?);
    if flags & 1 != 0 {
        return Err(file.foreign("a big-endian RISC-V Linux kernel"));
    }
    check_pe(head, file)?;
    let len = file.all().len();
    match pe_end(head) {
        Some(end) if end > len => {
            Err(file.damaged(format!("it should have at least {end} bytes and has {len}: it was cut short")))
        }
        _ => Ok(Some(Kind::LinuxImage { size: size.max(len) })),
    }
}

/// Where the PE header is, if there is one that `head` holds.
fn pe_header(head: &[u8]) -> Option<usize> {
    let at = u32_at(head, 0x3c)? as usize;
    (has(head, 0, b"MZ") && at < head.len() && has(head, at, b"PE\0\0")).then_some(at)
}

fn pe_machine(head: &[u8]) -> Option<u16> {
    u16_at(head, pe_header(head)? + 4)
}

/// Where the last section ends in the file (PE format, section table).
fn pe_end(head: &[u8]) -> Option<u64> {
    let at = pe_header(head)?;
    let (sections, options) = (u16_at(head, at + 6)? as usize, u16_at(head, at + 20)? as usize);
    let table = at + 24 + options;
    let ends = (0..sections).map_while(|n| {
        let (len, start) = (u32_at(head, table + 40 * n + 16)?, u32_at(head, table + 40 * n + 20)?);
        Some(start as u64 + len as u64)
    });
    ends.max()
}

/// The Linux kernel's drivers/firmware/efi/libstub/zboot-header.S: where the payload is, and how it is compressed.
fn zboot(head: &[u8], file: &BootFile) -> Result<Option<Kind>, BootError> {
    if !(has(head, 0, b"MZ") && has(head, 4, b"zimg")) {
        return Ok(None);
    }
    check_pe(head, file)?;
    let cut = || file.damaged("it ends within its header");
    let offset = u32_at(head, 8).ok_or_else(cut)? as u64;
    let len = u32_at(head, 12).ok_or_else(cut)? as u64;
    let name = head.get(24..56).ok_or_else(cut)?;
    let name = String::from_utf8_lossy(name.split(|b| *b == 0).next().unwrap_or_default()).into_owned();
    let packing = match name.as_str() {
        "gzip" => Packing::Gzip,
        "lzma" => Packing::Lzma,
        n if n.starts_with("xz") => Packing::Xz,
        n if n.starts_with("zstd") => Packing::Zstd,
        _ => {
            return Err(
                file.foreign(format!("an EFI zboot image compressed with \"{}\"", name.escape_default()))
            );
        }
    };
    Ok(Some(Kind::Packed { packing, offset, len: Some(len) }))
}

fn check_pe(head: &[u8], file: &BootFile) -> Result<(), BootError> {
    let of = match pe_machine(head) {
        None | Some(PE_RISCV64) => return Ok(()),
        Some(0x8664) => "x86-64",
        Some(0xaa64) => "arm64",
        Some(0x14c) => "32-bit x86",
        Some(0x1c0..=0x1c4) => "32-bit ARM",
        Some(0x5032) => "32-bit RISC-V",
        Some(0x6264) => "LoongArch",
        Some(_) => "another processor",
    };
    Err(file.foreign(format!("an EFI program for {of}")))
}

/// The first instruction, if it can be one: neither all zeroes nor all ones (RISC-V unprivileged specification, 1.5).
fn starts_with_code(head: &[u8]) -> bool {
    let first = u16_at(head, 0);
    head.len() >= 4 && first.is_some_and(|w| w != 0 && w & 0x1f != 0x1f)
}

/// Tells what `file` is, or why it cannot be booted.
pub fn identify(file: &BootFile) -> Result<Kind, BootError> {
    let head = file.head(HEAD)?;
    if has(&head, 0, b"\x7fELF") {
        return super::elf::check(&head, file).map(|()| Kind::Elf);
    }
    if let Some(kind) = linux_image(&head, file)? {
        return Ok(kind);
    }
    if let Some(kind) = zboot(&head, file)? {
        return Ok(kind);
    }
    if let Some(packing) = packing(&head) {
        return Ok(Kind::Packed { packing, offset: 0, len: None });
    }
    if let Some(is) = known_foreign(&head) {
        return Err(file.foreign(is));
    }
    if has(&head, 0, b"MZ") && pe_machine(&head).is_some() {
        check_pe(&head, file)?;
        return Err(file.foreign("an EFI program, which UEFI firmware loads from a disk"));
    }
    if !starts_with_code(&head) {
        return Err(file.foreign("no RISC-V code, and of no kind that is known"));
    }
    Ok(Kind::Flat)
}
