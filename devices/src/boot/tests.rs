use super::*;
use crate::board::map::RAM_BASE;
use engine::mem::bus::NoBus;
use engine::mem::ram::RegionSpec;
use proptest::prelude::*;
use std::io::Write;

const MIB: u64 = 1 << 20;
const BASE: u64 = RAM_BASE;
const NOP: [u8; 4] = [0x13, 0, 0, 0];

fn tree(chosen: &Chosen) -> Result<Vec<u8>, BoardError> {
    let (start, end) = chosen.initrd.unwrap_or_default();
    Ok([start.to_be_bytes(), end.to_be_bytes()].concat())
}

fn target(ram_mib: u64) -> Target<'static> {
    Target { ram: Range { base: BASE, size: ram_mib * MIB }, flash: false, tree: &tree }
}

fn kernel(bytes: Vec<u8>) -> Option<BootFile> {
    Some(BootFile::from_bytes(Role::Kernel, "k", bytes))
}

fn firmware(bytes: Vec<u8>) -> Option<BootFile> {
    Some(BootFile::from_bytes(Role::Firmware, "f", bytes))
}

fn initrd(len: u64) -> Option<BootFile> {
    Some(BootFile::from_bytes(Role::Initrd, "i", vec![1; len as usize]))
}

fn spec(bios: Bios) -> BootSpec {
    BootSpec { bios, ..BootSpec::default() }
}

fn boot_kernel(bytes: Vec<u8>) -> Result<BootPlan, BootError> {
    plan_files(&spec(Bios::BuiltIn), &BootFiles { kernel: kernel(bytes), ..Default::default() }, &target(128))
}

/// A Linux image with this image size in its header.
fn image(size: u64) -> Vec<u8> {
    let mut b = vec![0; 256];
    b[..4].copy_from_slice(&NOP);
    b[0x10..0x18].copy_from_slice(&size.to_le_bytes());
    b[0x30..0x35].copy_from_slice(b"RISCV");
    b[0x38..0x3c].copy_from_slice(b"RSC\x05");
    b
}

/// An ELF of this type, entry, and segments (address, bytes in the file, bytes in memory).
fn elf(kind: u16, entry: u64, segments: &[(u64, u64, u64)]) -> Vec<u8> {
    let mut b = vec![0; 64];
    b[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    b[16..18].copy_from_slice(&kind.to_le_bytes());
    b[18..20].copy_from_slice(&243u16.to_le_bytes());
    b[24..32].copy_from_slice(&entry.to_le_bytes());
    b[32..40].copy_from_slice(&64u64.to_le_bytes());
    b[54..56].copy_from_slice(&56u16.to_le_bytes());
    b[56..58].copy_from_slice(&(segments.len() as u16).to_le_bytes());
    let mut offset = 64 + 56 * segments.len() as u64;
    for (at, in_file, size) in segments {
        b.extend(1u32.to_le_bytes());
        b.extend([0; 4]);
        for field in [offset, *at, *at, *in_file, *size, 0] {
            b.extend(field.to_le_bytes());
        }
        offset += in_file;
    }
    b.resize(offset as usize, 0x5a);
    b
}

fn at(plan: &BootPlan, what: &str) -> u64 {
    plan.blobs.iter().find(|b| b.what.contains(what)).expect("blob").at
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    e.write_all(bytes).expect("gzip");
    e.finish().expect("gzip")
}

fn zboot(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut b = b"MZ\0\0zimg".to_vec();
    b.extend(64u32.to_le_bytes());
    b.extend((payload.len() as u32).to_le_bytes());
    b.resize(24, 0);
    b.extend(kind.as_bytes());
    b.resize(64, 0);
    b.extend(payload);
    b.extend([9; 4]);
    b
}

#[test]
fn a_kernel_with_built_in_firmware_starts_in_supervisor_mode() {
    let files = BootFiles { kernel: kernel(image(30 * MIB)), initrd: initrd(1000), firmware: None };
    let plan = plan_files(&spec(Bios::BuiltIn), &files, &target(1024)).expect("plan");
    assert_eq!(plan.start, Start::Supervisor(0x8020_0000));
    assert_eq!(at(&plan, "kernel"), 0x8020_0000);
    assert_eq!(at(&plan, "ramdisk"), 0xa000_0000);
    assert_eq!(plan.fdt, 0xbfe0_0000);
    assert!(plan.blobs.iter().all(|b| b.at != map::ROM.base));
    let small = plan_files(&spec(Bios::BuiltIn), &files, &target(64)).expect("plan");
    assert_eq!((at(&small, "ramdisk"), small.fdt), (0x8200_0000.max(0x8020_0000 + 30 * MIB), 0x83e0_0000));
    let large = plan_files(&spec(Bios::BuiltIn), &files, &target(8192)).expect("plan");
    assert_eq!((at(&large, "ramdisk"), large.fdt), (0xa000_0000, 0xbfe0_0000));
}

#[test]
fn compressed_kernels_are_unpacked() {
    let plain = image(MIB);
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&plain).expect("xz");
    let xz = xz.finish().expect("xz");
    let zstd = zstd::encode_all(plain.as_slice(), 1).expect("zstd");
    let packed = [
        gzip(&plain),
        zboot("gzip", &gzip(&plain)),
        zboot("xzkern", &xz),
        zboot("zstd", &zstd),
        gzip(&zboot("gzip", &gzip(&plain))),
        xz,
        zstd,
    ];
    for (n, bytes) in packed.into_iter().enumerate() {
        let plan = boot_kernel(bytes).unwrap_or_else(|e| panic!("{n}: {e}"));
        let Content::Part(part) = &plan.blobs[0].content else { panic!("{n}: no part") };
        let mut got = vec![0; plain.len()];
        assert_eq!((part.len(), part.read_at(0, &mut got).expect("read")), (256, 256), "{n}");
        assert_eq!(got, plain, "{n}");
    }
}

