//! Debian's packages by Debian's own tools, with a state of their own: the host's lists, status and cache are not touched.

use super::place::file_error;
use super::progress::Progress;
use super::sources::{self, Mirror};
use crate::config::write_atomically;
use crate::machine::api::UserError;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

/// The release that guests are made of.
pub const RELEASE: &str = "trixie";
/// Lists older than this are fetched again before packages are.
const LISTS_AGE: Duration = Duration::from_secs(24 * 3600);
/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A package to fetch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Package {
    /// File name as apt gives it: name_version_architecture.deb.
    pub file: String,
    /// In bytes.
    pub size: u64,
}

impl Package {
    /// `name=version` for apt-get.
    fn wanted(&self) -> Option<String> {
        let mut parts = self.file.strip_suffix(".deb")?.split('_');
        let (name, version) = (parts.next()?, parts.next()?);
        Some(format!("{name}={}", version.replace("%3a", ":")))
    }
}

/// An apt of our own.
pub struct Apt {
    root: PathBuf,
    arch: &'static str,
}

impl Apt {
    /// Sets it up under `cache` for packages of `arch`.
    pub fn prepare(cache: &Path, arch: &'static str) -> Result<Apt, UserError> {
        for program in ["apt-get", "apt-cache", "apt-config", "dpkg-deb"] {
            find_program(program)?;
        }
        let mirror = sources::find(Path::new("/etc/apt"))?;
        let root = cache.join(arch);
        let failed = |e: std::io::Error| file_error("The package cache cannot be made", &root, &e);
        for dir in ["lists/partial", "archives/partial", "empty/partial"] {
            fs::create_dir_all(root.join(dir)).map_err(failed)?;
        }
        fs::write(root.join("status"), "").map_err(failed)?;
        let apt = Apt { root: root.clone(), arch };
        let source = apt.source(&mirror);
        let list = root.join("sources.list");
        if fs::read_to_string(&list).ok().as_deref() != Some(source.as_str()) {
            // Lists of another mirror are of no use.
            let _ = fs::remove_file(root.join("updated"));
            apt.store(&list, &source)?;
        }
        apt.store(&root.join("apt.conf"), &apt.settings()?)?;
        Ok(apt)
    }

    fn store(&self, path: &Path, text: &str) -> Result<(), UserError> {
        write_atomically(path, text.as_bytes()).map_err(|e| {
            UserError::new(
                format!("The package cache cannot be written: {e}"),
                "",
                "Make room, then try again.",
            )
        })
    }

    fn source(&self, mirror: &Mirror) -> String {
        let keys = mirror.keys.display();
        format!("deb [arch={} signed-by={keys}] {} {RELEASE} main\n", self.arch, mirror.uri)
    }

