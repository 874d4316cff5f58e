//! The instruction tests: for every row of the table, words with all kinds of operands, and the values to run them on.

mod compressed;
mod control;
mod csrs;
mod float;
mod integer;
mod memory;
pub mod pinned;
mod reserved;
mod system;

use super::encode::Reg;
use super::isa::{Kind, Row, rows};
use super::runner::{ARENA, Gates, Group, SCRATCH, Suite, Test};
use super::values::{INTEGERS, Rng};
use std::collections::HashMap;

/// All instruction tests in parts that each fit one program.
pub fn suites() -> Vec<(&'static str, Suite)> {
    let all = rows();
    let part = |name: &'static str, fill: &dyn Fn(&mut Builder, &[Row])| {
        let mut b = Builder::new();
        fill(&mut b, &all);
        (name, b.suite)
    };
    vec![
        part("integer", &integer::fill),
        part("memory", &memory::fill),
        part("float", &float::fill),
        part("control", &control::fill),
        part("registers", &every_register),
        part("compressed", &|b, _| compressed::fill(b)),
        part("reserved", &reserved::fill),
        part("csr", &|b, _| csrs::fill(b)),
        part("system", &system::fill),
    ]
}

/// Collects groups and shares lists.
struct Builder {
    suite: Suite,
    by_name: HashMap<String, usize>,
    rng: Rng,
}

impl Builder {
    fn new() -> Builder {
        Builder { suite: Suite::default(), by_name: HashMap::new(), rng: Rng::new(2) }
    }

    /// The list called `name`, made at its first use.
    fn list(&mut self, name: &str, make: impl FnOnce(&mut Rng) -> Vec<u64>) -> usize {
        if let Some(k) = self.by_name.get(name) {
            return *k;
        }
        let words = make(&mut Rng::new(name.bytes().fold(7, |h, b| h * 131 + b as u64)));
        self.suite.lists.push(words);
        let k = self.suite.lists.len() - 1;
        self.by_name.insert(name.to_owned(), k);
        k
    }

    fn group(&mut self, name: impl Into<String>, tests: Vec<Test>) {
        if !tests.is_empty() {
            self.suite.groups.push(Group { name: name.into(), tests });
        }
    }

    /// Contexts of random values, edges among them.
    fn random_contexts(&mut self) -> usize {
        self.list("contexts", |rng| {
            (0..4).flat_map(|_| context(rng, |r, k| if k < 32 { r.integer() } else { r.next() })).collect()
        })
    }

    /// Contexts where every integer register points into scratch memory, aligned to 16.
    fn address_contexts(&mut self) -> usize {
        self.list("addresses", |rng| {
            (0..2)
                .flat_map(|_| context(rng, |r, k| if k < 32 { SCRATCH + 16 * r.below(16) } else { r.next() }))
                .collect()
        })
    }

    /// Contexts where every integer register is an address without memory; jumps through them fault.
    fn nowhere_contexts(&mut self) -> usize {
        self.list("nowhere", |rng| {
            let at = [
                1u64 << 41,
                1 << 55,
                1 << 56,
                u64::MAX,
                u64::MAX << 12,
                0x8800_0000,
                0x8800_0001,
                0x7fff_ffff_ffff_ffff,
                0x2f00_0002,
            ];
            (0..2).flat_map(|_| context(rng, |r, k| if k < 32 { r.pick(&at) } else { r.next() })).collect()
        })
    }

    /// Contexts where every integer register points into the arena.
    fn arena_contexts(&mut self) -> usize {
        self.list("arena", |rng| {
            (0..2)
                .flat_map(|_| {
                    context(rng, |r, k| if k < 32 { ARENA + 0x1000 + r.below(0x10_0000) } else { r.next() })
                })
                .collect()
        })
    }
}

fn context(rng: &mut Rng, value: impl Fn(&mut Rng, usize) -> u64) -> Vec<u64> {
    (0..64).map(|k| value(rng, k)).collect()
}

/// A light test of one word.
fn light(text: String, word: u32, list: usize) -> Test {
    Test { text, slot: word.to_le_bytes().to_vec(), list, fcsr: 0, memory: false, full: None, no_tval: false }
}

/// A full test of one word.
fn full(text: String, word: u32, list: usize) -> Test {
    Test { full: Some(Gates::M), ..light(text, word, list) }
}

/// The row's word with registers in place.
fn place(row: &Row, rd: Reg, rs1: Reg, rs2: Reg) -> u32 {
    row.bits | rs2 << 20 | rs1 << 15 | rd << 7
}

/// Every pair of integer edges and random ones, with two more operands.
fn pairs(b: &mut Builder) -> usize {
    b.list("pairs", |rng| {
        let edges = INTEGERS.iter().flat_map(|x| INTEGERS.iter().map(move |y| (*x, *y))).collect::<Vec<_>>();
        let random = (0..1000).map(|_| (rng.integer(), rng.integer())).collect::<Vec<_>>();
        let all = edges.into_iter().chain(random).collect::<Vec<_>>();
        all.iter().flat_map(|(x, y)| [*x, *y, rng.integer(), rng.next()]).collect()
    })
}

/// Fewer.
fn short_pairs(b: &mut Builder) -> usize {
    b.list("short pairs", |rng| {
        let edges = INTEGERS.iter().map(|x| [*x, rng.integer()]).collect::<Vec<_>>();
        let random = (0..100).map(|_| [rng.integer(), rng.integer()]).collect::<Vec<_>>();
        let all = edges.into_iter().chain(random).collect::<Vec<_>>();
        all.iter().flat_map(|[x, y]| [*x, *y, rng.integer(), rng.next()]).collect()
    })
}

/// Every instruction that neither jumps nor traps with registers from the whole file, x0 included, on whole contexts.
fn every_register(b: &mut Builder, rows: &[Row]) {
    for row in rows {
        let skip = matches!(row.kind, Kind::Exact | Kind::Csr | Kind::CsrImm | Kind::Cbo | Kind::Sfence);
        if skip {
            continue;
        }
        let memory = matches!(
            row.kind,
            Kind::Load | Kind::Store | Kind::FLoad | Kind::FStore | Kind::Lr | Kind::Amo | Kind::AmoPair
        );
        let list = match row.kind {
            Kind::Jalr => b.arena_contexts(),
            _ if memory => b.address_contexts(),
            _ => b.random_contexts(),
        };
        // A lone SC depends on the reservation that earlier tests left.
        if row.name.starts_with("sc.") {
            continue;
        }
        let mut tests = Vec::new();
        for n in 0..40 {
            let free = !row.kind.mask() & if memory { 0x000f_8f80 | 0x01f0_0000 } else { u32::MAX };
            let mut random = b.rng.next() as u32 & free;
            if row.kind == Kind::AmoPair {
                random &= !(1 << 7 | 1 << 20); // odd pairs are reserved
            }
            if n < 3 {
                random &= !([0xf80, 0xf_8000, 0x1f0_0000][n] & if memory { 0xf80 } else { u32::MAX });
            }
            if memory && random >> 15 & 31 == 0 {
                random |= 1 << 15; // x0 is no address
            }
            if row.kind == Kind::Fence {
                random &= 0x0fff_ffff; // fence modes other than 0 are tested apart
            }
            let word = row.bits | random;
            let fcsr = if n % 8 == 7 { 0 } else { b.rng.below(5) << 5 | b.rng.below(32) };
            tests.push(Test { fcsr, memory, ..full(format!("{} {word:#010x}", row.name), word, list) });
        }
        b.group(format!("{} (all registers)", row.name), tests);
    }
}
