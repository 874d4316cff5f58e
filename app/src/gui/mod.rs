//! The window: a library of machines, each machine's terminals, forms and settings, on eframe.
//!
//! [`run`] opens it. Everything on the screen is drawn from [`app::App`]; pages draw and give back [`action::Action`]s,
//! which the app carries out after the frame. Nothing repaints without a reason: machines wake the window by their
//! subscription, and the numbers of a running machine ask for four frames a second.

pub mod action;
pub mod app;
mod closing;
pub mod commands;
mod dialog;
pub mod dock;
mod files;
pub mod format;
pub mod icons;
pub mod library;
pub mod machine_view;
pub mod palette;
pub mod panels;
mod pins;
mod place;
pub mod plot;
pub mod rates;
pub mod rects;
pub mod selection;
pub mod session;
pub mod settings_page;
mod status;
pub mod terminal;
pub mod theme;
pub mod toasts;
pub mod widgets;
pub mod wizard;

pub use place::PlaceOfMachine;

use crate::config::{Home, MachineConfig};
use crate::machine::api::{MachineHandle, StartOptions, UserError};
use std::path::PathBuf;
use std::sync::Arc;

/// Starts machines; `crate::machine::spawn` in the program. Called on a thread of its own.
pub type Launch = Arc<dyn Fn(&MachineConfig, StartOptions) -> Result<MachineHandle, UserError> + Send + Sync>;

/// What the window opens with.
#[derive(Clone, Debug, Default)]
pub enum StartWith {
    /// The embedded guest, running, while the library holds nothing else; the library otherwise.
    #[default]
    Default,
    /// The library.
    Library,
    /// A machine of the library, running.
    Id(String),
    /// A description from elsewhere, running; relative paths start at the folder.
    Config {
        /// The description.
        config: Box<MachineConfig>,
        /// The folder.
        dir: PathBuf,
        /// How to start it the first time.
        options: StartOptions,
    },
}

/// How to open the window.
pub struct GuiOptions {
    /// Where machines and settings are.
    pub home: Home,
    /// What it opens with.
    pub start: StartWith,
    /// Starts machines.
    pub launch: Launch,
}

/// Opens the window and returns when it is closed.
pub fn run(options: GuiOptions) -> Result<(), UserError> {
    let viewport = egui::ViewportBuilder::default()
        .with_title("Vitrine")
        .with_app_id("vitrine")
        .with_inner_size([1280.0, 800.0])
        .with_min_inner_size([760.0, 520.0])
        .with_drag_and_drop(true);
    let native = eframe::NativeOptions {
        viewport,
        renderer: eframe::Renderer::Glow,
        persist_window: false,
        ..eframe::NativeOptions::default()
    };
    let create: eframe::AppCreator<'_> =
        Box::new(move |cc| Ok(Box::new(app::App::new(&cc.egui_ctx, options))));
    eframe::run_native("Vitrine", native, create).map_err(|e| {
        UserError::new(
            format!("The window could not be opened: {e}"),
            "",
            "It needs a display (DISPLAY or WAYLAND_DISPLAY) and OpenGL; on Debian install libgl1, libgl1-mesa-dri, \
             libxkbcommon-x11-0, libxcursor1 and libxi6. Without a display use \"vitrine run --headless\".",
        )
    })
}
