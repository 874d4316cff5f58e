//! Bytes of boot files: on disk until they are needed, or unpacked in memory.

use super::error::{BootError, Role};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Bytes {
    File(Arc<File>),
    Memory(Arc<Vec<u8>>),
}

/// A part of a boot file.
#[derive(Clone, Debug)]
pub struct Part {
    bytes: Bytes,
    offset: u64,
    len: u64,
}

/// A boot file: who it is, and its bytes.
#[derive(Clone, Debug)]
pub struct BootFile {
    /// Its part in booting.
    pub role: Role,
    /// Where it came from.
    pub path: PathBuf,
    all: Part,
}

fn kind_of(meta: &std::fs::Metadata) -> Option<&'static str> {
    let t = meta.file_type();
    match () {
        () if t.is_file() => None,
        () if t.is_dir() => Some("a directory"),
        () if t.is_fifo() => Some("a pipe"),
        () if t.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}

impl Part {
    /// Bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads at most `buf.len()` bytes at `at`; how many there were.
    pub fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let room = self.len.saturating_sub(at).min(buf.len() as u64) as usize;
        let buf = &mut buf[..room];
        match &self.bytes {
            Bytes::File(file) => file.read_exact_at(buf, self.offset + at).map(|()| room),
            Bytes::Memory(all) => {
                let from = (self.offset + at) as usize;
                let bytes = all.get(from..from + room).ok_or(io::ErrorKind::UnexpectedEof)?;
                buf.copy_from_slice(bytes);
                Ok(room)
            }
        }
    }

    /// Bytes `at..at + len`, if they are all there.
    pub fn slice(&self, at: u64, len: u64) -> Option<Part> {
        let end = at.checked_add(len)?;
        (end <= self.len).then(|| Part { bytes: self.bytes.clone(), offset: self.offset + at, len })
    }
}

/// Reads a part from its start.
pub(super) struct PartReader {
    part: Part,
    at: u64,
}

impl io::Read for PartReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.part.read_at(self.at, buf)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl BootFile {
    /// Opens a plain file that is not empty.
    pub fn open(role: Role, path: &Path) -> Result<BootFile, BootError> {
        let refuse = |source| BootError::Open { role, path: path.to_owned(), source };
        // Looked at before it is opened: opening a pipe would wait for its writer.
        let meta = std::fs::metadata(path).map_err(refuse)?;
        if let Some(is) = kind_of(&meta) {
            return Err(BootError::NotAFile { role, path: path.to_owned(), is });
        }
        let file = File::open(path).map_err(refuse)?;
        let len = file.metadata().map_err(refuse)?.len();
        if len == 0 {
            return Err(BootError::Empty { role, path: path.to_owned() });
        }
        let all = Part { bytes: Bytes::File(Arc::new(file)), offset: 0, len };
        Ok(BootFile { role, path: path.to_owned(), all })
    }

    /// The same file with other bytes: what it unpacked to.
    pub(super) fn unpacked(&self, bytes: Vec<u8>) -> BootFile {
        let len = bytes.len() as u64;
        BootFile { all: Part { bytes: Bytes::Memory(Arc::new(bytes)), offset: 0, len }, ..self.clone() }
    }

    /// Bytes that make up a file, for tests and for callers that have no path.
    pub fn from_bytes(role: Role, name: &str, bytes: Vec<u8>) -> BootFile {
        let len = bytes.len() as u64;
        let all = Part { bytes: Bytes::Memory(Arc::new(bytes)), offset: 0, len };
        BootFile { role, path: name.into(), all }
    }

    /// All of it.
    pub fn all(&self) -> &Part {
        &self.all
    }

    /// Up to `n` bytes from the start.
    pub(super) fn head(&self, n: usize) -> Result<Vec<u8>, BootError> {
        self.bytes(0, (n as u64).min(self.all.len))
    }

    /// Exactly these bytes; a damaged file if it ends before.
    pub(super) fn bytes(&self, at: u64, len: u64) -> Result<Vec<u8>, BootError> {
        if at.checked_add(len).is_none_or(|end| end > self.all.len) {
            return Err(self.damaged(format!("it ends after {} bytes", self.all.len)));
        }
        let mut buf = vec![0; len as usize];
        self.all.read_at(at, &mut buf).map_err(|source| self.unreadable(source))?;
        Ok(buf)
    }

    /// These bytes as a stream.
    pub(super) fn reader(&self, at: u64, len: u64) -> Result<PartReader, BootError> {
        let part = self.all.slice(at, len);
        let part = part.ok_or_else(|| self.damaged(format!("it ends after {} bytes", self.all.len)))?;
        Ok(PartReader { part, at: 0 })
    }

    pub(super) fn unreadable(&self, source: io::Error) -> BootError {
        BootError::Read { role: self.role, path: self.path.clone(), source }
    }

    pub(super) fn damaged(&self, why: impl Into<String>) -> BootError {
        BootError::Damaged { role: self.role, path: self.path.clone(), why: why.into() }
    }

    pub(super) fn foreign(&self, is: impl Into<String>) -> BootError {
        BootError::Foreign { role: self.role, path: self.path.clone(), is: is.into() }
    }

    /// How messages call it.
    pub fn title(&self) -> String {
        format!("the {} {}", self.role, self.path.display())
    }
}
