//! The panels that stand round the guest. One file a panel; [`all`] is the one list of them.

mod caches;
mod engine;
mod flame;
mod hot;
mod inspector;
mod promotions;
mod table;
mod traps;

use super::plot::Scene;
use super::selection::Selection;
use crate::machine::api::{Command, Status};
use crate::watch::{Spots, Wants, Watcher};
use ::engine::tier::monitor::{Counter, HartStatus};
use egui::{Rect, RichText, Ui, UiBuilder, vec2};

/// Where a panel stands when it is opened by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Right of the guest, below one another.
    Right,
    /// Below the guest, beside one another.
    Bottom,
}

/// What a panel draws from, and what it may change.
pub struct View<'a> {
    /// The shared time and the rates on it.
    pub scene: &'a mut Scene,
    /// What is selected.
    pub selection: &'a mut Selection,
    /// What was seen of the machine, if it was started in this window.
    pub watcher: Option<&'a Watcher>,
    /// Counters that its harts have.
    pub hart_counters: &'a [&'static [Counter<HartStatus>]],
    /// Where its time goes.
    pub spots: Option<&'a Spots>,
    /// The machine's counters of now; `None` while there is no machine.
    pub status: Option<&'a Status>,
    /// What the machine is to be told.
    pub commands: &'a mut Vec<Command>,
}

impl View<'_> {
    /// Whether the machine can be told something.
    pub fn is_alive(&self) -> bool {
        self.status.is_some_and(|s| s.state.is_alive())
    }
}

/// A panel. It lives as long as its machine's page, open or not.
pub trait Panel {
    /// Its name in layouts.
    fn id(&self) -> &'static str;
    /// Its name for people.
    fn title(&self) -> &'static str;
    /// What it shows, for menus.
    fn about(&self) -> &'static str;
    /// Where it stands at first.
    fn side(&self) -> Side;
    /// What must be watched while it is open.
    fn wants(&self) -> Wants;
    /// Draws it.
    fn show(&mut self, ui: &mut Ui, view: &mut View<'_>);
}

/// All panels.
pub fn all() -> Vec<Box<dyn Panel>> {
    vec![
        Box::new(engine::Engine::default()),
        Box::new(caches::Caches),
        Box::new(hot::HotSpots::default()),
        Box::new(promotions::Promotions::default()),
        Box::new(inspector::Inspector::default()),
        Box::new(flame::Flame::default()),
        Box::new(traps::Traps::default()),
    ]
}

/// A part of a panel, clipped to its place.
fn part(ui: &mut Ui, rect: Rect) -> Ui {
    let mut child = ui.new_child(UiBuilder::new().max_rect(rect));
    child.shrink_clip_rect(rect.expand(2.0));
    child
}

/// What an empty panel says: what will be here, and how to get it.
fn empty(ui: &mut Ui, what: &str, how: &str) {
    let p = super::theme::palette(ui);
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), ui.available_height().min(120.0)),
        egui::Layout::top_down(egui::Align::Center),
        |ui| {
            ui.add_space(super::theme::SPACE[4]);
            ui.label(what);
            ui.label(RichText::new(how).color(p.weak));
        },
    );
}

/// Writes a file to the folder for documents, else the home folder. What became of it, in words.
fn export(name: &str, ending: &str, content: &str) -> String {
    let dirs = directories::UserDirs::new();
    let Some(dir) = dirs.as_ref().map(|d| d.document_dir().unwrap_or_else(|| d.home_dir())) else {
        return "There is no home folder to write to.".to_owned();
    };
    let seconds = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_secs());
    let file = dir.join(format!("{name}-{seconds}.{ending}"));
    match std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&file, content)) {
        Ok(()) => format!("Written to {}", file.display()),
        Err(e) => format!("{} could not be written: {e}", file.display()),
    }
}

/// Says what is missing while there is nothing to show; whether it did.
fn waits_for_guest(ui: &mut Ui, view: &View<'_>, what: &str) -> bool {
    if view.watcher.is_some() && view.status.is_some() {
        return false;
    }
    empty(ui, what, "Start the machine to see it.");
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_have_names_of_their_own() {
        let all = all();
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a.id() != b.id() && a.title() != b.title()));
            assert!(a.wants().any());
        }
    }
}
