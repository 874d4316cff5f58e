//! The RISC-V `virt` board: builds it, and keeps its devices by name.

use super::empty_slot::EmptySlot;
use super::fdt::{self, FdtInput};
use super::map::{self, Range, hart_line};
use super::platform::{BoardPlatform, EntropyFn};
use super::{BoardError, BoardState};
use crate::backend::chardev::{CharInput, SharedSink};
use crate::bus::{BusRegion, SystemBus};
use crate::clint::Clint;
use crate::device::{Device, DeviceCell, Wiring};
use crate::flash::{Flash, FlashImage};
use crate::fw_cfg::FwCfg;
use crate::irq::IrqLine;
use crate::plic::PlicDevice;
use crate::plic::core::{Plic, SOURCES};
use crate::rtc::GoldfishRtc;
use crate::syscon::{EventFn, Syscon};
use crate::uart::Uart;
use engine::exec::hart::Lines;
use engine::exec::inputs::InputPort;
use engine::exec::time::Clock;
use engine::guest::riscv::model::Model;
use engine::mem::PAGE_SIZE;
use engine::mem::ram::{Memory, RegionSpec};
use std::sync::Arc;

/// What the machine is.
#[derive(Clone, Debug)]
pub struct VirtConfig {
    /// Number of harts.
    pub harts: u32,
    /// Bytes of RAM, whole pages.
    pub ram_bytes: u64,
    /// CPU model.
    pub model: Model,
}

/// What the machine is connected to.
pub struct VirtBackends {
    /// Where the serial port writes.
    pub serial: SharedSink,
    /// Where it is typed at.
    pub typed: CharInput,
    /// Who hears power events. Must only pass them on.
    pub events: EventFn,
    /// Random bytes for firmware.
    pub entropy: EntropyFn,
    /// Contents of the flash chips; `None` is an erased chip that is lost at the end.
    pub flash: [Option<FlashImage>; 2],
    /// The machine's clock.
    pub clock: Arc<Clock>,
    /// The machine's input port.
    pub inputs: Arc<InputPort>,
}

/// A device on the board.
#[derive(Clone)]
pub struct Slot {
    /// Name: `serial0`.
    pub name: String,
    /// The device.
    pub cell: Arc<DeviceCell>,
}

/// The board.
pub struct VirtBoard {
    config: VirtConfig,
    bus: Arc<SystemBus>,
    wiring: Wiring,
    plic: Arc<Plic>,
    slots: Vec<Slot>,
    platform: Arc<BoardPlatform>,
    has_pci: bool,
    boots_from_flash: bool,
}

fn check(config: &VirtConfig, lines: &[Arc<Lines>]) -> Result<(), BoardError> {
    let refuse = |text: String| Err(BoardError::Config(text));
    if !(1..=map::MAX_HARTS).contains(&config.harts) || lines.len() != config.harts as usize {
        return refuse(format!(
            "the machine can have 1 to {} processors, not {}",
            map::MAX_HARTS,
            config.harts
        ));
    }
    if !(map::RAM_MIN..=map::RAM_MAX).contains(&config.ram_bytes)
        || !config.ram_bytes.is_multiple_of(PAGE_SIZE)
    {
        return refuse(format!(
            "the machine can have {} to {} MiB of memory in whole pages, not {} bytes",
            map::RAM_MIN >> 20,
            map::RAM_MAX >> 20,
            config.ram_bytes
        ));
    }
    Ok(())
}

fn hart_lines(lines: &[Arc<Lines>], bits: [u32; 2]) -> Vec<IrqLine> {
    lines.iter().flat_map(|l| bits.map(|bit| IrqLine::new(l.clone(), bit))).collect()
}

