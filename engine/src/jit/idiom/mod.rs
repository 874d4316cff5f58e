//! Guest idioms: loops that copy, fill or search memory, done many iterations at once.
//!
//! The problem: a guest without vectors copies by loops of loads and stores, and each access costs a page check. A loop whose
//! iterations are nothing but a copy of the next bytes can be done a page at a time, by the host's vector moves. So tier 2
//! recognises such loops ([`recognise`]) when it compiles a block that is a loop by itself, describes them in the code's
//! constants ([`Idiom`]), and asks before it goes into the loop ([`run`]) to have as many iterations done as are plain.
//!
//! Only whole iterations are done that cannot raise an exception and that the budget allows, and never the last one: the loop itself does
//! that, and everything else that needs care (faults, devices, pages with code, misaligned accesses, polls). Registers, memory
//! and the instruction count are afterwards as the loop would have left them at its head.
//!
//! Loops that look for something ([`scan`]) are most often short. So no helper is called for them: compiled code does many of their iterations
//! itself.

mod recognise;
pub mod run;
pub mod scan;
mod trips;
mod walk;

#[cfg(test)]
mod tests;

pub use recognise::recognise;
pub use walk::{Holds, Made};

use crate::ir::op::Reg;

/// Elements of an iteration at most.
pub const MOST_ELEMENTS: usize = 64;
/// Registers of each kind that a loop writes at most.
pub const MOST_WRITES: usize = 32;

/// The sum of two words and a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Linear {
    /// The number.
    pub add: i64,
    /// How many of `terms` there are.
    pub count: u8,
    /// The words, as they are at the loop's head, in ascending order.
    pub terms: [Reg; 2],
    spare: [u8; 5],
}

impl Linear {
    /// A number alone.
    pub fn number(add: i64) -> Linear {
        Linear { add, ..Linear::default() }
    }

    /// A word alone.
    pub fn word(word: Reg) -> Linear {
        Linear { count: 1, terms: [word, 0], ..Linear::default() }
    }

    /// The words.
    pub fn words(&self) -> &[Reg] {
        &self.terms[..usize::from(self.count.min(2))]
    }

    /// The same and a number.
    pub fn plus(mut self, add: i64) -> Linear {
        self.add = self.add.wrapping_add(add);
        self
    }

    /// The sum, unless it has too many words.
    pub fn sum(&self, other: &Linear) -> Option<Linear> {
        let mut sum = *self;
        for &word in other.words() {
            *sum.terms.get_mut(usize::from(sum.count))? = word;
            sum.count += 1;
        }
        let n = usize::from(sum.count);
        sum.terms[..n].sort_unstable();
        Some(sum.plus(other.add))
    }

    /// Its value with these words.
    pub fn value(&self, regs: &[u64; 256]) -> u64 {
        self.words().iter().fold(self.add as u64, |sum, &w| sum.wrapping_add(regs[usize::from(w)]))
    }
}

/// How the branch compares the moving value with the still one to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Test {
    /// They differ.
    #[default]
    Other,
    /// The moving one is less.
    Less,
    /// Less or equal.
    LessEqual,
    /// Greater.
    Greater,
    /// Greater or equal.
    GreaterEqual,
}

/// When the loop ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Trips {
    /// What the first iteration's branch compares.
    pub moving: Linear,
    /// With what.
    pub still: Linear,
    /// How far `moving` goes in an iteration; not 0.
    pub step: i64,
    /// For how long.
    pub test: Test,
    /// Both are signed.
    pub signed: bool,
    spare: [u8; 6],
}

/// A word that a loop leaves holding what it loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Loaded {
    /// The word.
    pub word: Reg,
    /// Which element of the last iteration.
    pub element: u8,
    /// The element is sign-extended.
    pub signed: bool,
    spare: [u8; 5],
}

/// A word that a loop writes: what is in it after an iteration, by the words before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Computed {
    /// Its value.
    pub value: Linear,
    /// By how much an iteration moves it, if that is what `value` says.
    pub step: i64,
    /// The word.
    pub word: Reg,
    /// An iteration moves it: `value` is the word itself and `step`.
    pub moves: bool,
    spare: [u8; 6],
}

/// A loop that copies, or fills, memory from low to high addresses without a gap. It lies in the code's constants, so it is
/// bytes without padding.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Idiom {
    /// Where it ends.
    pub trips: Trips,
    /// Lowest address that an iteration reads; nothing where it fills.
    pub load: Linear,
    /// Lowest address that it writes.
    pub store: Linear,
    /// What it fills with.
    pub value: Linear,
    /// Bytes of an iteration.
    pub stride: u64,
    /// Guest instructions of an iteration.
    pub insns: u64,
    /// The words that it leaves computed.
    pub computed: [Computed; 8],
    /// The words that it leaves loaded.
    pub loaded: [Loaded; MOST_WRITES],
    /// The accesses in their order: elements, plus [`STORES`] for those that are stored.
    pub order: [u8; 2 * MOST_ELEMENTS],
    /// How many of `order` there are.
    pub accesses: u8,
    /// How many of `computed`.
    pub computes: u8,
    /// How many of `loaded`.
    pub loads: u8,
    /// log2 of an element's bytes.
    pub width: u8,
    /// It copies; else it fills.
    pub copies: bool,
    spare: [u8; 11],
}

/// See [`Idiom::order`].
pub const STORES: u8 = 0x80;

/// Bytes of an idiom in the code's constants.
pub const IDIOM_BYTES: usize = size_of::<Idiom>();

const _: () = {
    // No padding: every struct is the sum of its fields.
    assert!(size_of::<Linear>() == 8 + 1 + 2 + 5);
    assert!(size_of::<Trips>() == 2 * 16 + 8 + 1 + 1 + 6);
    assert!(size_of::<Loaded>() == 1 + 1 + 1 + 5);
    assert!(size_of::<Computed>() == 16 + 8 + 1 + 1 + 6);
    assert!(IDIOM_BYTES == 48 + 3 * 16 + 2 * 8 + 8 * 32 + MOST_WRITES * 8 + 2 * MOST_ELEMENTS + 5 + 11);
    assert!(IDIOM_BYTES.is_multiple_of(16) && align_of::<Idiom>() == 8);
};

impl Idiom {
    /// As it lies in the code's constants.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: plain data of this size without padding, by the assertion above.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), IDIOM_BYTES) }
    }

    /// Iterations below which it does not pay to ask: what a call costs, in instructions of the loop.
    pub fn least_trips(&self) -> u64 {
        let call: u64 = if self.copies { 320 } else { 240 };
        (call / self.insns.max(1)).max(4)
    }
}
