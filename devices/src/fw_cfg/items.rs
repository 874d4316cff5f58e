//! The items of the firmware configuration device and its directory of named files.

use std::collections::BTreeMap;
use thiserror::Error;

/// Sees a file's contents after the guest wrote it.
pub type WrittenFn = Box<dyn Fn(&[u8]) + Send>;

/// Keys of items.
pub mod keys {
    /// `QEMU`.
    pub const SIGNATURE: u16 = 0;
    /// Interface version bits.
    pub const ID: u16 = 1;
    /// Number of processors.
    pub const NB_CPUS: u16 = 5;
    /// Size of the kernel, 32 bits.
    pub const KERNEL_SIZE: u16 = 8;
    /// Size of the initial ramdisk, 32 bits.
    pub const INITRD_SIZE: u16 = 0x0b;
    /// Most processors that the machine can have.
    pub const MAX_CPUS: u16 = 0x0f;
    /// The kernel.
    pub const KERNEL_DATA: u16 = 0x11;
    /// The initial ramdisk.
    pub const INITRD_DATA: u16 = 0x12;
    /// Size of the command line with its NUL, 32 bits.
    pub const CMDLINE_SIZE: u16 = 0x14;
    /// The command line, with a NUL.
    pub const CMDLINE_DATA: u16 = 0x15;
    /// The directory of files.
    pub const FILE_DIR: u16 = 0x19;
    /// First file.
    pub const FILE_FIRST: u16 = 0x20;
    /// Number of keys for files.
    pub const FILE_SLOTS: u16 = 0x3fd0;
}

/// Traditional interface and DMA.
const ID_BITS: u32 = 0b11;
const NAME_BYTES: usize = 56;

/// A file cannot be added.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FileError {
    /// The name does not fit.
    #[error("the firmware configuration file name \"{0}\" is not 1 to 55 bytes of ASCII")]
    Name(String),
    /// The contents do not fit.
    #[error("the firmware configuration file \"{0}\" is larger than 4 GiB")]
    Size(String),
    /// No key is free.
    #[error("there is no room for the firmware configuration file \"{0}\"")]
    Full(String),
}

#[derive(Default)]
struct Item {
    bytes: Vec<u8>,
    written: Option<WrittenFn>,
}

pub(super) struct Items {
    items: BTreeMap<u16, Item>,
    /// Key of each file by name.
    files: BTreeMap<String, u16>,
}

impl Items {
    pub(super) fn new(harts: u32) -> Items {
        let mut items = Items { items: BTreeMap::new(), files: BTreeMap::new() };
        items.set(keys::SIGNATURE, b"QEMU".to_vec());
        items.set(keys::ID, ID_BITS.to_le_bytes().to_vec());
        items.set(keys::NB_CPUS, (harts as u16).to_le_bytes().to_vec());
        items.set(keys::MAX_CPUS, (harts as u16).to_le_bytes().to_vec());
        items.write_directory();
        items
    }

    pub(super) fn set(&mut self, key: u16, bytes: Vec<u8>) {
        self.items.entry(key).or_default().bytes = bytes;
    }

    pub(super) fn set_file(
        &mut self,
        name: &str,
        bytes: Vec<u8>,
        written: Option<WrittenFn>,
    ) -> Result<(), FileError> {
        if name.is_empty() || name.len() >= NAME_BYTES || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(FileError::Name(name.to_owned()));
        }
        if u32::try_from(bytes.len()).is_err() {
            return Err(FileError::Size(name.to_owned()));
        }
        let key = match self.files.get(name) {
            Some(key) => *key,
            None => self.free_key().ok_or_else(|| FileError::Full(name.to_owned()))?,
        };
        self.items.insert(key, Item { bytes, written });
        self.files.insert(name.to_owned(), key);
        self.write_directory();
        Ok(())
    }

    fn free_key(&self) -> Option<u16> {
        let n = u16::try_from(self.files.len()).ok().filter(|n| *n < keys::FILE_SLOTS)?;
        Some(keys::FILE_FIRST + n)
    }

    /// Count, then for each file in order of name: size, key, two reserved bytes, name. Big endian.
    fn write_directory(&mut self) {
        let mut dir = (self.files.len() as u32).to_be_bytes().to_vec();
        for (name, key) in &self.files {
            let size = self.items.get(key).map_or(0, |i| i.bytes.len() as u32);
            dir.extend(size.to_be_bytes());
            dir.extend(key.to_be_bytes());
            dir.extend([0; 2]);
            dir.extend(name.as_bytes());
            dir.resize(dir.len() + NAME_BYTES - name.len(), 0);
        }
        self.set(keys::FILE_DIR, dir);
    }

    pub(super) fn bytes(&self, key: u16) -> &[u8] {
        self.items.get(&key).map_or(&[], |i| &i.bytes)
    }

    /// The bytes of a file that may be written.
    pub(super) fn writable(&mut self, key: u16) -> Option<&mut [u8]> {
        self.items.get_mut(&key).filter(|i| i.written.is_some()).map(|i| i.bytes.as_mut_slice())
    }

    /// Tells who listens that a file was written.
    pub(super) fn tell(&self, key: u16) {
        if let Some(Item { bytes, written: Some(f) }) = self.items.get(&key) {
            f(bytes);
        }
    }

    /// Contents of all writable files.
    pub(super) fn written(&self) -> Vec<(u16, Vec<u8>)> {
        let writable = self.items.iter().filter(|(_, i)| i.written.is_some());
        writable.map(|(key, i)| (*key, i.bytes.clone())).collect()
    }

    /// Takes them back; false if one is unknown or has another size.
    pub(super) fn restore_written(&mut self, written: &[(u16, Vec<u8>)]) -> bool {
        for (key, bytes) in written {
            match self.writable(*key) {
                Some(slot) if slot.len() == bytes.len() => slot.copy_from_slice(bytes),
                _ => return false,
            }
            self.tell(*key);
        }
        true
    }
}
