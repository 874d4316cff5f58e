//! Drives, and the devices that show them to the guest.

use super::KnownDevices;
use crate::cli::list::KeyValues;
use crate::cli::options::MachineArgs;
use crate::cli::report::{Failure, usage};
use crate::config::{Drive, DriveFormat, DriveInterface, MachineConfig, Transport};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// First bytes of a qcow2 file.
const QCOW2_MAGIC: [u8; 4] = *b"QFI\xfb";

struct Named {
    id: Option<String>,
    text: String,
    drive: Drive,
    /// `if=none`: waits for a device.
    loose: bool,
}

/// Applies `-drive` and `-device virtio-blk-*`; drives come after those of the machine's file.
pub(super) fn apply(
    args: &MachineArgs,
    devices: &mut KnownDevices,
    config: &mut MachineConfig,
) -> Result<(), Failure> {
    let mut named = Vec::new();
    for text in &args.drive {
        named.push(drive(text)?);
    }
    let mut bound = Vec::new();
    for (transport, mut device) in devices.take("virtio-blk")? {
        let Some(id) = device.take("drive") else {
            return Err(device.wrong("The disk has no drive", "Add drive=ID with the id of a -drive."));
        };
        device.ignore(&["serial", "logical_block_size", "physical_block_size", "discard", "event_idx"]);
        let Some(at) = named.iter().position(|n| n.loose && n.id.as_deref() == Some(&id)) else {
            let next = format!("Add -drive file=FILE,format=raw,if=none,id={id}.");
            return Err(device.wrong(format!("There is no free drive \"{id}\""), next));
        };
        device.finish()?;
        let drive = Drive { transport, ..named.remove(at).drive };
        bound.push(drive);
    }
    for left in named {
        if left.loose {
            let id = left.id.unwrap_or_default();
            let next = format!("Add -device virtio-blk-pci,drive={id}, or write if=virtio.");
            return Err(usage("The drive is connected to nothing", format!("-drive {}", left.text), next));
        }
        bound.push(left.drive);
    }
    config.drives.extend(bound);
    Ok(())
}

fn drive(text: &str) -> Result<Named, Failure> {
    let mut list = KeyValues::parse("drive", text, None)?;
    let file = list.take("file").map(|f| super::absolute(&f, Path::new("."))).transpose()?;
    let no_file = list.wrong("The drive has no file", "Add file=FILE.");
    let format = format(&mut list, file.as_deref().unwrap_or_default())?;
    let (interface, loose) = match list.take("if").as_deref() {
        None | Some("virtio") => (DriveInterface::Virtio, false),
        Some("none") => (DriveInterface::Virtio, true),
        Some("pflash") => (DriveInterface::Pflash, false),
        Some(other) => {
            let next = "Use if=virtio, if=pflash, or if=none with a -device.";
            return Err(list.wrong(format!("The board cannot connect a drive by if={other}"), next));
        }
    };
    let cdrom = list.take("media").as_deref() == Some("cdrom");
    let readonly = match list.take_switch("readonly")? {
        None => list.take_switch("read-only")?,
        some => some,
    };
    let readonly = readonly.unwrap_or(cdrom);
    let snapshot = list.take_switch("snapshot")?.unwrap_or(false);
    let id = list.take("id");
    list.ignore(&["index", "bus", "unit", "cache", "aio", "discard", "detect-zeroes", "werror", "rerror"]);
    // A slip in a word says more than a missing file.
    list.finish()?;
    let file = file.ok_or(no_file)?;
    let drive = Drive { file, format, interface, readonly, snapshot, transport: Transport::Pci };
    Ok(Named { id, text: text.to_owned(), drive, loose })
}

/// The format is never guessed from what the guest may have written; a file that looks like qcow2 must be called so.
fn format(list: &mut KeyValues, file: &str) -> Result<DriveFormat, Failure> {
    match list.take("format").as_deref() {
        Some("raw") => Ok(DriveFormat::Raw),
        Some("qcow2") => Ok(DriveFormat::Qcow2),
        Some(other) => {
            let next = "Use raw or qcow2; qemu-img convert makes one of the other.";
            Err(list.wrong(format!("There is no disk format \"{other}\""), next))
        }
        None => {
            let mut magic = [0; 4];
            let read = File::open(file).and_then(|mut f| f.read_exact(&mut magic));
            if read.is_ok() && magic == QCOW2_MAGIC {
                return Err(list.wrong("The file looks like qcow2", "Say so: format=qcow2 (or format=raw)."));
            }
            Ok(DriveFormat::Raw)
        }
    }
}
