//! Which guest words are in which host registers.
//!
//! One pass over the block decides as it goes: a word that is read is loaded once, a word that is written stays in its
//! register until somebody else needs that (the word whose next use is farthest goes), something may fault (the cold path
//! stores the dirty ones), or the block is left. This file only keeps the books; the emitter moves the data.

use super::uses::{NEVER, Next};
use crate::host::x86_64::asm::Host;
use crate::ir::Reg;

/// No host register.
const NONE: u8 = u8::MAX;

/// Registers that hold guest words: rbx, rbp, r8 to r14. Thunks preserve them.
pub const ALL: u16 = 1 << 3 | 1 << 5 | 0x7f00;

/// What a host register holds.
#[derive(Clone, Copy)]
struct Slot {
    word: Reg,
    held: bool,
    next: Next,
}

const EMPTY: Slot = Slot { word: 0, held: false, next: NEVER };

/// Where a word goes when its register is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// The register was free or held what nobody needs.
    Free(Host),
    /// The word must be stored to the state first.
    Store(Host, Reg),
}

/// A register that holds the host address of `word + from`, or zero where that is not known. Valid for accesses in
/// `word + from..word + to`, for stores too if `stores`.
#[derive(Clone, Copy, Debug)]
struct Base {
    h: Host,
    word: Reg,
    stores: bool,
    from: i32,
    to: i32,
}

/// Most registers that one op needs, [`Shape::Rrrr`](crate::ir::op::Shape::Rrrr) excepted.
pub const LEAST: u32 = 3;

/// Bases at a time.
const BASES: usize = 3;

/// The books.
pub struct Cache {
    /// Host register by guest word.
    map: [u8; 256],
    slots: [Slot; 16],
    free: u16,
    /// The register holds a newer value than the state.
    dirty: u16,
    /// The register belongs to one word for the whole block.
    pinned: u16,
    /// An operand of the current op.
    locked: u16,
    /// The register is in `bases`.
    based: u16,
    bases: [Option<Base>; BASES],
    /// First temporary.
    temps: Reg,
}

impl Default for Cache {
    fn default() -> Cache {
        Cache {
            map: [NONE; 256],
            slots: [EMPTY; 16],
            free: ALL,
            dirty: 0,
            pinned: 0,
            locked: 0,
            based: 0,
            bases: [None; BASES],
            temps: 0,
        }
    }
}

/// The numbers of the bits that are set.
pub fn bits(mut set: u16) -> impl Iterator<Item = Host> {
    std::iter::from_fn(move || {
        let bit = set.trailing_zeros();
        set &= set.wrapping_sub(1);
        (bit < 16).then_some(bit as Host)
    })
}

impl Cache {
    /// Empties the books for a block whose temporaries start at `temps`.
    pub fn start(&mut self, temps: Reg) {
        for h in bits(ALL & !self.free) {
            self.map[self.slots[h as usize & 15].word as usize] = NONE;
        }
        (self.free, self.dirty, self.pinned, self.locked, self.temps) = (ALL, 0, 0, 0, temps);
        self.slots = [EMPTY; 16];
        (self.based, self.bases) = (0, [None; BASES]);
    }

    /// The register that holds `word`.
    #[inline(always)]
    pub fn host_of(&self, word: Reg) -> Option<Host> {
        let h = self.map[word as usize];
        (h != NONE).then_some(h)
    }

    /// The word that `h` holds.
    #[inline(always)]
    pub fn word_of(&self, h: Host) -> Reg {
        self.slots[h as usize & 15].word
    }

    /// Keeps `h` for the current op.
    #[inline(always)]
    pub fn lock(&mut self, h: Host) {
        self.locked |= 1 << h;
    }

    /// The op is done.
    #[inline(always)]
    pub fn unlock_all(&mut self) {
        self.locked = 0;
    }

    /// Notes when a word is read next; gives its register back if nobody needs what it holds.
    #[inline(always)]
    pub fn read(&mut self, word: Reg, next: Next) {
        let h = self.map[word as usize];
        if h != NONE {
            self.slots[h as usize & 15].next = next;
            if next == NEVER && self.is_worthless(h) {
                self.drop_host(h);
            }
        }
    }

