//! Tables: fixed columns, numbers to the right, only the rows that are seen are drawn.

use crate::gui::theme::{self, SPACE, text};
use crate::gui::widgets;
use egui::{Align2, Color32, FontId, Rect, Response, ScrollArea, Sense, Stroke, Ui, pos2, vec2};

/// Height of a row.
pub const ROW: f32 = 20.0;

/// A column.
#[derive(Clone, Copy)]
pub struct Column {
    /// Name, with the unit.
    pub head: &'static str,
    /// What it means.
    pub tip: &'static str,
    /// Its width; 0 takes what the others leave.
    pub width: f32,
    /// Numbers stand to the right, in the fixed-width font.
    pub number: bool,
}

/// What stands in a cell.
pub struct Cell {
    /// Words or number.
    pub text: String,
    /// A dot of this colour before it.
    pub dot: Option<Color32>,
    /// A bar behind it: of this part of its width, in this colour.
    pub bar: Option<(f32, Color32)>,
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell { text, dot: None, bar: None }
    }
}

/// Where the columns lie.
fn places(columns: &[Column], rect: Rect) -> Vec<Rect> {
    let fixed: f32 = columns.iter().map(|c| c.width + SPACE[2]).sum::<f32>() - SPACE[2];
    let open = (rect.width() - fixed).max(0.0);
    let mut x = rect.min.x;
    let place = |c: &Column| {
        let width = if c.width == 0.0 { open } else { c.width };
        let cell = Rect::from_min_max(pos2(x, rect.min.y), pos2(x + width, rect.max.y));
        x += width + SPACE[2];
        cell
    };
    columns.iter().map(place).collect()
}

/// The names of the columns, and a line below them.
pub fn head(ui: &mut Ui, columns: &[Column]) {
    let p = theme::palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    for (column, cell) in columns.iter().zip(places(columns, rect.shrink2(vec2(SPACE[0], 0.0)))) {
        let font = FontId::proportional(text::SMALL);
        if column.number {
            ui.painter().text(cell.right_center(), Align2::RIGHT_CENTER, column.head, font, p.weak);
        } else {
            widgets::painted_text(ui, cell, column.head, font, p.weak);
        }
        let id = ui.scope_id().with(("head", column.head));
        ui.interact(cell, id, Sense::hover()).on_hover_text(column.tip);
    }
    ui.painter().hline(rect.x_range(), rect.max.y, Stroke::new(1.0, p.hairline));
}

/// As [`head`], with columns to sort by: `sorted` is the column and whether its lowest is first. The column that was clicked.
pub fn sortable_head(ui: &mut Ui, columns: &[Column], sorted: (usize, bool)) -> Option<usize> {
    let p = theme::palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let mut clicked = None;
    for (n, (column, cell)) in
        columns.iter().zip(places(columns, rect.shrink2(vec2(SPACE[0], 0.0)))).enumerate()
    {
        let id = ui.scope_id().with(("head", column.head));
        let response = ui.interact(cell, id, Sense::click());
        let current = sorted.0 == n;
        response.widget_info(|| {
            egui::WidgetInfo::selected(
                egui::Role::ColumnHeader,
                true,
                current,
                format!("Sort by {}", column.head),
            )
        });
        let lit = current || response.hovered() || response.has_focus();
        let color = if lit { p.text } else { p.weak };
        let arrow = match sorted {
            (at, true) if at == n => " \u{25b2}",
            (at, false) if at == n => " \u{25bc}",
            _ => "",
        };
        let (name, font) = (format!("{}{arrow}", column.head), FontId::proportional(text::SMALL));
        if column.number {
            ui.painter().text(cell.right_center(), Align2::RIGHT_CENTER, name, font, color);
        } else {
            widgets::painted_text(ui, cell, &name, font, color);
        }
        if response.on_hover_text(column.tip).clicked() {
            clicked = Some(n);
        }
    }
    ui.painter().hline(rect.x_range(), rect.max.y, Stroke::new(1.0, p.hairline));
    clicked
}

