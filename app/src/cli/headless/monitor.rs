//! The small monitor behind Ctrl-A c: a line of text in, a command to the machine and an answer out.

use crate::cli::translate::engine;
use crate::machine::api::{
    AfterSave, CodePin, CodeRange, Command, EngineMode, MachineHandle, RunState, UserError, level,
};
use crate::machine::tiers;
use engine::tier::pins::Pin;
use std::path::PathBuf;

/// Longest line that can be typed.
const LINE_MAX: usize = 1024;

/// What shows that a line can be typed.
pub const PROMPT: &str = "(vitrine) ";

const HELP: &str = "info status      what the machine does
info tiers       what the engine's tiers have done (info jit is the same)
stop, cont       pause and go on
engine [MODE]    how guest code runs
engine pin ADDR[-END] interpreter|tier1|tier2
                 holds guest code at physical addresses in a tier
engine unpin [ADDR[-END]]
                 lets it go, or all
save FILE        write the machine's state to a file
system_reset     boot again
quit             switch the machine off
Ctrl-A c         back to the machine's console";

const PIN: &str = "engine pin needs a range of physical addresses, and interpreter, tier1 or tier2.";

/// A line's outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Text for the person.
    Say(String),
    /// A command for the machine.
    Do(Command),
    /// Switch the machine off and leave.
    Quit,
}

/// The line being typed. The terminal is raw, so that echo and erasing are done here.
#[derive(Default, Debug)]
pub struct Monitor {
    line: Vec<u8>,
}

impl Monitor {
    /// Takes typed bytes: what to show on the terminal, and the complete lines.
    pub fn typed(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<String>) {
        let (mut echo, mut lines) = (Vec::new(), Vec::new());
        for &byte in bytes {
            match byte {
                b'\r' | b'\n' => {
                    echo.extend(b"\r\n");
                    lines.push(String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned());
                }
                0x7f | 0x08 => echo.extend(self.line.pop().map_or(&b""[..], |_| b"\x08 \x08")),
                // Ctrl-U
                0x15 => {
                    echo.extend(b"\x08 \x08".repeat(self.line.len()));
                    self.line.clear();
                }
                0x20..=0x7e if self.line.len() < LINE_MAX => {
                    self.line.push(byte);
                    echo.push(byte);
                }
                _ => {}
            }
        }
        (echo, lines)
    }
}

/// Carries out a line.
pub fn command(line: &str, machine: &MachineHandle) -> Option<Outcome> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let say = |text: &str| Some(Outcome::Say(text.to_owned()));
    match words.as_slice() {
        [] => None,
        ["help" | "?" | "h"] => say(HELP),
        ["info", "status"] | ["info"] => Some(Outcome::Say(status(machine))),
        ["info", "tiers" | "jit"] => Some(Outcome::Say(tiers::report(&machine.status()))),
        ["stop" | "pause" | "s"] => Some(Outcome::Do(Command::Pause)),
        ["cont" | "c" | "resume"] => Some(Outcome::Do(Command::Resume)),
        ["system_reset" | "reset"] => Some(Outcome::Do(Command::Reset)),
        ["quit" | "q" | "system_powerdown" | "exit"] => Some(Outcome::Quit),
        ["engine"] => {
            let can = EngineMode::ALL.into_iter().filter(|m| m.unavailable().is_none());
            let words: Vec<_> = can.map(EngineMode::word).collect();
            let now = machine.status().engine.word();
            Some(Outcome::Say(format!("{now} (there are: {})", words.join(", "))))
        }
        ["engine", "unpin"] => Some(Outcome::Do(Command::Unpin(None))),
        ["engine", "pin"] => say(PIN),
        ["engine", word] => Some(match engine(word) {
            Ok(mode) => Outcome::Do(Command::SetEngine(mode)),
            Err(e) => Outcome::Say(e.text()),
        }),
        ["engine", "pin", range, tier] => Some(change(pin(range, tier))),
        ["engine", "pin", ..] => say(PIN),
        ["engine", "unpin", range] => Some(change(range.parse().map(|r| Command::Unpin(Some(r))))),
        ["save" | "savevm", ..] => {
            let path = line.trim_start().split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim());
            if path.is_empty() {
                return say("save needs the name of a file.");
            }
            let then = AfterSave::Continue;
            Some(Outcome::Do(Command::SaveState { path: PathBuf::from(path), then }))
        }
        [word, ..] => Some(Outcome::Say(format!("There is no command \"{word}\"; help lists them."))),
    }
}

