//! The block's head, and how it is left.

use super::*;
use crate::cache::jump::index;
use crate::exec::core::JumpEntry;
use crate::jit::abi::Exit;
use crate::jit::record::{HEAT, LEFT, link_offset};
use crate::mem::PAGE_SIZE;
use std::mem::offset_of;

impl Tier1 {
    /// Heat, budget, poll.
    pub(super) fn head(&mut self) {
        self.count_heat();
        let poll = self.buf.label();
        let may_run = self.charge();
        self.buf.jcc(may_run.not(), poll);
        self.buf.cold();
        x64!(self; =>poll);
        self.poll();
        self.buf.hot();
    }

    /// As the head, at the end of a round of a loop.
    pub(super) fn head_again(&mut self, again: DynamicLabel) {
        self.count_heat();
        let may_run = self.charge();
        self.buf.jcc(may_run, again);
        self.poll();
    }

    fn count_heat(&mut self) {
        if self.block.profile != Profile::Runs {
            return;
        }
        let hot = self.buf.label();
        x64!(self; dec DWORD [rip + 0]);
        self.record(HEAT);
        self.buf.jcc(Cond::S, hot);
        self.buf.cold();
        x64!(self; =>hot);
        self.store_dirty();
        x64!(self; lea rax, [rip + 0]);
        // Records are aligned: the kind of exit goes into the low bits of the address.
        self.record(Exit::HOT as i32);
        self.leave();
        self.buf.hot();
    }

    /// Takes the block's instructions from the budget; the condition says that it may run.
    fn charge(&mut self) -> Cond {
        self.buf.alu_imm(Alu::Sub, RSI, self.block.insns as i32);
        x64!(self; mov rax, [DWORD r15 + disp!(limit)] ; cmp rsi, [rax]);
        Cond::GE
    }

    /// Leaves at the block's pc with nothing done.
    fn poll(&mut self) {
        self.buf.alu_imm(Alu::Add, RSI, self.block.insns as i32);
        self.store_dirty();
        self.leave_with(Exit::POLL);
    }

    /// Leaves at rdi with the word in rax.
    fn leave(&mut self) {
        x64!(self; jmp QWORD [DWORD r15 + disp!(thunks.leave)]);
    }

    fn leave_with(&mut self, kind: u64) {
        x64!(self; mov eax, DWORD kind as i32);
        self.leave();
    }

    pub(super) fn branch(&mut self, op: &Op) {
        let cond = match op.code {
            Opcode::BrEq => Cond::E,
            Opcode::BrNe => Cond::NE,
            Opcode::BrLt => Cond::L,
            Opcode::BrGe => Cond::GE,
            Opcode::BrLtu => Cond::B,
            _ => Cond::AE,
        };
        let (b, c) = self.sources(op);
        if self.block.again.is_some() {
            return self.branch_back(op, cond, b, c);
        }
        self.flush();
        let taken = self.buf.label();
        let cond = self.compare(cond, b, c);
        self.buf.jcc(cond, taken);
        self.count_left();
        self.go(0, i64::from(op.aux));
        x64!(self; =>taken);
        self.go(1, op.imm);
    }

    /// Counts exit 0 of a branch.
    pub(super) fn count_left(&mut self) {
        if self.block.profile != Profile::Nothing {
            x64!(self; inc DWORD [rip + 0]);
            self.record(LEFT);
        }
    }

    pub(super) fn jump(&mut self, op: &Op) {
        if op.a != SINK {
            self.buf.lea(RAX, RDI, op.aux as i32);
            self.cache.forget(op.a);
            self.buf.store_word(op.a, RAX);
        }
        if self.block.again.is_some() {
            return self.go_back();
        }
        self.flush();
        self.go(1, op.imm);
    }

    pub(super) fn exit(&mut self, op: &Op) {
        self.flush();
        self.go(0, op.imm);
    }

    pub(super) fn jump_reg(&mut self, op: &Op) {
        let b = self.source(op.b, self.now.next.b);
        match b {
            Src::Host(h) => self.offset(RAX, h, op.imm),
            _ => {
                self.set(RAX, b);
                self.alu_imm(Alu::Add, RAX, op.imm);
            }
        }
        self.buf.alu_imm(Alu::And, RAX, -2);
        if op.a != SINK {
            self.buf.lea(RCX, RDI, op.aux as i32);
            self.cache.forget(op.a);
            self.buf.store_word(op.a, RCX);
        }
        self.flush();
        self.buf.mov(RDI, RAX);
        self.probe();
    }

    /// Goes on at `offset` from the block's pc by exit `n`.
    pub(super) fn go(&mut self, n: usize, offset: i64) {
        if self.is_linkable(offset) {
            self.buf.lea(RDI, RDI, offset as i32);
            x64!(self; jmp QWORD [rip + 0]);
            self.record(link_offset(n));
            self.stubs[n] = Some(self.buf.label());
            return;
        }
        match i32::try_from(offset) {
            Ok(offset) => self.buf.lea(RDI, RDI, offset),
            Err(_) => {
                self.buf.mov_imm(RAX, offset);
                self.buf.alu(Alu::Add, RDI, RAX);
            }
        }
        self.probe();
    }

    /// Whether an exit stays in the page.
    pub(super) fn is_linkable(&self, offset: i64) -> bool {
        let target = i64::from(self.block.page_offset).wrapping_add(offset);
        self.block.one_page && (0..PAGE_SIZE as i64).contains(&target)
    }

    /// The cold stubs of the links that were used.
    pub(super) fn link_stubs(&mut self) {
        self.buf.cold();
        for n in 0..self.stubs.len() {
            let Some(stub) = self.stubs[n] else { continue };
            x64!(self; =>stub ; lea rax, [rip + 0]);
            self.record(link_offset(n));
            self.leave();
        }
        self.buf.hot();
    }

    /// Goes on at rdi if the jump cache knows it.
    fn probe(&mut self) {
        const _: () = assert!(offset_of!(JumpEntry, pc) == 0);
        let miss = self.buf.label();
        if self.features.bmi2 {
            x64!(self; rorx eax, edi, index::FOLD as i8);
        } else {
            x64!(self; mov eax, edi ; shr eax, BYTE index::FOLD as i8);
        }
        x64!(self
            ; xor eax, edi
            ; and eax, DWORD index::MASK as i32
            ; shl eax, BYTE index::SHIFT as i8
            ; add rax, [DWORD r15 + disp!(jumps)]
            ; mov rcx, [DWORD r15 + disp!(tag)]
            ; cmp rdi, [rax]
            ; jne =>miss
            ; cmp rcx, [BYTE rax + offset_of!(JumpEntry, tag) as i8]
            ; jne =>miss
            ; mov rax, [BYTE rax + offset_of!(JumpEntry, record) as i8]
            ; inc QWORD [DWORD r15 + disp!(jump_hits)]
            ; jmp QWORD [rax]
        );
        self.buf.cold();
        x64!(self; =>miss ; jmp QWORD [DWORD r15 + disp!(thunks.lookup)]);
        self.buf.hot();
    }
}
