//! Whether a description makes sense, before anything is opened.

use super::diagnose::{Locator, Problem};
use super::machine::{DriveInterface, MachineConfig, NetworkMode, Transport};
use crate::machine::api::EngineMode;
use engine::guest::riscv::model::Ext;
use std::net::IpAddr;

/// Most harts of a machine.
pub const HARTS_MAX: u32 = 16;
/// Least memory, in bytes: room for firmware, device tree and a small kernel.
pub const MEMORY_MIN: u64 = 4 << 20;
/// Most memory, in bytes.
pub const MEMORY_MAX: u64 = 512 << 30;
/// Memory is given in pages of this many bytes.
const PAGE: u64 = 4096;
/// Linux takes no longer command line.
const APPEND_MAX: usize = 2047;
/// Most drives and serial ports: what the board has room for.
const DRIVES_MAX: usize = 8;
const FLASH_BANKS: usize = 2;
const SERIAL_MAX: usize = 4;
/// Slots for virtio-mmio devices on the board.
const MMIO_SLOTS: usize = 8;
/// Room for further devices beside drives and network card.
const DEVICES_MAX: usize = 8;

/// Whether a text can name a machine's folder.
pub fn is_valid_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 64
        && !id.starts_with('-')
        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// All problems of a description; `text` is where it came from, or empty.
pub(super) fn machine(config: &MachineConfig, text: &str) -> Vec<Problem> {
    let mut found = Found { at: Locator::new(text), problems: Vec::new() };
    identity(config, &mut found);
    size(config, &mut found);
    cpu(config, &mut found);
    boot(config, &mut found);
    drives(config, &mut found);
    net(config, &mut found);
    devices(config, &mut found);
    found.problems
}

struct Found<'a> {
    at: Locator<'a>,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn add(&mut self, field: &str, what: impl Into<String>, advice: &str) {
        self.problems.push(self.at.problem(field, what.into(), advice));
    }

    fn require(&mut self, ok: bool, field: &str, what: &str, advice: &str) {
        if !ok {
            self.add(field, what, advice);
        }
    }
}

fn identity(c: &MachineConfig, found: &mut Found<'_>) {
    let id_ok = c.id.is_empty() || is_valid_id(&c.id);
    found.require(
        id_ok,
        "id",
        "The id is not a folder name",
        "Use lower-case letters, digits and dashes, at most 64",
    );
    let name_ok = !c.name.trim().is_empty() && c.name.chars().count() <= 80;
    found.require(name_ok, "name", "The name is empty or too long", "Use 1 to 80 characters");
    if !c.arch.is_ready() {
        found.add("arch", format!("{} machines do not run yet", c.arch.title()), "Use \"riscv64\"");
    }
    if let Some(reason) = c.engine.unavailable() {
        let what =
            format!("The engine \"{}\" is not available. {}", c.engine.word(), reason.trim_end_matches('.'));
        found.add("engine", what, &format!("Use \"{}\"", EngineMode::default().word()));
    }
    for (field, what, advice) in c.tuning.mistakes() {
        found.add(&format!("tuning.{field}"), what, advice);
    }
}

fn size(c: &MachineConfig, found: &mut Found<'_>) {
    if !(1..=HARTS_MAX).contains(&c.harts) {
        found.add("harts", format!("A machine cannot have {} harts", c.harts), "Use 1 to 16");
    }
    if !(MEMORY_MIN..=MEMORY_MAX).contains(&c.memory.0) {
        found.add("memory", format!("A machine cannot have {} of memory", c.memory), "Use 4M to 512G");
    } else if !c.memory.0.is_multiple_of(PAGE) {
        found.add("memory", "The memory is not a whole number of pages", "Use a multiple of 4K");
    }
    found.require(
        c.serial.len() <= SERIAL_MAX,
        "serial",
        "There are too many serial ports",
        "A machine has at most 4",
    );
}

fn cpu(c: &MachineConfig, found: &mut Found<'_>) {
    if let Some(model) = &c.cpu.model
        && model != "rv64"
    {
        found.add("cpu.model", format!("There is no CPU model \"{model}\""), "Use \"rv64\"");
    }
    for (i, change) in c.cpu.extensions.iter().enumerate() {
        let name = change.strip_prefix(['+', '-']);
        let known = name.is_some_and(|n| Ext::ALL.iter().any(|e| e.text() == n));
        if !known {
            let names: Vec<_> = Ext::ALL.iter().map(|e| e.text()).collect();
            let advice = format!("Write +name or -name, with one of {}", names.join(", "));
            found.add(
                &format!("cpu.extensions[{i}]"),
                format!("\"{change}\" changes no known extension"),
                &advice,
            );
        }
    }
}

fn boot(c: &MachineConfig, found: &mut Found<'_>) {
    let b = &c.boot;
    let fields = [("kernel", &b.kernel), ("initrd", &b.initrd), ("bios", &b.bios), ("dtb", &b.dtb)];
    for (name, value) in fields {
        let field = format!("boot.{name}");
        if let Some(path) = value {
            check_path(&field, path, found);
            if b.embedded {
                found.add(&field, format!("The embedded guest takes no {name}"), "Remove one of the two");
            }
        }
    }
    let has_bios = b.bios.as_deref().is_some_and(|bios| bios != "none");
    if !b.embedded && b.kernel.is_none() && !has_bios {
        let advice = "Name a kernel or firmware (bios), or set embedded = true";
        found.add("boot", "There is nothing to start", advice);
    }
    if b.kernel.is_none() && !b.embedded {
        let needs_kernel = b.initrd.is_some() || b.append.is_some();
        found.require(!needs_kernel, "boot", "An initrd or a command line needs a kernel", "Name the kernel");
    }
    if let Some(append) = &b.append {
        let fits = append.len() <= APPEND_MAX;
        found.require(fits, "boot.append", "The command line is longer than 2,047 bytes", "Shorten it");
        let clean = !append.contains('\0');
        found.require(clean, "boot.append", "The command line holds a zero byte", "Remove it");
    }
}

