//! The catalogue: what is measured, on which guest, and in which unit.

use super::meter::{Plan, Until};
use super::programs::{self, Twins};
use crate::machine::build::EMBEDDED;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a case shows of its readings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Take {
    /// CPU seconds.
    Cpu,
    /// CPU nanoseconds for each event, less what the twin takes.
    Each {
        /// Events in the run.
        events: u64,
        /// The twin.
        without: Plan,
    },
    /// Peak resident memory in MiB.
    Peak,
    /// Wall milliseconds.
    Wall,
    /// Share of one core in percent.
    Share,
}

impl Take {
    /// The unit of the figures.
    pub fn unit(&self) -> &'static str {
        match self {
            Take::Cpu => "CPU s",
            Take::Each { .. } => "ns each",
            Take::Peak => "MiB",
            Take::Wall => "wall ms",
            Take::Share => "% core",
        }
    }
}

/// One line of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    /// Files that must be there.
    pub needs: Vec<PathBuf>,
    /// What is run.
    pub plan: Plan,
    /// What is taken from it.
    pub take: Take,
}

/// Where guests and programs lie.
#[derive(Clone, Debug)]
pub struct Places {
    /// Folder for the programs of this run.
    pub scratch: PathBuf,
    /// A kernel `Image`, with `mini.cpio` and `work.cpio` beside it.
    pub kernel: PathBuf,
    /// The installer's kernel `linux`, with `initrd.gz` beside it.
    pub installer: PathBuf,
}

/// Kernels of the embedded guest: name, what it is, passes.
const KERNELS: [(&str, &str, &str); 12] = [
    ("crc32", "table-driven checksum", "colour off; bench crc32 8; poweroff"),
    ("sieve", "primes", "colour off; bench sieve 8; poweroff"),
    ("sort", "heap sort", "colour off; bench sort 8; poweroff"),
    ("matmul", "doubles, fused", "colour off; bench matmul 8; poweroff"),
    ("nbody", "sqrt and divide", "colour off; bench nbody 6; poweroff"),
    ("chaos", "singles", "colour off; bench chaos 6; poweroff"),
    ("copy", "memory by 8 bytes", "colour off; bench copy 8; poweroff"),
    ("fill", "memory by bytes", "colour off; bench fill 8; poweroff"),
    ("chase", "random walk, 4 MiB", "colour off; bench chase 4; poweroff"),
    ("fib", "recursion", "colour off; bench fib 8; poweroff"),
    ("indirect", "calls by table", "colour off; bench indirect 8; poweroff"),
    ("switch", "a byte-code machine", "colour off; bench switch 8; poweroff"),
];

/// Single events: name, what it is, the program's maker, how often.
type Maker = fn(u64) -> Twins;
const EVENTS: [(&str, &str, Maker, u64); 5] = [
    ("trap", "ecall, 4 instructions, mret", programs::traps, 3_000_000),
    ("walk", "load from the next of 4,096 pages", programs::walks, 1_500),
    ("flush", "sfence.vma and the walk after it", programs::flushes, 2_000_000),
    ("jump", "block look-up, jump cache hit", programs::jumps, 20_000_000),
    ("block", "block look-up past the jump cache", programs::chain, 600),
];

/// Programs of `work.cpio`: name, begin, end, proof.
const WORK: [(&str, &str, &str, &str, &str); 6] = [
    ("exec", "start of many programs", "@@START exec ", "@@END exec ", "@@END exec rc 0"),
    ("ossl_sha256", "OpenSSL", "@@START ossl_sha256 ", "@@END ossl_sha256 ", "@@END ossl_sha256 rc 0"),
    ("ossl_aes", "OpenSSL", "@@START ossl_aes ", "@@END ossl_aes ", "@@END ossl_aes rc 0"),
    ("zstd", "compression", "@@START zstd ", "@@END zstd ", "@@END zstd rc 0"),
    ("xz", "compression", "@@START xz ", "@@END xz ", "@@END xz rc 0"),
    ("python", "interpreter", "@@START python ", "@@END python ", "@@END python rc 0"),
];

fn words(list: &[&str]) -> Vec<OsString> {
    list.iter().map(OsString::from).collect()
}

fn bare_metal(program: &Path, append: Option<&str>) -> Vec<OsString> {
    let mut args = words(&["-M", "virt", "-m", "64M", "-nographic", "-bios", "none", "-kernel"]);
    args.push(program.into());
    if let Some(append) = append {
        args.extend(words(&["-append", append]));
    }
    args
}

fn linux(kernel: &Path, initrd: &Path, append: &str) -> Vec<OsString> {
    let mut args = words(&["-M", "virt", "-m", "1G", "-nographic", "-no-reboot", "-kernel"]);
    args.push(kernel.into());
    args.push("-initrd".into());
    args.push(initrd.into());
    args.extend(words(&["-append", append]));
    args
}

