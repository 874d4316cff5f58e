//! Choice of cases and subjects, and their order.

use super::guest::Guest;
use super::meter::{Until, Watch};
use super::subject::Kind;
use super::*;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: BenchArgs,
}

fn cases() -> Vec<Case> {
    let dir = tempfile::tempdir().expect("a folder");
    let places = Places { scratch: dir.path().into(), kernel: "k".into(), installer: "i".into() };
    case::all(&places, 0.1).expect("cases")
}

fn chosen(names: &[&str]) -> Vec<&'static str> {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    choose(cases(), &names).expect("known").iter().map(|c| c.name).collect()
}

fn args(line: &str) -> BenchArgs {
    Line::parse_from(std::iter::once("bench").chain(line.split_whitespace())).args
}

#[test]
fn names_choose_cases() {
    assert_eq!(chosen(&["boot"]), ["boot"]);
    assert_eq!(chosen(&["systems"]), ["boot", "boot-fixed", "installer"]);
    assert_eq!(chosen(&["ossl"]), ["ossl_sha256", "ossl_aes"]);
    assert_eq!(chosen(&["float"]), ["matmul", "nbody", "chaos", "fft", "plate"]);
    assert_eq!(chosen(&["work", "crc32"]).len(), 7);
    assert_eq!(chosen(&[]).len(), cases().len());
    let unknown = choose(cases(), &["nothing".to_owned()]).expect_err("unknown");
    assert_eq!(unknown.to_what, "nothing");
}

#[test]
fn modes_are_words_or_all() {
    assert_eq!(modes("interpreter").expect("one"), [EngineMode::Interpreter]);
    assert!(modes("all").expect("some").contains(&EngineMode::default()));
    assert!(modes("jit").expect_err("unknown").what_next.contains("tier2"));
    assert!(modes("interpreter,accelerated").is_err());
    assert!(check_scale(0.0).is_err() && check_scale(f64::NAN).is_err() && check_scale(1.0).is_ok());
}

#[test]
fn everybody_who_can_is_measured() {
    let dir = tempfile::tempdir().expect("a folder");
    let names = |line: &str, case: &str| -> Vec<String> {
        let field = Field::gather(&args(line), EngineTuning::default(), dir.path()).expect("subjects");
        let cases = cases();
        let case = cases.iter().find(|c| c.name == case).expect("a case");
        field.of(case).iter().map(|s| s.name().to_owned()).collect()
    };
    let best = EngineMode::default().word();
    let all: Vec<_> = modes("all").expect("some").into_iter().map(EngineMode::word).collect();
    assert_eq!(names("--no-native", "crc32"), all);
    assert_eq!(names("--no-native --against qemu", "boot"), [best, "qemu"]);
    assert_eq!(names("--no-native --engine interpreter --against x={kernel}", "boot"), ["interpreter", "x"]);
    assert_eq!(names("--no-native --engine interpreter --against x={kernel}", "trap"), ["interpreter"]);
    // What is compared with itself is nobody else's.
    assert_eq!(names("--no-native --against qemu", "harts"), all);
    assert_eq!(names("--no-native --against qemu", "counters"), ["adaptive"]);
    let native = names("--engine interpreter", "fib");
    assert!(native == ["interpreter", "native", "native-O3"] || native == ["interpreter"], "{native:?}");
    assert_eq!(names("--engine interpreter", "syscall"), ["interpreter"]);
}

#[test]
fn subjects_take_turns() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = dir.path().join("log");
    let texts: Vec<String> = ["a", "b"]
        .iter()
        .map(|n| format!("{n}=/bin/sh -c 'echo {n} >> {}; : {{elf}}'", log.display()))
        .collect();
    let peers = Peer::all(&texts).expect("peers");
    let subjects: Vec<Subject> = peers.into_iter().map(Subject::Peer).collect();
    let mut case = cases().swap_remove(0);
    case.plan.guest = Guest::Bare { elf: "x".into(), append: String::new(), harts: 1 };
    case.plan.watch = Watch { from: None, until: Until::Exit, proof: None };
    let row = measure(&case, &subjects.iter().collect::<Vec<_>>(), &args("--runs 3")).expect("measured");
    assert!(row.measured.iter().all(|m| m.values.len() == 3 && m.kind == Kind::Peer));
    let order = std::fs::read_to_string(&log).expect("log");
    assert_eq!(order.split_whitespace().collect::<String>(), "abbaab");
}
