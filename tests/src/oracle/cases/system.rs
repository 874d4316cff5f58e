//! Privileged and cache-management instructions in every mode under every gate, and floats switched off.

use super::*;
use crate::oracle::runner::{FS_DIRTY, MPP_M, MPP_S};

const TVM: u64 = 1 << 20;
const TW: u64 = 1 << 21;
const TSR: u64 = 1 << 22;
const SPP: u64 = 1 << 8;
const SPIE: u64 = 1 << 5;

pub(super) fn fill(b: &mut Builder, rows: &[Row]) {
    let contexts = b.random_contexts();
    let addresses = b.address_contexts();
    let nowhere = b.nowhere_contexts();
    for row in rows {
        match row.kind {
            Kind::Exact => b.group(row.name.clone(), exact(row, contexts)),
            Kind::Sfence => {
                let mut tests = Vec::new();
                for mstatus in [MPP_M, MPP_S, MPP_S | TVM, 0, MPP_M | TVM] {
                    for (s1, s2) in [(0, 0), (5, 0), (0, 5), (6, 7)] {
                        let gates = Gates { mstatus: mstatus | FS_DIRTY, ..Gates::M };
                        let text = format!("{} x{s1}, x{s2}, mstatus {mstatus:#x}", row.name);
                        tests.push(Test { full: Some(gates), ..full(text, place(row, 0, s1, s2), contexts) });
                    }
                }
                b.group(row.name.clone(), tests);
            }
            Kind::Cbo => b.group(row.name.clone(), cbo(row, addresses, nowhere)),
            Kind::Fence | Kind::FenceI => {
                let mut tests = Vec::new();
                for _ in 0..64 {
                    // `fm` values other than 0 and 8 are reserved, and so are the ignored fields: all must do no more than fence.
                    let word = row.bits | b.rng.next() as u32 & !row.kind.mask();
                    tests.push(full(format!("{} {word:#010x}", row.name), word, contexts));
                }
                b.group(row.name.clone(), tests);
            }
            Kind::Fff(..)
            | Kind::Ff(..)
            | Kind::Ffff(_)
            | Kind::Xff(_)
            | Kind::Xf(..)
            | Kind::Fx(_)
            | Kind::Fli
            | Kind::FLoad
            | Kind::FStore => {
                let off = |mode: u64| Gates { mstatus: mode, ..Gates::M };
                let one = |mode| Test {
                    full: Some(off(mode)),
                    ..full(format!("{} with FS off", row.name), place(row, 3, 4, 0), addresses)
                };
                b.group(format!("{} with FS off", row.name), [MPP_M, MPP_S, 0].map(one).into());
            }
            _ => {}
        }
    }
}

fn exact(row: &Row, contexts: usize) -> Vec<Test> {
    let mut tests = Vec::new();
    for mode in [MPP_M, MPP_S, 0] {
        for bits in [0, TVM, TW, TSR, SPP, SPP | SPIE, SPIE, TW | TSR | TVM] {
            // A WFI that may wait would wait for ever.
            if row.name == "wfi" && (mode == MPP_M || (mode == MPP_S && bits & TW == 0)) {
                continue;
            }
            // QEMU does not trap them in U-mode, see `known`.
            if row.name.starts_with("sfence.") && mode == 0 {
                continue;
            }
            // Whether WRS.NTO under TW traps depends on a time limit of the implementation's.
            if row.name == "wrs.nto" && mode != MPP_M && bits & TW != 0 {
                continue;
            }
            let gates = Gates { mstatus: mode | bits | FS_DIRTY, ..Gates::M };
            let text = format!("{} with mstatus {:#x}", row.name, gates.mstatus);
            let no_tval = row.name == "mret";
            tests.push(Test { full: Some(gates), no_tval, ..full(text, row.bits, contexts) });
        }
    }
    tests
}

fn cbo(row: &Row, addresses: usize, nowhere: usize) -> Vec<Test> {
    let mut tests = Vec::new();
    for mode in [MPP_M, MPP_S, 0] {
        for menvcfg in [0, 0x10, 0x30, 0x40, 0x80, 0xf0] {
            for senvcfg in [0, 0x10, 0x30, 0x40, 0x80, 0xf0] {
                let gates = Gates { mstatus: mode | FS_DIRTY, menvcfg, senvcfg, ..Gates::M };
                let text = format!(
                    "{} (x9), mode {}, menvcfg {menvcfg:#x}, senvcfg {senvcfg:#x}",
                    row.name,
                    mode >> 11
                );
                tests.push(Test {
                    full: Some(gates),
                    memory: true,
                    no_tval: true,
                    ..full(text, place(row, 0, 9, 0), addresses)
                });
            }
        }
    }
    // Where there may be no memory.
    tests.push(full(format!("{} (x9), no memory there", row.name), place(row, 0, 9, 0), nowhere));
    tests
}
