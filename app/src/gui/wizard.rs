//! Making or changing a machine: architecture first, then what it boots, disks, memory and harts, network.

mod steps;

use super::action::Action;
use super::files::FilePicker;
use super::icons::{self, Icon};
use super::rects;
use super::theme::{self, SPACE, text};
use super::widgets;
use crate::config::{Home, MachineConfig, MemorySize, NetworkMode, Problem, presets};
use egui::{Align, FontId, Layout, Rect, Sense, Ui, pos2, vec2};
use std::path::{Path, PathBuf};

/// A step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Architecture and template.
    Architecture,
    /// Kernel and firmware.
    Boot,
    /// Disks.
    Disks,
    /// Memory and harts.
    Size,
    /// Network.
    Network,
    /// Name and summary.
    Finish,
}

impl Step {
    const ALL: [Step; 6] =
        [Step::Architecture, Step::Boot, Step::Disks, Step::Size, Step::Network, Step::Finish];

    fn title(self) -> &'static str {
        match self {
            Step::Architecture => "Architecture",
            Step::Boot => "Boot",
            Step::Disks => "Disks",
            Step::Size => "Memory and harts",
            Step::Network => "Network",
            Step::Finish => "Name and finish",
        }
    }

    /// Beginnings of the fields whose problems this step shows.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Step::Architecture => &["arch", "cpu"],
            Step::Boot => &["boot"],
            Step::Disks => &["drives", "new_disk"],
            Step::Size => &["memory", "harts"],
            Step::Network => &["net"],
            Step::Finish => &["name", "id", "engine", "tuning", "serial", "devices"],
        }
    }
}

/// Which field a file dialog is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    Kernel,
    Initrd,
    Bios,
    Dtb,
    Drive(usize),
}

/// The open form.
pub struct Wizard {
    /// The description as it is so far.
    config: MachineConfig,
    step: Step,
    editing: bool,
    memory: String,
    forwards: String,
    new_disk: Option<String>,
    picker: FilePicker<Field>,
    /// Folder of a machine that is edited, for relative paths.
    dir: PathBuf,
    images: PathBuf,
}

impl Wizard {
    /// A new machine from the first template, or around a dropped file.
    pub fn create(home: &Home, file: Option<&Path>) -> Wizard {
        let mut config = match file {
            None => presets()[0].config(),
            Some(file) => around_file(file),
        };
        config.id.clear();
        let step = if file.is_some() { Step::Boot } else { Step::Architecture };
        Wizard::of(home, config, step, false)
    }

    /// A machine of the library.
    pub fn edit(home: &Home, config: MachineConfig) -> Wizard {
        Wizard::of(home, config, Step::Boot, true)
    }

    fn of(home: &Home, config: MachineConfig, step: Step, editing: bool) -> Wizard {
        Wizard {
            memory: config.memory.to_string(),
            forwards: config.net.hostfwd.join("\n"),
            new_disk: None,
            picker: FilePicker::default(),
            dir: home.machine_dir(&config.id),
            images: home.images_dir(),
            config,
            step,
            editing,
        }
    }

    fn use_template(&mut self, index: usize) {
        if let Some(preset) = presets().get(index) {
            self.config = preset.config();
            self.config.id.clear();
            self.memory = self.config.memory.to_string();
            self.forwards = self.config.net.hostfwd.join("\n");
            self.new_disk = None;
        }
    }

    /// Puts the text fields into the description and says what is wrong with it.
    fn problems(&mut self) -> Vec<Problem> {
        let mut found = Vec::new();
        match self.memory.parse::<MemorySize>() {
            Ok(memory) => self.config.memory = memory,
            Err(what) => found.push(problem("memory", what, "")),
        }
        self.config.net.hostfwd =
            self.forwards.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
        if self.config.net.mode == NetworkMode::None {
            self.config.net.hostfwd.clear();
        }
        if let Some(size) = &self.new_disk {
            match size.parse::<MemorySize>() {
                Ok(size) if (1 << 20..=1 << 44).contains(&size.0) => {}
                Ok(_) => found.push(problem("new_disk", "A disk has 1M to 16T", "")),
                Err(what) => found.push(problem("new_disk", what, "")),
            }
        }
        found.extend(self.config.problems());
        self.missing_files(&mut found);
        found
    }

