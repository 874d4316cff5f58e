//! One place for everything that gives the window its look: colours, spacing, text sizes, fonts.
//!
//! Colours come in two sets of equal care. The tier colours mean engine tiers and nothing else; they are safe for
//! colour-blind eyes (Okabe and Ito), and the accent was chosen apart from all of them.

use crate::machine::api::EngineMode;
use egui::{
    Color32, Context, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, Margin, Stroke, TextStyle,
    Theme, Ui, Visuals,
};
use engine::watch::Stage;
use std::sync::Arc;

/// Steps of spacing, in points.
pub const SPACE: [f32; 5] = [4.0, 8.0, 12.0, 16.0, 24.0];
/// Rounding of corners, in points.
pub const CORNER: u8 = 6;
/// Height of bars above and of buttons, in points.
pub const BAR_HEIGHT: f32 = 44.0;
/// Height of the status line, in points.
pub const STATUS_HEIGHT: f32 = 28.0;
/// Height of ordinary controls, in points.
pub const CONTROL_HEIGHT: f32 = 28.0;

/// Sizes of text, in points.
pub mod text {
    /// Notes and labels beside the main thing.
    pub const SMALL: f32 = 11.0;
    /// Running text.
    pub const BODY: f32 = 13.0;
    /// Headings.
    pub const HEADING: f32 = 15.0;
    /// Machine and page titles.
    pub const TITLE: f32 = 20.0;
}

/// The colours of one theme.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Palette {
    /// Behind everything.
    pub base: Color32,
    /// Bars and panels.
    pub panel: Color32,
    /// Cards and fields.
    pub raised: Color32,
    /// The same under the pointer.
    pub hover: Color32,
    /// Lines between things.
    pub hairline: Color32,
    /// Text.
    pub text: Color32,
    /// Text of lesser weight, still 4.5 to 1.
    pub weak: Color32,
    /// What is selected, focused or primary.
    pub accent: Color32,
    /// Filling of primary buttons; white text on it has 4.5 to 1.
    pub primary: Color32,
    /// Warnings (always with icon and words).
    pub warning: Color32,
    /// Errors (always with icon and words).
    pub error: Color32,
}

const DARK: Palette = Palette {
    base: Color32::from_rgb(0x14, 0x16, 0x1A),
    panel: Color32::from_rgb(0x1A, 0x1D, 0x22),
    raised: Color32::from_rgb(0x22, 0x26, 0x2D),
    hover: Color32::from_rgb(0x2C, 0x31, 0x3A),
    hairline: Color32::from_rgb(0x30, 0x35, 0x3E),
    text: Color32::from_rgb(0xE7, 0xE9, 0xED),
    weak: Color32::from_rgb(0xA4, 0xAC, 0xB8),
    accent: Color32::from_rgb(0x8F, 0xA2, 0xFF),
    primary: Color32::from_rgb(0x4F, 0x62, 0xD6),
    warning: Color32::from_rgb(0xF2, 0xD0, 0x5B),
    error: Color32::from_rgb(0xFF, 0x8A, 0x8A),
};

const LIGHT: Palette = Palette {
    base: Color32::from_rgb(0xF1, 0xF2, 0xF5),
    panel: Color32::from_rgb(0xFA, 0xFB, 0xFC),
    raised: Color32::from_rgb(0xFF, 0xFF, 0xFF),
    hover: Color32::from_rgb(0xE9, 0xEC, 0xF2),
    hairline: Color32::from_rgb(0xD5, 0xD9, 0xE1),
    text: Color32::from_rgb(0x1B, 0x1F, 0x27),
    weak: Color32::from_rgb(0x56, 0x5E, 0x6C),
    accent: Color32::from_rgb(0x3F, 0x55, 0xCF),
    primary: Color32::from_rgb(0x46, 0x5A, 0xD2),
    warning: Color32::from_rgb(0x7A, 0x5A, 0x00),
    error: Color32::from_rgb(0xB3, 0x26, 0x1E),
};

