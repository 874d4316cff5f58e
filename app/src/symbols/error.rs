//! Why a file of symbols cannot be used.

use std::path::PathBuf;
use thiserror::Error;

/// A file of symbols cannot be used.
#[derive(Debug, Error)]
pub enum SymbolError {
    /// The host refuses.
    #[error("{} cannot be read: {source}; check the name and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder, a device, a pipe.
    #[error("{} is not a file; name an ELF file or a System.map", .0.display())]
    NotAFile(PathBuf),
    /// Beyond a limit.
    #[error("{what} is larger than {mib} MiB; take a smaller file, such as the kernel's System.map")]
    TooLarge {
        /// What is.
        what: &'static str,
        /// The limit.
        mib: u64,
    },
    /// More symbols than a table holds.
    #[error("it holds more than {0} symbols; take a file of fewer, such as the kernel's System.map")]
    TooMany(usize),
    /// Something in the file contradicts something else.
    #[error("the ELF file is damaged ({0}); copy or build it again")]
    Damaged(&'static str),
    /// Neither format.
    #[error("this is neither an ELF file nor a System.map; name one of these")]
    Unknown,
    /// For other processors.
    #[error(
        "this ELF file is for {found}, the guest is RISC-V of 64 bits; name a file for the guest's processor"
    )]
    OtherIsa {
        /// For which.
        found: String,
    },
    /// Not linked.
    #[error(
        "this is an object file whose addresses are not decided yet (a module, say); name the linked program or kernel"
    )]
    Unlinked,
    /// No symbols.
    #[error(
        "the ELF file holds no symbols, it was stripped; name the unstripped one, or one with its debug symbols"
    )]
    Stripped,
    /// A line of a System.map.
    #[error("line {line} is not of the form \"address letter name\"; name a System.map or the output of nm")]
    Line {
        /// Its number, from 1.
        line: usize,
    },
    /// A list with zeroes for addresses.
    #[error(
        "all addresses are 0: the kernel hid them; read /proc/kallsyms as root with /proc/sys/kernel/kptr_restrict at 0 or 1"
    )]
    Hidden,
    /// The set is full.
    #[error("{0} sources of symbols are in use, which is the most; remove one first")]
    TooManySources(usize),
}
