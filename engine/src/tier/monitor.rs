//! What is counted: each counter declared once, in a table beside what it is read from.
//!
//! The problem: a number shows in panels, in the monitor, on the statistics socket and in the documentation, and all of them must say
//! the same of it. So a table holds its name, unit, kind and help together with how it is read; whoever shows counters
//! walks tables ([`HART`], [`MACHINE`], those of guest ISAs and devices) and knows no counter by itself.

use super::events;
use crate::exec::mode::TierCounts;
use crate::exec::traps::Traps;

/// What a counter's number is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Counted since power-on; never less than before.
    Total,
    /// The value now, up and down.
    Now,
}

impl Kind {
    /// Its word in schemas.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Total => "total",
            Kind::Now => "now",
        }
    }
}

/// By what a counter is split.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Split {
    /// What the parts differ in: `cause`.
    pub by: &'static str,
    /// The parts by name, in order.
    pub parts: &'static [&'static str],
}

/// What a counter is, without how it is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Declared {
    /// Its name, in lower case with underscores. Names are kept: programs know them.
    pub name: &'static str,
    /// Its unit: `bytes`, `ns`, or what is counted.
    pub unit: &'static str,
    /// Total or value now.
    pub kind: Kind,
    /// What it says, one phrase.
    pub help: &'static str,
    /// Set if it is several numbers, one for each part.
    pub split: Option<Split>,
}

/// A counter of `S`.
pub struct Counter<S: 'static> {
    /// What it is.
    pub declared: Declared,
    read: Read<S>,
}

enum Read<S> {
    One(fn(&S) -> u64),
    Part(fn(&S, usize) -> u64),
}

/// What a counter says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// One number.
    One(u64),
    /// One for each part, in the order of [`Split::parts`].
    Parts(Vec<u64>),
}

impl<S> Counter<S> {
    /// A total.
    pub const fn total(
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        read: fn(&S) -> u64,
    ) -> Counter<S> {
        let declared = Declared { name, unit, kind: Kind::Total, help, split: None };
        Counter { declared, read: Read::One(read) }
    }

    /// A value of now.
    pub const fn now(
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        read: fn(&S) -> u64,
    ) -> Counter<S> {
        let declared = Declared { name, unit, kind: Kind::Now, help, split: None };
        Counter { declared, read: Read::One(read) }
    }

    /// Totals by part; `read` gets the part's number.
    pub const fn split(
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        split: Split,
        read: fn(&S, usize) -> u64,
    ) -> Counter<S> {
        let declared = Declared { name, unit, kind: Kind::Total, help, split: Some(split) };
        Counter { declared, read: Read::Part(read) }
    }

    /// What it says of `s`.
    pub fn read(&self, s: &S) -> Value {
        let parts = self.declared.split.map_or(0, |split| split.parts.len());
        match self.read {
            Read::One(read) => Value::One(read(s)),
            Read::Part(read) => Value::Parts((0..parts).map(|n| read(s, n)).collect()),
        }
    }

    /// All that it says of `s`, in one number.
    pub fn sum(&self, s: &S) -> u64 {
        match self.read(s) {
            Value::One(n) => n,
            Value::Parts(all) => all.into_iter().fold(0, u64::wrapping_add),
        }
    }
}

/// What one hart has done, as of its last poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HartStatus {
    /// Instructions retired since the guest was first switched on, those before a state was saved included.
    pub retired: u64,
    /// Nanoseconds of host time spent waiting for an interrupt.
    pub idle_ns: u64,
    /// Whether the guest has started it.
    pub started: bool,
    /// Instructions retired in the interpreter, tier 1, tier 2.
    pub insns: [u64; 3],
    /// Look-ups in the jump cache by compiled code that hit; that left for the dispatcher.
    pub lookups: [u64; 2],
    /// Look-ups by the run loop that the jump cache answered, that the hart's own table answered, that needed the machine's code map.
    pub dispatched: [u64; 3],
    /// Loads, stores and fetches that the tables of the TLB did not answer.
    pub tlb_misses: [u64; 3],
    /// Loads and stores among them that the TLB knew all the same.
    pub tlb_held: [u64; 2],
    /// Runs of loops that copy or fill memory; guest instructions that they did.
    pub idioms: [u64; 2],
    /// Traps, numbered by the guest ISA.
    pub traps: Traps,
}

const TIERS: Split = Split { by: "tier", parts: &["interpreter", "tier1", "tier2"] };
const COMPILERS: Split = Split { by: "tier", parts: &["tier1", "tier2"] };
const ACCESSES: Split = Split { by: "access", parts: &["load", "store", "fetch"] };
const DATA_ACCESSES: Split = Split { by: "access", parts: &["load", "store"] };

/// Part `n` of what is split; tables and arrays are equally long.
fn at<const N: usize>(list: &[u64; N], n: usize) -> u64 {
    list.get(n).copied().unwrap_or(0)
}