/// The colours of the theme in use.
pub fn palette(ui: &Ui) -> Palette {
    of(ui.visuals().dark_mode)
}

/// The colours of the theme that a context uses.
pub fn palette_of(ctx: &Context) -> Palette {
    of(ctx.global_style().visuals.dark_mode)
}

/// The colours of the theme that these visuals belong to.
pub fn palette_for(visuals: &Visuals) -> Palette {
    of(visuals.dark_mode)
}

fn of(dark: bool) -> Palette {
    if dark { DARK } else { LIGHT }
}

/// The colour of an engine mode.
pub const fn engine_color(mode: EngineMode) -> Color32 {
    match mode {
        EngineMode::Interpreter => Color32::from_rgb(0x9A, 0xA0, 0xA6),
        EngineMode::Tier1 => Color32::from_rgb(0xE6, 0x9F, 0x00),
        EngineMode::Tier2 => Color32::from_rgb(0x00, 0x9E, 0x73),
        EngineMode::Adaptive => Color32::from_rgb(0xCC, 0x79, 0xA7),
        EngineMode::Accelerated => Color32::from_rgb(0xD5, 0x5E, 0x00),
    }
}

/// The colour of a stage of code, which is that of its tier; the highest has its own.
pub const fn stage_color(stage: Stage) -> Color32 {
    engine_color(match stage {
        Stage::Interpreter => EngineMode::Interpreter,
        Stage::Tier1 => EngineMode::Tier1,
        Stage::Tier2 => EngineMode::Tier2,
        Stage::Settled => EngineMode::Adaptive,
    })
}

/// Colours for lines of one plot that mean no tier; told apart by colour-blind eyes.
pub fn series(ui: &Ui) -> [Color32; 3] {
    let p = palette(ui);
    let sand = if ui.visuals().dark_mode {
        Color32::from_rgb(0xE3, 0xD2, 0x7A)
    } else {
        Color32::from_rgb(0x8F, 0x76, 0x00)
    };
    [p.accent, sand, p.text]
}

/// The family of medium weight.
pub fn medium(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name("medium".into()))
}

/// The monospace family.
pub fn mono(size: f32) -> FontId {
    FontId::new(size, FontFamily::Monospace)
}

/// The bold monospace family.
pub fn mono_bold(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name("mono-bold".into()))
}

/// Sets fonts and both themes.
pub fn install(ctx: &Context) {
    ctx.set_fonts(fonts());
    for (theme, palette) in [(Theme::Dark, DARK), (Theme::Light, LIGHT)] {
        ctx.style_mut_of(theme, |style| {
            style.text_styles = [
                (TextStyle::Small, FontId::proportional(text::SMALL)),
                (TextStyle::Body, FontId::proportional(text::BODY)),
                (TextStyle::Button, FontId::proportional(text::BODY)),
                (TextStyle::Heading, medium(text::HEADING)),
                (TextStyle::Monospace, mono(text::BODY)),
            ]
            .into();
            style.visuals = visuals(theme, palette);
            let s = &mut style.spacing;
            s.item_spacing = egui::vec2(SPACE[1], SPACE[1]);
            s.button_padding = egui::vec2(SPACE[2], SPACE[0] + 1.0);
            s.interact_size = egui::vec2(40.0, CONTROL_HEIGHT);
            s.menu_margin = Margin::same(6);
            s.window_margin = Margin::same(16);
            s.combo_height = 320.0;
            s.tooltip_width = 360.0;
            style.animation_time = 0.08;
            style.interaction.selectable_labels = false;
            style.interaction.tooltip_delay = 0.4;
        });
    }
}

