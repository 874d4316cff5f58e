//! The host bridge: finds the function that an access is for.

use super::function::PciFunction;
use super::host::HostFunction;
use super::intx::Pins;
use crate::device::{AccessCounts, Device, DeviceContext};
use crate::metrics::{self, ACCESSES, DeviceReport};
use crate::state::{Saved, StateError};
use crate::virtio::device::NUMBERS;
use engine::exec::inputs::InputEvent;
use engine::mem::bus::BusFault;
use std::collections::BTreeMap;
use thiserror::Error;

/// Slots of the bus.
pub const SLOTS: u8 = 32;
const KIND: &str = "pci-bridge";

const ECAM: u64 = 0x3000_0000;
const ECAM_END: u64 = 0x4000_0000;
const PIO: u64 = 0x300_0000;
const PIO_END: u64 = 0x301_0000;

/// A window of the bridge on the system bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// What it is, for the bus map.
    pub name: &'static str,
    /// First physical address, which is also the offset that the bridge sees; PCI memory has the same addresses.
    pub base: u64,
    /// Bytes.
    pub size: u64,
}

/// The windows of the `virt` board: what the bridge sees as offsets are physical addresses.
pub const WINDOWS: [Window; 4] = [
    Window { name: "pcie-ecam", base: ECAM, size: ECAM_END - ECAM },
    Window { name: "pcie-io", base: PIO, size: PIO_END - PIO },
    Window { name: "pcie-mem32", base: 0x4000_0000, size: 0x4000_0000 },
    Window { name: "pcie-mem64", base: 0x4_0000_0000, size: 0x4_0000_0000 },
];

/// A function cannot be plugged in.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlugError {
    /// No such slot.
    #[error("the bus has slots 1 to 31, not {0}")]
    NoSlot(u8),
    /// The slot is taken.
    #[error("PCI slot {slot} already has a {holder}")]
    Taken {
        /// The slot.
        slot: u8,
        /// Who is there.
        holder: &'static str,
    },
    /// The bus is full.
    #[error("all PCI slots are taken")]
    Full,
    /// The machine has started.
    #[error("functions must be plugged in before the machine starts")]
    Attached,
}

/// The host bridge and the functions on its bus. Its interrupts 0 to 3 are the lines of the root bus.
pub struct HostBridge {
    functions: BTreeMap<u8, Box<dyn PciFunction>>,
    /// Accesses by slot.
    accesses: BTreeMap<u8, AccessCounts>,
    attached: bool,
}

impl Default for HostBridge {
    fn default() -> HostBridge {
        HostBridge::new()
    }
}

enum Target {
    Config(u8, usize),
    Io(u64),
    Memory(u64),
    Nothing,
}

fn target(offset: u64, width: u32) -> Target {
    match offset {
        ECAM..ECAM_END => {
            // Bus 8 bits, device 5, function 3, register 12. Only bus 0 is there, with one function a slot.
            let at = offset - ECAM;
            let (slot, register) = ((at >> 15) as u8 & 31, (at & 0xfff) as usize);
            let in_one_register = register % 4 + width as usize <= 4;
            let here = at >> 20 == 0 && at >> 12 & 7 == 0;
            if here && in_one_register { Target::Config(slot, register) } else { Target::Nothing }
        }
        PIO..PIO_END => Target::Io(offset - PIO),
        _ => Target::Memory(offset),
    }
}

/// What a bus without an answer reads as.
fn nobody(width: u32) -> u64 {
    if width >= 8 { u64::MAX } else { (1 << (8 * width)) - 1 }
}

impl HostBridge {
    /// A bridge with an empty bus.
    pub fn new() -> HostBridge {
        let host: Box<dyn PciFunction> = Box::new(HostFunction::new());
        HostBridge { functions: BTreeMap::from([(0, host)]), accesses: BTreeMap::new(), attached: false }
    }

    /// Where the bridge answers on the system bus.
    pub fn windows(&self) -> [Window; 4] {
        WINDOWS
    }

    /// Plugs a function into `slot`, 1 to 31. Before the bridge is attached.
    pub fn plug(&mut self, slot: u8, function: Box<dyn PciFunction>) -> Result<(), PlugError> {
        if self.attached {
            return Err(PlugError::Attached);
        }
        if slot == 0 || slot >= SLOTS {
            return Err(PlugError::NoSlot(slot));
        }
        if let Some(other) = self.functions.get(&slot) {
            return Err(PlugError::Taken { slot, holder: other.kind() });
        }
        self.functions.insert(slot, function);
        Ok(())
    }

    /// Plugs a function into the first free slot and says which it is.
    pub fn plug_next(&mut self, function: Box<dyn PciFunction>) -> Result<u8, PlugError> {
        let slot = (1..SLOTS).find(|s| !self.functions.contains_key(s)).ok_or(PlugError::Full)?;
        self.plug(slot, function).map(|()| slot)
    }

