//! Loops: hot ones within a program, and the program as a whole again.

use super::handler::{Call, TURNS, call};
use super::layout::*;
use super::program::{Body, Mode};
use crate::oracle::asm::Label;
use crate::oracle::encode::{self as e, Reg};
use crate::oracle::isa::Kind;

/// Bytes of the good pages that an access in a loop may reach beyond its base.
const REACH: u64 = 64;

impl Body<'_> {
    /// A loop that walks over good pages with computation, accesses at any alignment, floats and branches in it.
    pub(super) fn hot_loop(&mut self) {
        let counter = self.target();
        let base = self.other(&[counter]);
        let keep = [counter, base];
        let turns = 8 + self.rng.below(80);
        let step = self.rng.pick(&[0, 1, 4, 8, 24, 61]);
        let room = GOOD_PAGES * 4096 - 2 * REACH - step * turns;
        let start = REACH + self.rng.below(room);
        let page = match (self.ctx.root, self.ctx.mode) {
            (None, _) => DATA,
            (Some(_), Mode::U) => GOOD_U,
            (Some(_), _) => GOOD_S,
        };
        self.a.li(base, page + start);
        self.a.w(e::addi(counter, 0, turns as i32));
        let head = self.a.mark();
        for _ in 0..1 + self.rng.below(6) {
            match self.rng.below(8) {
                0..=2 => self.word_sparing(&keep),
                3 | 4 => self.access_sparing(base, &keep),
                5 => self.float_sparing(&keep),
                6 => {
                    let f3 = self.rng.pick(&[0, 1, 4, 5, 6, 7]);
                    let (s1, s2) = (self.reg(), self.reg());
                    let over = self.a.label();
                    self.a.branch(f3, s1, s2, over);
                    self.word_sparing(&keep);
                    self.access_sparing(base, &keep);
                    self.a.bind(over);
                }
                _ => self.call_sparing(&keep),
            }
        }
        self.a.w(e::addi(base, base, step as i32));
        self.a.w(e::addi(counter, counter, -1));
        self.a.branch(1, counter, 0, head);
    }

    fn word_sparing(&mut self, keep: &[Reg]) {
        let rd = self.other(keep);
        let word = self.integer_word(rd);
        self.a.w(word);
    }

    fn access_sparing(&mut self, base: Reg, keep: &[Reg]) {
        let row = self.rng.pick(&self.parts.memory);
        let imm = self.rng.below(2 * REACH - 8) as i32 - REACH as i32;
        let other = self.other(keep);
        let word = match row.kind {
            Kind::Store | Kind::FStore => row.bits | e::s(0, 0, base, other, imm),
            _ => row.bits | e::i(0, 0, other, base, imm),
        };
        self.a.w(word);
    }

    fn float_sparing(&mut self, keep: &[Reg]) {
        let row = self.rng.pick(&self.parts.float);
        // Some of them write an integer register.
        let rd = self.other(keep);
        let mut word = self.operands(&row, rd);
        if row.kind.mask() >> 12 & 7 == 0 {
            word = word & !0x7000 | self.rng.pick(&[0, 1, 2, 3, 4, 7, 7, 7]) << 12;
        }
        self.a.w(word);
    }

    /// A call of a function that stands in the loop, which jumps over it.
    fn call_sparing(&mut self, keep: &[Reg]) {
        let link = self.rng.pick(&[1, 5, 1]);
        if keep.contains(&link) {
            return self.word_sparing(keep);
        }
        let (function, over) = (self.a.label(), self.a.label());
        self.a.jal(link, function);
        self.a.jal(0, over);
        self.a.bind(function);
        self.word_sparing(&[keep, &[link]].concat());
        self.a.w(e::jalr(0, link, 0));
        self.a.bind(over);
    }

    /// At the end of the program: back to `top` until it has run so many times.
    pub(super) fn again(&mut self, top: Label, turns: u32) {
        if self.ctx.mode != Mode::M {
            call(&mut self.a, Call::Machine);
        }
        let done = self.a.label();
        self.a.li(5, TURNS);
        self.a.ws(&[e::ld(6, 5, 0), e::addi(6, 6, 1), e::sd(6, 5, 0), e::addi(7, 0, turns as i32)]);
        self.a.branch(0, 6, 7, done);
        self.a.jal(0, top);
        self.a.bind(done);
    }
}
