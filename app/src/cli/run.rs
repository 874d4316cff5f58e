//! `vitrine run`, and the window.

use super::headless::{self, Plan};
use super::options::{MachineArgs, RunArgs};
use super::report::{Failure, failed, note, usage};
use super::translate::{self, Launch};
use crate::config::{Home, MachineConfig, MachineLock};
use crate::gui::{self, GuiOptions, StartWith};
use crate::machine;
use crate::machine::api::StartOptions;
use std::sync::Arc;
use std::time::Duration;

/// Carries out `vitrine run`.
pub fn run(args: &RunArgs) -> Result<u8, Failure> {
    let Launch { config, ports, lockstep } = translate::launch(&args.machine, args.resume.as_deref())?;
    let timeout = args.timeout.map(seconds).transpose()?;
    let headless = headless(args)?;
    if lockstep && !headless {
        let next = "Add --headless.";
        return Err(usage("Machines in lockstep run in the terminal", "--engine lockstep", next));
    }
    translate::check_files(&config)?;
    let options = StartOptions {
        paused: args.paused,
        resume_from: args.resume.clone(),
        engine: None,
        no_reboot: args.no_reboot,
    };
    if !headless && has_display() {
        return in_window(args, config, options);
    }
    if !headless {
        note("vitrine: there is no display, so it runs in the terminal; Ctrl-A x leaves, Ctrl-A h helps");
    }
    let _lock = lock(args, &config)?;
    let machine = match lockstep {
        true => machine::lockstep::spawn(&config, options)?,
        false => machine::spawn(&config, options)?,
    };
    headless::drive(&machine, Plan { ports, timeout, save: args.save.clone() })
}

/// Opens the window.
pub fn window() -> Result<u8, Failure> {
    if !has_display() {
        return Err(no_display());
    }
    open(StartWith::Default)
}

/// Opens the window with a machine of the command line's, running.
fn in_window(args: &RunArgs, config: MachineConfig, options: StartOptions) -> Result<u8, Failure> {
    let given = [("--timeout", args.timeout.is_some()), ("--save", args.save.is_some())];
    if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
        return Err(usage(format!("{option} has no meaning in the window"), "", "Add --headless."));
    }
    let start = match library_id(args, &config) {
        Some(id) if args.resume.is_none() => StartWith::Id(id.to_owned()),
        _ => {
            let dir = std::env::current_dir().unwrap_or_default();
            StartWith::Config { config: Box::new(config), dir, options }
        }
    };
    open(start)
}

fn open(start: StartWith) -> Result<u8, Failure> {
    let home = Home::find().map_err(|e| failed(format!("Machines cannot be kept: {e}"), "", ""))?;
    gui::run(GuiOptions { home, start, launch: Arc::new(machine::spawn) })?;
    Ok(0)
}

/// The id, if the machine is one of the library and nothing but its id was given.
fn library_id<'a>(args: &RunArgs, config: &'a MachineConfig) -> Option<&'a str> {
    let named = MachineArgs { file: Some(config.id.clone()), ..MachineArgs::default() };
    let stored = Home::find().ok()?.machine_file(&config.id).is_file();
    (stored && args.machine == named).then_some(config.id.as_str())
}

/// A machine of the library has one user at a time.
fn lock(args: &RunArgs, config: &MachineConfig) -> Result<Option<MachineLock>, Failure> {
    let id = &config.id;
    if args.machine.file.as_deref() != Some(id.as_str()) || id.is_empty() {
        return Ok(None);
    }
    let home = Home::find().map_err(|e| failed(format!("Machines cannot be found: {e}"), "", ""))?;
    if !home.machine_file(id).is_file() {
        return Ok(None);
    }
    let next = "Close it there, or copy its file and run the copy.";
    home.lock(id).map(Some).map_err(|e| failed(machine::build::sentence(&e.to_string()), id, next))
}

fn headless(args: &RunArgs) -> Result<bool, Failure> {
    let none = match args.display.as_deref() {
        None | Some("window" | "gtk" | "sdl" | "default") => false,
        Some("none") => true,
        Some(other) => {
            let next = "Use -display none, or leave it out for the window.";
            return Err(usage(format!("There is no display \"{other}\""), "-display", next));
        }
    };
    let words = args.machine.serial.iter().chain(&args.machine.chardev);
    let on_terminal = words.clone().any(|w| w.contains("stdio"));
    Ok(args.headless || none || on_terminal)
}

fn seconds(text: f64) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(text).ok().filter(|t| !t.is_zero()).ok_or_else(|| {
        usage(
            format!("{text} is no number of seconds"),
            "--timeout",
            "Write a number above 0, such as 60 or 0.5.",
        )
    })
}

/// Whether a window can be opened at all.
fn has_display() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    set("DISPLAY") || set("WAYLAND_DISPLAY")
}

fn no_display() -> Failure {
    failed(
        "There is no display to open a window on",
        "",
        "Set DISPLAY or WAYLAND_DISPLAY, or stay in the terminal: vitrine run --headless --embedded",
    )
}
