//! The lock-free state of the PLIC.
//!
//! Level, pending and claimed bit of a source change together, so they share a word that is changed by
//! compare-and-swap: 16 sources to a 64-bit word. Lines to harts are a function of the whole state; whoever changed
//! something computes them again, and goes round once more if somebody else changed something meanwhile, so the last
//! writer of a line has seen the last change.

use crate::irq::{IrqLine, IrqSink};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// Interrupt sources, numbered 1 to this.
pub const SOURCES: usize = 95;
/// Highest priority.
pub const MAX_PRIORITY: u32 = 7;
/// 32-bit words of enable bits of a context.
pub const CONTEXT_WORDS: usize = 3;

const PER_WORD: usize = 16;
const WORDS: usize = (SOURCES + PER_WORD) / PER_WORD;
const PENDING_SHIFT: u32 = 16;
const CLAIMED_SHIFT: u32 = 32;
const MASK: u64 = 0xffff;

#[derive(Default)]
struct Context {
    enable: [AtomicU32; CONTEXT_WORDS],
    threshold: AtomicU32,
}

/// The controller.
pub struct Plic {
    /// Level bits, pending bits and claimed bits of 16 sources each.
    words: [AtomicU64; WORDS],
    priority: [AtomicU32; SOURCES + 1],
    contexts: Vec<(Context, IrqLine)>,
    version: AtomicU64,
    raised: AtomicU64,
    claimed: AtomicU64,
}

/// Everything the guest can see, for saving.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Image {
    words: Vec<u64>,
    priority: Vec<u32>,
    enable: Vec<[u32; CONTEXT_WORDS]>,
    threshold: Vec<u32>,
}

fn place(source: usize) -> Option<(usize, u64)> {
    (1..=SOURCES).contains(&source).then(|| (source / PER_WORD, 1u64 << (source % PER_WORD)))
}

impl Plic {
    /// A controller whose contexts drive `outputs`.
    pub fn new(outputs: Vec<IrqLine>) -> Plic {
        Plic {
            words: Default::default(),
            priority: std::array::from_fn(|_| AtomicU32::new(0)),
            contexts: outputs.into_iter().map(|line| (Context::default(), line)).collect(),
            version: AtomicU64::new(0),
            raised: AtomicU64::new(0),
            claimed: AtomicU64::new(0),
        }
    }

    fn change(&self, word: usize, f: impl Fn(u64) -> Option<u64>) -> bool {
        self.words.get(word).is_some_and(|w| w.fetch_update(SeqCst, SeqCst, f).is_ok())
    }

    /// The enabled, deliverable source of `context` with the highest priority above `floor`; the lowest number of equals.
    fn best(&self, context: &Context, floor: u32) -> Option<usize> {
        let mut best = None;
        let mut best_priority = floor;
        for (i, word) in self.words.iter().enumerate() {
            let w = word.load(SeqCst);
            let enabled = context.enable.get(i / 2).map_or(0, |e| e.load(SeqCst) >> (16 * (i % 2))) as u64;
            let mut bits = w >> PENDING_SHIFT & !(w >> CLAIMED_SHIFT) & enabled & MASK;
            while bits != 0 {
                let source = i * PER_WORD + bits.trailing_zeros() as usize;
                let priority = self.priority(source);
                if priority > best_priority {
                    (best, best_priority) = (Some(source), priority);
                }
                bits &= bits - 1;
            }
        }
        best
    }

    fn update(&self) {
        self.version.fetch_add(1, SeqCst);
        loop {
            let version = self.version.load(SeqCst);
            for (context, line) in &self.contexts {
                line.set(self.best(context, context.threshold.load(SeqCst)).is_some());
            }
            if self.version.load(SeqCst) == version {
                return;
            }
        }
    }

    /// Priority of a source; 0 for those that do not exist.
    pub fn priority(&self, source: usize) -> u32 {
        self.priority.get(source).map_or(0, |p| p.load(SeqCst))
    }

    /// Sets it; only the implemented bits stay.
    pub fn set_priority(&self, source: usize, value: u32) {
        if let Some(p) = self.priority.get(source).filter(|_| source > 0) {
            p.store(value & MAX_PRIORITY, SeqCst);
            self.update();
        }
    }

    /// 32 pending bits.
    pub fn pending_word(&self, word: usize) -> u32 {
        let half = |i: usize| self.words.get(i).map_or(0, |w| w.load(SeqCst) >> PENDING_SHIFT & MASK) as u32;
        if word < CONTEXT_WORDS { half(2 * word) | half(2 * word + 1) << 16 } else { 0 }
    }

    /// 32 enable bits.
    pub fn enable_word(&self, context: usize, word: usize) -> u32 {
        self.contexts.get(context).and_then(|c| c.0.enable.get(word)).map_or(0, |e| e.load(SeqCst))
    }

    /// Sets them; source 0 does not exist.
    pub fn set_enable(&self, context: usize, word: usize, value: u32) {
        if let Some(e) = self.contexts.get(context).and_then(|c| c.0.enable.get(word)) {
            e.store(if word == 0 { value & !1 } else { value }, SeqCst);
            self.update();
        }
    }

