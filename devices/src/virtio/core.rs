//! What all virtio devices share, whatever the transport: features, status, rings, reset, save and restore.

use super::device::{VirtioContext, VirtioDevice};
use super::interrupt::{Interrupts, Messages};
use super::io::Io;
use super::queue::{QueueSetUp, SavedQueue};
use super::{feature, status};
use crate::device::DeviceContext;
use crate::irq::IrqLine;
use crate::metrics::{self, Metric};
use crate::state::{Saved, StateError};
use engine::exec::inputs::InputEvent;
use engine::tier::monitor::Counter;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Alarm that sets a restored device going, if nobody has before.
const RESTART: u32 = super::device::NUMBERS - 1;
/// Alarm with which a device goes on that had to let its caller go.
const CONTINUE: u32 = super::device::NUMBERS - 2;
/// How much later that is: enough for time to have passed.
const CONTINUE_NS: u64 = 1000;
/// Bytes of events that wait while memory is out of reach. What comes then is lost, as on a full wire. Networks and disks
/// limit themselves below this.
const MAX_HELD: usize = 64 << 20;

/// What it counts, whatever the device.
pub(crate) static COUNTERS: &[Counter<Core>] = &[
    Counter::total("kicks", "events", "times the driver has told the device of new requests", |c| c.kicks),
    Counter::total("completed", "requests", "requests of all queues given back to the driver", |c| {
        c.attached.as_ref().map_or(0, |(_, io)| io.completed)
    }),
    Counter::total("interrupts", "events", "interrupts raised", |c| {
        c.attached.as_ref().map_or(0, |(_, io)| io.irq.raised())
    }),
    Counter::total(
        "driver_errors",
        "events",
        "times the driver broke a rule and must reset the device",
        |c| c.failures,
    ),
];

/// A device and what it has agreed on with its driver.
pub struct Core {
    device: Box<dyn VirtioDevice>,
    attached: Option<(VirtioContext, Io)>,
    status: u8,
    driver_features: u64,
    /// Queues that were kicked while the device could not look.
    kicked: u64,
    quiesced: bool,
    /// The transport lets the device reach memory (PCI's bus-master bit).
    dma: bool,
    /// What arrived while memory was out of reach.
    held: VecDeque<(u32, InputEvent)>,
    /// Bytes in them.
    held_bytes: usize,
    /// A [`CONTINUE`] alarm is set.
    continuing: bool,
    /// Events that may not be lost across a restore need a kick of everything.
    restored: bool,
    kicks: u64,
    failures: u64,
}

#[derive(Serialize, Deserialize)]
struct SavedCore {
    status: u8,
    driver_features: u64,
    queues: Vec<SavedQueue>,
    isr: u32,
    config_vector: u16,
    config_generation: u8,
    kicked: u64,
    device: Saved,
}

const KIND: &str = "virtio";

/// Bytes that an event takes, about.
fn weight(event: &InputEvent) -> usize {
    let data = match event {
        InputEvent::Bytes(b) => b.len(),
        InputEvent::Completion { data, .. } => data.len(),
        InputEvent::Signal(_) => 0,
    };
    data + 64
}

impl Core {
    /// Wraps a device that is not attached yet.
    pub fn new(device: Box<dyn VirtioDevice>) -> Core {
        Core {
            device,
            attached: None,
            status: 0,
            driver_features: 0,
            kicked: 0,
            quiesced: false,
            dma: true,
            held: VecDeque::new(),
            held_bytes: 0,
            continuing: false,
            restored: false,
            kicks: 0,
            failures: 0,
        }
    }

    /// Connects the device; inputs and alarms are numbered from `base`.
    pub fn attach(
        &mut self,
        ctx: DeviceContext,
        base: u32,
        line: IrqLine,
        messages: Option<Arc<dyn Messages>>,
    ) {
        let io = Io::new(ctx.ram().clone(), self.device.queues(), Interrupts::new(line, messages));
        let ctx = VirtioContext::new(ctx, base);
        self.device.attach(ctx.clone());
        self.attached = Some((ctx, io));
    }

