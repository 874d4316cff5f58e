//! What can go wrong with a disk: when it is opened, and while it runs.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// A request failed. The guest sees an I/O error; the machine goes on.
#[derive(Debug, Error)]
pub enum BlockError {
    /// The request reaches past the end of the disk.
    #[error("the request reaches past the end of the disk")]
    Range,
    /// The disk was opened read-only.
    #[error("the disk is read-only")]
    ReadOnly,
    /// The host's file system is full.
    #[error("the host has no space left for this disk image: free some, the guest may then try again")]
    NoSpace,
    /// The image file is shorter than it was when it was opened.
    #[error("the image file became shorter while the machine was running")]
    Truncated,
    /// The back end cannot do this.
    #[error("the disk cannot do this")]
    Unsupported,
    /// The format driver failed on its own account.
    #[error("the image format driver failed on this image")]
    Driver,
    /// Anything else that the host said.
    #[error("{0}")]
    Host(io::Error),
}

impl BlockError {
    /// A small number that goes through the input port; 0 is success and never an error.
    pub fn code(&self) -> i32 {
        match self {
            BlockError::Range => 1,
            BlockError::ReadOnly => 2,
            BlockError::NoSpace => 3,
            BlockError::Truncated => 4,
            BlockError::Unsupported => UNSUPPORTED,
            BlockError::Driver => 6,
            BlockError::Host(_) => 7,
        }
    }
}

/// [`BlockError::code`] of a request that the back end does not know.
pub const UNSUPPORTED: i32 = 5;

impl From<io::Error> for BlockError {
    fn from(e: io::Error) -> BlockError {
        match e.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BlockError::NoSpace,
            io::ErrorKind::UnexpectedEof => BlockError::Truncated,
            io::ErrorKind::Unsupported => BlockError::Unsupported,
            io::ErrorKind::ReadOnlyFilesystem => BlockError::ReadOnly,
            _ => BlockError::Host(e),
        }
    }
}

/// A disk could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The host refused the file.
    #[error("cannot open the disk image {path}: {source}")]
    File {
        /// The image.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Someone else has it open in a way that excludes us.
    #[error(
        "the disk image {path} is in use by {holder}: one writer per image; close it there, or use -snapshot on a copy"
    )]
    Busy {
        /// The image.
        path: PathBuf,
        /// Who, as well as the host tells.
        holder: String,
    },
    /// Neither a file nor a block device.
    #[error("{path} is not a disk image: it is {what}")]
    NotAnImage {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The file is not what `format=` says.
    #[error("{path} is not a usable {format} image: {reason}")]
    Format {
        /// The image.
        path: PathBuf,
        /// The format asked for.
        format: &'static str,
        /// What the format driver said.
        reason: String,
    },
    /// The temporary overlay of `-snapshot` could not be made.
    #[error(
        "cannot make the temporary overlay for {path} in {dir}: {source}; set TMPDIR to a directory with space"
    )]
    Overlay {
        /// The image.
        path: PathBuf,
        /// Where the overlay should have been.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}
