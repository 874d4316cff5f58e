//! Configuration space of one function, type 0: registers with write masks, BARs, capabilities.

use serde::{Deserialize, Serialize};

/// Bytes of conventional configuration space. The extended space above has no capabilities and reads as zero.
pub const SIZE: usize = 256;

/// Offsets, PCI Local Bus 3.0 section 6.1.
pub mod reg {
    /// Vendor, then device.
    pub const VENDOR: usize = 0x00;
    /// Device id.
    pub const DEVICE: usize = 0x02;
    /// Command.
    pub const COMMAND: usize = 0x04;
    /// Status.
    pub const STATUS: usize = 0x06;
    /// Revision, then class.
    pub const REVISION: usize = 0x08;
    /// Class code, three bytes.
    pub const CLASS: usize = 0x09;
    /// Cache line size.
    pub const CACHE_LINE: usize = 0x0c;
    /// First base address register.
    pub const BAR0: usize = 0x10;
    /// Subsystem vendor.
    pub const SUBSYSTEM_VENDOR: usize = 0x2c;
    /// Subsystem.
    pub const SUBSYSTEM: usize = 0x2e;
    /// Offset of the first capability.
    pub const CAPABILITIES: usize = 0x34;
    /// Interrupt line, for software only.
    pub const INTERRUPT_LINE: usize = 0x3c;
    /// Interrupt pin: 1 is INTA.
    pub const INTERRUPT_PIN: usize = 0x3d;
}

/// Command register bits.
pub mod command {
    /// Answer port I/O.
    pub const IO: u16 = 1;
    /// Answer memory accesses.
    pub const MEMORY: u16 = 2;
    /// Reach memory.
    pub const BUS_MASTER: u16 = 4;
    /// Keep the interrupt pin low.
    pub const INTX_DISABLE: u16 = 1 << 10;
    /// What software may change; parity and SERR bits are kept without effect.
    pub const WRITABLE: u16 = IO | MEMORY | BUS_MASTER | 1 << 6 | 1 << 8 | INTX_DISABLE;
}

/// Status bit: the interrupt is asserted, whether or not it is disabled.
const STATUS_INTERRUPT: u8 = 1 << 3;
/// Status bit: there is a capability list.
const STATUS_CAPABILITIES: u8 = 1 << 4;

/// Who the function is.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Revision.
    pub revision: u8,
    /// Class code, 24 bits.
    pub class: u32,
    /// Subsystem vendor id.
    pub subsystem_vendor: u16,
    /// Subsystem id.
    pub subsystem: u16,
}

/// What a base address register maps. Sizes are powers of two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bar {
    /// 32-bit memory, at least 16 bytes.
    Memory32(u32),
    /// 64-bit prefetchable memory; takes the next register too.
    Memory64(u64),
    /// Port I/O, at least 4 bytes.
    Io(u32),
}

impl Bar {
    /// Bytes that it maps.
    pub fn size(self) -> u64 {
        match self {
            Bar::Memory32(n) | Bar::Io(n) => n as u64,
            Bar::Memory64(n) => n,
        }
    }

    fn flags(self) -> u32 {
        match self {
            Bar::Memory32(_) => 0,
            Bar::Memory64(_) => 0xc,
            Bar::Io(_) => 1,
        }
    }
}

/// The registers of a function, and which of their bits software may write.
pub struct ConfigSpace {
    bytes: [u8; SIZE],
    writable: [u8; SIZE],
    bars: [Option<Bar>; 6],
    next_capability: usize,
    last_link: usize,
    power_on: [u8; SIZE],
}

/// Saved registers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SavedConfig(Vec<u8>);

impl ConfigSpace {
    /// Registers of a function; `pin` is 1 to 4 for INTA to INTD, 0 for none.
    pub fn new(id: Identity, pin: u8) -> ConfigSpace {
        let mut c = ConfigSpace {
            bytes: [0; SIZE],
            writable: [0; SIZE],
            bars: [None; 6],
            next_capability: 0x40,
            last_link: reg::CAPABILITIES,
            power_on: [0; SIZE],
        };
        c.put(reg::VENDOR, &id.vendor.to_le_bytes());
        c.put(reg::DEVICE, &id.device.to_le_bytes());
        c.put(reg::REVISION, &[id.revision]);
        c.put(reg::CLASS, &id.class.to_le_bytes()[..3]);
        c.put(reg::SUBSYSTEM_VENDOR, &id.subsystem_vendor.to_le_bytes());
        c.put(reg::SUBSYSTEM, &id.subsystem.to_le_bytes());
        c.put(reg::INTERRUPT_PIN, &[pin]);
        c.allow(reg::COMMAND, &command::WRITABLE.to_le_bytes());
        c.allow(reg::CACHE_LINE, &[0xff]);
        c.allow(reg::INTERRUPT_LINE, &[0xff]);
        c.power_on = c.bytes;
        c
    }

