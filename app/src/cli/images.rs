//! `vitrine images`.

use super::options::ImagesCommand;
use super::report::{Failure, print};
use crate::images::{self, Terminal, catalog};
use std::path::PathBuf;

/// Carries out the command.
pub fn run(command: ImagesCommand) -> Result<u8, Failure> {
    match command {
        ImagesCommand::List => print(&list()?)?,
        ImagesCommand::Path { name, file } => {
            let path = images::path(&name, file.as_deref().unwrap_or_default())?;
            print(&format!("{}\n", path.display()))?;
        }
        ImagesCommand::Fetch { name, dir, again } => {
            let image = images::find(&name)?;
            let dir: PathBuf = match dir {
                Some(dir) => dir,
                None => images::path(&name, "")?,
            };
            images::fetch(image, &dir, again, &mut Terminal::new())?;
            for file in image.files {
                print(&format!("{}\n", dir.join(file.name).display()))?;
            }
        }
    }
    Ok(0)
}

fn list() -> Result<String, Failure> {
    let mut text = String::new();
    for image in catalog() {
        let dir = images::path(image.name, "")?;
        let state = if images::is_complete(image, &dir) {
            format!("in {}", dir.display())
        } else {
            format!("not fetched: vitrine images fetch {}", image.name)
        };
        text.push_str(&format!("{:<18} {} ({state})\n", image.name, image.about));
        for file in image.files {
            text.push_str(&format!("    {:<16} {}\n", file.name, file.about));
        }
    }
    Ok(text)
}
