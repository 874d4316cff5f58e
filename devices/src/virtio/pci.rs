//! The PCI transport, section 4.1: structures in one BAR, found by vendor capabilities. Modern devices only.
//!
//! The BAR and the structures in it lie where QEMU puts them, so that what is known of the one is true of the other.

use super::core::Core;
use super::device::VirtioDevice;
use crate::device::DeviceContext;
use crate::irq::IrqLine;
use crate::metrics::Metric;
use crate::pci::config::{SavedConfig, command};
use crate::pci::{Bar, ConfigSpace, Identity, PciFunction};
use crate::state::{Saved, StateError};
use engine::exec::inputs::InputEvent;
use serde::{Deserialize, Serialize};

const KIND: &str = "virtio-pci";
const VENDOR: u16 = 0x1af4;
const DEVICE_BASE: u16 = 0x1040;
const SUBSYSTEM: u16 = 0x1100;

/// The BAR with all structures.
const BAR: usize = 4;
const BAR_SIZE: u64 = 0x4000;
const COMMON: u32 = 0;
const COMMON_SIZE: u32 = 64;
const ISR: u32 = 0x1000;
const DEVICE: u32 = 0x2000;
const NOTIFY: u32 = 0x3000;
const PAGE: u32 = 0x1000;
/// Bytes between the notification addresses of two queues.
const NOTIFY_MULTIPLIER: u32 = 4;

const CAP_VENDOR: u8 = 9;
/// `cfg_type` values, section 4.1.4.
mod cfg {
    pub const COMMON: u8 = 1;
    pub const NOTIFY: u8 = 2;
    pub const ISR: u8 = 3;
    pub const DEVICE: u8 = 4;
    pub const PCI: u8 = 5;
}

/// Offsets in the common configuration, section 4.1.4.3.
mod common {
    pub const DEVICE_FEATURE_SELECT: u64 = 0;
    pub const DEVICE_FEATURE: u64 = 4;
    pub const DRIVER_FEATURE_SELECT: u64 = 8;
    pub const DRIVER_FEATURE: u64 = 12;
    pub const CONFIG_VECTOR: u64 = 16;
    pub const NUM_QUEUES: u64 = 18;
    pub const STATUS: u64 = 20;
    pub const CONFIG_GENERATION: u64 = 21;
    pub const QUEUE_SELECT: u64 = 22;
    pub const QUEUE_SIZE: u64 = 24;
    pub const QUEUE_VECTOR: u64 = 26;
    pub const QUEUE_ENABLE: u64 = 28;
    pub const QUEUE_NOTIFY_OFF: u64 = 30;
    pub const QUEUE_DESC: u64 = 32;
    pub const QUEUE_DRIVER: u64 = 40;
    pub const QUEUE_DEVICE: u64 = 48;
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Selectors {
    device_features: u32,
    driver_features: u32,
    queue: u16,
}

#[derive(Serialize, Deserialize)]
struct State {
    config: SavedConfig,
    select: Selectors,
    core: Saved,
}

/// A virtio device as a PCI function.
pub struct VirtioPci {
    core: Core,
    config: ConfigSpace,
    select: Selectors,
    /// Offset of the capability that gives access to the BAR without mapping it.
    window: usize,
}

/// The body of a vendor capability for a structure at `offset` of the BAR, plus `extra`.
fn capability(kind: u8, offset: u32, len: u32, extra: Option<u32>) -> Vec<u8> {
    let mut body = vec![16 + if extra.is_some() { 4 } else { 0 }, kind, BAR as u8, 0, 0, 0];
    body.extend(offset.to_le_bytes());
    body.extend(len.to_le_bytes());
    body.extend(extra.into_iter().flat_map(u32::to_le_bytes));
    body
}

impl VirtioPci {
    /// Puts `device` on PCI.
    pub fn new(device: Box<dyn VirtioDevice>) -> VirtioPci {
        let id = Identity {
            vendor: VENDOR,
            device: DEVICE_BASE + device.id(),
            revision: 1,
            class: device.pci_class(),
            subsystem_vendor: VENDOR,
            subsystem: SUBSYSTEM,
        };
        let mut config = ConfigSpace::new(id, 1);
        config.add_bar(BAR, Bar::Memory64(BAR_SIZE));
        let parts = [
            capability(cfg::COMMON, COMMON, COMMON_SIZE, None),
            capability(cfg::ISR, ISR, PAGE, None),
            capability(cfg::DEVICE, DEVICE, PAGE, None),
            capability(cfg::NOTIFY, NOTIFY, PAGE, Some(NOTIFY_MULTIPLIER)),
        ];
        for body in parts {
            config.add_capability(CAP_VENDOR, &body);
        }
        let window = config.add_capability(CAP_VENDOR, &capability(cfg::PCI, 0, 0, Some(0))).unwrap_or(0);
        // Software chooses BAR, offset and length.
        config.allow(window + 4, &[0xff]);
        config.allow(window + 8, &[0xff; 8]);
        VirtioPci { core: Core::new(device), config, select: Selectors::default(), window }
    }

