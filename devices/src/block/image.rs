//! Disks in image files. `imago` knows the formats; this file opens, locks, checks and overlays them.
//!
//! The format is what the user says. It is never guessed from the content of an image that the guest can write:
//! a guest could write a qcow2 header to its raw disk, name any file of the host as backing file, and read it after
//! the next start. For the same reason backing and data files named inside an image are not followed.

use super::SECTOR;
use super::backend::{BlockBackend, check_range};
use super::error::{BlockError, OpenError};
use super::lock::lock;
use imago::file::File as HostFile;
use imago::qcow2::{Qcow2, Qcow2CreateBuilder};
use imago::raw::Raw;
use imago::{DenyImplicitOpenGate, FormatAccess, FormatCreateBuilder, FormatDriverBuilder};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Formats of image files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// The bytes of the disk.
    #[default]
    Raw,
    /// QEMU's format, version 2 or 3.
    Qcow2,
}

impl ImageFormat {
    /// The name that `format=` takes.
    pub fn name(self) -> &'static str {
        match self {
            ImageFormat::Raw => "raw",
            ImageFormat::Qcow2 => "qcow2",
        }
    }

    /// The format of this name.
    pub fn parse(name: &str) -> Option<ImageFormat> {
        [ImageFormat::Raw, ImageFormat::Qcow2].into_iter().find(|f| f.name() == name)
    }
}

/// How to open an image.
#[derive(Clone, Debug, Default)]
pub struct DiskOptions {
    /// What is in the file.
    pub format: ImageFormat,
    /// Open for reading only.
    pub read_only: bool,
    /// Keep the guest's writes in a temporary overlay that vanishes with the machine; the file is only read.
    pub snapshot: bool,
    /// Where overlays go; `TMPDIR`, or `/var/tmp`, if not said.
    pub overlay_dir: Option<PathBuf>,
}

type Access = FormatAccess<HostFile>;

/// A disk in an image file.
pub struct DiskImage {
    /// Discards need it alone; everything else shares it.
    access: RwLock<Access>,
    /// A second handle of a raw file, to notice that it was cut short: the format layer would read zeroes there.
    raw: Option<File>,
    path: PathBuf,
    format: ImageFormat,
    size: u64,
    read_only: bool,
    snapshot: bool,
}

impl DiskImage {
    /// Opens and locks the image at `path`.
    pub fn open(path: &Path, options: &DiskOptions) -> Result<DiskImage, OpenError> {
        let write = !options.read_only && !options.snapshot;
        let file = open_file(path, write)?;
        lock(&file, path, write)?;
        let raw = match options.format {
            ImageFormat::Raw => {
                Some(file.try_clone().map_err(|source| OpenError::File { path: path.into(), source })?)
            }
            ImageFormat::Qcow2 => None,
        };
        let base = guard(|| open_format(file, options.format, write))
            .map_err(|e| format_error(path, options.format, &e))?;
        let size = base.size() / SECTOR * SECTOR;
        if size != base.size() {
            tracing::warn!(path = %path.display(), "the image is not a whole number of 512-byte sectors; the rest is not visible");
        }
        let access = match options.snapshot {
            true => overlay(base, path, options.overlay_dir.clone())?,
            false => base,
        };
        Ok(DiskImage {
            access: RwLock::new(access),
            raw,
            path: path.into(),
            format: options.format,
            size,
            read_only: options.read_only,
            snapshot: options.snapshot,
        })
    }

    /// Makes a new image of `size` bytes. Fails if the file exists.
    pub fn create(path: &Path, format: ImageFormat, size: u64) -> Result<(), OpenError> {
        let error = |source| OpenError::File { path: path.into(), source };
        let file = File::options().read(true).write(true).create_new(true).open(path).map_err(error)?;
        match format {
            ImageFormat::Raw => file.set_len(size).map_err(error),
            ImageFormat::Qcow2 => guard(|| {
                let file = HostFile::try_from(file)?;
                Qcow2CreateBuilder::<HostFile>::new(file).size(size).create()
            })
            .map_err(error),
        }
    }

    fn check(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        check_range(self.size, offset, len)?;
        if let Some(raw) = &self.raw {
            let meta = raw.metadata()?;
            if meta.is_file() && offset.saturating_add(len) > meta.len() {
                return Err(BlockError::Truncated);
            }
        }
        Ok(())
    }

