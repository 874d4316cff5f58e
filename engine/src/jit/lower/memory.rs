//! Loads and stores: the TLB checked inline, a miss filled from a cold block. What is not ordinary memory, or faults, leaves the
//! region before the instruction, which the interpreter then does. `mem/tlb.rs` has the layout.
//!
//! The tag is compared with the page of the access's last byte, or with its first byte's page and alignment where misaligned
//! accesses must not be done here. An access that crosses pages never matches: its entry is that of the first page.

use super::Lower;
use super::pages::{Home, Mode};
use super::values::TRUSTED;
use crate::disp;
use crate::ir::op::{Align, MemFlags};
use crate::ir::{Op, Opcode};
use crate::jit::abi::{NO_PAGE, STATE};
use crate::mem::PAGE_MASK;
use crate::mem::tlb::FAST;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, BlockArg, FuncRef, InstBuilder, MemFlagsData, Value, types};
use cranelift_frontend::Variable;

/// Guest memory: mapped, because the TLB says so, and not always aligned.
pub const GUEST: MemFlagsData = MemFlagsData::new().with_notrap();

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
}

/// A slot: the page that it holds, and what to add to addresses in it.
#[derive(Clone, Copy)]
pub enum PageSlot {
    /// In variables.
    Variables([Variable; 2]),
    /// In the state, at these displacements.
    State([i32; 2]),
}

/// Makes slots.
pub fn page_slots(homes: &[Home], mut variable: impl FnMut() -> Variable) -> Vec<PageSlot> {
    let mut next = disp!(pages);
    let mut slot = |home: &Home| match home {
        Home::Variables => PageSlot::Variables([variable(), variable()]),
        Home::State => {
            next += size_of::<[u64; 2]>() as i32;
            PageSlot::State([next - 16, next - 8])
        }
    };
    homes.iter().map(&mut slot).collect()
}