    fn isr(&mut self) -> u32 {
        self.core.io().map_or(0, |io| io.irq.isr())
    }

    /// The common configuration as the guest sees it now.
    fn common(&mut self) -> [u8; COMMON_SIZE as usize] {
        let mut c = [0; COMMON_SIZE as usize];
        let mut put = |at: u64, bytes: &[u8]| {
            if let Some(part) = c.get_mut(at as usize..at as usize + bytes.len()) {
                part.copy_from_slice(bytes);
            }
        };
        let Selectors { device_features, driver_features, queue } = self.select;
        let half = |features: u64, select: u32| match select {
            0 => features as u32,
            1 => (features >> 32) as u32,
            _ => 0,
        };
        put(common::DEVICE_FEATURE_SELECT, &device_features.to_le_bytes());
        put(common::DEVICE_FEATURE, &half(self.core.features(), device_features).to_le_bytes());
        put(common::DRIVER_FEATURE_SELECT, &driver_features.to_le_bytes());
        put(common::DRIVER_FEATURE, &half(self.core.driver_features(), driver_features).to_le_bytes());
        let vector = self.core.io().map_or(super::queue::NO_VECTOR, |io| io.irq.config_vector);
        put(common::CONFIG_VECTOR, &vector.to_le_bytes());
        put(common::NUM_QUEUES, &(self.core.device().queues().len() as u16).to_le_bytes());
        put(common::STATUS, &[self.core.status()]);
        put(common::CONFIG_GENERATION, &[self.core.config_generation()]);
        put(common::QUEUE_SELECT, &queue.to_le_bytes());
        if let Some((q, enabled)) = self.core.queue_set_up(queue as u32) {
            put(common::QUEUE_SIZE, &q.size.to_le_bytes());
            put(common::QUEUE_VECTOR, &q.vector.to_le_bytes());
            put(common::QUEUE_ENABLE, &(enabled as u16).to_le_bytes());
            put(common::QUEUE_NOTIFY_OFF, &queue.to_le_bytes());
            put(common::QUEUE_DESC, &q.desc.to_le_bytes());
            put(common::QUEUE_DRIVER, &q.driver.to_le_bytes());
            put(common::QUEUE_DEVICE, &q.device.to_le_bytes());
        }
        c
    }

    fn write_common(&mut self, at: u64, width: u32, value: u64) {
        let queue = self.select.queue as u32;
        match (at, width) {
            (common::DEVICE_FEATURE_SELECT, 4) => self.select.device_features = value as u32,
            (common::DRIVER_FEATURE_SELECT, 4) => self.select.driver_features = value as u32,
            (common::DRIVER_FEATURE, 4) if self.select.driver_features < 2 => {
                self.core.set_driver_features(self.select.driver_features == 1, value as u32);
            }
            (common::STATUS, 1) => {
                self.core.set_status(value as u8);
                if value == 0 {
                    self.select = Selectors::default();
                }
            }
            (common::QUEUE_SELECT, 2) => self.select.queue = value as u16,
            (common::QUEUE_SIZE, 2) => self.core.set_up_queue(queue, |q| q.size = value as u16),
            (common::QUEUE_ENABLE, 2) if value == 1 => self.core.enable_queue(queue),
            (common::QUEUE_DESC..COMMON_END, 4 | 8) => {
                self.core.set_up_queue(queue, |q| {
                    let field = match at & !7 {
                        common::QUEUE_DESC => &mut q.desc,
                        common::QUEUE_DRIVER => &mut q.driver,
                        _ => &mut q.device,
                    };
                    merge(field, at & 7, width, value);
                });
            }
            // Vectors stay at "none": there is no MSI-X capability, and a driver that asks learns it here
            // (section 4.1.5.1.2).
            _ => {}
        }
    }

    fn read_structure(&mut self, offset: u64, width: u32) -> u64 {
        let page = offset as u32 & !(PAGE - 1);
        let at = offset & (PAGE as u64 - 1);
        match page {
            COMMON => {
                let mut data = [0; 8];
                if let Some(part) = data.get_mut(..width as usize) {
                    super::device::copy_config(&self.common(), at as usize, part);
                }
                u64::from_le_bytes(data)
            }
            ISR if at == 0 => {
                // Reading acknowledges, section 4.1.4.5.
                let isr = self.isr();
                if let Some(io) = self.core.io() {
                    io.irq.ack(isr);
                }
                isr as u64
            }
            DEVICE => self.core.read_config(at, width),
            _ => 0,
        }
    }

