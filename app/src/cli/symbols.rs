//! `vitrine debug symbols`: the names of a guest's code, from its kernel's own memory and from files.

use super::options::SymbolsArgs;
use super::report::{Failure, failed, print, usage};
use super::translate;
use crate::machine::api::{Command, MachineHandle, RunState, StartOptions};
use crate::machine::build::sentence;
use crate::machine::spawn;
use crate::symbols::finder::Finder;
use crate::symbols::kallsyms::Kernel;
use crate::symbols::{Place, Symbol, SymbolError, Symbols, file};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Names that `--find` prints at most.
const MAX_FOUND: usize = 1000;
/// How long a kernel must stay as it was found. One that moves itself does so in the first moments of its boot.
const SETTLE: Duration = Duration::from_millis(1500);
/// How often to look.
const TICK: Duration = Duration::from_millis(50);
/// How long the machine may take to switch off.
const OFF_PATIENCE: Duration = Duration::from_secs(10);

/// Carries out the command.
pub fn run(args: &SymbolsArgs) -> Result<u8, Failure> {
    let addresses = args.at.iter().map(|a| address(a)).collect::<Result<Vec<_>, _>>()?;
    let patience = Duration::try_from_secs_f64(args.timeout)
        .map_err(|_| usage("This is no number of seconds", "--timeout", "Write one such as 30."))?;
    let mut symbols = Symbols::default();
    for path in &args.symbols {
        let wrong = |e: SymbolError| failed(sentence(&e.to_string()), path.display().to_string(), "");
        symbols.put(Arc::new(file::load(path).map_err(wrong)?)).map_err(wrong)?;
    }
    let boots = args.machine != Default::default();
    if boots || args.symbols.is_empty() {
        let kernel = of_machine(args, patience)?;
        let wrong = |e: SymbolError| failed(sentence(&e.to_string()), "--symbols", "");
        symbols.put(kernel.table).map_err(wrong)?;
    }
    print(&answer(&symbols, args.find.as_deref(), &addresses))?;
    Ok(0)
}

fn address(text: &str) -> Result<u64, Failure> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).map_err(|_| {
        usage("This is no address", format!("--at {text}"), "Write it as in 0xffffffff80002000.")
    })
}

/// Boots the machine until its kernel's symbols are found.
fn of_machine(args: &SymbolsArgs, patience: Duration) -> Result<Kernel, Failure> {
    let mut config = translate::launch(&args.machine, None)?.config;
    translate::check_files(&config)?;
    // Disks and networks do not change with who looks at symbols.
    config.net.hostfwd.clear();
    config.drives.iter_mut().for_each(|d| d.snapshot = true);
    let machine = spawn(&config, StartOptions::default())?;
    let found = wait_for_kernel(&machine, patience);
    let _ = machine.send(Command::PowerOff);
    let begin = Instant::now();
    while machine.state().is_alive() && begin.elapsed() < OFF_PATIENCE {
        std::thread::sleep(TICK);
    }
    found
}

fn wait_for_kernel(machine: &MachineHandle, patience: Duration) -> Result<Kernel, Failure> {
    let begin = Instant::now();
    let mut finder = Finder::default();
    let mut since = begin;
    loop {
        let state = machine.state();
        let now = Instant::now();
        if finder.poll(machine, now) {
            since = now;
        }
        match finder.kernel() {
            Some(kernel) if now - since >= SETTLE && kernel.is_current(machine) => return Ok(kernel.clone()),
            _ => {}
        }
        let next = "Boot a Linux kernel with CONFIG_KALLSYMS, or name a file with --symbols.";
        match state {
            RunState::Failed(e) => return Err(e.into()),
            RunState::Off { .. } => {
                return Err(failed("The guest switched itself off before its symbols were found", "", next));
            }
            _ if now - begin >= patience => {
                let what = format!("No kernel's symbols were found in {:.0} s", patience.as_secs_f64());
                return Err(failed(what, "--timeout", next));
            }
            _ => std::thread::sleep(TICK),
        }
    }
}

/// What was asked for, as text: names, addresses, or all symbols in the form of a `System.map`.
fn answer(symbols: &Symbols, find: Option<&str>, addresses: &[u64]) -> String {
    let mut text = String::new();
    for address in addresses {
        let place = symbols.at(*address).or_else(|| symbols.at_physical(*address));
        let name = place.as_ref().map_or_else(|| "?".to_owned(), Place::to_string);
        let _ = writeln!(text, "{address:#018x} {name}");
    }
    match find {
        Some(part) => symbols.search(part, MAX_FOUND).iter().for_each(|s| line(&mut text, s)),
        None if addresses.is_empty() => {
            symbols.sources().iter().flat_map(|t| t.iter()).for_each(|s| line(&mut text, &s));
        }
        None => {}
    }
    text
}

fn line(text: &mut String, symbol: &Symbol<'_>) {
    let _ = write!(text, "{:016x} {} {}", symbol.address, symbol.kind.letter(), symbol.name);
    if !symbol.module.is_empty() {
        let _ = write!(text, "\t[{}]", symbol.module);
    }
    text.push('\n');
}
