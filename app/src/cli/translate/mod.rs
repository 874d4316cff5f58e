//! From the command line's words to a machine's description.

mod blocks;
mod board;
mod cards;
mod consoles;
mod tuning;

use super::list::KeyValues;
use super::options::MachineArgs;
use super::report::{Failure, failed, usage};
use crate::config::{Home, MachineConfig, Network, NetworkMode, presets};
use crate::machine::api::{EngineMode, UserError};
use std::path::{Path, PathBuf};

pub use board::cpu;
pub use consoles::PortTarget;
pub use tuning::apply as tuning;

/// A machine and what the command line does with its serial ports.
#[derive(Clone, PartialEq, Debug)]
pub struct Launch {
    /// The machine; all paths are absolute.
    pub config: MachineConfig,
    /// Where the serial ports lead, in the machine's order.
    pub ports: Vec<PortTarget>,
    /// Run it in lockstep with the interpreter.
    pub lockstep: bool,
}

/// Reads the machine's file, if any, and applies the options. Without a file and anything to boot, the machine is the one of the
/// saved state.
pub fn launch(args: &MachineArgs, saved: Option<&Path>) -> Result<Launch, Failure> {
    let boots = args.kernel.is_some() || args.bios.is_some() || args.embedded;
    let (mut config, dir) = match saved {
        Some(state) if args.file.is_none() && !boots => {
            let config = crate::machine::inspect(state)?.config;
            (MachineConfig::parse(&config, &state.display().to_string())?, PathBuf::from("."))
        }
        _ => base(args)?,
    };
    absolute_paths(&mut config, &dir)?;
    simple(args, &mut config)?;
    board::apply(args, &mut config)?;
    let mut devices = KnownDevices::parse(&args.device)?;
    blocks::apply(args, &mut devices, &mut config)?;
    cards::apply(args, &mut devices, &mut config)?;
    let ports = consoles::apply(args, &mut devices, &mut config)?;
    devices.finish()?;
    accepted(args)?;
    if args.snapshot {
        config.drives.iter_mut().for_each(|d| d.snapshot = true);
    }
    check(&config)?;
    let lockstep = args.engine.as_deref() == Some(LOCKSTEP);
    Ok(Launch { config, ports, lockstep })
}

/// The machine before the options, and the folder that its relative paths start from.
fn base(args: &MachineArgs) -> Result<(MachineConfig, PathBuf), Failure> {
    let here = PathBuf::from(".");
    let Some(name) = &args.file else {
        let net = Network { mode: NetworkMode::None, ..Network::default() };
        let config = MachineConfig { name: "Command line".to_owned(), net, ..MachineConfig::default() };
        return Ok((config, here));
    };
    let path = Path::new(name);
    if path.is_file() {
        let dir = path.parent().map_or(here, Path::to_owned);
        return Ok((MachineConfig::load(path)?, dir));
    }
    if let Ok(home) = Home::find()
        && crate::config::is_valid_id(name)
        && home.machine_file(name).is_file()
    {
        return Ok((home.load_machine(name)?, home.machine_dir(name)));
    }
    if let Some(preset) = presets().iter().find(|p| p.id == name) {
        return Ok((MachineConfig::parse(preset.text, preset.id)?, here));
    }
    let what = if path.is_dir() { "A folder is no machine" } else { "There is no such machine" };
    let next =
        "Name a TOML file, or a machine that `vitrine machine list` lists; a kernel needs -kernel before it.";
    Err(usage(what, name, next))
}

fn absolute_paths(config: &mut MachineConfig, dir: &Path) -> Result<(), Failure> {
    let boot = &mut config.boot;
    let keep_none = boot.bios.as_deref() == Some("none");
    let bios = boot.bios.as_mut().filter(|_| !keep_none);
    let fields = [boot.kernel.as_mut(), boot.initrd.as_mut(), boot.dtb.as_mut(), bios];
    let drives = config.drives.iter_mut().map(|d| &mut d.file);
    for path in fields.into_iter().flatten().chain(drives) {
        *path = absolute(path, dir)?;
    }
    Ok(())
}

/// The absolute path behind a path of a description or of the command line.
fn absolute(path: &str, dir: &Path) -> Result<String, Failure> {
    let file = match path.strip_prefix("image:") {
        Some(image) => {
            let (name, file) = image.split_once('/').unwrap_or((image, ""));
            crate::images::path(name, file)?
        }
        None => dir.join(path),
    };
    let full = std::path::absolute(&file)
        .map_err(|e| usage(format!("The path cannot be used: {e}"), path, "Name a file."))?;
    full.into_os_string()
        .into_string()
        .map_err(|p| usage("The path is not UTF-8", p.to_string_lossy(), "Rename the folder or the file."))
}

