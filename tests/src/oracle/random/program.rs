//! A random program: units of a few instructions each, chosen by seed, in segments that end in checkpoints.
//!
//! A unit depends on the seed, its number and the context that the units before it left, never on its address: so a segment can
//! be run again with a checkpoint behind every unit.

use super::compute::{float_rows, integer_rows};
use super::handler::{self, Call, Detail, call};
use super::layout::*;
use crate::oracle::asm::Asm;
use crate::oracle::elf::{ENTRY, Image};
use crate::oracle::encode as e;
use crate::oracle::isa::{Kind, Row, rows};
use crate::oracle::values::Rng;
use std::ops::Range;

/// Units of a segment.
pub const SEGMENT: usize = 24;

/// Privilege.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Mode {
    M,
    S,
    U,
}

/// Where the program is when a unit starts; known when it is written, because every trap comes back.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Mode.
    pub mode: Mode,
    /// Page tables in force; none in M-mode or with translation off.
    pub root: Option<usize>,
    /// S-mode runs the body through the identical superpage.
    pub identity: bool,
    /// `mstatus.TSR`.
    pub tsr: bool,
    /// `mstatus.TW`.
    pub tw: bool,
}

impl Context {
    /// Virtual address of the body's first byte.
    pub fn base(&self) -> u64 {
        match (self.root, self.mode) {
            (None, _) | (_, Mode::M) => BODY,
            (_, Mode::S) if self.identity => BODY,
            (_, Mode::S) => BODY_S,
            (_, Mode::U) => BODY_U,
        }
    }
}

/// What units draw from.
pub struct Parts {
    /// Integer instructions.
    pub integer: Vec<Row>,
    /// Float instructions.
    pub float: Vec<Row>,
    /// Loads and stores.
    pub memory: Vec<Row>,
    /// AMOs.
    pub atomic: Vec<Row>,
    /// Reserved words.
    pub reserved: Vec<u32>,
    /// Roots of page tables.
    pub roots: Vec<Root>,
    /// PMP regions may be smaller than a cache block; CBO instructions then stay away from them, see `known`.
    pub fine_pmp: bool,
}

/// A body being written.
pub struct Body<'p> {
    /// Code.
    pub a: Asm,
    /// Choices of this unit.
    pub rng: Rng,
    /// Context of this unit.
    pub ctx: Context,
    /// What to draw from.
    pub parts: &'p Parts,
}

/// A unit for reports.
#[derive(Clone, Debug)]
pub struct Unit {
    /// What kind.
    pub name: &'static str,
    /// Where it is in the body.
    pub bytes: Range<usize>,
    /// Context at its start.
    pub ctx: Context,
}

/// A program.
pub struct Program {
    /// It, ready to run.
    pub image: Image,
    /// Units.
    pub units: Vec<Unit>,
    /// Units (ends of ranges) at which checkpoints stand.
    pub checkpoints: Vec<usize>,
    /// Random instructions in it.
    pub insns: usize,
    /// The body's bytes.
    pub body: Vec<u8>,
}

type Make = fn(&mut Body<'_>);

/// A unit that only programs for ourselves have: it takes QEMU, an instruction at a time, too long.
const HOT_LOOP: (u64, &str, Make) = (6, "hot loop", |b| b.hot_loop());

/// What makes a program more than a line of units.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How often it runs from its begin to its end.
    pub turns: u32,
    /// Ticks between two interrupts by the timer.
    pub timer: Option<u32>,
    /// It has loops of many turns.
    pub loops: bool,
    /// Units between two checkpoints.
    pub segment: usize,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape { turns: 1, timer: None, loops: false, segment: SEGMENT }
    }
}

