//! How each guest is put together from packages.

use super::apt::{Apt, Package, RELEASE};
use super::catalog::{Image, Recipe};
use super::manifest::Manifest;
use super::modules::{self, Modules};
use super::place::file_error;
use super::progress::Progress;
use super::tree::{Kind, Node, Tree};
use super::{cpio, deb};
use crate::machine::api::UserError;
use std::fs;
use std::path::{Path, PathBuf};

const ARCH: &str = "riscv64";
const BUSYBOX: &str = "busybox-static";
/// What the workloads need.
const WORK: [&str; 6] = ["libc6", "libc-bin", "openssl", "zstd", "xz-utils", "python3-minimal"];
/// What the disk guest needs.
const DISK: [&str; 2] = ["libc6", "e2fsprogs"];
/// Modules of the disk guest, with all that they need.
const MODULES: [&str; 8] = [
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_net",
    "virtio_rng",
    "virtio_console",
    "crc32c_generic",
    "ext4",
];
const INSTALLER: &str = "debian-installer-13-netboot-riscv64";
const FIRMWARE: [&str; 2] = ["opensbi", "u-boot-qemu"];

const INIT: &[u8] = include_bytes!("scripts/init.sh");
/// The workloads: each is a script in `/wl`.
const SMALL_JOBS: [(&str, &[u8]); 2] =
    [("dmesg", include_bytes!("scripts/dmesg.sh")), ("probe", include_bytes!("scripts/probe.sh"))];
const JOBS: [(&str, &[u8]); 6] = [
    ("exec", include_bytes!("scripts/exec.sh")),
    ("ossl_sha256", include_bytes!("scripts/ossl_sha256.sh")),
    ("ossl_aes", include_bytes!("scripts/ossl_aes.sh")),
    ("zstd", include_bytes!("scripts/zstd.sh")),
    ("xz", include_bytes!("scripts/xz.sh")),
    ("python", include_bytes!("scripts/python.sh")),
];
const DISK_JOBS: [(&str, &[u8]); 6] = [
    ("mkroot", include_bytes!("scripts/mkroot.sh")),
    ("inroot", include_bytes!("scripts/inroot.sh")),
    ("check", include_bytes!("scripts/check.sh")),
    ("net", include_bytes!("scripts/net.sh")),
    ("connect", include_bytes!("scripts/connect.sh")),
    ("listen", include_bytes!("scripts/listen.sh")),
];
const UDHCPC: &[u8] = include_bytes!("scripts/udhcpc.sh");

/// A number for the scripts that go into a guest (FNV-1a), for noticing that they have changed.
pub fn fingerprint(recipe: Recipe) -> String {
    let of_all = [INIT, UDHCPC].into_iter();
    let jobs = SMALL_JOBS.iter().chain(&JOBS).chain(&DISK_JOBS).map(|(_, text)| *text);
    let scripts: Vec<&[u8]> = match recipe {
        Recipe::Debian | Recipe::Disk => of_all.chain(jobs).collect(),
        Recipe::Installer | Recipe::Firmware => Vec::new(),
    };
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", scripts.into_iter().flatten().fold(0xcbf2_9ce4_8422_2325, mix))
}

/// Builds a guest: packages first, then its files in a folder beside, which then takes the place of `dir`.
pub fn build(image: &Image, dir: &Path, cache: &Path, progress: &mut dyn Progress) -> Result<(), UserError> {
    let apt = Apt::prepare(cache, ARCH)?;
    apt.update(progress)?;
    let packages = packages(image.recipe, &apt)?;
    apt.download(&packages, progress)?;
    let what = format!("Building {}", image.name);
    progress.step(&what, 0, 0);
    let partial = beside(dir);
    let failed = |e: std::io::Error| file_error("The guest's folder cannot be made", &partial, &e);
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).map_err(failed)?;
    let made = Kitchen { archives: apt.archives(), packages: &packages, out: &partial }.make(image.recipe);
    let finished = made.and_then(|()| {
        let names = packages.iter().map(|p| p.file.trim_end_matches(".deb").to_owned()).collect();
        Manifest::of(image, &partial, RELEASE, names)?.write(&partial)?;
        replace(&partial, dir)
    });
    if finished.is_err() {
        // What is half made is of no use; the packages stay for the next time.
        let _ = fs::remove_dir_all(&partial);
    }
    finished?;
    progress.end(&what);
    Ok(())
}

