//! `vitrine machine`.

use super::options::MachineCommand;
use super::report::{EXIT_USAGE, Failure, failed, print};
use crate::config::{Home, MachineConfig, presets};

/// Carries out the command.
pub fn run(command: MachineCommand) -> Result<u8, Failure> {
    match command {
        MachineCommand::Check { file } => match MachineConfig::load(&file) {
            Ok(config) => {
                print(&format!("{}: \"{}\" is in order\n", file.display(), config.name))?;
                Ok(0)
            }
            Err(error) => {
                super::report::note(&error.to_string());
                Ok(EXIT_USAGE)
            }
        },
        MachineCommand::List => {
            print(&list()?)?;
            Ok(0)
        }
    }
}

fn list() -> Result<String, Failure> {
    let home = Home::find().map_err(|e| failed(format!("Machines cannot be listed: {e}"), "", ""))?;
    let mut text = String::new();
    for (id, machine) in home.machines() {
        let about = match machine {
            Ok(config) => format!("{} ({} harts, {})", config.name, config.harts, config.memory),
            Err(error) => format!("has mistakes: {error}"),
        };
        text.push_str(&format!("{id:<20} {about}\n"));
    }
    for preset in presets() {
        text.push_str(&format!("{:<20} preset: {}\n", preset.id, preset.about));
    }
    Ok(text)
}
