//! Thresholds and sizes of the engine's tiers, for those who experiment; what is absent is as the engine has it.

use super::size::MemorySize;
use engine::exec::mode::{BlockCompilers, Tuning};
use serde::{Deserialize, Serialize};

/// Most runs that a threshold can ask for.
pub const RUNS_MAX: u32 = 1_000_000_000;
/// Least and most code memory.
pub const CODE_MIN: u64 = 256 << 10;
/// See [`CODE_MIN`].
pub const CODE_MAX: u64 = 1 << 30;
/// Code memory comes in pieces of this many bytes.
pub const CODE_STEP: u64 = 64 << 10;
/// Most compiling threads.
pub const WORKERS_MAX: u32 = 16;

/// Changes to the engine's thresholds and sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineTuning {
    /// Runs in the interpreter before a block is compiled by tier 1 (adaptive mode).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier1_runs: Option<u32>,
    /// Runs in tier 1 before a block asks for tier 2 (adaptive mode).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier2_runs: Option<u32>,
    /// The same in tier 2 mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier2_eager_runs: Option<u32>,
    /// Memory for translated code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_cache: Option<MemorySize>,
    /// Threads that compile for tier 2; with 0 the harts wait for their compiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// Who compiles the blocks of tier 1: `direct`, the emitter for this host, or `cranelift`, which is slow and a second opinion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier1_compiler: Option<BlockCompilers>,
    /// Whether tier 1's code counts its runs; without, nothing climbs to tier 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counters: Option<bool>,
}

impl EngineTuning {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == EngineTuning::default()
    }

    /// What the engine is to be told.
    pub fn applied(&self) -> Tuning {
        let usual = Tuning::default();
        Tuning {
            tier1_runs: self.tier1_runs.unwrap_or(usual.tier1_runs),
            tier2_runs: self.tier2_runs.unwrap_or(usual.tier2_runs),
            tier2_eager_runs: self.tier2_eager_runs.unwrap_or(usual.tier2_eager_runs),
            code_bytes: self.code_cache.map_or(usual.code_bytes, |s| s.0),
            workers: self.workers.unwrap_or(usual.workers),
            tier1_compiler: self.tier1_compiler.unwrap_or(usual.tier1_compiler),
            counters: self.counters.unwrap_or(usual.counters),
        }
    }

    /// What is wrong with it: name of the field, what, and what to write.
    pub fn mistakes(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut found = Vec::new();
        let runs = [
            ("tier1_runs", self.tier1_runs),
            ("tier2_runs", self.tier2_runs),
            ("tier2_eager_runs", self.tier2_eager_runs),
        ];
        for (name, value) in runs {
            if let Some(value) = value.filter(|v| !(1..=RUNS_MAX).contains(v)) {
                found.push((name, format!("{value} runs are no threshold"), "Use 1 to 1000000000"));
            }
        }
        if let Some(size) = self.code_cache {
            if !(CODE_MIN..=CODE_MAX).contains(&size.0) {
                found.push((
                    "code_cache",
                    format!("Translated code cannot have {size} of memory"),
                    "Use 256K to 1G",
                ));
            } else if !size.0.is_multiple_of(CODE_STEP) {
                found.push((
                    "code_cache",
                    format!("{size} is not a whole number of pieces"),
                    "Use a multiple of 64K",
                ));
            }
        }
        if let Some(workers) = self.workers.filter(|w| *w > WORKERS_MAX) {
            found.push(("workers", format!("{workers} threads are too many"), "Use 0 to 16"));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_as_the_engine_has_it() {
        assert_eq!(EngineTuning::default().applied(), Tuning::default());
        let some =
            EngineTuning { code_cache: Some(MemorySize(4 << 20)), workers: Some(0), ..Default::default() };
        assert_eq!(some.applied(), Tuning { code_bytes: 4 << 20, workers: 0, ..Tuning::default() });
        assert!(some.mistakes().is_empty() && !some.is_empty());
    }

    #[test]
    fn each_field_has_its_bounds() {
        let wrong = EngineTuning {
            tier1_runs: Some(0),
            tier2_runs: Some(u32::MAX),
            tier2_eager_runs: Some(1),
            code_cache: Some(MemorySize(100 << 10)),
            workers: Some(99),
            tier1_compiler: None,
            counters: None,
        };
        let fields: Vec<_> = wrong.mistakes().into_iter().map(|m| m.0).collect();
        assert_eq!(fields, ["tier1_runs", "tier2_runs", "code_cache", "workers"]);
        let odd = EngineTuning { code_cache: Some(MemorySize((1 << 20) + 1024)), ..Default::default() };
        assert!(odd.mistakes()[0].2.contains("64K"));
    }
}
