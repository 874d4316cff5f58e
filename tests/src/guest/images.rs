//! Where the files of fetched guests lie.

use anyhow::{Result, ensure};
use std::path::PathBuf;

/// A file of a fetched guest. Where it is missing a test fails, and says what to do.
pub fn file(image: &str, name: &str) -> Result<PathBuf> {
    let path = vitrine::images::path(image, name)?;
    let found = path.is_file();
    ensure!(found, "{} is missing; this test needs it: run `vitrine images fetch {image}`", path.display());
    Ok(path)
}

/// Kernel and the small system.
pub fn mini() -> Result<(PathBuf, PathBuf)> {
    Ok((file("debian-riscv64", "Image")?, file("debian-riscv64", "mini.cpio")?))
}

/// Kernel and the system with the workloads.
pub fn work() -> Result<(PathBuf, PathBuf)> {
    Ok((file("debian-riscv64", "Image")?, file("debian-riscv64", "work.cpio")?))
}

/// Kernel and the system with modules and tools for disks and networks.
pub fn disk() -> Result<(PathBuf, PathBuf)> {
    Ok((file("disk-riscv64", "Image")?, file("disk-riscv64", "disk.cpio")?))
}
