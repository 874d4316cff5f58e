//! Loads and stores: the TLB's answer inline, everything else in cold code.
//!
//! [`crate::mem::tlb`] has the tables. The tag is compared with the page of the access's last byte: an access that leaves its
//! page differs from the entry that its first byte selects. Where misaligned accesses trap, the low bits of the address are
//! left in, so that they differ too.

use super::*;
use crate::ir::op::{Align, MMU_CURRENT, MemFlags};
use crate::mem::tlb::FAST;

const PAGE: i32 = -4096;

/// Displacement from the state pointer of a field of the TLB's hot part.
const fn fast(field: usize) -> i32 {
    disp!(tlb.fast) + FAST[field] as i32
}

/// A value to store.
#[derive(Clone, Copy)]
enum Value {
    Host(Host),
    Vector(u8),
    Zero,
}

impl Tier1 {
    /// A load.
    pub(super) fn load(&mut self, op: &Op) {
        let flags = MemFlags(op.aux);
        let b = self.source(op.b, self.now.next.b);
        let in_state = op.a == SINK || self.uses.floats.contains(op.a);
        let d = if in_state { RAX } else { self.target(op, b) };
        let double = (in_state && op.a != SINK && op.code == Opcode::Load64).then(|| self.floats.target());
        let slow = self.buf.label();
        self.address(b, op.imm);
        if flags.mmu_index() == MMU_CURRENT {
            self.look_up_load(flags, slow);
            match double {
                Some(x) => x64!(self; movsd Rx(x), [rax + rdx]),
                None => self.read_host(op.code, d),
            }
        } else {
            x64!(self; jmp =>slow);
        }
        let back = self.cold(slow);
        self.store_dirty();
        self.describe(op.aux);
        x64!(self; call QWORD [DWORD r15 + disp!(thunks.load)]);
        match double {
            Some(x) => x64!(self; movsd Rx(x), [DWORD r15 + disp!(value)]),
            None => self.read_value(op.code, d),
        }
        self.back(back);
        if let Some(x) = double {
            self.floats.loaded(&mut self.buf, op.a, x);
            self.cache.forget(op.a);
        } else {
            self.loaded(op, d, in_state);
        }
    }

    fn loaded(&mut self, op: &Op, d: Host, in_state: bool) {
        let high = match op.code {
            Opcode::LoadBox16 => !0xffff,
            Opcode::LoadBox32 => !0xffff_ffff,
            _ => 0,
        };
        if high != 0 {
            self.buf.mov_imm(RCX, high);
            self.buf.alu(Alu::Or, d, RCX);
        }
        if !in_state {
            self.result(op, d);
        } else if op.a != SINK {
            self.buf.store_word(op.a, d);
            self.cache.forget(op.a);
            if self.now.next.a != NEVER {
                self.floats.keep(&mut self.buf, op.a, d);
            }
        }
    }

    /// A store.
    pub(super) fn store(&mut self, op: &Op) {
        let flags = MemFlags(op.aux);
        let x = if flags.size() < 2 { None } else { self.floats.held(op.c) };
        let (b, c) = if x.is_some() {
            self.cache.read(op.c, self.now.next.c);
            (self.source(op.b, self.now.next.b), Src::Zero)
        } else {
            self.sources(op)
        };
        let slow = self.buf.label();
        self.address(b, op.imm);
        if flags.mmu_index() == MMU_CURRENT {
            self.look_up_store(flags, slow);
            let value = x.map_or_else(|| self.value(c, RCX), Value::Vector);
            self.write_host(flags.size(), value);
        } else {
            x64!(self; jmp =>slow);
        }
        let back = self.cold(slow);
        self.store_dirty();
        match x.map_or_else(|| self.value(c, RDX), Value::Vector) {
            Value::Vector(x) => x64!(self; movsd [DWORD r15 + disp!(value)], Rx(x)),
            Value::Host(h) => x64!(self; mov [DWORD r15 + disp!(value)], Rq(h)),
            Value::Zero => x64!(self; mov QWORD [DWORD r15 + disp!(value)], DWORD 0),
        }
        self.describe(op.aux);
        x64!(self; call QWORD [DWORD r15 + disp!(thunks.store)]);
        self.back(back);
    }

    fn value(&mut self, c: Src, scratch: Host) -> Value {
        match c {
            Src::Host(h) => Value::Host(h),
            Src::Word(_) => Value::Host(self.in_host(c, scratch)),
            Src::Zero => Value::Zero,
        }
    }

