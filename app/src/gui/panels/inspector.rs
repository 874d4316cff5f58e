//! The block inspector: one piece of guest code in all its forms, side by side.

use super::{Panel, Side, View, empty, waits_for_guest};
use crate::gui::format::{grouped, three_digits};
use crate::gui::theme::{self, SPACE, text};
use crate::gui::widgets;
use crate::watch::inspect::{FORM_ABOUT, FORM_TITLES, FORMS, Group, Inspected, Owner, missing};
use crate::watch::{Subject, Wants};
use egui::{Color32, FontId, Rect, Sense, Stroke, Ui, pos2, vec2};
use engine::watch::Stage;
use engine::watch::list::Listed;
use std::sync::Arc;

/// Height of a line.
const LINE: f32 = 16.0;
/// Width of the gutter in the tier's colour.
const GUTTER: f32 = 3.0;
/// Narrower columns than this are not shown beside others.
const NARROWEST: f32 = 170.0;

/// The panel.
#[derive(Default)]
pub struct Inspector {
    /// Which of the forms is shown: the stage, and the number among those of it.
    chosen: Option<(Stage, usize)>,
    /// Forms that are hidden.
    hidden: [bool; FORMS],
    /// The first line of each group, of this translation.
    lines: Vec<usize>,
    of: Option<(u64, Stage, usize)>,
    /// The group under the pointer.
    hovered: Option<usize>,
}

impl Panel for Inspector {
    fn id(&self) -> &'static str {
        "inspector"
    }

    fn title(&self) -> &'static str {
        "Inspector"
    }

    fn about(&self) -> &'static str {
        "Guest code, IR, CLIF and host code of the selected block, side by side"
    }

    fn side(&self) -> Side {
        Side::Bottom
    }

    fn wants(&self) -> Wants {
        Wants::SPOTS
    }

    fn show(&mut self, ui: &mut Ui, view: &mut View<'_>) {
        if waits_for_guest(ui, view, "Here is a block in all its forms: guest code, IR, CLIF, host code.") {
            return;
        }
        let Some(spots) = view.spots else { return };
        let now = view.selection.now();
        let Some(pa) = now.code else {
            empty(ui, "No code is selected.", "Select a row of Hot spots or Promotions.");
            return;
        };
        spots.inspect(pa, now.pc);
        let subject = spots.subject();
        if subject.pa != pa {
            return;
        }
        if subject.forms.is_empty() {
            empty(
                ui,
                &format!("There is no code at {pa:#x} any more."),
                "It was written over, or its translation had to make room. Select another row.",
            );
            return;
        }
        let shown = self.pick(&subject);
        self.head(ui, &subject, shown);
        ui.add_space(SPACE[0]);
        if let Some((_, inspected)) = subject.forms.get(shown) {
            self.columns(ui, &subject, shown, inspected);
        }
    }
}

/// Names of the stages and numbers among those of one stage.
fn names(subject: &Subject) -> Vec<(Stage, usize)> {
    let stages: Vec<Stage> = subject.forms.iter().map(|(_, f)| f.apart.stage).collect();
    stages.iter().enumerate().map(|(i, s)| (*s, stages[..i].iter().filter(|o| *o == s).count())).collect()
}

impl Inspector {
    /// The number of the form that is shown: the one that was chosen, else the highest.
    fn pick(&mut self, subject: &Arc<Subject>) -> usize {
        let names = names(subject);
        let chosen = self.chosen.and_then(|c| names.iter().position(|n| *n == c));
        chosen.unwrap_or(names.len().saturating_sub(1))
    }