impl VirtBoard {
    /// Builds the board for harts with these interrupt lines.
    pub fn new(
        config: VirtConfig,
        lines: &[Arc<Lines>],
        backends: VirtBackends,
    ) -> Result<VirtBoard, BoardError> {
        check(&config, lines)?;
        let bus = SystemBus::new();
        let [code, vars] = backends.flash;
        let memory = VirtBoard::make_memory(&config, &bus, code.as_ref())?;
        let wiring = Wiring { memory, clock: backends.clock, inputs: backends.inputs };
        let plic = Arc::new(Plic::new(hart_lines(lines, [hart_line::MEI, hart_line::SEI])));
        let uart = Box::new(Uart::new(backends.serial.clone(), backends.typed));
        let serial =
            DeviceCell::attach(uart, "serial0", &wiring, &[IrqLine::new(plic.clone(), map::IRQ_UART)]);
        let platform = Arc::new(BoardPlatform {
            sink: backends.serial,
            serial: serial.clone(),
            events: backends.events.clone(),
            entropy: backends.entropy,
        });
        let boots_from_flash = code.is_some();
        let mut board = VirtBoard {
            config,
            bus,
            wiring,
            plic: plic.clone(),
            slots: Vec::new(),
            platform,
            has_pci: false,
            boots_from_flash,
        };
        let harts = board.config.harts;
        let timers = hart_lines(lines, [hart_line::MSI, hart_line::MTI]);
        board.place("serial0", map::UART, 0, serial)?;
        board.attach("clint", map::CLINT, Box::new(Clint::new(harts as usize)), &timers)?;
        board.attach("plic", map::PLIC, Box::new(PlicDevice::new(plic)), &[])?;
        board.attach("test", map::TEST, Box::new(Syscon::new(backends.events)), &[])?;
        let rtc_irq = board.irq(map::IRQ_RTC);
        board.attach("rtc", map::RTC, Box::<GoldfishRtc>::default(), &[rtc_irq])?;
        board.attach("fw-cfg", map::FW_CFG, Box::new(FwCfg::new(harts)), &[])?;
        let mut flash = Flash::new(map::FLASH[0].size, code);
        if boots_from_flash {
            flash = flash.mirrored(map::FLASH[0].base);
        }
        board.attach("flash0", map::FLASH[0], Box::new(flash), &[])?;
        board.attach("flash1", map::FLASH[1], Box::new(Flash::new(map::FLASH[1].size, vars)), &[])?;
        for n in 0..map::VIRTIO_SLOTS {
            board.attach(&format!("virtio-mmio{n}"), slot_range(n), Box::new(EmptySlot), &[])?;
        }
        Ok(board)
    }

    /// RAM, reset ROM, and the first flash chip as ROM if there is firmware in it: harts fetch code from memory only, so
    /// that chip is seen as an array whatever mode its registers are in.
    fn make_memory(
        config: &VirtConfig,
        bus: &Arc<SystemBus>,
        code: Option<&FlashImage>,
    ) -> Result<Arc<Memory>, BoardError> {
        let rom = |r: Range| RegionSpec { base: r.base, len: r.size, writable: false };
        let mut specs =
            vec![rom(map::ROM), RegionSpec { base: map::RAM_BASE, len: config.ram_bytes, writable: true }];
        specs.extend(code.map(|_| rom(map::FLASH[0])));
        if code.is_some_and(|image| image.bytes().len() as u64 > map::FLASH[0].size) {
            return Err(BoardError::Config("the flash image is larger than the flash chip (32 MiB)".into()));
        }
        Ok(Memory::new(&specs, bus.clone())?)
    }

    /// Puts a device at `range`. Its registers start at offset 0.
    pub fn attach(
        &mut self,
        name: &str,
        range: Range,
        device: Box<dyn Device>,
        irqs: &[IrqLine],
    ) -> Result<Arc<DeviceCell>, BoardError> {
        let cell = DeviceCell::attach(device, name, &self.wiring, irqs);
        self.place(name, range, 0, cell.clone())?;
        Ok(cell)
    }

    fn place(
        &mut self,
        name: &str,
        range: Range,
        offset: u64,
        cell: Arc<DeviceCell>,
    ) -> Result<(), BoardError> {
        let Range { base, size } = range;
        self.bus.add(BusRegion { name: name.into(), base, size, offset, cell: cell.clone() })?;
        if !self.slots.iter().any(|s| s.name == name) {
            self.slots.push(Slot { name: name.to_owned(), cell });
        }
        Ok(())
    }

    /// Puts a virtio-mmio transport into slot `n` (0 to 7), with interrupt `1 + n` as its line 0.
    pub fn attach_virtio_mmio(
        &mut self,
        n: u32,
        device: Box<dyn Device>,
    ) -> Result<Arc<DeviceCell>, BoardError> {
        if n >= map::VIRTIO_SLOTS {
            return Err(BoardError::Config(format!("there is no virtio-mmio slot {n}")));
        }
        let name = format!("virtio-mmio{n}");
        self.bus.remove(slot_range(n).base);
        self.slots.retain(|s| s.name != name);
        let irq = self.irq(map::IRQ_VIRTIO + n);
        self.attach(&name, slot_range(n), device, &[irq])
    }

