//! A machine's description.

use super::diagnose::ConfigError;
use super::size::MemorySize;
use super::tuning::EngineTuning;
use super::{migrate, validate};
use crate::machine::api::{CodePin, EngineMode};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The guest's architecture.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// RV64GC with supervisor mode.
    #[default]
    Riscv64,
    /// Armv8-A.
    Aarch64,
    /// x86-64.
    #[serde(rename = "x86-64")]
    X86_64,
}

impl Arch {
    /// All, in the order in which they are offered.
    pub const ALL: [Arch; 3] = [Arch::Riscv64, Arch::Aarch64, Arch::X86_64];

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Arch::Riscv64 => "RISC-V 64",
            Arch::Aarch64 => "AArch64",
            Arch::X86_64 => "x86-64",
        }
    }

    /// Whether this version can run it.
    pub const fn is_ready(self) -> bool {
        matches!(self, Arch::Riscv64)
    }
}

/// The CPU model. Extensions that the list does not name are the model's default.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cpu {
    /// Name of the model; "rv64" is the only one for RISC-V.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Changes to the model, each "+name" or "-name" ("+svade", "-zfa").
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
    /// Largest page-table mode; absent: the model's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paging: Option<Paging>,
    /// Misaligned loads and stores raise exceptions instead of being carried out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub trap_misaligned: bool,
}

/// A page-table mode; the smaller ones come with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Paging {
    /// Three levels.
    Sv39,
    /// Four levels.
    Sv48,
    /// Five levels.
    Sv57,
}

/// How a virtio device is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A function on the PCI bus.
    #[default]
    Pci,
    /// One of the board's eight virtio-mmio slots; filled from the first one on.
    Mmio,
}

/// What the machine starts. Paths are relative to the machine's file; `image:NAME/FILE` is a file of a fetched image.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Boot {
    /// Start the guest that comes with the program; excludes the files below.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub embedded: bool,
    /// A Linux `Image` or an ELF file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// An initial RAM disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initrd: Option<String>,
    /// The kernel's command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub append: Option<String>,
    /// Firmware that starts in M-mode; absent: the built-in SBI; "none": the kernel itself starts in M-mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bios: Option<String>,
    /// A device tree instead of the generated one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtb: Option<String>,
}

/// How a disk file is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriveFormat {
    /// Sector for sector.
    #[default]
    Raw,
    /// QEMU's copy-on-write format, version 2 and 3.
    Qcow2,
}

/// How the guest sees a drive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriveInterface {
    /// A virtio block device.
    #[default]
    Virtio,
    /// A bank of the board's flash memory.
    Pflash,
}

/// One disk.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drive {
    /// The file (paths as in [`Boot`]).
    pub file: String,
    /// Its format.
    #[serde(default)]
    pub format: DriveFormat,
    /// How the guest sees it.
    #[serde(default, rename = "if")]
    pub interface: DriveInterface,
    /// Refuse writes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub readonly: bool,
    /// Writes go to a temporary file that is dropped at the end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub snapshot: bool,
    /// How a virtio drive is connected.
    #[serde(default, skip_serializing_if = "is_pci")]
    pub transport: Transport,
}

/// Where the network card leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// Out to the host's network in the user's name.
    #[default]
    User,
    /// No network card.
    None,
}

/// The network.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Where the card leads.
    pub mode: NetworkMode,
    /// Host ports that lead into the guest, in QEMU's words: "tcp:127.0.0.1:2222-:22".
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hostfwd: Vec<String>,
    /// More about the user's network in QEMU's words: "restrict=on,net=10.1.0.0/24".
    #[serde(skip_serializing_if = "String::is_empty")]
    pub options: String,
    /// The card's address ("52:54:00:12:34:56"); absent: one is made up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// How the card is connected.
    #[serde(skip_serializing_if = "is_pci")]
    pub transport: Transport,
}

impl Network {
    /// The network in QEMU's words, as `-netdev` takes them; `None` without a card.
    pub fn netdev_words(&self) -> Option<String> {
        if self.mode == NetworkMode::None {
            return None;
        }
        let mut words = "user".to_owned();
        if !self.options.is_empty() {
            words = format!("{words},{}", self.options);
        }
        for forward in &self.hostfwd {
            words = format!("{words},hostfwd={forward}");
        }
        Some(words)
    }
}

/// Where a serial port leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SerialTarget {
    /// A terminal of the window, or standard input and output of the command line.
    #[default]
    Terminal,
    /// Nowhere.
    Null,
}

/// One serial port.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Serial {
    /// Where it leads.
    pub target: SerialTarget,
}

/// Kinds of further devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// A source of random numbers.
    Rng,
    /// A virtio console; it is a serial port after those of the board.
    Console,
}

/// A further device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// What it is.
    pub kind: DeviceKind,
    /// How it is connected.
    #[serde(default, skip_serializing_if = "is_pci")]
    pub transport: Transport,
}