    /// rax = base + imm
    fn address(&mut self, base: Src, imm: i64) {
        match base {
            Src::Host(h) => self.offset(RAX, h, imm),
            Src::Zero => self.buf.mov_imm(RAX, imm),
            Src::Word(word) => {
                self.buf.load_word(RAX, word);
                if imm != 0 {
                    self.alu_imm(Alu::Add, RAX, imm);
                }
            }
        }
    }

    /// [`Tier1::look_up`] in the load table.
    pub(super) fn look_up_load(&mut self, flags: MemFlags, slow: DynamicLabel) {
        self.look_up(flags, fast(0), fast(1), slow);
    }

    /// [`Tier1::look_up`] in the store table.
    pub(super) fn look_up_store(&mut self, flags: MemFlags, slow: DynamicLabel) {
        self.look_up(flags, fast(2), fast(3), slow);
    }

    /// Finds the host address of the access at rax: it is rax + rdx. Goes to `slow` with rax as it was if the TLB has
    /// none. Uses rcx.
    fn look_up(&mut self, flags: MemFlags, table: i32, mask: i32, slow: DynamicLabel) {
        let traps = match flags.align_rule() {
            Align::Policy => self.block.traps_misaligned,
            Align::Trap => true,
            Align::Any => false,
        };
        let last = (1i32 << flags.size()) - 1;
        if self.features.bmi2 {
            x64!(self; rorx rcx, rax, 8);
        } else {
            x64!(self; mov rcx, rax ; shr rcx, 8);
        }
        x64!(self; and rcx, [DWORD r15 + mask] ; add rcx, [DWORD r15 + table]);
        if traps || last == 0 {
            x64!(self; mov rdx, rax ; and rdx, DWORD PAGE | last);
        } else {
            x64!(self; lea rdx, [BYTE rax + last as i8] ; and rdx, DWORD PAGE);
        }
        x64!(self; cmp rdx, [rcx]);
        self.buf.jcc(Cond::NE, slow);
        x64!(self; mov rdx, [BYTE rcx + 8]);
    }

    fn read_host(&mut self, code: Opcode, d: Host) {
        use Opcode::*;
        match code {
            LoadS8 => x64!(self; movsx Rq(d), BYTE [rax + rdx]),
            LoadS16 => x64!(self; movsx Rq(d), WORD [rax + rdx]),
            LoadS32 => x64!(self; movsxd Rq(d), DWORD [rax + rdx]),
            LoadU8 => x64!(self; movzx Rd(d), BYTE [rax + rdx]),
            LoadU16 | LoadBox16 => x64!(self; movzx Rd(d), WORD [rax + rdx]),
            LoadU32 | LoadBox32 => x64!(self; mov Rd(d), [rax + rdx]),
            _ => x64!(self; mov Rq(d), [rax + rdx]),
        }
    }

    /// What the thunk read.
    fn read_value(&mut self, code: Opcode, d: Host) {
        use Opcode::*;
        const VALUE: i32 = disp!(value);
        match code {
            LoadS8 => x64!(self; movsx Rq(d), BYTE [DWORD r15 + VALUE]),
            LoadS16 => x64!(self; movsx Rq(d), WORD [DWORD r15 + VALUE]),
            LoadS32 => x64!(self; movsxd Rq(d), DWORD [DWORD r15 + VALUE]),
            _ => x64!(self; mov Rq(d), [DWORD r15 + VALUE]),
        }
    }

    fn write_host(&mut self, size: u32, value: Value) {
        match (value, size) {
            (Value::Host(h), 0) => x64!(self; mov [rax + rdx], Rb(h)),
            (Value::Host(h), 1) => x64!(self; mov [rax + rdx], Rw(h)),
            (Value::Host(h), 2) => x64!(self; mov [rax + rdx], Rd(h)),
            (Value::Host(h), _) => x64!(self; mov [rax + rdx], Rq(h)),
            (Value::Vector(x), 2) => x64!(self; movss [rax + rdx], Rx(x)),
            (Value::Vector(x), _) => x64!(self; movsd [rax + rdx], Rx(x)),
            (Value::Zero, 0) => x64!(self; mov BYTE [rax + rdx], BYTE 0),
            (Value::Zero, 1) => x64!(self; mov WORD [rax + rdx], WORD 0),
            (Value::Zero, 2) => x64!(self; mov DWORD [rax + rdx], DWORD 0),
            (Value::Zero, _) => x64!(self; mov QWORD [rax + rdx], DWORD 0),
        }
    }
}