/// What became of a table's rows.
pub struct Shown {
    /// The row that was clicked.
    pub clicked: Option<usize>,
    /// The row of which the menu is wanted, and where.
    pub menu: Option<(usize, egui::Pos2)>,
    /// The row under the pointer.
    pub pointed: Option<(usize, Response)>,
    /// The pointer is over the rows.
    pub hovered: bool,
    /// How far down it was scrolled.
    pub offset: f32,
}

/// The rows of a table in all the room there is. `row` gives the cells of a row and whether it is selected.
pub fn rows(
    ui: &mut Ui,
    name: &str,
    columns: &[Column],
    count: usize,
    mut row: impl FnMut(usize) -> Option<(Vec<Cell>, bool)>,
) -> Shown {
    ui.spacing_mut().item_spacing.y = 0.0;
    let (mut clicked, mut menu, mut pointed) = (None, None, None);
    let area = ScrollArea::vertical().id_salt(name).auto_shrink(false);
    let output = area.show_rows(ui, ROW, count, |ui, range| {
        for i in range {
            let width = ui.available_width();
            let (rect, response) = ui.allocate_exact_size(vec2(width, ROW), Sense::click());
            let Some((cells, selected)) = row(i) else { continue };
            paint_row(ui, columns, rect, &response, &cells, selected);
            if response.clicked() {
                clicked = Some(i);
            }
            if response.hovered() {
                pointed = Some((i, response.clone()));
            }
            if response.secondary_clicked() {
                menu = Some((i, response.interact_pointer_pos().unwrap_or(rect.left_bottom())));
            }
        }
    });
    let hovered = ui.rect_contains_pointer(output.inner_rect);
    Shown { clicked, menu, pointed, hovered, offset: output.state.unclamped_offset().y }
}

/// A row outside of a scrolled list.
pub fn plain_row(ui: &mut Ui, columns: &[Column], cells: &[Cell]) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    paint_row(ui, columns, rect, &response, cells, false);
    response
}

fn paint_row(ui: &Ui, columns: &[Column], rect: Rect, response: &Response, cells: &[Cell], selected: bool) {
    let p = theme::palette(ui);
    let label = || {
        let words: Vec<&str> = cells.iter().map(|c| c.text.as_str()).filter(|t| !t.is_empty()).collect();
        egui::WidgetInfo::selected(egui::Role::Row, true, selected, words.join(", "))
    };
    response.widget_info(label);
    if selected {
        ui.painter().rect_filled(rect, 4.0, p.accent.gamma_multiply(0.25));
    } else if response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, 4.0, p.hover);
    }
    for ((column, cell), mut place) in
        columns.iter().zip(cells).zip(places(columns, rect.shrink2(vec2(SPACE[0], 0.0))))
    {
        if let Some((part, color)) = cell.bar {
            let width = (place.width() * part.clamp(0.0, 1.0)).max(1.0);
            let bar = Rect::from_min_size(pos2(place.min.x, place.max.y - 4.0), vec2(width, 2.0));
            ui.painter().rect_filled(bar, 1.0, color);
        }
        if let Some(color) = cell.dot {
            ui.painter().circle_filled(pos2(place.min.x + 4.0, place.center().y), 4.0, color);
            place.min.x += 14.0;
        }
        if column.number {
            let font = theme::mono(text::SMALL + 1.0);
            ui.painter().text(place.right_center(), Align2::RIGHT_CENTER, &cell.text, font, p.text);
        } else {
            widgets::painted_text(ui, place, &cell.text, FontId::proportional(text::BODY - 0.5), p.text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_column_takes_what_the_others_leave() {
        let column = |width| Column { head: "", tip: "", width, number: false };
        let rect = Rect::from_min_size(pos2(10.0, 0.0), vec2(300.0, 20.0));
        let places = places(&[column(60.0), column(0.0), column(40.0)], rect);
        assert_eq!(places.iter().map(|r| r.width()).collect::<Vec<_>>(), [60.0, 176.0, 40.0]);
        assert_eq!(places[2].max.x, rect.max.x);
    }
}