fn pin(range: &str, tier: &str) -> Result<Command, UserError> {
    let CodeRange(range) = range.parse()?;
    Ok(Command::Pin(CodePin(Pin { range, level: level(tier)? })))
}

fn change(command: Result<Command, UserError>) -> Outcome {
    command.map_or_else(|e| Outcome::Say(e.to_string()), Outcome::Do)
}

fn status(machine: &MachineHandle) -> String {
    let status = machine.status();
    let state = match &status.state {
        RunState::Starting => "starting".to_owned(),
        RunState::Running => "running".to_owned(),
        RunState::Paused => "paused".to_owned(),
        RunState::Off { .. } => "off".to_owned(),
        RunState::Failed(e) => format!("failed: {e}"),
    };
    let retired: u64 = status.harts.iter().map(|h| h.retired).sum();
    let online = status.harts.iter().filter(|h| h.started).count();
    format!(
        "{}: {state}, engine {}, {} of {} harts started, {retired} instructions in {:.1} s",
        machine.name(),
        status.engine.word(),
        online,
        status.harts.len(),
        status.uptime_ns as f64 / 1e9,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::api::channel;

    #[test]
    fn lines_are_edited_and_echoed() {
        let mut monitor = Monitor::default();
        assert_eq!(monitor.typed(b"infx\x7fo"), (b"infx\x08 \x08o".to_vec(), Vec::new()));
        assert_eq!(monitor.typed(b" status\r").1, ["info status"]);
        assert_eq!(monitor.typed(b"abc\x15q\n").1, ["q"]);
    }

    #[test]
    fn commands_are_understood() {
        let (machine, _end) = channel("m", &["ttyS0"], 2, EngineMode::Interpreter);
        let run = |line: &str| command(line, &machine);
        assert_eq!(run("stop"), Some(Outcome::Do(Command::Pause)));
        assert_eq!(run("  "), None);
        assert_eq!(run("q"), Some(Outcome::Quit));
        let Some(Outcome::Say(text)) = run("info status") else { panic!("says something") };
        assert!(text.contains("starting") && text.contains("2 harts"), "{text}");
        let Some(Outcome::Do(Command::SaveState { path, .. })) = run("save my file") else { panic!("saves") };
        assert_eq!(path, PathBuf::from("my file"));
        assert!(matches!(run("engine jit"), Some(Outcome::Say(_))));
        assert_eq!(run("engine tier2"), Some(Outcome::Do(Command::SetEngine(EngineMode::Tier2))));
        let pinned: CodePin = "0x80200000-0x80201000=interpreter".parse().expect("a pin");
        assert_eq!(
            run("engine pin 0x80200000-0x80201000 interpreter"),
            Some(Outcome::Do(Command::Pin(pinned)))
        );
        assert_eq!(run("engine unpin"), Some(Outcome::Do(Command::Unpin(None))));
        assert_eq!(run("engine unpin 16"), Some(Outcome::Do(Command::Unpin(Some(CodeRange(16..17))))));
        for (line, part) in [
            ("engine pin", "physical"),
            ("engine pin 0x80200000", "physical"),
            ("engine pin 0x80200000 adaptive", "tier1, tier2"),
            ("engine pin 0x20-0x10 tier1", "ends before"),
            ("engine unpin here", "no range"),
        ] {
            let Some(Outcome::Say(text)) = run(line) else { panic!("{line} says something") };
            assert!(text.contains(part), "{line}: {text}");
        }
        let Some(Outcome::Say(text)) = run("engine") else { panic!("says something") };
        assert!(
            text.starts_with("interpreter (there are: interpreter") && !text.contains("accelerated"),
            "{text}"
        );
        let Some(Outcome::Say(text)) = run("info tiers") else { panic!("says something") };
        assert!(text.starts_with("engine interpreter: 0 instructions"), "{text}");
        assert!(matches!(run("dance"), Some(Outcome::Say(_))));
    }
}
