//! What each step of the form shows.

use super::{Field, Step, Wizard};
use crate::config::{Arch, Drive, DriveFormat, HARTS_MAX, NetworkMode, Problem, presets};
use crate::gui::library::memory_words;
use crate::gui::rects;
use crate::gui::theme::{self, SPACE, text};
use crate::gui::widgets;
use crate::machine::api::EngineMode;
use egui::{FontId, Rect, RichText, Sense, Slider, Stroke, TextEdit, Ui, vec2};

impl Wizard {
    pub(super) fn step_contents(&mut self, ui: &mut Ui, problems: &[Problem]) {
        match self.step {
            Step::Architecture => self.architecture(ui, problems),
            Step::Boot => self.boot(ui, problems),
            Step::Disks => self.disks(ui, problems),
            Step::Size => self.size(ui, problems),
            Step::Network => self.network(ui, problems),
            Step::Finish => self.finish(ui, problems),
        }
    }

    fn architecture(&mut self, ui: &mut Ui, problems: &[Problem]) {
        let size = vec2((ui.available_width() - 2.0 * SPACE[1]) / 3.0, 64.0);
        ui.horizontal(|ui| {
            for arch in Arch::ALL {
                let about = if arch.is_ready() { "Ready" } else { "Coming in a later version" };
                let selected = self.config.arch == arch;
                if choice(ui, size, arch.title(), about, selected, arch.is_ready()) {
                    self.config.arch = arch;
                }
            }
        });
        widgets::problems(ui, problems, "arch");
        if self.editing {
            return;
        }
        ui.add_space(SPACE[3]);
        widgets::heading(ui, "Start from");
        for (i, preset) in presets().iter().enumerate() {
            let config = preset.config();
            let selected = self.config.boot == config.boot;
            let width = ui.available_width();
            if choice(ui, vec2(width, 56.0), &config.name, preset.about, selected, true) {
                self.use_template(i);
            }
        }
    }

    fn boot(&mut self, ui: &mut Ui, problems: &[Problem]) {
        let b = &mut self.config.boot;
        let mut embedded = b.embedded;
        ui.horizontal(|ui| {
            let width = (ui.available_width() - SPACE[1]) / 2.0;
            let size = vec2(width, 64.0);
            if choice(ui, size, "Embedded guest", "Comes with the program", embedded, true) {
                embedded = true;
            }
            if choice(ui, size, "Files", "A kernel, firmware, or both", !embedded, true) {
                embedded = false;
            }
        });
        if embedded && !b.embedded {
            *b = crate::config::Boot { embedded: true, ..Default::default() };
        }
        b.embedded = embedded;
        ui.add_space(SPACE[2]);
        if embedded {
            widgets::weak(
                ui,
                "A serial shell with benchmarks and demonstrations. It starts at once and needs no files.",
            );
        } else {
            self.boot_files(ui, problems);
        }
        for p in problems.iter().filter(|p| p.field == "boot") {
            widgets::problems(ui, std::slice::from_ref(p), "boot");
        }
    }

    fn boot_files(&mut self, ui: &mut Ui, problems: &[Problem]) {
        let rows = [
            (
                Field::Kernel,
                "Kernel",
                "A Linux Image (also gzip or EFI zboot), or any ELF file",
                "boot.kernel",
            ),
            (Field::Initrd, "Initial RAM disk", "Optional", "boot.initrd"),
            (
                Field::Bios,
                "Firmware",
                "Empty: the built-in SBI. \"none\": the kernel starts in M-mode",
                "boot.bios",
            ),
            (Field::Dtb, "Device tree", "Empty: made to fit the machine", "boot.dtb"),
        ];
        for (field, label, hint, name) in rows {
            let b = &mut self.config.boot;
            let value = match field {
                Field::Kernel => &mut b.kernel,
                Field::Initrd => &mut b.initrd,
                Field::Bios => &mut b.bios,
                Field::Dtb | Field::Drive(_) => &mut b.dtb,
            };
            let browse = path_field(ui, label, hint, value);
            if browse {
                self.picker.pick(ui.ctx(), field, label);
            }
            widgets::problems(ui, problems, name);
            ui.add_space(SPACE[0]);
        }
        label(ui, "Kernel command line");
        let append = self.config.boot.append.get_or_insert_default();
        let field = TextEdit::singleline(append)
            .font(theme::mono(text::BODY))
            .margin(egui::Margin::symmetric(10, 6))
            .desired_width(f32::INFINITY);
        ui.add(field);
        widgets::problems(ui, problems, "boot.append");
        if self.config.boot.append.as_deref() == Some("") {
            self.config.boot.append = None;
        }
    }

