//! The guest program that runs instruction tests from a table and prints hashes of everything they leave.
//!
//! Two ways to run an instruction, because most cases need little and there are millions:
//! - *light*: the instruction stands in the runner's own loop in M-mode; operands in x10 to x13 and f10 to f13; x10 to x15, f10 to
//!   f13, `fcsr` and the trap are the result.
//! - *full*: all registers are loaded from a context, the instruction stands alone in an empty arena of zeros (which are illegal
//!   instructions), is entered by `mret` in any mode and always ends in a trap; all registers and the trap are the result.

use super::asm::{Asm, Label, power_off, put_hex};
use super::elf::{ENTRY, Image};
use super::encode::{self as e, csr};

/// Where results and the runner's saved registers lie.
const WORK: u64 = 0x8001_0000;
/// Memory that tests read and write.
pub const SCRATCH: u64 = 0x8002_0000;
/// Bytes of it that are filled before and hashed after a full case.
pub const SCRATCH_FULL: u64 = 1024;
/// Test table.
const TABLE: u64 = 0x8010_0000;
/// Operand lists.
const LISTS: u64 = 0x8080_0000;
/// Where full cases execute: zeros for 2 MiB on either side.
pub const ARENA: u64 = 0x8600_0000;
/// `sepc` in full cases, for `sret`.
pub const SEPC: u64 = ARENA + 0x100;

/// Words of a light case: four operands.
pub const LIGHT_CASE: usize = 4;
/// Words of a full case: x0 (unused) to x31, f0 to f31.
pub const FULL_CASE: usize = 64;

const FULL: u64 = 1;
const MEMORY: u64 = 2;
const QUIET: u64 = 4;
const PER_CASE: u64 = 8;
const DUMP: u64 = 16;
const NO_TVAL: u64 = 32;

/// `mstatus.FS` = dirty.
pub const FS_DIRTY: u64 = 3 << 13;
/// `mstatus.MPP` = M.
pub const MPP_M: u64 = 3 << 11;
/// `mstatus.MPP` = S.
pub const MPP_S: u64 = 1 << 11;

/// The machine state of a full case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gates {
    /// `mstatus`, whose MPP is the mode of the case.
    pub mstatus: u64,
    /// `menvcfg`.
    pub menvcfg: u64,
    /// `senvcfg`.
    pub senvcfg: u64,
    /// `mcounteren`.
    pub mcounteren: u64,
    /// `scounteren`.
    pub scounteren: u64,
}

impl Gates {
    /// M-mode with floats on.
    pub const M: Gates =
        Gates { mstatus: FS_DIRTY | MPP_M, menvcfg: 0, senvcfg: 0, mcounteren: 0, scounteren: 0 };
}

/// One test: an instruction (or two) and the list of cases to run it on.
#[derive(Clone, Debug)]
pub struct Test {
    /// What it is, for reports.
    pub text: String,
    /// The code; what is left is filled with `nop` (light) or zeros (full).
    pub slot: Vec<u8>,
    /// Which list.
    pub list: usize,
    /// `fcsr` before.
    pub fcsr: u64,
    /// Touches scratch memory.
    pub memory: bool,
    /// Full, with this state.
    pub full: Option<Gates>,
    /// Leave `mtval` out (full tests only), see [`super::known`].
    pub no_tval: bool,
}

/// Tests whose results are printed as one hash.
#[derive(Clone, Debug)]
pub struct Group {
    /// Mnemonic.
    pub name: String,
    /// Tests.
    pub tests: Vec<Test>,
}

/// Everything to run.
#[derive(Clone, Default)]
pub struct Suite {
    /// Operand lists: a multiple of [`LIGHT_CASE`] or [`FULL_CASE`] words each.
    pub lists: Vec<Vec<u64>>,
    /// Groups.
    pub groups: Vec<Group>,
}

/// What a run prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// A hash a group.
    Groups,
    /// A hash a case.
    Cases,
    /// All result words of every case, then its hash.
    Words,
}

