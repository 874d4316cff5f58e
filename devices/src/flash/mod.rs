//! A CFI NOR flash bank: two 16-bit chips side by side on a 32-bit bus, with the Intel command set.
//!
//! Commands are taken from the low byte of what is written, as both chips get the same. Programming clears bits,
//! erasing sets a whole sector. Sources: JESD68.01 (query), Intel StrataFlash J3 data sheet (commands, status).

mod image;
mod query;
#[cfg(test)]
mod tests;

use crate::device::{Device, DeviceContext};
use crate::metrics::{self, Metric};
use crate::state::{Saved, StateError};
use engine::mem::bus::BusFault;
use engine::tier::monitor::Counter;
pub use image::{FlashError, FlashImage, FlashStore};
use image::{Sectors, Sink};
use query::Query;
use serde::{Deserialize, Serialize};

/// Bytes that are erased together, over both chips.
pub const SECTOR: u64 = 256 << 10;

pub(crate) const KIND: &str = "cfi-flash";
const VERSION: u32 = 1;
/// Bytes that one buffered write can take, over both chips.
const BUFFER: u64 = 4096;

const READY: u8 = 0x80;
const ERASE_ERROR: u8 = 0x20;
const PROGRAM_ERROR: u8 = 0x10;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Mode {
    Array,
    Status,
    Identity,
    Query,
}

/// What the next write means.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Expect {
    Command,
    /// Data of a single program command.
    Word,
    /// Confirmation of an erase of the sector at this offset.
    Erase(u64),
    /// Lock or unlock.
    Lock,
    /// Count of a buffered write.
    Count,
    /// `left + 1` words more for the buffer: offset and data of each.
    Buffer {
        left: u32,
        words: Vec<(u64, u8, u64)>,
    },
    /// Confirmation of a buffered write.
    Confirm(Vec<(u64, u8, u64)>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    mode: Mode,
    expect: Expect,
    status: u8,
    sectors: Sectors,
}

impl Expect {
    /// Whether it is what accesses to a chip of `size` bytes can have led to.
    fn fits(&self, size: u64) -> bool {
        let on_chip = |&(offset, width, _): &(u64, u8, u64)| {
            matches!(width, 1 | 2 | 4 | 8) && offset.checked_add(width.into()).is_some_and(|end| end <= size)
        };
        let (left, words) = match self {
            Expect::Erase(sector) => return *sector < size && sector.is_multiple_of(SECTOR),
            Expect::Buffer { left, words } => (*left as u64, words),
            Expect::Confirm(words) => (0, words),
            _ => return true,
        };
        words.len() as u64 + left <= BUFFER / 4 && words.iter().all(on_chip)
    }
}

/// The device.
pub struct Flash {
    ctx: Option<DeviceContext>,
    /// Where in memory the contents are also seen, as ROM.
    mirror: Option<u64>,
    size: u64,
    query: Query,
    mode: Mode,
    expect: Expect,
    status: u8,
    sectors: Sectors,
    sink: Option<Sink>,
    programs: u64,
    erases: u64,
    errors: u64,
}

impl Flash {
    /// A bank of `size` bytes with the contents of `image`, or erased.
    pub fn new(size: u64, image: Option<FlashImage>) -> Flash {
        let (sectors, sink) = image::open(size, image);
        Flash {
            ctx: None,
            mirror: None,
            size,
            query: Query::new(size),
            mode: Mode::Array,
            expect: Expect::Command,
            status: READY,
            sectors,
            sink,
            programs: 0,
            erases: 0,
            errors: 0,
        }
    }

    /// Shows the contents as the ROM at physical address `base`.
    pub fn mirrored(self, base: u64) -> Flash {
        Flash { mirror: Some(base), ..self }
    }

    fn command(&mut self, offset: u64, command: u8) {
        self.mode = Mode::Status;
        self.expect = Expect::Command;
        match command {
            0x10 | 0x40 => self.expect = Expect::Word,
            0x20 => self.expect = Expect::Erase(offset & !(SECTOR - 1)),
            0x50 => {
                self.status = READY;
                self.mode = Mode::Array;
            }
            0x60 => self.expect = Expect::Lock,
            0x70 => {}
            0x90 => self.mode = Mode::Identity,
            0x98 => self.mode = Mode::Query,
            0xe8 => self.expect = Expect::Count,
            _ => self.mode = Mode::Array,
        }
    }

    fn fail(&mut self, bit: u8) {
        self.status |= bit;
        self.errors += 1;
    }

    fn program(&mut self, offset: u64, width: u8, value: u64) {
        self.programs += 1;
        let bytes = value.to_le_bytes();
        let written = self.sectors.program(offset, &bytes[..(width as usize).min(8)]);
        if !(written && self.keep(offset, width as u64)) {
            self.fail(PROGRAM_ERROR);
        }
    }

    fn erase(&mut self, sector: u64) {
        self.erases += 1;
        self.sectors.erase(sector);
        if !self.keep(sector, SECTOR) {
            self.fail(ERASE_ERROR);
        }
    }

