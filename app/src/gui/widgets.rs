//! The few kinds of controls that the window is made of.

use super::icons::{self, Icon};
use super::theme::{self, CONTROL_HEIGHT, CORNER, SPACE};
use crate::config::Problem;
use egui::{
    Align, Color32, CornerRadius, Frame, Layout, Margin, Rect, Response, RichText, Role, Sense, Stroke, Ui,
    WidgetInfo, vec2,
};

/// A square button with an icon; `tip` names the command and its key.
pub fn icon_button(ui: &mut Ui, icon: Icon, label: &str, tip: &str, enabled: bool) -> Response {
    let sense = if enabled { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(vec2(CONTROL_HEIGHT + 4.0, CONTROL_HEIGHT), sense);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, label));
    let p = theme::palette(ui);
    if enabled && (response.hovered() || response.has_focus()) {
        ui.painter().rect_filled(rect, CORNER, p.hover);
    }
    let strength = if enabled { 1.0 } else { 0.35 };
    icons::paint(ui.painter(), icon, rect, 16.0, p.text.gamma_multiply(strength));
    response.on_hover_text(tip).on_disabled_hover_text(tip)
}

/// The one button of a place that is meant to be pressed.
pub fn primary_button(ui: &mut Ui, text: &str, enabled: bool) -> Response {
    let p = theme::palette(ui);
    let label = RichText::new(text).color(if enabled { Color32::WHITE } else { p.weak });
    let fill = if enabled { p.primary } else { p.raised };
    let button =
        egui::Button::new(label).fill(fill).stroke(Stroke::NONE).min_size(vec2(88.0, CONTROL_HEIGHT));
    ui.add_enabled(enabled, button)
}

/// An ordinary button.
pub fn button(ui: &mut Ui, text: &str) -> Response {
    ui.add(egui::Button::new(text).min_size(vec2(64.0, CONTROL_HEIGHT)))
}

/// An icon in the flow of text.
pub fn icon(ui: &mut Ui, icon: Icon, size: f32, color: Color32) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(size, size), Sense::hover());
    icons::paint(ui.painter(), icon, rect, size, color);
    response
}

/// Text of lesser weight.
pub fn weak(ui: &mut Ui, text: impl Into<String>) -> Response {
    let p = theme::palette(ui);
    ui.label(RichText::new(text).color(p.weak))
}

/// A small note of lesser weight.
pub fn note(ui: &mut Ui, text: impl Into<String>) -> Response {
    let p = theme::palette(ui);
    ui.label(RichText::new(text).size(theme::text::SMALL + 1.0).color(p.weak))
}

/// A heading.
pub fn heading(ui: &mut Ui, text: &str) -> Response {
    ui.label(RichText::new(text).font(theme::medium(theme::text::HEADING)))
}

/// The title of a page.
pub fn title(ui: &mut Ui, text: &str) -> Response {
    ui.label(RichText::new(text).font(theme::medium(theme::text::TITLE)))
}

/// A raised surface with a hairline.
pub fn card(ui: &Ui) -> Frame {
    let p = theme::palette(ui);
    Frame::new()
        .fill(p.raised)
        .stroke(Stroke::new(1.0, p.hairline))
        .corner_radius(CornerRadius::same(8))
        .inner_margin(Margin::same(16))
}

/// The bar above a page, with controls in the middle of its height and a hairline below.
pub fn bar(ui: &mut Ui, id: &str, add: impl FnOnce(&mut Ui)) {
    let p = theme::palette(ui);
    let frame = Frame::new().fill(p.panel).inner_margin(Margin::symmetric(12, 0));
    egui::Panel::top(egui::Id::unique(id)).exact_size(theme::BAR_HEIGHT).frame(frame).show(ui, |ui| {
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = SPACE[0];
            add(ui);
        });
    });
}

/// A vertical hairline in a bar.
pub fn bar_separator(ui: &mut Ui) {
    let p = theme::palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(SPACE[2], CONTROL_HEIGHT), Sense::hover());
    let x = rect.center().x.round();
    ui.painter().vline(x, rect.shrink(4.0).y_range(), Stroke::new(1.0, p.hairline));
}

/// The problems of fields whose name starts with `prefix`, each with an icon.
pub fn problems(ui: &mut Ui, problems: &[Problem], prefix: &str) {
    let p = theme::palette(ui);
    for problem in problems.iter().filter(|x| x.field.starts_with(prefix)) {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = SPACE[0] + 2.0;
            icon(ui, Icon::Error, 14.0, p.error);
            ui.label(RichText::new(problem.to_string()).color(p.error));
        });
    }
}

/// A page's column of readable width, in the middle, scrolled when it is higher than the window.
pub fn page(ui: &mut Ui, width: f32, add: impl FnOnce(&mut Ui)) {
    egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        let available = ui.available_width();
        let width = width.min(available - 2.0 * SPACE[4]).max(200.0);
        let side = ((available - width) / 2.0).floor();
        ui.add_space(SPACE[4]);
        ui.horizontal_top(|ui| {
            ui.add_space(side);
            ui.allocate_ui_with_layout(vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
                ui.set_width(width);
                add(ui);
            });
        });
        ui.add_space(SPACE[4]);
    });
}

/// Text cut with an ellipsis to fit a width, painted at `rect`'s left and middle.
pub fn painted_text(ui: &Ui, rect: Rect, text: &str, font: egui::FontId, color: Color32) -> Rect {
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, color);
    job.wrap = egui::text::TextWrapping::truncate_at_width(rect.width());
    let galley = ui.ctx().fonts_mut(|f| f.layout_job(job));
    let at = egui::pos2(rect.min.x, rect.center().y - galley.size().y / 2.0);
    let painted = Rect::from_min_size(at, galley.size());
    ui.painter().galley(at, galley, color);
    painted
}
