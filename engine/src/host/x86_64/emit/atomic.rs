//! Read-modify-writes, LR and SC, where the store TLB has the page.
//!
//! Host atomics are sequentially consistent, which is more than any ordering bits ask for. A hart without others needs none: one
//! instruction is whole for interrupts of the host, and there is nobody else to see half of it. Everything else (a miss, a misaligned
//! address, a page with code, SC without its reservation) goes to the interpreter's functions in the cold path.

use super::*;
use crate::exec::core::NOTHING_HELD;
use crate::ir::op::{Align, MMU_CURRENT, MemFlags};

/// `[r15 + disp]` of a field of the reservation.
const HELD_VA: i32 = disp!(held.va);
const HELD_VALUE: i32 = disp!(held.value);
const HELD_SIZE: i32 = disp!(held.size_log2);

impl Tier1 {
    /// AMO, LR, SC, CAS.
    pub(super) fn atomic(&mut self, op: &Op) {
        let flags = MemFlags(op.aux);
        if flags.mmu_index() != MMU_CURRENT || !(2..=3).contains(&flags.size()) {
            // The state must be whole where it faults.
            self.flush();
            self.by_interpreter(op);
            return self.cache.drop_bases();
        }
        let (b, c) = self.sources(op);
        let a = if op.code == Opcode::CompareSwap { self.compared(op, b, c) } else { Src::Zero };
        let d = if op.a == SINK { RAX } else { self.target(op, b) };
        let slow = self.buf.label();
        self.set(RAX, b);
        let flags = flags.align(Align::Trap);
        match op.code {
            Opcode::LoadReserved => self.load_reserved(flags, d, slow),
            Opcode::StoreCond => self.store_cond(flags, c, d, slow),
            _ => {
                self.look_up_store(flags, slow);
                self.modify(op, flags, a, c, d);
            }
        }
        let back = self.cold(slow);
        self.store_dirty();
        for (word, s) in [(op.a, a), (op.b, b), (op.c, c)] {
            // Guest words are in the state now.
            if let Src::Host(h) = s
                && word >= self.block.temps
            {
                self.buf.store_word(word, h);
            }
        }
        self.call_op(op);
        self.void_bases();
        if op.a != SINK {
            self.buf.load_word(d, op.a);
        }
        self.back(back);
        if op.a != SINK {
            self.result(op, d);
        }
    }

    /// The value that CAS compares with.
    fn compared(&mut self, op: &Op, b: Src, c: Src) -> Src {
        match op.a {
            a if a == op.b => b,
            a if a == op.c => c,
            a => self.source(a, NEVER),
        }
    }

    /// The access at rax + rdx, for an op that writes.
    fn modify(&mut self, op: &Op, flags: MemFlags, a: Src, c: Src, d: Host) {
        let wide = flags.size() == 3;
        x64!(self; add rdx, rax);
        match op.code {
            Opcode::AmoSwap => {
                if self.block.alone {
                    // An exchange with memory is locked without being asked.
                    let new = self.in_host(c, RCX);
                    self.read_word(wide);
                    self.write_word(wide, new);
                    return self.old(wide, d, op.a);
                }
                self.set(RAX, c);
                if wide {
                    x64!(self; xchg [rdx], rax);
                } else {
                    x64!(self; xchg [rdx], eax);
                }
            }
            Opcode::AmoAdd => {
                self.set(RAX, c);
                self.lock();
                if wide {
                    x64!(self; xadd [rdx], rax);
                } else {
                    x64!(self; xadd [rdx], eax);
                }
            }
            Opcode::AmoAnd | Opcode::AmoOr | Opcode::AmoXor if op.a == SINK => {
                return self.modify_blindly(op, wide, c);
            }
            Opcode::CompareSwap => {
                let new = self.in_host(c, RCX);
                self.set(RAX, a);
                self.lock();
                if wide {
                    x64!(self; cmpxchg [rdx], Rq(new));
                } else {
                    x64!(self; cmpxchg [rdx], Rd(new));
                }
            }
            _ => self.modify_by_trial(op, wide, c),
        }
        self.old(wide, d, op.a);
    }

    /// Makes the next instruction atomic for other harts, if there are any.
    fn lock(&mut self) {
        if !self.block.alone {
            x64!(self; .u8 0xf0);
        }
    }

    fn read_word(&mut self, wide: bool) {
        if wide {
            x64!(self; mov rax, [rdx]);
        } else {
            x64!(self; mov eax, [rdx]);
        }
    }

