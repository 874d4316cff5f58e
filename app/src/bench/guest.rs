//! What an emulator is given to run, and the words by which it is told.

use std::ffi::OsString;
use std::path::PathBuf;

/// A guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Guest {
    /// An ELF file that starts in M-mode, with commands if it takes any.
    Bare {
        /// The file.
        elf: PathBuf,
        /// Its commands.
        append: String,
        /// How many harts run it.
        harts: u32,
    },
    /// Linux on a 1 GiB machine.
    Linux {
        /// A kernel `Image`.
        kernel: PathBuf,
        /// The initial RAM disk.
        initrd: PathBuf,
        /// The kernel's command line.
        append: String,
    },
}

impl Guest {
    /// The guest in QEMU's words, which are ours too.
    pub fn words(&self) -> Vec<OsString> {
        let board: &[&str] = match self {
            Guest::Bare { .. } => &["-M", "virt", "-m", "64M", "-nographic", "-bios", "none"],
            Guest::Linux { .. } => &["-M", "virt", "-m", "1G", "-nographic", "-no-reboot"],
        };
        let mut args: Vec<OsString> = board.iter().map(OsString::from).collect();
        let (kernel, initrd, append) = match self {
            Guest::Bare { elf, append, .. } => (elf, None, append),
            Guest::Linux { kernel, initrd, append } => (kernel, Some(initrd), append),
        };
        if let Guest::Bare { harts: harts @ 2.., .. } = self {
            args.extend(["-smp".into(), harts.to_string().into()]);
        }
        args.extend(["-kernel".into(), kernel.into()]);
        if let Some(initrd) = initrd {
            args.extend(["-initrd".into(), initrd.into()]);
        }
        if !append.is_empty() {
            args.extend(["-append".into(), append.into()]);
        }
        args
    }

    /// What stands for a place-holder of a template; `None` if this guest has no such thing.
    pub fn value(&self, name: &str) -> Option<OsString> {
        match (self, name) {
            (Guest::Bare { elf, .. }, "elf") => Some(elf.into()),
            (Guest::Linux { kernel, .. }, "kernel") => Some(kernel.into()),
            (Guest::Linux { initrd, .. }, "initrd") => Some(initrd.into()),
            (Guest::Bare { append, .. } | Guest::Linux { append, .. }, "append") => Some(append.into()),
            _ => None,
        }
    }
}
