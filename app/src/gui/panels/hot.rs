//! Hot spots: which guest code takes the time, function by function or translation by translation.

use super::table::{self, Cell, Column};
use super::{Panel, Side, View, empty, export, waits_for_guest};
use crate::gui::format::{grouped, three_digits};
use crate::gui::selection::Selected;
use crate::gui::theme::{self, CONTROL_HEIGHT, SPACE};
use crate::gui::widgets;
use crate::machine::api::{CodePin, CodeRange, Command};
use crate::watch::hot::{By, Order, Row, Table};
use crate::watch::{Spots, WINDOW, Wants};
use egui::{Align, Color32, Layout, Pos2, Ui, vec2};
use engine::tier::pins::{Level, Pin};
use engine::watch::Stage;
use engine::watch::samples::Privilege;
use std::fmt::Write;
use std::sync::Arc;

const COLUMNS: [Column; 9] = [
    Column {
        head: "Time, %",
        tip: "Part of the time of the harts that ran, over the last ten seconds that were watched: they are asked some 200 times a second where they \
              are. A hart that waits is not asked.",
        width: 64.0,
        number: true,
    },
    Column {
        head: "Function",
        tip: "By the symbols of the guest's own kernel, as far as they were found in its memory; else the address of the first instruction: the \
              guest's, or the physical one where it was not seen running.",
        width: 0.0,
        number: false,
    },
    Column {
        head: "Runs as",
        tip: "The tier: interpreter, tier 1, tier 2, or tier 2 formed again with what was learnt (settled). Of a function that of most of its time.",
        width: 108.0,
        number: false,
    },
    Column {
        head: "Runs",
        tip: "How often it ran, where that is counted: loops in adaptive mode, all in mode tier 2. Other code carries no counters.",
        width: 84.0,
        number: true,
    },
    Column { head: "Instr.", tip: "Guest instructions.", width: 52.0, number: true },
    Column { head: "Host, B", tip: "Bytes of host code, cold parts included.", width: 60.0, number: true },
    Column {
        head: "Host/guest",
        tip: "Bytes of host code for each byte of guest code.",
        width: 64.0,
        number: true,
    },
    Column {
        head: "Compile, µs",
        tip: "How long it took to compile, in microseconds of the host's time.",
        width: 72.0,
        number: true,
    },
    Column {
        head: "Exits",
        tip: "Direct exits that lead to other translations, of all direct exits.",
        width: 56.0,
        number: true,
    },
];

const SORTS: [By; 9] = [
    By::Time,
    By::Name,
    By::Stage,
    By::Runs,
    By::Insns,
    By::HostBytes,
    By::HostBytes,
    By::Compile,
    By::Exits,
];

/// Narrower than this, what the table is made of stands on a line of its own.
const NARROW: f32 = 760.0;
/// The function's name has at least so much room;
const NAME: f32 = 160.0;
/// what is left out first for it, by number of the column.
const LEFT_OUT: [usize; 6] = [8, 3, 7, 6, 4, 5];

/// The columns for which there is room, by number.
fn columns(width: f32) -> Vec<usize> {
    let mut shown: Vec<usize> = (0..COLUMNS.len()).collect();
    for out in LEFT_OUT {
        let fixed: f32 = shown.iter().map(|n| COLUMNS[*n].width + SPACE[2]).sum();
        if fixed + NAME <= width {
            break;
        }
        shown.retain(|n| *n != out);
    }
    shown
}

/// The panel.
pub struct HotSpots {
    order: Order,
    search: String,
    /// What is drawn: it stands still under the pointer, unless another order was asked for.
    shown: Arc<Table>,
    held: bool,
    /// The menu of a row.
    menu: Option<(Row, Pos2)>,
    /// What became of an export.
    note: Option<String>,
}

impl Default for HotSpots {
    fn default() -> HotSpots {
        HotSpots {
            order: Order { functions: true, ..Order::default() },
            search: String::new(),
            shown: Arc::default(),
            held: false,
            menu: None,
            note: None,
        }
    }
}

