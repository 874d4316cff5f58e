//! Samples of where a hart is, taken where slices end: see [`crate::tier::samples`].

use super::mode::Mode;
use super::vcpu::Vcpu;
use crate::guest::Guest;
use crate::mem::{PAGE_MASK, PAGE_SIZE};
use crate::tier::events::What;
use crate::tier::policy::{Found, Verdict};
use crate::tier::samples::Samples;
use std::time::Instant;

/// Fewer samples say nothing.
const LEAST: f64 = 12.0;

/// What a hart's sampling keeps.
#[derive(Default)]
pub(super) struct Sampling {
    samples: Samples,
}

impl<G: Guest> Vcpu<G> {
    /// The slice ends in this block. Nothing that the guest sees depends on what is done with it.
    pub(super) fn sample(&mut self, index: u32) {
        if self.compiled.mode == Mode::Adaptive {
            self.take_sample(index);
        }
    }

    #[cold]
    fn take_sample(&mut self, index: u32) {
        let code = self.locals.get(index).code.clone();
        // Blocks that count their runs ask for themselves; pinned ones may not.
        let wanted = &self.compiled.wanted;
        let asks = wanted.counts(&code) || !wanted.in_regions(&code);
        if code.record() == 0 || code.second_page.is_some() || asks {
            return;
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
}