    /// Sets registers, as the function itself; also what they hold after reset.
    pub fn put(&mut self, at: usize, bytes: &[u8]) {
        for space in [&mut self.bytes, &mut self.power_on] {
            if let Some(part) = at.checked_add(bytes.len()).and_then(|end| space.get_mut(at..end)) {
                part.copy_from_slice(bytes);
            }
        }
    }

    /// Makes the bits of `mask` writable.
    pub fn allow(&mut self, at: usize, mask: &[u8]) {
        if let Some(part) = at.checked_add(mask.len()).and_then(|end| self.writable.get_mut(at..end)) {
            part.copy_from_slice(mask);
        }
    }

    /// Adds base address register `n`. Registers that do not exist are ignored.
    pub fn add_bar(&mut self, n: usize, bar: Bar) {
        let Some(slot) = self.bars.get_mut(n) else { return };
        *slot = Some(bar);
        let at = reg::BAR0 + 4 * n;
        let mask = !(bar.size().max(16) - 1);
        let low = if matches!(bar, Bar::Io(n) if n < 16) { !(bar.size() - 1) } else { mask };
        self.put(at, &bar.flags().to_le_bytes());
        self.allow(at, &(low as u32).to_le_bytes());
        if matches!(bar, Bar::Memory64(_)) {
            self.allow(at + 4, &((mask >> 32) as u32).to_le_bytes());
        }
    }

    /// Adds a capability: `body` follows its id and link. Gives its offset; `None` if there is no room.
    pub fn add_capability(&mut self, id: u8, body: &[u8]) -> Option<usize> {
        let at = self.next_capability;
        let end = at + 2 + body.len();
        if end > SIZE {
            return None;
        }
        self.put(at, &[id, 0]);
        self.put(at + 2, body);
        self.put(self.last_link, &[at as u8]);
        self.put(reg::STATUS, &[STATUS_CAPABILITIES]);
        self.last_link = at + 1;
        self.next_capability = end.next_multiple_of(4);
        Some(at)
    }

    /// Reads `width` bytes; what lies beyond the conventional space is zero.
    pub fn read(&self, at: usize, width: u32) -> u32 {
        (0..width.min(4) as usize)
            .map(|i| (self.bytes.get(at + i).copied().unwrap_or(0) as u32) << (8 * i))
            .fold(0, |all, b| all | b)
    }

    /// Software writes `width` bytes.
    pub fn write(&mut self, at: usize, width: u32, value: u32) {
        for (i, new) in value.to_le_bytes().into_iter().enumerate().take(width.min(4) as usize) {
            if let (Some(old), Some(mask)) = (self.bytes.get_mut(at + i), self.writable.get(at + i)) {
                *old = *old & !mask | new & mask;
            }
        }
    }

    /// The command register.
    pub fn command(&self) -> u16 {
        self.read(reg::COMMAND, 2) as u16
    }

    /// Shows the level of the interrupt in the status register.
    pub fn show_interrupt(&mut self, level: bool) {
        if let Some(status) = self.bytes.get_mut(reg::STATUS) {
            *status = *status & !STATUS_INTERRUPT | if level { STATUS_INTERRUPT } else { 0 };
        }
    }

    fn base(&self, n: usize, bar: Bar) -> u64 {
        let at = reg::BAR0 + 4 * n;
        let low = self.read(at, 4) as u64;
        match bar {
            Bar::Memory32(_) => low & !0xf,
            Bar::Memory64(_) => (self.read(at + 4, 4) as u64) << 32 | low & !0xf,
            Bar::Io(_) => low & !3,
        }
    }

    /// The BAR that all of `addr..addr + width` lies in, and the offset in it. `io` chooses the address space. A BAR that
    /// is disabled, or at 0 (where sizing and reset leave it), does not answer.
    pub fn decode(&self, io: bool, addr: u64, width: u32) -> Option<(usize, u64)> {
        let enabled = if io { command::IO } else { command::MEMORY };
        if self.command() & enabled == 0 {
            return None;
        }
        self.bars.iter().enumerate().find_map(|(n, bar)| {
            let bar = (*bar)?;
            let base = self.base(n, bar);
            let offset = addr.checked_sub(base)?;
            let fits = offset.checked_add(width as u64)? <= bar.size();
            (matches!(bar, Bar::Io(_)) == io && base != 0 && fits).then_some((n, offset))
        })
    }

    /// Size of BAR `n`, 0 if there is none.
    pub fn bar_size(&self, n: usize) -> u64 {
        self.bars.get(n).copied().flatten().map_or(0, Bar::size)
    }

    /// Power-on state.
    pub fn reset(&mut self) {
        self.bytes = self.power_on;
    }

    /// The registers.
    pub fn save(&self) -> SavedConfig {
        SavedConfig(self.bytes.to_vec())
    }

    /// Takes what software can write from saved registers. False if they are of another function.
    pub fn restore(&mut self, saved: &SavedConfig) -> bool {
        self.reset();
        let same = saved.0.len() == SIZE && saved.0.get(..4) == self.bytes.get(..4);
        if same {
            for (i, new) in saved.0.iter().enumerate() {
                self.write(i, 1, *new as u32);
            }
        }
        same
    }
}
