//! The memory-mapped transport, section 4.2: one page of registers a device. Version 2 only.
//!
//! A slot without a device is there all the same, with device id 0, so that the device tree need not change with the
//! devices of a machine.

use super::core::Core;
use super::device::VirtioDevice;
use super::queue::QueueSetUp;
use crate::device::{Device, DeviceContext};
use crate::irq::IrqLine;
use crate::metrics::Metric;
use crate::state::{Saved, StateError};
use engine::exec::inputs::InputEvent;
use engine::mem::bus::BusFault;
use serde::{Deserialize, Serialize};

/// Bytes of a slot's registers.
pub const SIZE: u64 = 0x1000;
const MAGIC: u32 = 0x7472_6976;
const VERSION: u32 = 2;
const VENDOR: u32 = 0x5254_4956;
const CONFIG: u64 = 0x100;
const KIND: &str = "virtio-mmio";

/// Register offsets, table 4.1.
mod reg {
    pub const MAGIC: u64 = 0x00;
    pub const VERSION: u64 = 0x04;
    pub const DEVICE_ID: u64 = 0x08;
    pub const VENDOR: u64 = 0x0c;
    pub const DEVICE_FEATURES: u64 = 0x10;
    pub const DEVICE_FEATURES_SEL: u64 = 0x14;
    pub const DRIVER_FEATURES: u64 = 0x20;
    pub const DRIVER_FEATURES_SEL: u64 = 0x24;
    pub const QUEUE_SEL: u64 = 0x30;
    pub const QUEUE_NUM_MAX: u64 = 0x34;
    pub const QUEUE_NUM: u64 = 0x38;
    pub const QUEUE_READY: u64 = 0x44;
    pub const QUEUE_NOTIFY: u64 = 0x50;
    pub const INTERRUPT_STATUS: u64 = 0x60;
    pub const INTERRUPT_ACK: u64 = 0x64;
    pub const STATUS: u64 = 0x70;
    pub const QUEUE_DESC: u64 = 0x80;
    pub const QUEUE_DRIVER: u64 = 0x90;
    pub const QUEUE_DEVICE: u64 = 0xa0;
    pub const SHM_LEN_LOW: u64 = 0xb0;
    pub const SHM_BASE_HIGH: u64 = 0xbc;
    pub const CONFIG_GENERATION: u64 = 0xfc;
}

/// The selectors.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Selectors {
    device_features: u32,
    driver_features: u32,
    queue: u32,
}

/// A virtio-mmio slot, with or without a device.
pub struct Mmio {
    core: Option<Core>,
    select: Selectors,
}

fn set_half(field: &mut u64, high: bool, value: u32) {
    let shift = if high { 32 } else { 0 };
    *field = *field & !(0xffff_ffff << shift) | (value as u64) << shift;
}

impl Mmio {
    /// A slot; `None` leaves it empty.
    pub fn new(device: Option<Box<dyn VirtioDevice>>) -> Mmio {
        Mmio { core: device.map(Core::new), select: Selectors::default() }
    }

    fn read_register(&mut self, offset: u64) -> u32 {
        let select = self.select;
        let Some(core) = &mut self.core else {
            return match offset {
                reg::MAGIC => MAGIC,
                reg::VERSION => VERSION,
                reg::VENDOR => VENDOR,
                _ => 0,
            };
        };
        match offset {
            reg::MAGIC => MAGIC,
            reg::VERSION => VERSION,
            reg::DEVICE_ID => core.device().id() as u32,
            reg::VENDOR => VENDOR,
            reg::DEVICE_FEATURES => match select.device_features {
                0 => core.features() as u32,
                1 => (core.features() >> 32) as u32,
                _ => 0,
            },
            reg::QUEUE_NUM_MAX => core.queue_max(select.queue) as u32,
            reg::QUEUE_READY => core.queue_set_up(select.queue).is_some_and(|(_, on)| on) as u32,
            reg::INTERRUPT_STATUS => core.io().map_or(0, |io| io.irq.isr()),
            reg::STATUS => core.status() as u32,
            // No shared memory: length and base are all ones, section 4.2.2.
            reg::SHM_LEN_LOW..=reg::SHM_BASE_HIGH => u32::MAX,
            reg::CONFIG_GENERATION => core.config_generation() as u32,
            _ => 0,
        }
    }

