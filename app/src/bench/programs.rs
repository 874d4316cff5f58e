//! Small bare-metal programs, each of which does one kind of event over and over, and its twin, which does all but that.
//!
//! The problem: what one trap, one page walk or one look-up of a block costs cannot be read off a real guest, where caches
//! hide it. The difference of the twins' CPU times over the number of events is that cost, and the start of the process
//! drops out. They start in M-mode (`-bios none`) and end by powering the machine off.

use super::asm::*;

/// Where programs lie: the start of RAM on the `virt` board.
const BASE: u64 = 0x8000_0000;
/// Sifive's test device, and what powers the machine off.
const TEST: (u64, u64) = (0x10_0000, 0x5555);
/// Pages that [`walks`] looks at in turn: eight times a hart's TLB.
const PAGES: u64 = 4096;
/// Blocks of the long chain of [`chain`], four for each entry of the jump cache, and of the short one, which all fit.
const CHAIN: (u64, u64) = (16_384, 512);
/// Bytes between the blocks of a chain.
const STRIDE: u64 = 64;

/// A program that does its event so many times, and its twin.
pub struct Twins {
    /// With the events: an ELF file.
    pub with: Vec<u8>,
    /// Without them: an ELF file.
    pub without: Vec<u8>,
    /// How many there are.
    pub events: u64,
}

fn power_off(a: &mut Asm) {
    a.li(T0, TEST.0);
    a.li(T1, TEST.1);
    a.sw(T1, T0);
    // The machine may go on for a moment.
    let wait = a.here();
    a.wfi();
    a.j(wait);
}

fn count_down(a: &mut Asm, counter: Reg, body: usize) {
    a.addi(counter, counter, -1);
    a.bnez(counter, body);
}

/// Round trips through M-mode's trap handler: `ecall`, four instructions, `mret`.
pub fn traps(times: u64) -> Twins {
    let make = |trap: bool| {
        let mut a = Asm::default();
        // The handler lies after the longest start.
        a.li(T0, BASE + 0x100);
        a.csrw(MTVEC, T0);
        a.li(S0, times);
        let body = a.here();
        if trap {
            a.ecall();
        }
        count_down(&mut a, S0, body);
        power_off(&mut a);
        a.pad_to(0x100);
        a.csrr(T0, MEPC);
        a.addi(T0, T0, 4);
        a.csrw(MEPC, T0);
        a.mret();
        elf(&a.bytes())
    };
    Twins { with: make(true), without: make(false), events: times }
}

/// Where the page tables of [`translated`] lie: root, middle, then the leaves.
const TABLES: u64 = 0x1_0000;
/// Where translated addresses begin.
const VIRTUAL: u64 = 0x4000_0000;

/// `body` runs with data accesses translated by Sv39 (MPRV), over [`PAGES`] pages from [`VIRTUAL`] on one physical page.
fn translated(body: impl FnOnce(&mut Asm)) -> Vec<u8> {
    let (root, middle) = (BASE + TABLES, BASE + TABLES + 0x1000);
    let mut a = Asm::default();
    a.li(T0, !0);
    a.csrw(PMPADDR0, T0);
    a.li(T0, 0x1f);
    a.csrw(PMPCFG0, T0);
    a.li(T0, 8 << 60 | root >> 12);
    a.csrw(SATP, T0);
    a.sfence();
    // MPRV, and MPP = S.
    a.li(T0, 1 << 17 | 1 << 11);
    a.csrs(MSTATUS, T0);
    body(&mut a);
    a.li(T0, 1 << 17);
    a.csrc(MSTATUS, T0);
    power_off(&mut a);
    let mut image = a.bytes();
    image.resize(TABLES as usize, 0);
    let pointer = |pa: u64| pa >> 12 << 10 | 1;
    let table =
        |entries: &dyn Fn(u64) -> u64| (0..512).flat_map(|i| entries(i).to_le_bytes()).collect::<Vec<u8>>();
    let leaves = PAGES / 512;
    image.extend(table(&|i| if i == VIRTUAL >> 30 { pointer(middle) } else { 0 }));
    image.extend(table(&|i| if i < leaves { pointer(middle + 0x1000 * (i + 1)) } else { 0 }));
    // Readable, writable, accessed, dirty.
    let leaf = pointer(BASE + TABLES + 0x1000 * (leaves + 2)) | 0xc6;
    (0..leaves).for_each(|_| image.extend(table(&|_| leaf)));
    image.resize(image.len() + 0x1000, 0);
    elf(&image)
}

/// Loads from [`PAGES`] pages in turn, against as many from one page.
pub fn walks(rounds: u64) -> Twins {
    let make = |stride: u64| {
        translated(|a| {
            a.li(S0, rounds);
            a.li(S1, stride);
            let round = a.here();
            a.li(T0, VIRTUAL);
            a.li(T1, PAGES);
            let body = a.here();
            a.ld(T2, T0);
            a.add(T0, T0, S1);
            count_down(a, T1, body);
            count_down(a, S0, round);
        })
    };
    Twins { with: make(4096), without: make(0), events: rounds * PAGES }
}

