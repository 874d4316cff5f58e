//! The address and interrupt map of the `virt` board: the one that Linux, OpenSBI, U-Boot and EDK2 are built for.

/// A range of physical addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
}

const fn range(base: u64, size: u64) -> Range {
    Range { base, size }
}

const GIB: u64 = 1 << 30;

/// Reset code.
pub const ROM: Range = range(0x1000, 0xf000);
/// Test finisher.
pub const TEST: Range = range(0x10_0000, crate::syscon::SIZE);
/// Real-time clock.
pub const RTC: Range = range(0x10_1000, crate::rtc::SIZE);
/// Core-local interruptor.
pub const CLINT: Range = range(0x200_0000, crate::clint::SIZE);
/// PCI port window.
pub const PCI_PIO: Range = range(0x300_0000, 0x1_0000);
/// Bus for devices that a host adds at run time; empty here.
pub const PLATFORM_BUS: Range = range(0x400_0000, 0x200_0000);
/// Interrupt controller.
pub const PLIC: Range = range(0xc00_0000, crate::plic::SIZE);
/// Serial port.
pub const UART: Range = range(0x1000_0000, 0x100);
/// First virtio-mmio slot.
pub const VIRTIO: Range = range(0x1000_1000, 0x1000);
/// Number of virtio-mmio slots.
pub const VIRTIO_SLOTS: u32 = 8;
/// Firmware configuration.
pub const FW_CFG: Range = range(0x1010_0000, 0x18);
/// Two flash chips, one after the other.
pub const FLASH: [Range; 2] = [range(0x2000_0000, 0x200_0000), range(0x2200_0000, 0x200_0000)];
/// PCI configuration space.
pub const PCI_ECAM: Range = range(0x3000_0000, 0x1000_0000);
/// PCI memory window below 4 GiB.
pub const PCI_MMIO: Range = range(0x4000_0000, GIB);
/// RAM; its size is the machine's.
pub const RAM_BASE: u64 = 0x8000_0000;
/// PCI memory window above RAM.
pub const PCI_HIGH: Range = range(16 * GIB, 16 * GIB);
/// RAM ends where that window begins.
pub const RAM_MAX: u64 = PCI_HIGH.base - RAM_BASE;
/// The least that is of use.
pub const RAM_MIN: u64 = 16 << 20;

/// Harts that CLINT and PLIC have room for.
pub const MAX_HARTS: u32 = 64;

/// Interrupt of the first virtio-mmio slot.
pub const IRQ_VIRTIO: u32 = 1;
/// Interrupt of the serial port.
pub const IRQ_UART: u32 = 10;
/// Interrupt of the real-time clock.
pub const IRQ_RTC: u32 = 11;
/// First of the four PCI interrupts.
pub const IRQ_PCI: u32 = 0x20;

/// Bits of the interrupt lines of a hart, as `mip` numbers them.
pub mod hart_line {
    /// Software interrupt of M-mode.
    pub const MSI: u32 = 3;
    /// Timer interrupt of M-mode.
    pub const MTI: u32 = 7;
    /// External interrupt of S-mode.
    pub const SEI: u32 = 9;
    /// External interrupt of M-mode.
    pub const MEI: u32 = 11;
}