    fn write_register(&mut self, offset: u64, value: u32) {
        let select = &mut self.select;
        let Some(core) = &mut self.core else { return };
        match offset {
            reg::DEVICE_FEATURES_SEL => select.device_features = value,
            reg::DRIVER_FEATURES_SEL => select.driver_features = value,
            reg::DRIVER_FEATURES if select.driver_features < 2 => {
                core.set_driver_features(select.driver_features == 1, value);
            }
            reg::QUEUE_SEL => select.queue = value,
            reg::QUEUE_READY if value & 1 != 0 => core.enable_queue(select.queue),
            reg::QUEUE_READY => core.disable_queue(select.queue),
            reg::QUEUE_NOTIFY => core.kick(value),
            reg::INTERRUPT_ACK => {
                if let Some(io) = core.io() {
                    io.irq.ack(value);
                }
            }
            reg::STATUS => {
                core.set_status(value as u8);
                if value as u8 == 0 {
                    *select = Selectors::default();
                }
            }
            _ => core.set_up_queue(select.queue, |q| write_set_up(q, offset, value)),
        }
    }
}

fn write_set_up(q: &mut QueueSetUp, offset: u64, value: u32) {
    let high = offset & 4 != 0;
    match offset & !4 {
        // A size that does not fit is kept as one that is refused when the queue is enabled.
        _ if offset == reg::QUEUE_NUM => q.size = u16::try_from(value).unwrap_or(0),
        reg::QUEUE_DESC => set_half(&mut q.desc, high, value),
        reg::QUEUE_DRIVER => set_half(&mut q.driver, high, value),
        reg::QUEUE_DEVICE => set_half(&mut q.device, high, value),
        _ => {}
    }
}

impl Device for Mmio {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn attach(&mut self, ctx: DeviceContext) {
        let line: IrqLine = ctx.irq(0);
        if let Some(core) = &mut self.core {
            core.attach(ctx, 0, line, None);
        }
    }

    fn read(&mut self, offset: u64, width: u32) -> Result<u64, BusFault> {
        Ok(match (&self.core, offset.checked_sub(CONFIG)) {
            (Some(core), Some(at)) => core.read_config(at, width),
            (None, Some(_)) => 0,
            // Registers are 32 bits wide and aligned; anything else reads as zero.
            _ if width == 4 && offset.is_multiple_of(4) => self.read_register(offset) as u64,
            _ => 0,
        })
    }

    fn write(&mut self, offset: u64, width: u32, value: u64) -> Result<(), BusFault> {
        match (&mut self.core, offset.checked_sub(CONFIG)) {
            (Some(core), Some(at)) => core.write_config(at, width, value),
            (None, Some(_)) => {}
            _ if width == 4 && offset.is_multiple_of(4) => self.write_register(offset, value as u32),
            _ => {}
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.select = Selectors::default();
        if let Some(core) = &mut self.core {
            core.reset();
        }
    }

    fn quiesce(&mut self) {
        if let Some(core) = &mut self.core {
            core.quiesce();
        }
    }

    fn resume(&mut self) {
        if let Some(core) = &mut self.core {
            core.resume();
        }
    }

    fn input(&mut self, number: u32, event: InputEvent) {
        if let Some(core) = &mut self.core {
            core.input(number, event);
        }
    }

    fn alarm(&mut self, number: u32) {
        if let Some(core) = &mut self.core {
            core.alarm(number);
        }
    }

    fn save(&self) -> Saved {
        Saved::pack(KIND, 1, &(self.select, self.core.as_ref().map(Core::save)))
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.reset();
        let (select, core): (Selectors, Option<Saved>) = saved.unpack(KIND, 1)?;
        match (&mut self.core, core) {
            (Some(core), Some(saved)) => core.restore(&saved)?,
            (None, None) => {}
            _ => return Err(StateError::Machine("a virtio-mmio slot has a device on one side only".into())),
        }
        self.select = select;
        Ok(())
    }

    fn metrics(&self) -> Vec<Metric> {
        self.core.as_ref().map(Core::metrics).unwrap_or_default()
    }

    fn counts_as(&self) -> &'static str {
        self.core.as_ref().map_or(KIND, |core| core.device().kind())
    }
}