impl Suite {
    /// The program.
    pub fn image(&self, detail: Detail) -> Image {
        let mut list_at = Vec::new();
        let mut lists = Vec::new();
        for l in &self.lists {
            list_at.push(LISTS + 8 * lists.len() as u64);
            lists.extend(l);
        }
        let mut table = Vec::new();
        for g in &self.groups {
            for (k, t) in g.tests.iter().enumerate() {
                let quiet = detail != Detail::Groups || k + 1 < g.tests.len();
                table.extend(self.row(t, list_at[t.list], quiet, detail));
            }
        }
        let mut image = Image::default();
        image.put(ENTRY, code(TABLE, TABLE + 8 * table.len() as u64));
        image.put_words(TABLE, &table);
        image.put_words(LISTS, &lists);
        assert!(LISTS + 8 * (lists.len() as u64) < ARENA - (2 << 20), "lists reach the arena");
        image
    }

    fn row(&self, t: &Test, list: u64, quiet: bool, detail: Detail) -> [u64; ROW / 8] {
        let mut slot = t.slot.clone();
        if t.full.is_none() {
            while slot.len() < 8 {
                slot.extend(if slot.len().is_multiple_of(4) { &[0x13, 0, 0, 0][..] } else { &[1, 0] });
            }
        }
        slot.resize(8, 0);
        let gates = t.full.unwrap_or(Gates::M);
        let per_case = detail != Detail::Groups;
        let flag = |on: bool, bit: u64| if on { bit } else { 0 };
        let flags = flag(t.full.is_some(), FULL)
            | flag(t.memory, MEMORY)
            | flag(quiet, QUIET)
            | flag(t.no_tval, NO_TVAL)
            | flag(per_case, PER_CASE)
            | flag(detail == Detail::Words, DUMP);
        let words = if t.full.is_some() { FULL_CASE } else { LIGHT_CASE };
        let count = (self.lists[t.list].len() / words) as u64;
        let slot = u64::from_le_bytes(slot.try_into().expect("at most eight bytes"));
        let Gates { mstatus, menvcfg, senvcfg, mcounteren, scounteren } = gates;
        [flags, slot, list, count, t.fcsr, mstatus, menvcfg, senvcfg, mcounteren, scounteren]
    }

    /// Cases of a test.
    pub fn cases(&self, t: &Test) -> usize {
        self.lists[t.list].len() / if t.full.is_some() { FULL_CASE } else { LIGHT_CASE }
    }
}

/// Bytes of a row of the table.
const ROW: usize = 80;

/// Names of the words that a light case dumps.
pub fn light_words(memory: bool) -> Vec<String> {
    let x = (10..16).map(|k| format!("x{k}"));
    let f = (10..14).map(|k| format!("f{k}"));
    let rest = ["fcsr", "cause", "tval", "epc-slot"].map(String::from);
    let m = (0..if memory { 8 } else { 0 }).map(|k| format!("mem[{}]", 8 * k));
    x.chain(f).chain(rest).chain(m).collect()
}

/// Names of the words that a full case dumps.
pub fn full_words() -> Vec<String> {
    let x = (1..32).map(|k| format!("x{k}"));
    let f = (0..32).map(|k| format!("f{k}"));
    x.chain(f)
        .chain(["fcsr", "cause", "tval", "epc-slot", "mstatus", "scratch hash"].map(String::from))
        .collect()
}

// The runner's registers, which light instructions leave alone.
const VEC: u32 = 16;
const ROWP: u32 = 18;
const END: u32 = 19;
const CASE: u32 = 20;
const COUNT: u32 = 21;
const HASH: u32 = 22;
const K: u32 = 23;
const FLAGS: u32 = 25;
const MEM: u32 = 26;
const CAUSE: u32 = 27;
const TVAL: u32 = 28;
const EPC: u32 = 29;
/// The multiplier of the hash.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Offset of the saved runner registers from WORK.
const SAVED: i32 = 1024;

