//! What the specification pins down and QEMU does otherwise: checked on Vitrine alone, against the specification's own words.

use super::*;
use crate::oracle::ours;
use crate::oracle::runner::{Detail, FS_DIRTY, full_words};
use anyhow::{Result, ensure};
use std::time::Duration;

/// Exception codes of the table "Machine cause register values after trap".
const ILLEGAL: u64 = 2;
const STORE_MISALIGNED: u64 = 6;

struct Pinned {
    test: Test,
    cause: u64,
    tval: u64,
}

fn pinned(b: &mut Builder) -> Vec<Pinned> {
    let mut all = Vec::new();
    let mut at = |b: &mut Builder, name: &str, word: u32, address: u64| {
        let list = b.list(&format!("all {address:#x}"), |_| vec![address; 64]);
        all.push(Pinned { test: full(name.to_owned(), word, list), cause: STORE_MISALIGNED, tval: address });
    };
    for row in rows() {
        // "A": an AMO or SC at an address that is not naturally aligned raises an address-misaligned (here) or access-fault exception,
        // and AMOs and SCs raise the store/AMO kind.
        let size = match row.kind {
            Kind::Amo => 1u64 << (row.bits >> 12 & 7),
            Kind::AmoPair => 16,
            _ => continue,
        };
        for k in 1..size {
            at(b, &row.name, place(&row, 12, 10, 14), SCRATCH + k);
        }
    }
    // "Svinval": illegal in U-mode.
    let list = b.random_contexts();
    for (name, word) in [("sfence.w.inval", 0x1800_0073), ("sfence.inval.ir", 0x1810_0073)] {
        let gates = Gates { mstatus: FS_DIRTY, ..Gates::M };
        let test = Test { full: Some(gates), ..full(name.to_owned(), word, list) };
        all.push(Pinned { test, cause: ILLEGAL, tval: word as u64 });
    }
    all
}

/// Runs them; an error names the first that fails.
pub fn check() -> Result<()> {
    let mut b = Builder::new();
    let all = pinned(&mut b);
    for p in &all {
        b.group(p.test.text.clone(), vec![p.test.clone()]);
    }
    let text = ours::run(&b.suite.image(Detail::Words), Duration::from_secs(60))?;
    let lines: Vec<&str> = text.lines().collect();
    let names = full_words();
    let cause = names.iter().position(|n| n == "cause").unwrap_or_default();
    let mut at = 0;
    for p in &all {
        for _ in 0..b.suite.cases(&p.test) {
            let got = lines.get(at + cause..at + cause + 3);
            let want = [format!("{:016x}", p.cause), format!("{:016x}", p.tval), format!("{:016x}", 0)];
            ensure!(
                got.is_some_and(|g| g == want),
                "{}: cause, tval, epc are {got:?}, not {want:?}",
                p.test.text
            );
            at += names.len() + 1;
        }
    }
    ensure!(at == lines.len(), "{} lines for {at} expected", lines.len());
    Ok(())
}
