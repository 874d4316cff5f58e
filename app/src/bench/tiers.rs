//! What the engine's compilers cost by its own counts: the guest runs in this process, because the counts are the engine's.

use super::guest::Guest;
use super::meter::Until;
use crate::config::{Boot, EngineTuning, MachineConfig, MemorySize, Network, NetworkMode};
use crate::machine::api::{Command, EngineMode, MachineHandle, RunState, StartOptions, UserError};
use crate::machine::{spawn, tiers};
use engine::exec::mode::TierCounts;
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};

/// Counts of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Compilers {
    /// Name of the case.
    pub case: &'static str,
    /// The mode.
    pub mode: &'static str,
    /// Nanoseconds of tier 1 for each block that it compiled.
    pub tier1_ns_per_block: Option<f64>,
    /// And for each guest instruction.
    pub tier1_ns_per_insn: Option<f64>,
    /// Microseconds of tier 2 for each guest instruction.
    pub tier2_us_per_insn: Option<f64>,
    /// All of it.
    pub counts: TierCounts,
}

fn over(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Compilers {
    fn of(case: &'static str, mode: EngineMode, counts: TierCounts) -> Compilers {
        let ([blocks, _], [insns1, insns2], [ns1, ns2]) =
            (counts.compiled, counts.compiled_insns, counts.compile_ns);
        Compilers {
            case,
            mode: mode.word(),
            tier1_ns_per_block: over(ns1, blocks),
            tier1_ns_per_insn: over(ns1, insns1),
            tier2_us_per_insn: over(ns2, insns2).map(|ns| ns / 1e3),
            counts,
        }
    }

    /// A line for the table.
    pub fn line(&self) -> String {
        let figure = |name: &str, value: Option<f64>| value.map(|v| format!("{name} {v:.2}"));
        let figures: Vec<_> = [
            figure("tier 1 ns/block", self.tier1_ns_per_block),
            figure("ns/insn", self.tier1_ns_per_insn),
            figure("tier 2 us/insn", self.tier2_us_per_insn),
        ]
        .into_iter()
        .flatten()
        .collect();
        let figures = if figures.is_empty() { "nothing was compiled".to_owned() } else { figures.join(", ") };
        format!("{:<12} {:<12} {figures}; {}", self.case, self.mode, tiers::shares(&self.counts))
    }
}

fn config(guest: &Guest, tuning: EngineTuning) -> MachineConfig {
    let text = |path: &Path| Some(path.display().to_string());
    let (boot, memory) = match guest {
        Guest::Bare { elf, append, .. } => {
            let bios = Some("none".to_owned());
            (Boot { kernel: text(elf), append: Some(append.clone()), bios, ..Boot::default() }, 64 << 20)
        }
        Guest::Linux { kernel, initrd, append } => {
            let (kernel, initrd) = (text(kernel), text(initrd));
            (Boot { kernel, initrd, append: Some(append.clone()), ..Boot::default() }, 1 << 30)
        }
    };
    let net = Network { mode: NetworkMode::None, ..Network::default() };
    MachineConfig {
        name: "bench".to_owned(),
        boot,
        net,
        tuning,
        memory: MemorySize(memory),
        ..MachineConfig::default()
    }
}

/// Waits until the text is on the console or the machine is over.
fn follow(machine: &MachineHandle, text: Option<&str>, limit: Duration) -> Result<(), UserError> {
    let news = machine.subscribe(Box::new(|| {}));
    let end = Instant::now() + limit;
    let (mut cursor, mut seen) = (0, Vec::new());
    loop {
        if let Some(port) = machine.serial().first() {
            let read = port.read_since(cursor);
            cursor = read.cursor;
            seen.extend(read.bytes);
        }
        let found = text.is_some_and(|t| seen.windows(t.len().max(1)).any(|w| w == t.as_bytes()));
        match machine.state() {
            RunState::Failed(e) => return Err(e),
            state if found || !state.is_alive() => return Ok(()),
            _ if Instant::now() > end => {
                let next = "Raise --limit.";
                return Err(UserError::new("The guest did not get there in time", machine.name(), next));
            }
            _ => {}
        }
        // What was looked through need not be again, but for a text that is half there.
        seen.drain(..seen.len().saturating_sub(256));
        news.wait(Duration::from_millis(100));
    }
}

/// Runs a guest in a mode and reads the counts at its end.
pub fn run(
    (case, guest, until): (&'static str, &Guest, &Until),
    mode: EngineMode,
    tuning: EngineTuning,
    limit: Duration,
) -> Result<Compilers, UserError> {
    let options = StartOptions { engine: Some(mode), no_reboot: true, ..StartOptions::default() };
    let machine = spawn(&config(guest, tuning), options)?;
    let text = match until {
        Until::Text(text) | Until::Idle { text, .. } => Some(*text),
        Until::Exit => None,
    };
    follow(&machine, text, limit)?;
    // A machine that is off by itself takes no command.
    let _ = machine.send(Command::PowerOff);
    follow(&machine, None, Duration::from_secs(30))?;
    Ok(Compilers::of(case, mode, machine.status().tiers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_follow_from_counts() {
        let counts = TierCounts {
            insns: [100, 300, 600],
            compiled: [10, 1],
            compiled_insns: [100, 50],
            compile_ns: [9_000, 1_000_000],
            ..TierCounts::default()
        };
        let c = Compilers::of("x", EngineMode::Adaptive, counts);
        assert_eq!((c.tier1_ns_per_block, c.tier1_ns_per_insn), (Some(900.0), Some(90.0)));
        assert_eq!(c.tier2_us_per_insn, Some(20.0));
        assert!(c.line().contains("ns/block 900.00") && c.line().contains("60.0 % tier 2"), "{}", c.line());
        let none = Compilers::of("x", EngineMode::Interpreter, TierCounts::default());
        assert!(none.line().contains("nothing was compiled"));
    }

    #[test]
    fn a_guest_is_counted() {
        let dir = tempfile::tempdir().expect("a folder");
        let elf = dir.path().join("glass.elf");
        std::fs::write(&elf, crate::machine::build::EMBEDDED).expect("written");
        let guest = Guest::Bare { elf, append: "colour off; bench fib; poweroff".to_owned(), harts: 1 };
        let limit = Duration::from_secs(60);
        let case = ("fib", &guest, &Until::Exit);
        let c = run(case, EngineMode::Interpreter, EngineTuning::default(), limit).expect("runs");
        assert!(c.counts.insns[0] > 40_000_000 && c.counts.insns[1..] == [0, 0], "{:?}", c.counts);
    }
}
