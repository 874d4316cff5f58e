//! Loads and stores: the TLB checked inline, the rest in a cold block. `mem/tlb.rs` has the layout.
//!
//! The tag is compared with the page of the access's last byte, or with its first byte's page and alignment where misaligned
//! accesses must not be done here. An access that crosses pages never matches: its entry is that of the first page.

use super::Lower;
use super::pages::Mode;
use super::values::TRUSTED;
use crate::disp;
use crate::ir::op::{Align, MemFlags};
use crate::ir::{Op, Opcode};
use crate::jit::abi::STATE;
use crate::mem::PAGE_MASK;
use crate::mem::tlb::FAST;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, BlockArg, InstBuilder, MemFlagsData, Value, types};
use cranelift_frontend::Variable;

/// Guest memory: mapped, because the TLB says so, and not always aligned.
const GUEST: MemFlagsData = MemFlagsData::new().with_notrap();

/// Offset of the last byte of an access.
const fn last_byte(flags: MemFlags) -> i64 {
    (1 << flags.size()) - 1
}

/// Displacement of a word of [`crate::mem::tlb::Fast`] from the state pointer.
fn fast(word: usize) -> i32 {
    disp!(tlb.fast) + FAST[word] as i32
}

// The hot part of the TLB lies below the state pointer.
const _: () = assert!(disp!(tlb.fast) < 0 && STATE > 0);

/// An access whose check has been made: lowering stands where it hits.
pub struct Reached {
    /// The host address, less `disp`.
    pub at: Value,
    /// To be added to it.
    pub disp: i32,
    /// Where the slow path begins; cold, and still empty.
    pub miss: ir::Block,
    /// The guest address, there.
    pub va: Value,
}

/// A page's look-up in the TLB that has branched, both ways not yet filled in.
struct Looked {
    entry: Value,
    /// The page, if it hits.
    page: Value,
    hit: ir::Block,
    miss: ir::Block,
}