    fn check_write(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        if self.read_only {
            return Err(BlockError::ReadOnly);
        }
        self.check(offset, len)
    }
}

fn open_file(path: &Path, write: bool) -> Result<File, OpenError> {
    let error = |source| OpenError::File { path: path.into(), source };
    // Looked at before it is opened: opening a named pipe would wait for its other end.
    let kind = std::fs::metadata(path).map_err(error)?.file_type();
    let what = match () {
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_char_device() => "a character device",
        () => return File::options().read(true).write(write).open(path).map_err(error),
    };
    Err(OpenError::NotAnImage { path: path.into(), what })
}

/// The format drivers read headers and tables that anyone may have written. Should one of them panic on such an
/// image, that is an error of this request, not the end of the machine.
fn guard<R>(f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(r) => r,
        Err(_) => Err(io::Error::other("the image format driver failed")),
    }
}

fn format_error(path: &Path, format: ImageFormat, e: &io::Error) -> OpenError {
    OpenError::Format { path: path.into(), format: format.name(), reason: e.to_string() }
}

fn open_format(file: File, format: ImageFormat, write: bool) -> io::Result<Access> {
    let storage = HostFile::try_from(file)?;
    match format {
        ImageFormat::Raw => Ok(Access::new(Raw::open_image(storage, write)?)),
        ImageFormat::Qcow2 => {
            let builder = Qcow2::<HostFile>::builder(storage).write(write);
            Ok(Access::new(builder.open(DenyImplicitOpenGate::default())?))
        }
    }
}

/// `TMPDIR` if it is set; else `/var/tmp`, because `/tmp` may be in memory.
fn overlay_dir() -> PathBuf {
    let var = PathBuf::from("/var/tmp");
    match std::env::var_os("TMPDIR") {
        None if var.is_dir() => var,
        _ => std::env::temp_dir(),
    }
}

/// A qcow2 file without a name on top of `base`: the guest's writes go there, and vanish with the last handle.
fn overlay(base: Access, path: &Path, dir: Option<PathBuf>) -> Result<Access, OpenError> {
    let dir = dir.unwrap_or_else(overlay_dir);
    let error = |source| OpenError::Overlay { path: path.into(), dir: dir.clone(), source };
    let file = tempfile::tempfile_in(&dir).map_err(error)?;
    let size = base.size();
    let made = guard(move || {
        let base = Arc::new(base);
        Qcow2CreateBuilder::<HostFile, Arc<Access>>::new(HostFile::try_from(file)?)
            .size(size)
            .create_open(DenyImplicitOpenGate::default(), |image| {
                Ok(Qcow2::<HostFile, Arc<Access>>::builder(image).backing(Some(base)).write(true))
            })
    });
    made.map(Access::new).map_err(error)
}

impl BlockBackend for DiskImage {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        self.check(offset, buf.len() as u64)?;
        Ok(guard(|| self.access.read().read(buf, offset))?)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
        self.check_write(offset, buf.len() as u64)?;
        Ok(guard(|| self.access.read().write(buf, offset))?)
    }

    fn flush(&self) -> Result<(), BlockError> {
        if self.read_only {
            return Ok(());
        }
        Ok(guard(|| {
            let access = self.access.read();
            access.flush()?;
            // The overlay of a snapshot dies with the process: nothing to make durable.
            if self.snapshot { Ok(()) } else { access.sync() }
        })?)
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.check_write(offset, len)?;
        Ok(guard(|| self.access.write().discard_to_any(offset, len))?)
    }

    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> Result<(), BlockError> {
        self.check_write(offset, len)?;
        Ok(guard(|| match unmap {
            true => self.access.write().discard_to_zero(offset, len),
            false => self.access.read().write_zeroes(offset, len),
        })?)
    }

    fn block_size(&self) -> u32 {
        match self.format {
            ImageFormat::Raw if !self.snapshot => 4096,
            _ => 65536,
        }
    }

    fn describe(&self) -> String {
        let how = match (self.snapshot, self.read_only) {
            (true, _) => ", writes are thrown away",
            (_, true) => ", read-only",
            _ => "",
        };
        format!("{} ({}{how})", self.path.display(), self.format.name())
    }
}

impl Drop for DiskImage {
    fn drop(&mut self) {
        if let Err(e) = self.flush() {
            tracing::error!(disk = %self.path.display(), "the last flush failed: {e}");
        }
    }
}