fn visuals(theme: Theme, p: Palette) -> Visuals {
    let mut v = if theme == Theme::Dark { Visuals::dark() } else { Visuals::light() };
    let round = CornerRadius::same(CORNER);
    v.panel_fill = p.base;
    v.window_fill = p.panel;
    v.window_stroke = Stroke::new(1.0, p.hairline);
    v.window_corner_radius = CornerRadius::same(10);
    v.menu_corner_radius = CornerRadius::same(8);
    v.extreme_bg_color = if theme == Theme::Dark { p.base } else { p.raised };
    v.faint_bg_color = p.raised;
    v.code_bg_color = p.raised;
    v.hyperlink_color = p.accent;
    v.warn_fg_color = p.warning;
    v.error_fg_color = p.error;
    v.weak_text_color = Some(p.weak);
    v.selection.bg_fill = p.accent.gamma_multiply(0.35);
    v.selection.stroke = Stroke::new(1.0, p.text);
    v.slider_trailing_fill = true;
    v.button_frame = true;
    let states = [
        (&mut v.widgets.noninteractive, p.panel, p.hairline, p.text),
        (&mut v.widgets.inactive, p.raised, p.hairline, p.text),
        (&mut v.widgets.hovered, p.hover, p.weak, p.text),
        (&mut v.widgets.active, p.hover, p.accent, p.text),
        (&mut v.widgets.open, p.hover, p.hairline, p.text),
    ];
    for (w, fill, line, text) in states {
        w.bg_fill = fill;
        w.weak_bg_fill = fill;
        w.bg_stroke = Stroke::new(1.0, line);
        w.fg_stroke = Stroke::new(1.0, text);
        w.corner_radius = round;
        w.expansion = 0.0;
    }
    v
}

fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let files: [(&str, &'static [u8]); 5] = [
        ("inter", include_bytes!("../../../assets/fonts/Inter-Regular.otf")),
        ("inter-medium", include_bytes!("../../../assets/fonts/Inter-Medium.otf")),
        ("jetbrains", include_bytes!("../../../assets/fonts/JetBrainsMono-Regular.ttf")),
        ("jetbrains-bold", include_bytes!("../../../assets/fonts/JetBrainsMono-Bold.ttf")),
        ("dejavu-mono", include_bytes!("../../../assets/fonts/DejaVuSansMono.ttf")),
    ];
    for (name, bytes) in files {
        fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
    }
    let behind = |fonts: &FontDefinitions, family: &FontFamily, first: &[&str]| -> Vec<String> {
        let rest = fonts.families.get(family).cloned().unwrap_or_default();
        first.iter().map(|n| (*n).to_owned()).chain(rest).collect()
    };
    let proportional = behind(&fonts, &FontFamily::Proportional, &["inter"]);
    let medium = behind(&fonts, &FontFamily::Proportional, &["inter-medium", "inter"]);
    let mono = behind(&fonts, &FontFamily::Monospace, &["jetbrains", "dejavu-mono"]);
    let bold = behind(&fonts, &FontFamily::Monospace, &["jetbrains-bold", "dejavu-mono"]);
    fonts.families.insert(FontFamily::Proportional, proportional);
    fonts.families.insert(FontFamily::Name("medium".into()), medium);
    fonts.families.insert(FontFamily::Monospace, mono);
    fonts.families.insert(FontFamily::Name("mono-bold".into()), bold);
    fonts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(c: Color32) -> f64 {
        let linear = |v: u8| {
            let v = f64::from(v) / 255.0;
            if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(c.r()) + 0.7152 * linear(c.g()) + 0.0722 * linear(c.b())
    }

    fn contrast(a: Color32, b: Color32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_has_the_contrast_that_the_design_asks_for() {
        for p in [DARK, LIGHT] {
            for back in [p.base, p.panel, p.raised, p.hover] {
                for front in [p.text, p.weak, p.accent, p.warning, p.error] {
                    let ratio = contrast(front, back);
                    assert!(ratio >= 4.5, "{front:?} on {back:?}: {ratio:.2}");
                }
            }
            assert!(contrast(Color32::WHITE, p.primary) >= 4.5);
        }
    }

    #[test]
    fn the_accent_is_no_tier_colour() {
        for p in [DARK, LIGHT] {
            for mode in EngineMode::ALL {
                assert_ne!(p.accent, engine_color(mode));
                assert_ne!(p.primary, engine_color(mode));
            }
        }
    }
}
