//! The guest's terminal in the middle of its panels: which are open, where, and what they share.

mod behavior;
mod file;
mod layout;

pub use layout::Preset;

use super::panels::{self, Panel, Side, View};
use super::plot::Scene;
use super::selection::{Selected, Selection};
use crate::machine::api::{Command, MachineHandle, Status};
use crate::watch::{Spots, Wants, Watched, Watcher};
use behavior::Places;
use egui::{Context, Ui};
use egui_tiles::{Tile, Tree};
use engine::tier::monitor::{Counter, HartStatus};
use file::Keeper;
use layout::{Layout, TERMINAL};
use std::path::PathBuf;
use std::time::Instant;

/// A panel for menus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name in layouts.
    pub id: &'static str,
    /// Its name.
    pub title: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// Whether it is open.
    pub open: bool,
}

/// The panels of one machine.
pub struct Dock {
    tree: Tree<&'static str>,
    panels: Vec<Box<dyn Panel>>,
    scene: Scene,
    selection: Selection,
    watcher: Option<Watcher>,
    spots: Option<Spots>,
    machine: Option<MachineHandle>,
    hart_counters: Vec<&'static [Counter<HartStatus>]>,
    keeper: Keeper,
    /// Tells the trees of machines apart.
    name: u64,
}

impl Dock {
    /// The panels of the machine with this number, as they were left in a file.
    pub fn new(name: u64, file: Option<PathBuf>) -> Dock {
        let panels = panels::all();
        let known: Vec<_> = panels.iter().map(|p| p.id()).collect();
        let keeper = Keeper::new(file);
        let layout = keeper.read(&known).unwrap_or_default();
        let tree = layout.tree(name);
        let (scene, selection) = (Scene::default(), Selection::default());
        Dock {
            tree,
            panels,
            scene,
            selection,
            watcher: None,
            spots: None,
            machine: None,
            hart_counters: Vec::new(),
            keeper,
            name,
        }
    }

    /// Begins to watch a machine that was started.
    pub fn watch(&mut self, machine: &MachineHandle, ctx: &Context) {
        let (repaint, news) = (ctx.clone(), ctx.clone());
        self.watch_with(machine.clone(), move || repaint.request_repaint());
        let spots = Spots::of_machine(machine, move || news.request_repaint());
        spots.want(self.wants());
        self.spots = Some(spots);
        (self.machine, self.hart_counters) = (Some(machine.clone()), Vec::new());
    }

    /// As [`Dock::watch`], whatever there is to be watched.
    pub fn watch_with(&mut self, watched: impl Watched + 'static, wake: impl Fn() + Send + 'static) {
        self.scene = Scene::default();
        self.selection = Selection::default();
        let watcher = Watcher::new(watched, wake);
        watcher.want(self.wants());
        self.watcher = Some(watcher);
    }

    /// The machine has changed its state.
    pub fn state_changed(&self) {
        if let Some(watcher) = &self.watcher {
            watcher.look();
        }
    }

    /// All panels, with whether they are open.
    pub fn list(&self) -> Vec<Listed> {
        let panels = self.panels.iter().map(|p| Listed {
            id: p.id(),
            title: p.title(),
            about: p.about(),
            open: self.is_open(p.id()),
        });
        panels.collect()
    }

    fn is_open(&self, id: &'static str) -> bool {
        self.tree.tiles.find_pane(&id).is_some()
    }

    /// Lays the panels out anew.
    pub fn apply(&mut self, preset: Preset) {
        let sides: Vec<_> = self.panels.iter().map(|p| (p.id(), p.side())).collect();
        self.tree = preset.layout(&sides).tree(self.name);
        self.changed();
    }

    /// Opens a panel, brings it forward if it lies behind another, or closes it.
    pub fn toggle(&mut self, id: &str) {
        let Some(panel) = self.panels.iter().find(|p| p.id() == id) else { return };
        let (id, side) = (panel.id(), panel.side());
        match self.tree.tiles.find_pane(&id) {
            Some(tile) if self.tree.active_tiles().contains(&tile) => {
                self.tree.remove_recursively(tile);
            }
            Some(_) => {
                self.tree.make_active(|_, tile| matches!(tile, Tile::Pane(pane) if *pane == id));
            }
            None => self.open(id, side),
        }
        self.changed();
    }

    fn open(&mut self, id: &'static str, side: Side) {
        let layout = Layout::of(&self.tree).with(id, side, &self.sides());
        self.tree = layout.tree(self.name);
    }

    fn sides(&self) -> Vec<(&'static str, Side)> {
        self.panels.iter().map(|p| (p.id(), p.side())).collect()
    }

    fn wants(&self) -> Wants {
        let open = self.panels.iter().filter(|p| self.is_open(p.id()));
        open.fold(Wants::default(), |all, p| all.or(p.wants()))
    }

    fn changed(&mut self) {
        self.keeper.changed();
        if let Some(watcher) = &self.watcher {
            watcher.want(self.wants());
        }
        if let Some(spots) = &self.spots {
            spots.want(self.wants());
        }
    }

    /// What is selected in all panels.
    pub fn selected(&self) -> Selected {
        self.selection.now()
    }

    /// Goes to what was selected before.
    pub fn back(&mut self) {
        self.selection.back();
    }

    /// Goes forward again in what was selected.
    pub fn forward(&mut self) {
        self.selection.forward();
    }

    /// Shows guest and panels in all the room there is. `guest` draws the guest. What the machine is to be told.
    pub fn show(
        &mut self,
        ui: &mut Ui,
        status: Option<&Status>,
        guest: &mut dyn FnMut(&mut Ui),
    ) -> Vec<Command> {
        if let Some(watcher) = &self.watcher {
            self.scene.refresh(watcher, Instant::now());
        }
        if self.hart_counters.is_empty() {
            // There are none before the machine is built.
            let counters = self.machine.as_ref().and_then(|m| m.look(|engine| engine.hart_counters()));
            self.hart_counters = counters.map(Vec::from).unwrap_or_default();
        }
        let mut commands = Vec::new();
        let terminal = self.tree.tiles.find_pane(&TERMINAL);
        let mut places = Places {
            panels: &mut self.panels,
            view: View {
                scene: &mut self.scene,
                selection: &mut self.selection,
                watcher: self.watcher.as_ref(),
                hart_counters: &self.hart_counters,
                spots: self.spots.as_ref(),
                status,
                commands: &mut commands,
            },
            name: self.name,
            guest,
            terminal,
            edited: false,
        };
        self.tree.ui(&mut places, ui);
        if places.edited {
            self.changed();
        }
        if self.scene.end_frame() {
            // Plots that were drawn before the one under the pointer mark the moment in the next frame.
            ui.ctx().request_repaint();
        }
        if !ui.input(|i| i.pointer.any_down()) {
            self.keeper.keep(|| Layout::of(&self.tree));
        }
        commands
    }

    /// Writes what is not written yet.
    pub fn keep(&mut self) {
        self.keeper.keep_now(|| Layout::of(&self.tree));
    }
}

impl Drop for Dock {
    fn drop(&mut self) {
        self.keep();
    }
}

#[cfg(test)]
mod tests;