    /// The device.
    pub fn device(&self) -> &dyn VirtioDevice {
        &*self.device
    }

    /// Its queues and interrupts. `None` before it is attached.
    pub(super) fn io(&mut self) -> Option<&mut Io> {
        self.attached.as_mut().map(|(_, io)| io)
    }

    /// Lets the device act, then notices if its driver has broken a rule.
    fn act<R>(&mut self, f: impl FnOnce(&mut dyn VirtioDevice, &mut Io) -> R) -> Option<R> {
        let (ctx, io) = self.attached.as_mut()?;
        io.begin();
        let result = f(&mut *self.device, io);
        let more = io.take_more();
        self.kicked |= more;
        if more != 0 && !std::mem::replace(&mut self.continuing, true) {
            ctx.alarm(ctx.clock().now_ns().saturating_add(CONTINUE_NS), CONTINUE);
        }
        if let Some(why) = io.failure
            && self.status & status::NEEDS_RESET == 0
        {
            self.failures += 1;
            self.status |= status::NEEDS_RESET;
            tracing::warn!(
                device = self.device.kind(),
                "the guest's driver broke a rule: {why}; it must reset the device"
            );
            if self.status & status::DRIVER_OK != 0 {
                io.irq.config();
            }
        }
        Some(result)
    }

    // Features and status.

    /// All features offered.
    pub fn features(&self) -> u64 {
        self.device.features() | feature::ALL
    }

    /// What the driver has accepted.
    pub fn driver_features(&self) -> u64 {
        self.driver_features
    }

    /// The driver writes one half of its features.
    pub fn set_driver_features(&mut self, high: bool, value: u32) {
        if self.status & status::FEATURES_OK != 0 {
            return;
        }
        let shift = if high { 32 } else { 0 };
        self.driver_features &= !(0xffff_ffff << shift);
        self.driver_features |= (value as u64) << shift;
    }

    /// The status register.
    pub fn status(&self) -> u8 {
        self.status
    }

    /// The driver writes the status register (section 2.1.1): bits are added, 0 resets.
    pub fn set_status(&mut self, value: u8) {
        if value == 0 {
            return self.reset();
        }
        let mut new = value & !self.status & !status::NEEDS_RESET;
        if new & status::FEATURES_OK != 0 && !self.features_acceptable() {
            new &= !status::FEATURES_OK;
        }
        self.status |= new;
        if new & status::DRIVER_OK != 0 && self.status & status::FEATURES_OK != 0 {
            self.activate();
        }
    }

    fn features_acceptable(&self) -> bool {
        let wanted = self.driver_features;
        wanted & !self.features() == 0 && wanted & feature::VERSION_1 != 0
    }

    fn event_idx(&self) -> bool {
        self.driver_features & feature::EVENT_IDX != 0
    }

    fn activate(&mut self) {
        let (features, event_idx) = (self.driver_features, self.event_idx());
        self.act(|device, io| {
            io.active = true;
            io.queues.iter_mut().for_each(|q| q.set_event_idx(event_idx));
            device.activate(features, io);
        });
        self.run_kicked();
    }

    /// Power-on state.
    pub fn reset(&mut self) {
        self.device.reset();
        self.status = 0;
        self.driver_features = 0;
        // What is held stays: the device knows what it has asked for and drops the rest.
        self.kicked = 0;
        self.restored = false;
        self.continuing = false;
        if let Some(io) = self.io() {
            io.active = false;
            io.failure = None;
            io.irq.reset();
            io.queues.iter_mut().for_each(super::queue::VirtQueue::reset);
        }
    }

    // Queues.

    /// The most descriptors queue `n` can have; 0 if there is no such queue.
    pub fn queue_max(&self, n: u32) -> u16 {
        self.device.queues().get(n as usize).copied().unwrap_or(0)
    }