    fn head(&mut self, ui: &mut Ui, subject: &Subject, shown: usize) {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = SPACE[1];
            widgets::heading(ui, &title(subject));
            for (i, (stage, nth)) in names(subject).into_iter().enumerate() {
                let name = if nth == 0 {
                    stage.title().to_owned()
                } else {
                    format!("{} ({})", stage.title(), nth + 1)
                };
                if stage_button(ui, stage, &name, i == shown) {
                    self.chosen = Some((stage, nth));
                }
            }
            ui.add_space(SPACE[1]);
            for (form, title) in FORM_TITLES.iter().enumerate() {
                let on = !self.hidden[form];
                let label = egui::RichText::new(*title).size(text::SMALL + 1.0);
                let mut shown = on;
                if ui.checkbox(&mut shown, label).on_hover_text(FORM_ABOUT[form]).changed() {
                    self.hidden[form] = !shown;
                }
            }
        });
        if let Some((listed, inspected)) = subject.forms.get(shown) {
            widgets::note(ui, facts(listed.as_ref(), inspected));
        }
    }

    fn columns(&mut self, ui: &mut Ui, subject: &Subject, shown: usize, inspected: &Inspected) {
        let key = (subject.pa, inspected.apart.stage, shown);
        if self.of != Some(key) || self.lines.len() != inspected.groups.len() + 1 {
            self.of = Some(key);
            self.lines = first_lines(&inspected.groups);
        }
        let mut forms: Vec<usize> = (0..FORMS).filter(|f| !self.hidden[*f]).collect();
        let width = ui.available_width();
        // The guest's own and as many others as have room.
        let room = (width / NARROWEST).floor().max(2.0) as usize;
        let empty_first = |f: &usize| !inspected.has[*f];
        while forms.len() + 1 > room {
            let leave = forms.iter().position(empty_first).unwrap_or(0);
            forms.remove(leave);
        }
        let guest = (width * 0.24).clamp(NARROWEST, 300.0);
        let each = (width - guest) / forms.len().max(1) as f32;
        let place = |rect: Rect, n: usize| {
            let (x, w) =
                if n == 0 { (rect.min.x, guest) } else { (rect.min.x + guest + each * (n - 1) as f32, each) };
            Rect::from_min_max(pos2(x + SPACE[1], rect.min.y), pos2(x + w - SPACE[0], rect.max.y))
        };
        titles(ui, &forms, inspected, place);
        let total = self.lines.last().copied().unwrap_or(0);
        let entry = subject.pc.map(|pc| {
            pc.wrapping_add(inspected.apart.blocks.first().unwrap_or(&subject.pa).wrapping_sub(subject.pa))
        });
        let mut hovered = None;
        ui.spacing_mut().item_spacing.y = 0.0;
        egui::ScrollArea::vertical().id_salt("inspector").auto_shrink(false).show_rows(
            ui,
            LINE,
            total,
            |ui, range| {
                let (rect, _) = ui.allocate_exact_size(
                    vec2(ui.available_width(), LINE * range.len() as f32),
                    Sense::hover(),
                );
                let first = self.lines.partition_point(|l| *l <= range.start).saturating_sub(1);
                for (n, group) in inspected.groups.iter().enumerate().skip(first) {
                    if self.lines[n] >= range.end {
                        break;
                    }
                    let y = rect.min.y + (self.lines[n] as f32 - range.start as f32) * LINE;
                    let height = (self.lines[n + 1] - self.lines[n]) as f32 * LINE;
                    let band = Rect::from_min_size(pos2(rect.min.x, y), vec2(rect.width(), height));
                    if ui.rect_contains_pointer(band.intersect(rect)) {
                        hovered = Some(n);
                    }
                    paint_group(
                        ui,
                        band,
                        group,
                        n,
                        self.hovered == Some(n),
                        inspected,
                        entry,
                        &forms,
                        &place,
                    );
                }
            },
        );
        if self.hovered != hovered {
            self.hovered = hovered;
            ui.ctx().request_repaint();
        }
    }
}

/// The first line of each group, and the number of all.
fn first_lines(groups: &[Group]) -> Vec<usize> {
    let mut at = 0;
    let mut lines: Vec<usize> = groups
        .iter()
        .map(|g| {
            let first = at;
            at += g.height();
            first
        })
        .collect();
    lines.push(at);
    lines
}

fn titles(ui: &mut Ui, forms: &[usize], inspected: &Inspected, place: impl Fn(Rect, usize) -> Rect) {
    let p = theme::palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), LINE + 4.0), Sense::hover());
    let font = FontId::proportional(text::SMALL);
    widgets::painted_text(ui, place(rect, 0), "Guest code", font.clone(), p.weak);
    for (n, form) in forms.iter().enumerate() {
        let title = if inspected.has[*form] {
            FORM_TITLES[*form].to_owned()
        } else {
            format!("{}: {}", FORM_TITLES[*form], missing(inspected.apart.stage, *form))
        };
        widgets::painted_text(ui, place(rect, n + 1), &title, font.clone(), p.weak);
    }
    ui.painter().hline(rect.x_range(), rect.max.y, Stroke::new(1.0, p.hairline));
}

