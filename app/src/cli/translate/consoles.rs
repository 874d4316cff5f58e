//! Serial ports, virtio consoles, the random number device: what remains of the devices, and where bytes go.

use super::KnownDevices;
use crate::cli::list::KeyValues;
use crate::cli::options::MachineArgs;
use crate::cli::report::{Failure, usage};
use crate::config::{Device, DeviceKind, MachineConfig, Serial, SerialTarget, Transport};
use std::path::PathBuf;

/// Where the command line leads a serial port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PortTarget {
    /// Standard input and output.
    Stdio,
    /// Nowhere.
    Null,
    /// Output into a file, which is made anew.
    File(PathBuf),
}

impl PortTarget {
    fn serial(&self) -> Serial {
        match self {
            PortTarget::Null => Serial { target: SerialTarget::Null },
            PortTarget::Stdio | PortTarget::File(_) => Serial { target: SerialTarget::Terminal },
        }
    }
}

/// A `-chardev`.
struct Named {
    id: String,
    target: PortTarget,
}

/// Applies `-serial`, `-chardev` and the rest of `-device`; says where each serial port leads.
pub(super) fn apply(
    args: &MachineArgs,
    devices: &mut KnownDevices,
    config: &mut MachineConfig,
) -> Result<Vec<PortTarget>, Failure> {
    let named = args.chardev.iter().map(|text| chardev(text)).collect::<Result<Vec<_>, _>>()?;
    let mut ports = Vec::new();
    if args.serial.is_empty() {
        ports.extend(of_config(config));
    } else {
        for text in &args.serial {
            ports.push(serial(text, &named)?);
        }
        one_only(ports.len())?;
        config.serial = ports.iter().map(PortTarget::serial).collect();
        ports.extend(config.devices.iter().filter(is_console).map(|_| PortTarget::Null));
    }
    random(devices, config)?;
    consoles(devices, &named, config, &mut ports)?;
    // A console that asks for standard input and output gets it from a serial port that only has it by default.
    let wants = |p: &PortTarget| *p == PortTarget::Stdio;
    if args.serial.is_empty()
        && ports.iter().skip(1).any(wants)
        && let Some(first) = ports.first_mut()
    {
        *first = PortTarget::Null;
    }
    if ports.iter().filter(|p| wants(p)).count() > 1 {
        let next = "Send the other ones to null or to a file.";
        return Err(usage("Two serial ports cannot share standard input and output", "", next));
    }
    Ok(ports)
}

fn is_console(device: &&Device) -> bool {
    device.kind == DeviceKind::Console
}

fn one_only(ports: usize) -> Result<(), Failure> {
    if ports <= 1 {
        return Ok(());
    }
    let next = "Add consoles with -device virtio-serial-pci -device virtconsole,chardev=ID.";
    Err(usage("The board has one serial port", "-serial", next))
}

/// The serial port gets standard input and output, unless the file leads it nowhere.
fn of_config(config: &MachineConfig) -> Vec<PortTarget> {
    let port = match config.serial_ports().first().map(|s| s.target) {
        Some(SerialTarget::Null) => PortTarget::Null,
        Some(SerialTarget::Terminal) | None => PortTarget::Stdio,
    };
    let consoles = config.devices.iter().filter(is_console);
    std::iter::once(port).chain(consoles.map(|_| PortTarget::Null)).collect()
}

fn serial(text: &str, named: &[Named]) -> Result<PortTarget, Failure> {
    let place = format!("-serial {text}");
    let target = text.strip_prefix("mon:").unwrap_or(text);
    match target.split_once(':') {
        None if target == "stdio" => Ok(PortTarget::Stdio),
        None if target == "null" || target == "none" => Ok(PortTarget::Null),
        Some(("file", path)) if !path.is_empty() => Ok(PortTarget::File(path.into())),
        Some(("chardev", id)) => find(named, id, &place),
        _ => {
            let next =
                "Use stdio, mon:stdio, file:FILE, null or none; the window shows serial ports as terminals.";
            Err(usage(format!("A serial port cannot lead to \"{text}\""), place, next))
        }
    }
}

fn find(named: &[Named], id: &str, place: &str) -> Result<PortTarget, Failure> {
    named.iter().find(|n| n.id == id).map(|n| n.target.clone()).ok_or_else(|| {
        usage(format!("There is no chardev \"{id}\""), place, format!("Add -chardev stdio,id={id}."))
    })
}

fn chardev(text: &str) -> Result<Named, Failure> {
    let mut list = KeyValues::parse("chardev", text, Some("backend"))?;
    let target = match list.take("backend").as_deref() {
        Some("stdio") => PortTarget::Stdio,
        Some("null") => PortTarget::Null,
        Some("file") => match list.take("path") {
            Some(path) if !path.is_empty() => PortTarget::File(path.into()),
            _ => return Err(list.wrong("The file has no path", "Add path=FILE.")),
        },
        other => {
            let kind = other.unwrap_or_default();
            return Err(
                list.wrong(format!("There is no chardev back end \"{kind}\""), "Use stdio, file or null.")
            );
        }
    };
    let Some(id) = list.take("id") else {
        return Err(list.wrong("The chardev has no name", "Add id=NAME."));
    };
    list.ignore(&["mux", "signal", "append"]);
    list.finish()?;
    Ok(Named { id, target })
}

fn random(devices: &mut KnownDevices, config: &mut MachineConfig) -> Result<(), Failure> {
    for (transport, mut device) in devices.take("virtio-rng")? {
        device.ignore(&["rng", "max-bytes", "period"]);
        device.finish()?;
        config.devices.push(Device { kind: DeviceKind::Rng, transport });
    }
    Ok(())
}

/// `virtio-serial` is the controller, `virtconsole` a port on it. One port each is what there is.
fn consoles(
    devices: &mut KnownDevices,
    named: &[Named],
    config: &mut MachineConfig,
    ports: &mut Vec<PortTarget>,
) -> Result<(), Failure> {
    let controllers = devices.take("virtio-serial")?;
    let mut transports: Vec<Transport> = Vec::new();
    for (transport, mut device) in controllers {
        device.ignore(&["max_ports"]);
        device.finish()?;
        transports.push(transport);
    }
    for (i, (_, mut device)) in devices.take("virtconsole")?.into_iter().enumerate() {
        device.ignore(&["name", "nr"]);
        let Some(transport) = transports.get(i).copied() else {
            let next = "Add -device virtio-serial-pci before it, one for each console.";
            return Err(device.wrong("The console has no controller of its own", next));
        };
        let place = device.place();
        let target = match device.take("chardev") {
            Some(id) => find(named, &id, &place)?,
            None => PortTarget::Null,
        };
        device.finish()?;
        config.devices.push(Device { kind: DeviceKind::Console, transport });
        ports.push(target);
    }
    Ok(())
}