    fn missing_files(&self, found: &mut Vec<Problem>) {
        let b = &self.config.boot;
        let boot = [
            ("boot.kernel", &b.kernel),
            ("boot.initrd", &b.initrd),
            ("boot.bios", &b.bios),
            ("boot.dtb", &b.dtb),
        ];
        let boot = boot.into_iter().filter_map(|(f, p)| p.as_ref().map(|p| (f.to_owned(), p)));
        let drives =
            self.config.drives.iter().enumerate().map(|(i, d)| (format!("drives[{i}].file"), &d.file));
        for (field, path) in boot.chain(drives) {
            if path.is_empty() || path == "none" || path == "builtin" {
                continue;
            }
            let file = self.config.resolve(path, &self.dir, &self.images);
            if !file.is_file() {
                let advice = path.strip_prefix("image:").and_then(|i| i.split('/').next()).map_or_else(
                    || "Check the path".to_owned(),
                    |image| format!("Fetch it with \"vitrine images fetch {image}\""),
                );
                found.push(problem(&field, format!("There is no file {path}"), &advice));
            }
        }
    }

    /// Shows the form.
    pub fn show(&mut self, ui: &mut Ui) -> Vec<Action> {
        self.take_file();
        let problems = self.problems();
        let mut actions = Vec::new();
        self.top_bar(ui, &mut actions);
        self.footer(ui, &problems, &mut actions);
        let p = theme::palette(ui);
        let rail = egui::Frame::new().fill(p.panel).inner_margin(egui::Margin::symmetric(8, 16));
        egui::Panel::left("wizard steps").exact_size(208.0).resizable(false).frame(rail).show(ui, |ui| {
            self.steps(ui, &problems);
        });
        egui::CentralPanel::default().frame(egui::Frame::new().fill(p.base)).show(ui, |ui| {
            widgets::page(ui, 640.0, |ui| {
                widgets::title(ui, self.step.title());
                ui.add_space(SPACE[2]);
                self.step_contents(ui, &problems);
            });
        });
        actions
    }

    fn take_file(&mut self) {
        let Some((field, path)) = self.picker.poll() else { return };
        let path = path.display().to_string();
        let b = &mut self.config.boot;
        match field {
            Field::Kernel => b.kernel = Some(path),
            Field::Initrd => b.initrd = Some(path),
            Field::Bios => b.bios = Some(path),
            Field::Dtb => b.dtb = Some(path),
            Field::Drive(i) => {
                if let Some(drive) = self.config.drives.get_mut(i) {
                    drive.file = path;
                }
            }
        }
    }

    fn top_bar(&self, ui: &mut Ui, actions: &mut Vec<Action>) {
        widgets::bar(ui, "wizard bar", |ui| {
            if widgets::icon_button(ui, Icon::Back, "Back to the library", "Back without saving", true)
                .clicked()
            {
                actions.push(Action::Leave);
            }
            ui.add_space(SPACE[0]);
            let heading =
                if self.editing { format!("Edit {}", self.config.name) } else { "New machine".to_owned() };
            widgets::heading(ui, &heading);
        });
    }