#[expect(clippy::too_many_arguments, reason = "one row of the panel, drawn in one place")]
fn paint_group(
    ui: &Ui,
    band: Rect,
    group: &Group,
    number: usize,
    hovered: bool,
    inspected: &Inspected,
    entry: Option<u64>,
    forms: &[usize],
    place: &impl Fn(Rect, usize) -> Rect,
) {
    let p = theme::palette(ui);
    if hovered {
        ui.painter().rect_filled(band, 0.0, p.hover);
    } else if number % 2 == 1 {
        ui.painter().rect_filled(band, 0.0, p.raised.gamma_multiply(0.6));
    }
    if group.begins_block && number > 1 {
        ui.painter().hline(band.x_range(), band.min.y, Stroke::new(1.0, p.hairline));
    }
    let gutter = Rect::from_min_size(band.min, vec2(GUTTER, band.height()));
    ui.painter().rect_filled(gutter, 0.0, theme::stage_color(inspected.apart.stage));
    let font = theme::mono(text::SMALL);
    let line = |n: usize, column: usize| {
        let top = band.min.y + n as f32 * LINE;
        place(Rect::from_min_max(pos2(band.min.x, top), pos2(band.max.x, top + LINE)), column)
    };
    let (guest, color) = match group.owner {
        Owner::Head => ("entry".to_owned(), p.weak),
        Owner::Stub => ("ways out, declarations".to_owned(), p.weak),
        Owner::Insn(n) => (insn_text(inspected, n, entry), p.text),
    };
    widgets::painted_text(ui, line(0, 0), &guest, font.clone(), color);
    for (column, form) in forms.iter().enumerate() {
        for (n, text) in group.lines[*form].iter().enumerate() {
            let place = line(n, column + 1);
            // Many lines may be far away.
            if ui.clip_rect().intersects(place) {
                widgets::painted_text(
                    ui,
                    place,
                    text.trim_start_matches("    "),
                    font.clone(),
                    line_color(p.text, p.weak, text),
                );
            }
        }
    }
}

/// Cold code is drawn weaker.
fn line_color(text: Color32, weak: Color32, line: &str) -> Color32 {
    if line.starts_with('\u{2744}') { weak } else { text }
}

fn insn_text(inspected: &Inspected, n: usize, entry: Option<u64>) -> String {
    let Some(insn) = inspected.apart.insns.get(n) else { return String::new() };
    let at = entry.map_or(insn.pa, |e| e.wrapping_add_signed(insn.offset));
    // The low digits tell instructions apart; the whole address stands in the heading.
    format!("{:06x}  {}", at & 0xff_ffff, insn.text)
}

fn title(subject: &Subject) -> String {
    let address = subject.pc.map_or_else(|| format!("physical {:#x}", subject.pa), |pc| format!("{pc:#x}"));
    match &subject.name {
        Some((name, 0)) => format!("{name}  {address}"),
        Some((name, by)) => format!("{name}+{by:#x}  {address}"),
        None => address,
    }
}

fn facts(listed: Option<&Listed>, inspected: &Inspected) -> String {
    let apart = &inspected.apart;
    let plural =
        |n: usize, what: &str| format!("{} {what}{}", grouped(n as u64), if n == 1 { "" } else { "s" });
    let mut facts = vec![plural(apart.insns.len(), "instruction"), plural(apart.blocks.len(), "block")];
    if let Some(l) = listed {
        facts.push(format!("{} bytes of host code", grouped(l.host_bytes.into())));
        facts.push(format!("compiled in {} µs", three_digits(l.compile_ns as f64 / 1e3)));
        facts.push(format!("{} of {} exits linked", l.exits[1], l.exits[0]));
        facts.extend(l.runs.map(|n| format!("{} runs", grouped(n))));
        if !l.current {
            facts.push("entered where the tier above is left".to_owned());
        }
    }
    facts.join(" · ")
}

fn stage_button(ui: &mut Ui, stage: Stage, name: &str, current: bool) -> bool {
    let p = theme::palette(ui);
    let font = FontId::proportional(text::BODY - 0.5);
    let galley = ui.painter().layout_no_wrap(name.to_owned(), font, p.text);
    let (rect, response) = ui.allocate_exact_size(vec2(galley.size().x + 28.0, 22.0), Sense::click());
    response.widget_info(|| {
        egui::WidgetInfo::selected(egui::Role::RadioButton, true, current, format!("Show {name}"))
    });
    let lit = current || response.hovered() || response.has_focus();
    let fill = if lit { p.hover } else { Color32::TRANSPARENT };
    let line = if current { p.accent } else { p.hairline };
    ui.painter().rect(rect, 11.0, fill, Stroke::new(1.0, line), egui::StrokeKind::Inside);
    ui.painter().circle_filled(pos2(rect.min.x + 11.0, rect.center().y), 4.0, theme::stage_color(stage));
    ui.painter().galley(pos2(rect.min.x + 20.0, rect.center().y - galley.size().y / 2.0), galley, p.text);
    response.clicked()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stand_below_one_another() {
        let group = |n: usize| {
            let mut lines: [Vec<String>; FORMS] = Default::default();
            lines[3] = vec![String::new(); n];
            Group { owner: Owner::Head, lines, begins_block: false }
        };
        assert_eq!(first_lines(&[group(3), group(0), group(2)]), [0, 3, 4, 6]);
        assert_eq!(first_lines(&[]), [0]);
    }
}
