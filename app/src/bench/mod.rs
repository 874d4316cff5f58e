//! `vitrine bench`: what the emulator costs, alone or next to another one.
//!
//! The problem: figures taken at different times on shared machines say nothing. So each case runs as processes of its own,
//! ours (`vitrine run`) and the other emulator with the same arguments, in turn and in changing order, and what is
//! compared are the CPU seconds of pairs.

mod asm;
mod case;
mod meter;
pub mod programs;
mod report;
mod stats;

use crate::config::Home;
use crate::machine::api::UserError;
use crate::machine::build::sentence;
use case::{Case, Places, Take};
use clap::Args;
use meter::{MeterError, Plan};
use report::Row;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The program that `--against qemu` stands for.
const QEMU: &str = "qemu-system-riscv64";

/// `vitrine bench`
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Figures are medians (lowest to highest). CPU seconds are user and system time of the whole emulator process.\n\
    The Debian cases need `vitrine images fetch debian-riscv64` and `installer-riscv64`, or --kernel and --installer."
)]
pub struct BenchArgs {
    /// Cases, or beginnings of their names; all if none is given.
    pub names: Vec<String>,
    /// Measure another emulator in turn: "qemu", or a program that takes QEMU's words.
    #[arg(long, value_name = "qemu|PROGRAM")]
    pub against: Option<String>,
    /// How often each case is run.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// A kernel Image; mini.cpio and work.cpio lie beside it.
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// The installer's kernel; its initrd.gz lies beside it.
    #[arg(long, value_name = "FILE")]
    pub installer: Option<PathBuf>,
    /// Give a run up after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub limit: u64,
    /// Write the result as JSON to standard output, the table to standard error.
    #[arg(long)]
    pub json: bool,
    /// List the cases and run nothing.
    #[arg(long)]
    pub list: bool,
}

/// Who runs a plan.
struct Emulator {
    program: PathBuf,
    before: Vec<OsString>,
}

impl Emulator {
    fn ours() -> Result<Emulator, UserError> {
        let program = std::env::current_exe().map_err(|e| {
            UserError::new(
                format!("This program's own file could not be found: {e}"),
                "",
                "Start it by its path.",
            )
        })?;
        Ok(Emulator { program, before: vec!["run".into()] })
    }

    fn other(word: &str) -> Emulator {
        let program = if word == "qemu" { QEMU } else { word };
        Emulator { program: program.into(), before: vec![] }
    }

    fn read(&self, plan: &Plan, limit: Duration) -> Result<meter::Reading, MeterError> {
        let args = self.before.iter().chain(&plan.args).cloned().collect();
        meter::run(&self.program, &Plan { args, ..plan.clone() }, limit)
    }

    fn value(&self, case: &Case, limit: Duration) -> Result<f64, MeterError> {
        let reading = self.read(&case.plan, limit)?;
        Ok(match &case.take {
            Take::Cpu => reading.cpu,
            Take::Each { events, without } => {
                (reading.cpu - self.read(without, limit)?.cpu) * 1e9 / *events as f64
            }
            Take::Peak => reading.peak_kib.unwrap_or_default() as f64 / 1024.0,
            Take::Wall => reading.wall * 1e3,
            Take::Share => 100.0 * reading.cpu / reading.wall,
        })
    }
}

fn failed(case: &str, e: &MeterError) -> UserError {
    let next = match e {
        MeterError::Start { .. } => "Install it, or leave --against out.",
        MeterError::Late(..) => "Raise --limit.",
        MeterError::Table(_) | MeterError::Failed(_) => "Run the guest by hand and look at its console.",
    };
    UserError::new(sentence(&e.to_string()), case, next)
}

