//! What a guest's folder is made of. It is written last, so that a folder with a fitting one is complete.

use super::catalog::Image;
use super::place::file_error;
use crate::config::write_atomically;
use crate::machine::api::UserError;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// Version of the manifest's layout, and of recipes but for their scripts.
const VERSION: u32 = 1;
const FILE: &str = "manifest.toml";

/// One file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    name: String,
    /// In bytes.
    size: u64,
}

/// The manifest.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    version: u32,
    image: String,
    /// Of the scripts that went in; with others the guest is built again.
    scripts: String,
    /// Debian's name of the release.
    release: String,
    /// The packages as name_version_architecture; apt has checked their signatures.
    packages: Vec<String>,
    files: Vec<Entry>,
}

impl Manifest {
    /// Notes what lies in `dir`.
    pub fn of(
        image: &Image,
        dir: &Path,
        release: &str,
        packages: Vec<String>,
    ) -> Result<Manifest, UserError> {
        let mut files = Vec::new();
        for file in image.files {
            let path = dir.join(file.name);
            let meta =
                fs::metadata(&path).map_err(|e| file_error("A file of the guest is missing", &path, &e))?;
            files.push(Entry { name: file.name.to_owned(), size: meta.len() });
        }
        let recipe = image.recipe;
        let (image, release) = (image.name.to_owned(), release.to_owned());
        let scripts = super::recipe::fingerprint(recipe);
        Ok(Manifest { version: VERSION, image, scripts, release, packages, files })
    }

    /// Writes it.
    pub fn write(&self, dir: &Path) -> Result<(), UserError> {
        let text = toml::to_string_pretty(self)
            .map_err(|e| UserError::new(format!("The manifest cannot be written: {e}"), "", ""))?;
        write_atomically(&dir.join(FILE), text.as_bytes()).map_err(|e| {
            UserError::new(format!("The manifest cannot be written: {e}"), "", "Make room, then try again.")
        })
    }

    /// Reads the one in `dir`; a missing or damaged one is none.
    pub fn read(dir: &Path) -> Option<Manifest> {
        toml::from_str(&fs::read_to_string(dir.join(FILE)).ok()?).ok()
    }

    /// Whether it is of this version of this guest, and all files are as it says.
    pub fn fits(&self, image: &Image, dir: &Path) -> bool {
        let same =
            |e: &Entry| fs::metadata(dir.join(&e.name)).is_ok_and(|m| m.is_file() && m.len() == e.size);
        let all = image.files.iter().all(|f| self.files.iter().any(|e| e.name == f.name));
        let scripts = self.scripts == super::recipe::fingerprint(image.recipe);
        scripts && self.version == VERSION && self.image == image.name && all && self.files.iter().all(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::find;

    #[test]
    fn a_changed_or_missing_file_makes_it_incomplete() {
        let dir = tempfile::tempdir().expect("a folder");
        let image = find("installer-riscv64").expect("known");
        assert!(Manifest::of(image, dir.path(), "trixie", Vec::new()).is_err());
        for file in image.files {
            fs::write(dir.path().join(file.name), file.about).expect("written");
        }
        let packages = vec!["a_1_all".to_owned()];
        let manifest = Manifest::of(image, dir.path(), "trixie", packages).expect("complete");
        manifest.write(dir.path()).expect("written");
        let read = Manifest::read(dir.path()).expect("readable");
        assert_eq!(read, manifest);
        assert!(read.fits(image, dir.path()));
        assert!(!read.fits(find("firmware-riscv64").expect("known"), dir.path()));
        fs::write(dir.path().join("linux"), "x").expect("written");
        assert!(!read.fits(image, dir.path()));
    }
}
