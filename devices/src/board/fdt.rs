//! The device tree of the `virt` board, node by node as guests know it from QEMU's board of that name.
//!
//! The `pmu` node is left out: the harts' event counters count nothing. Bindings: the Linux kernel's
//! `Documentation/devicetree/bindings`.

use super::map::{self, Range};
use crate::clint::TIMEBASE_HZ;
use crate::plic::core::SOURCES;
use crate::uart;
use engine::guest::riscv::model::{Ext, Model, VmMode};
use vm_fdt::{Error, FdtWriter};

/// What the boot loader says under `/chosen`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chosen {
    /// Kernel command line.
    pub bootargs: String,
    /// First address and end of the initial ramdisk.
    pub initrd: Option<(u64, u64)>,
    /// Seed of the guest's random numbers; left out in deterministic machines.
    pub rng_seed: Option<[u8; 32]>,
}

/// What the tree is written from.
pub struct FdtInput<'a> {
    /// Number of harts.
    pub harts: u32,
    /// Bytes of RAM.
    pub ram_bytes: u64,
    /// CPU model.
    pub model: &'a Model,
    /// Whether there is a PCI host bridge.
    pub has_pci: bool,
    /// The boot loader's part.
    pub chosen: &'a Chosen,
}

/// Block size of the cache-block instructions.
const CACHE_BLOCK: u32 = 64;

struct Tree<'a> {
    w: FdtWriter,
    input: &'a FdtInput<'a>,
}

type Done = Result<(), Error>;

/// Writes the tree.
pub fn write(input: &FdtInput<'_>) -> Result<Vec<u8>, Error> {
    let mut t = Tree { w: FdtWriter::new()?, input };
    let root = t.w.begin_node("")?;
    t.cells(2, 2)?;
    t.w.property_string("compatible", "riscv-virtio")?;
    t.w.property_string("model", "riscv-virtio,qemu")?;
    t.power("poweroff", crate::syscon::PASS as u32)?;
    t.power("reboot", crate::syscon::RESET as u32)?;
    t.platform_bus()?;
    t.memory()?;
    t.cpus()?;
    t.fw_cfg()?;
    t.flash()?;
    t.aliases()?;
    t.chosen()?;
    t.soc()?;
    t.w.end_node(root)?;
    t.w.finish()
}

fn node_name(name: &str, base: u64) -> String {
    format!("{name}@{base:x}")
}

fn split(v: u64) -> [u32; 2] {
    [(v >> 32) as u32, v as u32]
}

fn reg_cells(ranges: &[Range]) -> Vec<u32> {
    ranges.iter().flat_map(|r| [split(r.base), split(r.size)]).flatten().collect()
}