impl Panel for HotSpots {
    fn id(&self) -> &'static str {
        "hot"
    }

    fn title(&self) -> &'static str {
        "Hot spots"
    }

    fn about(&self) -> &'static str {
        "Which guest code takes the time"
    }

    fn side(&self) -> Side {
        Side::Bottom
    }

    fn wants(&self) -> Wants {
        Wants::SPOTS
    }

    fn show(&mut self, ui: &mut Ui, view: &mut View<'_>) {
        if waits_for_guest(ui, view, "Here is which guest code takes the time.") {
            return;
        }
        let Some(spots) = view.spots else { return };
        self.tools(ui, view);
        ui.add_space(SPACE[0]);
        spots.order(&self.order);
        let newest = spots.table();
        if !self.held || newest.order != self.shown.order {
            self.shown = newest;
        }
        if self.shown.all == 0 {
            empty(ui, "No code has run since this was opened.", "It fills while the guest is busy.");
            return;
        }
        self.rows(ui, view);
        self.show_menu(ui, view, spots);
    }
}

impl HotSpots {
    fn tools(&mut self, ui: &mut Ui, view: &View<'_>) {
        let narrow = ui.available_width() < NARROW;
        let line = |ui: &mut Ui, add: &mut dyn FnMut(&mut Ui)| {
            let size = vec2(ui.available_width(), CONTROL_HEIGHT);
            ui.allocate_ui_with_layout(size, Layout::left_to_right(Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = SPACE[1];
                add(ui);
            });
        };
        let stages =
            |this: &mut HotSpots, ui: &mut Ui| Stage::ALL.into_iter().for_each(|s| this.stage_chip(ui, s));
        if narrow {
            line(ui, &mut |ui| self.filters(ui));
            line(ui, &mut |ui| {
                stages(self, ui);
                self.says(ui, view);
            });
        } else {
            line(ui, &mut |ui| {
                self.filters(ui);
                stages(self, ui);
                self.says(ui, view);
            });
        }
    }

    /// Which rows there are.
    fn filters(&mut self, ui: &mut Ui) {
        for (functions, name, tip) in [
            (true, "Functions", "One row a function"),
            (false, "Translations", "One row a translation: a block of tier 1, a region of tier 2"),
        ] {
            let chosen = ui.selectable_label(self.order.functions == functions, name).on_hover_text(tip);
            if chosen.clicked() {
                self.order.functions = functions;
            }
        }
        let width = (ui.available_width() - 2.0 * SPACE[2]).clamp(60.0, 150.0);
        let field =
            egui::TextEdit::singleline(&mut self.search).hint_text("Name or address").desired_width(width);
        let field = ui.add(field);
        field.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Filter hot spots"));
        if field.changed() {
            self.order.filter = self.search.trim().to_lowercase();
        }
    }

