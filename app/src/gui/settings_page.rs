//! The settings: one page with search; each setting with a sentence, its default and a reset.

use super::palette::matches;
use super::rects;
use super::theme::{self, SPACE};
use super::widgets;
use crate::config::{Settings, ThemeChoice};
use egui::{Align, Layout, Slider, TextEdit, Ui, vec2};

macro_rules! settings {
    ($( $name:ident $title:literal $about:literal; )*) => {
        /// A setting.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum SettingName { $( #[doc = $about] $name, )* }

        impl SettingName {
            /// All settings in the order of the page.
            pub const ALL: [SettingName; 9] = [ $( SettingName::$name, )* ];
            /// Its name.
            pub const fn title(self) -> &'static str {
                match self { $( SettingName::$name => $title, )* }
            }
            /// What it does, in a sentence.
            pub const fn about(self) -> &'static str {
                match self { $( SettingName::$name => $about, )* }
            }
        }
    };
}

settings! {
    Theme "Theme" "Light or dark, or as the system says.";
    Zoom "Size of everything" "Scales the whole window on top of the system's own scale.";
    TerminalFits "Terminals fill the window" "As many cells as fit, for guests that ask the terminal for its size. Off: 80 by 24, which others take for granted, with text as large as fits.";
    TerminalText "Terminal text size" "Height of the text in points, where terminals fill the window.";
    Scrollback "Scrollback" "Lines that each terminal keeps above its screen.";
    TerminalMouse "Mouse reports" "Tell guests that ask for it about clicks in the terminal; hold Shift to select instead.";
    ConfirmPowerOff "Ask before power off" "Ask before a machine is switched off that may hold unwritten data.";
    StartEmbedded "Start the embedded guest" "Start it with the window while the library holds no other machine.";
    Home "Folder of machines" "Where machines and settings are kept; set VITRINE_HOME to move it.";
}

/// The page.
#[derive(Default)]
pub struct SettingsPage {
    query: String,
}

impl SettingsPage {
    /// Shows only what matches.
    pub fn find(&mut self, query: &str) {
        query.clone_into(&mut self.query);
    }

    /// Shows the page; says whether a setting has changed.
    pub fn show(&mut self, ui: &mut Ui, settings: &mut Settings, home: &str) -> bool {
        let before = settings.clone();
        widgets::page(ui, 680.0, |ui| {
            let field = TextEdit::singleline(&mut self.query)
                .hint_text("Search settings")
                .margin(egui::Margin::symmetric(10, 6))
                .desired_width(f32::INFINITY);
            let response = ui.add(field);
            rects::note(ui.ctx(), "settings.search", response.rect);
            ui.add_space(SPACE[2]);
            let mut any = false;
            for name in SettingName::ALL {
                if matches(&format!("{} {}", name.title(), name.about()), &self.query) {
                    any = true;
                    row(ui, name, settings, home);
                }
            }
            if !any {
                widgets::weak(ui, "No setting has these words in its name or description.");
            }
        });
        *settings != before
    }
}

fn row(ui: &mut Ui, name: SettingName, s: &mut Settings, home: &str) {
    let p = theme::palette(ui);
    let default = Settings::default();
    ui.horizontal(|ui| {
        ui.set_min_height(44.0);
        ui.allocate_ui_with_layout(vec2(440.0, 44.0), Layout::top_down(Align::Min), |ui| {
            ui.set_width(440.0);
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.label(egui::RichText::new(name.title()).font(theme::medium(theme::text::BODY)));
            widgets::note(ui, name.about());
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| control(ui, name, s, &default, home));
    });
    ui.add_space(SPACE[0]);
    let y = ui.cursor().min.y;
    let x = ui.max_rect().x_range();
    ui.painter().hline(x, y, egui::Stroke::new(1.0, p.hairline));
    ui.add_space(SPACE[2]);
}

/// A button that goes back to the default, if the value is another.
fn reset<T: PartialEq + Clone>(ui: &mut Ui, value: &mut T, default: &T, shown: &str) {
    let differs = value != default;
    let button = egui::Button::new("Reset").frame(false);
    let response = ui.add_enabled(differs, button).on_hover_text(format!("Default: {shown}"));
    if response.clicked() {
        *value = default.clone();
    }
}

fn control(ui: &mut Ui, name: SettingName, s: &mut Settings, d: &Settings, home: &str) {
    let on_off = |v: bool| if v { "on" } else { "off" };
    let toggle = |ui: &mut Ui, value: &mut bool, default: bool| {
        reset(ui, value, &default, on_off(default));
        ui.checkbox(value, on_off(*value));
    };
    match name {
        SettingName::Theme => {
            reset(ui, &mut s.theme, &d.theme, "as the system");
            for (value, text) in
                [(ThemeChoice::Light, "Light"), (ThemeChoice::Dark, "Dark"), (ThemeChoice::System, "System")]
            {
                ui.selectable_value(&mut s.theme, value, text);
            }
        }
        SettingName::Zoom => {
            reset(ui, &mut s.zoom, &d.zoom, "1.0");
            egui::ComboBox::from_id_salt("zoom").selected_text(percent(s.zoom)).show_ui(ui, |ui| {
                for zoom in [0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0] {
                    ui.selectable_value(&mut s.zoom, zoom, percent(zoom));
                }
            });
        }
        SettingName::TerminalFits => toggle(ui, &mut s.terminal_fits_window, d.terminal_fits_window),
        SettingName::TerminalText => {
            reset(ui, &mut s.terminal_text, &d.terminal_text, "14");
            ui.add(Slider::new(&mut s.terminal_text, 8.0..=32.0).step_by(1.0));
        }
        SettingName::Scrollback => {
            reset(ui, &mut s.scrollback, &d.scrollback, "10\u{2009}000");
            ui.add(egui::DragValue::new(&mut s.scrollback).range(0..=100_000).speed(100).suffix(" lines"));
        }
        SettingName::TerminalMouse => toggle(ui, &mut s.terminal_mouse, d.terminal_mouse),
        SettingName::ConfirmPowerOff => toggle(ui, &mut s.confirm_power_off, d.confirm_power_off),
        SettingName::StartEmbedded => toggle(ui, &mut s.start_embedded, d.start_embedded),
        SettingName::Home => {
            if widgets::button(ui, "Copy path").clicked() {
                ui.ctx().copy_text(home.to_owned());
            }
            let label =
                egui::Label::new(egui::RichText::new(home).font(theme::mono(theme::text::SMALL + 1.0)));
            ui.add(label.truncate()).on_hover_text(home);
        }
    }
}

fn percent(zoom: f32) -> String {
    format!("{:.0} %", zoom * 100.0)
}
