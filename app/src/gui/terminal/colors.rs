//! The terminal's colours: the 16 of ANSI, the cube and greys of xterm, and what the guest sets by OSC 4.
//!
//! The terminal is dark in both themes: guests assume a black screen, and the installer's and firmware's own colours are made for one.

use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::term::color::Colors;
use alacritty_terminal::vte::ansi::{Color, NamedColor, Rgb};
use egui::Color32;

/// Behind the text.
pub const BACKGROUND: Color32 = Color32::from_rgb(0x0D, 0x0F, 0x12);
/// The text.
pub const FOREGROUND: Color32 = Color32::from_rgb(0xDD, 0xE1, 0xE6);
/// The cursor.
pub const CURSOR: Color32 = Color32::from_rgb(0xE7, 0xE9, 0xED);
/// Behind selected text.
pub const SELECTION: Color32 = Color32::from_rgb(0x37, 0x46, 0x85);

const ANSI: [(u8, u8, u8); 16] = [
    (0x0D, 0x0F, 0x12),
    (0xD0, 0x43, 0x43),
    (0x6F, 0xBF, 0x62),
    (0xD9, 0xA9, 0x3E),
    (0x3F, 0x6F, 0xD1),
    (0xB5, 0x6C, 0xC9),
    (0x3F, 0xB0, 0xBA),
    (0xC9, 0xCE, 0xD6),
    (0x80, 0x88, 0x96),
    (0xFF, 0x80, 0x80),
    (0x95, 0xDB, 0x87),
    (0xF2, 0xCB, 0x6A),
    (0x7D, 0xA2, 0xF5),
    (0xD8, 0x95, 0xEA),
    (0x6C, 0xD5, 0xDE),
    (0xFF, 0xFF, 0xFF),
];

fn from_rgb(c: Rgb) -> Color32 {
    Color32::from_rgb(c.r, c.g, c.b)
}

/// Colour `index` as xterm numbers them; beyond 255 come alacritty's names for foreground, background and cursor.
fn default(index: usize) -> Color32 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    match index {
        0..=15 => {
            let (r, g, b) = ANSI[index];
            Color32::from_rgb(r, g, b)
        }
        16..=231 => {
            let n = index - 16;
            Color32::from_rgb(STEPS[n / 36], STEPS[n / 6 % 6], STEPS[n % 6])
        }
        232..=255 => {
            // 8 + 10 × 23 = 238 at most.
            let grey = u8::try_from(8 + 10 * (index - 232)).unwrap_or(u8::MAX);
            Color32::from_gray(grey)
        }
        i if i == NamedColor::Background as usize => BACKGROUND,
        i if i == NamedColor::Cursor as usize => CURSOR,
        i if i == NamedColor::DimForeground as usize => dim(FOREGROUND),
        i if (NamedColor::DimBlack as usize..=NamedColor::DimWhite as usize).contains(&i) => {
            dim(default(i - NamedColor::DimBlack as usize))
        }
        _ => FOREGROUND,
    }
}

fn dim(c: Color32) -> Color32 {
    let part = |v: u8| u8::try_from(u16::from(v) * 2 / 3).unwrap_or(u8::MAX);
    Color32::from_rgb(part(c.r()), part(c.g()), part(c.b()))
}

/// The answer to a guest that asks for colour `index`.
pub fn indexed_or_override(overrides: &Colors, index: usize) -> Rgb {
    let known = (index < alacritty_terminal::term::color::COUNT).then(|| overrides[index]).flatten();
    known.unwrap_or_else(|| {
        let c = default(index);
        Rgb { r: c.r(), g: c.g(), b: c.b() }
    })
}

/// A colour of the guest's on the screen.
pub fn of_color(overrides: &Colors, color: Color) -> Color32 {
    match color {
        Color::Spec(rgb) => from_rgb(rgb),
        Color::Indexed(i) => from_rgb(indexed_or_override(overrides, usize::from(i))),
        Color::Named(name) => from_rgb(indexed_or_override(overrides, name as usize)),
    }
}

/// Foreground and background of a cell, with bold, dim, inverse and hidden applied.
pub fn of_cell(overrides: &Colors, cell: &Cell) -> (Color32, Color32) {
    let mut fg = match cell.fg {
        // Bold text in one of the eight colours is bright, as on the terminals that guests know.
        Color::Named(name) if cell.flags.contains(Flags::BOLD) => {
            of_color(overrides, Color::Named(name.to_bright()))
        }
        color => of_color(overrides, color),
    };
    let mut bg = of_color(overrides, cell.bg);
    if cell.flags.contains(Flags::DIM) {
        fg = dim(fg);
    }
    if cell.flags.contains(Flags::INVERSE) {
        std::mem::swap(&mut fg, &mut bg);
    }
    if cell.flags.contains(Flags::HIDDEN) {
        fg = bg;
    }
    (fg, bg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cube_and_greys_are_xterms() {
        assert_eq!(default(16), Color32::from_rgb(0, 0, 0));
        assert_eq!(default(208), Color32::from_rgb(255, 135, 0));
        assert_eq!(default(231), Color32::from_rgb(255, 255, 255));
        assert_eq!(default(232), Color32::from_gray(8));
        assert_eq!(default(255), Color32::from_gray(238));
        assert_eq!(default(100_000), FOREGROUND);
    }
}