#[test]
fn firmware_starts_at_the_reset_rom_and_finds_the_kernel() {
    let files =
        BootFiles { firmware: firmware(NOP.repeat(70_000)), kernel: kernel(NOP.to_vec()), initrd: None };
    let plan = plan_files(&spec(Bios::File("f".into())), &files, &target(128)).expect("plan");
    assert_eq!(plan.start, Start::Machine(0x1000));
    assert_eq!((at(&plan, "firmware"), at(&plan, "kernel")), (BASE, 0x8020_0000));
    let rom = plan.blobs.iter().find(|b| b.at == 0x1000).expect("rom");
    let Content::Bytes(rom) = &rom.content else { panic!("bytes") };
    let word = |at: usize| u64::from_le_bytes(rom[at..at + 8].try_into().expect("word"));
    assert_eq!((word(24), word(32), word(56)), (BASE, plan.fdt, 0x8020_0000));
    let long =
        BootFiles { firmware: firmware(NOP.repeat(600_000)), kernel: kernel(NOP.to_vec()), initrd: None };
    let plan = plan_files(&spec(Bios::File("f".into())), &long, &target(128)).expect("plan");
    assert_eq!(at(&plan, "kernel"), 0x8040_0000);
}

#[test]
fn a_kernel_without_firmware_has_the_machine() {
    let program = elf(2, BASE + 0x10, &[(BASE, 0x20, 0x40), (BASE + 0x1000, 8, 8)]);
    let files = BootFiles { kernel: kernel(program), ..Default::default() };
    let plan = plan_files(&spec(Bios::None), &files, &target(128)).expect("plan");
    assert_eq!(plan.start, Start::Machine(0x1000));
    let flat = BootFiles { kernel: kernel(NOP.to_vec()), ..Default::default() };
    assert_eq!(at(&plan_files(&spec(Bios::None), &flat, &target(128)).expect("plan"), "kernel"), BASE);
}

#[test]
fn position_independent_firmware_is_moved_home() {
    let files = BootFiles {
        firmware: firmware(elf(3, 0x8, &[(0, 0x20, 0x20), (0x40000, 8, 0x5000)])),
        ..Default::default()
    };
    let plan = plan_files(&spec(Bios::File("f".into())), &files, &target(128)).expect("plan");
    let places: Vec<_> =
        plan.blobs.iter().filter(|b| b.what.contains("firmware")).map(|b| (b.at, b.size)).collect();
    assert_eq!(places, [(BASE, 0x20), (BASE + 0x40000, 0x5000)]);
}

#[test]
fn flash_is_booted_when_there_is_nothing_else() {
    let flash = Target { flash: true, ..target(128) };
    let plan = plan_files(&spec(Bios::BuiltIn), &BootFiles::default(), &flash).expect("plan");
    assert_eq!(plan.start, Start::Supervisor(map::FLASH[0].base));
    assert_eq!(plan.device_tree().len(), 16);
    let nothing = plan_files(&spec(Bios::BuiltIn), &BootFiles::default(), &target(128));
    assert!(matches!(nothing, Err(BootError::Nothing)));
    let alone = plan_files(
        &spec(Bios::BuiltIn),
        &BootFiles { initrd: initrd(1), ..Default::default() },
        &target(128),
    );
    assert!(matches!(alone, Err(BootError::InitrdAlone)));
}