    fn write_structure(&mut self, offset: u64, width: u32, value: u64) {
        let page = offset as u32 & !(PAGE - 1);
        let at = offset & (PAGE as u64 - 1);
        match page {
            COMMON => self.write_common(at, width, value),
            DEVICE => self.core.write_config(at, width, value),
            NOTIFY => self.core.kick(at as u32 / NOTIFY_MULTIPLIER),
            _ => {}
        }
    }

    /// What the window capability points at, if it is an access that the BAR allows.
    fn windowed(&self) -> Option<(u64, u32)> {
        let bar = self.config.read(self.window + 4, 1) as usize;
        let offset = self.config.read(self.window + 8, 4) as u64;
        let width = self.config.read(self.window + 12, 4);
        let aligned = matches!(width, 1 | 2 | 4) && offset.is_multiple_of(width as u64);
        (bar == BAR && aligned && offset + width as u64 <= BAR_SIZE).then_some((offset, width))
    }

    fn apply_command(&mut self) {
        let c = self.config.command();
        if let Some(io) = self.core.io() {
            io.irq.mask(c & command::INTX_DISABLE != 0);
        }
        self.core.set_dma(c & command::BUS_MASTER != 0);
    }
}

const COMMON_END: u64 = 56;

/// Replaces the bytes `at..at + width` of an 8-byte field; an access that leaves the field changes nothing.
fn merge(field: &mut u64, at: u64, width: u32, value: u64) {
    match (at, width) {
        (0, 8) => *field = value,
        (0, 4) => *field = *field & !0xffff_ffff | value & 0xffff_ffff,
        (4, 4) => *field = *field & 0xffff_ffff | value << 32,
        _ => {}
    }
}

impl PciFunction for VirtioPci {
    fn kind(&self) -> &'static str {
        self.core.device().kind()
    }

    fn config(&self) -> &ConfigSpace {
        &self.config
    }

    fn config_mut(&mut self) -> &mut ConfigSpace {
        &mut self.config
    }

    fn attach(&mut self, ctx: DeviceContext, base: u32, line: IrqLine) {
        self.core.attach(ctx, base, line, None);
        self.apply_command();
    }

    fn read_config(&mut self, at: usize, width: u32) -> u32 {
        let level = self.isr() != 0;
        self.config.show_interrupt(level);
        if at == self.window + 16
            && let Some((offset, n)) = self.windowed()
        {
            return self.read_structure(offset, n.min(width)) as u32;
        }
        self.config.read(at, width)
    }

    fn write_config(&mut self, at: usize, width: u32, value: u32) {
        if at == self.window + 16
            && let Some((offset, n)) = self.windowed()
        {
            let value = value as u64 & ((1 << (8 * n)) - 1);
            return self.write_structure(offset, n, value);
        }
        self.config.write(at, width, value);
        if at < crate::pci::config::reg::STATUS + 2 {
            self.apply_command();
        }
    }

    fn read_bar(&mut self, _bar: usize, offset: u64, width: u32) -> u64 {
        self.read_structure(offset, width)
    }

    fn write_bar(&mut self, _bar: usize, offset: u64, width: u32, value: u64) {
        self.write_structure(offset, width, value);
    }

    fn reset(&mut self) {
        self.core.reset();
        self.config.reset();
        self.select = Selectors::default();
        self.apply_command();
    }

    fn quiesce(&mut self) {
        self.core.quiesce();
    }

    fn resume(&mut self) {
        self.core.resume();
    }

    fn input(&mut self, number: u32, event: InputEvent) {
        self.core.input(number, event);
    }

    fn alarm(&mut self, number: u32) {
        self.core.alarm(number);
    }

    fn save(&self) -> Saved {
        let state = State { config: self.config.save(), select: self.select, core: self.core.save() };
        Saved::pack(KIND, 1, &state)
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.reset();
        let state: State = saved.unpack(KIND, 1)?;
        // Registers first: they say whether the line may rise and memory be reached.
        let result = match self.config.restore(&state.config) {
            true => {
                self.apply_command();
                self.core.restore(&state.core)
            }
            false => Err(StateError::damaged(KIND, "registers of another function")),
        };
        match result {
            Ok(()) => self.select = state.select,
            Err(_) => self.reset(),
        }
        result
    }

    fn metrics(&self) -> Vec<Metric> {
        self.core.metrics()
    }
}