impl Tree<'_> {
    fn cpu_phandle(hart: u32) -> u32 {
        2 * hart + 1
    }
    fn intc_phandle(hart: u32) -> u32 {
        2 * hart + 2
    }
    fn plic_phandle(&self) -> u32 {
        2 * self.input.harts + 1
    }
    fn test_phandle(&self) -> u32 {
        2 * self.input.harts + 2
    }

    fn cells(&mut self, address: u32, size: u32) -> Done {
        self.w.property_u32("#address-cells", address)?;
        self.w.property_u32("#size-cells", size)
    }

    fn node(&mut self, name: &str, body: impl FnOnce(&mut Self) -> Done) -> Done {
        let node = self.w.begin_node(name)?;
        body(self)?;
        self.w.end_node(node)
    }

    fn compatible(&mut self, names: &[&str]) -> Done {
        self.w.property_string_list("compatible", names.iter().map(|s| (*s).to_owned()).collect())
    }

    fn reg(&mut self, ranges: &[Range]) -> Done {
        self.w.property_array_u32("reg", &reg_cells(ranges))
    }

    fn interrupt(&mut self, irq: u32) -> Done {
        self.w.property_u32("interrupts", irq)?;
        self.w.property_u32("interrupt-parent", self.plic_phandle())
    }

    fn power(&mut self, what: &str, value: u32) -> Done {
        let regmap = self.test_phandle();
        self.node(what, |t| {
            t.w.property_u32("value", value)?;
            t.w.property_u32("offset", 0)?;
            t.w.property_u32("regmap", regmap)?;
            t.compatible(&[&format!("syscon-{what}")])
        })
    }

    fn platform_bus(&mut self) -> Done {
        let Range { base, size } = map::PLATFORM_BUS;
        self.node(&node_name("platform-bus", base), |t| {
            t.w.property_u32("interrupt-parent", t.plic_phandle())?;
            t.w.property_array_u32("ranges", &[0, 0, base as u32, size as u32])?;
            t.cells(1, 1)?;
            t.compatible(&["qemu,platform", "simple-bus"])
        })
    }

    fn memory(&mut self) -> Done {
        let ram = Range { base: map::RAM_BASE, size: self.input.ram_bytes };
        self.node(&node_name("memory", ram.base), |t| {
            t.w.property_string("device_type", "memory")?;
            t.reg(&[ram])
        })
    }

    fn cpus(&mut self) -> Done {
        self.node("cpus", |t| {
            t.cells(1, 0)?;
            t.w.property_u32("timebase-frequency", TIMEBASE_HZ)?;
            for hart in 0..t.input.harts {
                t.cpu(hart)?;
            }
            t.node("cpu-map", |t| {
                t.node("cluster0", |t| {
                    for hart in 0..t.input.harts {
                        t.node(&format!("core{hart}"), |t| t.w.property_u32("cpu", Self::cpu_phandle(hart)))?;
                    }
                    Ok(())
                })
            })
        })
    }

    fn cpu(&mut self, hart: u32) -> Done {
        let model = self.input.model;
        self.node(&node_name("cpu", hart as u64), |t| {
            t.w.property_phandle(Self::cpu_phandle(hart))?;
            t.w.property_string("device_type", "cpu")?;
            t.w.property_u32("reg", hart)?;
            t.w.property_string("status", "okay")?;
            t.compatible(&["riscv"])?;
            let blocks = [
                (Ext::Zicbop, "riscv,cbop-block-size"),
                (Ext::Zicboz, "riscv,cboz-block-size"),
                (Ext::Zicbom, "riscv,cbom-block-size"),
            ];
            for (_, name) in blocks.into_iter().filter(|(ext, _)| model.has(*ext)) {
                t.w.property_u32(name, CACHE_BLOCK)?;
            }
            let names = model.isa_extensions().into_iter().map(str::to_owned).collect();
            t.w.property_string_list("riscv,isa-extensions", names)?;
            t.w.property_string("riscv,isa-base", "rv64i")?;
            t.w.property_string("riscv,isa", &model.isa_string())?;
            let mmu = match model.vm {
                VmMode::Sv39 => "riscv,sv39",
                VmMode::Sv48 => "riscv,sv48",
                VmMode::Sv57 => "riscv,sv57",
            };
            t.w.property_string("mmu-type", mmu)?;
            t.node("interrupt-controller", |t| {
                t.w.property_u32("#interrupt-cells", 1)?;
                t.w.property_null("interrupt-controller")?;
                t.compatible(&["riscv,cpu-intc"])?;
                t.w.property_phandle(Self::intc_phandle(hart))
            })
        })
    }

    fn fw_cfg(&mut self) -> Done {
        self.node(&node_name("fw-cfg", map::FW_CFG.base), |t| {
            t.w.property_null("dma-coherent")?;
            t.reg(&[map::FW_CFG])?;
            t.compatible(&["qemu,fw-cfg-mmio"])
        })
    }

    fn flash(&mut self) -> Done {
        self.node(&node_name("flash", map::FLASH[0].base), |t| {
            t.w.property_u32("bank-width", 4)?;
            t.reg(&map::FLASH)?;
            t.compatible(&["cfi-flash"])
        })
    }

    fn serial_path() -> String {
        format!("/soc/{}", node_name("serial", map::UART.base))
    }

    fn aliases(&mut self) -> Done {
        self.node("aliases", |t| t.w.property_string("serial0", &Self::serial_path()))
    }

    fn chosen(&mut self) -> Done {
        let chosen = self.input.chosen;
        self.node("chosen", |t| {
            // A command line with a NUL in it ends there.
            let args = chosen.bootargs.split('\0').next().unwrap_or("");
            if !args.is_empty() {
                t.w.property_string("bootargs", args)?;
            }
            if let Some((start, end)) = chosen.initrd {
                t.w.property_u64("linux,initrd-start", start)?;
                t.w.property_u64("linux,initrd-end", end)?;
            }
            t.w.property_string("stdout-path", &Self::serial_path())?;
            match chosen.rng_seed {
                Some(seed) => t.w.property("rng-seed", &seed),
                None => Ok(()),
            }
        })
    }

    fn soc(&mut self) -> Done {
        self.node("soc", |t| {
            t.cells(2, 2)?;
            t.compatible(&["simple-bus"])?;
            t.w.property_null("ranges")?;
            t.node(&node_name("rtc", map::RTC.base), |t| {
                t.interrupt(map::IRQ_RTC)?;
                t.reg(&[map::RTC])?;
                t.compatible(&["google,goldfish-rtc"])
            })?;
            t.node(&node_name("serial", map::UART.base), |t| {
                t.interrupt(map::IRQ_UART)?;
                t.reg(&[map::UART])?;
                t.w.property_u32("clock-frequency", uart::CLOCK_HZ)?;
                t.compatible(&["ns16550a"])
            })?;
            t.node(&node_name("test", map::TEST.base), |t| {
                t.w.property_phandle(t.test_phandle())?;
                t.reg(&[map::TEST])?;
                t.compatible(&["sifive,test1", "sifive,test0", "syscon"])
            })?;
            // Linux numbers the devices in the order of the tree, and the last slot comes first here as in QEMU's.
            for n in (0..map::VIRTIO_SLOTS).rev() {
                let range = super::virt::slot_range(n);
                t.node(&node_name("virtio_mmio", range.base), |t| {
                    t.interrupt(map::IRQ_VIRTIO + n)?;
                    t.reg(&[range])?;
                    t.compatible(&["virtio,mmio"])
                })?;
            }
            t.plic()?;
            t.clint()?;
            if t.input.has_pci { t.pci() } else { Ok(()) }
        })
    }

    fn hart_interrupts(&self, bits: [u32; 2]) -> Vec<u32> {
        (0..self.input.harts).flat_map(|h| bits.map(|b| [Self::intc_phandle(h), b])).flatten().collect()
    }

    fn plic(&mut self) -> Done {
        use map::hart_line::{MEI, SEI};
        let outputs = self.hart_interrupts([MEI, SEI]);
        self.node(&node_name("plic", map::PLIC.base), |t| {
            t.w.property_phandle(t.plic_phandle())?;
            t.w.property_u32("riscv,ndev", SOURCES as u32)?;
            t.reg(&[map::PLIC])?;
            t.w.property_array_u32("interrupts-extended", &outputs)?;
            t.w.property_null("interrupt-controller")?;
            t.compatible(&["sifive,plic-1.0.0", "riscv,plic0"])?;
            t.w.property_u32("#address-cells", 0)?;
            t.w.property_u32("#interrupt-cells", 1)
        })
    }

    fn clint(&mut self) -> Done {
        use map::hart_line::{MSI, MTI};
        let outputs = self.hart_interrupts([MSI, MTI]);
        self.node(&node_name("clint", map::CLINT.base), |t| {
            t.w.property_array_u32("interrupts-extended", &outputs)?;
            t.reg(&[map::CLINT])?;
            t.compatible(&["sifive,clint0", "riscv,clint0"])
        })
    }

    /// The four pins of four slots, each slot one line further (PCI binding, `interrupt-map`).
    fn pci_interrupts(&self) -> Vec<u32> {
        let plic = self.plic_phandle();
        let pins = (0..4u32).flat_map(|slot| (1..=4u32).map(move |pin| (slot, pin)));
        pins.flat_map(|(slot, pin)| [slot << 11, 0, 0, pin, plic, map::IRQ_PCI + (slot + pin - 1) % 4])
            .collect()
    }

    fn pci(&mut self) -> Done {
        const PORTS: u32 = 0x0100_0000;
        const MEMORY: u32 = 0x0200_0000;
        const MEMORY_64: u32 = 0x0300_0000;
        let window = |kind: u32, bus: u64, r: Range| {
            [[kind].as_slice(), &split(bus), &split(r.base), &split(r.size)].concat()
        };
        let ranges = [
            window(PORTS, 0, map::PCI_PIO),
            window(MEMORY, map::PCI_MMIO.base, map::PCI_MMIO),
            window(MEMORY_64, map::PCI_HIGH.base, map::PCI_HIGH),
        ]
        .concat();
        let interrupts = self.pci_interrupts();
        self.node(&node_name("pci", map::PCI_ECAM.base), |t| {
            t.w.property_array_u32("interrupt-map-mask", &[0x1800, 0, 0, 7])?;
            t.w.property_array_u32("interrupt-map", &interrupts)?;
            t.w.property_array_u32("ranges", &ranges)?;
            t.reg(&[map::PCI_ECAM])?;
            t.w.property_null("dma-coherent")?;
            t.w.property_array_u32("bus-range", &[0, 0xff])?;
            t.w.property_u32("linux,pci-domain", 0)?;
            t.w.property_string("device_type", "pci")?;
            t.compatible(&["pci-host-ecam-generic"])?;
            t.w.property_u32("#size-cells", 2)?;
            t.w.property_u32("#interrupt-cells", 1)?;
            t.w.property_u32("#address-cells", 3)
        })
    }
}

#[cfg(test)]
mod tests;
