//! Paints the cells of a terminal: backgrounds as one mesh, glyphs one by one so that each sits in its own cell whatever
//! font it comes from, lines and boxes as shapes.

use super::Terminal;
use super::boxes;
use super::colors;
use crate::gui::theme;
use alacritty_terminal::index::Point;
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::CursorShape;
use egui::{Color32, Context, FontId, Galley, Mesh, Painter, Pos2, Rect, Shape, Stroke, Vec2, pos2, vec2};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Sizes of one cell.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Metrics {
    /// Height of the text, in points.
    pub text: f32,
    /// The cell in points; a whole number of physical pixels.
    pub cell: Vec2,
    /// One physical pixel, in points.
    pub pixel: f32,
}

impl Metrics {
    /// Measures the font at this size.
    pub fn of(ctx: &Context, text: f32) -> Metrics {
        let scale = ctx.pixels_per_point();
        let font = theme::mono(text);
        let (width, height) = ctx.fonts_mut(|f| (f.glyph_width(&font, 'M'), f.row_height(&font)));
        let whole = |points: f32| ((points * scale).round().max(1.0)) / scale;
        Metrics { text, cell: vec2(whole(width), whole(height)), pixel: 1.0 / scale }
    }

    /// A cell's rectangle.
    pub fn rect(&self, origin: Pos2, row: usize, column: usize, columns: usize) -> Rect {
        let at = |n: usize, size: f32| crate::gui::format::lossy(n) * size;
        let min = origin + vec2(at(column, self.cell.x), at(row, self.cell.y));
        Rect::from_min_size(min, vec2(at(columns, self.cell.x), self.cell.y))
    }
}

/// Collects rectangles into one mesh: no smoothing at their edges, so that neighbours meet.
pub struct Canvas<'a> {
    /// For everything that is no rectangle.
    pub painter: &'a Painter,
    mesh: Mesh,
}

impl Canvas<'_> {
    /// Fills a rectangle.
    pub fn rect(&mut self, rect: Rect, color: Color32) {
        self.mesh.add_colored_rect(rect, color);
    }

    fn flush(&mut self) {
        let mesh = std::mem::take(&mut self.mesh);
        if !mesh.is_empty() {
            self.painter.add(Shape::mesh(mesh));
        }
    }
}

#[derive(PartialEq, Eq, Hash)]
struct GlyphKey {
    text: String,
    bold: bool,
    italic: bool,
}

struct Glyphs<'a> {
    ctx: &'a Context,
    size: f32,
    single: FxHashMap<(char, bool, bool), Arc<Galley>>,
    clusters: FxHashMap<GlyphKey, Arc<Galley>>,
}

impl Glyphs<'_> {
    fn get(&mut self, cell: &Cell) -> Arc<Galley> {
        let (bold, italic) = (cell.flags.contains(Flags::BOLD), cell.flags.contains(Flags::ITALIC));
        let (ctx, size) = (self.ctx, self.size);
        match cell.zerowidth() {
            None => self
                .single
                .entry((cell.c, bold, italic))
                .or_insert_with(|| layout(ctx, cell.c.to_string(), size, bold, italic))
                .clone(),
            Some(marks) => {
                let text: String = std::iter::once(cell.c).chain(marks.iter().copied().take(8)).collect();
                let make = text.clone();
                self.clusters
                    .entry(GlyphKey { text, bold, italic })
                    .or_insert_with(|| layout(ctx, make, size, bold, italic))
                    .clone()
            }
        }
    }
}

fn layout(ctx: &Context, text: String, size: f32, bold: bool, italic: bool) -> Arc<Galley> {
    let font: FontId = if bold { theme::mono_bold(size) } else { theme::mono(size) };
    let mut job = egui::text::LayoutJob::default();
    let format =
        egui::TextFormat { font_id: font, color: Color32::WHITE, italics: italic, ..Default::default() };
    job.append(&text, 0.0, format);
    job.wrap.max_width = f32::INFINITY;
    ctx.fonts_mut(|f| f.layout_job(job))
}