impl Lower<'_> {
    /// `base + by`. A pointer that has been moved on just before is found where it was.
    pub fn offset(&mut self, base: Value, by: i64) -> Value {
        match self.moved(base) {
            _ if by == 0 => base,
            Some((before, moved)) if moved.wrapping_add(by) == 0 => before,
            // Else Cranelift looks through one addition, and makes a register of the number in the other.
            Some((before, moved)) => self.b.ins().iadd_imm_s(before, moved.wrapping_add(by)),
            None => self.b.ins().iadd_imm_s(base, by),
        }
    }

    /// Whether a misaligned access must not be done here.
    fn wants_aligned(&self, flags: MemFlags) -> bool {
        match flags.align_rule() {
            Align::Any => false,
            Align::Trap => true,
            Align::Policy => self.region.rules.traps_misaligned,
        }
    }

    /// Looks for the page of an access in the load or store table: the page, what to add to its addresses, and whether the table has
    /// another.
    pub fn look_in_table(&mut self, va: Value, flags: MemFlags, store: bool) -> [Value; 3] {
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
        // The tag last: it becomes an operand of the difference. Of a comparison that a branch makes it would not.
        let addend = self.b.ins().load(types::I64, TRUSTED, entry, 8);
        let tag = self.b.ins().load(types::I64, TRUSTED, entry, 0);
        let other = self.b.ins().bxor(page, tag);
        [page, addend, other]
    }

    /// Finds the page of an access in the load or store table, or has it brought there; leaves the region where it cannot be.
    /// Returns the page and what to add to its addresses. `cold`: it is not the likely way.
    fn look_up(&mut self, va: Value, flags: MemFlags, store: bool, cold: bool) -> [Value; 2] {
        let [page, addend, other] = self.look_in_table(va, flags, store);
        let [on, miss] = [(); 2].map(|()| self.b.create_block());
        let found = self.b.append_block_param(on, types::I64);
        self.b.set_cold_block(miss);
        if cold {
            self.b.set_cold_block(on);
        }
        // The rarer way first: Cranelift then puts it, and all that only it leads to, behind the rest, out of loops, where what
        // it needs in registers weighs least.
        self.b.ins().brif(other, miss, &[], on, &[BlockArg::Value(addend)]);

        self.go_on_in(miss);
        self.fill(va, flags, store, on);
        self.go_on_in(on);
        [page, found]
    }

    /// Has the page of an access brought into the TLB, from a cold block, and goes to `on` with what to add to its addresses; or
    /// out.
    fn fill(&mut self, va: Value, flags: MemFlags, store: bool, on: ir::Block) {
        self.state_store(va, disp!(value));
        let stub = self.page_stub(flags, store);
        self.b.ins().call(stub, &[]);
        let addend = self.state_load(types::I64, disp!(value));
        let none = self.b.ins().icmp_imm_s(IntCC::Equal, addend, NO_PAGE as i64);
        let out = self.way_out();
        // A block of its own, cold, on the way back: else what the allocator moves on that edge lies in the hot code.
        let back = self.b.create_block();
        self.b.set_cold_block(back);
        self.b.ins().brif(none, out, &[], back, &[]);
        self.go_on_in(back);
        self.b.ins().jump(on, &[BlockArg::Value(addend)]);
    }

    /// The page of an access and what to add to its addresses, brought into the TLB.
    fn filled(&mut self, va: Value, flags: MemFlags, store: bool) -> [Value; 2] {
        let on = self.b.create_block();
        let addend = self.b.append_block_param(on, types::I64);
        self.b.set_cold_block(on);
        self.fill(va, flags, store, on);
        self.go_on_in(on);
        [self.b.ins().band_imm_s(va, PAGE_MASK as i64), addend]
    }

    fn page_stub(&mut self, flags: MemFlags, store: bool) -> FuncRef {
        let pages = &mut self.out.pages;
        let wanted = (flags.0, store);
        let number = pages.iter().position(|&p| p == wanted).unwrap_or_else(|| {
            pages.push(wanted);
            pages.len() - 1
        });
        if number == self.page_stubs.len() {
            self.page_stubs.push(self.names.page_stub(&mut self.b, number as u32));
        }
        self.page_stubs[number]
    }

    /// Makes the check of an access at `base + imm`, and goes on where it hits.
    pub fn reach(&mut self, base: Value, imm: i64, flags: MemFlags, store: bool, mode: Mode) -> Reached {
        if let Mode::Try(slot) | Mode::TryLook(slot) = mode {
            let look = matches!(mode, Mode::TryLook(_));
            return self.reach_by_slot((base, imm), flags, store, self.slots[slot], look);
        }
        let va = self.offset(base, imm);
        let found = self.look_up(va, flags, store, false);
        if let Mode::Keep(slot) = mode {
            self.keep_page(self.slots[slot], found);
        }
        Reached { at: self.b.ins().iadd(found[1], va), disp: 0 }
    }

    fn keep_page(&mut self, slot: PageSlot, found: [Value; 2]) {
        for (i, value) in found.into_iter().enumerate() {
            match slot {
                PageSlot::Variables(variables) => self.b.def_var(variables[i], value),
                PageSlot::State(at) => self.state_store(value, at[i]),
            }
        }
    }

    /// The page that a slot holds (0), or what to add to addresses in it (1).
    fn kept(&mut self, slot: PageSlot, i: usize) -> Value {
        match slot {
            PageSlot::Variables(variables) => self.b.use_var(variables[i]),
            PageSlot::State(at) => self.state_load(types::I64, at[i]),
        }
    }

    /// As [`Lower::reach`], by the page in a slot; by a cold look-up if it is another, in the TLB first if `look` says so. A
    /// misaligned access is another page's.
    fn reach_by_slot(
        &mut self,
        (base, imm): (Value, i64),
        flags: MemFlags,
        store: bool,
        slot: PageSlot,
        look: bool,
    ) -> Reached {
        let va = self.offset(base, imm);
        let want = self.b.ins().band_imm_s(va, PAGE_MASK as i64 | last_byte(flags));
        let held = self.kept(slot, 0);
        let other = match slot {
            PageSlot::Variables(_) => self.b.ins().icmp(IntCC::NotEqual, want, held),
            PageSlot::State(_) => self.b.ins().bxor(want, held),
        };
        let (hit, miss) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(miss);
        self.b.ins().brif(other, miss, &[], hit, &[]);

        self.go_on_in(miss);
        // Computed again, so that it takes no register on the hot path.
        let va = self.offset(base, imm);
        let found = if look { self.look_up(va, flags, store, true) } else { self.filled(va, flags, store) };
        self.keep_page(slot, found);
        self.b.ins().jump(hit, &[]);

        self.go_on_in(hit);
        let add = self.kept(slot, 1);
        let (at, disp) = match i32::try_from(imm) {
            Ok(disp) => (base, disp),
            Err(_) => (self.offset(base, imm), 0),
        };
        Reached { at: self.b.ins().iadd(at, add), disp }
    }

    /// No slot holds a page.
    pub fn empty_slots(&mut self) {
        for slot in self.slots.clone() {
            // No page address has these low bits.
            let none = self.number(-1);
            match slot {
                PageSlot::Variables([page, add]) => {
                    let zero = self.number(0);
                    self.b.def_var(page, none);
                    self.b.def_var(add, zero);
                }
                PageSlot::State([page, _]) => self.state_store(none, page),
            }
        }
    }

    pub fn mode(&self) -> Mode {
        self.pages.mode(self.at.block, self.at.op)
    }

    /// Lowers a load.
    pub fn load(&mut self, op: &Op) {
        let base = self.get(op.b);
        let reached = self.reach(base, op.imm, MemFlags(op.aux), false, self.mode());
        let (at, disp) = (reached.at, reached.disp);
        if op.code == Opcode::Load64 && self.values.floats.is_double(op.a) {
            let value = self.b.ins().load(types::F64, GUEST, at, disp);
            return self.set_double(op.a, value);
        }
        if op.code == Opcode::LoadBox32 && self.has_single(op.a) {
            let value = self.b.ins().load(types::F32, GUEST, at, disp);
            return self.set_single(op.a, value);
        }
        let value = self.read(op.code, at, disp);
        if matches!(
            op.code,
            Opcode::LoadS8 | Opcode::LoadS16 | Opcode::LoadS32 | Opcode::LoadU8 | Opcode::LoadU16
        ) {
            self.is_signed(value);
        }
        if op.code == Opcode::LoadBox32 {
            self.is_boxed(value);
        }
        self.set(op.a, value);
    }

    /// Reads memory as a load op does.
    pub fn read(&mut self, code: Opcode, at: Value, disp: i32) -> Value {
        let i = self.b.ins();
        match code {
            Opcode::LoadS8 => i.sload8(types::I64, GUEST, at, disp),
            Opcode::LoadS16 => i.sload16(types::I64, GUEST, at, disp),
            Opcode::LoadS32 => i.sload32(GUEST, at, disp),
            Opcode::LoadU8 => i.uload8(types::I64, GUEST, at, disp),
            Opcode::LoadU16 => i.uload16(types::I64, GUEST, at, disp),
            Opcode::LoadU32 => i.uload32(GUEST, at, disp),
            Opcode::LoadBox16 => {
                let value = i.uload16(types::I64, GUEST, at, disp);
                self.b.ins().bor_imm_s(value, !0xffff)
            }
            Opcode::LoadBox32 => {
                let value = i.uload32(GUEST, at, disp);
                self.b.ins().bor_imm_s(value, !0xffff_ffff)
            }
            _ => i.load(types::I64, GUEST, at, disp),
        }
    }

    /// Lowers a store.
    pub fn store(&mut self, op: &Op) {
        let flags = MemFlags(op.aux);
        let base = self.get(op.b);
        let double = op.code == Opcode::Store64 && self.values.floats.is_double(op.c);
        self.settle(op.c);
        let value = if double { self.raw(op.c) } else { self.peek(op.c) };
        let single = if op.code == Opcode::Store32 { self.known_single(value) } else { None };
        let reached = self.reach(base, op.imm, flags, true, self.mode());
        let value = match (op.code, single) {
            (Opcode::Store32, Some(single)) => single,
            (Opcode::Store8 | Opcode::Store16 | Opcode::Store32, _) => self.low(value),
            _ => {
                self.reads_all(value);
                value
            }
        };
        let (at, disp, i) = (reached.at, reached.disp, self.b.ins());
        match op.code {
            Opcode::Store8 => i.istore8(GUEST, value, at, disp),
            Opcode::Store16 => i.istore16(GUEST, value, at, disp),
            _ => i.store(GUEST, value, at, disp),
        };
    }
}
