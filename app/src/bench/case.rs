//! The catalogue: what is measured, on which guest, and in which unit.

use super::guest::Guest;
use super::kernels::{KERNELS, Kernel};
use super::meter::{Until, Watch};
use super::programs::{self, Twins};
use crate::machine::api::EngineMode;
use crate::machine::build::EMBEDDED;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Cases that are summed up in one mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Kernels of integers.
    Integer,
    /// Kernels of floating-point numbers.
    Float,
    /// Kernels of memory.
    Memory,
    /// Calls, indirect calls, switch dispatch.
    Calls,
    /// Atomics, system calls, page faults, context switches.
    Events,
    /// Starting systems.
    Systems,
    /// Programs on Linux.
    Work,
    /// Parts of the emulator, and figures that are no times of work.
    Part,
}

impl Group {
    /// Those of which a mean says something.
    pub const MEANS: [Group; 7] = [
        Group::Integer,
        Group::Float,
        Group::Memory,
        Group::Calls,
        Group::Events,
        Group::Systems,
        Group::Work,
    ];

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Group::Integer => "integer",
            Group::Float => "float",
            Group::Memory => "memory",
            Group::Calls => "calls",
            Group::Events => "events",
            Group::Systems => "systems",
            Group::Work => "work",
            Group::Part => "part",
        }
    }
}

/// A guest and what is watched of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// What runs.
    pub guest: Guest,
    /// What is measured of it.
    pub watch: Watch,
}

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
    /// How many guest instructions a hart runs in a second of its thread's CPU time, beside a busy neighbour, over those that it runs
    /// alone.
    Harts {
        /// The same work by one hart.
        alone: Plan,
    },
    /// By how much more CPU time the run takes with one tuning of the engine than with another, in percent.
    Tuned {
        /// The mode in which that is of interest.
        mode: EngineMode,
        /// `--engine-tuning`.
        with: &'static str,
        /// The same.
        without: &'static str,
    },
    /// Peak resident memory in MiB.
    Peak,
    /// Wall milliseconds.
    Wall,
    /// Share of one core in percent.
    Share,
    /// What the engine's own counts say of its compilers, read in this process.
    Tiers,
}

impl Take {
    /// The unit of the figures.
    pub fn unit(&self) -> &'static str {
        match self {
            Take::Cpu => "CPU s",
            Take::Each { .. } => "ns each",
            Take::Harts { .. } => "of alone",
            Take::Tuned { .. } => "% more",
            Take::Peak => "MiB",
            Take::Wall => "wall ms",
            Take::Share => "% core",
            Take::Tiers => "counts",
        }
    }
}

/// One line of the table.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    /// What it is measured with.
    pub group: Group,
    /// Files that must be there.
    pub needs: Vec<PathBuf>,
    /// What is run.
    pub plan: Plan,
    /// What is taken from it.
    pub take: Take,
    /// Passes of the kernel that has a native twin.
    pub native: Option<u64>,
}

