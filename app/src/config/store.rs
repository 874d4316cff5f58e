//! Writing files so that a crash or a full disk leaves the old one whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Why a machine or the settings could not be stored or found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("{} cannot be {action}: {source}", path.display())]
    Io {
        /// What was tried ("written", "created", "removed").
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A description that cannot be written as TOML.
    #[error("the description cannot be written: {0}")]
    Serialize(#[from] toml::ser::Error),
    /// The user has no home directory.
    #[error("there is no home directory to keep machines in; set VITRINE_HOME")]
    NoHome,
    /// Another program uses the machine.
    #[error(transparent)]
    Locked(#[from] super::LockError),
    /// The machine's name gives no folder, or all its variants are taken.
    #[error("\"{0}\" cannot be a machine's folder")]
    BadId(String),
}

impl StoreError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> StoreError {
        StoreError::Io { action, path: path.to_owned(), source }
    }
}

/// Replaces a file's contents: a temporary file beside it is written, synced and renamed over it.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(|e| StoreError::io("created", dir, e))?;
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = dir.join(format!(".{name}.{}-{unique}", std::process::id()));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    written.map_err(|e| {
        // The temporary file is of no use to anybody; the error that counts is the first one.
        let _ = fs::remove_file(&temporary);
        StoreError::io("written", path, e)
    })
}
