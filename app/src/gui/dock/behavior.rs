//! How the tiles look and what is in them, in the window's own language.

use super::layout::TERMINAL;
use crate::gui::icons::{self, Icon};
use crate::gui::panels::{Panel, View};
use crate::gui::rects;
use crate::gui::theme::{self, SPACE, text};
use egui::{
    Color32, CornerRadius, Frame, Id, Margin, Painter, Rect, Response, Role, Sense, Stroke, StrokeKind,
    Style, Ui, UiBuilder, Visuals, WidgetInfo, WidgetText, pos2, vec2,
};
use egui_tiles::{
    Behavior, EditAction, ResizeState, SimplificationOptions, TabState, Tabs, Tile, TileId, Tiles, UiResponse,
};

/// Height of a panel's heading.
const HEADING: f32 = 32.0;
/// Room of the cross that closes a panel.
const CROSS: f32 = 20.0;

/// The tiles of one frame.
pub struct Places<'a, 'g> {
    pub panels: &'a mut [Box<dyn Panel>],
    pub view: View<'a>,
    /// Number of the machine.
    pub name: u64,
    /// Draws the guest.
    pub guest: &'g mut dyn FnMut(&mut Ui),
    /// The tile of the guest.
    pub terminal: Option<TileId>,
    /// The layout is another one than before.
    pub edited: bool,
}

impl Behavior<&'static str> for Places<'_, '_> {
    fn pane_ui(&mut self, ui: &mut Ui, _tile: TileId, pane: &mut &'static str) -> UiResponse {
        let p = theme::palette(ui);
        let fill = if *pane == TERMINAL { p.base } else { p.panel };
        let frame = Frame::new().fill(fill).inner_margin(Margin::same(12));
        // Below its heading a panel begins at once.
        let below = Margin { top: 4, ..Margin::same(12) };
        let place = ui.max_rect();
        // Whatever becomes of the tiles, focus and scrolling stay with what is in them.
        let own = UiBuilder::new().scope_id(Id::unique(("pane", self.name, *pane)));
        if *pane == TERMINAL {
            frame.show(ui, |ui| ui.scope_builder(own, |ui| (self.guest)(ui)));
        } else if let Some(panel) = self.panels.iter_mut().find(|panel| panel.id() == *pane) {
            rects::note(ui.ctx(), format!("panel.{pane}"), place);
            leave_guest(ui, place);
            frame.inner_margin(below).show(ui, |ui| {
                ui.set_min_size(ui.available_size());
                ui.scope_builder(own, |ui| panel.show(ui, &mut self.view));
            });
        }
        UiResponse::None
    }

    fn tab_title_for_pane(&mut self, pane: &&'static str) -> WidgetText {
        title(self.panels, pane).into()
    }

    fn tab_ui(
        &mut self,
        tiles: &mut Tiles<&'static str>,
        ui: &mut Ui,
        id: Id,
        tile: TileId,
        state: &TabState,
    ) -> Response {
        let title = match tiles.get(tile) {
            Some(Tile::Pane(pane)) => title(self.panels, pane),
            _ => "Panels",
        };
        let closable = tile_closable(tiles, tile);
        let response = heading(ui, id, title, state, closable);
        if closable
            && close_button(ui, response.rect, title) | response.clicked_by(egui::PointerButton::Middle)
        {
            tiles.remove(tile);
            self.edited = true;
        }
        response
    }

    fn is_tab_closable(&self, tiles: &Tiles<&'static str>, tile: TileId) -> bool {
        tile_closable(tiles, tile)
    }

    fn is_tile_draggable(&self, _tiles: &Tiles<&'static str>, tile: TileId) -> bool {
        Some(tile) != self.terminal
    }

    /// The terminal alone has no heading.
    fn is_tab_bar_visible(&self, _tile: TileId, tabs: &Tabs) -> bool {
        !matches!(tabs.children.as_slice(), [only] if Some(*only) == self.terminal)
    }

    fn on_edit(&mut self, action: EditAction) {
        self.edited |= action != EditAction::TileDragged;
    }

    fn simplification_options(&self) -> SimplificationOptions {
        SimplificationOptions {
            // Every panel has a heading, and so a place to take it by and to close it.
            all_panes_must_have_tabs: true,
            prune_single_child_tabs: false,
            ..SimplificationOptions::default()
        }
    }

    /// The guest has the keys of tabs.
    fn cycle_tabs_with_keyboard(&self) -> bool {
        false
    }

    fn min_size(&self) -> f32 {
        120.0
    }

    fn tab_bar_height(&self, _style: &Style) -> f32 {
        HEADING
    }

    fn tab_bar_color(&self, visuals: &Visuals) -> Color32 {
        theme::palette_for(visuals).panel
    }

    fn tab_bar_hline_stroke(&self, _visuals: &Visuals) -> Stroke {
        Stroke::NONE
    }

    fn resize_stroke(&self, style: &Style, state: ResizeState) -> Stroke {
        let p = theme::palette_for(&style.visuals);
        match state {
            ResizeState::Idle => Stroke::new(1.0, p.hairline),
            ResizeState::Hovering => Stroke::new(2.0, p.weak),
            ResizeState::Dragging => Stroke::new(2.0, p.accent),
        }
    }

    fn dragged_overlay_color(&self, visuals: &Visuals) -> Color32 {
        theme::palette_for(visuals).panel.gamma_multiply(0.6)
    }

    fn drag_ui(&mut self, tiles: &Tiles<&'static str>, ui: &mut Ui, tile: TileId) {
        let p = theme::palette(ui);
        let text = match tiles.get(tile) {
            Some(Tile::Pane(pane)) => title(self.panels, pane),
            _ => "Panels",
        };
        let frame =
            Frame::new().fill(p.raised).stroke(Stroke::new(1.0, p.hairline)).corner_radius(theme::CORNER);
        frame.inner_margin(Margin::symmetric(12, 6)).show(ui, |ui| ui.label(text));
    }

    fn paint_drag_preview(&self, visuals: &Visuals, painter: &Painter, _parent: Option<Rect>, preview: Rect) {
        let p = theme::palette_for(visuals);
        let (fill, line) = (p.accent.gamma_multiply(0.18), Stroke::new(1.5, p.accent));
        painter.rect(preview.shrink(2.0), CornerRadius::same(theme::CORNER), fill, line, StrokeKind::Inside);
    }
}