/// A machine's description, as in its TOML file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineConfig {
    /// Version of this file's layout.
    pub schema: u32,
    /// Name of its folder: lower-case letters, digits and dashes.
    #[serde(default)]
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The guest's architecture.
    #[serde(default)]
    pub arch: Arch,
    /// Number of harts, 1 to 16.
    #[serde(default = "one")]
    pub harts: u32,
    /// Size of the guest's memory.
    #[serde(default = "default_memory")]
    pub memory: MemorySize,
    /// How guest code runs; absent: the best that the host can do.
    #[serde(default, skip_serializing_if = "is_best")]
    pub engine: EngineMode,
    /// Guest code that is held in a tier: `"0x80200000-0x80201000=tier1"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<CodePin>,
    /// Run all harts on one thread with time from the instruction count, so that a run can be repeated exactly.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deterministic: bool,
    /// Save the state when the window closes, and resume from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend_on_close: bool,
    /// Thresholds and sizes of the engine's tiers.
    #[serde(default, skip_serializing_if = "EngineTuning::is_empty")]
    pub tuning: EngineTuning,
    /// The CPU model.
    #[serde(default)]
    pub cpu: Cpu,
    /// What it starts.
    #[serde(default)]
    pub boot: Boot,
    /// The network.
    #[serde(default)]
    pub net: Network,
    /// Disks in the order in which the guest finds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drives: Vec<Drive>,
    /// Serial ports; none named means one that leads to the terminal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serial: Vec<Serial>,
    /// Further devices in the order in which the guest finds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_pci(transport: &Transport) -> bool {
    *transport == Transport::Pci
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_best(engine: &EngineMode) -> bool {
    *engine == EngineMode::default()
}

fn one() -> u32 {
    1
}

fn default_memory() -> MemorySize {
    MemorySize(1 << 30)
}

impl Default for MachineConfig {
    fn default() -> MachineConfig {
        MachineConfig {
            schema: migrate::MACHINE_SCHEMA,
            id: String::new(),
            name: "Unnamed".to_owned(),
            arch: Arch::default(),
            harts: one(),
            memory: default_memory(),
            engine: EngineMode::default(),
            pins: Vec::new(),
            deterministic: false,
            suspend_on_close: false,
            tuning: EngineTuning::default(),
            cpu: Cpu::default(),
            boot: Boot::default(),
            net: Network::default(),
            drives: Vec::new(),
            serial: Vec::new(),
            devices: Vec::new(),
        }
    }
}

impl MachineConfig {
    /// Reads, migrates and validates a description. `source` names it in errors.
    pub fn parse(text: &str, source: &str) -> Result<MachineConfig, ConfigError> {
        let document = migrate::machine(text).map_err(|p| ConfigError::new(source, vec![p]))?;
        let config: MachineConfig =
            toml::from_str(&document).map_err(|e| ConfigError::of_toml(source, &document, &e))?;
        let problems = validate::machine(&config, &document);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::new(source, problems)) }
    }

    /// Reads a file. Files that the description names are not opened.
    pub fn load(path: &Path) -> Result<MachineConfig, ConfigError> {
        let source = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError::unreadable(&source, &e))?;
        MachineConfig::parse(&text, &source)
    }

    /// The description as TOML.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }

    /// What is wrong with it, as sentences with the name of the field; for forms, where there is no text with lines.
    pub fn problems(&self) -> Vec<super::Problem> {
        validate::machine(self, "")
    }

    /// The file behind a path of this description: `image:NAME/FILE` in the images' folder, relative ones beside the machine's file.
    pub fn resolve(&self, path: &str, machine_dir: &Path, images: &Path) -> PathBuf {
        match path.strip_prefix("image:") {
            Some(image) => images.join(image.trim_start_matches('/')),
            None => machine_dir.join(path),
        }
    }

    /// Makes all paths absolute, as a machine's thread wants them; "none" as firmware stays.
    pub fn resolve_paths(&mut self, machine_dir: &Path, images: &Path) {
        let resolved = |path: &str| self.resolve(path, machine_dir, images).to_string_lossy().into_owned();
        let mut boot = self.boot.clone();
        let files = [&mut boot.kernel, &mut boot.initrd, &mut boot.bios, &mut boot.dtb];
        for file in files.into_iter().flatten().filter(|f| *f != "none" && *f != "builtin") {
            *file = resolved(file);
        }
        let files: Vec<String> = self.drives.iter().map(|d| resolved(&d.file)).collect();
        self.boot = boot;
        for (drive, file) in self.drives.iter_mut().zip(files) {
            drive.file = file;
        }
    }

    /// The serial ports that exist: those listed, or one terminal.
    pub fn serial_ports(&self) -> Vec<Serial> {
        if self.serial.is_empty() { vec![Serial::default()] } else { self.serial.clone() }
    }
}
