//! Units of the privileged architecture: traps, CSRs, mode switches, page tables and interrupts.

use super::handler::{Call, MSIP, call};
use super::layout::*;
use super::program::{Body, Context, Mode};
use crate::oracle::encode::{self as e, Reg, csr};

const SUM: u64 = 1 << 18;
const MXR: u64 = 1 << 19;
const TVM: u64 = 1 << 20;
const TW: u64 = 1 << 21;
const TSR: u64 = 1 << 22;
const MPRV: u64 = 1 << 17;
const MPP: u64 = 3 << 11;
const FS: u64 = 3 << 13;
const SPP: u64 = 1 << 8;
const SIE: u64 = 1 << 1;
const SPIE: u64 = 1 << 5;
const MIE: u64 = 1 << 3;
const MPIE: u64 = 1 << 7;

impl Body<'_> {
    fn write_csr(&mut self, t: Reg, c: u32, value: u64) {
        self.a.li(t, value);
        self.a.w(e::csrw(c, t));
    }

    /// Sets `bits` of `mask` in a CSR.
    fn change(&mut self, t: Reg, c: u32, mask: u64, bits: u64) {
        self.a.li(t, mask);
        self.a.w(e::csrrc(0, c, t));
        self.a.li(t, bits & mask);
        self.a.w(e::csrrs(0, c, t));
    }

    /// Instructions that trap everywhere or in this mode.
    pub(super) fn traps(&mut self) {
        let choice = self.rng.below(9);
        let mode = self.ctx.mode;
        match choice {
            0 => self.a.w(e::EBREAK),
            1 => self.a.h(0x9002),
            2 => self.a.h(0),
            3 => {
                let word = self.rng.pick(&self.parts.reserved);
                self.a.w(word);
            }
            4 if mode == Mode::U => self.a.w(e::SRET),
            6 if mode != Mode::M => {
                let (rd, rs) = (self.reg(), self.reg());
                let c = self.rng.pick(&[
                    csr::MSTATUS,
                    csr::MEPC,
                    csr::MTVEC,
                    csr::MIP,
                    csr::PMPCFG0,
                    0xf14,
                    0x7c0,
                    0x5c0,
                    0x9c0,
                    0xcc0,
                ]);
                self.a.w(e::i(0x73, 1 + (choice as u32 & 1), rd, rs, c as i32));
            }
            7 => {
                let (rd, rs) = (self.reg(), self.target());
                // Read-only, and absent.
                let c = self.rng.pick(&[0xf11, 0xf14, csr::CYCLE, 0x800, 0x5ff, 0xdff, 0x007]);
                self.a.w(e::csrrw(rd, c, rs));
            }
            _ => {
                // A counter: allowed or not, its value dropped.
                let c = self.rng.pick(&[csr::CYCLE, 0xc01, csr::INSTRET, 0xc03, 0xc1f]);
                self.a.w(e::csrr(0, c));
            }
        }
    }

    /// Reads and writes of CSRs that belong to the mode (or trap).
    pub(super) fn csrs(&mut self) {
        let t = self.target();
        let rd = self.reg();
        let value = self.rng.integer();
        let choice = self.rng.below(8);
        match choice {
            0 => self.a.w(e::csrr(rd, csr::SCAUSE)),
            1 => self.write_csr(t, csr::STVAL, value),
            2 => self.write_csr(t, csr::SEPC, value & !1),
            3 => self.write_csr(t, csr::SCAUSE, self.some_cause(value)),
            4 => self.write_csr(t, csr::SCOUNTEREN, value & 0xffff_ffff),
            5 => {
                let bits = self.rng.next();
                self.change(t, csr::SSTATUS, SUM | MXR | SPP | SPIE, bits);
            }
            6 => {
                let bits = self.rng.next();
                self.change(t, csr::SIE, 2, bits);
                // A software interrupt of S-mode, if it has the right to.
                self.a.w(e::i(0x73, 6, 0, 2, csr::SIP as i32));
                self.a.w(e::csrr(rd, csr::SIE));
            }
            _ => {
                let bits = self.rng.next();
                self.change(t, csr::SSTATUS, SIE, bits);
            }
        }
    }

    /// A value of the interrupt and exception table: others are not compared.
    fn some_cause(&self, value: u64) -> u64 {
        if value & 1 == 1 {
            1 << 63 | [1, 5, 9][(value >> 1) as usize % 3]
        } else {
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 15][(value >> 1) as usize % 12]
        }
    }

    /// S-mode fences and `satp`.
    pub(super) fn fences(&mut self) {
        let (s1, s2) = (self.reg(), self.reg());
        match self.rng.below(5) {
            0 => self.a.w(e::sfence_vma(0, 0)),
            1 => self.a.w(e::sfence_vma(s1, s2)),
            // In U-mode QEMU executes the two without operands, see `known`.
            2 if self.ctx.mode != Mode::U => {
                self.a.ws(&[0x1800_0073, e::r(0x73, 0, 0x0b, 0, s1, s2), 0x1810_0073])
            }
            3 => self.a.w(e::csrr(s1, csr::SATP)),
            _ => self.a.w(e::FENCE_I),
        }
    }

    /// Into M-mode, new state, and on in any mode and address space.
    pub(super) fn switch(&mut self) {
        if self.ctx.mode != Mode::M {
            call(&mut self.a, Call::Machine);
        }
        self.ctx.mode = Mode::M;
        self.ctx.root = None;
        self.configure();
        let mode = self.rng.pick(&[Mode::M, Mode::S, Mode::S, Mode::S, Mode::U, Mode::U, Mode::U]);
        if mode == Mode::M {
            return self.machine();
        }
        let root = if self.rng.one_in(6) {
            None
        } else {
            Some(self.rng.below(self.parts.roots.len() as u64) as usize)
        };
        let satp = root.map_or(0, |k| self.parts.roots[k].satp);
        self.write_csr(5, csr::SATP, satp);
        self.a.w(e::sfence_vma(0, 0));
        let identity = mode == Mode::S && self.rng.one_in(3);
        let next = Context { mode, root, identity, ..self.ctx };
        let mpp = if mode == Mode::S { 1 << 11 } else { 0 };
        self.change(5, csr::MSTATUS, MPP, mpp);
        self.interrupt_state();
        self.leave(next, csr::MEPC, e::MRET);
    }

    /// Through `xepc` and `xret` into `next`, behind here.
    fn leave(&mut self, next: Context, epc: u32, ret: u32) {
        let behind = self.a.label();
        self.a.la(5, behind);
        self.a.li(6, next.base().wrapping_sub(self.ctx.base()));
        self.a.ws(&[e::add(5, 5, 6), e::csrw(epc, 5), ret]);
        self.a.bind(behind);
        self.ctx = next;
    }

    fn configure(&mut self) {
        let r = self.rng.next();
        let (tsr, tw) = (r & 7 == 0, r >> 3 & 3 == 0);
        let deleg = if tsr { 0 } else { self.rng.next() & 0xb0ff };
        self.write_csr(5, csr::MEDELEG, deleg);
        self.write_csr(5, csr::MIDELEG, if tsr { 0 } else { 2 & r >> 20 });
        let envcfg = 0xd0 | r & (3 << 61);
        self.write_csr(5, csr::MENVCFG, envcfg);
        let counters = self.rng.next() & 0xffff_ffff;
        self.write_csr(5, csr::MCOUNTEREN, counters);
        let fs = if self.rng.one_in(8) { 0 } else { FS };
        let gates = (if tsr { TSR } else { 0 })
            | (if tw { TW } else { 0 })
            | fs
            | self.rng.next() & (SUM | MXR | TVM | SPP | SPIE | SIE | MPIE);
        self.change(5, csr::MSTATUS, SUM | MXR | TVM | TW | TSR | FS | SPP | SPIE | SIE | MPIE, gates);
        if self.rng.one_in(2) {
            self.protect();
        }
        for _ in 0..self.rng.below(3) {
            self.change_entry();
        }
        self.a.w(e::sfence_vma(0, 0));
        self.ctx.tsr = tsr;
        self.ctx.tw = tw;
    }

    /// A PMP region on the last pages of data, with rights at random. Its ends are multiples of 8: an access that it matches in
    /// part fails in M-mode too, and handlers read whole words.
    fn protect(&mut self) {
        let r = self.rng.next();
        let fine = self.parts.fine_pmp;
        let page = DATA + DATA_SIZE - 4096 * (1 + r % 4);
        let rights = r >> 8 & 7;
        // W without R is reserved.
        let rights = if rights & 3 == 2 { rights | 1 } else { rights };
        let cfg = if r >> 16 & 1 == 0 {
            let size = [if fine { 8u64 } else { 128 }, 64, 4096, 8192][(r >> 20 & 3) as usize];
            let inside = page + (r >> 24 & 0xff8);
            self.write_csr(5, csr::PMPADDR0 + 1, (inside & !(size - 1)) >> 2 | (size / 8 - 1));
            3 << 3 | rights
        } else {
            self.write_csr(5, csr::PMPADDR0, page >> 2);
            self.write_csr(
                5,
                csr::PMPADDR0 + 1,
                (page + (r >> 24 & if fine { 0x1ff8 } else { 0x1fc0 })) >> 2,
            );
            1 << 3 | rights
        };
        self.write_csr(5, csr::PMPCFG0, 0x1f << 56 | cfg << 8);
    }

    /// A new entry in a window of small pages.
    fn change_entry(&mut self) {
        let root = self.rng.pick(&self.parts.roots);
        let k = self.rng.below(SMALL_PAGES);
        let page = DATA + 4096 * self.rng.below(DATA_SIZE / 4096);
        let entry = data_entry(&mut self.rng, 0, page);
        self.a.li(5, root.small + 8 * k);
        self.a.li(6, entry);
        self.a.w(e::sd(6, 5, 0));
    }

    /// Pending and enabled software interrupts of S-mode, taken (or not) as soon as M-mode is left.
    fn interrupt_state(&mut self) {
        if self.rng.one_in(3) {
            let bits = self.rng.next();
            self.change(5, csr::MIE, 2, bits);
            self.change(5, csr::MIP, 2, bits >> 8);
        }
    }

    /// Staying in M-mode: accesses with the rights of another mode, and its own software interrupt.
    fn machine(&mut self) {
        match self.rng.below(3) {
            0 => {
                let k = self.rng.below(self.parts.roots.len() as u64) as usize;
                let satp = self.parts.roots[k].satp;
                self.write_csr(5, csr::SATP, satp);
                self.a.w(e::sfence_vma(0, 0));
                let user = self.rng.one_in(2);
                self.change(5, csr::MSTATUS, MPP | MPRV, MPRV | if user { 0 } else { 1 << 11 });
                // Addresses of the other mode. A trap makes the next accesses U-mode's, by `mret`'s rules.
                let mode = if user { Mode::U } else { Mode::S };
                let was = self.ctx;
                self.ctx = Context { mode, root: Some(k), ..was };
                (0..4).for_each(|_| self.accesses());
                self.ctx = was;
                self.change(5, csr::MSTATUS, MPRV, 0);
            }
            1 => {
                self.change(5, csr::MSTATUS, MIE, 0);
                // Alone: QEMU takes the lowest number first, against the order of the specification.
                self.change(5, csr::MIE, 2 | 8, 8);
                self.a.li(5, MSIP);
                self.a.ws(&[e::addi(6, 0, 1), e::sw(6, 5, 0)]);
                let wait = self.a.mark();
                self.a.ws(&[e::csrr(6, csr::MIP), e::andi(6, 6, 8)]);
                self.a.branch(0, 6, 0, wait);
                self.change(5, csr::MSTATUS, MIE, MIE);
                self.a.w(e::NOP);
                self.change(5, csr::MSTATUS, MIE, 0);
                self.change(5, csr::MIE, 8, 0);
            }
            _ => {
                let value = self.rng.integer();
                self.write_csr(5, csr::MTVAL, value);
                self.a.w(e::csrr(6, csr::MISA));
            }
        }
    }

    /// From S-mode down to U-mode or within S-mode by `sret`; nothing elsewhere.
    pub(super) fn supervisor_return(&mut self) {
        if self.ctx.mode != Mode::S || self.ctx.tsr {
            return self.integers();
        }
        let user = self.rng.one_in(2);
        let bits = self.rng.next();
        // No interrupt between here and the return.
        self.change(5, csr::SSTATUS, SIE, 0);
        self.change(5, csr::SSTATUS, SPP | SPIE, bits & SPIE | if user { 0 } else { SPP });
        let identity = !user && self.rng.one_in(3);
        let next = Context { mode: if user { Mode::U } else { Mode::S }, identity, ..self.ctx };
        self.leave(next, csr::SEPC, e::SRET);
    }
}
