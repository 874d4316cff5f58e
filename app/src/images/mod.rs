//! Known guests, built from Debian's packages.
//!
//! The problem: a first boot and the tests need kernels, firmware and small systems that nobody here made, and no copy of them may
//! lie in this repository. So they are built where they are needed, from the Debian mirror that the machine already uses
//! (apt checks the signatures), by recipes that give the same contents everywhere. Nothing of the host's own apt state is touched.
//!
//! ```text
//! data/images/NAME/...             the files of a guest
//! data/images/NAME/manifest.toml   what it is made of; written last, so that a folder without it is incomplete
//! cache/debian/...                 packages and their lists
//! ```

mod apt;
mod catalog;
mod cpio;
mod deb;
mod manifest;
mod modules;
mod place;
mod progress;
mod recipe;
mod sources;
mod tree;

use crate::machine::api::UserError;
use std::path::{Path, PathBuf};

pub use catalog::{Image, ImageFile, catalog, find};
pub use place::{advice_for, path};
pub use progress::{Progress, Quiet, Terminal};

/// Whether a guest's files are all there.
pub fn is_complete(image: &Image, dir: &Path) -> bool {
    manifest::Manifest::read(dir).is_some_and(|m| m.fits(image, dir))
}

/// The folder of a guest, which is built first if it is not complete. Progress goes to standard error.
pub fn ensure(name: &str) -> Result<PathBuf, UserError> {
    let image = find(name)?;
    let dir = place::dir(image.name)?;
    fetch(image, &dir, false, &mut Terminal::new())?;
    Ok(dir)
}

/// Builds a guest in `dir`. A complete one is left alone unless it is wanted `again`; an interrupted fetch goes on where it was.
pub fn fetch(image: &Image, dir: &Path, again: bool, progress: &mut dyn Progress) -> Result<(), UserError> {
    if !again && is_complete(image, dir) {
        return Ok(());
    }
    let cache = place::cache()?;
    // Another process may be building the same guest: then wait for it.
    let _lock = place::Lock::take(&cache)?;
    if !again && is_complete(image, dir) {
        return Ok(());
    }
    recipe::build(image, dir, &cache, progress)
}
