//! The user's settings.

use super::diagnose::ConfigError;
use super::migrate;
use super::store::{StoreError, write_atomically};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::Path;

/// Light or dark.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeChoice {
    /// As the system says; dark if it says nothing.
    #[default]
    System,
    /// Dark.
    Dark,
    /// Light.
    Light,
}

/// The user's settings, as in `settings.toml`. Unknown keys are ignored, so that an older program can read a newer file of the same schema.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Version of this file's layout.
    pub schema: u32,
    /// Light or dark.
    pub theme: ThemeChoice,
    /// Zoom of the whole window, 0.5 to 3.
    pub zoom: f32,
    /// Height of the terminal's text in points, 8 to 32.
    pub terminal_text: f32,
    /// Terminals have as many cells as fit the window, instead of the 80 by 24 that guests take for granted.
    pub terminal_fits_window: bool,
    /// Lines of scrollback for each terminal, 0 to 100,000.
    pub scrollback: usize,
    /// Let terminals report the mouse to guests that ask for it.
    pub terminal_mouse: bool,
    /// Ask before a running machine is switched off.
    pub confirm_power_off: bool,
    /// Start the embedded guest when the program starts and no machine of the user's exists.
    pub start_embedded: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            schema: migrate::SETTINGS_SCHEMA,
            theme: ThemeChoice::System,
            zoom: 1.0,
            terminal_text: 14.0,
            terminal_fits_window: false,
            scrollback: 10_000,
            terminal_mouse: true,
            confirm_power_off: true,
            start_embedded: true,
        }
    }
}

impl Settings {
    /// Reads the file; a missing one gives the defaults.
    pub fn load(path: &Path) -> Result<Settings, ConfigError> {
        let source = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Settings::parse(&text, &source),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Settings::default()),
            Err(e) => Err(ConfigError::unreadable(&source, &e)),
        }
    }

    /// Reads a text and brings numbers into their ranges.
    pub fn parse(text: &str, source: &str) -> Result<Settings, ConfigError> {
        let text = migrate::settings(text).map_err(|p| ConfigError::new(source, vec![p]))?;
        let settings: Settings =
            toml::from_str(&text).map_err(|e| ConfigError::of_toml(source, &text, &e))?;
        Ok(settings.clamped())
    }

    fn clamped(mut self) -> Settings {
        let finite = |value: f32, default: f32| if value.is_finite() { value } else { default };
        self.zoom = finite(self.zoom, 1.0).clamp(0.5, 3.0);
        self.terminal_text = finite(self.terminal_text, 14.0).clamp(8.0, 32.0);
        self.scrollback = self.scrollback.min(100_000);
        self
    }

    /// Writes the file atomically.
    pub fn save(&self, path: &Path) -> Result<(), StoreError> {
        write_atomically(path, toml::to_string_pretty(self)?.as_bytes())
    }
}