    fn disks(&mut self, ui: &mut Ui, problems: &[Problem]) {
        widgets::problems(
            ui,
            &problems.iter().filter(|p| p.field == "drives").cloned().collect::<Vec<_>>(),
            "drives",
        );
        let mut removed = None;
        for i in 0..self.config.drives.len() {
            let mut browse = false;
            widgets::card(ui).show(ui, |ui| {
                ui.set_width(ui.available_width());
                let drive = &mut self.config.drives[i];
                let mut file = Some(std::mem::take(&mut drive.file));
                browse = path_field(ui, &format!("Disk {}", i + 1), "The path of a disk image", &mut file);
                drive.file = file.unwrap_or_default();
                widgets::problems(ui, problems, &format!("drives[{i}]"));
                ui.horizontal(|ui| {
                    egui::ComboBox::from_id_salt(("format", i))
                        .selected_text(if drive.format == DriveFormat::Raw { "raw" } else { "qcow2" })
                        .width(80.0)
                        .show_ui(ui, |ui| {
                            ui.selectable_value(&mut drive.format, DriveFormat::Raw, "raw");
                            ui.selectable_value(&mut drive.format, DriveFormat::Qcow2, "qcow2");
                        });
                    ui.checkbox(&mut drive.readonly, "Read-only");
                    ui.checkbox(&mut drive.snapshot, "Drop changes at power off");
                    ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                        if widgets::button(ui, "Remove").clicked() {
                            removed = Some(i);
                        }
                    });
                });
            });
            if browse {
                self.picker.pick(ui.ctx(), Field::Drive(i), "Disk image");
            }
            ui.add_space(SPACE[1]);
        }
        if let Some(i) = removed {
            self.config.drives.remove(i);
        }
        if self.config.drives.is_empty() && self.new_disk.is_none() {
            widgets::weak(
                ui,
                "The machine has no disks. What the guest writes is gone when it is switched off.",
            );
            ui.add_space(SPACE[1]);
        }
        if let Some(size) = &mut self.new_disk {
            widgets::card(ui).show(ui, |ui| {
                ui.set_width(ui.available_width());
                label(ui, "New empty disk");
                ui.horizontal(|ui| {
                    ui.add(
                        TextEdit::singleline(size)
                            .desired_width(100.0)
                            .margin(egui::Margin::symmetric(10, 6)),
                    );
                    widgets::note(ui, "Takes space on the host only as the guest writes to it.");
                });
                widgets::problems(ui, problems, "new_disk");
            });
            ui.add_space(SPACE[1]);
        }
        ui.horizontal(|ui| {
            let add = widgets::button(ui, "Add an image");
            rects::note(ui.ctx(), "wizard.add_disk", add.rect);
            if add.clicked() {
                self.config.drives.push(Drive::default());
            }
            let text = if self.new_disk.is_some() { "No new disk" } else { "New empty disk" };
            if widgets::button(ui, text).clicked() {
                self.new_disk = if self.new_disk.is_some() { None } else { Some("8G".to_owned()) };
            }
        });
    }

    fn size(&mut self, ui: &mut Ui, problems: &[Problem]) {
        label(ui, "Memory");
        ui.horizontal(|ui| {
            let field = TextEdit::singleline(&mut self.memory)
                .desired_width(100.0)
                .margin(egui::Margin::symmetric(10, 6));
            ui.add(field);
            for size in ["256M", "512M", "1G", "2G", "4G"] {
                if ui.selectable_label(self.memory == size, size).clicked() {
                    size.clone_into(&mut self.memory);
                }
            }
        });
        widgets::note(ui, "Taken from the host as the guest uses it.");
        widgets::problems(ui, problems, "memory");
        ui.add_space(SPACE[3]);
        label(ui, "Harts");
        ui.spacing_mut().slider_width = 280.0;
        ui.add(Slider::new(&mut self.config.harts, 1..=HARTS_MAX));
        let host = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        widgets::note(ui, format!("A hart is a RISC-V hardware thread. This host runs {host} at once."));
        widgets::problems(ui, problems, "harts");
    }

    fn network(&mut self, ui: &mut Ui, problems: &[Problem]) {
        ui.horizontal(|ui| {
            let size = vec2((ui.available_width() - SPACE[1]) / 2.0, 64.0);
            let user = self.config.net.mode == NetworkMode::User;
            if choice(ui, size, "User network", "Out to the host's network, no set-up", user, true) {
                self.config.net.mode = NetworkMode::User;
            }
            if choice(ui, size, "None", "No network card", !user, true) {
                self.config.net.mode = NetworkMode::None;
            }
        });
        if self.config.net.mode == NetworkMode::User {
            ui.add_space(SPACE[2]);
            label(ui, "Ports of the host that lead into the guest");
            let field = TextEdit::multiline(&mut self.forwards)
                .font(theme::mono(text::BODY))
                .hint_text("tcp:127.0.0.1:2222-:22")
                .margin(egui::Margin::symmetric(10, 6))
                .desired_rows(3)
                .desired_width(f32::INFINITY);
            ui.add(field);
            widgets::note(ui, "One on each line: tcp or udp, host address and port, guest address and port.");
        }
        widgets::problems(ui, problems, "net");
    }

    fn finish(&mut self, ui: &mut Ui, problems: &[Problem]) {
        label(ui, "Name");
        let field = TextEdit::singleline(&mut self.config.name)
            .margin(egui::Margin::symmetric(10, 6))
            .desired_width(f32::INFINITY);
        let response = ui.add(field);
        rects::note(ui.ctx(), "wizard.name", response.rect);
        widgets::problems(ui, problems, "name");
        ui.add_space(SPACE[2]);
        ui.checkbox(
            &mut self.config.suspend_on_close,
            "Save the state when the window closes, and resume from it",
        );
        ui.checkbox(
            &mut self.config.deterministic,
            "Deterministic: one thread, time from the instruction count",
        );
        ui.add_space(SPACE[2]);
        engine(ui, &mut self.config.engine);
        widgets::problems(ui, problems, "engine");
        ui.add_space(SPACE[3]);
        let c = &self.config;
        let boot = if c.boot.embedded {
            "Embedded guest".to_owned()
        } else {
            let files = [&c.boot.bios, &c.boot.kernel, &c.boot.initrd];
            files.into_iter().flatten().cloned().collect::<Vec<_>>().join(", ")
        };
        let disks = match (c.drives.len(), &self.new_disk) {
            (0, None) => "None".to_owned(),
            (n, None) => n.to_string(),
            (n, Some(size)) => format!("{} and a new one of {size}", n),
        };
        let net = if c.net.mode == NetworkMode::User { "User network" } else { "None" };
        let facts = [
            ("Architecture", c.arch.title().to_owned()),
            ("Boot", boot),
            ("Disks", disks),
            ("Memory", memory_words(c.memory.0)),
            ("Harts", c.harts.to_string()),
            ("Network", net.to_owned()),
        ];
        widgets::card(ui).show(ui, |ui| {
            ui.set_width(ui.available_width());
            egui::Grid::new("summary").num_columns(2).spacing(vec2(SPACE[4], SPACE[1])).show(ui, |ui| {
                for (name, value) in facts {
                    widgets::weak(ui, name);
                    ui.add(egui::Label::new(value).truncate());
                    ui.end_row();
                }
            });
        });
        let known = ["arch", "cpu", "boot", "drives", "new_disk", "memory", "harts", "net", "name", "engine"];
        let rest: Vec<Problem> =
            problems.iter().filter(|p| !known.iter().any(|k| p.field.starts_with(k))).cloned().collect();
        widgets::problems(ui, &rest, "");
    }
}

