//! A machine's layout on disk: read once, written when it has changed, never on the window's thread.

use super::layout::Layout;
use crate::config::write_atomically;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// Version of the file.
const VERSION: u32 = 1;
/// A layout is never larger.
const SIZE_MAX: u64 = 64 << 10;

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    layout: Layout,
}

/// Keeps a layout in a file.
pub struct Keeper {
    file: Option<PathBuf>,
    changed: bool,
    writing: Option<JoinHandle<()>>,
}

impl Keeper {
    /// For this file; without one nothing is kept.
    pub fn new(file: Option<PathBuf>) -> Keeper {
        Keeper { file, changed: false, writing: None }
    }

    /// What the file says, when these panels are all there are. A file that is no layout is said once and left alone.
    pub fn read(&self, known: &[&str]) -> Option<Layout> {
        let file = self.file.as_deref()?;
        match read(file, known) {
            Ok(layout) => layout,
            Err(why) => {
                tracing::warn!("the usual layout is shown, {} cannot be used: {why}", file.display());
                None
            }
        }
    }

    /// The layout is another one than that in the file.
    pub fn changed(&mut self) {
        self.changed = true;
    }

    /// Writes it, if it has changed, on a thread of its own; not while the last one is still being written.
    pub fn keep(&mut self, layout: impl FnOnce() -> Layout) {
        if !self.changed || self.writing.as_ref().is_some_and(|w| !w.is_finished()) {
            return;
        }
        let Some(file) = self.file.clone() else { return };
        let layout = layout();
        let made = std::thread::Builder::new().name("layout".into()).spawn(move || write(&file, layout));
        match made {
            Ok(thread) => (self.writing, self.changed) = (Some(thread), false),
            Err(e) => tracing::warn!("the layout is not kept yet: {e}"),
        }
    }

    /// Writes it now, if it has changed.
    pub fn keep_now(&mut self, layout: impl FnOnce() -> Layout) {
        if let Some(thread) = self.writing.take() {
            // It only writes; that it failed it has said itself.
            let _ = thread.join();
        }
        if std::mem::take(&mut self.changed)
            && let Some(file) = &self.file
        {
            write(file, layout());
        }
    }
}

fn read(file: &Path, known: &[&str]) -> Result<Option<Layout>, String> {
    let mut text = String::new();
    match std::fs::File::open(file) {
        Ok(open) => open.take(SIZE_MAX).read_to_string(&mut text).map_err(|e| e.to_string())?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.to_string()),
    };
    let stored: Stored = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    if stored.version != VERSION {
        return Err(format!("it is of version {}, this program reads {VERSION}", stored.version));
    }
    let layout = stored.layout.checked(known).ok_or("it has no place for the terminal")?;
    Ok(Some(layout))
}

fn write(file: &Path, layout: Layout) {
    // The machine may have been deleted meanwhile: its folder is not made again.
    if !file.parent().is_some_and(Path::is_dir) {
        return;
    }
    let stored = Stored { version: VERSION, layout };
    let written = serde_json::to_vec_pretty(&stored)
        .map_err(|e| e.to_string())
        .and_then(|text| write_atomically(file, &text).map_err(|e| e.to_string()));
    if let Err(e) = written {
        tracing::warn!("the layout is not kept: {e}");
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Preset;
    use super::*;
    use crate::gui::panels::Side;

    const KNOWN: [(&str, Side); 2] = [("engine", Side::Right), ("promotions", Side::Bottom)];

    #[test]
    fn a_layout_is_read_back_and_damage_gives_the_usual_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("layout.json");
        let mut keeper = Keeper::new(Some(file.clone()));
        assert_eq!(keeper.read(&["engine"]), None, "none yet");
        let layout = Preset::Engine.layout(&KNOWN);
        keeper.keep(|| panic!("nothing has changed"));
        keeper.changed();
        keeper.keep(|| layout.clone());
        keeper.keep_now(|| panic!("it was written"));
        assert_eq!(keeper.read(&["engine", "promotions"]), Some(layout.clone()));
        let whole = std::fs::read_to_string(&file).expect("written");
        for cut in (0..whole.len()).step_by(7) {
            std::fs::write(&file, &whole[..cut]).expect("written");
            assert_eq!(keeper.read(&["engine"]), None);
        }
        let deep = format!("{}{}", "{\"row\":[[1,".repeat(100_000), "}");
        for text in ["[]", "{\"version\":2,\"layout\":{}}", "\u{0}", deep.as_str()] {
            std::fs::write(&file, text).expect("written");
            assert_eq!(keeper.read(&["engine"]), None);
        }
        std::fs::write(&file, whole.replace("\"version\": 1", "\"version\": 9")).expect("written");
        assert_eq!(keeper.read(&["engine"]), None);
    }

    #[test]
    fn a_folder_that_is_gone_is_not_made_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("gone").join("layout.json");
        write(&file, Layout::default());
        assert!(!file.exists() && !dir.path().join("gone").exists());
    }
}