fn simple(args: &MachineArgs, config: &mut MachineConfig) -> Result<(), Failure> {
    let here = Path::new(".");
    let boot = &mut config.boot;
    let file = |path: &String| absolute(path, here);
    if args.embedded {
        *boot = crate::config::Boot { embedded: true, append: boot.append.take(), ..Default::default() };
    }
    if args.kernel.is_some() || args.bios.is_some() {
        boot.embedded = args.embedded;
    }
    if let Some(kernel) = &args.kernel {
        boot.kernel = Some(file(kernel)?);
    }
    if let Some(initrd) = &args.initrd {
        boot.initrd = Some(file(initrd)?);
    }
    if let Some(dtb) = &args.dtb {
        boot.dtb = Some(file(dtb)?);
    }
    match args.bios.as_deref() {
        None => {}
        Some("default") => boot.bios = None,
        Some("none") => boot.bios = Some("none".to_owned()),
        Some(bios) => boot.bios = Some(absolute(bios, here)?),
    }
    if let Some(append) = &args.append {
        boot.append = Some(append.clone());
    }
    if let Some(name) = &args.name {
        let mut list = KeyValues::parse("name", name, Some("guest"))?;
        config.name = list.take("guest").unwrap_or_default();
        list.ignore(&["process", "debug-threads"]);
        list.finish()?;
    }
    match (args.engine.as_deref(), args.lockstep_tier.as_deref()) {
        (Some(LOCKSTEP), tier) => {
            config.engine = engine(tier.unwrap_or(EngineMode::Tier2.word()))?;
            config.deterministic = true;
        }
        (_, Some(tier)) => {
            let next = "Add --engine lockstep.";
            return Err(usage(
                "Only machines in lockstep have such a tier",
                format!("--lockstep-tier {tier}"),
                next,
            ));
        }
        (Some(word), None) => config.engine = engine(word)?,
        (None, None) => {}
    }
    if let Some(list) = &args.engine_tuning {
        tuning::apply(list, &mut config.tuning)?;
    }
    for text in &args.pin {
        let pin = text.parse().map_err(|e: UserError| usage(e.what, format!("--pin {text}"), e.what_next))?;
        config.pins.push(pin);
    }
    config.deterministic |= args.deterministic;
    Ok(())
}

/// The word for two machines that are compared.
const LOCKSTEP: &str = "lockstep";

/// The engine mode of this word.
pub fn engine(word: &str) -> Result<EngineMode, Failure> {
    let words = EngineMode::ALL.map(EngineMode::word);
    EngineMode::from_word(word).ok_or_else(|| {
        usage(format!("There is no engine mode \"{word}\""), "--engine", super::near::advice(word, &words))
    })
}

/// Options that recipes carry and that are so here anyway.
fn accepted(args: &MachineArgs) -> Result<(), Failure> {
    for object in &args.object {
        let mut list = KeyValues::parse("object", object, Some("qom-type"))?;
        let kind = list.take("qom-type").unwrap_or_default();
        if !matches!(kind.as_str(), "rng-random" | "rng-builtin") {
            let next =
                "Random numbers for virtio-rng come from the host by themselves; nothing else is needed.";
            return Err(list.wrong(format!("There is no object \"{kind}\""), next));
        }
        list.ignore(&["id", "filename"]);
        list.finish()?;
    }
    for global in &args.global {
        if !matches!(global.as_str(), "virtio-mmio.force-legacy=false" | "virtio-mmio.force-legacy=off") {
            let next = "Remove it; virtio devices are always of version 1.";
            return Err(usage("This global property cannot be set", format!("-global {global}"), next));
        }
    }
    Ok(())
}

/// Refuses a description that makes no sense, in the command line's words.
fn check(config: &MachineConfig) -> Result<(), Failure> {
    let problems = config.problems();
    let Some(first) = problems.first() else { return Ok(()) };
    let (to_what, next) = match first.field.as_str() {
        "harts" => ("-smp", first.advice.clone()),
        "memory" => ("-m", first.advice.clone()),
        "boot" if first.advice.starts_with("Name a kernel or") => (
            "",
            "Name a kernel with -kernel, firmware with -bios, a machine's file, or use --embedded".to_owned(),
        ),
        field => (field, first.advice.clone()),
    };
    let next = if next.is_empty() { next } else { format!("{next}.") };
    Err(usage(first.what.clone(), to_what, next))
}

