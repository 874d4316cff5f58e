//! A file system in memory, put together from packages and files of our own, then written as an initial RAM disk.

use std::collections::BTreeMap;

/// One file, folder or link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Permission bits.
    pub mode: u32,
    /// Unix time.
    pub mtime: u64,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A folder.
    Directory,
    /// A file with its contents.
    File(Vec<u8>),
    /// A symbolic link.
    Symlink(String),
    /// Another name of a file that came before.
    HardLink(String),
}

/// The time of files that are ours, so that the same recipe gives the same bytes.
const OWN_TIME: u64 = 1_735_689_600;

impl Node {
    /// A folder.
    pub fn directory(mode: u32, mtime: u64) -> Node {
        Node { mode, mtime, kind: Kind::Directory }
    }

    /// A file.
    pub fn file(bytes: Vec<u8>, mode: u32, mtime: u64) -> Node {
        Node { mode, mtime, kind: Kind::File(bytes) }
    }

    /// A symbolic link.
    pub fn symlink(target: String, mtime: u64) -> Node {
        Node { mode: 0o777, mtime, kind: Kind::Symlink(target) }
    }

    /// Another name of a file.
    pub fn hard_link(target: String) -> Node {
        Node { mode: 0, mtime: 0, kind: Kind::HardLink(target) }
    }
}

/// A file system; paths have no leading `/`.
#[derive(Default, Debug)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

/// Folders of the root that are links into `/usr`.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

impl Tree {
    /// Adds a package's file. Files in `/bin` and its like go to `/usr/bin` and so on; those are links.
    pub fn add(&mut self, path: &str, node: Node) {
        let path = merged(path);
        let node = match node.kind {
            Kind::HardLink(target) => match self.nodes.get(&merged(&target)) {
                Some(original) => original.clone(),
                None => return,
            },
            _ => node,
        };
        if MERGED.contains(&path.as_str()) && node.kind == Kind::Directory {
            return self.parents(&format!("usr/{path}/x"));
        }
        self.parents(&path);
        self.nodes.insert(path, node);
    }

    /// Links `/bin` and its like into `/usr`.
    pub fn merge_usr(&mut self) {
        for name in MERGED {
            self.folder(&format!("usr/{name}"), 0o755);
            self.link(name, &format!("usr/{name}"));
        }
    }

    /// Adds a folder of ours.
    pub fn folder(&mut self, path: &str, mode: u32) {
        self.parents(path);
        self.nodes.entry(path.to_owned()).or_insert_with(|| Node::directory(mode, OWN_TIME)).mode = mode;
    }

    /// Adds a file of ours.
    pub fn file(&mut self, path: &str, bytes: &[u8], mode: u32) {
        self.parents(path);
        self.nodes.insert(path.to_owned(), Node::file(bytes.to_vec(), mode, OWN_TIME));
    }

    /// Adds a link of ours.
    pub fn link(&mut self, path: &str, target: &str) {
        self.parents(path);
        self.nodes.insert(path.to_owned(), Node::symlink(target.to_owned(), OWN_TIME));
    }

    /// A file's contents.
    pub fn contents(&self, path: &str) -> Option<&[u8]> {
        match &self.nodes.get(path)?.kind {
            Kind::File(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// All paths and nodes; a folder comes before what is in it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(p, n)| (p.as_str(), n))
    }

    fn parents(&mut self, path: &str) {
        let ends: Vec<usize> = path.match_indices('/').map(|(i, _)| i).collect();
        for end in ends {
            let parent = path[..end].to_owned();
            self.nodes.entry(parent).or_insert_with(|| Node::directory(0o755, OWN_TIME));
        }
    }
}

fn merged(path: &str) -> String {
    match path.split_once('/') {
        Some((first, _)) if MERGED.contains(&first) => format!("usr/{path}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_merge_into_usr_and_parents_exist() {
        let mut tree = Tree::default();
        tree.add("bin", Node::directory(0o755, 1));
        tree.add("bin/busybox", Node::file(b"b".to_vec(), 0o755, 1));
        tree.add("usr/bin/again", Node::hard_link("bin/busybox".to_owned()));
        tree.add("usr/bin/never", Node::hard_link("nothing".to_owned()));
        tree.merge_usr();
        assert_eq!(tree.contents("usr/bin/busybox"), Some(&b"b"[..]));
        assert_eq!(tree.contents("usr/bin/again"), Some(&b"b"[..]));
        assert_eq!(tree.contents("usr/bin/never"), None);
        let paths: Vec<&str> = tree.iter().map(|(p, _)| p).collect();
        assert!(paths.iter().position(|p| *p == "usr") < paths.iter().position(|p| *p == "usr/bin"));
        assert!(matches!(tree.nodes["bin"].kind, Kind::Symlink(_)));
    }
}
