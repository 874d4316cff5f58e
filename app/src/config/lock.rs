//! One writer per machine: an advisory lock on a file in the machine's folder.

use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Why a machine could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("the machine in {} is in use by another window or command", dir.display())]
    Busy {
        /// The machine's folder.
        dir: PathBuf,
    },
    /// The lock file cannot be made.
    #[error("the lock in {} cannot be taken: {source}", dir.display())]
    Io {
        /// The machine's folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Holds a machine's lock until dropped; the operating system frees it if the process dies.
#[derive(Debug)]
pub struct MachineLock {
    _file: File,
}

impl MachineLock {
    /// Takes the lock of the machine in `dir`, without waiting.
    pub fn take(dir: &Path) -> Result<MachineLock, LockError> {
        let failed = |source: io::Error| LockError::Io { dir: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let path = dir.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(MachineLock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::Busy { dir: dir.to_owned() }),
            Err(e) => Err(failed(e.into())),
        }
    }
}
