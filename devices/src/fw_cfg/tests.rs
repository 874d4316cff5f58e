use super::*;
use crate::device::tests::{Bench, torment};
use parking_lot::Mutex;
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress};

const RAM: u64 = 0x8000_0000;

fn bench() -> (Bench, Arc<Mutex<Vec<u8>>>) {
    let mut f = FwCfg::new(3);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let s = seen.clone();
    f.set_file("opt/b", b"hello".to_vec()).expect("file");
    f.set_writable_file("etc/w", vec![0; 8], Box::new(move |b| *s.lock() = b.to_vec())).expect("file");
    (Bench::new(Box::new(f), 0), seen)
}

fn select(b: &Bench, key: u16) {
    b.write(8, 2, key.swap_bytes() as u64);
}

fn bytes(b: &Bench, n: usize) -> Vec<u8> {
    (0..n).map(|_| b.read(0, 1) as u8).collect()
}

/// Runs a transfer and returns its control word.
fn dma(b: &Bench, control: u32, length: u32, address: u64) -> u32 {
    let ram = b.wiring.memory.ram();
    let mut request = control.to_be_bytes().to_vec();
    request.extend(length.to_be_bytes());
    request.extend(address.to_be_bytes());
    ram.write_slice(&request, GuestAddress(RAM)).expect("ram");
    b.write(20, 4, (RAM as u32).swap_bytes() as u64);
    let mut result = [0; 4];
    ram.read_slice(&mut result, GuestAddress(RAM)).expect("ram");
    u32::from_be_bytes(result)
}

#[test]
fn the_signature_reads_at_any_width() {
    let (b, _) = bench();
    select(&b, 0);
    assert_eq!(bytes(&b, 6), b"QEMU\0\0");
    select(&b, 0);
    assert_eq!(b.read(0, 4).to_le_bytes()[..4], *b"QEMU");
    select(&b, keys::ID);
    assert_eq!(b.read(0, 8), 3);
    assert_eq!(b.read(16, 8).to_le_bytes(), *b"QEMU CFG");
    assert_eq!(b.read(20, 4).to_le_bytes()[..4], *b" CFG");
    select(&b, keys::NB_CPUS);
    assert_eq!(b.read(0, 2), 3);
    select(&b, 0x3333);
    assert_eq!(b.read(0, 8), 0);
}

#[test]
fn the_directory_lists_files_by_name() {
    let (b, _) = bench();
    select(&b, keys::FILE_DIR);
    let dir = bytes(&b, 4 + 2 * 64);
    assert_eq!(dir[..4], [0, 0, 0, 2]);
    assert_eq!(dir[4..12], [0, 0, 0, 8, 0, 0x21, 0, 0]);
    assert_eq!(dir[12..18], *b"etc/w\0");
    assert_eq!(dir[68..76], [0, 0, 0, 5, 0, 0x20, 0, 0]);
    assert_eq!(dir[76..82], *b"opt/b\0");
}

#[test]
fn transfers_copy_and_pad() {
    let (b, _) = bench();
    let to = RAM + 0x100;
    b.wiring.memory.ram().write_slice(&[0xff; 8], GuestAddress(to)).expect("ram");
    assert_eq!(dma(&b, 0x20 << 16 | 8 | 2, 7, to), 0);
    let mut got = [0; 8];
    b.wiring.memory.ram().read_slice(&mut got, GuestAddress(to)).expect("ram");
    assert_eq!(got, *b"hello\0\0\xff");
    assert_eq!(dma(&b, 0x20 << 16 | 8 | 4, 3, 0), 0);
    assert_eq!(b.read(0, 1), b'l' as u64);
}

#[test]
fn transfers_outside_ram_or_files_are_errors() {
    let (b, seen) = bench();
    assert_eq!(dma(&b, 2, 0xffff_ffff, RAM), 1);
    assert_eq!(dma(&b, 2, 4, 0x1000), 1);
    assert_eq!(dma(&b, 2, 8, u64::MAX - 3), 1);
    assert_eq!(dma(&b, 0x20 << 16 | 8 | 16, 4, RAM), 1, "not writable");
    assert_eq!(dma(&b, 0x21 << 16 | 8 | 16, 9, RAM), 1, "too long");
    assert!(seen.lock().is_empty());
    b.write(16, 8, 0x10u64.swap_bytes());
    let m = b.cell.with(|d| d.metrics()).expect("metrics");
    assert_eq!((m[0].value, m[1].value), (6, 6));
}

#[test]
fn writable_files_are_written_and_saved() {
    let (b, seen) = bench();
    let from = RAM + 0x200;
    b.wiring.memory.ram().write_slice(b"12345678", GuestAddress(from)).expect("ram");
    assert_eq!(dma(&b, 0x21 << 16 | 8 | 16, 8, from), 0);
    assert_eq!(*seen.lock(), b"12345678");
    let saved = b.cell.with(|d| d.save()).expect("save");
    let (c, heard) = bench();
    assert_eq!(c.cell.with(|d| d.restore(&saved)), Some(Ok(())));
    assert_eq!(*heard.lock(), b"12345678");
    let plain = Bench::new(Box::new(FwCfg::new(1)), 0);
    assert!(matches!(plain.cell.with(|d| d.restore(&saved)), Some(Err(StateError::Damaged { .. }))));
}

#[test]
fn bad_names_are_refused() {
    let mut f = FwCfg::new(1);
    assert_eq!(f.set_file("", Vec::new()), Err(FileError::Name(String::new())));
    assert!(f.set_file(&"x".repeat(56), Vec::new()).is_err());
    assert!(f.set_file(&"x".repeat(55), Vec::new()).is_ok());
}

#[test]
fn anything_goes() {
    torment(
        || {
            let mut f = FwCfg::new(1);
            f.set_writable_file("w", vec![1; 16], Box::new(|_| {})).expect("file");
            Box::new(f)
        },
        0x18,
    );
}
