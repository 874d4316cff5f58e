//! CSR instructions, which CSRs exist in which mode, and what WARL fields keep.

use super::*;
use crate::oracle::encode::{self as e, csr};
use crate::oracle::known;
use crate::oracle::runner::{FS_DIRTY, MPP_S};

pub(super) fn fill(b: &mut Builder) {
    operations(b);
    legality(b);
    kept(b);
}

/// The six operations on CSRs with plain storage, with every special register number.
fn operations(b: &mut Builder) {
    let few = short_pairs(b);
    for (c, name) in [
        (csr::SSCRATCH, "sscratch"),
        (csr::FCSR, "fcsr"),
        (csr::FFLAGS, "fflags"),
        (csr::FRM, "frm"),
        (csr::MSCRATCH, "mscratch"),
    ] {
        let mut tests = Vec::new();
        for f3 in [1, 2, 3] {
            for (d, s) in [(12, 10), (10, 10), (0, 10), (12, 0), (0, 0)] {
                let mut t =
                    light(format!("csr op {f3} x{d}, {name}, x{s}"), e::i(0x73, f3, d, s, c as i32), few);
                t.slot.extend(e::csrr(13, c).to_le_bytes());
                tests.push(Test { fcsr: 0x55, ..t });
            }
            for uimm in [0, 1, 5, 16, 31] {
                for d in [0, 12] {
                    let mut t = light(
                        format!("csr op {} x{d}, {name}, {uimm}", f3 + 4),
                        e::i(0x73, f3 + 4, d, uimm, c as i32),
                        few,
                    );
                    t.slot.extend(e::csrr(13, c).to_le_bytes());
                    tests.push(Test { fcsr: 0xaa, ..t });
                }
            }
        }
        b.group(format!("csr operations on {name}"), tests);
    }
}

/// Every CSR number read, and written with no bits set, in every mode, under gates open and shut.
fn legality(b: &mut Builder) {
    let zeros = b.list("zeros", |_| vec![0; 64]);
    let open = Gates {
        menvcfg: 1 << 63 | 1 << 61 | 0xf0,
        senvcfg: 0xf0,
        mcounteren: 0xffff_ffff,
        scounteren: 0xffff_ffff,
        ..Gates::M
    };
    let modes = [
        ("M", Gates { mstatus: FS_DIRTY | crate::oracle::runner::MPP_M, ..open }),
        ("S", Gates { mstatus: FS_DIRTY | MPP_S, ..open }),
        (
            "S, TVM, no counters",
            Gates { mstatus: FS_DIRTY | MPP_S | 1 << 20, mcounteren: 0, menvcfg: 0, ..open },
        ),
        ("U", Gates { mstatus: FS_DIRTY, ..open }),
        ("U, no scounteren", Gates { mstatus: FS_DIRTY, scounteren: 0, ..open }),
        ("U, no float", Gates { mstatus: 0, mcounteren: 5, ..open }),
    ];
    for (mode, gates) in modes {
        for block in 0..64 {
            let mut tests = Vec::new();
            for c in (block * 64..block * 64 + 64).filter(|c| !known::csr_excluded(*c)) {
                let one = |text: &str, word| Test {
                    full: Some(gates),
                    ..full(format!("{text} csr {c:#x} in {mode}"), word, zeros)
                };
                tests.push(one("read", e::csrrs(0, c, 0)));
                if !known::write_excluded(c) {
                    tests.push(one("write", e::csrrs(0, c, 5)));
                }
            }
            b.group(format!("csrs {:#05x} to {:#05x} in {mode}", block * 64, block * 64 + 63), tests);
        }
    }
}

/// Writes patterns, reads back, restores: `csrrw x12, csr, x10; csrrw x13, csr, x12`.
fn kept(b: &mut Builder) {
    for known::Kept { csr: c, name, mask, fixed } in known::KEPT {
        let list = b.list(&format!("kept {name}"), |rng| {
            let single = (0..64).map(|k| 1u64 << k);
            let edges =
                INTEGERS.into_iter().chain(single.clone()).chain(single.map(|x| !x)).collect::<Vec<_>>();
            let random = (0..200).map(|_| rng.next()).collect::<Vec<_>>();
            edges.into_iter().chain(random).flat_map(|x| [x & mask | fixed, 0, 0, 0]).collect()
        });
        let mut t =
            light(format!("csrrw x12, {name}, x10; csrrw x13, {name}, x12"), e::csrrw(12, *c, 10), list);
        t.slot.extend(e::csrrw(13, *c, 12).to_le_bytes());
        b.group(format!("{name} keeps"), vec![t]);
    }
}
