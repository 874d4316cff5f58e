//! The queue and the rate of a virtio-rng device.

use super::metrics::Counters;
use super::source::EntropySource;
use super::state;
use crate::metrics::{self, Metric};
use crate::state::{Saved, StateError};
use crate::virtio::chain::Chain;
use crate::virtio::{Io, VirtioContext, VirtioDevice, id};
use engine::exec::inputs::{InputEvent, SourceId};

const QUEUE_SIZE: u16 = 64;
/// Bytes of one request, at most; a driver that wants more asks again.
const MAX_REQUEST: u64 = 4096;
const REFILL: u32 = 0;

/// How much entropy a guest gets.
#[derive(Clone, Copy, Debug)]
pub struct RngOptions {
    /// Bytes in one period, at least 1.
    pub bytes: u64,
    /// Length of the period in ns.
    pub period_ns: u64,
}

impl Default for RngOptions {
    /// 1 MiB a second, in eighths.
    fn default() -> RngOptions {
        RngOptions { bytes: 128 << 10, period_ns: 125_000_000 }
    }
}

/// A virtio-rng device.
pub struct Rng {
    source: Box<dyn EntropySource>,
    options: RngOptions,
    attached: Option<(VirtioContext, SourceId)>,
    /// The request for which bytes are on their way.
    pub(super) waiting: Option<Chain>,
    /// Names the request; an answer to one from before a reset belongs to nobody.
    tag: u64,
    /// The request comes from a saved state and must be asked again.
    pub(super) restored: bool,
    /// Bytes left in this period.
    left: u64,
    /// An alarm is set.
    refilling: bool,
    pub(super) counters: Counters,
}

impl Rng {
    /// Entropy from `source`.
    pub fn new(source: Box<dyn EntropySource>, options: RngOptions) -> Rng {
        Rng {
            source,
            options,
            attached: None,
            waiting: None,
            tag: 0,
            restored: false,
            left: options.bytes.max(1),
            refilling: false,
            counters: Counters::default(),
        }
    }

    /// Starts the next request if its bytes may be spent.
    fn serve(&mut self, io: &mut Io) {
        if self.waiting.is_some() {
            return;
        }
        if self.left == 0 {
            return self.wait_for_refill();
        }
        let Some(chain) = io.pop(0) else { return };
        let n = chain.writable().min(MAX_REQUEST).min(self.left);
        self.waiting = Some(chain);
        self.tag = self.tag.wrapping_add(1);
        // A request without room has its price too, or a ring of them would never come to its end.
        self.left = self.left.saturating_sub(n.max(1));
        self.ask(n as usize);
    }

    fn wait_for_refill(&mut self) {
        let Some((ctx, _)) = &self.attached else { return };
        if !self.refilling {
            self.refilling = true;
            self.counters.throttled += 1;
            ctx.alarm(ctx.clock().now_ns().saturating_add(self.options.period_ns), REFILL);
        }
    }

    /// Sends bytes on their way to the guest. If the host has none the guest gets an empty answer and may ask again.
    fn ask(&mut self, n: usize) {
        let Some((ctx, source)) = &self.attached else { return };
        let mut bytes = vec![0; n];
        if let Err(e) = self.source.fill(&mut bytes) {
            self.counters.errors += 1;
            tracing::error!("no entropy for the guest: {e}");
            bytes.clear();
        }
        let event = InputEvent::Completion { tag: self.tag, status: 0, data: bytes };
        ctx.inputs().push(*source, event);
    }

    fn answer(&mut self, bytes: &[u8], io: &mut Io) {
        let Some(chain) = self.waiting.take() else { return };
        let n = bytes.len().min(chain.writable() as usize);
        match chain.write(io.ram(), 0, bytes.get(..n).unwrap_or_default()) {
            Ok(()) => {
                self.counters.bytes += n as u64;
                io.push(0, &chain, n as u32);
                io.signal(0);
            }
            Err(e) => io.fail(e),
        }
    }
}

impl VirtioDevice for Rng {
    fn id(&self) -> u16 {
        id::ENTROPY
    }

    fn kind(&self) -> &'static str {
        state::KIND
    }

    fn pci_class(&self) -> u32 {
        0x00_ff_00
    }

    fn features(&self) -> u64 {
        0
    }

    fn queues(&self) -> &[u16] {
        &[QUEUE_SIZE]
    }

    fn read_config(&self, _offset: usize, data: &mut [u8]) {
        data.fill(0);
    }

    fn attach(&mut self, ctx: VirtioContext) {
        let source = ctx.input(0);
        self.attached = Some((ctx, source));
    }

    fn kick(&mut self, _queue: usize, io: &mut Io) {
        self.serve(io);
    }

    fn input(&mut self, _number: u32, event: InputEvent, io: &mut Io) {
        if let InputEvent::Completion { tag, data, .. } = event
            && tag == self.tag
        {
            self.answer(&data, io);
            self.serve(io);
        }
    }

    fn alarm(&mut self, number: u32, io: &mut Io) {
        if number == REFILL {
            self.refilling = false;
            self.left = self.options.bytes.max(1);
            self.serve(io);
        }
    }

    fn reset(&mut self) {
        self.waiting = None;
        self.tag = self.tag.wrapping_add(1);
        self.restored = false;
        self.refilling = false;
        self.left = self.options.bytes.max(1);
    }

    fn resume(&mut self, _io: &mut Io) {
        // Also for a request without room: the next one waits for its answer.
        if std::mem::take(&mut self.restored)
            && let Some(wanted) = self.waiting.as_ref().map(|c| c.writable().min(MAX_REQUEST))
        {
            self.ask(wanted as usize);
        }
    }

    fn save(&self) -> Saved {
        state::save(self)
    }

    fn restore(&mut self, saved: &Saved, io: &mut Io) -> Result<(), StateError> {
        state::restore(self, saved, io)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics::read(super::COUNTERS, self)
    }
}
