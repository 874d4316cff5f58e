//! What a device is to the machine, and what the machine is to a device.
//!
//! A device is plain single-threaded code: its registers, and reactions to alarms and inputs. [`DeviceCell`] puts the
//! one lock around it. Whatever comes from outside (a hart's access, an alarm of the clock, an event of the input
//! port) takes that lock and no other. A thread that comes back to a device which it is already inside of gets a
//! [`BusFault`] for an access; an input is put off until the device is left.

use crate::irq::IrqLine;
use crate::metrics::{DeviceReport, Metric};
use crate::state::{Saved, StateError};
use engine::exec::inputs::{InputEvent, InputPort, SourceId};
use engine::exec::time::{AlarmId, Clock};
use engine::mem::bus::BusFault;
use engine::mem::ram::{GuestRam, Memory};
use parking_lot::Mutex;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// A device model. Offsets, widths and values come from the guest and may be anything.
pub trait Device: Send + Any {
    /// What it is, in short: `ns16550a`. Names its saved state.
    fn kind(&self) -> &'static str;
    /// Called once, before anything else.
    fn attach(&mut self, ctx: DeviceContext);
    /// Reads `width` (1, 2, 4 or 8) bytes at `offset`, zero-extended. `offset + width` lies in the device's region; alignment
    /// is the device's business.
    fn read(&mut self, offset: u64, width: u32) -> Result<u64, BusFault>;
    /// Writes the low `width` bytes of `value` (the bits above are zero).
    fn write(&mut self, offset: u64, width: u32, value: u64) -> Result<(), BusFault>;
    /// Power-on state. Lines are lowered; what the outside has queued (typed bytes) may stay.
    fn reset(&mut self);
    /// Finishes or stops what runs in the background, so that [`Device::save`] sees a state at rest.
    fn quiesce(&mut self) {}
    /// Goes on after [`Device::quiesce`].
    fn resume(&mut self) {}
    /// An event for the input registered with this number, see [`DeviceContext::input`].
    fn input(&mut self, _number: u32, _event: InputEvent) {}
    /// The alarm set with this number, see [`DeviceContext::alarm`]. It may ring late, and once more after it was cancelled.
    fn alarm(&mut self, _number: u32) {}
    /// The state, at rest.
    fn save(&self) -> Saved;
    /// Takes a saved state, sets lines and alarms by it. On an error the device is as after reset.
    fn restore(&mut self, saved: &Saved) -> Result<(), StateError>;
    /// Its counters since power-on.
    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }
    /// What it is to whoever looks at counters: its kind, or that of the device behind a transport.
    fn counts_as(&self) -> &'static str {
        self.kind()
    }
    /// What devices on a bus of its own show; `name` is its own on the board.
    fn parts(&self, _name: &str) -> Vec<DeviceReport> {
        Vec::new()
    }
}

/// What all devices of a machine share.
#[derive(Clone)]
pub struct Wiring {
    /// Memory.
    pub memory: Arc<Memory>,
    /// The clock.
    pub clock: Arc<Clock>,
    /// The input port.
    pub inputs: Arc<InputPort>,
}

/// What a device gets when it is attached.
#[derive(Clone)]
pub struct DeviceContext {
    name: Arc<str>,
    wiring: Wiring,
    irqs: Arc<[IrqLine]>,
    cell: Weak<DeviceCell>,
}

impl DeviceContext {
    /// Its name on the board, for logs: `serial0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// RAM for DMA. It holds no device registers, so DMA cannot reach a device.
    pub fn ram(&self) -> &GuestRam {
        self.wiring.memory.ram()
    }

    /// What all devices share.
    pub fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.wiring.clock
    }

    /// Interrupt line `n` of the device; one that leads nowhere if the board gave it fewer.
    pub fn irq(&self, n: usize) -> IrqLine {
        self.irqs.get(n).cloned().unwrap_or_else(IrqLine::unconnected)
    }

    /// Registers an input: events pushed to the returned source arrive at [`Device::input`] with `number`.
    pub fn input(&self, number: u32) -> SourceId {
        let cell = self.cell.clone();
        self.wiring.inputs.register(Arc::new(move |event| {
            if let Some(cell) = cell.upgrade() {
                cell.deliver(Late::Input(number, event));
            }
        }))
    }

    /// Calls [`Device::alarm`] with `number` once the clock has reached `at_ns`.
    pub fn alarm(&self, at_ns: u64, number: u32) -> AlarmId {
        let cell = self.cell.clone();
        self.wiring.clock.alarm(
            at_ns,
            Box::new(move || {
                if let Some(cell) = cell.upgrade() {
                    cell.deliver(Late::Alarm(number));
                }
            }),
        )
    }
}

