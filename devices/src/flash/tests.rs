use super::*;
use crate::device::tests::{Bench, torment};

const SIZE: u64 = 32 << 20;

fn bench() -> Bench {
    Bench::new(Box::new(Flash::new(SIZE, None)), 0)
}

fn query(b: &Bench, word: u64) -> u64 {
    b.read(4 * word, 4)
}

#[test]
fn the_query_describes_two_chips() {
    let b = bench();
    b.write(0x55 * 4, 4, 0x0098_0098);
    assert_eq!([query(&b, 0x10), query(&b, 0x11), query(&b, 0x12)], [0x51_0051, 0x52_0052, 0x59_0059]);
    assert_eq!(query(&b, 0x27), 0x18_0018, "16 MiB each");
    assert_eq!((query(&b, 0x2c), query(&b, 0x2d), query(&b, 0x2e)), (0x1_0001, 0x7f_007f, 0));
    assert_eq!((query(&b, 0x2f), query(&b, 0x30)), (0, 0x2_0002), "128 KiB sectors");
    assert_eq!(query(&b, 0x1000), 0);
    b.write(0, 4, 0x0090_0090);
    assert_eq!((b.read(0, 4), b.read(4, 4), b.read(0, 2)), (0x89_0089, 0x18_0018, 0x89));
    b.write(0, 4, 0xff_00ff);
    assert_eq!(b.read(0, 4), 0xffff_ffff);
}

#[test]
fn programming_clears_bits_and_erasing_sets_them() {
    let b = bench();
    b.write(8, 4, 0x0040_0040);
    b.write(8, 4, 0x1234_5678);
    assert_eq!(b.read(0, 4), 0x80_0080, "status");
    b.write(0, 4, 0xff);
    assert_eq!((b.read(8, 4), b.read(12, 4)), (0x1234_5678, 0xffff_ffff));
    b.write(8, 4, 0x10);
    b.write(8, 4, 0xffff_0000);
    b.write(0, 4, 0xff);
    assert_eq!(b.read(8, 4), 0x1234_0000);
    b.write(SECTOR - 4, 4, 0x20);
    b.write(SECTOR - 4, 4, 0xd0);
    b.write(0, 4, 0xff);
    assert_eq!(b.read(8, 4), 0xffff_ffff);
}

#[test]
fn an_unconfirmed_erase_is_an_error() {
    let b = bench();
    b.write(0, 4, 0x20);
    b.write(0, 4, 0x12);
    assert_eq!(b.read(0, 1), 0xb0);
    b.write(0, 4, 0x50);
    b.write(0, 4, 0x70);
    assert_eq!(b.read(0, 1), 0x80);
}

#[test]
fn buffered_writes_program_one_block() {
    let b = bench();
    b.write(0x1000, 4, 0xe8_00e8);
    assert_eq!(b.read(0x1000, 4), 0x80_0080);
    b.write(0x1000, 4, 0x1_0001);
    b.write(0x1000, 4, 0x1111_1111);
    b.write(0x1004, 4, 0x2222_2222);
    b.write(0x1000, 4, 0xd0_00d0);
    b.write(0, 4, 0xff);
    assert_eq!(b.read(0x1000, 8), 0x2222_2222_1111_1111);
    b.write(0x2000, 4, 0xe8);
    b.write(0x2000, 4, 1);
    b.write(0x2000, 4, 0);
    b.write(0x3000, 4, 0);
    b.write(0x2000, 4, 0xd0);
    assert_eq!(b.read(0, 1), 0x90);
    b.write(0, 4, 0xff);
    assert_eq!(b.read(0x2000, 4), 0xffff_ffff, "nothing was written");
    b.write(0x2000, 4, 0xe8);
    b.write(0x2000, 4, 0xffff);
    assert_eq!(b.read(0, 1), 0x90, "too many");
}