fn check_path(field: &str, path: &str, found: &mut Found<'_>) {
    let empty = path.is_empty() || path == "image:";
    found.require(!empty, field, "The path is empty", "Write the path of a file, or remove the line");
    found.require(!path.contains('\0'), field, "The path holds a zero byte", "Remove it");
    let escapes = path.starts_with("image:") && path.split('/').any(|part| part == "..");
    found.require(
        !escapes,
        field,
        "The path leaves the images' folder",
        "Write a plain path for other files",
    );
}

fn drives(c: &MachineConfig, found: &mut Found<'_>) {
    let flash = c.drives.iter().filter(|d| d.interface == DriveInterface::Pflash).count();
    found.require(
        flash <= FLASH_BANKS,
        "drives",
        "There are too many flash drives",
        "The board has two banks",
    );
    let disks = c.drives.len() - flash;
    found.require(disks <= DRIVES_MAX, "drives", "There are too many drives", "A machine has at most 8");
    for (i, drive) in c.drives.iter().enumerate() {
        let field = format!("drives[{i}].file");
        check_path(&field, &drive.file, found);
        let writable = |d: &super::Drive| !d.readonly && !d.snapshot;
        let twice = c.drives[..i].iter().any(|d| d.file == drive.file && (writable(d) || writable(drive)));
        found.require(
            !twice,
            &field,
            "The same file is used by another drive",
            "Make both read-only or use snapshot = true",
        );
    }
}

fn net(c: &MachineConfig, found: &mut Found<'_>) {
    if let Some(Err(what)) = c.net.mac.as_deref().map(check_mac) {
        found.add("net.mac", what, "Remove the line to have one made up");
    }
    if let Err(e) = devices::net::user::netdev(&format!("user,{}", c.net.options))
        && !c.net.options.is_empty()
    {
        found.add("net.options", format!("The network's options are wrong: {e}"), "");
    }
    for (i, forward) in c.net.hostfwd.iter().enumerate() {
        let field = format!("net.hostfwd[{i}]");
        if let Err(what) = check_forward(forward) {
            found.add(
                &field,
                what,
                "Write tcp:HOSTADDR:PORT-GUESTADDR:PORT, such as \"tcp:127.0.0.1:2222-:22\"",
            );
        }
        if c.net.mode == NetworkMode::None {
            found.add(&field, "There is no network to forward to", "Set mode = \"user\" or remove the line");
        }
    }
}

fn devices(c: &MachineConfig, found: &mut Found<'_>) {
    let fits = c.devices.len() <= DEVICES_MAX;
    found.require(fits, "devices", "There are too many devices", "A machine has at most 8 besides drives");
    let disks = c.drives.iter().filter(|d| d.interface == DriveInterface::Virtio);
    let card = (c.net.mode != NetworkMode::None).then_some(c.net.transport);
    let transports = disks.map(|d| d.transport).chain(c.devices.iter().map(|d| d.transport)).chain(card);
    let mmio = transports.filter(|t| *t == Transport::Mmio).count();
    found.require(
        mmio <= MMIO_SLOTS,
        "devices",
        "There are too many devices with transport = \"mmio\"",
        "The board has 8 slots; connect the others by \"pci\"",
    );
}

/// Checks an Ethernet address that one card can have.
pub fn check_mac(text: &str) -> Result<[u8; 6], String> {
    let wrong = || format!("\"{text}\" is not an Ethernet address such as 52:54:00:12:34:56");
    let mut mac = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut mac {
        let part = parts.next().filter(|p| (1..=2).contains(&p.len())).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
    }
    match parts.next() {
        Some(_) => Err(wrong()),
        None if mac[0] & 1 != 0 => Err(format!("\"{text}\" is a group's address; make the first byte even")),
        None => Ok(mac),
    }
}

/// Checks one port forwarding in QEMU's words: `tcp|udp:[address]:port-[address]:port`.
pub fn check_forward(text: &str) -> Result<(), String> {
    let wrong = || format!("\"{text}\" is not a port forwarding");
    let (protocol, rest) = text.split_once(':').ok_or_else(wrong)?;
    if protocol != "tcp" && protocol != "udp" {
        return Err(format!("\"{protocol}\" is neither tcp nor udp"));
    }
    let (host, guest) = rest.split_once('-').ok_or_else(wrong)?;
    for end in [host, guest] {
        let (address, port) = end.rsplit_once(':').ok_or_else(wrong)?;
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        if !bare.is_empty() && bare.parse::<IpAddr>().is_err() {
            return Err(format!("\"{address}\" is not an address"));
        }
        if !port.parse::<u16>().is_ok_and(|p| p != 0) {
            return Err(format!("\"{port}\" is not a port"));
        }
    }
    Ok(())
}
