//! Where widgets are, for tests that drive the real window.
//!
//! With the environment variable `VITRINE_UI_RECTS=FILE` the window writes, whenever something has moved, one JSON object
//! `{"name": [x, y, width, height], ...}` with physical pixels relative to the window's inner corner.

use egui::{Context, Id, Rect};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Clone, Default)]
struct Noted(BTreeMap<String, Rect>);

fn key() -> Id {
    Id::unique("widget rectangles")
}

/// Names a widget's place in this frame.
pub fn note(ctx: &Context, name: impl Into<String>, rect: Rect) {
    ctx.data_mut(|d| d.get_temp_mut_or_default::<Noted>(key()).0.insert(name.into(), rect));
}

/// Writes the rectangles of each frame that differs from the last one.
pub struct Reporter {
    file: Option<PathBuf>,
    last: String,
}

impl Reporter {
    /// Reads the environment.
    pub fn from_environment() -> Reporter {
        let file = std::env::var_os("VITRINE_UI_RECTS").filter(|f| !f.is_empty()).map(PathBuf::from);
        Reporter { file, last: String::new() }
    }

    /// Ends a frame.
    pub fn finish(&mut self, ctx: &Context) {
        let noted = ctx.data_mut(|d| std::mem::take(d.get_temp_mut_or_default::<Noted>(key())));
        if let Some(file) = &self.file {
            let json = to_json(&noted.0, ctx.pixels_per_point());
            if json != self.last && write(file, &json).is_ok() {
                self.last = json;
            }
        }
    }
}

fn write(file: &Path, json: &str) -> std::io::Result<()> {
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".new");
    std::fs::write(&temporary, json)?;
    std::fs::rename(&temporary, file)
}

fn to_json(rects: &BTreeMap<String, Rect>, scale: f32) -> String {
    let entries: Vec<String> = rects
        .iter()
        .map(|(name, r)| {
            let [x, y, w, h] = [r.min.x, r.min.y, r.width(), r.height()].map(|v| (v * scale).round());
            let name: String = name.chars().filter(|c| !matches!(c, '"' | '\\') && !c.is_control()).collect();
            format!("\"{name}\": [{x}, {y}, {w}, {h}]")
        })
        .collect();
    format!("{{{}}}\n", entries.join(",\n "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_are_json_in_pixels() {
        let rect = Rect::from_min_size(egui::pos2(1.0, 2.0), egui::vec2(3.0, 4.5));
        let one = BTreeMap::from([("a\"b".to_owned(), rect)]);
        assert_eq!(to_json(&one, 2.0), "{\"ab\": [2, 4, 6, 9]}\n");
    }
}