    /// Whether nothing is lost if the register is taken, given that the word is not read again.
    #[inline(always)]
    pub fn is_worthless(&self, h: Host) -> bool {
        let bit = 1 << h;
        self.pinned & bit == 0 && (self.dirty & bit == 0 || self.word_of(h) >= self.temps)
    }

    fn drop_host(&mut self, h: Host) {
        let slot = &mut self.slots[h as usize & 15];
        if slot.held {
            self.map[slot.word as usize] = NONE;
        }
        *slot = EMPTY;
        self.dirty &= !(1 << h);
        self.free |= 1 << h;
    }

    /// Forgets the cached copy of a word, dirty or not. A pinned register stays the word's.
    #[inline(always)]
    pub fn forget(&mut self, word: Reg) {
        self.drop_bases_of(word);
        let h = self.map[word as usize];
        if h == NONE {
            return;
        }
        if self.pinned & 1 << h != 0 {
            self.dirty &= !(1 << h);
            self.map[word as usize] = NONE;
        } else {
            self.drop_host(h);
        }
    }

    /// Forgets the copies of all guest words.
    pub fn forget_guest(&mut self) {
        for h in bits(ALL & !self.free) {
            if self.slots[h as usize & 15].held && self.word_of(h) < self.temps {
                self.forget(self.word_of(h));
            }
        }
    }

    /// Takes a register for `word`; it is locked. The caller stores what has to be stored and then calls
    /// [`Cache::hold`].
    #[inline]
    pub fn take(&mut self, word: Reg) -> Option<Taken> {
        if let Some(h) = self.pinned_for(word) {
            self.locked |= 1 << h;
            return Some(Taken::Free(h));
        }
        let free = self.free & !self.locked;
        if free != 0 {
            let h = free.trailing_zeros() as Host;
            self.free &= !(1 << h);
            self.locked |= 1 << h;
            return Some(Taken::Free(h));
        }
        self.evict()
    }

    /// Gives `word` a register of its own for the whole block. `dirty`: treat it as newer than the state from the start.
    pub fn pin(&mut self, word: Reg, dirty: bool) -> Option<Host> {
        let h = (self.free != 0).then_some(self.free.trailing_zeros() as Host)?;
        self.pinned |= 1 << h;
        self.hold(h, word, NEVER);
        self.dirty |= u16::from(dirty) << h;
        Some(h)
    }

    /// Registers that belong to one word for the whole block.
    pub fn pinned(&self) -> u16 {
        self.pinned
    }

    fn pinned_for(&self, word: Reg) -> Option<Host> {
        if self.pinned == 0 {
            return None;
        }
        bits(self.pinned).find(|&h| self.slots[h as usize & 15].word == word)
    }

    /// Takes the register whose word is read farthest ahead, one that need not be stored if there is a choice.
    fn evict(&mut self) -> Option<Taken> {
        let candidates = ALL & !self.locked & !self.pinned;
        let cost = |h: Host| (self.slots[h as usize & 15].next, self.dirty & 1 << h == 0);
        let h = bits(candidates).max_by_key(|&h| cost(h))?;
        if self.based & 1 << h != 0 {
            self.drop_base(h);
        }
        let (word, next) = (self.word_of(h), self.slots[h as usize & 15].next);
        let store = self.dirty & 1 << h != 0 && (word < self.temps || next != NEVER);
        self.drop_host(h);
        self.free &= !(1 << h);
        self.locked |= 1 << h;
        Some(if store { Taken::Store(h, word) } else { Taken::Free(h) })
    }

    /// Whether `word` may have `h`: nothing is kept there, though an operand of the current op may still be in it.
    #[inline(always)]
    pub fn may_take_over(&self, h: Host, word: Reg) -> bool {
        self.free & 1 << h != 0 && self.pinned_for(word).is_none()
    }