    /// Set-up registers of queue `n`, and whether it is enabled.
    pub fn queue_set_up(&self, n: u32) -> Option<(QueueSetUp, bool)> {
        let (_, io) = self.attached.as_ref()?;
        io.queues.get(n as usize).map(|q| (q.set_up, q.enabled()))
    }

    /// Changes set-up registers of queue `n`; an enabled queue keeps them, but for its vector.
    pub fn set_up_queue(&mut self, n: u32, f: impl FnOnce(&mut QueueSetUp)) {
        let Some(q) = self.io().and_then(|io| io.queues.get_mut(n as usize)) else { return };
        let mut changed = q.set_up;
        f(&mut changed);
        if q.enabled() {
            changed = QueueSetUp { vector: changed.vector, ..q.set_up };
        }
        q.set_up = changed;
    }

    /// Enables queue `n`.
    pub fn enable_queue(&mut self, n: u32) {
        let event_idx = self.event_idx();
        self.act(|_, io| {
            let ram = io.ram().clone();
            let Some(q) = io.queues.get_mut(n as usize) else { return };
            if let Err(e) = q.enable(&ram, event_idx) {
                io.fail(e);
            }
        });
    }

    /// Disables queue `n`. What of it is under way ends without an answer.
    pub fn disable_queue(&mut self, n: u32) {
        if let Some(q) = self.io().and_then(|io| io.queues.get_mut(n as usize)) {
            let keep = q.set_up;
            q.reset();
            q.set_up = keep;
        }
    }

    /// The driver says that there is something in queue `n`.
    pub fn kick(&mut self, n: u32) {
        if n as usize >= self.device.queues().len() {
            return;
        }
        self.kicks += 1;
        self.kicked |= 1 << (n & 63);
        self.run_kicked();
    }

    fn run_kicked(&mut self) {
        if !self.attached.as_ref().is_some_and(|(_, io)| io.active()) {
            return;
        }
        let kicked = std::mem::take(&mut self.kicked);
        self.act(|device, io| {
            for n in 0..io.queues.len().min(64) {
                if kicked >> n & 1 != 0 {
                    device.kick(n, io);
                }
            }
        });
    }

    // Configuration space.

    /// Reads `width` bytes of the configuration space.
    pub fn read_config(&self, offset: u64, width: u32) -> u64 {
        let mut bytes = [0; 8];
        if let (Ok(at), Some(part)) = (usize::try_from(offset), bytes.get_mut(..width as usize)) {
            self.device.read_config(at, part);
        }
        u64::from_le_bytes(bytes)
    }

    /// Writes `width` bytes of the configuration space.
    pub fn write_config(&mut self, offset: u64, width: u32, value: u64) {
        let bytes = value.to_le_bytes();
        let (Ok(at), Some(part)) = (usize::try_from(offset), bytes.get(..width as usize)) else { return };
        self.act(|device, io| device.write_config(at, part, io));
    }

    /// Changes whenever the configuration does.
    pub fn config_generation(&self) -> u8 {
        self.attached.as_ref().map_or(0, |(_, io)| io.config_generation)
    }

    // Events.

    /// An event from the input port, numbered without the base.
    pub fn input(&mut self, number: u32, event: InputEvent) {
        if self.blocked() {
            self.hold(number, event);
        } else {
            self.act(|device, io| device.input(number, event, io));
        }
    }

    fn hold(&mut self, number: u32, event: InputEvent) {
        let bytes = weight(&event);
        if self.held_bytes.saturating_add(bytes) <= MAX_HELD {
            self.held_bytes += bytes;
            self.held.push_back((number, event));
        }
    }

    /// An alarm, numbered without the base.
    pub fn alarm(&mut self, number: u32) {
        match number {
            RESTART => self.restart(),
            CONTINUE => {
                self.continuing = false;
                self.run_kicked();
            }
            _ => {
                self.act(|device, io| device.alarm(number, io));
            }
        }
    }

