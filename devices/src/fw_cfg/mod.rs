//! The firmware configuration device: a small read-only file system through which firmware learns of the machine.
//!
//! Registers are big endian, except the data register, which gives an item's bytes in memory order whatever the width.
//! Source: QEMU's specification "QEMU Firmware Configuration (fw_cfg) Device".

mod dma;
mod items;
#[cfg(test)]
mod tests;

use crate::device::{Device, DeviceContext};
use crate::metrics::{self, Metric};
use crate::state::{Saved, StateError};
use engine::mem::bus::BusFault;
use engine::tier::monitor::Counter;
use items::Items;
pub use items::{FileError, WrittenFn, keys};
use serde::{Deserialize, Serialize};

pub(crate) const KIND: &str = "fw_cfg";
const VERSION: u32 = 1;
const DATA: u64 = 0;
const SELECTOR: u64 = 8;
const DMA_HIGH: u64 = 16;
const DMA_LOW: u64 = 20;
/// What the DMA register reads as.
const DMA_SIGNATURE: u64 = u64::from_be_bytes(*b"QEMU CFG");

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    selected: u16,
    /// Next byte of the selected item.
    offset: u64,
    dma_high: u32,
    /// Contents of the files that a guest may write, by key.
    written: Vec<(u16, Vec<u8>)>,
}

/// The device.
pub struct FwCfg {
    ctx: Option<DeviceContext>,
    items: Items,
    state: State,
    transfers: u64,
    errors: u64,
}

impl FwCfg {
    /// With the items that every machine has.
    pub fn new(harts: u32) -> FwCfg {
        FwCfg { ctx: None, items: Items::new(harts), state: State::default(), transfers: 0, errors: 0 }
    }

    /// Sets the item with this key, see [`keys`].
    pub fn set_item(&mut self, key: u16, bytes: Vec<u8>) {
        self.items.set(key, bytes);
    }

    /// Adds a file, or replaces its contents.
    pub fn set_file(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), FileError> {
        self.items.set_file(name, bytes, None)
    }

    /// Adds a file that the guest may write by DMA; `written` sees its contents after each write, inside the device.
    pub fn set_writable_file(
        &mut self,
        name: &str,
        bytes: Vec<u8>,
        written: WrittenFn,
    ) -> Result<(), FileError> {
        self.items.set_file(name, bytes, Some(written))
    }

    fn select(&mut self, key: u16) {
        self.state.selected = key;
        self.state.offset = 0;
    }

    /// Next byte of the selected item; 0 behind its end.
    fn next_byte(&mut self) -> u8 {
        let byte = usize::try_from(self.state.offset)
            .ok()
            .and_then(|at| self.items.bytes(self.state.selected).get(at).copied());
        self.state.offset = self.state.offset.saturating_add(1);
        byte.unwrap_or(0)
    }

    fn read_data(&mut self, width: u32) -> u64 {
        (0..width).fold(0, |v, i| v | (self.next_byte() as u64) << (8 * i))
    }
}

/// A register value as its bytes lie in memory.
fn big_endian(value: u64, width: u32) -> u64 {
    value.swap_bytes() >> (64 - 8 * width)
}

/// What it counts.
pub(crate) static COUNTERS: &[Counter<FwCfg>] = &[
    Counter::total("transfers", "transfers", "DMA transfers that firmware asked for", |f| f.transfers),
    Counter::total("errors", "transfers", "DMA transfers that were refused", |f| f.errors),
];

impl Device for FwCfg {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn attach(&mut self, ctx: DeviceContext) {
        self.ctx = Some(ctx);
    }

    fn read(&mut self, offset: u64, width: u32) -> Result<u64, BusFault> {
        match (offset, width) {
            (DATA..SELECTOR, _) if offset + width as u64 <= SELECTOR => Ok(self.read_data(width)),
            (DMA_HIGH, 8) => Ok(big_endian(DMA_SIGNATURE, 8)),
            (DMA_HIGH, 4) => Ok(big_endian(DMA_SIGNATURE >> 32, 4)),
            (DMA_LOW, 4) => Ok(big_endian(DMA_SIGNATURE & 0xffff_ffff, 4)),
            _ => Err(BusFault),
        }
    }

    fn write(&mut self, offset: u64, width: u32, value: u64) -> Result<(), BusFault> {
        match (offset, width) {
            // Writing items through the data register is a thing of the past.
            (DATA..SELECTOR, _) if offset + width as u64 <= SELECTOR => {}
            (SELECTOR, 2) => self.select(big_endian(value, 2) as u16),
            (DMA_HIGH, 8) => {
                self.state.dma_high = 0;
                self.transfer(big_endian(value, 8));
            }
            (DMA_HIGH, 4) => self.state.dma_high = big_endian(value, 4) as u32,
            (DMA_LOW, 4) => {
                let high = std::mem::take(&mut self.state.dma_high) as u64;
                self.transfer(high << 32 | big_endian(value, 4));
            }
            _ => return Err(BusFault),
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.state = State::default();
    }

    fn save(&self) -> Saved {
        Saved::pack(KIND, VERSION, &State { written: self.items.written(), ..self.state.clone() })
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.state = State::default();
        let state: State = saved.unpack(KIND, VERSION)?;
        if !self.items.restore_written(&state.written) {
            return Err(StateError::damaged(KIND, "a written file is not one of this machine's"));
        }
        self.state = State { written: Vec::new(), ..state };
        Ok(())
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics::read(COUNTERS, self)
    }
}