    fn footer(&mut self, ui: &mut Ui, problems: &[Problem], actions: &mut Vec<Action>) {
        let p = theme::palette(ui);
        let frame = egui::Frame::new().fill(p.panel).inner_margin(egui::Margin::symmetric(16, 0));
        egui::Panel::bottom("wizard footer").exact_size(52.0).frame(frame).show(ui, |ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let ready = problems.is_empty();
                let last = self.step == Step::Finish;
                if self.editing || last {
                    let text = if self.editing { "Save" } else { "Create and start" };
                    let done = widgets::primary_button(ui, text, ready);
                    rects::note(ui.ctx(), "wizard.done", done.rect);
                    if done.clicked() {
                        actions.push(self.save(!self.editing));
                    }
                    if !self.editing {
                        let only = ui.add_enabled(
                            ready,
                            egui::Button::new("Create").min_size(vec2(72.0, theme::CONTROL_HEIGHT)),
                        );
                        rects::note(ui.ctx(), "wizard.create", only.rect);
                        if only.clicked() {
                            actions.push(self.save(false));
                        }
                    }
                } else {
                    let next = widgets::primary_button(ui, "Next", true);
                    rects::note(ui.ctx(), "wizard.next", next.rect);
                    if next.clicked() {
                        self.go(1);
                    }
                }
                if self.step != Step::Architecture
                    && !self.editing
                    && widgets::button(ui, "Previous").clicked()
                {
                    self.go(-1);
                }
                if !ready && (last || self.editing) {
                    let text = "What is marked at the left must be put right first.";
                    widgets::note(ui, text);
                }
            });
        });
    }

    fn save(&self, start: bool) -> Action {
        let mut config = self.config.clone();
        clean(&mut config);
        let new_disk = self.new_disk.as_ref().and_then(|s| s.parse().ok());
        Action::SaveMachine { config: Box::new(config), new_disk, start }
    }

    fn go(&mut self, by: isize) {
        let at = Step::ALL.iter().position(|s| *s == self.step).unwrap_or(0);
        if let Some(step) = at.checked_add_signed(by).and_then(|i| Step::ALL.get(i)) {
            self.step = *step;
        }
    }

    fn steps(&mut self, ui: &mut Ui, problems: &[Problem]) {
        let p = theme::palette(ui);
        ui.spacing_mut().item_spacing.y = 2.0;
        for step in Step::ALL {
            let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 34.0), Sense::click());
            response.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::Tab, true, format!("Step {}", step.title()))
            });
            rects::note(ui.ctx(), format!("wizard.step.{}", step.title()), rect);
            let current = step == self.step;
            if current || response.hovered() {
                ui.painter().rect_filled(rect, theme::CORNER, if current { p.hover } else { p.raised });
            }
            let wrong = problems.iter().any(|x| step.fields().iter().any(|f| x.field.starts_with(f)));
            let mark = Rect::from_center_size(pos2(rect.min.x + 18.0, rect.center().y), vec2(14.0, 14.0));
            if wrong {
                icons::paint(ui.painter(), Icon::Warning, mark, 14.0, p.warning);
            } else {
                icons::paint(ui.painter(), Icon::Check, mark, 12.0, p.weak);
            }
            let font = if current { theme::medium(text::BODY) } else { FontId::proportional(text::BODY) };
            let label = rect.with_min_x(rect.min.x + 34.0);
            widgets::painted_text(ui, label, step.title(), font, if current { p.text } else { p.weak });
            if response.clicked() {
                self.step = step;
            }
        }
    }
}

fn problem(field: &str, what: impl Into<String>, advice: &str) -> Problem {
    Problem { line: 0, column: 0, field: field.to_owned(), what: what.into(), advice: advice.to_owned() }
}

/// Empty fields are absent ones.
fn clean(config: &mut MachineConfig) {
    let b = &mut config.boot;
    for field in [&mut b.kernel, &mut b.initrd, &mut b.append, &mut b.bios, &mut b.dtb] {
        if field.as_ref().is_some_and(|f| f.trim().is_empty()) {
            *field = None;
        }
    }
}

/// A description around a dropped file: a disk if its name says so, firmware or a kernel otherwise.
fn around_file(file: &Path) -> MachineConfig {
    let path = file.display().to_string();
    let name =
        file.file_stem().map_or_else(|| "New machine".to_owned(), |s| s.to_string_lossy().into_owned());
    let ending = file.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let mut config = MachineConfig { name: name.chars().take(80).collect(), ..MachineConfig::default() };
    match ending.as_str() {
        "raw" | "img" | "qcow2" => {
            let format = if ending == "qcow2" {
                crate::config::DriveFormat::Qcow2
            } else {
                crate::config::DriveFormat::Raw
            };
            config.drives.push(crate::config::Drive { file: path, format, ..Default::default() });
        }
        "cpio" | "gz" if name.contains("initrd") || ending == "cpio" => config.boot.initrd = Some(path),
        _ => {
            config.boot.kernel = Some(path);
            config.boot.append = Some("console=ttyS0".to_owned());
        }
    }
    config
}

#[cfg(test)]
mod tests;