fn packages(recipe: Recipe, apt: &Apt) -> Result<Vec<Package>, UserError> {
    let with_kernel = |names: &[&str]| -> Result<Vec<Package>, UserError> {
        let mut found = apt.single(&[&apt.kernel()?, BUSYBOX])?;
        found.extend(apt.closure(names)?);
        Ok(found)
    };
    match recipe {
        Recipe::Debian => with_kernel(&WORK),
        Recipe::Disk => with_kernel(&DISK),
        Recipe::Installer => apt.single(&[INSTALLER]),
        Recipe::Firmware => apt.single(&FIRMWARE),
    }
}

fn beside(dir: &Path) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    dir.with_file_name(format!(".{name}.partial"))
}

/// Moves the new files over the old ones. The folder itself stays, for it may hold files of the user's; the manifest comes last.
fn replace(from: &Path, to: &Path) -> Result<(), UserError> {
    let failed = |e: std::io::Error| file_error("The guest's folder cannot be written", to, &e);
    fs::create_dir_all(to).map_err(failed)?;
    let manifest = |name: &std::ffi::OsStr| name.to_string_lossy().ends_with(".toml");
    let mut names: Vec<_> = fs::read_dir(from)
        .and_then(|entries| entries.map(|e| Ok(e?.file_name())).collect::<Result<Vec<_>, _>>())
        .map_err(failed)?;
    names.sort_by_key(|n| manifest(n));
    // From here on the folder is incomplete, until the new manifest is there.
    for name in names.iter().filter(|n| manifest(n)) {
        let _ = fs::remove_file(to.join(name));
    }
    for name in names {
        fs::rename(from.join(&name), to.join(&name)).map_err(failed)?;
    }
    fs::remove_dir_all(from).map_err(failed)
}

/// Where the files of one guest are made.
struct Kitchen<'a> {
    archives: PathBuf,
    packages: &'a [Package],
    out: &'a Path,
}

