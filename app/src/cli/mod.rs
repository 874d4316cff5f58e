//! The command line.
//!
//! The problem: people know QEMU's options by heart and the web is full of recipes with them, so they are taken as they are
//! ([`words`], [`translate`]); and a program without a window must say what went wrong in words and by its exit
//! status ([`report`]).

mod debug;
mod headless;
mod images;
mod list;
mod machine;
mod near;
mod options;
mod report;
mod run;
mod symbols;
mod translate;
mod words;

use crate::config::EngineTuning;
use clap::Parser;
use options::{Cli, CliCommand};
use report::Failure;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Runs the program with this process's arguments.
pub fn main() -> ExitCode {
    log();
    ExitCode::from(run_with(std::env::args_os().collect()))
}

/// Runs the program with these arguments (the first is its name) and gives the exit status.
pub fn run_with(args: Vec<OsString>) -> u8 {
    match parse(args).and_then(dispatch) {
        Ok(code) => code,
        Err(failure) => {
            failure.print();
            failure.code()
        }
    }
}

fn parse(mut args: Vec<OsString>) -> Result<Cli, Failure> {
    // QEMU's words are known to these commands; the others have clap's only.
    let words_from = match args.get(1).and_then(|a| a.to_str()) {
        Some("run") => 2,
        Some("debug") => 3,
        _ => args.len(),
    };
    let rest = args.split_off(words_from.min(args.len()));
    args.extend(words::normalise(rest)?);
    Ok(Cli::try_parse_from(args)?)
}

fn dispatch(cli: Cli) -> Result<u8, Failure> {
    match cli.command {
        None => run::window(),
        Some(CliCommand::Run(args)) => run::run(&args),
        Some(CliCommand::Images(command)) => images::run(command),
        Some(CliCommand::Machine(command)) => machine::run(command),
        Some(CliCommand::Bench(args)) => {
            let mut tuning = EngineTuning::default();
            if let Some(list) = &args.engine_tuning {
                translate::tuning(list, &mut tuning)?;
            }
            Ok(crate::bench::run(&args, tuning)?)
        }
        Some(CliCommand::Debug(command)) => debug::run(command),
    }
}

/// The log goes to standard error; `VITRINE_LOG` says how much of it (error, warn, info, debug, trace, or by module).
fn log() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("VITRINE_LOG").unwrap_or_else(|_| EnvFilter::new("error"));
    let colours = std::io::stderr().is_terminal();
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // A second call, as in tests, changes nothing.
    let _ = subscriber.try_init();
}

#[cfg(test)]
mod tests;