fn title(panels: &[Box<dyn Panel>], pane: &str) -> &'static str {
    panels.iter().find(|p| p.id() == pane).map_or("Guest", |p| p.title())
}

fn tile_closable(tiles: &Tiles<&'static str>, tile: TileId) -> bool {
    matches!(tiles.get(tile), Some(Tile::Pane(pane)) if *pane != TERMINAL)
}

/// Whoever presses the pointer on a panel takes the keyboard from the guest.
fn leave_guest(ui: &Ui, place: Rect) {
    let pressed = ui.input(|i| i.pointer.any_pressed());
    if pressed && ui.rect_contains_pointer(place) {
        ui.memory_mut(|m| {
            if let Some(id) = m.focused() {
                m.surrender_focus(id);
            }
        });
    }
}

/// A panel's title; it lies in its tab bar and is what the panel is dragged by.
fn heading(ui: &mut Ui, id: Id, title: &str, state: &TabState, closable: bool) -> Response {
    let p = theme::palette(ui);
    let color = if state.active { p.text } else { p.weak };
    let galley = ui.painter().layout_no_wrap(title.to_owned(), theme::medium(text::BODY), color);
    let cross = if closable { CROSS } else { 0.0 };
    let size = vec2(galley.size().x + 2.0 * SPACE[2] + cross, ui.available_height());
    let (_, rect) = ui.allocate_space(size);
    let sense = if closable { Sense::click_and_drag() } else { Sense::click() };
    let response = ui.interact(rect, id, sense);
    response.widget_info(|| WidgetInfo::selected(Role::Tab, true, state.active, title));
    rects::note(ui.ctx(), format!("panel.{title}.tab"), rect);
    if state.is_being_dragged {
        return response;
    }
    if response.has_focus() {
        ui.painter().rect_filled(rect.shrink2(vec2(4.0, 4.0)), theme::CORNER, p.hover);
    }
    let at = pos2(rect.min.x + SPACE[2], rect.center().y - galley.size().y / 2.0);
    ui.painter().galley(at, galley, color);
    response
}

fn close_button(ui: &mut Ui, tab: Rect, title: &str) -> bool {
    let place =
        Rect::from_center_size(pos2(tab.max.x - CROSS / 2.0 - 6.0, tab.center().y), vec2(CROSS, CROSS));
    let id = ui.scope_id().with((title, "close"));
    let response = ui.interact(place, id, Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Close {title}")));
    rects::note(ui.ctx(), format!("panel.{title}.close"), place);
    let p = theme::palette(ui);
    let lit = response.hovered() || response.has_focus();
    if lit {
        ui.painter().rect_filled(place, 4.0, p.hover);
    }
    let color = if lit { p.text } else { p.weak.gamma_multiply(0.8) };
    icons::paint(ui.painter(), Icon::Close, place, 11.0, color);
    response.on_hover_text(format!("Close {title}")).clicked()
}