fn plan(args: Vec<OsString>, from: Option<&'static str>, until: Until, proof: Option<&'static str>) -> Plan {
    Plan { args, from, until, proof }
}

fn kernels(glass: &Path) -> impl Iterator<Item = Case> + '_ {
    KERNELS.into_iter().map(|(name, what, script)| {
        let args = bare_metal(glass, Some(script));
        let plan = plan(args, Some("instructions"), Until::Text(" ok"), None);
        Case { name, what, needs: vec![], plan, take: Take::Cpu }
    })
}

fn event(places: &Places, name: &'static str, what: &'static str, twins: &Twins) -> std::io::Result<Case> {
    let write = |suffix: &str, elf: &[u8]| {
        let file = places.scratch.join(format!("{name}-{suffix}.elf"));
        std::fs::write(&file, elf).map(|()| plan(bare_metal(&file, None), None, Until::Exit, None))
    };
    let without = write("without", &twins.without)?;
    let take = Take::Each { events: twins.events, without };
    Ok(Case { name, what, needs: vec![], plan: write("with", &twins.with)?, take })
}

fn boots(places: &Places) -> Vec<Case> {
    let image = &places.kernel;
    let beside = |name| image.with_file_name(name);
    let mini = beside("mini.cpio");
    let case = |name, what, append: &str, until, take| Case {
        name,
        what,
        needs: vec![image.clone(), mini.clone()],
        plan: plan(linux(image, &mini, append), None, until, None),
        take,
    };
    let quiet = "console=ttyS0 quiet run=";
    let idle =
        Until::Idle { text: "@@DONE", settle: Duration::from_secs(3), window: Duration::from_secs(20) };
    vec![
        case("boot", "Debian's kernel to @@INIT", quiet, Until::Text("@@INIT"), Take::Cpu),
        case(
            "boot-fixed",
            "the same, without crypto self-tests",
            "console=ttyS0 quiet cryptomgr.notests=1 run=",
            Until::Text("@@INIT"),
            Take::Cpu,
        ),
        case(
            "memory",
            "peak, 1 GiB guest just booted",
            "console=ttyS0 quiet noff run=",
            Until::Text("@@DONE"),
            Take::Peak,
        ),
        case("idle", "at a shell's prompt, 20 s", "console=ttyS0 quiet noff run=", idle, Take::Share),
    ]
}

fn work(places: &Places) -> impl Iterator<Item = Case> + '_ {
    let initrd = places.kernel.with_file_name("work.cpio");
    WORK.into_iter().map(move |(name, what, from, until, proof)| {
        let append = format!("console=ttyS0 quiet run={name}");
        let args = linux(&places.kernel, &initrd, &append);
        let needs = vec![places.kernel.clone(), initrd.clone()];
        Case {
            name,
            what,
            needs,
            plan: plan(args, Some(from), Until::Text(until), Some(proof)),
            take: Take::Cpu,
        }
    })
}

fn installer(places: &Places) -> Case {
    let initrd = places.installer.with_file_name("initrd.gz");
    let args = linux(&places.installer, &initrd, "console=ttyS0");
    Case {
        name: "installer",
        what: "to \"Select a language\"",
        needs: vec![places.installer.clone(), initrd],
        plan: plan(args, None, Until::Text("Select a language"), None),
        take: Take::Cpu,
    }
}

/// All cases. Writes the programs that they need.
pub fn all(places: &Places) -> std::io::Result<Vec<Case>> {
    let glass = places.scratch.join("glass.elf");
    std::fs::write(&glass, EMBEDDED)?;
    let mut cases: Vec<Case> = kernels(&glass).collect();
    for (name, what, make, times) in EVENTS {
        cases.push(event(places, name, what, &make(times))?);
    }
    let start = bare_metal(&glass, Some("colour off; poweroff"));
    cases.push(Case {
        name: "start",
        what: "to the guest's first line",
        needs: vec![],
        plan: plan(start, None, Until::Text("glass case"), None),
        take: Take::Wall,
    });
    cases.extend(boots(places));
    cases.extend(work(places));
    cases.push(installer(places));
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_programs_are_written() {
        let dir = tempfile::tempdir().expect("a folder");
        let places = Places {
            scratch: dir.path().to_owned(),
            kernel: "/guest/Image".into(),
            installer: "/installer/linux".into(),
        };
        let cases = all(&places).expect("written");
        let mut names: Vec<_> = cases.iter().map(|c| c.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cases.len());
        for file in ["glass.elf", "trap-with.elf", "trap-without.elf"] {
            let bytes = std::fs::read(dir.path().join(file)).expect(file);
            assert!(bytes.starts_with(b"\x7fELF"));
        }
        let boot = cases.iter().find(|c| c.name == "boot").expect("boot");
        assert_eq!(boot.needs, [Path::new("/guest/Image"), Path::new("/guest/mini.cpio")]);
    }
}
