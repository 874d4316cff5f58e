//! Disks, networks and the other devices that the description names.

use super::api::{SerialPort, UserError};
use super::build::{Paths, sentence};
use crate::config::{DeviceKind, Drive, DriveFormat, DriveInterface, MachineConfig, NetworkMode, Transport};
use devices::backend::chardev::{CharInput, SharedSink};
use devices::block::{BlockBackend, DiskImage, DiskOptions, ImageFormat, MessageFn};
use devices::board::platform::EntropyFn;
use devices::board::virt::VirtBoard;
use devices::flash::FlashImage;
use devices::net::UserNet;
use devices::net::user::{Netdev, NetdevKind, netdev};
use devices::pci::HostBridge;
use devices::virtio::blk::{Blk, BlkOptions};
use devices::virtio::console::Console;
use devices::virtio::device::VirtioDevice;
use devices::virtio::mmio::Mmio;
use devices::virtio::net::{Net, NetOptions};
use devices::virtio::pci::VirtioPci;
use devices::virtio::rng::{EntropySource, Rng, RngOptions};
use std::io;
use std::sync::Arc;

/// Size of a flash chip.
const FLASH_SIZE: u64 = 32 << 20;

fn refuse(what: impl std::fmt::Display, to_what: &str, next: &str) -> UserError {
    UserError::new(sentence(&what.to_string()), to_what, next)
}

/// The flash chips, in the order of the description.
pub fn flash(config: &MachineConfig, paths: &Paths) -> Result<[Option<FlashImage>; 2], UserError> {
    let mut chips = [None, None];
    let files = config.drives.iter().filter(|d| d.interface == DriveInterface::Pflash);
    for (n, d) in files.enumerate() {
        let Some(chip) = chips.get_mut(n) else {
            return Err(refuse("the board has two flash chips", &d.file, "Remove the third pflash drive."));
        };
        let path = paths.resolve(config, &d.file);
        let read_only = d.readonly || d.snapshot;
        *chip = Some(FlashImage::file(&path, FLASH_SIZE, read_only).map_err(|e| refuse(e, "", ""))?);
    }
    Ok(chips)
}

/// Collects devices by transport.
struct Sockets {
    bridge: HostBridge,
    mmio: Vec<Mmio>,
}

impl Sockets {
    fn plug(&mut self, transport: Transport, device: Box<dyn VirtioDevice>) -> Result<(), UserError> {
        match transport {
            Transport::Mmio => self.mmio.push(Mmio::new(Some(device))),
            Transport::Pci => {
                let plugged = self.bridge.plug_next(Box::new(VirtioPci::new(device)));
                plugged.map_err(|e| refuse(e, "", "Remove a device."))?;
            }
        }
        Ok(())
    }
}

fn disk(config: &MachineConfig, paths: &Paths, d: &Drive) -> Result<Arc<dyn BlockBackend>, UserError> {
    let format = match d.format {
        DriveFormat::Raw => ImageFormat::Raw,
        DriveFormat::Qcow2 => ImageFormat::Qcow2,
    };
    let options = DiskOptions { format, read_only: d.readonly, snapshot: d.snapshot, overlay_dir: None };
    let image = DiskImage::open(&paths.resolve(config, &d.file), &options);
    Ok(Arc::new(image.map_err(|e| refuse(e, "", ""))?))
}

fn card(config: &MachineConfig) -> Result<Option<Net>, UserError> {
    let Some(words) = config.net.netdev_words() else { return Ok(None) };
    let parsed: Netdev = netdev(&words).map_err(|e| refuse(e, &words, "See netdev in the documentation."))?;
    let NetdevKind::User(user) = parsed.kind else { return Ok(None) };
    let backend = UserNet::new(&user)
        .map_err(|e| refuse(e, &words, "Choose another port, or leave the forward out."))?;
    let mut options = NetOptions::default();
    if let Some(text) = &config.net.mac {
        options.mac = mac(text)
            .ok_or_else(|| refuse("this is no hardware address", text, "Write 52:54:00:12:34:56."))?;
    }
    Ok(Some(Net::new(Box::new(backend), options)))
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let mut out = [0; 6];
    let mut parts = text.split(':');
    for b in &mut out {
        *b = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(out)
}

/// Entropy of the machine as a device takes it.
struct MachineEntropy(EntropyFn);

impl EntropySource for MachineEntropy {
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<()> {
        (self.0)(buf);
        Ok(())
    }
}

/// Attaches everything. `ports` are the serial ports after the board's own, for virtio consoles, whose inputs it gives in order.
pub fn all(
    config: &MachineConfig,
    paths: &Paths,
    board: &mut VirtBoard,
    ports: &[SerialPort],
    entropy: &EntropyFn,
    notices: &MessageFn,
) -> Result<Vec<CharInput>, UserError> {
    let mut sockets = Sockets { bridge: HostBridge::new(), mmio: Vec::new() };
    let mut consoles = Vec::new();
    let drives = config.drives.iter().filter(|d| d.interface == DriveInterface::Virtio);
    for (n, d) in drives.enumerate() {
        let blk = Blk::new(
            disk(config, paths, d)?,
            BlkOptions { serial: format!("disk{n}"), on_error: Some(notices.clone()) },
        );
        sockets.plug(d.transport, Box::new(blk))?;
    }
    if config.net.mode != NetworkMode::None
        && let Some(net) = card(config)?
    {
        sockets.plug(config.net.transport, Box::new(net))?;
    }
    for d in &config.devices {
        let device: Box<dyn VirtioDevice> = match d.kind {
            DeviceKind::Rng => {
                Box::new(Rng::new(Box::new(MachineEntropy(entropy.clone())), RngOptions::default()))
            }
            DeviceKind::Console => {
                let typed = CharInput::default();
                let port = ports.get(consoles.len()).cloned();
                consoles.push(typed.clone());
                let sink = move |bytes: &[u8]| {
                    if let Some(p) = &port {
                        p.push_output(bytes);
                    }
                };
                Box::new(Console::new(SharedSink::new(Box::new(sink)), typed))
            }
        };
        sockets.plug(d.transport, device)?;
    }
    let failed = |e: devices::board::BoardError| refuse(e, "", "Remove a device.");
    for (n, mmio) in sockets.mmio.into_iter().enumerate() {
        board.attach_virtio_mmio(n as u32, Box::new(mmio)).map_err(failed)?;
    }
    board.attach_pci_host(Box::new(sockets.bridge)).map_err(failed)?;
    Ok(consoles)
}
