//! Image files, overlays, locks and the worker, on real files.

use super::*;
use engine::exec::inputs::{InputEvent, InputPort};
use imago::FormatCreateBuilder;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn image(dir: &Path, format: ImageFormat, size: u64) -> PathBuf {
    let path = dir.join(format!("disk.{}", format.name()));
    DiskImage::create(&path, format, size).expect("create");
    path
}

fn open(path: &Path, format: ImageFormat) -> Result<DiskImage, OpenError> {
    DiskImage::open(path, &DiskOptions { format, ..DiskOptions::default() })
}

fn read(disk: &DiskImage, offset: u64, len: usize) -> Vec<u8> {
    let mut buf = vec![0xaa; len];
    disk.read_at(offset, &mut buf).expect("read");
    buf
}

#[test]
fn both_formats_keep_what_is_written() {
    let dir = tempfile::tempdir().expect("dir");
    for format in [ImageFormat::Raw, ImageFormat::Qcow2] {
        let path = image(dir.path(), format, 8 << 20);
        {
            let disk = open(&path, format).expect("open");
            assert_eq!(disk.size(), 8 << 20);
            disk.write_at(0x12345, &[7; 9000]).expect("write");
            disk.write_at((8 << 20) - 512, &[9; 512]).expect("write at the end");
            disk.write_zeroes(0x13000, 4096, true).expect("zeroes");
            disk.write_zeroes(0x12345, 3, false).expect("zeroes");
            disk.discard(0x100000, 65536).expect("discard");
            disk.flush().expect("flush");
            assert!(matches!(disk.write_at(8 << 20, &[1]), Err(BlockError::Range)));
            assert!(matches!(disk.read_at(u64::MAX, &mut [1]), Err(BlockError::Range)));
        }
        let disk = open(&path, format).expect("open again");
        assert_eq!(read(&disk, 0x12345, 5), [0, 0, 0, 7, 7], "{format:?}");
        assert_eq!(read(&disk, 0x13000, 4096), vec![0; 4096]);
        assert_eq!(read(&disk, 0x14000, 1), [7]);
        assert_eq!(read(&disk, (8 << 20) - 1, 1), [9]);
    }
}

#[test]
fn a_snapshot_leaves_the_image_alone() {
    let dir = tempfile::tempdir().expect("dir");
    for format in [ImageFormat::Raw, ImageFormat::Qcow2] {
        let path = image(dir.path(), format, 4 << 20);
        open(&path, format).expect("open").write_at(0, b"before").expect("write");
        let before = std::fs::read(&path).expect("file");
        let options = DiskOptions {
            format,
            snapshot: true,
            overlay_dir: Some(dir.path().into()),
            ..Default::default()
        };
        let disk = DiskImage::open(&path, &options).expect("snapshot");
        assert!(!disk.read_only());
        assert_eq!(read(&disk, 0, 6), b"before");
        disk.write_at(2, b"XX").expect("write");
        disk.write_zeroes(0x10000, 0x10000, true).expect("zeroes");
        disk.flush().expect("flush");
        assert_eq!(read(&disk, 0, 6), b"beXXre");
        // Two readers of one image get along.
        let other = DiskImage::open(&path, &options).expect("second snapshot");
        assert_eq!(read(&other, 0, 6), b"before");
        drop((disk, other));
        assert_eq!(std::fs::read(&path).expect("file"), before);
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("dir").count(), 2, "overlays have no name");
}

#[test]
fn a_second_writer_is_told_who_has_the_image() {
    let dir = tempfile::tempdir().expect("dir");
    let path = image(dir.path(), ImageFormat::Raw, 1 << 20);
    let first = open(&path, ImageFormat::Raw).expect("first");
    let Err(e) = open(&path, ImageFormat::Raw) else { panic!("two writers") };
    let text = e.to_string();
    assert!(matches!(e, OpenError::Busy { .. }) && text.contains("disk.raw"), "{text}");
    let ro = DiskOptions { read_only: true, ..Default::default() };
    assert!(DiskImage::open(&path, &ro).is_err(), "a reader would see a changing disk");
    drop(first);
    let reader = DiskImage::open(&path, &ro).expect("reader");
    assert!(matches!(reader.write_at(0, &[1]), Err(BlockError::ReadOnly)));
}

#[test]
fn what_is_no_image_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().expect("dir");
    let kind = |p: &Path, f| open(p, f).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(kind(dir.path(), ImageFormat::Raw).contains("a directory"));
    assert!(kind(&dir.path().join("none"), ImageFormat::Raw).contains("none"));
    assert!(kind(Path::new("/dev/zero"), ImageFormat::Raw).contains("character device"));
    let junk = dir.path().join("junk");
    std::fs::write(&junk, [0x51; 70000]).expect("write");
    assert!(kind(&junk, ImageFormat::Qcow2).contains("qcow2"));
    let good = image(dir.path(), ImageFormat::Qcow2, 1 << 20);
    let mut bytes = std::fs::read(&good).expect("read");
    bytes.truncate(300);
    for at in 4..104 {
        let mut bad = bytes.clone();
        bad[at] ^= 0xff;
        let p = dir.path().join("bad");
        std::fs::write(&p, &bad).expect("write");
        // Opens or does not; never panics or hangs, and a disk that opens can be asked for its first sector.
        if let Ok(disk) = open(&p, ImageFormat::Qcow2) {
            let _ = disk.read_at(0, &mut [0; 512]);
        }
    }
}