/// How guest code runs; it can be switched while the machine runs, too.
fn engine(ui: &mut Ui, engine: &mut EngineMode) {
    label(ui, "How guest code runs");
    let menu = egui::ComboBox::from_id_salt("engine").selected_text(engine.title()).width(220.0);
    let shown = menu.show_ui(ui, |ui| {
        for mode in EngineMode::ALL {
            let row = ui.add_enabled(
                mode.unavailable().is_none(),
                egui::Button::selectable(*engine == mode, mode.title()),
            );
            let row = row.on_disabled_hover_text(mode.unavailable().unwrap_or_default());
            if row.clicked() {
                *engine = mode;
            }
        }
    });
    rects::note(ui.ctx(), "wizard.engine", shown.response.rect);
}

fn label(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).font(theme::medium(text::BODY)));
}

/// A path with a label and a button that opens the system's dialog; says whether that was pressed.
fn path_field(ui: &mut Ui, name: &str, hint: &str, value: &mut Option<String>) -> bool {
    label(ui, name);
    let mut browse = false;
    let text = value.get_or_insert_default();
    ui.horizontal(|ui| {
        let field = TextEdit::singleline(text)
            .hint_text(hint)
            .margin(egui::Margin::symmetric(10, 6))
            .desired_width(ui.available_width() - 88.0);
        let response = ui.add(field);
        rects::note(ui.ctx(), format!("wizard.path.{name}"), response.rect);
        let button = egui::Button::new("Browse…").min_size(vec2(80.0, theme::CONTROL_HEIGHT));
        browse = ui.add(button).clicked();
    });
    if text.is_empty() {
        *value = None;
    }
    browse
}

/// A large choice with a title and a line about it.
fn choice(ui: &mut Ui, size: egui::Vec2, title: &str, about: &str, selected: bool, enabled: bool) -> bool {
    let p = theme::palette(ui);
    let sense = if enabled { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(size, sense);
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::RadioButton, enabled, selected, title));
    rects::note(ui.ctx(), format!("wizard.choice.{title}"), rect);
    let line = match (selected, response.hovered() && enabled) {
        (true, _) => Stroke::new(1.5, p.accent),
        (false, true) => Stroke::new(1.0, p.weak),
        (false, false) => Stroke::new(1.0, p.hairline),
    };
    let fill = if enabled { p.raised } else { p.base };
    ui.painter().rect(rect, 8.0, fill, line, egui::StrokeKind::Inside);
    let inner = rect.shrink2(vec2(14.0, 0.0));
    let middle = rect.center().y;
    let first = Rect::from_min_max(egui::pos2(inner.min.x, middle - 20.0), egui::pos2(inner.max.x, middle));
    let second =
        Rect::from_min_max(egui::pos2(inner.min.x, middle + 1.0), egui::pos2(inner.max.x, middle + 19.0));
    let color = if enabled { p.text } else { p.weak };
    widgets::painted_text(ui, first, title, theme::medium(text::BODY), color);
    widgets::painted_text(ui, second, about, FontId::proportional(text::SMALL + 1.0), p.weak);
    enabled && response.clicked()
}
