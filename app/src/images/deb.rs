//! The files in a Debian package.

use super::tree::Node;
use crate::machine::api::UserError;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

/// Largest file that is taken out of a package.
const FILE_MAX: u64 = 1 << 30;

/// Goes through a package's files in order. `wanted` gets each path (without a leading `/`); for those that it wants, `take` gets
/// the file.
pub fn each(
    deb: &Path,
    wanted: &mut dyn FnMut(&str) -> bool,
    take: &mut dyn FnMut(String, Node),
) -> Result<(), UserError> {
    let place = deb.display().to_string();
    let broken = |e: &dyn std::fmt::Display| {
        UserError::new(format!("The package cannot be read: {e}"), &place, "Delete the file, then try again.")
    };
    let mut child = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(deb)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| broken(&e))?;
    let read = match child.stdout.take() {
        Some(out) => read(out, wanted, take).map_err(|e| broken(&e)),
        None => Err(broken(&"dpkg-deb has no output")),
    };
    let status = child.wait().map_err(|e| broken(&e))?;
    read?;
    if status.success() { Ok(()) } else { Err(broken(&"dpkg-deb failed")) }
}

fn read(
    out: impl Read,
    wanted: &mut dyn FnMut(&str) -> bool,
    take: &mut dyn FnMut(String, Node),
) -> std::io::Result<()> {
    let mut archive = tar::Archive::new(out);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let Some(path) = plain(&path) else { continue };
        if path.is_empty() || !wanted(&path) {
            continue;
        }
        let header = entry.header().clone();
        let (mode, mtime) = (header.mode()? & 0o7777, header.mtime()?);
        let link = || -> std::io::Result<String> {
            Ok(entry.link_name()?.unwrap_or_default().to_string_lossy().into_owned())
        };
        let node = match header.entry_type() {
            tar::EntryType::Directory => Node::directory(mode, mtime),
            tar::EntryType::Symlink => Node::symlink(link()?, mtime),
            tar::EntryType::Link => match plain(&link()?) {
                Some(target) => Node::hard_link(target),
                None => continue,
            },
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let mut bytes = Vec::new();
                entry.by_ref().take(FILE_MAX).read_to_end(&mut bytes)?;
                Node::file(bytes, mode, mtime)
            }
            _ => continue,
        };
        take(path, node);
    }
    Ok(())
}

/// The path without leading `./` and trailing `/`; none if it leaves the root.
fn plain(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    if parts.contains(&"..") { None } else { Some(parts.join("/")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_plain() {
        assert_eq!(plain("./usr/bin/").as_deref(), Some("usr/bin"));
        assert_eq!(plain("./").as_deref(), Some(""));
        assert_eq!(plain("/etc/./x").as_deref(), Some("etc/x"));
        assert_eq!(plain("a/../b"), None);
    }

    #[test]
    fn files_links_and_folders_come_out() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        header.set_mode(0o755);
        header.set_mtime(7);
        builder.append_data(&mut header.clone(), "./usr/bin/x", &b"abc"[..]).expect("in memory");
        header.set_size(0);
        header.set_entry_type(tar::EntryType::Symlink);
        builder.append_link(&mut header, "./usr/bin/y", "x").expect("in memory");
        let bytes = builder.into_inner().expect("in memory");
        let mut got = Vec::new();
        read(&bytes[..], &mut |_| true, &mut |p, n| got.push((p, n))).expect("readable");
        assert_eq!(got[0], ("usr/bin/x".to_owned(), Node::file(b"abc".to_vec(), 0o755, 7)));
        assert_eq!(got[1], ("usr/bin/y".to_owned(), Node::symlink("x".to_owned(), 7)));
        assert!(read(&b"garbage that is no archive at all"[..], &mut |_| true, &mut |_, _| ()).is_err());
    }
}