    /// Stops at rest: memory and state do not change until [`Core::resume`].
    pub fn quiesce(&mut self) {
        self.quiesced = true;
        self.show_reach();
        self.device.quiesce();
    }

    /// Goes on, with what has arrived meanwhile.
    pub fn resume(&mut self) {
        self.quiesced = false;
        self.restored = false;
        self.show_reach();
        self.act(|device, io| device.resume(io));
        self.catch_up();
    }

    /// Handles what has waited, and looks at every queue.
    fn catch_up(&mut self) {
        if self.blocked() {
            return;
        }
        self.held_bytes = 0;
        while let Some((number, event)) = self.held.pop_front() {
            self.act(|device, io| device.input(number, event, io));
        }
        self.kicked = u64::MAX;
        self.run_kicked();
    }

    /// Lets the device reach memory or keeps it from it.
    pub fn set_dma(&mut self, on: bool) {
        let was = std::mem::replace(&mut self.dma, on);
        self.show_reach();
        if on && !was {
            self.catch_up();
        }
    }

    fn show_reach(&mut self) {
        let reach = !self.blocked();
        if let Some(io) = self.io() {
            io.reach = reach;
        }
    }

    fn blocked(&self) -> bool {
        self.quiesced || !self.dma
    }

    fn restart(&mut self) {
        if self.restored && !self.quiesced {
            self.resume();
        }
    }

    /// The state at rest.
    pub fn save(&self) -> Saved {
        let (queues, isr, config_vector) = match &self.attached {
            Some((_, io)) => {
                (io.queues.iter().map(|q| q.save()).collect(), io.irq.isr(), io.irq.config_vector)
            }
            None => (Vec::new(), 0, 0),
        };
        Saved::pack(
            KIND,
            1,
            &SavedCore {
                status: self.status,
                driver_features: self.driver_features,
                queues,
                isr,
                config_vector,
                config_generation: self.config_generation(),
                kicked: self.kicked,
                device: self.device.save(),
            },
        )
    }

    /// Takes a saved state; on an error the device is as after reset. Requests that were under way start again when
    /// the machine resumes.
    pub fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.reset();
        let result = self.try_restore(saved);
        if result.is_err() {
            self.reset();
        }
        result
    }

    fn try_restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        let s: SavedCore = saved.unpack(KIND, 1)?;
        let kind = self.device.kind();
        // Before they are agreed on, the register holds whatever the driver wrote.
        if s.status & status::FEATURES_OK != 0 && s.driver_features & !self.features() != 0 {
            return Err(StateError::Machine(format!(
                "the {kind} in the save file has features that this one lacks"
            )));
        }
        let (ctx, io) = self.attached.as_mut().ok_or_else(|| StateError::damaged(KIND, "not attached"))?;
        if s.queues.len() != io.queues.len() {
            return Err(StateError::damaged(kind, "wrong number of queues"));
        }
        let ram = io.ram().clone();
        for (q, saved) in io.queues.iter_mut().zip(&s.queues) {
            q.restore(&ram, saved).map_err(|e| StateError::damaged(kind, e.to_string()))?;
        }
        let needed = status::DRIVER_OK | status::FEATURES_OK;
        io.active = s.status & needed == needed && s.status & status::NEEDS_RESET == 0;
        io.config_generation = s.config_generation;
        io.irq.config_vector = s.config_vector;
        io.irq.set_isr(s.isr);
        self.status = s.status;
        self.driver_features = s.driver_features;
        self.kicked = s.kicked;
        self.device.restore(&s.device, io)?;
        self.restored = true;
        ctx.alarm(ctx.clock().now_ns(), RESTART);
        Ok(())
    }

    /// Counters of the device and of its rings.
    pub fn metrics(&self) -> Vec<Metric> {
        [metrics::read(COUNTERS, self), self.device.metrics()].concat()
    }
}
