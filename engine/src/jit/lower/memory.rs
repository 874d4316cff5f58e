//! Loads and stores: the TLB checked inline, the rest in a cold block. `mem/tlb.rs` has the layout.
//!
//! The tag is compared with the page of the access's last byte, or with its first byte's page and alignment where misaligned
//! accesses must not be done here. An access that crosses pages never matches: its entry is that of the first page.

use super::Lower;
use super::values::TRUSTED;
use crate::disp;
use crate::ir::op::{Align, MemFlags};
use crate::ir::{Op, Opcode};
use crate::jit::abi::STATE;
use crate::mem::PAGE_MASK;
use crate::mem::tlb::FAST;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, BlockArg, InstBuilder, MemFlagsData, Value, types};

/// Guest memory: mapped, because the TLB says so, and not always aligned.
const GUEST: MemFlagsData = MemFlagsData::new().with_notrap();

/// Displacement of a word of [`crate::mem::tlb::Fast`] from the state pointer.
fn fast(word: usize) -> i32 {
    disp!(tlb.fast) + FAST[word] as i32
}

// The hot part of the TLB lies below the state pointer.
const _: () = assert!(disp!(tlb.fast) < 0 && STATE > 0);

/// Where the inline check has led: both ways, not yet filled in.
pub struct Checked {
    /// The entry of the address in the table.
    pub entry: Value,
    /// Where the access is done.
    pub hit: ir::Block,
    /// Where the slow path begins; cold.
    pub miss: ir::Block,
}

impl Lower<'_> {
    /// The guest address of an access.
    pub fn virtual_address(&mut self, op: &Op) -> Value {
        let base = self.get(op.b);
        if op.imm == 0 { base } else { self.b.ins().iadd_imm_s(base, op.imm) }
    }

    /// Whether a misaligned access must take the slow path.
    fn wants_aligned(&self, flags: MemFlags) -> bool {
        match flags.align_rule() {
            Align::Any => false,
            Align::Trap => true,
            Align::Policy => self.region.rules.traps_misaligned,
        }
    }

    /// Looks `va` up in the load or store table and branches. Goes on nowhere.
    pub fn check(&mut self, va: Value, flags: MemFlags, store: bool) -> Checked {
        let (table, mask) = if store { (fast(2), fast(3)) } else { (fast(0), fast(1)) };
        let last = (1i64 << flags.size()) - 1;
        // Each load stands right before what uses it, so that it becomes its operand.
        let index = self.b.ins().ushr_imm_s(va, 8);
        let mask = self.state_load(types::I64, mask);
        let index = self.b.ins().band(index, mask);
        let table = self.state_load(types::I64, table);
        let entry = self.b.ins().iadd(index, table);
        let want = if self.wants_aligned(flags) {
            self.b.ins().band_imm_s(va, PAGE_MASK as i64 | last)
        } else {
            let end = if last == 0 { va } else { self.b.ins().iadd_imm_s(va, last) };
            self.b.ins().band_imm_s(end, PAGE_MASK as i64)
        };
        let tag = self.b.ins().load(types::I64, TRUSTED, entry, 0);
        let same = self.b.ins().icmp(IntCC::Equal, want, tag);
        let (hit, miss) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(miss);
        self.b.ins().brif(same, hit, &[], miss, &[]);
        Checked { entry, hit, miss }
    }

    /// The host address of a hit.
    pub fn host_address(&mut self, va: Value, entry: Value) -> Value {
        let addend = self.b.ins().load(types::I64, TRUSTED, entry, 8);
        self.b.ins().iadd(addend, va)
    }

    /// Lowers a load.
    pub fn load(&mut self, op: &Op) {
        let flags = MemFlags(op.aux);
        let va = self.virtual_address(op);
        let checked = self.check(va, flags, false);
        let done = self.b.create_block();
        let double = op.code == Opcode::Load64 && self.values.floats.is_double(op.a);
        let result = self.b.append_block_param(done, if double { types::F64 } else { types::I64 });

        self.go_on_in(checked.hit);
        let at = self.host_address(va, checked.entry);
        let value = self.read(op.code, double, GUEST, at, 0);
        self.b.ins().jump(done, &[BlockArg::Value(value)]);

        self.go_on_in(checked.miss);
        self.slow_load(va, flags);
        let state = self.state();
        let value = self.read(op.code, double, TRUSTED, state, disp!(value));
        self.b.ins().jump(done, &[BlockArg::Value(value)]);

        self.go_on_in(done);
        if matches!(
            op.code,
            Opcode::LoadS8 | Opcode::LoadS16 | Opcode::LoadS32 | Opcode::LoadU8 | Opcode::LoadU16
        ) {
            self.is_signed(result);
        }
        if op.code == Opcode::LoadBox32 {
            self.is_boxed(result);
        }
        if double { self.set_double(op.a, result) } else { self.set(op.a, result) }
    }

    /// Reads memory as a load op does.
    fn read(&mut self, code: Opcode, double: bool, flags: MemFlagsData, at: Value, disp: i32) -> Value {
        let i = self.b.ins();
        match code {
            _ if double => i.load(types::F64, flags, at, disp),
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
        let va = self.virtual_address(op);
        let double = op.code == Opcode::Store64 && self.values.floats.is_double(op.c);
        let value = if double { self.raw(op.c) } else { self.get(op.c) };
        let checked = self.check(va, flags, true);
        let done = self.b.create_block();

        self.go_on_in(checked.hit);
        let at = self.host_address(va, checked.entry);
        let i = self.b.ins();
        match op.code {
            Opcode::Store8 => i.istore8(GUEST, value, at, 0),
            Opcode::Store16 => i.istore16(GUEST, value, at, 0),
            Opcode::Store32 => i.istore32(GUEST, value, at, 0),
            _ => i.store(GUEST, value, at, 0),
        };
        self.b.ins().jump(done, &[]);

        self.go_on_in(checked.miss);
        let value = if double { self.b.ins().bitcast(types::I64, MemFlagsData::new(), value) } else { value };
        self.slow_store(va, flags, value);
        self.b.ins().jump(done, &[]);

        self.go_on_in(done);
    }
}
