//! Units that touch memory: through windows good and bad, atomics, jumps into data pages, code that changes.

use super::layout::*;
use super::program::{Body, Mode};
use crate::oracle::encode::{self as e, Reg};
use crate::oracle::isa::Kind;

impl Body<'_> {
    /// An address somewhere in a window of the current address space; `align` is a power of two.
    fn address(&mut self, align: u64) -> u64 {
        let r = &mut self.rng;
        let any = if r.one_in(4) {
            // Near the end of a page, so that accesses straddle.
            (r.below(DATA_SIZE / 4096 - 1) << 12) + 4096 - r.below(16)
        } else {
            r.below(DATA_SIZE - 64)
        };
        let any = any & !(align - 1);
        if self.ctx.root.is_none() {
            return DATA + any;
        }
        let in_page = any & 0xfff;
        match r.below(12) {
            0..=3 => SMALL + (r.below(SMALL_PAGES) << 12) + in_page,
            4 => HIGH + (r.below(HIGH_PAGES) << 12) + in_page,
            5 => NAPOT + (any & 0xffff),
            6 => LARGE + (r.below(LARGE_PAGES) << 21) + any,
            7 => HUGE + (r.below(HUGE_PAGES) << 30) + (DATA - 0x8000_0000) + any,
            8 if r.one_in(8) => {
                r.pick(&[0x9_0000_0000, 1 << 38, 1 << 45, 1 << 56, 0x8000_0000_0000, 0xffff_0000_0000_0000])
                    + in_page
            }
            _ => self.good(align),
        }
    }

    /// An address in pages that all can read and write, for LR, SC and AMOs: see `known` for why no others.
    fn good(&mut self, align: u64) -> u64 {
        let any = self.rng.below(GOOD_PAGES * 4096 - 64) & !(align - 1);
        match (self.ctx.root, self.ctx.mode) {
            (None, _) => DATA + any,
            (Some(_), Mode::U) => GOOD_U + any,
            (Some(_), _) => GOOD_S + any,
        }
    }

    /// Aligned, mostly.
    fn alignment(&mut self, size: u64) -> u64 {
        if self.rng.one_in(5) { 1 } else { size }
    }

    pub(super) fn accesses(&mut self) {
        let base = self.target();
        let align = self.alignment(8);
        let at = self.address(align);
        self.a.li(base, at);
        for _ in 0..1 + self.rng.below(5) {
            let row = self.rng.pick(&self.parts.memory);
            let size = 1i32 << (row.bits >> 12 & 3);
            let imm = (self.rng.below(9) as i32 - 4) * size;
            let other = match row.kind {
                // The base stays for the next access.
                Kind::Load => self.other(&[base]) & if self.rng.one_in(16) { 0 } else { 31 },
                _ => self.reg(),
            };
            let word = match row.kind {
                Kind::Store | Kind::FStore => row.bits | e::s(0, 0, base, other, imm),
                _ => row.bits | e::i(0, 0, other, base, imm),
            };
            self.a.w(word);
        }
    }

    /// Compressed accesses through x8 to x15.
    pub(super) fn compressed_accesses(&mut self) {
        let base = 8 + self.rng.below(8) as Reg;
        let at = self.address(8);
        self.a.li(base, at);
        for _ in 0..1 + self.rng.below(3) {
            let r = self.rng.next() as u16;
            let f3 = self.rng.pick(&[1u16, 2, 3, 5, 6, 7]);
            // Any offset and register; loads into the base would lose it.
            let rd = ((base as u16 - 8) ^ (1 + r % 7)) & 7;
            self.a.h(f3 << 13 | r & 0x1c60 | (base as u16 - 8) << 7 | rd << 2);
        }
    }

    pub(super) fn atomics(&mut self) {
        let base = self.target();
        let row = self.rng.pick(&self.parts.atomic);
        let size = 1u64 << (row.bits >> 12 & 7);
        let at = if self.rng.one_in(8) && self.ctx.root.is_some() { 0x9_0000_0000 } else { self.good(size) };
        self.a.li(base, at);
        let (mut rd, mut rs2) = (self.reg(), self.reg());
        if row.kind == Kind::AmoPair {
            (rd, rs2) = (rd & !1, rs2 & !1);
        }
        let order = self.rng.below(4) as u32;
        self.a.w(row.bits | order << 25 | rs2 << 20 | base << 15 | rd << 7);
    }

    /// LR and SC in the form that must succeed, or SC to an address that was not reserved.
    pub(super) fn reservation(&mut self) {
        let base = self.target();
        let f3 = 2 + self.rng.below(2) as u32;
        let size = 1 << f3;
        let at = self.good(size);
        self.a.li(base, at);
        let loaded = self.other(&[base]);
        let order = self.rng.below(16) as u32;
        self.a.w(e::r(0x2f, f3, 2 << 2 | order & 3, loaded, base, 0));
        if self.rng.one_in(2) {
            let (s1, s2) = (self.reg(), self.reg());
            self.a.w(e::add(loaded, s1, s2));
        }
        if self.rng.one_in(5) {
            self.a.w(e::xori(base, base, 64));
        }
        let result = self.reg();
        self.a.w(e::r(0x2f, f3, 3 << 2 | order >> 2, result, base, loaded));
    }

    pub(super) fn cache_block(&mut self) {
        let base = self.target();
        let at = if self.parts.fine_pmp { self.good(8) } else { self.address(8) };
        self.a.li(base, at);
        let n = self.rng.pick(&[0, 1, 2, 4]);
        self.a.w(e::i(0x0f, 2, 0, base, n));
    }

    /// A call into the landing page through a window, or to nowhere.
    pub(super) fn landing(&mut self) {
        let t = self.other(&[1]);
        let inside = self.rng.below(1023) * 4;
        let at = match (self.ctx.root, self.rng.below(10)) {
            (_, 0) => self.rng.pick(&[1 << 45, 1 << 56, 0x9_0000_0000, 0x8800_0000, 0xffff_8000_0000_0000]),
            (None, _) => LANDING + inside,
            (Some(_), _) => JUMPS + (self.rng.below(JUMP_PAGES) << 12) + inside,
        };
        self.a.li(t, at);
        self.a.w(e::jalr(1, t, 0));
    }

    /// Stores an instruction over one ahead, fences, and runs it; twice, so that the second change hits translated code.
    pub(super) fn self_modifying(&mut self) {
        let (at, word, count) = (5, 6, 7);
        let slot = self.a.label();
        let keep = 8 + self.rng.below(24) as Reg;
        self.a.w(e::addi(count, 0, 2));
        let again = self.a.mark();
        self.a.la(at, slot);
        if self.ctx.base() == BODY_S {
            // The small pages of the body cannot be written; the superpage can.
            self.a.li(word, BODY.wrapping_sub(BODY_S));
            self.a.w(e::add(at, at, word));
        }
        let new = self.integer_word(keep);
        let old = self.integer_word(keep);
        let other = self.integer_word(keep);
        self.a.li(word, new as i32 as i64 as u64);
        let first = self.a.label();
        self.a.w(e::addi(keep, count, -2));
        self.a.branch(0, keep, 0, first);
        self.a.li(word, other as i32 as i64 as u64);
        self.a.bind(first);
        self.a.ws(&[e::sw(word, at, 0), e::FENCE_I]);
        self.a.bind(slot);
        self.a.w(old);
        self.a.w(e::addi(count, count, -1));
        self.a.branch(1, count, 0, again);
    }
}