fn code(table: u64, end: u64) -> Vec<u8> {
    let mut a = Asm::new(ENTRY);
    let start = a.label();
    a.jal(0, start);
    let hex = put_hex(&mut a);
    let finish_case = a.label();
    let next_row = a.label();
    let full = full_path(&mut a, finish_case, next_row);

    a.bind(start);
    a.li(5, MPP_M | FS_DIRTY);
    a.w(e::csrw(csr::MSTATUS, 5));
    a.li(5, (1 << 54) - 1);
    a.w(e::csrw(csr::PMPADDR0, 5));
    a.li(5, 0x1f);
    a.w(e::csrw(csr::PMPCFG0, 5));
    for c in [csr::MEDELEG, csr::MIDELEG, csr::MIE] {
        a.w(e::csrw(c, 0));
    }
    a.li(VEC, WORK);
    a.li(ROWP, table);
    a.li(END, end);
    a.li(HASH, 0);
    a.li(K, MULTIPLIER);
    a.li(MEM, SCRATCH);
    let rows = a.mark();
    let done = a.label();
    a.branch(7, ROWP, END, done);
    a.ws(&[e::ld(FLAGS, ROWP, 0), e::ld(CASE, ROWP, 16), e::ld(COUNT, ROWP, 24)]);
    a.w(e::andi(6, FLAGS, FULL as i32));
    let light = a.label();
    a.branch(0, 6, 0, light);
    a.jal(0, full.enter);
    a.bind(light);
    let case = light_path(&mut a, finish_case, next_row);

    a.bind(finish_case);
    finish(&mut a, hex);
    a.ws(&[e::addi(COUNT, COUNT, -1), e::andi(6, FLAGS, FULL as i32)]);
    let was_light = a.label();
    a.branch(0, 6, 0, was_light);
    a.w(e::addi(CASE, CASE, 8 * FULL_CASE as i32));
    a.jal(0, full.case);
    a.bind(was_light);
    a.w(e::addi(CASE, CASE, 8 * LIGHT_CASE as i32));
    a.jal(0, case);

    a.bind(next_row);
    a.w(e::andi(6, FLAGS, QUIET as i32));
    let quiet = a.label();
    a.branch(1, 6, 0, quiet);
    print_hash(&mut a, hex);
    a.bind(quiet);
    a.w(e::addi(ROWP, ROWP, ROW as i32));
    a.jal(0, rows);
    a.bind(done);
    power_off(&mut a);
    a.finish()
}

fn print_hash(a: &mut Asm, hex: Label) {
    a.w(e::addi(10, HASH, 0));
    a.jal(5, hex);
    a.li(HASH, 0);
}