    /// Priorities up to this do not interrupt the context.
    pub fn threshold(&self, context: usize) -> u32 {
        self.contexts.get(context).map_or(0, |c| c.0.threshold.load(SeqCst))
    }

    /// Sets it; only the implemented bits stay.
    pub fn set_threshold(&self, context: usize, value: u32) {
        if let Some(c) = self.contexts.get(context) {
            c.0.threshold.store(value & MAX_PRIORITY, SeqCst);
            self.update();
        }
    }

    /// Takes the most urgent interrupt of a context, whatever its threshold (section 9); 0 if there is none.
    pub fn claim(&self, context: usize) -> u32 {
        let Some((c, _)) = self.contexts.get(context) else { return 0 };
        while let Some(source) = self.best(c, 0) {
            let Some((word, bit)) = place(source) else { return 0 };
            let took = self.change(word, |w| {
                let free = w & bit << PENDING_SHIFT != 0 && w & bit << CLAIMED_SHIFT == 0;
                free.then_some(w & !(bit << PENDING_SHIFT) | bit << CLAIMED_SHIFT)
            });
            if took {
                self.claimed.fetch_add(1, SeqCst);
                self.update();
                return source as u32;
            }
        }
        0
    }

    /// Ends the service of an interrupt. Ignored unless the context has it enabled (section 10). A line that is still high
    /// makes it pending again.
    pub fn complete(&self, context: usize, source: u32) {
        let source = source as usize;
        let enabled = self.enable_word(context, source / 32) >> (source % 32) & 1 != 0;
        let Some((word, bit)) = place(source).filter(|_| enabled) else { return };
        self.change(word, |w| {
            let again = if w & bit != 0 { bit << PENDING_SHIFT } else { 0 };
            (w & bit << CLAIMED_SHIFT != 0).then_some(w & !(bit << CLAIMED_SHIFT) | again)
        });
        self.update();
    }

    /// Interrupts that became pending, and that were claimed.
    pub fn counts(&self) -> (u64, u64) {
        (self.raised.load(SeqCst), self.claimed.load(SeqCst))
    }

    /// Registers 0. Levels are the devices' own; what is high is pending.
    pub fn reset(&self) {
        for (c, _) in &self.contexts {
            c.enable.iter().for_each(|e| e.store(0, SeqCst));
            c.threshold.store(0, SeqCst);
        }
        self.priority.iter().for_each(|p| p.store(0, SeqCst));
        for word in 0..WORDS {
            self.change(word, |w| Some(w & MASK | (w & MASK) << PENDING_SHIFT));
        }
        self.update();
    }

    /// A copy of the state.
    pub fn image(&self) -> Image {
        let contexts = self.contexts.iter().map(|c| &c.0);
        Image {
            words: self.words.iter().map(|w| w.load(SeqCst)).collect(),
            priority: self.priority.iter().map(|p| p.load(SeqCst)).collect(),
            enable: contexts.clone().map(|c| c.enable.each_ref().map(|e| e.load(SeqCst))).collect(),
            threshold: contexts.map(|c| c.threshold.load(SeqCst)).collect(),
        }
    }

    /// Takes a copy back; false if it does not fit.
    pub fn load(&self, image: &Image) -> bool {
        let contexts = self.contexts.len();
        let fits = image.words.len() == WORDS
            && image.priority.len() == SOURCES + 1
            && image.enable.len() == contexts
            && image.threshold.len() == contexts;
        if !fits {
            return false;
        }
        let real = |i: usize| if i == 0 { MASK & !1 } else { MASK };
        for (i, (w, new)) in self.words.iter().zip(&image.words).enumerate() {
            w.store(new & (real(i) | real(i) << PENDING_SHIFT | real(i) << CLAIMED_SHIFT), SeqCst);
        }
        for (p, new) in self.priority.iter().zip(&image.priority).skip(1) {
            p.store(new & MAX_PRIORITY, SeqCst);
        }
        for ((c, _), (enable, threshold)) in
            self.contexts.iter().zip(image.enable.iter().zip(&image.threshold))
        {
            for (i, (e, new)) in c.enable.iter().zip(enable).enumerate() {
                e.store(if i == 0 { new & !1 } else { *new }, SeqCst);
            }
            c.threshold.store(threshold & MAX_PRIORITY, SeqCst);
        }
        self.update();
        true
    }
}

impl IrqSink for Plic {
    /// The gateway of a level-triggered source: a rising line is one request; no other follows until it was completed
    /// (section 4).
    fn set(&self, number: u32, level: bool) {
        let Some((word, bit)) = place(number as usize) else { return };
        let changed = self.change(word, |w| {
            let free = w & bit << CLAIMED_SHIFT == 0;
            match (level, w & bit != 0) {
                (true, false) if free => Some(w | bit | bit << PENDING_SHIFT),
                (true, false) => Some(w | bit),
                (false, true) => Some(w & !bit),
                _ => None,
            }
        });
        if changed && level {
            self.raised.fetch_add(1, SeqCst);
            self.update();
        }
    }
}
