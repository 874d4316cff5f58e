//! Where the parts of a random program lie, and its page tables.
//!
//! Physical: handlers, their state and the body in the first 2 MiB of RAM; data pages in the third; page tables behind them. Virtual,
//! in every root: the first 2 MiB identically for S-mode (handlers of S-mode live there), the body again in small pages for S and
//! for U, and windows on the data pages in pages of all sizes with all kinds of entries, good and bad.

use crate::oracle::values::Rng;

/// State of the handlers: register save areas, running hash, checkpoint table.
pub const WORK: u64 = 0x8001_0000;
/// Checkpoint hashes.
pub const CHECKPOINTS: u64 = 0x8002_0000;
/// Body.
pub const BODY: u64 = 0x8010_0000;
/// Largest body.
pub const BODY_SIZE: u64 = 0x8_0000;
/// Data pages.
pub const DATA: u64 = 0x8040_0000;
/// Bytes of data.
pub const DATA_SIZE: u64 = 0x2_0000;
/// A page of code for jumps into data windows: `jalr x0, 0(x1)` everywhere.
pub const LANDING: u64 = DATA + DATA_SIZE;
/// Page tables.
pub const TABLES: u64 = 0x8080_0000;
/// Room for them; all of it is hashed.
pub const TABLES_SIZE: u64 = 128 * 4096;

/// The body for S-mode.
pub const BODY_S: u64 = 0x12_3450_0000;
/// The body for U-mode.
pub const BODY_U: u64 = 0x23_4560_0000;
/// Window of 4 KiB pages.
pub const SMALL: u64 = 0x5_0000_0000;
/// Its pages.
pub const SMALL_PAGES: u64 = 64;
/// Window of 64 KiB NAPOT pages.
pub const NAPOT: u64 = 0x5_1000_0000;
/// Window of 2 MiB pages.
pub const LARGE: u64 = 0x6_0000_0000;
/// Its pages.
pub const LARGE_PAGES: u64 = 8;
/// Window of 1 GiB pages.
pub const HUGE: u64 = 0x7_4000_0000;
/// Its pages.
pub const HUGE_PAGES: u64 = 3;
/// Small pages in the upper half.
pub const HIGH: u64 = 0xffff_ffff_c000_0000;
/// Its pages.
pub const HIGH_PAGES: u64 = 16;
/// Good pages for S-mode, on the first data pages in order.
pub const GOOD_S: u64 = 0x5_3000_0000;
/// Good pages for U-mode.
pub const GOOD_U: u64 = 0x5_4000_0000;
/// Their pages. PMP restricts none of them.
pub const GOOD_PAGES: u64 = 8;
/// Window on the landing page.
pub const JUMPS: u64 = 0x5_2000_0000;
/// Its pages.
pub const JUMP_PAGES: u64 = 16;

const V: u64 = 1;
const R: u64 = 2;
const W: u64 = 4;
const X: u64 = 8;
const U: u64 = 16;
const G: u64 = 32;
const A: u64 = 64;
const D: u64 = 128;
const N: u64 = 1 << 63;

/// A root of page tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Root {
    /// `satp`.
    pub satp: u64,
    /// Physical addresses of the table whose entries map [`SMALL`].
    pub small: u64,
}

/// The tables of a program.
pub struct Tables {
    pages: Vec<[u64; 512]>,
    /// Roots: two of Sv39, one of Sv48 and of Sv57.
    pub roots: Vec<Root>,
}

fn ppn(pa: u64) -> u64 {
    pa >> 12 << 10
}

/// An entry for a data page: mostly good, else with each of the ways to be bad.
pub fn data_entry(rng: &mut Rng, level: u32, target: u64) -> u64 {
    let mut e = V | R | W | A | D | ppn(target);
    let mut bit = |rng: &mut Rng, one_in: u64, bit: u64| {
        if rng.one_in(one_in) {
            e ^= bit;
        }
    };
    bit(rng, 2, U);
    bit(rng, 6, W);
    bit(rng, 4, A);
    bit(rng, 3, D);
    bit(rng, 8, R);
    bit(rng, 3, X);
    bit(rng, 16, V);
    bit(rng, 8, G);
    bit(rng, 2, 1 << 8);
    bit(rng, 2, 1 << 9);
    bit(rng, 16, 1 << 61);
    bit(rng, 16, 1 << 62);
    if e >> 61 & 3 == 3 {
        e &= !(1 << 62); // a reserved memory type, see `known`
    }
    if rng.one_in(24) {
        e |= 1 << (54 + rng.below(7)); // reserved
    }
    if rng.one_in(24) {
        // Reserved unless the pattern fits, which it does not here. A and D stay set: QEMU updates them before it looks.
        e |= N | A | D;
        e = e & !(0xf << 10) | (rng.below(8) << 10);
    }
    if level > 0 && rng.one_in(6) {
        e |= 1 << (10 + rng.below(9 * level as u64)); // misaligned superpage
    }
    if rng.one_in(24) {
        e = e & !(0xfff_ffff_ffff << 10) | 1 << (10 + 24 + rng.below(17)); // no memory there
    }
    e
}