#[test]
fn firmware_in_flash_is_given_the_kernel() {
    let flash = Target { flash: true, ..target(128) };
    let files =
        BootFiles { kernel: kernel(image(MIB)), initrd: initrd(10), firmware: firmware(NOP.to_vec()) };
    let with_bios = BootSpec { append: "quiet".into(), ..spec(Bios::File("f".into())) };
    let plan = plan_files(&with_bios, &files, &flash).expect("plan");
    assert!(plan.blobs.iter().all(|b| !b.what.contains("kernel") && !b.what.contains("ramdisk")));
    let item = |key| plan.items.iter().find(|i| i.0 == key).map(|i| i.1.clone()).expect("item");
    assert_eq!((item(0x08), item(0x0b)), (vec![0, 1, 0, 0], vec![10, 0, 0, 0]));
    assert_eq!((item(0x11), item(0x12), item(0x15)), (image(MIB), vec![1; 10], b"quiet\0".to_vec()));
    let direct = plan_files(&spec(Bios::None), &files, &flash).expect("plan");
    assert!(direct.items.is_empty() && at(&direct, "kernel") >= BASE);
}

#[test]
fn plans_are_written_to_memory() {
    let rom = RegionSpec { base: map::ROM.base, len: map::ROM.size, writable: false };
    let ram = RegionSpec { base: BASE, len: 64 * MIB, writable: true };
    let memory = Memory::new(&[rom, ram], std::sync::Arc::new(NoBus)).expect("memory");
    memory.write(BASE + 0x38, 3, u64::MAX).expect("dirt");
    let files = BootFiles { firmware: firmware(elf(2, BASE, &[(BASE, 0x20, 0x40)])), ..Default::default() };
    let plan = plan_files(&spec(Bios::File("f".into())), &files, &target(64)).expect("plan");
    plan.apply(&memory).expect("apply");
    assert_eq!(memory.read(BASE + 0x18, 3), Ok(0x5a5a_5a5a_5a5a_5a5a));
    assert_eq!(memory.read(BASE + 0x38, 3), Ok(0), "cleared");
    assert_eq!(memory.read(0x1000, 2), Ok(0x297));
    let tiny = RegionSpec { len: 0x1000, ..ram };
    let memory = Memory::new(&[tiny], std::sync::Arc::new(NoBus)).expect("memory");
    assert!(matches!(plan.apply(&memory), Err(BootError::Load { .. })));
}

fn refusal(bytes: Vec<u8>) -> String {
    boot_kernel(bytes).expect_err("refused").to_string()
}

#[test]
fn foreign_kernels_are_named() {
    let mut x86 = NOP.repeat(200);
    x86[0x202..0x206].copy_from_slice(b"HdrS");
    let mut arm = NOP.repeat(20);
    arm[0x38..0x3c].copy_from_slice(b"ARM\x64");
    let mut elf_x86 = elf(2, 0, &[]);
    elf_x86[18] = 62;
    let mut elf_32 = elf(2, 0, &[]);
    elf_32[4] = 1;
    let mut efi = b"MZ".to_vec();
    efi.resize(0x3c, 1);
    efi.extend(0x40u32.to_le_bytes());
    efi.extend(b"PE\0\0\x64\x86\0\0");
    let cases: [(Vec<u8>, &str); 9] = [
        (x86, "x86 Linux kernel (bzImage)"),
        (arm, "arm64 Linux kernel"),
        (elf_x86, "ELF program for x86-64"),
        (elf_32, "32-bit RISC-V"),
        (elf(1, 0, &[]), "object file"),
        (efi, "EFI program for x86-64"),
        (b"#!/bin/sh\necho hello\n".to_vec(), "a text file"),
        (b"QFI\xfb\0\0\0\x03".to_vec(), "qcow2"),
        (vec![0; 4096], "zeroes"),
    ];
    for (bytes, text) in cases {
        let message = refusal(bytes);
        assert!(message.contains(text), "{message}");
        assert!(message.contains("this machine needs"), "{message}");
    }
}

#[test]
fn damaged_kernels_are_damaged() {
    let whole = elf(2, BASE, &[(BASE, 0x100, 0x100)]);
    assert!(refusal(whole[..whole.len() - 1].to_vec()).contains("cut short"));
    assert!(refusal(whole[..80].to_vec()).contains("ends after"));
    assert!(refusal(whole[..20].to_vec()).contains("ELF header"));
    assert!(refusal(elf(2, BASE, &[])).contains("nothing to load"));
    assert!(refusal(elf(2, BASE, &[(BASE, 8, 16), (BASE + 8, 8, 8)])).contains("overlap"));
    assert!(refusal(elf(2, BASE, &[(0x1000, 8, 8)])).contains("link it for this machine"));
    assert!(refusal(elf(2, BASE, &[(BASE, 8, 1 << 60)])).contains("more memory"));
    assert!(refusal(elf(2, BASE, &[(u64::MAX - 4, 8, 8)])).contains("link it"));
    let packed = gzip(&NOP.repeat(1000));
    assert!(refusal(packed[..packed.len() / 2].to_vec()).contains("does not unpack"));
    assert!(refusal(zboot("gzip", b"nonsense")).contains("does not unpack"));
    assert!(refusal(zboot("lzo", b"")).contains("compressed with \"lzo\""));
    assert!(refusal(zboot("gzip", &packed)[..40].to_vec()).contains("header"));
    assert!(refusal(gzip(&gzip(&gzip(&gzip(&NOP))))).contains("again and again"));
    assert!(refusal(gzip(b"")).contains("unpacks to nothing"));
}