#[test]
fn a_file_keeps_what_was_written() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("vars");
    std::fs::write(&path, vec![0xff; 0x1000]).expect("write");
    let image = FlashImage::file(&path, SIZE, false).expect("image");
    let b = Bench::new(Box::new(Flash::new(SIZE, Some(image))), 0);
    for (at, v) in [(0x10, 0x4433_2211), (0x2000, 0)] {
        b.write(at, 4, 0x40);
        b.write(at, 4, v);
    }
    let kept = std::fs::read(&path).expect("read");
    assert_eq!((kept.len(), &kept[0x10..0x15]), (0x1000, [0x11, 0x22, 0x33, 0x44, 0xff].as_slice()));
    let read_only = FlashImage::file(&path, SIZE, true).expect("image");
    let c = Bench::new(Box::new(Flash::new(SIZE, Some(read_only))), 0);
    assert_eq!(c.read(0x10, 4), 0x4433_2211);
    c.write(0, 4, 0x20);
    c.write(0, 4, 0xd0);
    c.write(0, 4, 0xff);
    assert_eq!(c.read(0x10, 4), 0xffff_ffff);
    assert_eq!(std::fs::read(&path).expect("read"), kept);
}

#[test]
fn bad_images_are_refused() {
    let dir = tempfile::tempdir().expect("dir");
    assert!(matches!(FlashImage::file(dir.path(), SIZE, true), Err(FlashError::NotAFile { .. })));
    assert!(matches!(FlashImage::file(&dir.path().join("no"), SIZE, true), Err(FlashError::Open { .. })));
    let path = dir.path().join("big");
    std::fs::write(&path, [0; 17]).expect("write");
    assert!(matches!(FlashImage::file(&path, 16, true), Err(FlashError::Size { .. })));
}

struct Broken;

impl FlashStore for Broken {
    fn write(&mut self, _: u64, _: &[u8]) -> std::io::Result<()> {
        Err(std::io::Error::other("no space"))
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_store_that_fails_is_an_error_state() {
    let image = FlashImage::stored(vec![0xff; 8], Box::new(Broken));
    let b = Bench::new(Box::new(Flash::new(SIZE, Some(image))), 0);
    b.write(0, 4, 0x40);
    b.write(0, 4, 0);
    assert_eq!(b.read(0, 1), 0x90);
}

#[test]
fn state_survives() {
    let b = bench();
    b.write(8, 4, 0x40);
    b.write(8, 4, 7);
    b.write(0, 4, 0x98);
    let saved = b.cell.with(|d| d.save()).expect("save");
    let c = bench();
    assert_eq!(c.cell.with(|d| d.restore(&saved)), Some(Ok(())));
    assert_eq!(query(&c, 0x10), 0x51_0051);
    c.write(0, 4, 0xff);
    assert_eq!(c.read(8, 4), 7);
    let small = Bench::new(Box::new(Flash::new(SECTOR, None)), 0);
    assert!(matches!(small.cell.with(|d| d.restore(&saved)), Some(Err(StateError::Damaged { .. }))));
}

#[test]
fn anything_goes() {
    torment(|| Box::new(Flash::new(2 * SECTOR, None)), 2 * SECTOR);
}

#[test]
fn states_that_no_chip_can_be_in_are_refused() {
    let restore = |expect: Expect| {
        let mut flash = Flash::new(SIZE, None);
        let (mode, status, sectors) = (Mode::Array, READY, flash.sectors.clone());
        flash.restore(&Saved::pack(KIND, VERSION, &State { mode, expect, status, sectors }))
    };
    let word = |at, width| vec![(at, width, 0)];
    assert_eq!(restore(Expect::Erase(SIZE - SECTOR)), Ok(()));
    assert_eq!(restore(Expect::Confirm(word(SIZE - 4, 4))), Ok(()));
    let bad = [
        Expect::Erase(SIZE),
        Expect::Erase(u64::MAX),
        Expect::Erase(4),
        Expect::Confirm(word(SIZE - 3, 4)),
        Expect::Confirm(word(u64::MAX, 1)),
        Expect::Confirm(word(0, 255)),
        Expect::Buffer { left: BUFFER as u32, words: Vec::new() },
        Expect::Buffer { left: 0, words: word(0, 3) },
    ];
    for expect in bad {
        assert!(matches!(restore(expect.clone()), Err(StateError::Damaged { .. })), "{expect:?}");
    }
}

#[test]
fn a_pipe_is_no_image() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR.union(rustix::fs::Mode::WUSR);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).expect("pipe");
    for read_only in [true, false] {
        let opened = FlashImage::file(&path, SIZE, read_only);
        assert!(matches!(opened, Err(FlashError::NotAFile { .. })));
    }
}
