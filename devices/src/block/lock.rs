//! One writer per image: an advisory lock on the whole file, and who holds it when we cannot have it.

use super::error::OpenError;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Locks `file` for as long as it is open: alone if we write, shared if we only read.
pub(super) fn lock(file: &File, path: &Path, exclusive: bool) -> Result<(), OpenError> {
    let op = match exclusive {
        true => FlockOperation::NonBlockingLockExclusive,
        false => FlockOperation::NonBlockingLockShared,
    };
    match flock(file, op) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(OpenError::Busy { path: path.into(), holder: holder_of(file) })
        }
        // File systems without locks (some network mounts): better an unlocked disk than none.
        Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::NOSYS | rustix::io::Errno::NOLCK) => {
            tracing::warn!(path = %path.display(), "the file system has no locks; nothing keeps a second writer away");
            Ok(())
        }
        Err(e) => Err(OpenError::File { path: path.into(), source: e.into() }),
    }
}

/// Finds the holder of a lock on `file` in the kernel's list of locks (proc_locks(5)).
fn holder_of(file: &File) -> String {
    let unknown = || "another program".to_string();
    let (Ok(meta), Ok(locks)) = (file.metadata(), std::fs::read_to_string("/proc/locks")) else {
        return unknown();
    };
    let Some(pid) = find_holder(&locks, meta.ino()) else { return unknown() };
    if pid == std::process::id() {
        return "another machine of this program".into();
    }
    match std::fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("{} (process {pid})", name.trim()),
        Err(_) => format!("process {pid}"),
    }
}

/// The process in the first line about `inode`: fields are number, kind, mode, access, pid, major:minor:inode.
fn find_holder(locks: &str, inode: u64) -> Option<u32> {
    let wanted = inode.to_string();
    locks.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().filter(|f| *f != "->").collect();
        let id = fields.get(5)?.rsplit(':').next()?;
        (id == wanted).then(|| fields.get(4)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::find_holder;

    #[test]
    fn holder_is_read_from_the_list() {
        let list =
            "1: POSIX  ADVISORY  WRITE 11 08:01:77 0 EOF\n2: FLOCK  ADVISORY  WRITE 42 08:01:1234 0 EOF\n";
        assert_eq!(find_holder(list, 1234), Some(42));
        assert_eq!(find_holder(list, 5), None);
        assert_eq!(find_holder("nonsense\n3: FLOCK", 5), None);
    }
}
