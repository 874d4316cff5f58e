//! Which tiers may run guest code, and from when on: what a person sets.

use crate::tier::events::NAMES;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Which tiers run guest code. Switched on a running machine; harts follow at their next poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Mode {
    /// The interpreter alone.
    Interpreter = 0,
    /// Every block is compiled by tier 1 before its first run.
    Tier1 = 1,
    /// As [`Mode::Tier1`], and what runs at all often is compiled by tier 2.
    Tier2 = 2,
    /// Cold code is interpreted, warm code runs in tier 1, hot code in tier 2.
    #[default]
    Adaptive = 3,
}

impl Mode {
    /// All modes, by number.
    pub const ALL: [Mode; 4] = [Mode::Interpreter, Mode::Tier1, Mode::Tier2, Mode::Adaptive];
}

/// Who compiles the blocks of tier 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum BlockCompilers {
    /// The emitter for this host.
    #[default]
    Direct = 0,
    /// Tier 2's compiler, block by block: slow, for comparison.
    Cranelift = 1,
}

/// Thresholds and sizes of the tiers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tuning {
    /// Runs in the interpreter before a block is compiled by tier 1 (adaptive mode).
    pub tier1_runs: u32,
    /// Runs in tier 1 before a block asks for tier 2 (adaptive mode).
    pub tier2_runs: u32,
    /// The same in mode [`Mode::Tier2`].
    pub tier2_eager_runs: u32,
    /// Bytes of translated code kept, all tiers; a multiple of 64 KiB.
    pub code_bytes: u64,
    /// Threads that compile for tier 2; 0 = the harts wait for their compiles (deterministic tests).
    pub workers: u32,
    /// Who compiles the blocks of tier 1.
    pub tier1_compiler: BlockCompilers,
    /// Tier 1's code counts its runs where the mode has tier 2. Without, nothing climbs there: for measurements.
    pub counters: bool,
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning {
            tier1_runs: 24,
            tier2_runs: 4_000,
            tier2_eager_runs: 64,
            code_bytes: 64 << 20,
            workers: 1,
            tier1_compiler: BlockCompilers::Direct,
            counters: true,
        }
    }
}

/// The settings of a machine as all its threads read them.
#[derive(Debug)]
pub struct Settings {
    mode: AtomicU8,
    tier1_runs: AtomicU32,
    tier2_runs: AtomicU32,
    tier2_eager_runs: AtomicU32,
    code_bytes: AtomicU64,
    workers: AtomicU32,
    tier1_compiler: AtomicU8,
    counters: AtomicBool,
}

impl Default for Settings {
    fn default() -> Settings {
        let settings = Settings {
            mode: AtomicU8::new(Mode::Interpreter as u8),
            tier1_runs: AtomicU32::new(0),
            tier2_runs: AtomicU32::new(0),
            tier2_eager_runs: AtomicU32::new(0),
            code_bytes: AtomicU64::new(0),
            workers: AtomicU32::new(0),
            tier1_compiler: AtomicU8::new(0),
            counters: AtomicBool::new(true),
        };
        settings.set_tuning(Tuning::default());
        settings
    }
}

impl Settings {
    /// The mode.
    #[inline]
    pub fn mode(&self) -> Mode {
        Mode::ALL.get(self.mode.load(Ordering::Relaxed) as usize).copied().unwrap_or_default()
    }
    /// Sets the mode.
    pub fn set_mode(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::Release);
    }
    /// Thresholds and sizes.
    pub fn tuning(&self) -> Tuning {
        Tuning {
            tier1_runs: self.tier1_runs.load(Ordering::Relaxed),
            tier2_runs: self.tier2_runs.load(Ordering::Relaxed),
            tier2_eager_runs: self.tier2_eager_runs.load(Ordering::Relaxed),
            code_bytes: self.code_bytes.load(Ordering::Relaxed),
            workers: self.workers.load(Ordering::Relaxed),
            tier1_compiler: match self.tier1_compiler.load(Ordering::Relaxed) {
                0 => BlockCompilers::Direct,
                _ => BlockCompilers::Cranelift,
            },
            counters: self.counters.load(Ordering::Relaxed),
        }
    }
    /// Sets thresholds and sizes.
    pub fn set_tuning(&self, t: Tuning) {
        self.tier1_runs.store(t.tier1_runs, Ordering::Relaxed);
        self.tier2_runs.store(t.tier2_runs, Ordering::Relaxed);
        self.tier2_eager_runs.store(t.tier2_eager_runs, Ordering::Relaxed);
        self.code_bytes.store(t.code_bytes, Ordering::Relaxed);
        self.workers.store(t.workers, Ordering::Relaxed);
        self.tier1_compiler.store(t.tier1_compiler as u8, Ordering::Relaxed);
        self.counters.store(t.counters, Ordering::Relaxed);
    }
}

/// What the tiers of a machine have done since power-on. Plain adds by whoever did it; copied when asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TierCounts {
    /// Guest instructions retired in the interpreter, tier 1, tier 2.
    pub insns: [u64; 3],
    /// Blocks compiled by tier 1, regions by tier 2.
    pub compiled: [u64; 2],
    /// Guest instructions in them.
    pub compiled_insns: [u64; 2],
    /// Nanoseconds spent compiling.
    pub compile_ns: [u64; 2],
    /// Host bytes emitted.
    pub host_bytes: [u64; 2],
    /// Compiles that failed; the block stays in the tier below.
    pub failed: [u64; 2],
    /// Regions formed again by how they were left, and regions that count their exits again because guesses failed; both are among
    /// `compiled`.
    pub formed_again: [u64; 2],
    /// Translations dropped because guest bytes under them were written.
    pub invalidated: u64,
    /// Translations dropped for room.
    pub evicted: u64,
    /// Translations that were next to be dropped and were used again.
    pub reopened: u64,
    /// Bytes of code memory in use now.
    pub code_bytes: u64,
    /// Regions that wait for a compiler now.
    pub queued: u64,
    /// Look-ups in jump caches by compiled code that hit, and that left for the dispatcher.
    pub jump_hits: u64,
    /// See `jump_hits`.
    pub jump_misses: u64,
    /// Loads, stores and fetches that the tables of the TLBs did not answer.
    pub tlb_misses: [u64; 3],
    /// Loads and stores among them that a TLB knew all the same; the rest walked the guest's page tables.
    pub tlb_held: [u64; 2],
    /// Runs of loops that copy or fill memory, many iterations at once.
    pub idioms: u64,
    /// Guest instructions that they did, of those of tier 2.
    pub idiom_insns: u64,
    /// Events by [kind](crate::tier::events::NAMES).
    pub events: [u64; NAMES.len()],
}
