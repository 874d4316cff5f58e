//! What can be wrong with the files that a machine boots from, said so that one knows what to do.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// The part that a file plays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// `-kernel`.
    Kernel,
    /// `-initrd`.
    Initrd,
    /// `-bios`.
    Firmware,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Role::Kernel => "kernel",
            Role::Initrd => "initial ramdisk",
            Role::Firmware => "firmware",
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Role::Kernel => {
                "an uncompressed or compressed RISC-V Linux Image, an EFI zboot image, a RISC-V ELF or a flat binary"
            }
            Role::Initrd => "a cpio archive, compressed or not",
            Role::Firmware => "a RISC-V 64 ELF or a flat binary, such as OpenSBI's fw_dynamic.bin",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// A machine cannot boot.
#[derive(Debug, Error)]
pub enum BootError {
    /// The file cannot be opened.
    #[error("cannot open the {role} {path}: {source}; check the path and its permissions", path = .path.display())]
    Open {
        /// Its part.
        role: Role,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory, socket or the like.
    #[error("the {role} {path} is {is}, not a file; give {wanted}", path = .path.display(), wanted = .role.wanted())]
    NotAFile {
        /// Its part.
        role: Role,
        /// Which path.
        path: PathBuf,
        /// What it is.
        is: &'static str,
    },
    /// No bytes.
    #[error("the {role} {path} is empty; was its download or build cut short?", path = .path.display())]
    Empty {
        /// Its part.
        role: Role,
        /// Which file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the {role} {path}: {source}", path = .path.display())]
    Read {
        /// Its part.
        role: Role,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another kind of file, or for another machine.
    #[error("the {role} {path} is {is}; this machine needs {wanted}", path = .path.display(), wanted = .role.wanted())]
    Foreign {
        /// Its part.
        role: Role,
        /// Which file.
        path: PathBuf,
        /// What it is.
        is: String,
    },
    /// The right kind of file, but damaged.
    #[error("the {role} {path} is damaged: {why}; get it again", path = .path.display())]
    Damaged {
        /// Its part.
        role: Role,
        /// Which file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// Does not fit into RAM.
    #[error("the {role} {path} needs {need} bytes at {at:#x}, and the machine has memory for {room} there; give the machine more memory", path = .path.display())]
    TooLarge {
        /// Its part.
        role: Role,
        /// Which file.
        path: PathBuf,
        /// Bytes that it takes.
        need: u64,
        /// Where.
        at: u64,
        /// Bytes that are there.
        room: u64,
    },
    /// An ELF segment lies outside RAM.
    #[error("the {role} {path} wants to be at {start:#x} to {end:#x}, but memory is {ram_start:#x} to {ram_end:#x}; link it for this machine, give more memory, or (for Linux) use the file named Image", path = .path.display())]
    Segment {
        /// Its part.
        role: Role,
        /// Which file.
        path: PathBuf,
        /// First address of the segment.
        start: u64,
        /// End of the segment.
        end: u64,
        /// First address of RAM.
        ram_start: u64,
        /// End of RAM.
        ram_end: u64,
    },
    /// Two things that are to be loaded overlap.
    #[error("{a} and {b} would overlap in memory at {at:#x}; give the machine more memory, or other files")]
    Overlap {
        /// One.
        a: String,
        /// The other.
        b: String,
        /// Where.
        at: u64,
    },
    /// An initial ramdisk without a kernel.
    #[error("an initial ramdisk needs a kernel: give -kernel too, or leave -initrd out")]
    InitrdAlone,
    /// Nothing was given.
    #[error("there is nothing to boot: give a kernel (-kernel FILE), firmware (-bios FILE) or a flash image")]
    Nothing,
    /// The device tree could not be written.
    #[error(transparent)]
    Board(#[from] crate::board::BoardError),
    /// A file changed after it was looked at, or RAM is not where the plan thinks it is.
    #[error("cannot load {what} at {at:#x}: {why}")]
    Load {
        /// What.
        what: String,
        /// Where.
        at: u64,
        /// Why.
        why: String,
    },
    /// Not a file that firmware in flash can be given.
    #[error("the firmware configuration device is missing")]
    NoFwCfg,
}
