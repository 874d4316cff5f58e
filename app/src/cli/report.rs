//! The one place that tells a person what went wrong: what happened, to what, what to do next; and the exit status.

use crate::config::ConfigError;
use crate::machine::api::UserError;
use std::io::Write;

/// Exit status for anything that is not one of the others.
pub const EXIT_ERROR: u8 = 1;
/// Exit status for a command line or a machine's description that cannot be understood.
pub const EXIT_USAGE: u8 = 2;
/// Exit status when `--timeout` ended the run; the same as that of coreutils' `timeout`.
pub const EXIT_TIMEOUT: u8 = 124;

/// Why a command ends.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong.
    Usage(UserError),
    /// A machine's description is wrong.
    Config(ConfigError),
    /// The command line is fine, but the thing cannot be done.
    Error(UserError),
    /// What clap has to say: help, version, or a mistake.
    Clap(Box<clap::Error>),
}

impl From<UserError> for Failure {
    fn from(error: UserError) -> Failure {
        Failure::Error(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::Config(error)
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Failure {
        Failure::Clap(Box::new(error))
    }
}

/// A mistake in the command line.
pub fn usage(what: impl Into<String>, to_what: impl Into<String>, what_next: impl Into<String>) -> Failure {
    Failure::Usage(UserError::new(what, to_what, what_next))
}

/// Something that cannot be done.
pub fn failed(what: impl Into<String>, to_what: impl Into<String>, what_next: impl Into<String>) -> Failure {
    Failure::Error(UserError::new(what, to_what, what_next))
}

impl Failure {
    /// The exit status.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) | Failure::Config(_) => EXIT_USAGE,
            Failure::Error(_) => EXIT_ERROR,
            // Help and version are no failures.
            Failure::Clap(e) => u8::try_from(e.exit_code()).unwrap_or(EXIT_USAGE),
        }
    }

    /// The words for the person, as lines.
    pub fn text(&self) -> String {
        match self {
            Failure::Usage(e) | Failure::Error(e) => format!("vitrine: {e}"),
            Failure::Config(e) => e.to_string(),
            Failure::Clap(e) => e.to_string(),
        }
    }

    /// Tells the person.
    pub fn print(&self) {
        match self {
            // A closed terminal cannot be told anything.
            Failure::Clap(e) => drop(e.print()),
            _ => note(&self.text()),
        }
    }
}

/// A line for the person on standard error; a closed one is no reason to fail.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes a command's result to standard output. A reader that has left (`| head`) is no error.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(failed(
            format!("The output cannot be written: {e}"),
            "standard output",
            "Make room or choose another place.",
        )),
        _ => Ok(()),
    }
}