/// `sfence.vma` and the walk after it, against a load that hits.
pub fn flushes(times: u64) -> Twins {
    let make = |flush: bool| {
        translated(|a| {
            a.li(S0, times);
            a.li(T0, VIRTUAL);
            let body = a.here();
            if flush {
                a.sfence();
            }
            a.ld(T2, T0);
            count_down(a, S0, body);
        })
    };
    Twins { with: make(true), without: make(false), events: times }
}

/// Begins a loop of `rounds` with `t1` at the next page and `t2` at the loop's head, which is given back with the way out of it.
fn begin_rounds(a: &mut Asm, rounds: u64) -> (usize, usize) {
    a.li(S0, rounds);
    a.li(T1, BASE + 0x1000);
    let top = a.here();
    a.li(T2, BASE + top as u64 * 4 + 11 * 4);
    let body = a.here();
    debug_assert_eq!(body, top + 11);
    a.addi(S0, S0, -1);
    (body, a.beqz_ahead(S0))
}

/// Jumps through a register between two pages, which the jump cache answers, against direct ones in a page.
pub fn jumps(rounds: u64) -> Twins {
    let make = |indirect: bool| {
        let mut a = Asm::default();
        let (body, out) = begin_rounds(&mut a, rounds);
        if indirect {
            a.jr(T1);
        } else {
            let next = a.here() + 1;
            a.j(next);
            a.j(body);
        }
        a.land(out);
        power_off(&mut a);
        a.pad_to(0x1000);
        a.jr(T2);
        elf(&a.bytes())
    };
    Twins { with: make(true), without: make(false), events: rounds * 2 }
}

/// Jumps along a chain of blocks that is too long for the jump cache, against one that fits.
pub fn chain(rounds: u64) -> Twins {
    let make = |blocks: u64, rounds: u64| {
        let mut a = Asm::default();
        let first = BASE + 0x1000;
        a.li(S0, rounds);
        a.li(T2, STRIDE);
        a.li(S1, BASE + (a.here() as u64 + 11 * 2 + 1) * 4);
        let round = a.here();
        a.li(T1, first);
        a.jr(T1);
        // `s1` leads here.
        count_down(&mut a, S0, round);
        power_off(&mut a);
        for block in 0..blocks {
            a.pad_to(0x1000 + (block * STRIDE) as usize);
            if block + 1 == blocks {
                a.jr(S1);
            } else {
                a.add(T1, T1, T2);
                a.jr(T1);
            }
        }
        elf(&a.bytes())
    };
    let more = CHAIN.0 / CHAIN.1;
    Twins { with: make(CHAIN.0, rounds), without: make(CHAIN.1, rounds * more), events: rounds * CHAIN.0 }
}

/// The UART of the `virt` board.
const UART: u64 = 0x1000_0000;
/// What [`busy`] says at its end.
pub const DONE: &str = "done";

/// So many harts do the same work each, in pages of their own and by the same code: loads, stores, jumps through the jump cache. The
/// last one says [`DONE`].
pub fn busy(harts: u32, rounds: u64) -> Vec<u8> {
    // Behind the program, where memory is empty.
    let (data, arrived) = (BASE + 0x10_0000, BASE + 0xf_0000);
    let mut a = Asm::default();
    a.slli(A1, A0, 13);
    a.li(T0, data);
    a.add(A1, A1, T0);
    let (_, out) = begin_rounds(&mut a, rounds);
    a.ld(T0, A1);
    a.addi(T0, T0, 1);
    a.sw(T0, A1);
    a.jr(T1);
    a.land(out);
    a.li(T0, arrived);
    a.addi(T1, ZERO, 1);
    a.amoadd(T0, T1, T0);
    a.addi(T0, T0, 1 - harts as i32);
    let last = a.beqz_ahead(T0);
    let wait = a.here();
    a.wfi();
    a.j(wait);
    a.land(last);
    a.li(T0, UART);
    for byte in DONE.bytes() {
        a.addi(T1, ZERO, byte.into());
        a.sb(T1, T0);
    }
    a.j(wait);
    a.pad_to(0x1000);
    a.add(T0, T0, T0);
    a.sw(T0, A1);
    a.jr(T2);
    elf(&a.bytes())
}

/// An ELF file with one segment of `image` at [`BASE`], which is also its entry.
fn elf(image: &[u8]) -> Vec<u8> {
    const HEADERS: u64 = 0x1000;
    let mut f = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
    f.resize(16, 0);
    // An executable for RISC-V.
    f.extend(2u16.to_le_bytes().into_iter().chain(243u16.to_le_bytes()).chain(1u32.to_le_bytes()));
    // Entry, program headers, no section headers.
    f.extend([BASE, 64, 0].map(u64::to_le_bytes).concat());
    f.extend(0u32.to_le_bytes());
    f.extend([64u16, 56, 1, 64, 0, 0].map(u16::to_le_bytes).concat());
    // One segment to load, readable, writable and executable.
    f.extend([1u32, 7].map(u32::to_le_bytes).concat());
    let len = image.len() as u64;
    f.extend([HEADERS, BASE, BASE, len, len, 0x1000].map(u64::to_le_bytes).concat());
    f.resize(HEADERS as usize, 0);
    f.extend(image);
    f
}

#[cfg(test)]
mod tests;
