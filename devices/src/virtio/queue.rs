//! A split virtqueue between its set-up by the driver and its use by the device.
//!
//! What the driver writes into the set-up registers is kept as it is, and judged once, when the queue is enabled; from
//! then on it does not change until reset (section 2.7, 4.1.4.3.2).

use super::chain::{Chain, ChainError};
use engine::mem::ram::GuestRam;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use thiserror::Error;
use virtio_queue::{Queue, QueueOwnedT, QueueState, QueueT};
use vm_memory::{Bytes, GuestAddress};

/// `VIRTQ_AVAIL_F_NO_INTERRUPT`, section 2.7.7.
const NO_INTERRUPT: u16 = 1;

/// A queue cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum QueueError {
    /// Size, alignment or place of the rings is not allowed.
    #[error("a queue was enabled with a bad size or address")]
    SetUp,
    /// The ring indices make no sense, or the rings left memory.
    #[error("a ring is damaged")]
    Ring,
    /// A chain makes no sense.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// What the driver has written into the set-up registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct QueueSetUp {
    /// Number of descriptors.
    pub size: u16,
    /// Descriptor table.
    pub desc: u64,
    /// Driver area (available ring).
    pub driver: u64,
    /// Device area (used ring).
    pub device: u64,
    /// MSI-X vector.
    pub vector: u16,
}

/// Saved state of a queue.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SavedQueue {
    set_up: QueueSetUp,
    enabled: bool,
    next_avail: u16,
    next_used: u16,
    event_idx: bool,
}

/// No MSI-X vector, section 4.1.5.1.2.
pub const NO_VECTOR: u16 = 0xffff;

/// One queue of a device.
pub struct VirtQueue {
    max: u16,
    /// What the registers hold.
    pub(super) set_up: QueueSetUp,
    ring: Option<Queue>,
}

impl VirtQueue {
    /// A queue of at most `max` descriptors, a power of two.
    pub(super) fn new(max: u16) -> VirtQueue {
        let mut q = VirtQueue { max, set_up: QueueSetUp::default(), ring: None };
        q.reset();
        q
    }

    /// The most descriptors it can have.
    pub fn max_size(&self) -> u16 {
        self.max
    }

    /// Whether the driver has enabled it.
    pub fn enabled(&self) -> bool {
        self.ring.is_some()
    }

    pub(super) fn reset(&mut self) {
        self.set_up = QueueSetUp { size: self.max, vector: NO_VECTOR, ..QueueSetUp::default() };
        self.ring = None;
    }

    /// Enables the queue if its set-up is sound.
    pub(super) fn enable(&mut self, ram: &GuestRam, event_idx: bool) -> Result<(), QueueError> {
        if self.enabled() {
            return Ok(());
        }
        self.ring = Some(self.build(ram, 0, 0, event_idx)?);
        Ok(())
    }

    fn build(
        &self,
        ram: &GuestRam,
        next_avail: u16,
        next_used: u16,
        event_idx: bool,
    ) -> Result<Queue, QueueError> {
        let state = QueueState {
            max_size: self.max,
            next_avail,
            next_used,
            event_idx_enabled: event_idx,
            size: self.set_up.size,
            ready: true,
            desc_table: self.set_up.desc,
            avail_ring: self.set_up.driver,
            used_ring: self.set_up.device,
        };
        let queue = Queue::try_from(state).map_err(|_| QueueError::SetUp)?;
        if queue.is_valid(ram) { Ok(queue) } else { Err(QueueError::SetUp) }
    }

    pub(super) fn set_event_idx(&mut self, on: bool) {
        if let Some(q) = &mut self.ring {
            q.set_event_idx(on);
        }
    }

    /// Takes the next request. If there is none, asks the driver to tell of the next one.
    pub(super) fn pop(&mut self, ram: &GuestRam) -> Result<Option<Chain>, QueueError> {
        let Some(q) = &mut self.ring else { return Ok(None) };
        loop {
            let next = q.iter(ram).map_err(|_| QueueError::Ring)?.next();
            if let Some(chain) = next {
                return Ok(Some(Chain::collect(chain, ram)?));
            }
            // The driver may have added one after we looked and before it could see that we want to be told.
            if !q.enable_notification(ram).map_err(|_| QueueError::Ring)? {
                return Ok(None);
            }
        }
    }

    /// Puts the request back that [`VirtQueue::pop`] took last.
    pub(super) fn unpop(&mut self) {
        if let Some(q) = &mut self.ring {
            q.go_to_previous_position();
        }
    }

    /// Gives a request back with `len` bytes written.
    pub(super) fn push(&mut self, ram: &GuestRam, head: u16, len: u32) -> Result<(), QueueError> {
        match &mut self.ring {
            Some(q) => q.add_used(ram, head, len).map_err(|_| QueueError::Ring),
            None => Ok(()),
        }
    }

    /// Whether the driver wants an interrupt for what was pushed since this was asked last.
    pub(super) fn wants_interrupt(&mut self, ram: &GuestRam) -> Result<bool, QueueError> {
        let Some(q) = &mut self.ring else { return Ok(false) };
        if q.event_idx_enabled() {
            return q.needs_notification(ram).map_err(|_| QueueError::Ring);
        }
        std::sync::atomic::fence(Ordering::SeqCst);
        let flags: u16 =
            ram.load(GuestAddress(self.set_up.driver), Ordering::Relaxed).map_err(|_| QueueError::Ring)?;
        Ok(u16::from_le(flags) & NO_INTERRUPT == 0)
    }

    pub(super) fn save(&self) -> SavedQueue {
        SavedQueue {
            set_up: self.set_up,
            enabled: self.enabled(),
            next_avail: self.ring.as_ref().map_or(0, QueueT::next_avail),
            next_used: self.ring.as_ref().map_or(0, QueueT::next_used),
            event_idx: self.ring.as_ref().is_some_and(QueueT::event_idx_enabled),
        }
    }

    pub(super) fn restore(&mut self, ram: &GuestRam, s: &SavedQueue) -> Result<(), QueueError> {
        self.set_up = s.set_up;
        self.ring = match s.enabled {
            true => Some(self.build(ram, s.next_avail, s.next_used, s.event_idx)?),
            false => None,
        };
        Ok(())
    }
}
