//! Samples of where a hart is, taken where slices end: see [`crate::tier::samples`].

use super::mode::Mode;
use super::time::TimeSource;
use super::vcpu::Vcpu;
use crate::cache::code::Code;
use crate::guest::Guest;
use crate::jit::block::Profile;
use crate::mem::{PAGE_MASK, PAGE_SIZE};
use crate::tier::events::What;
use crate::tier::policy::{Found, Verdict};
use crate::tier::samples::Samples;
use std::sync::Arc;
use std::time::Instant;

/// Fewer samples say nothing.
const LEAST: f64 = 12.0;

/// What a hart's sampling keeps.
#[derive(Default)]
pub(super) struct Sampling {
    samples: Samples,
}

impl<G: Guest> Vcpu<G> {
    /// Whether slices end in a block as often as it runs, times its length: those of free-running harts do, as their length varies.
    pub(super) fn is_fair(&self) -> bool {
        self.cpu.shared.clock.source() == TimeSource::Host
    }

    /// The slice ends in this block. Nothing that the guest sees depends on what is done with it.
    pub(super) fn sample(&mut self, index: u32) {
        if self.compiled.mode == Mode::Adaptive {
            self.take_sample(index);
        }
    }

    #[cold]
    fn take_sample(&mut self, index: u32) {
        let code = self.locals.get(index).code.clone();
        let wanted = &self.compiled.wanted;
        if code.record() == 0 || code.second_page.is_some() || !wanted.in_regions(&code) {
            return;
        }
        match wanted.profile(&code) {
            // They ask for themselves.
            Profile::Runs => return,
            Profile::Left => return self.sample_loop(&code),
            Profile::Nothing => {}
        }
        let (page, offset) = (code.pa & PAGE_MASK, (code.pa % PAGE_SIZE) as u16);
        let samples = &mut self.compiled.sampling.samples;
        let heat = samples.add(page, code.key, offset, code.insns, Instant::now());
        if heat < LEAST {
            return;
        }
        let (insns, length) = samples.lengths(page, code.key);
        let queue = self.compiled.queue.clone();
        let found = Found {
            insns,
            runs: heat * self.cpu.slice as f64 / length.max(1.0),
            queued: queue.len(),
            cost: self.compiled.tier2_cost(self.code.translations()),
        };
        let Verdict::Promote { saving_ns } = self.compiled.policy.decide_found(&found) else { return };
        let spots = self.compiled.sampling.samples.take(page, code.key);
        let Some(seed) = spots.first().and_then(|s| self.code.find(page | u64::from(s.offset), code.key))
        else {
            return;
        };
        let runs = found.runs;
        if queue.push_found(&seed, runs as u64, spots.iter().map(|s| s.offset).collect()) {
            let asked = What::Asked { heat: runs, saving_ns };
            self.code.translations().events.push(seed.pa, asked, found.queued, 0);
        }
        self.compile_own();
    }

    /// The slice ends in a block that closes a loop: of a slice so long, all of which may be said to have been spent in it.
    fn sample_loop(&mut self, code: &Arc<Code>) {
        let (record, runs) = (code.record(), self.cpu.slice.max(0) as u64 / u64::from(code.insns.max(1)));
        if self.code.translations().sampled(record, runs) {
            self.ask_for_tier2(record);
        }
    }
}