    fn show(&self, offset: u64, len: u64) {
        if let (Some(base), Some(ctx)) = (self.mirror, &self.ctx) {
            for (at, bytes) in self.sectors.pieces(offset, len) {
                ctx.wiring().memory.load(base + at, &bytes);
            }
        }
    }

    /// Passes a change on to the ROM that shows the flash, and to the file behind it.
    fn keep(&mut self, offset: u64, len: u64) -> bool {
        self.show(offset, len);
        match &mut self.sink {
            Some(sink) => sink.write(&self.sectors, offset, len),
            None => true,
        }
    }

    /// All words of a buffered write lie in one buffer-sized block; else nothing is written (J3, 10.3).
    fn commit(&mut self, words: Vec<(u64, u8, u64)>) {
        let block = words.first().map_or(0, |w| w.0 / BUFFER);
        if words.iter().any(|w| w.0 / BUFFER != block) {
            return self.fail(PROGRAM_ERROR);
        }
        for (offset, width, value) in words {
            self.program(offset, width, value);
        }
    }

    fn take(&mut self, offset: u64, width: u8, value: u64) {
        let byte = value as u8;
        match std::mem::replace(&mut self.expect, Expect::Command) {
            Expect::Command => self.command(offset, byte),
            Expect::Word => self.program(offset, width, value),
            Expect::Erase(sector) if byte == 0xd0 => self.erase(sector),
            Expect::Erase(_) if byte == 0xff => self.mode = Mode::Array,
            Expect::Erase(_) => self.fail(ERASE_ERROR | PROGRAM_ERROR),
            Expect::Lock if byte == 0xff => self.mode = Mode::Array,
            // Sectors are never locked, and unlocking them is no error.
            Expect::Lock => {}
            // Each chip counts its own words, and both get the same count.
            Expect::Count => self.expect_words(value as u16 as u32),
            Expect::Buffer { left, mut words } => {
                words.push((offset, width, value));
                self.expect = match left.checked_sub(1) {
                    Some(left) => Expect::Buffer { left, words },
                    None => Expect::Confirm(words),
                };
            }
            Expect::Confirm(words) if byte == 0xd0 => self.commit(words),
            Expect::Confirm(_) => self.fail(PROGRAM_ERROR | ERASE_ERROR),
        }
    }

    fn expect_words(&mut self, left: u32) {
        if u64::from(left) < BUFFER / 4 {
            self.expect = Expect::Buffer { left, words: Vec::new() };
        } else {
            self.fail(PROGRAM_ERROR);
        }
    }

    /// A 16-bit value from both chips, cut to the access.
    fn both(value: u16, width: u32) -> u64 {
        let v = value as u64;
        let all = v | v << 16 | v << 32 | v << 48;
        if width == 8 { all } else { all & ((1 << (8 * width)) - 1) }
    }
}

/// What it counts.
pub(crate) static COUNTERS: &[Counter<Flash>] = &[
    Counter::total("programs", "words", "words programmed", |f| f.programs),
    Counter::total("erases", "sectors", "sectors erased", |f| f.erases),
    Counter::total("errors", "commands", "commands refused or not written to the file", |f| f.errors),
];

impl Device for Flash {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn attach(&mut self, ctx: DeviceContext) {
        self.ctx = Some(ctx);
        self.show(0, self.size);
    }

    fn read(&mut self, offset: u64, width: u32) -> Result<u64, BusFault> {
        let word = offset / 4;
        Ok(match self.mode {
            Mode::Array => self.sectors.read(offset, width),
            Mode::Status => Flash::both(self.status as u16, width),
            Mode::Identity => Flash::both(query::identity(word), width),
            Mode::Query => Flash::both(self.query.byte(word) as u16, width),
        })
    }

    fn write(&mut self, offset: u64, width: u32, value: u64) -> Result<(), BusFault> {
        self.take(offset, width as u8, value);
        Ok(())
    }

    fn reset(&mut self) {
        self.mode = Mode::Array;
        self.expect = Expect::Command;
        self.status = READY;
    }

    fn quiesce(&mut self) {
        if let Some(sink) = &mut self.sink {
            sink.flush();
        }
    }

    fn save(&self) -> Saved {
        let state = State {
            mode: self.mode,
            expect: self.expect.clone(),
            status: self.status,
            sectors: self.sectors.clone(),
        };
        Saved::pack(KIND, VERSION, &state)
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.reset();
        let state: State = saved.unpack(KIND, VERSION)?;
        if !state.sectors.fits(self.size) || !state.expect.fits(self.size) {
            return Err(StateError::damaged(KIND, "it is of another size of chip"));
        }
        self.mode = state.mode;
        self.expect = state.expect;
        self.status = state.status;
        self.sectors = state.sectors;
        let size = self.size;
        if !self.keep(0, size) {
            self.errors += 1;
        }
        Ok(())
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics::read(COUNTERS, self)
    }
}