/// Counters of a hart whatever its ISA. Those of the ISA are in [`Guest::COUNTERS`](crate::guest::Guest::COUNTERS).
pub static HART: &[Counter<HartStatus>] = &[
    Counter::now("started", "0 or 1", "whether the guest has started the hart", |h| h.started.into()),
    Counter::total(
        "retired",
        "instructions",
        "instructions retired, as the guest's own instret counts; goes on where it was when a saved state is resumed",
        |h| h.retired,
    ),
    Counter::split("instructions", "instructions", "instructions retired by who ran them", TIERS, |h, n| {
        at(&h.insns, n)
    }),
    Counter::total("idle_ns", "ns", "host time asleep until an interrupt", |h| h.idle_ns),
    Counter::split(
        "jump_lookups",
        "look-ups",
        "look-ups of the next block by compiled code, in the hart's jump cache",
        Split { by: "outcome", parts: &["hit", "miss"] },
        |h, n| at(&h.lookups, n),
    ),
    Counter::split(
        "dispatch_lookups",
        "look-ups",
        "look-ups of the next block by the run loop, by which table had the answer",
        Split { by: "table", parts: &["jump_cache", "hart", "machine"] },
        |h, n| at(&h.dispatched, n),
    ),
    Counter::split(
        "tlb_misses",
        "accesses",
        "accesses that the tables of the TLB did not answer, those to device registers included",
        ACCESSES,
        |h, n| at(&h.tlb_misses, n),
    ),
    Counter::split(
        "tlb_held",
        "accesses",
        "of tlb_misses, those that the TLB knew all the same; the others walked the guest's page tables",
        DATA_ACCESSES,
        |h, n| at(&h.tlb_held, n),
    ),
    Counter::total(
        "bulk_runs",
        "runs",
        "loops that copy or fill memory, done many iterations at once",
        |h| h.idioms[0],
    ),
    Counter::total("bulk_instructions", "instructions", "guest instructions that bulk_runs stand for", |h| {
        h.idioms[1]
    }),
];

/// Counters of what the tiers of a machine have done.
pub static MACHINE: &[Counter<TierCounts>] = &[
    Counter::split(
        "compiled",
        "translations",
        "blocks compiled by tier 1, regions compiled by tier 2",
        COMPILERS,
        |t, n| at(&t.compiled, n),
    ),
    Counter::split(
        "compiled_instructions",
        "instructions",
        "guest instructions in them",
        COMPILERS,
        |t, n| at(&t.compiled_insns, n),
    ),
    Counter::split("compile_ns", "ns", "host time spent compiling", COMPILERS, |t, n| at(&t.compile_ns, n)),
    Counter::split("host_bytes", "bytes", "host code emitted", COMPILERS, |t, n| at(&t.host_bytes, n)),
    Counter::split(
        "compile_failures",
        "compiles",
        "compiles that failed; the code stays in the tier below",
        COMPILERS,
        |t, n| at(&t.failed, n),
    ),
    Counter::split(
        "formed_again",
        "regions",
        "regions of tier 2 compiled again: by how they were left, or to count that anew because guesses failed",
        Split { by: "reason", parts: &["exits", "guesses_failed"] },
        |t, n| at(&t.formed_again, n),
    ),
    Counter::total(
        "invalidated",
        "translations",
        "translations dropped because guest bytes under them were written",
        |t| t.invalidated,
    ),
    Counter::total("evicted", "translations", "translations dropped for room", |t| t.evicted),
    Counter::total("reopened", "translations", "translations next to be dropped that were used again", |t| {
        t.reopened
    }),
    Counter::now("code_bytes", "bytes", "code memory in use", |t| t.code_bytes),
    Counter::now("queued", "regions", "regions that wait for a compiler", |t| t.queued),
    Counter::split(
        "decisions",
        "events",
        "events of the tiers by what was decided or happened",
        Split { by: "event", parts: &events::NAMES },
        |t, n| at(&t.events, n),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::Guest;
    use crate::guest::riscv::Riscv;
    use std::collections::HashSet;

    fn is_name(text: &str) -> bool {
        !text.is_empty()
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    }

    fn check<'a>(all: impl Iterator<Item = &'a Declared>) {
        let mut names = HashSet::new();
        for d in all {
            assert!(is_name(d.name), "{}", d.name);
            assert!(names.insert(d.name), "{} is declared twice", d.name);
            assert!(!d.unit.is_empty() && !d.help.is_empty() && !d.help.ends_with('.'), "{}", d.name);
            if let Some(split) = d.split {
                let distinct: HashSet<_> = split.parts.iter().collect();
                assert!(is_name(split.by) && split.parts.iter().all(|p| is_name(p)), "{}", d.name);
                assert!(!split.parts.is_empty() && distinct.len() == split.parts.len(), "{}", d.name);
            }
        }
    }

    #[test]
    fn declarations_are_sound() {
        check(HART.iter().chain(Riscv::COUNTERS).map(|c| &c.declared));
        check(MACHINE.iter().map(|c| &c.declared));
    }

    #[test]
    fn every_number_of_a_hart_is_shown_once() {
        let status = HartStatus {
            retired: 1 << 1,
            idle_ns: 1 << 2,
            started: true,
            insns: [1 << 3, 1 << 4, 1 << 5],
            lookups: [1 << 6, 1 << 7],
            dispatched: [1 << 8, 1 << 9, 1 << 10],
            tlb_misses: [1 << 11, 1 << 12, 1 << 13],
            tlb_held: [1 << 14, 1 << 15],
            idioms: [1 << 16, 1 << 17],
            traps: Traps::default(),
        };
        let all: u64 = HART.iter().map(|c| c.sum(&status)).sum();
        assert_eq!(all, (1 << 18) - 1);
        let insns = HART.iter().find(|c| c.declared.name == "instructions").expect("declared");
        assert_eq!(insns.read(&status), Value::Parts(vec![8, 16, 32]));
    }
}