impl Case {
    /// Whether it is long: in all modes only if somebody asks for them.
    pub fn is_linux(&self) -> bool {
        matches!(self.plan.guest, Guest::Linux { .. })
    }
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

/// Single events: name, what it is, the program's maker, how often at full scale.
type Maker = fn(u64) -> Twins;
const EVENTS: [(&str, &str, Maker, u64); 5] = [
    ("trap", "ecall, 4 instructions, mret", programs::traps, 30_000_000),
    ("walk", "load from the next of 4,096 pages", programs::walks, 15_000),
    ("flush", "sfence.vma and the walk after it", programs::flushes, 20_000_000),
    ("jump", "block look-up, jump cache hit", programs::jumps, 200_000_000),
    ("block", "block look-up past the jump cache", programs::chain, 6_000),
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

fn bare(program: &Path, append: &str) -> Guest {
    Guest::Bare { elf: program.to_owned(), append: append.to_owned(), harts: 1 }
}

fn linux(kernel: &Path, initrd: &Path, append: &str) -> Guest {
    Guest::Linux { kernel: kernel.to_owned(), initrd: initrd.to_owned(), append: append.to_owned() }
}

fn plan(guest: Guest, from: Option<&'static str>, until: Until, proof: Option<&'static str>) -> Plan {
    Plan { guest, watch: Watch { from, until, proof } }
}

fn kernel(glass: &Path, k: &Kernel, scale: f64) -> Case {
    let passes = k.passes(scale);
    // It stays at its prompt afterwards: threads that are gone cannot be read.
    let guest = bare(glass, &format!("colour off; bench {} {passes}", k.name));
    let plan = plan(guest, Some("instructions"), Until::Text(" ok"), None);
    let native = k.is_native().then_some(passes);
    Case { name: k.name, what: k.what, group: k.group, needs: vec![], plan, take: Take::Cpu, native }
}

fn event(places: &Places, name: &'static str, what: &'static str, twins: &Twins) -> std::io::Result<Case> {
    let write = |suffix: &str, elf: &[u8]| {
        let file = places.scratch.join(format!("{name}-{suffix}.elf"));
        std::fs::write(&file, elf).map(|()| plan(bare(&file, ""), None, Until::Exit, None))
    };
    let without = write("without", &twins.without)?;
    let take = Take::Each { events: twins.events, without };
    let plan = write("with", &twins.with)?;
    Ok(Case { name, what, group: Group::Part, needs: vec![], plan, take, native: None })
}

/// Rounds of each hart in the case `harts`, at full scale.
const BUSY: u64 = 200_000_000;

/// Two busy harts against one.
fn harts(places: &Places, scale: f64) -> std::io::Result<Case> {
    let rounds = ((BUSY as f64 * scale) as u64).max(1);
    let write = |harts: u32| {
        let elf = places.scratch.join(format!("harts-{harts}.elf"));
        std::fs::write(&elf, programs::busy(harts, rounds))?;
        let guest = Guest::Bare { elf, append: String::new(), harts };
        Ok::<_, std::io::Error>(plan(guest, None, Until::Text(programs::DONE), None))
    };
    let (name, what) = ("harts", "a busy hart beside another");
    let (plan, take) = (write(2)?, Take::Harts { alone: write(1)? });
    Ok(Case { name, what, group: Group::Part, needs: vec![], plan, take, native: None })
}

/// What the counters in tier 1's code cost: the same run without tier 2, with them and without.
fn counters(places: &Places) -> Case {
    let initrd = places.kernel.with_file_name("work.cpio");
    let guest = linux(&places.kernel, &initrd, "console=ttyS0 quiet run=zstd");
    let plan = plan(guest, Some("@@START zstd "), Until::Text("@@END zstd "), Some("@@END zstd rc 0"));
    let take = Take::Tuned {
        mode: EngineMode::Adaptive,
        with: "tier2-runs=1000000000,counters=on",
        without: "tier2-runs=1000000000,counters=off",
    };
    let (name, what) = ("counters", "counters of tier 1 on, over zstd");
    let needs = vec![places.kernel.clone(), initrd];
    Case { name, what, group: Group::Part, needs, plan, take, native: None }
}

fn boots(places: &Places) -> Vec<Case> {
    let image = &places.kernel;
    let mini = image.with_file_name("mini.cpio");
    let case = |name, what, group, append: &str, until, take| Case {
        name,
        what,
        group,
        needs: vec![image.clone(), mini.clone()],
        plan: plan(linux(image, &mini, append), None, until, None),
        take,
        native: None,
    };
    let quiet = "console=ttyS0 quiet run=";
    let up = "console=ttyS0 quiet noff run=";
    let fixed = "console=ttyS0 quiet cryptomgr.notests=1 run=";
    let idle =
        Until::Idle { text: "@@DONE", settle: Duration::from_secs(3), window: Duration::from_secs(20) };
    let init = || Until::Text("@@INIT");
    vec![
        case("boot", "Debian's kernel to @@INIT", Group::Systems, quiet, init(), Take::Cpu),
        case("boot-fixed", "the same, without crypto self-tests", Group::Systems, fixed, init(), Take::Cpu),
        case("tiers-boot", "compilers over the boot", Group::Part, quiet, init(), Take::Tiers),
        case("peak", "memory, 1 GiB guest just booted", Group::Part, up, Until::Text("@@DONE"), Take::Peak),
        case("idle", "at a shell's prompt, 20 s", Group::Part, up, idle, Take::Share),
    ]
}

fn work(places: &Places) -> impl Iterator<Item = Case> + '_ {
    let initrd = places.kernel.with_file_name("work.cpio");
    WORK.into_iter().map(move |(name, what, from, until, proof)| {
        let guest = linux(&places.kernel, &initrd, &format!("console=ttyS0 quiet run={name}"));
        let needs = vec![places.kernel.clone(), initrd.clone()];
        let plan = plan(guest, Some(from), Until::Text(until), Some(proof));
        Case { name, what, group: Group::Work, needs, plan, take: Take::Cpu, native: None }
    })
}

fn installer(places: &Places) -> Case {
    let initrd = places.installer.with_file_name("initrd.gz");
    let guest = linux(&places.installer, &initrd, "console=ttyS0");
    Case {
        name: "installer",
        what: "to \"Select a language\"",
        group: Group::Systems,
        needs: vec![places.installer.clone(), initrd],
        plan: plan(guest, None, Until::Text("Select a language"), None),
        take: Take::Cpu,
        native: None,
    }
}

/// Cases of the embedded guest that are no kernels.
fn embedded(glass: &Path) -> [Case; 2] {
    let case = |name, what, append: &str, until, take| Case {
        name,
        what,
        group: Group::Part,
        needs: vec![],
        plan: plan(bare(glass, append), None, until, None),
        take,
        native: None,
    };
    let first = Until::Text("glass case");
    [
        case("start", "to the guest's first line", "colour off; poweroff", first, Take::Wall),
        case(
            "tiers",
            "compilers over all kernels",
            "colour off; bench all; poweroff",
            Until::Exit,
            Take::Tiers,
        ),
    ]
}

/// All cases. Writes the programs that they need.
pub fn all(places: &Places, scale: f64) -> std::io::Result<Vec<Case>> {
    let glass = places.scratch.join("glass.elf");
    std::fs::write(&glass, EMBEDDED)?;
    let mut cases: Vec<Case> = KERNELS.iter().map(|k| kernel(&glass, k, scale)).collect();
    for (name, what, make, times) in EVENTS {
        let times = ((times as f64 * scale) as u64).max(1);
        cases.push(event(places, name, what, &make(times))?);
    }
    cases.push(harts(places, scale)?);
    cases.extend(embedded(&glass));
    cases.extend(boots(places));
    cases.push(counters(places));
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
        let cases = all(&places, 0.1).expect("written");
        let mut names: Vec<_> = cases.iter().map(|c| c.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cases.len());
        assert!(Group::MEANS.iter().all(|g| !names.contains(&g.title())), "a name could mean two things");
        for file in ["glass.elf", "trap-with.elf", "trap-without.elf"] {
            let bytes = std::fs::read(dir.path().join(file)).expect(file);
            assert!(bytes.starts_with(b"\x7fELF"));
        }
        let boot = cases.iter().find(|c| c.name == "boot").expect("boot");
        assert_eq!(boot.needs, [Path::new("/guest/Image"), Path::new("/guest/mini.cpio")]);
        for group in Group::MEANS {
            assert!(cases.iter().filter(|c| c.group == group).count() > 2, "{group:?}");
        }
    }
}
