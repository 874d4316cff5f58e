//! Kernel modules: which ones a module needs, in an order in which they can be loaded.
//!
//! Debian's kernel packages bring no `modules.dep` (it is made at installation), but every module says in its `.modinfo`
//! section on what it depends.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// Largest module after unpacking.
const MODULE_MAX: u64 = 64 << 20;

/// The modules of a kernel, unpacked, by name.
#[derive(Default)]
pub struct Modules {
    by_name: BTreeMap<String, Vec<u8>>,
}

/// The name of the module in this file (`kernel/fs/ext4/ext4.ko.xz`), or none if it is no module.
pub fn name_of(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let name = file.strip_suffix(".ko.xz").or_else(|| file.strip_suffix(".ko"))?;
    Some(name.replace('-', "_"))
}

impl Modules {
    /// Adds a module's file, which may be packed by xz.
    pub fn add(&mut self, path: &str, bytes: Vec<u8>) -> std::io::Result<()> {
        let Some(name) = name_of(path) else { return Ok(()) };
        let plain = if path.ends_with(".xz") {
            let mut plain = Vec::new();
            liblzma::read::XzDecoder::new(&bytes[..]).take(MODULE_MAX).read_to_end(&mut plain)?;
            plain
        } else {
            bytes
        };
        self.by_name.insert(name, plain);
        Ok(())
    }

    /// The module's contents.
    pub fn contents(&self, name: &str) -> Option<&[u8]> {
        self.by_name.get(name).map(Vec::as_slice)
    }

    /// The wanted modules and all that they need, each after those that it needs. What is not there is left out: it is built in.
    pub fn in_order(&self, wanted: &[&str]) -> Vec<String> {
        let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
        for name in wanted {
            self.visit(name, &mut order, &mut seen);
        }
        order
    }

    fn visit(&self, name: &str, order: &mut Vec<String>, seen: &mut BTreeSet<String>) {
        let Some(bytes) = self.by_name.get(name) else { return };
        // Noted before its needs are visited: a circle ends here.
        if !seen.insert(name.to_owned()) {
            return;
        }
        for need in needs(bytes) {
            self.visit(&need, order, seen);
        }
        order.push(name.to_owned());
    }
}

/// `depends=a,b` and `softdep=pre: c` of the module's information.
fn needs(module: &[u8]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for entry in module.split(|b| *b == 0) {
        let Ok(text) = std::str::from_utf8(entry) else { continue };
        if let Some(list) = text.strip_prefix("depends=") {
            found.extend(list.split(',').filter(|n| !n.is_empty()).map(|n| n.replace('-', "_")));
        } else if let Some(soft) = text.strip_prefix("softdep=pre:") {
            let names = soft.split_whitespace().take_while(|w| !w.ends_with(':'));
            found.extend(names.map(|n| n.replace('-', "_")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_come_after_what_they_need() {
        let mut modules = Modules::default();
        let mut add = |name: &str, info: &str| modules.add(name, info.as_bytes().to_vec()).expect("plain");
        add("kernel/fs/ext4/ext4.ko", "x\0depends=mbcache,jbd2,crc16\0softdep=pre: crc32c post: y\0");
        add("kernel/fs/jbd2/jbd2.ko", "\0depends=\0");
        add("kernel/fs/mbcache.ko", "\0depends=virtio-blk\0");
        add("kernel/crypto/crc32c.ko", "\0depends=ext4\0");
        add("kernel/drivers/virtio-blk.ko", "\0depends=\0");
        let order = modules.in_order(&["ext4", "ext4", "absent"]);
        assert_eq!(order, ["virtio_blk", "mbcache", "jbd2", "crc32c", "ext4"]);
    }

    #[test]
    fn names_are_of_modules_only() {
        assert_eq!(name_of("a/virtio-rng.ko.xz").as_deref(), Some("virtio_rng"));
        assert_eq!(name_of("a/b.ko").as_deref(), Some("b"));
        assert_eq!(name_of("a/modules.order"), None);
        assert!(Modules::default().add("a/b.ko.xz", b"no xz".to_vec()).is_err());
    }
}
