//! Where a machine's files are: in the library, or beside a file that the user opened.

use crate::config::{Home, MachineConfig, MachineLock};
use crate::machine::api::UserError;
use std::path::PathBuf;

/// Where a machine's files are.
#[derive(Clone, Debug)]
pub struct PlaceOfMachine {
    home: Home,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// A machine of the library, by its id.
    Library(String),
    /// A description from elsewhere; relative paths start here.
    Folder(PathBuf),
}

impl PlaceOfMachine {
    /// A machine of the library.
    pub fn library(home: &Home, id: &str) -> PlaceOfMachine {
        PlaceOfMachine { home: home.clone(), kind: Kind::Library(id.to_owned()) }
    }

    /// A machine from elsewhere.
    pub fn folder(home: &Home, dir: PathBuf) -> PlaceOfMachine {
        PlaceOfMachine { home: home.clone(), kind: Kind::Folder(dir) }
    }

    /// Its id in the library.
    pub fn id(&self) -> Option<&str> {
        match &self.kind {
            Kind::Library(id) => Some(id),
            Kind::Folder(_) => None,
        }
    }

    /// Takes the lock of a machine of the library.
    pub fn lock(&self) -> Result<Option<MachineLock>, UserError> {
        let Some(id) = self.id() else { return Ok(None) };
        self.home.lock(id).map(Some).map_err(|e| {
            UserError::new(
                e.to_string(),
                "",
                "Close the other window or command that uses it, then try again.",
            )
        })
    }

    /// Where its saved state is or would be.
    pub fn state_file(&self) -> Option<PathBuf> {
        self.id().map(|id| self.home.state_file(id))
    }

    /// Where its terminal's last text is kept.
    pub fn screen_file(&self) -> Option<PathBuf> {
        self.id().map(|id| self.home.screen_file(id))
    }

    /// Where the layout of its panels is kept.
    pub fn layout_file(&self) -> Option<PathBuf> {
        self.id().map(|id| self.home.layout_file(id))
    }

    /// Makes all paths of the description absolute.
    pub fn resolve(&self, config: &mut MachineConfig) {
        let dir = match &self.kind {
            Kind::Library(id) => self.home.machine_dir(id),
            Kind::Folder(dir) => dir.clone(),
        };
        config.resolve_paths(&dir, &self.home.images_dir());
    }
}
