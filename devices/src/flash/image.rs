//! Contents of a flash bank, in memory by sectors, and the file that keeps them.

use super::SECTOR;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A flash image cannot be used.
#[derive(Debug, Error)]
pub enum FlashError {
    /// The file cannot be read, or not written where it should be.
    #[error("cannot open the flash image {path}: {source}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// More than the chip holds.
    #[error("the flash image {path} has {len} bytes; the chip holds {size}")]
    Size {
        /// Which file.
        path: PathBuf,
        /// Its size.
        len: u64,
        /// The chip's.
        size: u64,
    },
    /// Not a file.
    #[error("{path} is not a file: a flash image is a plain file of at most {size} bytes")]
    NotAFile {
        /// Which path.
        path: PathBuf,
        /// The chip's size.
        size: u64,
    },
}

/// Keeps what the guest writes to a flash bank.
pub trait FlashStore: Send {
    /// Writes bytes at an offset.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written durable.
    fn flush(&mut self) -> io::Result<()>;
}

/// What a flash bank starts with.
pub struct FlashImage {
    bytes: Vec<u8>,
    store: Option<Box<dyn FlashStore>>,
}

struct FileStore {
    file: File,
    len: u64,
}

impl FlashStore for FileStore {
    /// The file keeps its size: what lies behind its end is lost, as in the chip that it was read from.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let room = self.len.saturating_sub(offset).min(bytes.len() as u64) as usize;
        self.file.write_all_at(&bytes[..room], offset)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl FlashImage {
    /// Contents in memory only; an image shorter than the chip is followed by erased bytes.
    pub fn memory(bytes: Vec<u8>) -> FlashImage {
        FlashImage { bytes, store: None }
    }

    /// Contents in a store.
    pub fn stored(bytes: Vec<u8>, store: Box<dyn FlashStore>) -> FlashImage {
        FlashImage { bytes, store: Some(store) }
    }

    /// Reads a file of at most `size` bytes. Writes go to it unless `read_only`, in which case they last until the end of the
    /// machine.
    pub fn file(path: &Path, size: u64, read_only: bool) -> Result<FlashImage, FlashError> {
        let refuse = |source| FlashError::Open { path: path.to_owned(), source };
        // Looked at before it is opened: opening a named pipe would wait for its other end.
        if !std::fs::metadata(path).map_err(refuse)?.is_file() {
            return Err(FlashError::NotAFile { path: path.to_owned(), size });
        }
        let mut file = OpenOptions::new().read(true).write(!read_only).open(path).map_err(refuse)?;
        let meta = file.metadata().map_err(refuse)?;
        if !meta.is_file() {
            return Err(FlashError::NotAFile { path: path.to_owned(), size });
        }
        let len = meta.len();
        if len > size {
            return Err(FlashError::Size { path: path.to_owned(), len, size });
        }
        let mut bytes = Vec::with_capacity(len as usize);
        (&mut file).take(size).read_to_end(&mut bytes).map_err(refuse)?;
        let store = (!read_only).then(|| Box::new(FileStore { file, len }) as Box<dyn FlashStore>);
        Ok(FlashImage { bytes, store })
    }

    /// The contents.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::fmt::Debug for FlashImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FlashImage({} bytes)", self.bytes.len())
    }
}

/// The contents; `None` is an erased sector.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Sectors(Vec<Option<Vec<u8>>>);

impl Sectors {
    pub(super) fn fits(&self, size: u64) -> bool {
        let whole = |s: &Option<Vec<u8>>| s.as_ref().is_none_or(|b| b.len() as u64 == SECTOR);
        self.0.len() as u64 == size / SECTOR && self.0.iter().all(whole)
    }

    fn byte(&self, offset: u64) -> u8 {
        let sector = self.0.get((offset / SECTOR) as usize).and_then(Option::as_ref);
        sector.and_then(|s| s.get((offset % SECTOR) as usize).copied()).unwrap_or(0xff)
    }

    /// The bytes `offset..offset + len`, which lie in one sector.
    fn piece(&self, offset: u64, len: u64) -> Vec<u8> {
        let sector = self.0.get((offset / SECTOR) as usize).and_then(Option::as_ref);
        let (from, len) = ((offset % SECTOR) as usize, len as usize);
        sector.and_then(|s| s.get(from..from + len)).map_or_else(|| vec![0xff; len], <[u8]>::to_vec)
    }

    /// The bytes `offset..offset + len`, a sector at a time.
    pub(super) fn pieces(&self, offset: u64, len: u64) -> impl Iterator<Item = (u64, Vec<u8>)> {
        let end = offset.saturating_add(len);
        let mut at = offset;
        std::iter::from_fn(move || {
            let n = (SECTOR - at % SECTOR).min(end.checked_sub(at)?);
            let piece = (at, self.piece(at, n));
            at += n;
            (n > 0).then_some(piece)
        })
    }

    pub(super) fn read(&self, offset: u64, width: u32) -> u64 {
        (0..width as u64).fold(0, |v, i| v | (self.byte(offset.wrapping_add(i)) as u64) << (8 * i))
    }

    /// Clears bits. False if the bytes lie outside.
    pub(super) fn program(&mut self, offset: u64, bytes: &[u8]) -> bool {
        bytes.iter().zip(offset..).all(|(b, at)| {
            let Some(sector) = self.0.get_mut((at / SECTOR) as usize) else { return false };
            let sector = sector.get_or_insert_with(|| vec![0xff; SECTOR as usize]);
            sector.get_mut((at % SECTOR) as usize).map(|x| *x &= b).is_some()
        })
    }

    pub(super) fn erase(&mut self, offset: u64) {
        if let Some(sector) = self.0.get_mut((offset / SECTOR) as usize) {
            *sector = None;
        }
    }
}

/// Passes changes on to the store; after a failure the flash goes on in memory and says so once.
pub(super) struct Sink {
    store: Box<dyn FlashStore>,
    failed: bool,
}

impl Sink {
    pub(super) fn write(&mut self, from: &Sectors, offset: u64, len: u64) -> bool {
        let mut pieces = from.pieces(offset, len);
        let done = pieces.try_for_each(|(at, bytes)| self.store.write(at, &bytes));
        self.check(done)
    }

    pub(super) fn flush(&mut self) -> bool {
        let done = self.store.flush();
        self.check(done)
    }

    fn check(&mut self, done: io::Result<()>) -> bool {
        if let Err(e) = &done
            && !std::mem::replace(&mut self.failed, true)
        {
            tracing::warn!("the flash image cannot be written: {e}; changes will be lost at the end");
        }
        done.is_ok()
    }
}

/// Splits an image into sectors, and what keeps them.
pub(super) fn open(size: u64, image: Option<FlashImage>) -> (Sectors, Option<Sink>) {
    let count = (size / SECTOR) as usize;
    let mut sectors = vec![None; count];
    let Some(image) = image else { return (Sectors(sectors), None) };
    for (slot, bytes) in sectors.iter_mut().zip(image.bytes.chunks(SECTOR as usize)) {
        let mut sector = bytes.to_vec();
        sector.resize(SECTOR as usize, 0xff);
        *slot = Some(sector);
    }
    (Sectors(sectors), image.store.map(|store| Sink { store, failed: false }))
}