    /// Own state and cache; from the host only how to reach the network (proxies and the like).
    fn settings(&self) -> Result<String, UserError> {
        let root = self.root.display();
        let arch = self.arch;
        let mut text = format!(
            "Dir::Etc::sourcelist \"{root}/sources.list\";\nDir::Etc::sourceparts \"-\";\nDir::Etc::main \"/dev/null\";\n\
             Dir::Etc::parts \"/dev/null\";\nDir::State::lists \"{root}/lists\";\nDir::State::status \"{root}/status\";\n\
             Dir::Cache \"{root}\";\nDir::Cache::archives \"{root}/archives\";\nAPT::Architecture \"{arch}\";\n\
             APT::Architectures {{ \"{arch}\"; }};\nAPT::Install-Recommends \"false\";\nAPT::Sandbox::User \"root\";\n\
             Debug::NoLocking \"true\";\n"
        );
        let dump = output(Command::new("apt-config").args(["dump", "Acquire"]))?;
        let reach = ["Acquire::http", "Acquire::https", "Acquire::ftp", "Acquire::Retries", "Acquire::Force"];
        for line in dump.lines().filter(|l| reach.iter().any(|r| l.starts_with(r))) {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str("Acquire::Languages \"none\";\n");
        Ok(text)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.root.join("apt.conf")).env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    /// Where packages lie.
    pub fn archives(&self) -> PathBuf {
        self.root.join("archives")
    }

    /// Fetches the lists of packages unless they are fresh.
    pub fn update(&self, progress: &mut dyn Progress) -> Result<(), UserError> {
        let stamp = self.root.join("updated");
        let fresh = fs::metadata(&stamp)
            .and_then(|m| m.modified())
            .is_ok_and(|t| SystemTime::now().duration_since(t).is_ok_and(|age| age < LISTS_AGE));
        if fresh {
            return Ok(());
        }
        let what = "Lists of packages";
        let mut child = start(self.command("apt-get").args(["-qq", "update", "--error-on=any"]))?;
        wait(&mut child, || progress.step(what, 0, 0))?;
        progress.end(what);
        fs::write(&stamp, "").map_err(|e| file_error("The package cache cannot be written", &stamp, &e))
    }

    /// The kernel package that Debian's kernel meta-package names now.
    pub fn kernel(&self) -> Result<String, UserError> {
        let meta = format!("linux-image-{}", self.arch);
        let text = output(self.command("apt-cache").args(["depends", &meta]))?;
        text.lines()
            .filter_map(|l| l.trim().strip_prefix("Depends: "))
            .find(|p| p.starts_with("linux-image-"))
            .map(str::to_owned)
            .ok_or_else(|| UserError::new("The mirror names no kernel", meta, "Try again later."))
    }

    /// These packages alone.
    pub fn single(&self, names: &[&str]) -> Result<Vec<Package>, UserError> {
        let text = output(self.command("apt-get").args(["-qq", "--print-uris", "download"]).args(names))?;
        packages(&text)
    }

    /// These packages with all that they depend on.
    pub fn closure(&self, names: &[&str]) -> Result<Vec<Package>, UserError> {
        // apt-get leaves out what is in the archive already; all are wanted, so it is shown an empty one.
        let empty = format!("Dir::Cache::archives={}", self.root.join("empty").display());
        let args = ["-qq", "-y", "-o", &empty, "--print-uris", "install"];
        packages(&output(self.command("apt-get").args(args).args(names))?)
    }

    /// Fetches what is not there yet; apt checks sizes, hashes and signatures.
    pub fn download(&self, wanted: &[Package], progress: &mut dyn Progress) -> Result<(), UserError> {
        let archives = self.archives();
        let size_of = |p: &Package| fs::metadata(archives.join(&p.file)).map_or(0, |m| m.len());
        let missing: Vec<&Package> = wanted.iter().filter(|p| size_of(p) != p.size).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = missing.iter().filter_map(|p| p.wanted()).collect();
        let total = wanted.iter().map(|p| p.size).sum();
        let partial = archives.join("partial");
        let done = || {
            wanted
                .iter()
                .map(|p| {
                    let part = fs::metadata(partial.join(&p.file)).map_or(0, |m| m.len());
                    size_of(p).max(part).min(p.size)
                })
                .sum()
        };
        let what = "Packages";
        progress.step(what, done(), total);
        let mut command = self.command("apt-get");
        let mut child = start(command.args(["-qq", "download"]).args(names).current_dir(&archives))?;
        wait(&mut child, || progress.step(what, done(), total))?;
        progress.step(what, done(), total);
        progress.end(what);
        match missing.iter().find(|p| size_of(p) != p.size) {
            None => Ok(()),
            Some(p) => Err(UserError::new("A package did not arrive whole", &p.file, "Try again.")),
        }
    }
}

/// Lines of `--print-uris`: 'URI' file size hash.
fn packages(text: &str) -> Result<Vec<Package>, UserError> {
    let mut found = Vec::new();
    for line in text.lines().filter(|l| l.starts_with('\'')) {
        let mut words = line.split_whitespace().skip(1);
        let package = words.next().zip(words.next().and_then(|s| s.parse().ok()));
        let safe = package.filter(|(file, _)| file.ends_with(".deb") && !file.contains('/'));
        let Some((file, size)) = safe else {
            return Err(UserError::new("apt-get answered in an unknown form", line, "Please report this."));
        };
        found.push(Package { file: file.to_owned(), size });
    }
    if found.is_empty() {
        return Err(UserError::new("apt-get names no packages", "", "Try again later."));
    }
    Ok(found)
}

fn find_program(name: &str) -> Result<(), UserError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| dir.join(name).is_file()) {
        return Ok(());
    }
    Err(UserError::new(
        format!("Guests are built with Debian's {name}, which is not on this machine"),
        "",
        "Run `vitrine images fetch NAME --dir DIR` on a Debian machine or in a Debian container, and copy the folder to where \
         `vitrine images path NAME` says.",
    ))
}

fn start(command: &mut Command) -> Result<Child, UserError> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|e| {
        let name = command.get_program().to_string_lossy().into_owned();
        UserError::new(format!("The program cannot be started: {e}"), name, "Install it.")
    })
}

/// Waits for a program that says little; what it says on standard error is its excuse.
fn wait(child: &mut Child, mut look: impl FnMut()) -> Result<(), UserError> {
    let errors = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut errors) = errors {
            let _ = std::io::Read::read_to_string(&mut errors, &mut text);
        }
        text
    });
    let status = loop {
        look();
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => std::thread::sleep(LOOK),
            Err(e) => {
                return Err(UserError::new(format!("A program was lost: {e}"), "apt-get", "Try again."));
            }
        }
    };
    let said = reader.join().unwrap_or_default();
    if status.success() { Ok(()) } else { Err(excuse(&said)) }
}

fn output(command: &mut Command) -> Result<String, UserError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| UserError::new(format!("The program cannot be started: {e}"), &name, "Install it."))?;
    if !out.status.success() {
        return Err(excuse(&String::from_utf8_lossy(&out.stderr)));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

fn excuse(said: &str) -> UserError {
    let first = said
        .lines()
        .find(|l| l.starts_with("E:"))
        .or_else(|| said.lines().next())
        .unwrap_or("it gave no reason");
    let next = "Check the network and the mirror, then try again: what has arrived is kept.";
    UserError::new(format!("apt-get failed: {}", first.trim_start_matches("E:").trim()), "", next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_from_apts_answer() {
        let text =
            "'http://x.example/pool/b.deb' busybox-static_1%3a1.37.0-6+b9_riscv64.deb 941532 SHA256:00\n";
        let found = packages(text).expect("one package");
        assert_eq!(found[0].size, 941_532);
        assert_eq!(found[0].wanted().as_deref(), Some("busybox-static=1:1.37.0-6+b9"));
        assert!(packages("").is_err());
        assert!(packages("'x' ../../etc/passwd.deb 5\n").is_err());
        assert!(packages("'x' a.deb many\n").is_err());
    }

    #[test]
    fn the_excuse_is_the_first_error() {
        assert!(
            excuse("W: careful\nE: Unable to locate package x\n")
                .what
                .ends_with("Unable to locate package x")
        );
        assert!(excuse("").what.contains("no reason"));
    }
}