impl Kitchen<'_> {
    fn make(&self, recipe: Recipe) -> Result<(), UserError> {
        match recipe {
            Recipe::Debian => self.debian(),
            Recipe::Disk => self.disk(),
            Recipe::Installer => self.pick(&|path| match path.rsplit_once('/') {
                Some((_, name @ ("linux" | "initrd.gz"))) if path.contains("/text/") => Some(name.to_owned()),
                _ => None,
            }),
            Recipe::Firmware => self.pick(&firmware_file),
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), UserError> {
        let path = self.out.join(name);
        fs::write(&path, bytes).map_err(|e| file_error("A file of the guest cannot be written", &path, &e))
    }

    /// Writes those files of the packages that `name` gives a name to.
    fn pick(&self, name: &dyn Fn(&str) -> Option<String>) -> Result<(), UserError> {
        for package in self.packages {
            let mut result = Ok(());
            let deb = self.archives.join(&package.file);
            deb::each(&deb, &mut |path| name(path).is_some(), &mut |path, node| {
                if let (Some(name), Kind::File(bytes), true) = (name(&path), node.kind, result.is_ok()) {
                    result = self.put(&name, &bytes);
                }
            })?;
            result?;
        }
        Ok(())
    }

    /// Unpacks the kernel: writes the Image, keeps the modules that `module` wants.
    fn kernel(&self, module: &dyn Fn(&str) -> bool) -> Result<Modules, UserError> {
        let mut modules = Modules::default();
        let mut result = Ok(());
        for package in self.packages.iter().filter(|p| p.file.starts_with("linux-image-")) {
            let is_image = |path: &str| path.starts_with("boot/vmlinu");
            let mut wanted =
                |path: &str| is_image(path) || modules::name_of(path).is_some_and(|n| module(&n));
            let mut take = |path: String, node: Node| {
                if let (Kind::File(bytes), true) = (node.kind, result.is_ok()) {
                    result = if is_image(&path) {
                        self.put("Image", &bytes)
                    } else {
                        modules.add(&path, bytes).map_err(|e| {
                            UserError::new(
                                format!("A kernel module cannot be unpacked: {e}"),
                                path,
                                "Try again.",
                            )
                        })
                    };
                }
            };
            deb::each(&self.archives.join(&package.file), &mut wanted, &mut take)?;
        }
        result.map(|()| modules)
    }

    /// A file system of all packages but the kernel's.
    fn tree(&self, wanted: &dyn Fn(&str) -> bool) -> Result<Tree, UserError> {
        let mut tree = Tree::default();
        for package in self.packages.iter().filter(|p| !p.file.starts_with("linux-image-")) {
            let deb = self.archives.join(&package.file);
            deb::each(&deb, &mut |path| wanted(path), &mut |path, node| tree.add(&path, node))?;
        }
        tree.merge_usr();
        Ok(tree)
    }

    fn debian(&self) -> Result<(), UserError> {
        self.kernel(&|_| false)?;
        let mut work = self.tree(&|path| !is_ballast(path))?;
        let python = work.iter().map(|(p, _)| p).find(|p| is_python(p)).map(str::to_owned);
        if let Some(name) = python.as_deref().and_then(|p| p.rsplit('/').next()) {
            work.link("usr/bin/python3", name);
        }
        let busybox = work.contents("usr/bin/busybox").map(<[u8]>::to_vec);
        let busybox = busybox.ok_or_else(|| UserError::new("The package has no busybox", BUSYBOX, ""))?;
        finish(&mut work, &[&SMALL_JOBS, &JOBS]);
        work.link("usr/bin/sh", "busybox");
        self.put("work.cpio", &cpio::write(&work))?;
        let mut mini = Tree::default();
        mini.file("usr/bin/busybox", &busybox, 0o755);
        mini.folder("usr/sbin", 0o755);
        mini.link("bin", "usr/bin");
        mini.link("sbin", "usr/sbin");
        finish(&mut mini, &[&SMALL_JOBS]);
        self.put("mini.cpio", &cpio::write(&mini))
    }

    fn disk(&self) -> Result<(), UserError> {
        let modules = self.kernel(&|_| true)?;
        let tools = [
            "usr/sbin/mke2fs",
            "usr/sbin/mkfs.ext4",
            "usr/sbin/e2fsck",
            "usr/sbin/fsck.ext4",
            "etc/mke2fs.conf",
        ];
        let keep = |path: &str| {
            let plain = path.strip_prefix("usr/").unwrap_or(path);
            let library = plain.starts_with("lib/") && plain.contains(".so") && !plain.contains("/gconv/");
            tools.contains(&path)
                || tools.contains(&format!("usr/{path}").as_str())
                || library
                || plain == "bin/busybox"
        };
        let mut tree = self.tree(&keep)?;
        finish(&mut tree, &[&SMALL_JOBS, &DISK_JOBS]);
        tree.link("usr/bin/sh", "busybox");
        tree.file("etc/udhcpc.sh", UDHCPC, 0o755);
        let order = modules.in_order(&MODULES);
        for name in &order {
            tree.file(&format!("modules/{name}.ko"), modules.contents(name).unwrap_or_default(), 0o644);
        }
        tree.file("modules/order", (order.join("\n") + "\n").as_bytes(), 0o644);
        self.put("disk.cpio", &cpio::write(&tree))
    }
}

