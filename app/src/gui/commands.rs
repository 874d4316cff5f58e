//! Every command of the window, once: its name, its key, and what it acts on. Bar, menus, palette and keyboard use this list.

use super::dock::Preset;
use egui::{Context, Key, KeyboardShortcut, Modifiers};

/// A command.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cmd {
    /// Show the palette.
    Palette,
    /// Show the library.
    Library,
    /// Show the settings.
    Settings,
    /// Make a new machine.
    NewMachine,
    /// Show the next running machine.
    NextMachine,
    /// Start the shown machine, or switch it off.
    Power,
    /// Pause, or go on.
    Pause,
    /// Reset.
    Reset,
    /// Save the state and go on.
    SaveState,
    /// Save the state and switch off.
    Suspend,
    /// Start from the saved state.
    Resume,
    /// Let the machine run in its next engine mode.
    NextEngine,
    /// Show which code is pinned to a tier.
    Pins,
    /// The guest alone.
    UseGuest,
    /// The panels of the engine round the guest.
    WatchEngine,
    /// The panels for debugging round the guest.
    DebugGuest,
    /// What was selected before.
    SelectBack,
    /// What was selected after.
    SelectForward,
    /// Change the machine's description.
    Edit,
    /// Copy the terminal's selection.
    Copy,
    /// Paste into the terminal.
    Paste,
    /// Select the terminal's text.
    SelectAll,
    /// Empty the scrollback.
    ClearScrollback,
    /// Larger terminal text.
    LargerText,
    /// Smaller terminal text.
    SmallerText,
    /// The whole screen.
    Fullscreen,
    /// Close the window.
    Quit,
}

/// What must be there for a command to make sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// A machine on the screen.
    Machine,
    /// A machine on the screen that runs or is paused.
    Live,
    /// A machine on the screen that is off and has a saved state.
    Saved,
}