    /// How many there are, and what can be done with them.
    fn says(&mut self, ui: &mut Ui, view: &View<'_>) {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui
                .button("Export")
                .on_hover_text("Write the rows to a file of comma-separated values")
                .clicked()
            {
                self.note = Some(export("hot-spots", "csv", &csv(&self.shown)));
            }
            let table = &self.shown;
            let count = match (table.rows.len(), table.all) {
                (shown, all) if shown == all => grouped(all as u64),
                (shown, all) => format!("{} of {}", grouped(shown as u64), grouped(all as u64)),
            };
            let samples = grouped(table.time().into());
            let text = self.note.clone().unwrap_or_else(|| {
                let names = view.spots.map(Spots::names_from).filter(|n| !n.is_empty());
                let names = names.unwrap_or_else(|| "no symbols found".to_owned());
                format!("{count} rows, {samples} samples in {} s, {names}", WINDOW.as_secs())
            });
            ui.add(
                egui::Label::new(
                    egui::RichText::new(text).size(theme::text::SMALL + 1.0).color(theme::palette(ui).weak),
                )
                .truncate(),
            );
        });
    }

    fn stage_chip(&mut self, ui: &mut Ui, stage: Stage) {
        let on = self.order.stages.contains(&stage);
        let (rect, response) = ui.allocate_exact_size(vec2(18.0, 18.0), egui::Sense::click());
        let name = format!("Only {}", stage.title());
        response.widget_info(|| egui::WidgetInfo::selected(egui::Role::CheckBox, true, on, &name));
        let (color, p) = (theme::stage_color(stage), theme::palette(ui));
        if on || response.hovered() || response.has_focus() {
            ui.painter().rect_filled(rect, 4.0, p.hover);
        }
        if on || self.order.stages.is_empty() {
            ui.painter().circle_filled(rect.center(), 5.0, color);
        } else {
            ui.painter().circle_stroke(rect.center(), 4.5, egui::Stroke::new(1.0, color));
        }
        if response.on_hover_text(name).clicked() {
            if on {
                self.order.stages.retain(|s| *s != stage);
            } else {
                self.order.stages.push(stage);
            }
        }
    }

    fn rows(&mut self, ui: &mut Ui, view: &mut View<'_>) {
        let shown_columns = columns(ui.available_width());
        let heads: Vec<Column> = shown_columns.iter().map(|n| COLUMNS[*n]).collect();
        let now = shown_columns.iter().position(|n| SORTS[*n] == self.order.by).unwrap_or(usize::MAX);
        if let Some(n) = table::sortable_head(ui, &heads, (now, self.order.ascending)) {
            let by = SORTS[shown_columns[n]];
            // Names begin with the first letter, numbers with the largest.
            self.order.ascending = if by == self.order.by { !self.order.ascending } else { by == By::Name };
            self.order.by = by;
        }
        let shown = self.shown.clone();
        if shown.rows.is_empty() {
            ui.add_space(SPACE[1]);
            widgets::weak(ui, "Nothing fits the filter.");
            return;
        }
        let selected = view.selection.now();
        let most = shown.rows.iter().map(Row::time).max().unwrap_or(0).max(1);
        let whole = shown.time().max(1);
        let out = table::rows(ui, "hot spots", &heads, shown.rows.len(), |i| {
            let row = shown.rows.get(i)?;
            let same = selected.code.is_some() && selected.code == row.pa;
            let mut all = cells(row, whole, most).map(Some);
            Some((shown_columns.iter().filter_map(|n| all[*n].take()).collect(), same))
        });
        if let Some(row) = out.clicked.and_then(|i| shown.rows.get(i)) {
            let moment_ns = selected.moment_ns;
            view.selection.select(Selected { code: row.pa, pc: row.pc, moment_ns });
        }
        if let Some((i, at)) = out.menu {
            self.menu = shown.rows.get(i).map(|row| (row.clone(), at));
        }
        self.held = out.hovered;
    }

    /// What can be done with a row.
    fn show_menu(&mut self, ui: &mut Ui, view: &mut View<'_>, spots: &Spots) {
        let Some((row, at)) = self.menu.clone() else { return };
        let mut done = false;
        let area =
            egui::Area::new(egui::Id::unique("hot spot menu")).fixed_pos(at).order(egui::Order::Foreground);
        let response = area.show(ui.ctx(), |ui| {
            egui::Frame::menu(ui.style()).show(ui, |ui| {
                ui.set_min_width(220.0);
                ui.label(egui::RichText::new(title(&row)).strong());
                ui.separator();
                let Some(range) = range(&row) else {
                    ui.label("Its physical address is not known: it cannot be pinned.");
                    return;
                };
                for (level, text) in [
                    (Level::Interpreter, "Hold in the interpreter"),
                    (Level::Tier1, "Hold in tier 1"),
                    (Level::Tier2, "Hold in tier 2"),
                ] {
                    if ui.button(text).clicked() {
                        view.commands.push(Command::Pin(CodePin(Pin { range: range.clone(), level })));
                        done = true;
                    }
                }
                if ui.button("Let go").clicked() {
                    view.commands.push(Command::Unpin(Some(CodeRange(range.clone()))));
                    done = true;
                }
                ui.separator();
                if ui.button("Copy address").clicked() {
                    ui.ctx().copy_text(format!("{:#x}", row.pc.or(row.pa).unwrap_or_default()));
                    done = true;
                }
                if ui.button("Inspect").clicked() {
                    if let Some(pa) = row.pa {
                        spots.inspect(pa, row.pc);
                    }
                    done = true;
                }
            });
        });
        let elsewhere =
            ui.input(|i| i.key_pressed(egui::Key::Escape)) || response.response.clicked_elsewhere();
        if done || elsewhere {
            self.menu = None;
        }
    }
}

/// The physical addresses of a row's first block.
fn range(row: &Row) -> Option<std::ops::Range<u64>> {
    let pa = row.pa?;
    Some(pa..pa.checked_add(1)?)
}

/// The name, else an address.
fn title(row: &Row) -> String {
    match (&row.name, row.pc, row.pa) {
        (Some((name, 0)), ..) => name.to_string(),
        (Some((name, by)), ..) => format!("{name}+{by:#x}"),
        (None, Some(pc), _) => {
            let who = if row.privilege == Some(Privilege::User) { "program " } else { "" };
            format!("{who}{pc:#x}")
        }
        (None, None, Some(pa)) => format!("physical {pa:#x}"),
        (None, None, None) => String::new(),
    }
}

fn percent(part: u32, whole: u32) -> f64 {
    f64::from(part) * 100.0 / f64::from(whole.max(1))
}

/// A number, or nothing where there is none.
fn some(n: u64) -> String {
    if n == 0 { String::new() } else { grouped(n) }
}