impl Tables {
    /// Random tables.
    pub fn new(rng: &mut Rng) -> Tables {
        let mut t = Tables { pages: Vec::new(), roots: Vec::new() };
        for (mode, levels) in [(8u64, 3), (8, 3), (9, 4), (10, 5)] {
            let root = t.table();
            let asid = rng.below(4);
            t.fill(rng, root, levels);
            let small = t.table_of(root, levels, SMALL, 0);
            t.roots.push(Root { satp: mode << 60 | asid << 44 | root >> 12, small });
        }
        t
    }

    fn table(&mut self) -> u64 {
        self.pages.push([0; 512]);
        TABLES + 4096 * (self.pages.len() as u64 - 1)
    }

    fn entry(&mut self, table: u64, k: u64) -> &mut u64 {
        &mut self.pages[((table - TABLES) / 4096) as usize][k as usize]
    }

    /// The table that holds the entry for `va` at `level`, made on the way down.
    fn table_of(&mut self, root: u64, levels: u32, va: u64, level: u32) -> u64 {
        let mut table = root;
        for l in (level + 1..levels).rev() {
            let k = va >> (12 + 9 * l) & 511;
            let e = *self.entry(table, k);
            table = if e & V == 0 {
                let next = self.table();
                *self.entry(table, k) = ppn(next) | V;
                next
            } else {
                e >> 10 << 12 & ((1 << 56) - 1)
            };
        }
        table
    }

    fn map(&mut self, root: u64, levels: u32, va: u64, level: u32, entry: u64) {
        let table = self.table_of(root, levels, va, level);
        *self.entry(table, va >> (12 + 9 * level) & 511) = entry;
    }

    fn fill(&mut self, rng: &mut Rng, root: u64, levels: u32) {
        let fixed = V | A | D;
        self.map(root, levels, 0x8000_0000, 1, ppn(0x8000_0000) | fixed | R | W | X | G);
        self.map(root, levels, 0x1000_0000, 0, ppn(0x1000_0000) | fixed | R | W);
        for k in 0..BODY_SIZE / 4096 {
            self.map(root, levels, BODY_S + 4096 * k, 0, ppn(BODY + 4096 * k) | fixed | R | X);
            self.map(
                root,
                levels,
                BODY_U + 4096 * k,
                0,
                ppn(BODY + 4096 * k) | fixed | X | U | if k % 2 == 0 { R } else { 0 },
            );
        }
        for k in 0..GOOD_PAGES {
            let e = ppn(DATA + 4096 * k) | fixed | R | W;
            self.map(root, levels, GOOD_S + 4096 * k, 0, e);
            self.map(root, levels, GOOD_U + 4096 * k, 0, e | U);
        }
        let page = |rng: &mut Rng| DATA + 4096 * rng.below(DATA_SIZE / 4096);
        for k in 0..SMALL_PAGES {
            let target = page(rng);
            let e = data_entry(rng, 0, target);
            self.map(root, levels, SMALL + 4096 * k, 0, e);
        }
        for k in 0..HIGH_PAGES {
            let target = page(rng);
            let e = data_entry(rng, 0, target);
            self.map(root, levels, HIGH + 4096 * k, 0, e);
        }
        // A and D stay set: which of the 16 entries hardware updates is its choice.
        let napot = data_entry(rng, 0, DATA + 0x1_0000) & !(0xf << 10) | 8 << 10 | N | A | D;
        for k in 0..16 {
            self.map(root, levels, NAPOT + 4096 * k, 0, napot);
        }
        for k in 0..LARGE_PAGES {
            let e = data_entry(rng, 1, DATA);
            self.map(root, levels, LARGE + (k << 21), 1, e);
        }
        for k in 0..HUGE_PAGES {
            let e = data_entry(rng, 2, 0x8000_0000);
            self.map(root, levels, HUGE + (k << 30), 2, e);
        }
        for k in 0..JUMP_PAGES {
            let e = data_entry(rng, 0, LANDING) | if rng.one_in(4) { 0 } else { X };
            self.map(root, levels, JUMPS + 4096 * k, 0, e & !(W | if rng.one_in(2) { R } else { 0 }));
        }
    }

    /// All tables as words.
    pub fn words(&self) -> Vec<u64> {
        self.pages.iter().flatten().copied().collect()
    }
}
