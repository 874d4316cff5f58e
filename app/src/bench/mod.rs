//! `vitrine bench`: what the emulator costs, in each mode, next to the host's own code and to other emulators.
//!
//! The problem: figures taken at different times on shared machines say nothing. So each case runs as processes of its own,
//! ours (`vitrine run`) and the others', in turn and in changing order, and what is compared are the CPU seconds of runs
//! that lay next to each other.

mod args;
mod asm;
mod case;
mod guest;
mod kernels;
mod means;
mod meter;
mod native;
mod peer;
pub mod programs;
mod report;
mod stats;
mod subject;
mod tiers;

use crate::config::{EngineTuning, Home};
use crate::machine::api::{EngineMode, UserError};
use crate::machine::build::sentence;
pub use args::BenchArgs;
use case::{Case, Places, Take};
use native::{Native, Variant};
use peer::Peer;
use report::{Measured, Outcome, Row};
use std::path::Path;
use std::time::Duration;
use subject::Subject;

/// Largest scale: beyond it the guest takes no more passes.
const SCALE_MAX: f64 = 1000.0;

/// Says on standard error what is going on, where that takes long.
fn note(case: &Case, subject: &str, more: &str) {
    if case.is_linux() {
        eprintln!("vitrine: {}: {subject}{more}", case.name);
    }
}

/// Measures a case with all subjects, in changing order.
fn measure(case: &Case, subjects: &[&Subject], args: &BenchArgs) -> Result<Row, UserError> {
    let limit = Duration::from_secs(args.limit);
    let empty = |s: &&Subject| Measured {
        subject: s.name().to_owned(),
        kind: s.kind(),
        values: vec![],
        vcpu: vec![],
    };
    let mut measured: Vec<Measured> = subjects.iter().map(empty).collect();
    for run in 0..args.runs {
        let mut order: Vec<_> = subjects.iter().zip(&mut measured).collect();
        if run % 2 == 1 {
            order.reverse();
        }
        for (subject, measured) in order {
            note(case, subject.name(), &format!(", run {} of {}", run + 1, args.runs));
            let sample = subject.sample(case, args.scale, limit);
            let sample = sample.map_err(|e| e.told(case.name, subject.name()))?;
            measured.values.push(sample.value);
            measured.vcpu.extend(sample.vcpu);
        }
    }
    let (name, what) = (case.name.to_owned(), case.what.to_owned());
    Ok(Row { name, what, group: case.group, unit: case.take.unit(), measured })
}

fn places(args: &BenchArgs, scratch: &Path) -> Result<Places, UserError> {
    let home = Home::find().map_err(|e| UserError::new(sentence(&e.to_string()), "", ""))?;
    let images = home.images_dir();
    Ok(Places {
        scratch: scratch.to_owned(),
        kernel: args.kernel.clone().unwrap_or_else(|| images.join("debian-riscv64/Image")),
        installer: args.installer.clone().unwrap_or_else(|| images.join("installer-riscv64/linux")),
    })
}

/// The cases that `names` stand for: a full name, a group, or all that begin with it.
fn choose(cases: Vec<Case>, names: &[String]) -> Result<Vec<Case>, UserError> {
    let exact = |name: &str| cases.iter().any(|c| c.name == name);
    let group = |name: &str| cases.iter().any(|c| c.group.title() == name);
    let fits = |case: &Case, name: &str| match (exact(name), group(name)) {
        (true, _) => case.name == name,
        (_, true) => case.group.title() == name,
        _ => case.name.starts_with(name),
    };
    if let Some(unknown) = names.iter().find(|n| !cases.iter().any(|c| fits(c, n))) {
        let next = "`vitrine bench --list` names what there is.";
        return Err(UserError::new("There is no such benchmark", unknown, next));
    }
    let wanted = |case: &Case| names.is_empty() || names.iter().any(|n| fits(case, n));
    Ok(cases.iter().filter(|c| wanted(c)).cloned().collect())
}

/// The modes that a word of the command line stands for.
fn modes(word: &str) -> Result<Vec<EngineMode>, UserError> {
    let can = |m: &EngineMode| m.unavailable().is_none();
    if word == "all" {
        return Ok(EngineMode::ALL.into_iter().filter(can).collect());
    }
    let mode = |word: &str| {
        let words = EngineMode::ALL.map(EngineMode::word).join(", ");
        let mode = EngineMode::from_word(word).ok_or_else(|| {
            let next = format!("There are: all, {words}.");
            UserError::new(format!("There is no engine mode \"{word}\""), "--engine", next)
        })?;
        match mode.unavailable() {
            None => Ok(mode),
            Some(why) => Err(UserError::new(format!("{} is not available", mode.title()), "--engine", why)),
        }
    };
    word.split(',').map(mode).collect()
}

