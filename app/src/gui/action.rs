//! What a page asks the window to do.

use super::commands::Cmd;
use super::session::SessionKey;
use crate::config::{MachineConfig, MemorySize};
use crate::machine::api::{Command, EngineMode};
use std::path::PathBuf;

/// Something to do after the page is drawn.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// A command, as from palette or keyboard.
    Command(Cmd),
    /// Show the wizard, with a file if one was dropped.
    NewMachine(Option<PathBuf>),
    /// Show the form of a machine of the library.
    Edit(String),
    /// Copy a machine's description.
    Duplicate(String),
    /// Ask whether a machine is to be removed.
    AskDelete(String),
    /// Remove a machine.
    Delete(String),
    /// Remove a saved state.
    DiscardState(String),
    /// Start a machine of the library and show it.
    Start {
        /// Its id.
        id: String,
        /// From its saved state.
        resume: bool,
    },
    /// Show a machine.
    Show(SessionKey),
    /// Switch a machine off without asking.
    PowerOffNow(SessionKey),
    /// Change a machine's engine.
    SetEngine(SessionKey, EngineMode),
    /// Tell a machine something.
    Tell(SessionKey, Command),
    /// Open a panel of a machine, or close it.
    TogglePanel(SessionKey, &'static str),
    /// Write a machine that the wizard has made, or changed if it had an id.
    SaveMachine {
        /// The description.
        config: Box<MachineConfig>,
        /// Make an empty disk of this size first.
        new_disk: Option<MemorySize>,
        /// Start it then.
        start: bool,
    },
    /// Leave a form.
    Leave,
    /// Close the window whatever runs.
    CloseAnyway,
}