/// Measures a case with one or two emulators, in changing order.
fn measure(
    case: &Case,
    ours: &Emulator,
    other: Option<&Emulator>,
    args: &BenchArgs,
) -> Result<Row, UserError> {
    let limit = Duration::from_secs(args.limit);
    let value = |e: &Emulator| e.value(case, limit).map_err(|e| failed(case.name, &e));
    let mut row = Row {
        name: case.name.to_owned(),
        what: case.what.to_owned(),
        unit: case.take.unit(),
        ours: vec![],
        theirs: vec![],
    };
    for run in 0..args.runs {
        if run % 2 == 0 {
            row.ours.push(value(ours)?);
        }
        if let Some(other) = other {
            row.theirs.push(value(other)?);
        }
        if run % 2 == 1 {
            row.ours.push(value(ours)?);
        }
    }
    Ok(row)
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

/// The cases that `names` stand for: a full name, or all that begin with it.
fn choose(cases: Vec<Case>, names: &[String]) -> Result<Vec<Case>, UserError> {
    let fits = |case: &Case, name: &String| case.name.starts_with(name.as_str());
    if let Some(unknown) = names.iter().find(|n| !cases.iter().any(|c| fits(c, n))) {
        let next = "`vitrine bench --list` names what there is.";
        return Err(UserError::new("There is no such benchmark", unknown, next));
    }
    let exact = |name: &String| cases.iter().any(|c| c.name == name);
    let wanted = |case: &Case| {
        names.is_empty() || names.iter().any(|n| if exact(n) { case.name == n } else { fits(case, n) })
    };
    Ok(cases.iter().filter(|c| wanted(c)).cloned().collect())
}

/// Carries out `vitrine bench`; the exit status.
pub fn run(args: &BenchArgs) -> Result<u8, UserError> {
    let scratch = tempfile::tempdir()
        .map_err(|e| UserError::new(format!("No temporary folder could be made: {e}"), "", "Set TMPDIR."))?;
    let cases = case::all(&places(args, scratch.path())?).map_err(|e| {
        UserError::new(format!("The programs to measure could not be written: {e}"), "", "Set TMPDIR.")
    })?;
    let cases = choose(cases, &args.names)?;
    if args.list {
        cases.iter().for_each(|c| println!("{:<12} {}, {}", c.name, c.what, c.take.unit()));
        return Ok(0);
    }
    let rows = table(&cases, args)?;
    if args.json {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let text = report::json(&rows, args.against.as_deref(), args.runs, load.trim())
            .map_err(|e| UserError::new(format!("The result could not be written: {e}"), "", ""))?;
        println!("{text}");
    }
    Ok(0)
}

fn table(cases: &[Case], args: &BenchArgs) -> Result<Vec<Row>, UserError> {
    let say = |line: String| if args.json { eprintln!("{line}") } else { println!("{line}") };
    let ours = Emulator::ours()?;
    let other = args.against.as_deref().map(Emulator::other);
    let mut rows = Vec::new();
    say(report::heading(args.against.as_deref()));
    for case in cases {
        if let Some(missing) = case.needs.iter().find(|f| !f.exists()) {
            if args.names.is_empty() {
                say(format!("{:<12} left out: {} is not there", case.name, missing.display()));
                continue;
            }
            let next = "Fetch it with `vitrine images fetch`, or give --kernel or --installer.";
            return Err(UserError::new("The guest is not there", missing.display().to_string(), next));
        }
        let row = measure(case, &ours, other.as_ref(), args)?;
        say(report::line(&row, other.is_some()));
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> Vec<Case> {
        let dir = tempfile::tempdir().expect("a folder");
        let places = Places { scratch: dir.path().into(), kernel: "k".into(), installer: "i".into() };
        case::all(&places).expect("cases")
    }

    fn chosen(names: &[&str]) -> Vec<&'static str> {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        choose(cases(), &names).expect("known").iter().map(|c| c.name).collect()
    }

    #[test]
    fn names_choose_cases() {
        assert_eq!(chosen(&["boot"]), ["boot"]);
        assert_eq!(chosen(&["ossl"]), ["ossl_sha256", "ossl_aes"]);
        assert_eq!(chosen(&[]).len(), cases().len());
        let unknown = choose(cases(), &["nothing".to_owned()]).expect_err("unknown");
        assert_eq!(unknown.to_what, "nothing");
    }

    #[test]
    fn emulators_take_turns() {
        let dir = tempfile::tempdir().expect("a folder");
        let log = dir.path().join("log");
        let emulator = |name: &str| Emulator {
            program: "/bin/sh".into(),
            before: vec!["-c".into(), format!("echo {name} >> {}", log.display()).into()],
        };
        let mut case = cases().swap_remove(0);
        case.plan = Plan { args: vec![], from: None, until: meter::Until::Exit, proof: None };
        let args = BenchArgs {
            names: vec![],
            against: None,
            runs: 3,
            kernel: None,
            installer: None,
            limit: 60,
            json: false,
            list: false,
        };
        let row = measure(&case, &emulator("a"), Some(&emulator("b")), &args).expect("measured");
        assert_eq!((row.ours.len(), row.theirs.len()), (3, 3));
        let order = std::fs::read_to_string(&log).expect("log");
        assert_eq!(order.split_whitespace().collect::<String>(), "abbaab");
    }
}