    /// Occupied slots and what is in them.
    pub fn functions(&self) -> impl Iterator<Item = (u8, &dyn PciFunction)> {
        self.functions.iter().map(|(slot, f)| (*slot, &**f))
    }

    /// The slot, BAR and offset that answer at a PCI address.
    fn decode(&self, io: bool, addr: u64, width: u32) -> Option<(u8, usize, u64)> {
        self.functions.iter().find_map(|(slot, f)| {
            let (bar, offset) = f.config().decode(io, addr, width)?;
            Some((*slot, bar, offset))
        })
    }

    /// The function in a slot, for an access that is counted.
    fn access(&mut self, slot: u8, count: fn(&mut AccessCounts)) -> Option<&mut Box<dyn PciFunction>> {
        let function = self.functions.get_mut(&slot)?;
        count(self.accesses.entry(slot).or_default());
        Some(function)
    }
}

impl Device for HostBridge {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn attach(&mut self, ctx: DeviceContext) {
        let pins = Pins::new(|n| ctx.irq(n));
        for (slot, f) in &mut self.functions {
            let pin = f.config().read(super::config::reg::INTERRUPT_PIN, 1) as u8;
            f.attach(ctx.clone(), *slot as u32 * NUMBERS, pins.of(*slot, pin));
        }
        self.attached = true;
    }

    fn read(&mut self, offset: u64, width: u32) -> Result<u64, BusFault> {
        let found = match target(offset, width) {
            Target::Config(slot, at) => {
                return Ok(match self.access(slot, |a| a.reads += 1) {
                    Some(f) => f.read_config(at, width) as u64,
                    None => nobody(width),
                });
            }
            Target::Io(addr) => self.decode(true, addr, width),
            Target::Memory(addr) => self.decode(false, addr, width),
            Target::Nothing => None,
        };
        let Some((slot, bar, offset)) = found else { return Ok(nobody(width)) };
        let function = self.access(slot, |a| a.reads += 1);
        Ok(function.map_or(nobody(width), |f| f.read_bar(bar, offset, width)))
    }

    fn write(&mut self, offset: u64, width: u32, value: u64) -> Result<(), BusFault> {
        let found = match target(offset, width) {
            Target::Config(slot, at) => {
                if let Some(f) = self.access(slot, |a| a.writes += 1) {
                    f.write_config(at, width, value as u32);
                }
                return Ok(());
            }
            Target::Io(addr) => self.decode(true, addr, width),
            Target::Memory(addr) => self.decode(false, addr, width),
            Target::Nothing => None,
        };
        if let Some((slot, bar, offset)) = found
            && let Some(f) = self.access(slot, |a| a.writes += 1)
        {
            f.write_bar(bar, offset, width, value);
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.functions.values_mut().for_each(|f| f.reset());
    }

    fn quiesce(&mut self) {
        self.functions.values_mut().for_each(|f| f.quiesce());
    }

    fn resume(&mut self) {
        self.functions.values_mut().for_each(|f| f.resume());
    }

    fn input(&mut self, number: u32, event: InputEvent) {
        if let Some(f) = self.functions.get_mut(&((number / NUMBERS) as u8)) {
            f.input(number % NUMBERS, event);
        }
    }

    fn alarm(&mut self, number: u32) {
        if let Some(f) = self.functions.get_mut(&((number / NUMBERS) as u8)) {
            f.alarm(number % NUMBERS);
        }
    }

    fn save(&self) -> Saved {
        let all: Vec<(u8, Saved)> = self.functions.iter().map(|(slot, f)| (*slot, f.save())).collect();
        Saved::pack(KIND, 1, &all)
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.reset();
        let all: Vec<(u8, Saved)> = saved.unpack(KIND, 1)?;
        let slots = all.iter().map(|(slot, _)| slot);
        if !slots.eq(self.functions.keys()) {
            return Err(StateError::Machine("other PCI slots are taken in the save file".into()));
        }
        for (f, (_, saved)) in self.functions.values_mut().zip(&all) {
            if let Err(e) = f.restore(saved) {
                self.reset();
                return Err(e);
            }
        }
        Ok(())
    }

    /// Its functions by slot: the accesses to their configuration space and to what their BARs lead to.
    fn parts(&self, name: &str) -> Vec<DeviceReport> {
        let report = |(slot, function): (u8, &dyn PciFunction)| {
            let accesses = self.accesses.get(&slot).copied().unwrap_or_default();
            let metrics = [metrics::read(ACCESSES, &accesses), function.metrics()].concat();
            DeviceReport { name: format!("{name}.{slot}"), kind: function.kind(), metrics }
        };
        self.functions().map(report).collect()
    }
}
