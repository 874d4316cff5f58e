//! Kernels, ramdisks, firmware and device trees of any content through the boot planner, and into memory.
//!
//! Half of the runs wrap the fuzzer's bytes in a format that they would seldom find for themselves: an ELF with program
//! headers, a compressed file with a right checksum, an EFI zboot image, something that unpacks to more than RAM holds.

#![no_main]

use devices::board::BoardError;
use devices::board::map::{self, Range};
use devices::boot::{self, Bios, BootFile, BootFiles, BootSpec, Role, Target};
use engine::mem::bus::NoBus;
use engine::mem::ram::{Memory, RegionSpec};
use libfuzzer_sys::fuzz_target;
use std::io::Write;
use std::sync::{Arc, LazyLock};
use vitrine_fuzz::Choices;

const RAM_LEN: u64 = 32 << 20;
/// More than RAM.
const BOMB: usize = 33 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).expect("memory");
    out.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).expect("memory")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut out = liblzma::write::XzEncoder::new(Vec::new(), 0);
    out.write_all(bytes).expect("memory");
    out.finish().expect("memory")
}

static BOMBS: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let zeroes = vec![0; BOMB];
    [gzip(&zeroes), zstd(&zeroes), xz(&zeroes)]
});

fn pack(kind: u8, bytes: &[u8]) -> Vec<u8> {
    match kind % 3 {
        0 => gzip(bytes),
        1 => zstd(bytes),
        _ => xz(bytes),
    }
}

/// An ELF whose header and program headers are nearly right.
fn elf(c: &mut Choices<'_>) -> Vec<u8> {
    let count = u16::from(c.u8() % 5);
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend(2u16.wrapping_add(u16::from(c.u8() & 1)).to_le_bytes());
    out.extend(243u16.to_le_bytes());
    out.extend(1u32.to_le_bytes());
    out.extend(c.value(map::RAM_BASE).to_le_bytes());
    let table = if c.u8() < 240 { 64 } else { c.u64() };
    out.extend(table.to_le_bytes());
    out.extend([0; 12]);
    out.extend(64u16.to_le_bytes());
    out.extend(if c.u8() < 250 { 56u16 } else { c.u16() }.to_le_bytes());
    out.extend(if c.u8() < 240 { count } else { c.u16() }.to_le_bytes());
    out.extend([0; 6]);
    for n in 0..count {
        out.extend(u32::from(c.u8() % 8 != 7).to_le_bytes());
        out.extend(7u32.to_le_bytes());
        let at = map::RAM_BASE + u64::from(n) * 0x1000;
        for field in 0..6 {
            let usual = [0, at, at, 16, 32, 0x1000][field];
            out.extend(if c.u8() & 3 != 3 { usual } else { c.value(map::RAM_BASE) }.to_le_bytes());
        }
    }
    out
}

/// A RISC-V `Image`, perhaps with a PE header.
fn image(c: &mut Choices<'_>) -> Vec<u8> {
    let mut out = vec![0; 0x40];
    out[..2].copy_from_slice(b"MZ");
    out[8..16].copy_from_slice(&c.value(0).to_le_bytes());
    out[16..24].copy_from_slice(&c.value(RAM_LEN).to_le_bytes());
    out[24] = c.u8() & 1;
    out[0x30..0x38].copy_from_slice(b"RISCV\0\0\0");
    out[0x38..0x3c].copy_from_slice(b"RSC\x05");
    out[0x3c..0x40].copy_from_slice(&c.u32().to_le_bytes());
    if c.u8() & 1 != 0 {
        out[0x3c..0x40].copy_from_slice(&0x40u32.to_le_bytes());
        out.extend(b"PE\0\0\x64\x50");
        out.extend(u16::from(c.u8()).to_le_bytes());
    }
    out
}

fn zboot(c: &mut Choices<'_>) -> Vec<u8> {
    let kind = c.u8();
    let packed = pack(kind, c.bytes(4096));
    let mut out = b"MZ\0\0zimg".to_vec();
    out.extend(if c.u8() < 230 { 64 } else { c.u32() }.to_le_bytes());
    out.extend(if c.u8() < 230 { packed.len() as u32 } else { c.u32() }.to_le_bytes());
    out.extend([0; 8]);
    let name: &[u8] = [b"gzip\0\0\0\0", b"zstd22\0\0", b"xzkern\0\0"][usize::from(kind % 3)];
    out.extend(name);
    out.resize(64, 0);
    out.extend(packed);
    out
}

fn file(c: &mut Choices<'_>) -> Vec<u8> {
    let kind = c.u8();
    let mut out = match kind % 16 {
        0..6 => Vec::new(),
        6..9 => elf(c),
        9 | 10 => image(c),
        11 => zboot(c),
        12 => return pack(c.u8(), c.bytes(8192)),
        13 => {
            let inner = elf(c);
            return pack(c.u8(), &inner);
        }
        14 => {
            let inner = pack(c.u8(), c.bytes(4096));
            return pack(c.u8(), &inner);
        }
        _ if kind & 0x70 == 0x70 => return BOMBS[c.below(3)].clone(),
        _ => vec![0x7f],
    };
    out.extend_from_slice(c.bytes(0xffff));
    out
}

// Bombs take longer to build than a run may.
fuzz_target!(init: LazyLock::force(&BOMBS), |data: &[u8]| {
    let c = &mut Choices::new(data);
    let what = c.u8();
    let bios = match what & 3 {
        0 | 1 => Bios::BuiltIn,
        2 => Bios::None,
        _ => Bios::File("bios".into()),
    };
    let append = String::from_utf8_lossy(c.bytes(64)).into_owned();
    let mut make = |role, wanted: bool| wanted.then(|| BootFile::from_bytes(role, "fuzz", file(c)));
    let files = BootFiles {
        kernel: make(Role::Kernel, what & 4 == 0),
        firmware: make(Role::Firmware, what & 3 == 3),
        initrd: make(Role::Initrd, what & 8 != 0),
    };
    let tree = c.bytes(1 << 12).to_vec();
    let spec = BootSpec { bios, append, ..BootSpec::default() };
    let ram = Range { base: map::RAM_BASE, size: RAM_LEN };
    let target = Target { ram, flash: what & 16 != 0, tree: &|_| Ok::<_, BoardError>(tree.clone()) };
    match boot::plan_files(&spec, &files, &target) {
        Ok(plan) => {
            let specs = [
                RegionSpec { base: map::ROM.base, len: map::ROM.size, writable: false },
                RegionSpec { base: ram.base, len: ram.size, writable: true },
            ];
            let memory = Memory::new(&specs, Arc::new(NoBus)).expect("memory");
            plan.apply(&memory).expect("what was planned fits");
        }
        Err(e) => assert!(!e.to_string().is_empty()),
    }
});