impl Cmd {
    /// All commands in the order of the palette.
    pub const ALL: [Cmd; 27] = [
        Cmd::NewMachine,
        Cmd::Library,
        Cmd::Power,
        Cmd::Pause,
        Cmd::Reset,
        Cmd::SaveState,
        Cmd::Suspend,
        Cmd::Resume,
        Cmd::NextEngine,
        Cmd::Pins,
        Cmd::UseGuest,
        Cmd::WatchEngine,
        Cmd::DebugGuest,
        Cmd::SelectBack,
        Cmd::SelectForward,
        Cmd::Edit,
        Cmd::NextMachine,
        Cmd::Copy,
        Cmd::Paste,
        Cmd::SelectAll,
        Cmd::ClearScrollback,
        Cmd::LargerText,
        Cmd::SmallerText,
        Cmd::Fullscreen,
        Cmd::Settings,
        Cmd::Palette,
        Cmd::Quit,
    ];

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Cmd::Palette => "Find a command",
            Cmd::Library => "Show the library",
            Cmd::Settings => "Settings",
            Cmd::NewMachine => "New machine",
            Cmd::NextMachine => "Next machine",
            Cmd::Power => "Start or power off",
            Cmd::Pause => "Pause or resume",
            Cmd::Reset => "Reset the machine",
            Cmd::SaveState => "Save state",
            Cmd::Suspend => "Save state and power off",
            Cmd::Resume => "Resume from the saved state",
            Cmd::NextEngine => "Next engine mode",
            Cmd::Pins => "Pinned code",
            Cmd::UseGuest => "Use the guest",
            Cmd::WatchEngine => "Watch the engine",
            Cmd::DebugGuest => "Debug",
            Cmd::SelectBack => "Back to the last selection",
            Cmd::SelectForward => "Forward to the next selection",
            Cmd::Edit => "Edit the machine",
            Cmd::Copy => "Copy from the terminal",
            Cmd::Paste => "Paste into the terminal",
            Cmd::SelectAll => "Select all of the terminal",
            Cmd::ClearScrollback => "Clear the scrollback",
            Cmd::LargerText => "Larger terminal text",
            Cmd::SmallerText => "Smaller terminal text",
            Cmd::Fullscreen => "Full screen",
            Cmd::Quit => "Quit",
        }
    }

    /// Its key besides Ctrl and Shift: all of the window's keys have both, so that the guest gets every other combination.
    const fn key(self) -> Option<Key> {
        Some(match self {
            Cmd::Palette => Key::P,
            Cmd::Library => Key::L,
            Cmd::Settings => Key::Comma,
            Cmd::NewMachine => Key::N,
            Cmd::NextMachine => Key::M,
            Cmd::Power => Key::O,
            Cmd::Pause => Key::Space,
            Cmd::Reset => Key::R,
            Cmd::SaveState => Key::S,
            Cmd::Suspend => Key::D,
            Cmd::NextEngine => Key::G,
            Cmd::Pins => Key::I,
            Cmd::UseGuest => Key::U,
            Cmd::WatchEngine => Key::W,
            Cmd::DebugGuest => Key::B,
            Cmd::Edit => Key::E,
            Cmd::Copy => Key::C,
            Cmd::Paste => Key::V,
            Cmd::SelectAll => Key::A,
            Cmd::ClearScrollback => Key::K,
            Cmd::LargerText => Key::Plus,
            Cmd::SmallerText => Key::Minus,
            Cmd::Fullscreen => Key::F,
            Cmd::Quit => Key::Q,
            Cmd::Resume | Cmd::SelectBack | Cmd::SelectForward => return None,
        })
    }

    /// Its whole shortcut. Those of the selection are not the window's, but its panels': the guest gets them while it has the keyboard.
    fn shortcut(self) -> Option<KeyboardShortcut> {
        match self {
            Cmd::SelectBack => Some(KeyboardShortcut::new(Modifiers::ALT, Key::ArrowLeft)),
            Cmd::SelectForward => Some(KeyboardShortcut::new(Modifiers::ALT, Key::ArrowRight)),
            _ => self.key().map(|key| KeyboardShortcut::new(Modifiers::CTRL | Modifiers::SHIFT, key)),
        }
    }

    /// The arrangement of panels that it stands for.
    pub const fn preset(self) -> Option<Preset> {
        match self {
            Cmd::UseGuest => Some(Preset::Guest),
            Cmd::WatchEngine => Some(Preset::Engine),
            Cmd::DebugGuest => Some(Preset::Debug),
            _ => None,
        }
    }

    /// Its key as people write it, or nothing.
    pub fn key_text(self) -> String {
        match self {
            Cmd::SelectBack => "Alt+Left".to_owned(),
            Cmd::SelectForward => "Alt+Right".to_owned(),
            _ => self.key().map_or_else(String::new, |k| format!("Ctrl+Shift+{}", k.symbol_or_name())),
        }
    }

    /// Name and key, for tips.
    pub fn tip(self, title: &str) -> String {
        let key = self.key_text();
        if key.is_empty() { title.to_owned() } else { format!("{title}  ({key})") }
    }

    /// What must be there.
    pub const fn needs(self) -> Needs {
        match self {
            Cmd::Pause | Cmd::Reset | Cmd::SaveState | Cmd::Suspend | Cmd::NextEngine | Cmd::Pins => {
                Needs::Live
            }
            Cmd::UseGuest | Cmd::WatchEngine | Cmd::DebugGuest | Cmd::SelectBack | Cmd::SelectForward => {
                Needs::Machine
            }
            Cmd::Power | Cmd::Edit | Cmd::Copy | Cmd::Paste | Cmd::SelectAll | Cmd::ClearScrollback => {
                Needs::Machine
            }
            Cmd::Resume => Needs::Saved,
            _ => Needs::Nothing,
        }
    }

    /// Takes the keys of this frame that are commands.
    pub fn take_keys(ctx: &Context, guest_has_keyboard: bool) -> Vec<Cmd> {
        let mine = |c: &Cmd| c.key().is_some() || !guest_has_keyboard;
        ctx.input_mut(|i| {
            let mut pressed = |c: &Cmd| c.shortcut().is_some_and(|s| i.consume_shortcut(&s));
            Cmd::ALL.into_iter().filter(|c| mine(c) && pressed(c)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_names_are_unique() {
        for (i, a) in Cmd::ALL.iter().enumerate() {
            for b in &Cmd::ALL[i + 1..] {
                assert_ne!(a.title(), b.title());
                assert!(a.key().is_none() || a.key() != b.key(), "{a:?} {b:?}");
            }
        }
        assert_eq!(Cmd::Palette.key_text(), "Ctrl+Shift+P");
    }
}