enum Late {
    Input(u32, InputEvent),
    Alarm(u32),
}

/// Accesses to a device since power-on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AccessCounts {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Accesses that were refused.
    pub faults: u64,
}

/// A device and its lock.
pub struct DeviceCell {
    device: Mutex<Box<dyn Device>>,
    /// Thread inside the device, 0 = none.
    owner: AtomicUsize,
    /// What arrived on the owner's own thread while it was inside.
    late: Mutex<VecDeque<Late>>,
    reads: AtomicU64,
    writes: AtomicU64,
    faults: AtomicU64,
}

thread_local! {
    static THREAD: u8 = const { 0 };
}

/// A number that no other living thread has; not 0.
fn this_thread() -> usize {
    THREAD.with(|t| std::ptr::from_ref(t).addr())
}

impl DeviceCell {
    /// Wraps a device that is not attached yet.
    pub fn new(device: Box<dyn Device>) -> Arc<DeviceCell> {
        Arc::new(DeviceCell {
            device: Mutex::new(device),
            owner: AtomicUsize::new(0),
            late: Mutex::default(),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            faults: AtomicU64::new(0),
        })
    }

    /// Wraps and attaches a device.
    pub fn attach(device: Box<dyn Device>, name: &str, wiring: &Wiring, irqs: &[IrqLine]) -> Arc<DeviceCell> {
        let cell = DeviceCell::new(device);
        let ctx = DeviceContext {
            name: name.into(),
            wiring: wiring.clone(),
            irqs: irqs.into(),
            cell: Arc::downgrade(&cell),
        };
        cell.device.lock().attach(ctx);
        cell
    }

    /// Runs `f` inside the device. `None` if this thread is inside it already.
    pub fn with<T>(&self, f: impl FnOnce(&mut dyn Device) -> T) -> Option<T> {
        let me = this_thread();
        if self.owner.load(Ordering::Relaxed) == me {
            return None;
        }
        let mut device = self.device.lock();
        self.owner.store(me, Ordering::Relaxed);
        let result = f(&mut **device);
        while let Some(late) = self.take_late() {
            run_late(&mut **device, late);
        }
        self.owner.store(0, Ordering::Relaxed);
        Some(result)
    }

    /// Runs `f` inside the device if it is a `D`.
    pub fn with_as<D: Device, T>(&self, f: impl FnOnce(&mut D) -> T) -> Option<T> {
        self.with(|d| {
            let any: &mut dyn Any = d;
            any.downcast_mut::<D>().map(f)
        })
        .flatten()
    }

    fn take_late(&self) -> Option<Late> {
        self.late.lock().pop_front()
    }

    fn deliver(&self, event: Late) {
        if self.owner.load(Ordering::Relaxed) == this_thread() {
            self.late.lock().push_back(event);
        } else {
            self.with(|d| run_late(d, event));
        }
    }

    fn count(&self, counter: &AtomicU64, failed: bool) {
        counter.fetch_add(1, Ordering::Relaxed);
        if failed {
            self.faults.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A hart's or another device's read.
    pub fn read(&self, offset: u64, width: u32) -> Result<u64, BusFault> {
        let r = self.with(|d| d.read(offset, width)).unwrap_or(Err(BusFault));
        self.count(&self.reads, r.is_err());
        r
    }

    /// A hart's or another device's write.
    pub fn write(&self, offset: u64, width: u32, value: u64) -> Result<(), BusFault> {
        let value = if width < 8 { value & ((1 << (8 * width)) - 1) } else { value };
        let r = self.with(|d| d.write(offset, width, value)).unwrap_or(Err(BusFault));
        self.count(&self.writes, r.is_err());
        r
    }

    /// Accesses so far.
    pub fn counts(&self) -> AccessCounts {
        AccessCounts {
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            faults: self.faults.load(Ordering::Relaxed),
        }
    }
}

fn run_late(device: &mut dyn Device, late: Late) {
    match late {
        Late::Input(number, event) => device.input(number, event),
        Late::Alarm(number) => device.alarm(number),
    }
}

#[cfg(test)]
pub(crate) mod tests;
