//! What a device may do with its queues while it handles something: take requests, give them back, interrupt.

use super::chain::Chain;
use super::interrupt::Interrupts;
use super::queue::{QueueError, VirtQueue};
use engine::mem::ram::GuestRam;

/// The queues, memory and interrupts of one device.
pub struct Io {
    ram: GuestRam,
    pub(super) queues: Vec<VirtQueue>,
    pub(super) irq: Interrupts,
    /// Driver is ready and device is not broken.
    pub(super) active: bool,
    /// Memory may be reached now: not while quiesced, nor while PCI's bus-master bit is off.
    pub(super) reach: bool,
    /// Set when the driver broke a rule that cannot be survived.
    pub(super) failure: Option<QueueError>,
    pub(super) config_generation: u8,
    /// Requests given back.
    pub(super) completed: u64,
    /// Requests that may still be taken before the device must let its caller go.
    turns: u32,
    /// Queues that had more when the turns were used up.
    more: u64,
}

/// Requests that a device takes in one go. Another hart can refill a ring as fast as it is emptied, and a ring can lie where
/// emptying it refills it: the hart that told the device must come back all the same.
const TURNS: u32 = 1024;

impl Io {
    pub(super) fn new(ram: GuestRam, sizes: &[u16], irq: Interrupts) -> Io {
        let queues = sizes.iter().map(|&n| VirtQueue::new(n)).collect();
        Io {
            ram,
            queues,
            irq,
            active: false,
            reach: true,
            failure: None,
            config_generation: 0,
            completed: 0,
            turns: 0,
            more: 0,
        }
    }

    /// Guest memory.
    pub fn ram(&self) -> &GuestRam {
        &self.ram
    }

    /// Whether the driver is ready, and memory in reach.
    pub fn active(&self) -> bool {
        self.active && self.reach && self.failure.is_none()
    }

    /// The driver broke a rule: the device stops until it is reset.
    pub fn fail(&mut self, why: impl Into<QueueError>) {
        if self.failure.is_none() {
            self.failure = Some(why.into());
        }
    }

    /// Runs `f` on queue `n`; an error stops the device.
    fn on<R>(
        &mut self,
        n: usize,
        f: impl FnOnce(&mut VirtQueue, &GuestRam) -> Result<R, QueueError>,
    ) -> Option<R> {
        if !self.active() {
            return None;
        }
        let queue = self.queues.get_mut(n)?;
        match f(queue, &self.ram) {
            Ok(r) => Some(r),
            Err(e) => {
                self.fail(e);
                None
            }
        }
    }

    /// The next request of queue `n`, as far as there are turns left.
    pub fn pop(&mut self, n: usize) -> Option<Chain> {
        let Some(left) = self.turns.checked_sub(1) else {
            self.more |= 1 << (n & 63);
            return None;
        };
        let chain = self.on(n, VirtQueue::pop)??;
        self.turns = left;
        Some(chain)
    }

    /// The device begins to act.
    pub(super) fn begin(&mut self) {
        self.turns = TURNS;
    }

    /// Queues to go on with a little later.
    pub(super) fn take_more(&mut self) -> u64 {
        std::mem::take(&mut self.more)
    }

    /// Puts the request back that [`Io::pop`] gave last, to be given again.
    pub fn unpop(&mut self, n: usize) {
        let _ = self.on(n, |q, _| {
            q.unpop();
            Ok(())
        });
    }

    /// Gives a request back, `len` bytes of it written.
    pub fn push(&mut self, n: usize, chain: &Chain, len: u32) {
        if self.on(n, |q, ram| q.push(ram, chain.head(), len)).is_some() {
            self.completed += 1;
        }
    }

    /// Interrupts the driver if it wants to hear of what was pushed.
    pub fn signal(&mut self, n: usize) {
        let Some(true) = self.on(n, VirtQueue::wants_interrupt) else { return };
        if let Some(vector) = self.queues.get(n).map(|q| q.set_up.vector) {
            self.irq.queue(vector);
        }
    }

    /// Tells the driver that the configuration has changed.
    pub fn config_changed(&mut self) {
        self.config_generation = self.config_generation.wrapping_add(1);
        if self.active() {
            self.irq.config();
        }
    }
}