#[test]
fn an_image_that_was_cut_short_is_an_error_not_zeroes() {
    let dir = tempfile::tempdir().expect("dir");
    let path = image(dir.path(), ImageFormat::Raw, 1 << 20);
    let disk = open(&path, ImageFormat::Raw).expect("open");
    let file = std::fs::File::options().write(true).open(&path).expect("file");
    file.set_len(4096).expect("truncate");
    assert!(disk.read_at(0, &mut [0; 512]).is_ok());
    assert!(matches!(disk.read_at(4096, &mut [0; 512]), Err(BlockError::Truncated)));
    assert!(matches!(disk.write_at(8192, &[0; 512]), Err(BlockError::Truncated)));
}

#[test]
fn qcow2_does_not_follow_names_inside_the_image() {
    let dir = tempfile::tempdir().expect("dir");
    let secret = dir.path().join("secret");
    std::fs::write(&secret, [0x55; 65536]).expect("write");
    let path = dir.path().join("evil.qcow2");
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).expect("create");
    let storage = imago::file::File::try_from(file).expect("storage");
    let builder = imago::qcow2::Qcow2CreateBuilder::<imago::file::File>::new(storage)
        .backing(secret.display().to_string(), "raw".into())
        .size(65536);
    builder.create().expect("qcow2");
    match open(&path, ImageFormat::Qcow2) {
        Err(e) => assert!(matches!(e, OpenError::Format { .. }), "{e}"),
        Ok(disk) => assert_ne!(read(&disk, 0, 1), [0x55]),
    }
}

/// Waits until `n` completions have come and returns them.
type Done = Arc<Mutex<Vec<(u64, i32, usize)>>>;

fn worker(backend: Arc<dyn BlockBackend>, inline: bool) -> (DiskWorker, Arc<InputPort>, Done) {
    let port = InputPort::new();
    let done: Done = Arc::default();
    let d = done.clone();
    let handler = Arc::new(move |e| {
        if let InputEvent::Completion { tag, status, data } = e {
            d.lock().push((tag, status, data.len()));
        }
    });
    let source = port.register(handler);
    (DiskWorker::new(backend, port.clone(), source, inline, None), port, done)
}

#[test]
fn the_worker_keeps_order_and_reports_errors() {
    for inline in [false, true] {
        let (w, _, done) = worker(Arc::new(MemDisk::new(vec![0; 8192])), inline);
        w.submit(1, DiskOp::Write { offset: 512, data: vec![3; 512], through: true });
        w.submit(2, DiskOp::Read { offset: 512, len: 1024 });
        w.submit(3, DiskOp::Read { offset: 8000, len: 512 });
        w.submit(4, DiskOp::Flush);
        w.wait_idle();
        while done.lock().len() < 4 {
            std::thread::yield_now();
        }
        assert_eq!(*done.lock(), [(1, 0, 0), (2, 0, 1024), (3, BlockError::Range.code(), 0), (4, 0, 0)]);
        assert_eq!(w.bytes_in_flight(), 0);
        assert_eq!(w.metrics().errors.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}

#[test]
fn a_queued_port_delivers_completions_when_it_is_drained() {
    let (w, port, done) = worker(Arc::new(NullDisk::new(4096)), true);
    port.set_queued(Arc::new(|| {}));
    w.submit(5, DiskOp::Read { offset: 0, len: 512 });
    w.wait_idle();
    assert!(done.lock().is_empty());
    assert_eq!(port.drain(100), 1);
    assert_eq!(*done.lock(), [(5, 0, 512)]);
}

#[test]
fn a_paused_worker_starts_nothing_and_goes_on_with_all() {
    let (w, _, done) = worker(Arc::new(MemDisk::new(vec![0; 8192])), false);
    w.pause();
    w.submit(1, DiskOp::Flush);
    assert_eq!(w.bytes_in_flight(), 64);
    assert!(done.lock().is_empty());
    w.submit(2, DiskOp::Write { offset: 0, data: vec![1; 512], through: false });
    w.resume();
    drop(w);
    assert_eq!(*done.lock(), [(1, 0, 0), (2, 0, 0)]);
}

/// The saved state holds the requests that are queued and the time of the disk's last change: a machine that runs them
/// while it ends cannot be resumed.
#[test]
fn a_worker_dropped_while_paused_leaves_the_disk_as_it_is() {
    let disk = Arc::new(MemDisk::new(vec![0; 8192]));
    let (w, _, done) = worker(disk.clone(), false);
    w.pause();
    w.submit(1, DiskOp::Write { offset: 0, data: vec![1; 512], through: false });
    w.submit(2, DiskOp::Write { offset: 512, data: vec![1; 512], through: false });
    drop(w);
    assert!(done.lock().is_empty());
    let mut bytes = [9; 1024];
    disk.read_at(0, &mut bytes).expect("read");
    assert_eq!(bytes, [0; 1024]);
}

#[test]
fn an_image_of_odd_size_ends_at_its_last_whole_sector() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("odd");
    std::fs::write(&path, vec![4; 100_000]).expect("write");
    for snapshot in [true, false] {
        let disk = DiskImage::open(&path, &DiskOptions { snapshot, ..Default::default() }).expect("open");
        assert_eq!(disk.size(), 99_840);
        disk.write_at(99_328, &[5; 512]).expect("write the last sector");
        assert_eq!(read(&disk, 99_327, 513)[..2], [4, 5]);
        disk.write_zeroes(98_304, 1024, true).expect("zeroes");
        disk.discard(65_536, 34_304).expect("discard");
        disk.flush().expect("flush");
        assert!(disk.write_at(99_840, &[1]).is_err());
    }
    assert_eq!(std::fs::metadata(&path).expect("file").len(), 100_000);
}
