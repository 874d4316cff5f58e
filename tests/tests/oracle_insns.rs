//! Every instruction of every extension on QEMU and on Vitrine: see `tests::oracle`.

use engine::guest::riscv::model::{Ext, Model};
use tests::oracle::{cases, diff};

#[test]
fn every_instruction_does_what_it_does_on_qemu() {
    let only = std::env::var("VITRINE_ORACLE_PART").ok();
    let mut report = String::new();
    for (name, suite) in cases::suites() {
        if only.as_ref().is_some_and(|o| o != name) {
            continue;
        }
        let start = std::time::Instant::now();
        let tests: usize = suite.groups.iter().map(|g| g.tests.len()).sum();
        let cases: usize = suite.groups.iter().flat_map(|g| &g.tests).map(|t| suite.cases(t)).sum();
        match diff::compare(&suite, 40) {
            Ok(r) if r.is_empty() => {}
            Ok(r) => report += &format!("== {name}\n{r}"),
            Err(e) => report += &format!("== {name}: {e:#}\n"),
        }
        println!(
            "{name}: {} groups, {tests} tests, {cases} cases, {:?}",
            suite.groups.len(),
            start.elapsed()
        );
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn what_qemu_does_otherwise_is_as_specified() {
    if let Err(e) = cases::pinned::check() {
        panic!("{e:#}");
    }
}

/// A hart without Zicond must be told from the oracle, down to the case.
#[test]
fn a_difference_is_found_and_shown() {
    let mut model = Model::default();
    model.set(Ext::Zicond, false);
    let (_, suite) =
        cases::suites().into_iter().find(|s| s.0 == "integer").expect("there is an integer part");
    let report = diff::compare_on(&suite, 4, &model).expect("both sides run");
    assert!(report.starts_with("2 of "), "{report}");
    assert!(report.contains("czero.eqz x12, x10, x11") && report.contains("cause"), "{report}");
}
