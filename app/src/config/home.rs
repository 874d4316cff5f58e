//! Where things lie.
//!
//! ```text
//! config/settings.toml
//! config/machines/ID/machine.toml     the description
//! config/machines/ID/lock             one writer per machine
//! config/machines/ID/layout.json      which panels are open round its terminal, and where
//! data/states/ID/state.bin            the saved state
//! data/states/ID/screen.txt           the terminal's last text, for the card
//! data/images/NAME/...                fetched guests
//! ```
//! `config` and `data` are the user's directories of the operating system, or `$VITRINE_HOME/config` and `$VITRINE_HOME/data`.

use super::diagnose::ConfigError;
use super::lock::MachineLock;
use super::machine::MachineConfig;
use super::size::MemorySize;
use super::store::{StoreError, write_atomically};
use super::validate::is_valid_id;
use std::fs;
use std::path::{Path, PathBuf};

/// The directories of one user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Home {
    config: PathBuf,
    data: PathBuf,
}

impl Home {
    /// The user's directories; the environment variable `VITRINE_HOME` overrides them.
    pub fn find() -> Result<Home, StoreError> {
        if let Some(root) = std::env::var_os("VITRINE_HOME").filter(|r| !r.is_empty()) {
            return Ok(Home::at(Path::new(&root)));
        }
        let dirs = directories::ProjectDirs::from("", "", "vitrine").ok_or(StoreError::NoHome)?;
        Ok(Home { config: dirs.config_dir().to_owned(), data: dirs.data_dir().to_owned() })
    }

    /// Both directories under one root.
    pub fn at(root: &Path) -> Home {
        Home { config: root.join("config"), data: root.join("data") }
    }

    /// The settings' file.
    pub fn settings_file(&self) -> PathBuf {
        self.config.join("settings.toml")
    }

    /// The folder of fetched guests.
    pub fn images_dir(&self) -> PathBuf {
        self.data.join("images")
    }

    /// A machine's folder.
    pub fn machine_dir(&self, id: &str) -> PathBuf {
        self.config.join("machines").join(id)
    }

    /// A machine's description.
    pub fn machine_file(&self, id: &str) -> PathBuf {
        self.machine_dir(id).join("machine.toml")
    }

    /// How a machine's panels are laid out.
    pub fn layout_file(&self, id: &str) -> PathBuf {
        self.machine_dir(id).join("layout.json")
    }

    fn state_dir(&self, id: &str) -> PathBuf {
        self.data.join("states").join(id)
    }

    /// A machine's saved state.
    pub fn state_file(&self, id: &str) -> PathBuf {
        self.state_dir(id).join("state.bin")
    }

    /// A machine's last terminal text.
    pub fn screen_file(&self, id: &str) -> PathBuf {
        self.state_dir(id).join("screen.txt")
    }

    /// Locks a machine for writing.
    pub fn lock(&self, id: &str) -> Result<MachineLock, StoreError> {
        Ok(MachineLock::take(&self.machine_dir(id))?)
    }

    /// All machines, each read or with its mistakes, in the order of their ids.
    pub fn machines(&self) -> Vec<(String, Result<MachineConfig, ConfigError>)> {
        let Ok(entries) = fs::read_dir(self.config.join("machines")) else { return Vec::new() };
        let mut ids: Vec<String> = entries
            .filter_map(|e| e.ok()?.file_name().into_string().ok())
            .filter(|id| is_valid_id(id) && self.machine_file(id).is_file())
            .collect();
        ids.sort();
        ids.into_iter()
            .map(|id| {
                let config = self.load_machine(&id);
                (id, config)
            })
            .collect()
    }

    /// Reads a machine. Its folder's name is its id, whatever the file says.
    pub fn load_machine(&self, id: &str) -> Result<MachineConfig, ConfigError> {
        let mut config = MachineConfig::load(&self.machine_file(id))?;
        config.id = id.to_owned();
        Ok(config)
    }

    /// Writes a machine's description. The caller holds the machine's lock.
    pub fn save_machine(&self, config: &MachineConfig, _lock: &MachineLock) -> Result<(), StoreError> {
        write_atomically(&self.machine_file(&config.id), config.to_toml()?.as_bytes())
    }

    /// Gives a new machine an id made of its name, and writes it.
    pub fn create_machine(&self, config: &mut MachineConfig) -> Result<(), StoreError> {
        let base = slug(&config.name);
        let taken = |id: &str| self.machine_dir(id).exists();
        let id = std::iter::once(base.clone())
            .chain((2..1000).map(|n| format!("{base}-{n}")))
            .find(|id| !taken(id))
            .ok_or_else(|| StoreError::BadId(config.name.clone()))?;
        config.id = id;
        let lock = self.lock(&config.id)?;
        self.save_machine(config, &lock)
    }

    /// Makes an empty (sparse) disk in a machine's folder, attaches it and writes the description.
    pub fn add_disk(&self, config: &mut MachineConfig, size: MemorySize) -> Result<(), StoreError> {
        let dir = self.machine_dir(&config.id);
        let lock = self.lock(&config.id)?;
        let free = (1..100)
            .map(|n| format!("disk{n}.raw"))
            .find(|name| !dir.join(name).exists())
            .ok_or_else(|| StoreError::BadId(config.id.clone()))?;
        let path = dir.join(&free);
        fs::File::create_new(&path)
            .and_then(|f| f.set_len(size.0))
            .map_err(|e| StoreError::io("created", &path, e))?;
        config.drives.push(super::Drive { file: free, ..Default::default() });
        self.save_machine(config, &lock)
    }

    /// Removes a machine's description and saved state, with the disks made in its folder; other disk images stay. Refused while it is in use.
    pub fn delete_machine(&self, id: &str) -> Result<(), StoreError> {
        if !is_valid_id(id) {
            return Err(StoreError::BadId(id.to_owned()));
        }
        let _lock = self.lock(id)?;
        for dir in [self.state_dir(id), self.machine_dir(id)] {
            match fs::remove_dir_all(&dir) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::io("removed", &dir, e));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A folder name made of a machine's name.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(48);
    let slug = slug.trim_matches('-');
    if slug.is_empty() { "machine".to_owned() } else { slug.to_owned() }
}