#[test]
fn things_that_do_not_fit_say_how_much_is_there() {
    assert!(refusal(image(1 << 40)).contains("give the machine more memory"));
    assert!(refusal(image(u64::MAX)).contains("give the machine more memory"));
    assert!(refusal(gzip(&vec![0x13; 129 << 20])).contains("more memory"));
    let files = BootFiles { kernel: kernel(image(MIB)), initrd: initrd(62 * MIB), firmware: None };
    let e = plan_files(&spec(Bios::BuiltIn), &files, &target(64)).expect_err("too large");
    assert!(matches!(e, BootError::TooLarge { role: Role::Initrd, .. }), "{e}");
    let files = BootFiles { kernel: kernel(image(MIB)), initrd: initrd(58 * MIB), firmware: None };
    let tight = plan_files(&spec(Bios::BuiltIn), &files, &target(64)).expect("behind the kernel");
    assert_eq!(at(&tight, "ramdisk"), 0x8030_0000);
}

#[test]
fn overlaps_between_files_are_told() {
    let f = elf(2, BASE, &[(BASE, 8, 8), (0x8020_0000, 8, 8)]);
    let k = elf(2, BASE, &[(0x8020_0004, 8, 8)]);
    let files = BootFiles { firmware: firmware(f), kernel: kernel(k), initrd: None };
    let e = plan_files(&spec(Bios::File("f".into())), &files, &target(64)).expect_err("overlap");
    assert!(matches!(e, BootError::Overlap { .. }), "{e}");
}

#[test]
fn paths_that_are_no_files_are_told() {
    let dir = tempfile::tempdir().expect("dir");
    let open = |p: &Path| BootFile::open(Role::Kernel, p).expect_err("refused").to_string();
    assert!(open(dir.path()).contains("is a directory"));
    assert!(open(&dir.path().join("none")).contains("check the path"));
    let empty = dir.path().join("empty");
    std::fs::write(&empty, b"").expect("write");
    assert!(open(&empty).contains("is empty"));
    assert!(open(Path::new("/dev/zero")).contains("is a device"));
}

#[test]
fn files_are_read_when_they_are_needed() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("huge");
    let file = std::fs::File::create(&path).expect("create");
    file.set_len(1 << 40).expect("sparse");
    let files = BootFiles {
        kernel: kernel(image(MIB)),
        initrd: Some(BootFile::open(Role::Initrd, &path).expect("open")),
        firmware: None,
    };
    let e = plan_files(&spec(Bios::BuiltIn), &files, &target(64)).expect_err("too large");
    assert!(matches!(e, BootError::TooLarge { need, .. } if need == 1 << 40), "{e}");
}

fn magic() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        Just(elf(2, BASE, &[(BASE, 16, 32), (BASE + 0x1000, 8, 8)])),
        Just(image(MIB)),
        Just(zboot("gzip", &gzip(&image(MIB)))),
        Just(zboot("zstd", &[0x28, 0xb5, 0x2f, 0xfd])),
        Just(gzip(&image(MIB))),
        Just(b"\xfd7zXZ\0".to_vec()),
        Just(b"MZ\0\0zimg".to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    /// Whatever the files hold, there is a plan inside RAM or an error.
    #[test]
    fn any_bytes_make_a_plan_or_an_error(
        mut bytes in magic(),
        tail in proptest::collection::vec(any::<u8>(), 0..600),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        as_firmware in any::<bool>(),
    ) {
        bytes.extend(tail);
        for (at, b) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = b;
            }
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        let (files, spec) = match as_firmware {
            true => (BootFiles { firmware: firmware(bytes), ..Default::default() }, spec(Bios::File("f".into()))),
            false => (BootFiles { kernel: kernel(bytes), ..Default::default() }, spec(Bios::BuiltIn)),
        };
        if let Ok(plan) = plan_files(&spec, &files, &target(64)) {
            for b in &plan.blobs {
                let in_rom = b.at >= map::ROM.base && b.at + b.size <= map::ROM.base + map::ROM.size;
                prop_assert!(in_rom || b.at >= BASE && b.at + b.size <= BASE + 64 * MIB, "{b:?}");
            }
        }
    }
}