fn cells(row: &Row, whole: u32, most: u32) -> [Cell; 9] {
    let color = theme::stage_color(row.stage);
    let time = if row.time() == 0 { String::new() } else { three_digits(percent(row.time(), whole)) };
    let part = f64::from(row.time()) / f64::from(most);
    // Heat is brightness within the tier's colour.
    let bar = (row.time() > 0).then(|| (part as f32, heat(color, part as f32)));
    let grows = if row.bytes == 0 || row.host_bytes == 0 {
        String::new()
    } else {
        three_digits(f64::from(row.host_bytes) / f64::from(row.bytes))
    };
    let exits =
        if row.exits[0] == 0 { String::new() } else { format!("{} / {}", row.exits[1], row.exits[0]) };
    let compile = if row.compile_ns == 0 { String::new() } else { three_digits(row.compile_ns as f64 / 1e3) };
    [
        Cell { text: time, dot: None, bar },
        title(row).into(),
        Cell { text: row.stage.title().to_owned(), dot: Some(color), bar: None },
        row.runs.map_or_else(String::new, grouped).into(),
        some(row.insns.into()).into(),
        some(row.host_bytes.into()).into(),
        grows.into(),
        compile.into(),
        exits.into(),
    ]
}

/// A tier's colour for code that is so hot, from 0 to 1.
fn heat(color: Color32, part: f32) -> Color32 {
    color.gamma_multiply(0.35 + 0.65 * part.clamp(0.0, 1.0))
}

/// The rows as comma-separated values.
fn csv(table: &Table) -> String {
    let mut out = String::from(
        "time_percent,function,guest_address,physical_address,stage,runs,guest_instructions,guest_bytes,host_bytes,compile_ns,exits,exits_linked\n",
    );
    let whole = table.time();
    let hex = |a: Option<u64>| a.map_or_else(String::new, |a| format!("{a:#x}"));
    for row in &table.rows {
        let name = row.name.as_ref().map_or_else(String::new, |_| title(row)).replace('"', "\"\"");
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:.4},\"{name}\",{},{},{},{},{},{},{},{},{},{}",
            percent(row.time(), whole),
            hex(row.pc),
            hex(row.pa),
            row.stage.title().replace(',', ""),
            row.runs.map_or_else(String::new, |n| n.to_string()),
            row.insns,
            row.bytes,
            row.host_bytes,
            row.compile_ns,
            row.exits[0],
            row.exits[1],
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            id: Some(1),
            pa: Some(0x8020_0000),
            key: 0,
            pc: Some(0xffff_ffff_8000_0000),
            name: Some(("a\"b".into(), 4)),
            privilege: Some(Privilege::Kernel),
            stage: Stage::Settled,
            samples: [0, 0, 1, 2],
            runs: Some(7),
            insns: 10,
            bytes: 32,
            host_bytes: 400,
            compile_ns: 1_500,
            exits: [2, 1],
            translations: 1,
        }
    }

    #[test]
    fn narrow_tables_leave_columns_out() {
        assert_eq!(columns(1200.0).len(), COLUMNS.len());
        assert_eq!(columns(440.0), [0, 1, 2, 5]);
        assert_eq!(columns(10.0), [0, 1, 2]);
    }

    #[test]
    fn rows_are_told_in_words_and_numbers() {
        let texts: Vec<_> = cells(&row(), 12, 3).map(|c| c.text).into();
        assert_eq!(texts, ["25.0", "a\"b+0x4", "Tier 2, settled", "7", "10", "400", "12.5", "1.50", "1 / 2"]);
        let cold = Row { samples: [0; 4], runs: None, exits: [0; 2], name: None, pc: None, ..row() };
        assert_eq!(title(&cold), "physical 0x80200000");
        assert!(cells(&cold, 0, 0)[0].text.is_empty(), "not sampled is not 0");
        let program = Row { name: None, privilege: Some(Privilege::User), pc: Some(0x1000), ..row() };
        assert_eq!(title(&program), "program 0x1000");
    }

    #[test]
    fn values_are_separated_and_quoted() {
        let table = Table { rows: vec![row()], all: 1, samples: [0, 0, 1, 2], order: Order::default() };
        let text = csv(&table);
        let (head, body) = text.split_once('\n').expect("two lines");
        assert_eq!(head.split(',').count(), 12);
        assert_eq!(
            body.trim(),
            "100.0000,\"a\"\"b+0x4\",0xffffffff80000000,0x80200000,Tier 2 settled,7,10,32,400,1500,2,1"
        );
    }
}
