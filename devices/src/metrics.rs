//! What devices count, each counter declared once, in a table beside the device; and what all devices of a board show.

use crate::board::virt::Slot;
use crate::device::AccessCounts;
use crate::{clint, flash, fw_cfg, plic, rtc, uart, virtio};
use engine::tier::monitor::{Counter, Declared};

/// One counter of a device with its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metric {
    /// What it is.
    pub declared: &'static Declared,
    /// Its value.
    pub value: u64,
}

/// What counters say of `s`.
pub fn read<S>(counters: &'static [Counter<S>], s: &S) -> Vec<Metric> {
    counters.iter().map(|c| Metric { declared: &c.declared, value: c.sum(s) }).collect()
}

/// What a device shows of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceReport {
    /// Its name on the board: `serial0`; `pci.1` is the one in PCI slot 1.
    pub name: String,
    /// What it is: `virtio-blk`.
    pub kind: &'static str,
    /// Its counters: [`ACCESSES`], then its own.
    pub metrics: Vec<Metric>,
}

impl DeviceReport {
    /// The value of a counter, 0 if it has none of this name.
    pub fn value(&self, name: &str) -> u64 {
        self.metrics.iter().find(|m| m.declared.name == name).map_or(0, |m| m.value)
    }
}

/// Counters that every device has.
pub static ACCESSES: &[Counter<AccessCounts>] = &[
    Counter::total(
        "mmio_reads",
        "accesses",
        "reads of its registers by harts, those refused included",
        |a| a.reads,
    ),
    Counter::total(
        "mmio_writes",
        "accesses",
        "writes to its registers by harts, those refused included",
        |a| a.writes,
    ),
    Counter::total("mmio_faults", "accesses", "of those, accesses that were refused", |a| a.faults),
];

/// What all devices of a board show, in the board's order; devices on a bus of their own follow its bridge.
pub fn reports(slots: &[Slot]) -> Vec<DeviceReport> {
    let mut all = Vec::new();
    for slot in slots {
        let accesses = read(ACCESSES, &slot.cell.counts());
        let asked = slot.cell.with(|d| (d.counts_as(), d.metrics(), d.parts(&slot.name)));
        let Some((kind, own, parts)) = asked else { continue };
        let metrics = accesses.into_iter().chain(own).collect();
        all.push(DeviceReport { name: slot.name.clone(), kind, metrics });
        all.extend(parts);
    }
    all
}

fn of<S>(counters: &'static [Counter<S>]) -> Vec<&'static Declared> {
    counters.iter().map(|c| &c.declared).collect()
}

/// Counters by kind of device, without [`ACCESSES`], for documents. Kinds that are not here have no others.
pub fn declared() -> Vec<(&'static str, Vec<&'static Declared>)> {
    let virtio = |own| [of(virtio::core::COUNTERS), own].concat();
    vec![
        (uart::KIND, of(uart::COUNTERS)),
        (clint::KIND, of(clint::COUNTERS)),
        (plic::KIND, of(plic::COUNTERS)),
        (rtc::KIND, of(rtc::COUNTERS)),
        (fw_cfg::KIND, of(fw_cfg::COUNTERS)),
        (flash::KIND, of(flash::COUNTERS)),
        (virtio::blk::KIND, virtio(of(virtio::blk::COUNTERS))),
        (virtio::net::KIND, virtio(of(virtio::net::COUNTERS))),
        (virtio::console::KIND, virtio(of(virtio::console::COUNTERS))),
        (virtio::rng::KIND, virtio(of(virtio::rng::COUNTERS))),
    ]
}