impl Lower<'_> {
    fn offset(&mut self, base: Value, by: i64) -> Value {
        if by == 0 { base } else { self.b.ins().iadd_imm_s(base, by) }
    }

    /// Whether a misaligned access must take the slow path.
    fn wants_aligned(&self, flags: MemFlags) -> bool {
        match flags.align_rule() {
            Align::Any => false,
            Align::Trap => true,
            Align::Policy => self.region.rules.traps_misaligned,
        }
    }

    /// Looks `va` up in the load or store table.
    fn look_up(&mut self, va: Value, flags: MemFlags, store: bool) -> Looked {
        let (table, mask) = if store { (fast(2), fast(3)) } else { (fast(0), fast(1)) };
        let last = last_byte(flags);
        let index = self.b.ins().ushr_imm_s(va, 8);
        let mask = self.state_load(types::I64, mask);
        let index = self.b.ins().band(index, mask);
        let table = self.state_load(types::I64, table);
        let entry = self.b.ins().iadd(index, table);
        let page = if self.wants_aligned(flags) {
            self.b.ins().band_imm_s(va, PAGE_MASK as i64 | last)
        } else {
            let end = self.offset(va, last);
            self.b.ins().band_imm_s(end, PAGE_MASK as i64)
        };
        let tag = self.b.ins().load(types::I64, TRUSTED, entry, 0);
        let same = self.b.ins().icmp(IntCC::Equal, page, tag);
        let (hit, miss) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(miss);
        self.b.ins().brif(same, hit, &[], miss, &[]);
        Looked { entry, page, hit, miss }
    }

    /// Makes the check of an access at `base + imm`, and goes on where it hits.
    pub fn reach(&mut self, base: Value, imm: i64, flags: MemFlags, store: bool, mode: Mode) -> Reached {
        if let Mode::Try(slot) = mode {
            return self.reach_by_slot(base, imm, flags, store, self.slots[slot]);
        }
        let va = self.offset(base, imm);
        let looked = self.look_up(va, flags, store);
        self.go_on_in(looked.hit);
        let addend = self.b.ins().load(types::I64, TRUSTED, looked.entry, 8);
        if let Mode::Keep(slot) = mode {
            let [page, add] = self.slots[slot];
            self.b.def_var(page, looked.page);
            self.b.def_var(add, addend);
        }
        Reached { at: self.b.ins().iadd(addend, va), disp: 0, miss: looked.miss, va }
    }

    /// As [`Lower::reach`], by the page in a slot; by the TLB, cold, if it is another. A misaligned access is another page's.
    fn reach_by_slot(
        &mut self,
        base: Value,
        imm: i64,
        flags: MemFlags,
        store: bool,
        [page, add]: [Variable; 2],
    ) -> Reached {
        let va = self.offset(base, imm);
        let want = self.b.ins().band_imm_s(va, PAGE_MASK as i64 | last_byte(flags));
        let held = self.b.use_var(page);
        let same = self.b.ins().icmp(IntCC::Equal, want, held);
        let (hit, other) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(other);
        self.b.ins().brif(same, hit, &[], other, &[]);

        self.go_on_in(other);
        // Computed again, so that it takes no register on the hot path.
        let va = self.offset(base, imm);
        let looked = self.look_up(va, flags, store);
        self.go_on_in(looked.hit);
        self.b.set_cold_block(looked.hit);
        let addend = self.b.ins().load(types::I64, TRUSTED, looked.entry, 8);
        self.b.def_var(page, looked.page);
        self.b.def_var(add, addend);
        self.b.ins().jump(hit, &[]);

        self.go_on_in(hit);
        let add = self.b.use_var(add);
        let (at, disp) = match i32::try_from(imm) {
            Ok(disp) => (base, disp),
            Err(_) => (self.offset(base, imm), 0),
        };
        Reached { at: self.b.ins().iadd(at, add), disp, miss: looked.miss, va }
    }

    /// No slot holds a page.
    pub fn empty_slots(&mut self) {
        for [page, add] in self.slots.clone() {
            // No page address has these low bits.
            let (none, zero) = (self.number(-1), self.number(0));
            self.b.def_var(page, none);
            self.b.def_var(add, zero);
        }
    }

    fn mode(&self) -> Mode {
        self.pages.mode(self.at.block, self.at.op)
    }

    /// Lowers a load.
    pub fn load(&mut self, op: &Op) {
        let flags = MemFlags(op.aux);
        let base = self.get(op.b);
        let reached = self.reach(base, op.imm, flags, false, self.mode());
        let done = self.b.create_block();
        let result = self.b.append_block_param(done, types::I64);
        let value = self.read(op.code, GUEST, reached.at, reached.disp);
        self.b.ins().jump(done, &[BlockArg::Value(value)]);

        self.go_on_in(reached.miss);
        self.slow_load(reached.va, flags);
        let state = self.state();
        let value = self.read(op.code, TRUSTED, state, disp!(value));
        self.b.ins().jump(done, &[BlockArg::Value(value)]);

        self.go_on_in(done);
        if matches!(
            op.code,
            Opcode::LoadS8 | Opcode::LoadS16 | Opcode::LoadS32 | Opcode::LoadU8 | Opcode::LoadU16
        ) {
            self.is_signed(result);
        }
        self.set(op.a, result);
    }

    /// Reads memory as a load op does.
    fn read(&mut self, code: Opcode, flags: MemFlagsData, at: Value, disp: i32) -> Value {
        let i = self.b.ins();
        match code {
            Opcode::LoadS8 => i.sload8(types::I64, flags, at, disp),
            Opcode::LoadS16 => i.sload16(types::I64, flags, at, disp),
            Opcode::LoadS32 => i.sload32(flags, at, disp),
            Opcode::LoadU8 => i.uload8(types::I64, flags, at, disp),
            Opcode::LoadU16 => i.uload16(types::I64, flags, at, disp),
            Opcode::LoadU32 => i.uload32(flags, at, disp),
            Opcode::LoadBox16 => {
                let value = i.uload16(types::I64, flags, at, disp);
                self.b.ins().bor_imm_s(value, !0xffff)
            }
            Opcode::LoadBox32 => {
                let value = i.uload32(flags, at, disp);
                self.b.ins().bor_imm_s(value, !0xffff_ffff)
            }
            _ => i.load(types::I64, flags, at, disp),
        }
    }

    /// Lowers a store.
    pub fn store(&mut self, op: &Op) {
        let flags = MemFlags(op.aux);
        let (base, value) = (self.get(op.b), self.get(op.c));
        let reached = self.reach(base, op.imm, flags, true, self.mode());
        let done = self.b.create_block();
        let (at, disp, i) = (reached.at, reached.disp, self.b.ins());
        match op.code {
            Opcode::Store8 => i.istore8(GUEST, value, at, disp),
            Opcode::Store16 => i.istore16(GUEST, value, at, disp),
            Opcode::Store32 => i.istore32(GUEST, value, at, disp),
            _ => i.store(GUEST, value, at, disp),
        };
        self.b.ins().jump(done, &[]);

        self.go_on_in(reached.miss);
        self.slow_store(reached.va, flags, value);
        self.b.ins().jump(done, &[]);

        self.go_on_in(done);
    }
}