    fn write_word(&mut self, wide: bool, h: Host) {
        if wide {
            x64!(self; mov [rdx], Rq(h));
        } else {
            x64!(self; mov [rdx], Rd(h));
        }
    }

    /// The old value is in rax.
    fn old(&mut self, wide: bool, d: Host, a: Reg) {
        if a == SINK {
            return;
        }
        if wide {
            self.buf.mov(d, RAX);
        } else {
            x64!(self; movsxd Rq(d), eax);
        }
    }

    /// Nobody asks for the old value.
    fn modify_blindly(&mut self, op: &Op, wide: bool, c: Src) {
        let by = self.in_host(c, RCX);
        self.lock();
        match (op.code, wide) {
            (Opcode::AmoAnd, true) => x64!(self; and [rdx], Rq(by)),
            (Opcode::AmoAnd, false) => x64!(self; and [rdx], Rd(by)),
            (Opcode::AmoOr, true) => x64!(self; or [rdx], Rq(by)),
            (Opcode::AmoOr, false) => x64!(self; or [rdx], Rd(by)),
            (_, true) => x64!(self; xor [rdx], Rq(by)),
            (_, false) => x64!(self; xor [rdx], Rd(by)),
        }
    }

    /// Computes the new value from the old until nobody has come between.
    fn modify_by_trial(&mut self, op: &Op, wide: bool, c: Src) {
        let again = self.buf.label();
        self.read_word(wide);
        x64!(self; =>again);
        self.set(RCX, c);
        let keep = match op.code {
            Opcode::AmoMin => Some(Cond::LE),
            Opcode::AmoMax => Some(Cond::GE),
            Opcode::AmoMinu => Some(Cond::BE),
            Opcode::AmoMaxu => Some(Cond::AE),
            _ => None,
        };
        match (op.code, keep) {
            (Opcode::AmoAnd, _) => self.buf.alu(Alu::And, RCX, RAX),
            (Opcode::AmoOr, _) => self.buf.alu(Alu::Or, RCX, RAX),
            (Opcode::AmoXor, _) => self.buf.alu(Alu::Xor, RCX, RAX),
            (_, keep) => {
                if wide {
                    self.buf.alu(Alu::Cmp, RAX, RCX);
                } else {
                    self.buf.alu32(Alu::Cmp, RAX, RCX);
                }
                self.buf.cmov(keep.unwrap_or(Cond::E), RCX, RAX);
            }
        }
        if self.block.alone {
            return self.write_word(wide, RCX);
        }
        self.lock();
        if wide {
            x64!(self; cmpxchg [rdx], rcx);
        } else {
            x64!(self; cmpxchg [rdx], ecx);
        }
        self.buf.jcc(Cond::NE, again);
    }

    fn load_reserved(&mut self, flags: MemFlags, d: Host, slow: DynamicLabel) {
        self.look_up_load(flags, slow);
        if flags.release() {
            // LR.RL: stores before it are seen before it reads.
            self.full_fence();
        }
        let size = flags.size() as i32;
        if size == 3 {
            x64!(self; mov rcx, [rax + rdx]);
        } else {
            x64!(self; mov ecx, [rax + rdx]);
        }
        x64!(self
            ; mov [DWORD r15 + HELD_VA], rax
            ; mov [DWORD r15 + HELD_VALUE], rcx
            ; mov QWORD [DWORD r15 + HELD_SIZE], DWORD size
        );
        if size == 3 {
            self.buf.mov(d, RCX);
        } else {
            x64!(self; movsxd Rq(d), ecx);
        }
    }

    fn store_cond(&mut self, flags: MemFlags, c: Src, d: Host, slow: DynamicLabel) {
        let size = flags.size() as i32;
        x64!(self
            ; cmp rax, [DWORD r15 + HELD_VA]
            ; jne =>slow
            ; cmp QWORD [DWORD r15 + HELD_SIZE], DWORD size
            ; jne =>slow
        );
        self.look_up_store(flags, slow);
        let new = self.in_host(c, RCX);
        x64!(self
            ; add rdx, rax
            ; mov rax, [DWORD r15 + HELD_VALUE]
            ; mov QWORD [DWORD r15 + HELD_SIZE], DWORD NOTHING_HELD as i32
        );
        self.lock();
        if size == 3 {
            x64!(self; cmpxchg [rdx], Rq(new));
        } else {
            x64!(self; cmpxchg [rdx], Rd(new));
        }
        x64!(self; setne al ; movzx Rd(d), al);
    }
}
