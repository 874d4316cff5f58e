//! Where guests and packages lie.

use super::catalog::{catalog, find};
use crate::config::Home;
use crate::machine::api::UserError;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};

/// An error with a file.
pub(super) fn file_error(what: &str, path: &Path, e: &std::io::Error) -> UserError {
    let next = match e.kind() {
        std::io::ErrorKind::StorageFull => "Make room, then try again.",
        _ => "Check the folder and its permissions, then try again.",
    };
    UserError::new(format!("{what}: {e}"), path.display().to_string(), next)
}

fn images() -> Result<PathBuf, UserError> {
    Home::find().map(|home| home.images_dir()).map_err(|e| {
        UserError::new(format!("The images' folder cannot be found: {e}"), "", "Set VITRINE_HOME.")
    })
}

/// The folder of a guest.
pub(super) fn dir(name: &str) -> Result<PathBuf, UserError> {
    Ok(images()?.join(name))
}

/// The path of a guest's file; of the folder if `file` is empty. Neither needs to be there, nor need the guest be known, for a user may
/// have put one there.
pub fn path(name: &str, file: &str) -> Result<PathBuf, UserError> {
    let dir = images()?;
    let plain = |part: &str| Path::new(part).components().all(|c| matches!(c, Component::Normal(_)));
    if name.is_empty() || !plain(name) || !plain(file) {
        let next = "Write NAME/FILE, as `vitrine images list` shows them.";
        return Err(UserError::new("This names no file of an image", format!("{name}/{file}"), next));
    }
    Ok(if file.is_empty() { dir.join(name) } else { dir.join(name).join(file) })
}

/// What to do when a file is missing that would belong to a known guest.
pub fn advice_for(path: &Path) -> Option<String> {
    let rest = path.strip_prefix(images().ok()?).ok()?;
    let name = rest.components().next()?.as_os_str().to_str()?;
    Some(match find(name) {
        Ok(image) => format!("Fetch it with: vitrine images fetch {}", image.name),
        Err(_) => {
            let names: Vec<&str> = catalog().iter().map(|i| i.name).collect();
            format!("There is no guest \"{name}\" to fetch; there are {}.", names.join(", "))
        }
    })
}

/// The folder for packages.
pub(super) fn cache() -> Result<PathBuf, UserError> {
    let root = match std::env::var_os("VITRINE_HOME").filter(|r| !r.is_empty()) {
        Some(root) => PathBuf::from(root).join("cache"),
        None => directories::ProjectDirs::from("", "", "vitrine")
            .map(|d| d.cache_dir().to_owned())
            .ok_or_else(|| UserError::new("There is no home directory", "", "Set VITRINE_HOME."))?,
    };
    // apt's own files need absolute paths.
    let root = std::path::absolute(&root).map_err(|e| file_error("The cache cannot be used", &root, &e))?;
    let dir = root.join("debian");
    fs::create_dir_all(&dir).map_err(|e| file_error("The cache cannot be made", &dir, &e))?;
    Ok(dir)
}

/// Held while packages are fetched; freed by the system if the process dies.
pub(super) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Lock {
    /// Waits for the lock of a folder.
    pub fn take(dir: &Path) -> Result<Lock, UserError> {
        let path = dir.join("lock");
        let failed = |e: std::io::Error| file_error("The cache cannot be locked", &path, &e);
        let file = File::create(&path).map_err(failed)?;
        match flock(&file, FlockOperation::LockExclusive) {
            Ok(()) => Ok(Lock(file)),
            Err(e) => Err(failed(e.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        assert!(path("debian-riscv64", "Image").expect("a path").ends_with("images/debian-riscv64/Image"));
        assert!(path("debian-riscv64", "").expect("a path").ends_with("images/debian-riscv64"));
        for (name, file) in [("..", "x"), ("a", "../b"), ("/etc", "x"), ("a", "/b"), ("", "x")] {
            assert!(path(name, file).is_err(), "{name} {file}");
        }
    }

    #[test]
    fn a_missing_file_of_a_known_guest_can_be_fetched() {
        let missing = path("firmware-riscv64", "fw_jump.elf").expect("a path");
        assert!(advice_for(&missing).expect("advice").contains("images fetch firmware-riscv64"));
        let unknown = path("windows", "x").expect("a path");
        assert!(advice_for(&unknown).expect("advice").contains("no guest"));
        assert_eq!(advice_for(Path::new("/nowhere/x")), None);
    }
}