/// The light case: operands, the slot, results into the vector. x17 = number of words. Returns the loop's head.
fn light_path(a: &mut Asm, finish_case: Label, next_row: Label) -> Label {
    let slot = a.label();
    let resume = a.label();
    let handler = a.label();
    a.la(5, slot);
    a.ws(&[e::ld(6, ROWP, 8), e::sd(6, 5, 0), e::FENCE_I]);
    a.la(6, handler);
    a.w(e::csrw(csr::MTVEC, 6));
    let case = a.mark();
    let go = a.label();
    a.branch(1, COUNT, 0, go);
    a.jal(0, next_row);
    a.bind(go);
    for k in 0..4 {
        a.w(e::ld(10 + k, CASE, 8 * k as i32));
    }
    a.ws(&[e::addi(14, 11, 0), e::addi(15, 10, 0)]);
    for k in 0..3 {
        a.w(e::fmv_d_x(10 + k, 10 + k));
    }
    a.w(e::fmv_d_x(13, K));
    // Scratch memory: the operands c and d, then a pattern.
    a.ws(&[e::sd(12, MEM, 0), e::sd(13, MEM, 8), e::addi(6, K, 0)]);
    for k in 2..8 {
        a.ws(&[e::sd(6, MEM, 8 * k), e::add(6, 6, K)]);
    }
    a.li(CAUSE, u64::MAX);
    a.ws(&[e::addi(TVAL, 0, 0), e::addi(EPC, 0, 0), e::ld(6, ROWP, 32), e::csrw(csr::FCSR, 6)]);
    // Control falls into the slot, so not by `align`, which pads with illegal instructions.
    if !a.here().is_multiple_of(8) {
        a.w(e::NOP);
    }
    a.bind(slot);
    a.ws(&[e::NOP, e::NOP]);
    a.bind(resume);
    for k in 0..6 {
        a.w(e::sd(10 + k, VEC, 8 * k as i32));
    }
    for k in 0..4 {
        a.w(e::fsd(10 + k, VEC, 8 * (6 + k) as i32));
    }
    a.w(e::csrr(6, csr::FCSR));
    for (k, x) in [6, CAUSE, TVAL, EPC].into_iter().enumerate() {
        a.w(e::sd(x, VEC, 8 * (10 + k as i32)));
    }
    a.ws(&[e::addi(17, 0, 14), e::andi(6, FLAGS, MEMORY as i32)]);
    let skip = a.label();
    a.branch(0, 6, 0, skip);
    for k in 0..8 {
        a.ws(&[e::ld(6, MEM, 8 * k), e::sd(6, VEC, 8 * (14 + k))]);
    }
    a.w(e::addi(17, 0, 22));
    a.bind(skip);
    a.jal(0, finish_case);

    a.align(4);
    a.bind(handler);
    a.ws(&[e::csrr(CAUSE, csr::MCAUSE), e::csrr(TVAL, csr::MTVAL), e::csrr(EPC, csr::MEPC)]);
    a.la(30, slot);
    a.w(e::sub(EPC, EPC, 30));
    a.la(30, resume);
    a.ws(&[e::csrw(csr::MEPC, 30), e::MRET]);
    case
}

/// Dumps the x17 words of the vector if asked, and mixes them into the hash.
fn finish(a: &mut Asm, hex: Label) {
    a.w(e::andi(6, FLAGS, DUMP as i32));
    let no_dump = a.label();
    a.branch(0, 6, 0, no_dump);
    a.ws(&[e::addi(11, VEC, 0), e::addi(12, 17, 0)]);
    let word = a.mark();
    a.w(e::ld(10, 11, 0));
    a.jal(5, hex);
    a.ws(&[e::addi(11, 11, 8), e::addi(12, 12, -1)]);
    a.branch(1, 12, 0, word);
    a.bind(no_dump);
    a.w(e::addi(11, VEC, 0));
    let mix = a.mark();
    a.w(e::ld(10, 11, 0));
    mix_in(a, HASH, 10);
    a.ws(&[e::addi(11, 11, 8), e::addi(17, 17, -1)]);
    a.branch(1, 17, 0, mix);
    a.w(e::andi(6, FLAGS, PER_CASE as i32));
    let no_print = a.label();
    a.branch(0, 6, 0, no_print);
    print_hash(a, hex);
    a.bind(no_print);
}

/// hash = (hash ^ x) * K, then its high half over its low half. Destroys x6.
fn mix_in(a: &mut Asm, hash: u32, x: u32) {
    a.ws(&[e::xor(hash, hash, x), e::mul(hash, hash, K), e::srli(6, hash, 32), e::xor(hash, hash, 6)]);
}

struct FullPath {
    enter: Label,
    case: Label,
}

fn full_path(a: &mut Asm, finish_case: Label, next_row: Label) -> FullPath {
    let handler = full_handler(a, finish_case);
    let enter = a.mark();
    a.li(5, ARENA);
    a.ws(&[e::ld(6, ROWP, 8), e::sd(6, 5, 0), e::FENCE_I]);
    a.la(6, handler);
    a.w(e::csrw(csr::MTVEC, 6));
    let case = a.mark();
    let go = a.label();
    a.branch(1, COUNT, 0, go);
    a.jal(0, next_row);
    a.bind(go);
    fill_scratch(a);
    // The runner's registers, and where the handler finds them.
    a.w(e::csrw(csr::MSCRATCH, VEC));
    for k in VEC..=MEM {
        a.w(e::sd(k, VEC, SAVED + 8 * (k - VEC) as i32));
    }
    a.li(5, SEPC);
    a.w(e::csrw(csr::SEPC, 5));
    a.li(5, ARENA);
    a.w(e::csrw(csr::MEPC, 5));
    for k in 0..32 {
        a.w(e::fld(k, CASE, 8 * (32 + k as i32)));
    }
    for (offset, c) in [
        (32, csr::FCSR),
        (48, csr::MENVCFG),
        (56, csr::SENVCFG),
        (64, csr::MCOUNTEREN),
        (72, csr::SCOUNTEREN),
        (40, csr::MSTATUS),
    ] {
        a.ws(&[e::ld(6, ROWP, offset), e::csrw(c, 6)]);
    }
    a.w(e::addi(31, CASE, 0));
    for k in 1..32 {
        a.w(e::ld(k, 31, 8 * k as i32));
    }
    a.w(e::MRET);
    FullPath { enter, case }
}