/// Refuses files that are not there, before anything is built.
pub fn check_files(config: &MachineConfig) -> Result<(), UserError> {
    let boot = &config.boot;
    let bios = boot.bios.as_ref().filter(|b| *b != "none");
    let named = [("kernel", boot.kernel.as_ref()), ("initial RAM disk", boot.initrd.as_ref())]
        .into_iter()
        .chain([("firmware", bios), ("device tree", boot.dtb.as_ref())])
        .filter_map(|(what, path)| path.map(|p| (what, p)))
        .chain(config.drives.iter().map(|d| ("drive", &d.file)));
    for (what, path) in named {
        let kind = match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => Err("it is a folder".to_owned()),
            Ok(_) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err("there is no such file".to_owned()),
            Err(e) => Err(e.to_string()),
        };
        if let Err(why) = kind {
            let next = crate::images::advice_for(Path::new(path))
                .unwrap_or_else(|| "Check the path and its permissions.".to_owned());
            return Err(UserError::new(format!("The {what} cannot be opened: {why}"), path, next));
        }
    }
    Ok(())
}

/// The devices of `-device`, taken by those who know them.
struct KnownDevices {
    list: Vec<(String, KeyValues)>,
    mmio_slots: u64,
}

/// Kinds of devices, for messages.
const DEVICES: [&str; 13] = [
    "virtio-blk-pci",
    "virtio-blk-device",
    "virtio-blk",
    "virtio-net-pci",
    "virtio-net-device",
    "virtio-net",
    "virtio-rng-pci",
    "virtio-rng-device",
    "virtio-rng",
    "virtio-serial-pci",
    "virtio-serial-device",
    "virtio-serial",
    "virtconsole",
];

impl KnownDevices {
    fn parse(texts: &[String]) -> Result<KnownDevices, Failure> {
        let mut list = Vec::new();
        for text in texts {
            let mut device = KeyValues::parse("device", text, Some("driver"))?;
            let kind = device.take("driver").unwrap_or_default();
            if !DEVICES.contains(&kind.as_str()) {
                let near = super::near::advice(&kind, &DEVICES);
                return Err(device.wrong(format!("There is no device \"{kind}\""), near));
            }
            list.push((kind, device));
        }
        Ok(KnownDevices { list, mmio_slots: 0 })
    }

    /// Takes the devices whose kind begins so, with their transports, in order.
    fn take(&mut self, kind: &str) -> Result<Vec<(crate::config::Transport, KeyValues)>, Failure> {
        use crate::config::Transport;
        let (taken, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.list).into_iter().partition(|(k, _)| k.starts_with(kind));
        self.list = left;
        let mut found = Vec::new();
        for (name, mut device) in taken {
            let mmio = name.ends_with("-device");
            if name == "virtconsole" {
                device.ignore(&["bus"]);
            } else {
                self.place(mmio, &mut device)?;
            }
            device.ignore(&[
                "id",
                "bootindex",
                "disable-legacy",
                "disable-modern",
                "romfile",
                "num-queues",
                "queue-size",
                "packed",
                "write-cache",
                "iommu_platform",
            ]);
            found.push((if mmio { Transport::Mmio } else { Transport::Pci }, device));
        }
        Ok(found)
    }

    /// Devices fill PCI and the virtio-mmio slots in order; `bus=` may only say what is so anyway.
    fn place(&mut self, mmio: bool, device: &mut KeyValues) -> Result<(), Failure> {
        let slot = self.mmio_slots;
        self.mmio_slots += u64::from(mmio);
        if let Some(bus) = device.take("bus") {
            let expected = if mmio { format!("virtio-mmio-bus.{slot}") } else { "pcie.0".to_owned() };
            if bus != expected && !(mmio && bus == "virtio-mmio-bus") {
                let what = format!("The device cannot be on {bus}: it would be on {expected}");
                return Err(device
                    .wrong(what, "Devices are placed in order: drives, network, others. Leave bus= out."));
            }
        }
        match device.take("addr") {
            Some(_) => Err(device.wrong("The device's place on PCI cannot be chosen", "Leave addr= out.")),
            None => Ok(()),
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match self.list.into_iter().next() {
            None => Ok(()),
            Some((kind, device)) => {
                Err(failed(format!("Nobody knows the device \"{kind}\""), device.place(), ""))
            }
        }
    }
}

#[cfg(test)]
mod tests;
