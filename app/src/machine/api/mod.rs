//! The one interface to a running machine: commands in, events, counters and serial bytes out.
//!
//! Window, command line and (later) monitor, gdb server and statistics socket all use it, and none of them can block the
//! engine, nor the engine them: commands go into a bounded channel, events and serial output lie in bounded rings that a
//! reader follows with a cursor of its own, and counters are read from the machine's atomics when somebody asks.
//!
//! The machine's thread makes the pair with [`channel`], keeps the [`MachineEnd`] and hands out the [`MachineHandle`].

mod engine_mode;
mod handle;
mod pin;
mod serial;

use crate::config::EngineTuning;
use devices::metrics::DeviceReport;
use engine::exec::mode::{TierCounts, Tuning};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

pub use engine::tier::monitor::HartStatus;
pub use engine_mode::EngineMode;
pub use handle::{MachineEnd, MachineHandle, Source, Subscription, channel};
pub use pin::{CodePin, CodeRange, level};
pub use serial::{SerialPort, SerialRead};

/// Version of [`Command`] and [`Event`]; raised when one of them changes its meaning.
pub const API_VERSION: u16 = 1;

/// Names a command, so that its [`Event::Done`] or [`Event::Failed`] can be told from others. Unique for a machine's life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// What to do after a state was saved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum AfterSave {
    /// Go on as before (running or paused).
    #[default]
    Continue,
    /// Switch the machine off: its exit is [`GuestExit::Suspended`].
    PowerOff,
}

/// What a machine can be told to do.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Stop all harts and the guest's clock.
    Pause,
    /// Go on after [`Command::Pause`].
    Resume,
    /// Reset harts and devices, and boot again.
    Reset,
    /// Switch off at once, without asking the guest: nothing it has not written is saved.
    PowerOff,
    /// Write the whole state to a file, atomically.
    SaveState {
        /// The file.
        path: PathBuf,
        /// What then.
        then: AfterSave,
    },
    /// Change how guest code runs.
    SetEngine(EngineMode),
    /// Change the engine's thresholds and sizes; what is absent goes back to its default. The number of compiling threads is taken over by
    /// a reset.
    Tune(EngineTuning),
    /// Hold the guest code in a range in a tier, from now on and after a reset.
    Pin(CodePin),
    /// Let a range go, `None` all.
    Unpin(Option<CodeRange>),
    /// Bytes for a serial port. [`SerialPort::write`] is the way for interactive input; this is the way for scripts.
    Serial {
        /// Number of the port.
        port: u8,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// A command with its number.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Its number.
    pub id: RequestId,
    /// The command.
    pub command: Command,
}

/// What happened to or in a machine.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// It entered another state.
    StateChanged(RunState),
    /// A command was carried out.
    Done {
        /// Which.
        request: RequestId,
    },
    /// A command was not carried out.
    Failed {
        /// Which.
        request: RequestId,
        /// Why.
        error: UserError,
    },
    /// The guest switched itself off. A [`Event::StateChanged`] to [`RunState::Off`] follows.
    GuestExit {
        /// 0 for power-off, else the code that it gave the test device.
        code: i32,
    },
    /// Something that the user should know (a disk is full, a file has changed under the machine).
    Notice {
        /// How bad.
        severity: Severity,
        /// What happened, to what.
        text: String,
        /// What to do next; may be empty.
        advice: String,
    },
    /// Code runs in another engine mode from now on.
    EngineChanged(EngineMode),
}

/// How bad a notice is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Severity {
    /// Good to know.
    Info,
    /// The guest may suffer.
    Warning,
    /// Something failed.
    Error,
}

/// Why a machine is off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum GuestExit {
    /// The guest powered off, or exited through the test device with this code (0 = success).
    Code(i32),
    /// The user switched it off.
    SwitchedOff,
    /// Its state was saved and it was switched off ([`AfterSave::PowerOff`]).
    Suspended,
}

/// The life of a machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RunState {
    /// Being built: files are opened, memory is reserved.
    Starting,
    /// Harts run (or wait for an interrupt).
    Running,
    /// Harts and clock stand still.
    Paused,
    /// It is over; the handle stays readable.
    Off {
        /// Why.
        exit: GuestExit,
    },
    /// It could not start, or an internal error stopped it.
    Failed(UserError),
}

impl RunState {
    /// Whether the machine's thread still holds its files.
    pub fn is_alive(&self) -> bool {
        matches!(self, RunState::Starting | RunState::Running | RunState::Paused)
    }
}

/// Bytes that a disk or network has moved since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Read from the disk, or received.
    pub read_bytes: u64,
    /// Written to the disk, or sent.
    pub written_bytes: u64,
}

impl Traffic {
    /// Of all disks and of all network cards among these devices.
    pub fn of(devices: &[DeviceReport]) -> (Traffic, Traffic) {
        let sum = |kind: &str, name: &str| -> u64 {
            devices.iter().filter(|d| d.kind == kind).map(|d| d.value(name)).sum()
        };
        let traffic =
            |kind, read, written| Traffic { read_bytes: sum(kind, read), written_bytes: sum(kind, written) };
        (traffic("virtio-blk", "read_bytes", "written_bytes"), traffic("virtio-net", "rx_bytes", "tx_bytes"))
    }
}

/// A cheap copy of a machine's counters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Where the machine is in its life.
    pub state: RunState,
    /// How guest code runs.
    pub engine: EngineMode,
    /// Nanoseconds of guest time since the start; stands still while paused.
    pub uptime_ns: u64,
    /// One entry for each hart.
    pub harts: Vec<HartStatus>,
    /// All disks together.
    pub disk: Traffic,
    /// All network cards together.
    pub net: Traffic,
    /// Each device of the board by itself.
    pub devices: Vec<DeviceReport>,
    /// What the engine's tiers have done.
    pub tiers: TierCounts,
    /// Thresholds and sizes of the tiers that are in force.
    pub tuning: Tuning,
    /// Where harts were when they were asked: by stage of the code, and, last, asleep.
    pub samples: [u64; 5],
    /// What guest code is held in a tier.
    pub pins: Vec<CodePin>,
}

/// How a machine is started.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StartOptions {
    /// Build everything, but run nothing until [`Command::Resume`].
    pub paused: bool,
    /// Continue from this saved state instead of booting.
    pub resume_from: Option<PathBuf>,
    /// Overrides the configuration's engine.
    pub engine: Option<EngineMode>,
    /// A reset by the guest ends the machine as power-off does, instead of booting again.
    pub no_reboot: bool,
}

/// An error in words for people: what happened, to what, and what to do next.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UserError {
    /// What happened, as a sentence without its full stop ("The kernel could not be read: permission denied").
    pub what: String,
    /// To what: a file, a device, a machine; may be empty.
    pub to_what: String,
    /// What to do next, as a sentence; may be empty.
    pub what_next: String,
}

impl UserError {
    /// An error of three parts.
    pub fn new(
        what: impl Into<String>,
        to_what: impl Into<String>,
        what_next: impl Into<String>,
    ) -> UserError {
        UserError { what: what.into(), to_what: to_what.into(), what_next: what_next.into() }
    }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !self.to_what.is_empty() {
            write!(f, " ({})", self.to_what)?;
        }
        f.write_str(".")?;
        if !self.what_next.is_empty() {
            write!(f, " {}", self.what_next)?;
        }
        Ok(())
    }
}

impl std::error::Error for UserError {}

#[cfg(test)]
mod tests;