/// Kinds of units by weight.
const UNITS: &[(u64, &str, Make)] = &[
    (16, "integers", |b| b.integers()),
    (8, "compressed", |b| b.compressed()),
    (5, "constants", |b| b.constants()),
    (6, "float constants", |b| b.float_constants()),
    (14, "floats", |b| b.floats()),
    (2, "float csrs", |b| b.float_csrs()),
    (20, "accesses", |b| b.accesses()),
    (5, "compressed accesses", |b| b.compressed_accesses()),
    (6, "atomics", |b| b.atomics()),
    (3, "reservation", |b| b.reservation()),
    (2, "cache block", |b| b.cache_block()),
    (5, "branch", |b| b.branch()),
    (3, "loop", |b| b.short_loop()),
    (3, "function", |b| b.function()),
    (3, "landing", |b| b.landing()),
    (2, "self-modifying", |b| b.self_modifying()),
    (5, "traps", |b| b.traps()),
    (5, "csrs", |b| b.csrs()),
    (2, "fences", |b| b.fences()),
    (4, "switch", |b| b.switch()),
    (2, "supervisor return", |b| b.supervisor_return()),
];

fn reserved(rows: &[Row], rng: &mut Rng) -> Vec<u32> {
    let mut v = Vec::new();
    while v.len() < 64 {
        let word = rng.next() as u32 | 3;
        if word & 0x1f != 0x1f && rows.iter().all(|r| word & r.kind.mask() != r.bits) {
            v.push(word);
        }
    }
    v
}

/// Writes the program of `seed` with `units` units. In `split` (units) a checkpoint follows every unit.
pub fn generate(seed: u64, units: usize, split: Range<usize>, detail: Detail) -> Program {
    shaped(seed, units, split, detail, &Shape::default())
}

/// The same in a shape.
pub fn shaped(seed: u64, units: usize, split: Range<usize>, detail: Detail, shape: &Shape) -> Program {
    let mut rng = Rng::new(seed);
    let tables = Tables::new(&mut rng);
    let all = rows();
    let of = |kinds: &[Kind]| all.iter().filter(|r| kinds.contains(&r.kind)).cloned().collect::<Vec<_>>();
    let atomic = of(&[Kind::Amo, Kind::AmoPair]).into_iter().filter(|r| !r.name.starts_with("sc.")).collect();
    let parts = Parts {
        integer: integer_rows(&all),
        float: float_rows(&all),
        memory: of(&[Kind::Load, Kind::Store, Kind::FLoad, Kind::FStore]),
        atomic,
        reserved: reserved(&all, &mut rng),
        roots: tables.roots.clone(),
        fine_pmp: seed % 2 == 1,
    };
    let ctx = Context { mode: Mode::M, root: None, identity: false, tsr: false, tw: false };
    let mut body = Body { a: Asm::new(BODY), rng: rng.clone(), ctx, parts: &parts };
    let mut made = Vec::new();
    let mut checkpoints = Vec::new();
    let kinds: Vec<_> = UNITS.iter().chain(shape.loops.then_some(&HOT_LOOP)).collect();
    let total: u64 = kinds.iter().map(|u| u.0).sum();
    let top = body.a.mark();
    for n in 0..units {
        body.rng = Rng::new(seed << 24 ^ n as u64);
        let mut roll = body.rng.below(total);
        let (_, name, make) = kinds
            .iter()
            .find(|u| {
                if roll < u.0 {
                    true
                } else {
                    roll -= u.0;
                    false
                }
            })
            .unwrap_or(&kinds[0]);
        let (start, ctx) = (body.a.bytes.len(), body.ctx);
        if n < 8 {
            body.constants();
        }
        make(&mut body);
        made.push(Unit { name, bytes: start..body.a.bytes.len(), ctx });
        if (n + 1) % shape.segment == 0 || split.contains(&n) || n + 1 == units {
            call(&mut body.a, Call::Checkpoint);
            checkpoints.push(n + 1);
        }
    }
    if shape.turns > 1 {
        body.again(top, shape.turns);
    }
    call(&mut body.a, Call::Finish);
    let insns = made.iter().map(|u| u.bytes.len()).sum::<usize>() / 4;
    let bytes = body.a.finish();
    assert!((bytes.len() as u64) < BODY_SIZE, "the body is too long: {}", bytes.len());
    let mut image = Image::default();
    image.put(ENTRY, handler::code(detail, shape.timer));
    image.put(BODY, bytes.clone());
    image.put_words(DATA, &(0..DATA_SIZE / 8).map(|_| rng.next()).collect::<Vec<_>>());
    image.put(LANDING, e::jalr(0, 1, 0).to_le_bytes().repeat(1024));
    image.put_words(TABLES, &tables.words());
    Program { image, units: made, checkpoints, insns, body: bytes }
}
