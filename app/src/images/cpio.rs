//! Initial RAM disks: the "new ASCII" cpio format (`newc`), as the kernel's Documentation/driver-api/early-userspace/buffer-format.rst
//! describes it.

use super::tree::{Kind, Node, Tree};

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
/// The archive's name for its own end.
const TRAILER: &str = "TRAILER!!!";
/// Archives are padded to this.
const BLOCK: usize = 512;

/// The archive of a file system; everything belongs to root.
pub fn write(tree: &Tree) -> Vec<u8> {
    let mut out = Vec::new();
    let root = Node::directory(0o755, 0);
    entry(&mut out, 1, ".", &root);
    for (number, (path, node)) in (2..).zip(tree.iter()) {
        entry(&mut out, number, path, node);
    }
    header(&mut out, TRAILER, [0, 0, 1, 0, 0]);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
    out
}

fn entry(out: &mut Vec<u8>, number: u32, path: &str, node: &Node) {
    let (kind, links, data): (u32, u32, &[u8]) = match &node.kind {
        Kind::Directory => (DIRECTORY, 2, &[]),
        Kind::File(bytes) => (FILE, 1, bytes),
        // A tree holds no unresolved hard links; see Tree::add.
        Kind::Symlink(target) | Kind::HardLink(target) => (SYMLINK, 1, target.as_bytes()),
    };
    let mtime = u32::try_from(node.mtime).unwrap_or(u32::MAX);
    // Files are limited to 1 GiB when they are read from packages.
    let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
    header(out, path, [number, kind | node.mode, links, mtime, size]);
    out.extend_from_slice(data);
    pad(out);
}

fn header(out: &mut Vec<u8>, path: &str, [ino, mode, links, mtime, size]: [u32; 5]) {
    let name_size = u32::try_from(path.len() + 1).unwrap_or(u32::MAX);
    // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    let fields = [ino, mode, 0, 0, links, mtime, size, 0, 0, 0, 0, name_size, 0];
    out.extend_from_slice(b"070701");
    for field in fields {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    pad(out);
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn sample() -> Tree {
        let mut tree = Tree::default();
        tree.file("etc/name", b"hello", 0o600);
        tree.link("sh", "bin/busybox");
        tree.folder("tmp", 0o1777);
        tree
    }

    #[test]
    fn an_archive_has_the_documented_form() {
        let bytes = write(&sample());
        assert_eq!(bytes.len() % 512, 0);
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches("070701").count(), 6);
        let at = text.find("etc/name").expect("the file");
        assert_eq!(&text[at - 110..at - 88], "0707010000000300008180");
        assert_eq!(at % 4, 2, "110 bytes of header after a multiple of 4");
        assert_eq!(&text[at + 10..at + 15], "hello");
    }

    /// The format's own program reads what we write, where it is installed (apt-get is what the tests need anyway, cpio is not).
    #[test]
    fn cpio_itself_lists_it() {
        let Ok(mut cpio) = Command::new("cpio")
            .args(["-itv", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
        else {
            return;
        };
        cpio.stdin.take().expect("a pipe").write_all(&write(&sample())).expect("written");
        let out = cpio.wait_with_output().expect("it ends");
        let list = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success());
        assert!(list.contains("-rw-------") && list.contains("sh -> bin/busybox"), "{list}");
        assert!(list.contains("drwxrwxrwt"), "{list}");
    }
}