    /// Takes the register of a word that nobody reads again over, without its value being lost for the current op.
    #[inline(always)]
    pub fn take_over(&mut self, h: Host) {
        self.drop_host(h);
        self.free &= !(1 << h);
        self.locked |= 1 << h;
    }

    /// `h`, which was taken, holds `word` as the state has it.
    #[inline(always)]
    pub fn hold(&mut self, h: Host, word: Reg, next: Next) {
        self.map[word as usize] = h;
        self.slots[h as usize & 15] = Slot { word, held: true, next };
        self.free &= !(1 << h);
    }

    /// `h`, which was taken or holds the word's old value, holds a new value of `word`.
    #[inline(always)]
    pub fn define(&mut self, h: Host, word: Reg, next: Next) {
        self.drop_bases_of(word);
        self.hold(h, word, next);
        self.dirty |= 1 << h;
        if next == NEVER && self.is_worthless(h) {
            self.drop_host(h);
        }
    }

    /// Whether the register holds a word that the guest can see.
    pub fn is_guest(&self, h: Host) -> bool {
        self.word_of(h) < self.temps
    }

    /// Takes a register that nobody uses for the host address of `word + from`.
    pub fn take_base(&mut self, word: Reg, (from, to): (i32, i32), stores: bool) -> Option<Host> {
        // With fewer, an access might find its base and operands in all of them.
        if (ALL & !self.pinned).count_ones() < LEAST {
            return None;
        }
        let free = self.free & !self.locked;
        let place = self.bases.iter().position(Option::is_none)?;
        let h = (free != 0).then_some(free.trailing_zeros() as Host)?;
        self.take_over(h);
        self.bases[place] = Some(Base { h, word, stores, from, to });
        self.based |= 1 << h;
        Some(h)
    }

    /// The register with the host address for an access in `word + from..word + to`, and what its offset is to be counted
    /// from. It is locked.
    #[inline(always)]
    pub fn base_for(&mut self, word: Reg, (from, to): (i32, i32), store: bool) -> Option<(Host, i32)> {
        if self.based == 0 {
            return None;
        }
        let fits = |b: &&Base| b.word == word && b.from <= from && to <= b.to && (b.stores || !store);
        let base = self.bases.iter().flatten().find(fits)?;
        self.locked |= 1 << base.h;
        Some((base.h, base.from))
    }

    /// Notes when a base is used next.
    pub fn use_base(&mut self, h: Host, next: Next) {
        if next == NEVER {
            self.drop_base(h);
        } else {
            self.slots[h as usize & 15].next = next;
        }
    }

    /// The registers with host addresses.
    #[inline(always)]
    pub fn based(&self) -> u16 {
        self.based
    }

    fn drop_base(&mut self, h: Host) {
        self.bases.iter_mut().filter(|b| b.is_some_and(|b| b.h == h)).for_each(|b| *b = None);
        self.based &= !(1 << h);
        self.drop_host(h);
    }

    /// Forgets all host addresses.
    pub fn drop_bases(&mut self) {
        bits(self.based).for_each(|h| self.drop_base(h));
    }

    #[inline(always)]
    fn drop_bases_of(&mut self, word: Reg) {
        if self.based != 0 {
            for i in 0..BASES {
                if let Some(base) = self.bases[i]
                    && base.word == word
                {
                    self.drop_base(base.h);
                }
            }
        }
    }

    /// Registers with words that the state does not have and the guest can see.
    #[inline]
    pub fn dirty_guest(&self) -> u16 {
        let mut set = self.dirty;
        for h in bits(self.dirty) {
            if self.word_of(h) >= self.temps {
                set &= !(1 << h);
            }
        }
        set
    }

    /// Whether the register's word is newer than the state's.
    #[inline(always)]
    pub fn is_dirty(&self, h: Host) -> bool {
        self.dirty & 1 << h != 0
    }

    /// The state has the register's value now.
    #[inline(always)]
    pub fn clean(&mut self, h: Host) {
        self.dirty &= !(1 << h);
    }
}