/// Mount points, the init, and the workloads.
fn finish(tree: &mut Tree, jobs: &[&[(&str, &[u8])]]) {
    for dir in ["proc", "sys", "dev", "run", "etc", "root", "opt", "mnt"] {
        tree.folder(dir, 0o755);
    }
    tree.folder("tmp", 0o1777);
    tree.file("init", INIT, 0o755);
    for (name, text) in jobs.iter().copied().flatten() {
        tree.file(&format!("wl/{name}"), text, 0o644);
    }
}

/// What no workload reads.
fn is_ballast(path: &str) -> bool {
    let path = path.strip_prefix("usr/").unwrap_or(path);
    let shared = ["doc", "man", "locale", "info", "i18n", "perl", "perl5"];
    if let Some(rest) = path.strip_prefix("share/") {
        return shared.contains(&rest.split('/').next().unwrap_or_default());
    }
    let in_library = path.strip_prefix("lib/").and_then(|p| p.split_once("-linux-gnu/")).map(|(_, p)| p);
    path.starts_with("bin/perl")
        || path.starts_with("var/cache/")
        || path.starts_with("lib/locale")
        || in_library.is_some_and(|p| p.starts_with("gconv") || p.starts_with("perl"))
}

fn is_python(path: &str) -> bool {
    let minor = path.strip_prefix("usr/bin/python3.");
    minor.is_some_and(|m| !m.is_empty() && m.bytes().all(|b| b.is_ascii_digit()))
}

/// The files of OpenSBI for generic boards, and of U-Boot for S-mode.
fn firmware_file(path: &str) -> Option<String> {
    let (dir, name) = path.rsplit_once('/')?;
    let opensbi = dir.ends_with("opensbi/generic") && name.starts_with("fw_");
    match (dir.ends_with("u-boot/qemu-riscv64_smode"), name) {
        (true, "u-boot.bin") => Some("u-boot.bin".to_owned()),
        (true, "uboot.elf" | "u-boot.elf" | "u-boot") => Some("u-boot.elf".to_owned()),
        _ => opensbi.then(|| name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ballast_and_what_is_none() {
        for path in
            ["usr/share/doc/x", "usr/lib/riscv64-linux-gnu/gconv/x.so", "usr/bin/perl5.40", "lib/locale/C"]
        {
            assert!(is_ballast(path), "{path}");
        }
        for path in
            ["usr/lib/riscv64-linux-gnu/libc.so.6", "usr/bin/python3.13", "usr/share/openssl", "etc/passwd"]
        {
            assert!(!is_ballast(path), "{path}");
        }
        assert!(is_python("usr/bin/python3.13") && !is_python("usr/bin/python3.13-config"));
    }

    #[test]
    fn firmware_files_have_plain_names() {
        let name = |path| firmware_file(path).unwrap_or_default();
        assert_eq!(name("usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.elf"), "fw_jump.elf");
        assert_eq!(name("usr/lib/u-boot/qemu-riscv64_smode/uboot.elf"), "u-boot.elf");
        assert_eq!(name("usr/lib/u-boot/qemu-riscv64/u-boot.bin"), "");
    }

    #[test]
    fn a_new_folder_takes_the_old_ones_place_and_keeps_strangers() {
        let root = tempfile::tempdir().expect("a folder");
        let (new, old) = (beside(&root.path().join("g")), root.path().join("g"));
        for dir in [&new, &old] {
            fs::create_dir(dir).expect("made");
            fs::write(dir.join("Image"), dir.as_os_str().as_encoded_bytes()).expect("written");
            fs::write(dir.join("manifest.toml"), "").expect("written");
        }
        fs::write(old.join("disk.raw"), "mine").expect("written");
        replace(&new, &old).expect("moved");
        assert!(!new.exists());
        assert_eq!(fs::read(old.join("disk.raw")).expect("kept"), b"mine");
        assert_eq!(fs::read(old.join("Image")).expect("new"), new.as_os_str().as_encoded_bytes());
    }
}
