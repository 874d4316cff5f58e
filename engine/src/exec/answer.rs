//! A hart's answer to whoever asks where it is: see [`crate::watch::samples`].

use super::vcpu::Vcpu;
use crate::guest::Guest;
use crate::watch::Stage;
use crate::watch::samples::{Callers, MOST_CALLERS, Sample};
use std::time::Instant;

impl<G: Guest> Vcpu<G> {
    /// Between two blocks: says where the hart is, if somebody asks.
    #[inline]
    pub(super) fn answer_samples(&mut self) {
        if let Some(callers) = self.code.translations().samples.take(self.cpu.hart.id) {
            let sample = self.sample_now(callers);
            self.code.translations().samples.push(sample);
        }
    }

    #[cold]
    fn sample_now(&mut self, callers: bool) -> Sample {
        let pc = self.cpu.pc;
        let pa = self.cpu.tlb.fetch(pc);
        let stage = match (self.compiled.ran, pa) {
            (Stage::Tier2, Some(pa)) => self.region_stage(pa),
            (ran, _) => ran,
        };
        Sample {
            at: Instant::now(),
            hart: self.cpu.hart.id,
            pc,
            pa,
            stage,
            privilege: G::privilege(&self.cpu),
            space: G::context(&self.cpu, G::fetch_index(&self.cpu)),
            callers: callers.then(|| self.callers()),
        }
    }

    /// Which kind of region it is that the block at `pa` is part of.
    fn region_stage(&self, pa: u64) -> Stage {
        let code = self.code.find(pa, G::block_key(&self.cpu));
        code.and_then(|code| self.code.translations().region_stage(&code)).unwrap_or(Stage::Tier2)
    }

    fn callers(&self) -> Callers {
        let cpu = &*self.cpu;
        let read = |va: u64| {
            let at = G::peek_load(cpu, va, 8)?.pa;
            // Memory only: to read a device may change it.
            cpu.shared.memory.is_memory(at).then(|| cpu.shared.memory.read(at, 3).ok())?
        };
        let mut list = Vec::with_capacity(MOST_CALLERS);
        let whole = G::callers(cpu, read, &mut list);
        Callers { list: list.into(), cut: !whole }
    }
}