/// Paints the visible part of the terminal with its first cell at `origin`.
pub fn cells(terminal: &Terminal, painter: &Painter, origin: Pos2, metrics: Metrics, focused: bool) {
    let content = terminal.term.renderable_content();
    let offset = content.display_offset;
    let overrides = content.colors;
    let cursor = Cursor::of(&content, offset, focused);
    let mut canvas = Canvas { painter, mesh: Mesh::default() };
    let row_of =
        |point: Point| usize::try_from(point.line.0 + i32::try_from(offset).unwrap_or(0)).unwrap_or(0);

    for indexed in terminal.term.grid().display_iter() {
        let (_, mut bg) = colors::of_cell(overrides, indexed.cell);
        if content.selection.is_some_and(|s| s.contains(indexed.point)) {
            bg = colors::SELECTION;
        }
        if bg != colors::BACKGROUND {
            canvas.rect(metrics.rect(origin, row_of(indexed.point), indexed.point.column.0, 1), bg);
        }
    }
    if let Some(cursor) = &cursor {
        cursor.paint(&mut canvas, origin, metrics);
    }
    canvas.flush();

    let mut glyphs = Glyphs {
        ctx: painter.ctx(),
        size: metrics.text,
        single: FxHashMap::default(),
        clusters: FxHashMap::default(),
    };
    for indexed in terminal.term.grid().display_iter() {
        let cell = indexed.cell;
        let (row, column) = (row_of(indexed.point), indexed.point.column.0);
        let blank = matches!(cell.c, ' ' | '\0' | '\t') && cell.zerowidth().is_none();
        if blank && !cell.flags.intersects(Flags::ALL_UNDERLINES | Flags::STRIKEOUT) {
            continue;
        }
        let (mut fg, _) = colors::of_cell(overrides, cell);
        if cursor.as_ref().is_some_and(|c| c.covers(row, column)) {
            fg = colors::BACKGROUND;
        }
        let width = if cell.flags.contains(Flags::WIDE_CHAR) { 2 } else { 1 };
        let rect = metrics.rect(origin, row, column, width);
        if !blank && boxes::is_drawn(cell.c) {
            boxes::paint(&mut canvas, cell.c, rect, fg, metrics.pixel);
        } else if !blank && !cell.flags.contains(Flags::HIDDEN) {
            let galley = glyphs.get(cell);
            // Glyphs of other fonts may be narrower or wider than the cells: the middle looks best.
            let spare = ((rect.width() - galley.size().x) / 2.0 / metrics.pixel).round() * metrics.pixel;
            painter.galley_with_override_text_color(rect.min + vec2(spare, 0.0), galley, fg);
        }
        if cell.flags.intersects(Flags::ALL_UNDERLINES | Flags::STRIKEOUT) {
            let line = cell.underline_color().map_or(fg, |c| colors::of_color(overrides, c));
            lines(&mut canvas, cell.flags, rect, line, fg, metrics.pixel);
        }
    }
    canvas.flush();
}

/// Underlines and the line through.
fn lines(canvas: &mut Canvas<'_>, flags: Flags, rect: Rect, under: Color32, fg: Color32, pixel: f32) {
    let thick = (rect.height() / 16.0 / pixel).round().max(1.0) * pixel;
    let mut line = |y: f32, from: f32, to: f32, color: Color32| {
        canvas.rect(Rect::from_min_max(pos2(from, y), pos2(to, y + thick)), color);
    };
    let y = rect.max.y - 2.0 * thick;
    if flags.intersects(Flags::UNDERLINE | Flags::DOUBLE_UNDERLINE) {
        line(y, rect.min.x, rect.max.x, under);
    }
    if flags.contains(Flags::DOUBLE_UNDERLINE) {
        line(y - 2.0 * thick, rect.min.x, rect.max.x, under);
    }
    if flags.intersects(Flags::UNDERCURL | Flags::DOTTED_UNDERLINE | Flags::DASHED_UNDERLINE) {
        let half = rect.width() / 2.0;
        let raise = if flags.contains(Flags::UNDERCURL) { thick } else { 0.0 };
        let part = if flags.contains(Flags::DASHED_UNDERLINE) { 0.75 } else { 0.5 };
        line(y, rect.min.x, rect.min.x + half * part, under);
        line(y - raise, rect.min.x + half, rect.min.x + half + half * part, under);
    }
    if flags.contains(Flags::STRIKEOUT) {
        let middle = ((rect.center().y - thick / 2.0) / pixel).round() * pixel;
        line(middle, rect.min.x, rect.max.x, fg);
    }
}

struct Cursor {
    row: usize,
    column: usize,
    columns: usize,
    shape: CursorShape,
}

impl Cursor {
    fn of(
        content: &alacritty_terminal::term::RenderableContent<'_>,
        offset: usize,
        focused: bool,
    ) -> Option<Cursor> {
        let shape = match content.cursor.shape {
            CursorShape::Hidden => return None,
            shape if focused => shape,
            _ => CursorShape::HollowBlock,
        };
        let row = content.cursor.point.line.0 + i32::try_from(offset).ok()?;
        Some(Cursor {
            row: usize::try_from(row).ok()?,
            column: content.cursor.point.column.0,
            columns: 1,
            shape,
        })
    }

    /// Whether the text of this cell must be painted in the background's colour to be seen.
    fn covers(&self, row: usize, column: usize) -> bool {
        self.shape == CursorShape::Block && self.row == row && self.column == column
    }

    fn paint(&self, canvas: &mut Canvas<'_>, origin: Pos2, metrics: Metrics) {
        let cell = metrics.rect(origin, self.row, self.column, self.columns);
        let thick = (metrics.cell.x / 6.0 / metrics.pixel).round().max(1.0) * metrics.pixel;
        match self.shape {
            CursorShape::Block => canvas.rect(cell, colors::CURSOR),
            CursorShape::Underline => {
                canvas.rect(cell.with_min_y(cell.max.y - thick), colors::CURSOR);
            }
            CursorShape::Beam => canvas.rect(cell.with_max_x(cell.min.x + thick), colors::CURSOR),
            CursorShape::HollowBlock => {
                let line = Stroke::new(metrics.pixel, colors::CURSOR.gamma_multiply(0.6));
                canvas.painter.rect_stroke(cell, 0.0, line, egui::StrokeKind::Inside);
            }
            CursorShape::Hidden => {}
        }
    }
}