/// Everybody who is measured, and with what.
struct Field {
    subjects: Vec<Subject>,
    tuning: EngineTuning,
    /// Whether somebody asked for modes: then Linux runs in all of them too.
    asked: bool,
}

impl Field {
    fn gather(args: &BenchArgs, tuning: EngineTuning, scratch: &Path) -> Result<Field, UserError> {
        let program = std::env::current_exe().map_err(|e| {
            let next = "Start it by its path.";
            UserError::new(format!("This program's own file could not be found: {e}"), "", next)
        })?;
        let modes = modes(args.engine.as_deref().unwrap_or("all"))?;
        let ours =
            |mode| Subject::Ours { program: program.clone(), mode, tuning: args.engine_tuning.clone() };
        let mut subjects: Vec<Subject> = modes.into_iter().map(ours).collect();
        for variant in Variant::ALL.into_iter().filter(|_| !args.no_native) {
            match Native::compile(&args.cc, variant, scratch)? {
                Some(native) => subjects.push(Subject::Native(native)),
                None => eprintln!(
                    "vitrine: there is no compiler \"{}\", so nothing is compared with native code",
                    args.cc
                ),
            }
        }
        subjects.extend(Peer::all(&args.against)?.into_iter().map(Subject::Peer));
        Ok(Field { subjects, tuning, asked: args.engine.is_some() })
    }

    /// Those who are measured in a case.
    fn of(&self, case: &Case) -> Vec<&Subject> {
        let long = case.is_linux() && !self.asked;
        let wanted = |s: &&Subject| match s {
            Subject::Ours { mode, .. } => s.fits(case) && (!long || *mode == EngineMode::default()),
            _ => s.fits(case),
        };
        self.subjects.iter().filter(wanted).collect()
    }
}

fn check_scale(scale: f64) -> Result<(), UserError> {
    let fits = scale > 0.0 && scale <= SCALE_MAX;
    let next = "Write a number above 0, such as 0.1 or 1.";
    if fits { Ok(()) } else { Err(UserError::new(format!("{scale} is no scale"), "--scale", next)) }
}

/// Carries out `vitrine bench`, with the engine tuned as its arguments say; the exit status.
pub fn run(args: &BenchArgs, tuning: EngineTuning) -> Result<u8, UserError> {
    check_scale(args.scale)?;
    let scratch = tempfile::tempdir()
        .map_err(|e| UserError::new(format!("No temporary folder could be made: {e}"), "", "Set TMPDIR."))?;
    let cases = case::all(&places(args, scratch.path())?, args.scale).map_err(|e| {
        UserError::new(format!("The programs to measure could not be written: {e}"), "", "Set TMPDIR.")
    })?;
    let cases = choose(cases, &args.names)?;
    if args.list {
        cases
            .iter()
            .for_each(|c| println!("{:<12} {:<8} {}, {}", c.name, c.group.title(), c.what, c.take.unit()));
        return Ok(0);
    }
    let outcome = table(&cases, &Field::gather(args, tuning, scratch.path())?, args)?;
    if args.json {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let text = report::json(&outcome, args.runs, args.scale, load.trim())
            .map_err(|e| UserError::new(format!("The result could not be written: {e}"), "", ""))?;
        println!("{text}");
    }
    Ok(0)
}

fn table(cases: &[Case], field: &Field, args: &BenchArgs) -> Result<Outcome, UserError> {
    let say = |line: &str| if args.json { eprintln!("{line}") } else { println!("{line}") };
    let mut outcome = Outcome::default();
    for case in cases {
        if let Some(missing) = case.needs.iter().find(|f| !f.exists()) {
            if args.names.is_empty() {
                say(&format!("{:<12} left out: {} is not there", case.name, missing.display()));
                continue;
            }
            let next = "Fetch it with `vitrine images fetch`, or give --kernel or --installer.";
            return Err(UserError::new("The guest is not there", missing.display().to_string(), next));
        }
        let subjects = field.of(case);
        if case.take == Take::Tiers {
            for mode in subjects.iter().filter_map(|s| mode_of(s)) {
                note(case, mode.word(), "");
                let plan = (case.name, &case.plan.guest, &case.plan.watch.until);
                let read = tiers::run(plan, mode, field.tuning, Duration::from_secs(args.limit))?;
                say(&read.line());
                outcome.compilers.push(read);
            }
            continue;
        }
        let row = measure(case, &subjects, args)?;
        say(&report::lines(&row));
        outcome.rows.push(row);
    }
    outcome.means = means::of(&outcome.rows);
    if !outcome.means.is_empty() {
        say(&report::means(&outcome.means));
    }
    Ok(outcome)
}

/// The mode of a subject that compiles.
fn mode_of(subject: &Subject) -> Option<EngineMode> {
    match subject {
        Subject::Ours { mode, .. } => Some(*mode).filter(|m| *m != EngineMode::Interpreter),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