    /// Puts a PCI host bridge at its four windows (configuration, ports, low and high memory). Offsets that the device
    /// sees are physical addresses; lines 0 to 3 are INTA to INTD of device 0. The device tree gets its node.
    pub fn attach_pci_host(&mut self, device: Box<dyn Device>) -> Result<Arc<DeviceCell>, BoardError> {
        let irqs: Vec<_> = (0..4).map(|n| self.irq(map::IRQ_PCI + n)).collect();
        let cell = DeviceCell::attach(device, "pci", &self.wiring, &irqs);
        for window in [map::PCI_ECAM, map::PCI_PIO, map::PCI_MMIO, map::PCI_HIGH] {
            self.place("pci", window, window.base, cell.clone())?;
        }
        self.has_pci = true;
        Ok(cell)
    }

    /// Says that a PCI host bridge was attached by [`VirtBoard::attach`], so that the device tree gets its node.
    pub fn declare_pci_host(&mut self) {
        self.has_pci = true;
    }

    /// Interrupt `n` (1 to 95) of the interrupt controller.
    pub fn irq(&self, n: u32) -> IrqLine {
        debug_assert!(n as usize <= SOURCES);
        IrqLine::new(self.plic.clone(), n)
    }

    /// What all devices share.
    pub fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    /// All memory.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.wiring.memory
    }

    /// The bus.
    pub fn bus(&self) -> &Arc<SystemBus> {
        &self.bus
    }

    /// The board's services for the engine.
    pub fn platform(&self) -> Arc<BoardPlatform> {
        self.platform.clone()
    }

    /// What the board was built from.
    pub fn config(&self) -> &VirtConfig {
        &self.config
    }

    /// Whether the first flash chip holds firmware.
    pub fn boots_from_flash(&self) -> bool {
        self.boots_from_flash
    }

    /// Devices in the order in which they were attached.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The device of this name.
    pub fn device(&self, name: &str) -> Option<&Arc<DeviceCell>> {
        self.slots.iter().find(|s| s.name == name).map(|s| &s.cell)
    }

    /// The device tree, for this boot.
    pub fn device_tree(&self, chosen: &fdt::Chosen) -> Result<Vec<u8>, BoardError> {
        let input = FdtInput {
            harts: self.config.harts,
            ram_bytes: self.config.ram_bytes,
            model: &self.config.model,
            has_pci: self.has_pci,
            chosen,
        };
        Ok(fdt::write(&input)?)
    }

    /// Power-on state of all devices.
    pub fn reset(&self) {
        self.each(|d| d.reset());
        // Lines that were lowered after the interrupt controller's turn are still pending there.
        self.plic.reset();
    }

    /// Brings background work to rest, see [`Device::quiesce`].
    pub fn quiesce(&self) {
        self.each(|d| d.quiesce());
    }

    /// Goes on after [`VirtBoard::quiesce`].
    pub fn resume(&self) {
        self.each(|d| d.resume());
    }

    fn each(&self, f: impl Fn(&mut dyn Device)) {
        for slot in &self.slots {
            slot.cell.with(&f);
        }
    }

    /// The state of all devices; call between [`VirtBoard::quiesce`] and [`VirtBoard::resume`].
    pub fn save(&self) -> BoardState {
        BoardState::of(&self.slots)
    }

    /// Takes a saved state. After an error the machine must be reset.
    pub fn restore(&self, state: &BoardState) -> Result<(), BoardError> {
        Ok(state.apply(&self.slots)?)
    }
}

impl Drop for VirtBoard {
    /// Memory knows the bus, the bus the devices, and the devices memory.
    fn drop(&mut self) {
        self.bus.clear();
    }
}

/// Where virtio-mmio slot `n` sits.
pub fn slot_range(n: u32) -> Range {
    Range { base: map::VIRTIO.base + n as u64 * map::VIRTIO.size, size: map::VIRTIO.size }
}

#[cfg(test)]
mod tests;
