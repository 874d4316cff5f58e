//! Which guests there are.

use crate::machine::api::UserError;

/// One file of a guest.
#[derive(Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// Its name in the guest's folder.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
}

/// How a guest is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recipe {
    Debian,
    Disk,
    Installer,
    Firmware,
}

/// A guest.
#[derive(Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name.
    pub name: &'static str,
    /// What it is good for.
    pub about: &'static str,
    /// Its files.
    pub files: &'static [ImageFile],
    pub(super) recipe: Recipe,
}

const fn file(name: &'static str, about: &'static str) -> ImageFile {
    ImageFile { name, about }
}

static CATALOG: [Image; 4] = [
    Image {
        name: "debian-riscv64",
        about: "Debian's kernel with a small system and one with workloads",
        files: &[
            file("Image", "the kernel, as packed"),
            file("mini.cpio", "busybox and an init"),
            file("work.cpio", "the same with openssl, zstd, xz and python"),
        ],
        recipe: Recipe::Debian,
    },
    Image {
        name: "installer-riscv64",
        about: "Debian's installer from the network",
        files: &[file("linux", "the installer's kernel"), file("initrd.gz", "the installer")],
        recipe: Recipe::Installer,
    },
    Image {
        name: "firmware-riscv64",
        about: "OpenSBI and U-Boot",
        files: &[
            file("fw_dynamic.bin", "OpenSBI, told where to go on"),
            file("fw_dynamic.elf", "the same as ELF"),
            file("fw_jump.bin", "OpenSBI, goes on at a fixed address"),
            file("fw_jump.elf", "the same as ELF"),
            file("u-boot.bin", "U-Boot for S-mode, after OpenSBI"),
            file("u-boot.elf", "the same as ELF"),
        ],
        recipe: Recipe::Firmware,
    },
    Image {
        name: "disk-riscv64",
        about: "Debian's kernel with modules and tools for disks and networks",
        files: &[
            file("Image", "the kernel, as packed"),
            file("disk.cpio", "busybox, e2fsprogs, modules for virtio and ext4, and an init"),
        ],
        recipe: Recipe::Disk,
    },
];

/// All guests.
pub fn catalog() -> &'static [Image] {
    &CATALOG
}

/// The guest of this name.
pub fn find(name: &str) -> Result<&'static Image, UserError> {
    CATALOG.iter().find(|i| i.name == name).ok_or_else(|| {
        let names: Vec<&str> = CATALOG.iter().map(|i| i.name).collect();
        let near = names.iter().find(|n| n.split('-').next().is_some_and(|first| name.starts_with(first)));
        let next = match near {
            Some(near) => format!("Did you mean {near}?"),
            None => format!("There are: {}.", names.join(", ")),
        };
        UserError::new("There is no such guest", name, next)
    })
}