/// Fills what will be hashed, if the test touches memory.
fn fill_scratch(a: &mut Asm) {
    a.w(e::andi(6, FLAGS, MEMORY as i32));
    let skip = a.label();
    a.branch(0, 6, 0, skip);
    a.ws(&[e::addi(5, MEM, SCRATCH_FULL as i32), e::addi(6, MEM, 0), e::addi(7, K, 0)]);
    let fill = a.mark();
    a.ws(&[e::sd(7, 6, 0), e::add(7, 7, K), e::addi(6, 6, 8)]);
    a.branch(1, 6, 5, fill);
    a.bind(skip);
}

fn full_handler(a: &mut Asm, finish_case: Label) -> Label {
    a.align(4);
    let handler = a.mark();
    a.w(e::csrrw(31, csr::MSCRATCH, 31));
    for k in 1..31 {
        a.w(e::sd(k, 31, 8 * (k as i32 - 1)));
    }
    a.ws(&[e::csrr(5, csr::MSCRATCH), e::sd(5, 31, 8 * 30), e::csrr(7, csr::MSTATUS)]);
    a.li(5, FS_DIRTY);
    a.w(e::csrrs(0, csr::MSTATUS, 5));
    for k in 0..32 {
        a.w(e::fsd(k, 31, 8 * (31 + k as i32)));
    }
    // SD and FS may differ: a hart may call the state dirty when it need not be.
    a.li(5, FS_DIRTY | 1 << 63);
    a.ws(&[e::xori(5, 5, -1), e::and(7, 7, 5)]);
    a.ws(&[e::csrr(5, csr::FCSR), e::sd(5, 31, 8 * 63), e::csrr(5, csr::MCAUSE), e::sd(5, 31, 8 * 64)]);
    a.ws(&[e::csrr(5, csr::MTVAL), e::sd(5, 31, 8 * 65), e::csrr(5, csr::MEPC)]);
    a.li(6, ARENA);
    a.ws(&[e::sub(5, 5, 6), e::sd(5, 31, 8 * 66), e::sd(7, 31, 8 * 67), e::sd(0, 31, 8 * 68)]);
    for k in (VEC..=MEM).rev() {
        a.w(e::ld(k, 31, SAVED + 8 * (k - VEC) as i32));
    }
    a.w(e::andi(6, FLAGS, NO_TVAL as i32));
    let keep = a.label();
    a.branch(0, 6, 0, keep);
    a.w(e::sd(0, VEC, 8 * 65));
    a.bind(keep);
    a.w(e::andi(6, FLAGS, MEMORY as i32));
    let skip = a.label();
    a.branch(0, 6, 0, skip);
    a.ws(&[e::addi(5, MEM, SCRATCH_FULL as i32), e::addi(7, MEM, 0), e::addi(10, 0, 0)]);
    let word = a.mark();
    a.w(e::ld(11, 7, 0));
    mix_in(a, 10, 11);
    a.w(e::addi(7, 7, 8));
    a.branch(1, 7, 5, word);
    a.w(e::sd(10, VEC, 8 * 68));
    a.bind(skip);
    a.w(e::addi(17, 0, 69));
    a.jal(0, finish_case);
    handler
}
