//! Random programs in M-, S- and U-mode with translation on, run whole on QEMU and on Vitrine: see `tests::oracle::random`.
//!
//! At least a million random instructions; `VITRINE_ORACLE_INSNS` asks for another number, `VITRINE_ORACLE_SEED` for one program.

use tests::oracle::random;

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|v| v.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {v:?}")))
}

#[test]
fn random_programs_end_as_on_qemu() {
    let wanted = from_env("VITRINE_ORACLE_INSNS").unwrap_or(1_000_000) as usize;
    let only = from_env("VITRINE_ORACLE_SEED");
    let (mut insns, mut programs) = (0, 0);
    let mut reports = Vec::new();
    let mut seed = only.unwrap_or(1);
    while insns < wanted && reports.len() < 5 {
        match random::compare(seed) {
            Ok((n, report)) => {
                insns += n;
                reports.extend(report);
            }
            Err(e) => reports.push(format!("seed {seed}: {e:#}")),
        }
        programs += 1;
        seed += 1;
        if only.is_some() {
            break;
        }
    }
    println!("{programs} programs, {insns} instructions");
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}
