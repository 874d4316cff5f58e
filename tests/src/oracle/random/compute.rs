//! Units of computation: integer, compressed and float instructions, branches, loops and calls on random registers.

use super::program::Body;
use crate::oracle::encode::{self as e, Reg, csr};
use crate::oracle::isa::{Fmt, Kind, Row};
use crate::oracle::values::{boxed, floats};

impl Body<'_> {
    pub(super) fn reg(&mut self) -> Reg {
        self.rng.below(32) as Reg
    }

    /// Not x0.
    pub(super) fn target(&mut self) -> Reg {
        1 + self.rng.below(31) as Reg
    }

    /// A register that is none of `not`, nor x0.
    pub(super) fn other(&mut self, not: &[Reg]) -> Reg {
        loop {
            let r = self.target();
            if !not.contains(&r) {
                return r;
            }
        }
    }

    /// `row` with random operands everywhere but rd.
    pub(super) fn operands(&mut self, row: &Row, rd: Reg) -> u32 {
        let free = !row.kind.mask() & !0xf80;
        row.bits | rd << 7 | self.rng.next() as u32 & free
    }

    /// A random integer instruction into `rd`.
    pub(super) fn integer_word(&mut self, rd: Reg) -> u32 {
        let row = self.rng.pick(&self.parts.integer);
        self.operands(&row, rd)
    }

    /// A random integer instruction that leaves `keep` alone.
    fn integer_sparing(&mut self, keep: Reg) {
        let rd = loop {
            let rd = self.reg();
            if rd != keep {
                break rd;
            }
        };
        let word = self.integer_word(rd);
        self.a.w(word);
    }

    pub(super) fn integers(&mut self) {
        for _ in 0..1 + self.rng.below(8) {
            let rd = self.reg();
            let word = self.integer_word(rd);
            self.a.w(word);
        }
    }

    /// New values, so that registers do not all run down to zero.
    pub(super) fn constants(&mut self) {
        for _ in 0..1 + self.rng.below(3) {
            let (rd, value) = (self.target(), self.rng.integer());
            self.a.li(rd, value);
        }
    }

    pub(super) fn float_constants(&mut self) {
        for _ in 0..1 + self.rng.below(3) {
            let f = self.rng.pick(&[Fmt::S, Fmt::D, Fmt::H]);
            let value = if self.rng.one_in(3) { self.rng.pick(&floats(f)) } else { self.rng.float(f) };
            let value = if self.rng.one_in(20) { boxed(f, self.rng.next()) } else { value };
            let (x, fd) = (self.target(), self.reg());
            self.a.li(x, value);
            self.a.w(e::fmv_d_x(fd, x));
        }
    }

    /// Floats, mostly with a valid rounding mode.
    pub(super) fn floats(&mut self) {
        if self.rng.one_in(3) {
            let (mode, t) =
                (if self.rng.one_in(12) { 5 + self.rng.below(3) } else { self.rng.below(5) }, self.reg());
            self.a.w(e::i(0x73, 5, t, mode as u32, csr::FRM as i32));
        }
        for _ in 0..1 + self.rng.below(6) {
            let row = self.rng.pick(&self.parts.float);
            let rd = self.reg();
            let mut word = self.operands(&row, rd);
            let rounds = row.kind.mask() >> 12 & 7 == 0;
            if rounds && !self.rng.one_in(24) {
                let mode = self.rng.pick(&[0, 1, 2, 3, 4, 7, 7, 7]);
                word = word & !0x7000 | mode << 12;
            }
            self.a.w(word);
        }
    }

    pub(super) fn float_csrs(&mut self) {
        let (rd, rs) = (self.reg(), self.reg());
        let c = self.rng.pick(&[csr::FFLAGS, csr::FRM, csr::FCSR]);
        let f3 = self.rng.pick(&[1, 2, 3, 5, 6, 7]);
        self.a.w(e::i(0x73, f3, rd, rs, c as i32));
        // Leave a valid mode behind, mostly.
        if !self.rng.one_in(6) {
            let mode = self.rng.below(5) as u32;
            self.a.w(e::i(0x73, 5, 0, mode, csr::FRM as i32));
        }
    }

    /// Compressed computation; pairs or with `c.nop`, so that what follows may start anywhere.
    pub(super) fn compressed(&mut self) {
        for _ in 0..1 + self.rng.below(6) {
            let half = self.compressed_word();
            self.a.h(half);
        }
    }

    fn compressed_word(&mut self) -> u16 {
        let r = self.rng.next() as u16;
        let rd = (r >> 7 & 31) as u32;
        match self.rng.below(9) {
            // c.addi4spn; zero is illegal
            0 if r & 0x1fe0 != 0 => r & 0x1ffc,
            // c.addi, c.addiw (rd 0 reserved), c.li
            1 => 0x0001 | r & 0x1ffc,
            2 if rd != 0 => 0x2001 | r & 0x1ffc,
            3 => 0x4001 | r & 0x1ffc,
            // c.lui and c.addi16sp; zero is reserved
            4 if r & 0x107c != 0 => 0x6001 | r & 0x1ffc,
            // c.srli, c.srai, c.andi, register forms
            5 => 0x8001 | r & if r >> 10 & 3 == 3 { 0x0ffc } else { 0x1ffc },
            // c.subw, c.addw, c.mul; c.zext.b .. c.not
            6 => match r >> 5 & 3 {
                0 | 1 => 0x9c01 | r & 0x03bc,
                2 => 0x9c41 | r & 0x039c,
                _ => 0x9c61 | r & 0x0380 | self.rng.pick(&[0u16, 1, 2, 3, 4, 5]) << 2,
            },
            // c.slli
            7 => 0x0002 | r & 0x1ffc,
            // c.mv, c.add
            8 if r & 0x7c != 0 => 0x8002 | r & 0x1ffc,
            _ => 0x0001,
        }
    }

    /// A branch over a few instructions.
    pub(super) fn branch(&mut self) {
        let f3 = self.rng.pick(&[0, 1, 4, 5, 6, 7]);
        let (s1, s2) = (self.reg(), self.reg());
        let over = self.a.label();
        self.a.branch(f3, s1, s2, over);
        self.integers();
        if self.rng.one_in(2) {
            self.compressed();
        }
        self.a.bind(over);
    }

    /// A loop of a few turns.
    pub(super) fn short_loop(&mut self) {
        let counter = self.target();
        let n = 1 + self.rng.below(12) as i32;
        self.a.w(e::addi(counter, 0, n));
        let head = self.a.mark();
        for _ in 0..1 + self.rng.below(5) {
            self.integer_sparing(counter);
        }
        self.a.w(e::addi(counter, counter, -1));
        self.a.branch(1, counter, 0, head);
    }

    /// A call of a function behind the call, through `jal` or `jalr`.
    pub(super) fn function(&mut self) {
        let link = self.target();
        let (f, end) = (self.a.label(), self.a.label());
        if self.rng.one_in(2) {
            self.a.jal(link, f);
        } else {
            let t = self.target();
            self.a.la(t, f);
            self.a.w(e::jalr(link, t, 0));
        }
        self.a.jal(0, end);
        self.a.bind(f);
        for _ in 0..1 + self.rng.below(4) {
            self.integer_sparing(link);
        }
        self.a.w(e::jalr(0, link, 0));
        self.a.bind(end);
    }
}

/// Rows for [`Body::integer_word`].
pub fn integer_rows(rows: &[Row]) -> Vec<Row> {
    let fits = |r: &&Row| {
        matches!(r.kind, Kind::Rrr | Kind::Rr | Kind::Imm | Kind::Shift5 | Kind::Shift6 | Kind::Upper)
    };
    rows.iter().filter(fits).cloned().collect()
}

/// Rows for [`Body::floats`].
pub fn float_rows(rows: &[Row]) -> Vec<Row> {
    let fits = |r: &&Row| {
        matches!(
            r.kind,
            Kind::Fff(..)
                | Kind::Ff(..)
                | Kind::Ffff(_)
                | Kind::Xff(_)
                | Kind::Xf(..)
                | Kind::Fx(_)
                | Kind::Fli
        )
    };
    rows.iter().filter(fits).cloned().collect()
}
