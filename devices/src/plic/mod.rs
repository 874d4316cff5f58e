//! The platform-level interrupt controller: which device interrupts reach which hart.
//!
//! Sources are raised from any thread without a lock, so everything lives in atomics ([`core::Plic`]); this file is its
//! register face. Layout and rules: RISC-V Platform-Level Interrupt Controller Specification 1.0.0.

pub mod core;

use self::core::{CONTEXT_WORDS, Plic};
use crate::device::{Device, DeviceContext};
use crate::metrics::{self, Metric};
use crate::state::{Saved, StateError};
use engine::mem::bus::BusFault;
use engine::tier::monitor::Counter;
use std::sync::Arc;

/// Bytes of register space, as the `virt` board maps it.
pub const SIZE: u64 = 0x60_0000;

/// What saved states call it.
pub const KIND: &str = "plic";
const VERSION: u32 = 1;
const PENDING: u64 = 0x1000;
const ENABLE: u64 = 0x2000;
const ENABLE_STRIDE: u64 = 0x80;
const CONTEXT: u64 = 0x20_0000;
const CONTEXT_STRIDE: u64 = 0x1000;

enum Register {
    Priority(usize),
    Pending(usize),
    Enable { context: usize, word: usize },
    Threshold(usize),
    Claim(usize),
    None,
}

fn register(offset: u64) -> Register {
    match offset {
        0..PENDING => Register::Priority((offset / 4) as usize),
        PENDING..ENABLE => Register::Pending(((offset - PENDING) / 4) as usize),
        ENABLE..CONTEXT => {
            let o = offset - ENABLE;
            let word = (o % ENABLE_STRIDE / 4) as usize;
            Register::Enable { context: (o / ENABLE_STRIDE) as usize, word }
        }
        _ => {
            let context = ((offset - CONTEXT) / CONTEXT_STRIDE) as usize;
            match (offset - CONTEXT) % CONTEXT_STRIDE {
                0 => Register::Threshold(context),
                4 => Register::Claim(context),
                _ => Register::None,
            }
        }
    }
}

/// The register face of a [`Plic`].
pub struct PlicDevice {
    plic: Arc<Plic>,
}

impl PlicDevice {
    /// The registers of `plic`.
    pub fn new(plic: Arc<Plic>) -> PlicDevice {
        PlicDevice { plic }
    }

    fn check(offset: u64, width: u32) -> Result<(), BusFault> {
        if width == 4 && offset.is_multiple_of(4) { Ok(()) } else { Err(BusFault) }
    }
}

/// What it counts.
pub(crate) static COUNTERS: &[Counter<PlicDevice>] = &[
    Counter::total("raised", "interrupts", "device interrupts that became pending", |p| p.plic.counts().0),
    Counter::total("claimed", "interrupts", "interrupts taken by harts", |p| p.plic.counts().1),
];

impl Device for PlicDevice {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn attach(&mut self, _: DeviceContext) {}

    fn read(&mut self, offset: u64, width: u32) -> Result<u64, BusFault> {
        PlicDevice::check(offset, width)?;
        let p = &self.plic;
        Ok(match register(offset) {
            Register::Priority(source) => p.priority(source),
            Register::Pending(word) => p.pending_word(word),
            Register::Enable { context, word } => p.enable_word(context, word),
            Register::Threshold(context) => p.threshold(context),
            Register::Claim(context) => p.claim(context),
            Register::None => 0,
        } as u64)
    }

    fn write(&mut self, offset: u64, width: u32, value: u64) -> Result<(), BusFault> {
        PlicDevice::check(offset, width)?;
        let (p, value) = (&self.plic, value as u32);
        match register(offset) {
            Register::Priority(source) => p.set_priority(source, value),
            Register::Enable { context, word } if word < CONTEXT_WORDS => p.set_enable(context, word, value),
            Register::Threshold(context) => p.set_threshold(context, value),
            Register::Claim(context) => p.complete(context, value),
            Register::Enable { .. } | Register::Pending(_) | Register::None => {}
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.plic.reset();
    }

    fn save(&self) -> Saved {
        Saved::pack(KIND, VERSION, &self.plic.image())
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.plic.reset();
        let image = saved.unpack::<core::Image>(KIND, VERSION)?;
        match self.plic.load(&image) {
            true => Ok(()),
            false => Err(StateError::damaged(KIND, "it is for another number of harts")),
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics::read(COUNTERS, self)
    }
}

#[cfg(test)]
mod tests;
