//! Words of the register file as values, and what is known of values inside a block.

use super::Lower;
use super::float::Floats;
use super::narrow::Narrow;
use crate::ir::op::{Op, Reg, SINK};
use crate::ir::regset::RegSet;
use crate::jit::abi::reg_disp;
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::Variable;
use rustc_hash::FxHashMap;

/// Accesses to the state and the record: always mapped.
pub const TRUSTED: MemFlagsData = MemFlagsData::trusted();

/// Values of words and facts about values.
pub struct Values {
    zero: Option<Reg>,
    /// Guest registers, over the whole region.
    variables: [Option<Variable>; 256],
    /// Temporaries of the block.
    temps: [Option<Value>; 256],
    /// Guest words that the block has written.
    pub written: RegSet,
    /// What is known of values as 32-bit words.
    pub narrow: Narrow,
    /// What is known of floats.
    pub floats: Floats,
    /// Values that are guest addresses, relative to the region's entry.
    addresses: FxHashMap<Value, i64>,
    /// The state pointer as a value of this block.
    state: Option<(ir::Block, Value)>,
}

impl Values {
    pub fn new(zero: Option<Reg>, floats: Floats) -> Values {
        Values {
            zero,
            floats,
            addresses: FxHashMap::default(),
            variables: [None; 256],
            temps: [None; 256],
            written: RegSet::default(),
            narrow: Narrow::default(),
            state: None,
        }
    }

    /// The value is the guest address at this distance from the region's entry.
    pub fn is_address(&mut self, value: Value, offset: i64) {
        self.addresses.insert(value, offset);
    }

    /// The distance of the guest address that the value is known to be.
    pub fn address_of(&self, value: Value) -> Option<i64> {
        self.addresses.get(&value).copied()
    }

    /// Forgets what holds in a block only.
    pub fn start_block(&mut self) {
        self.temps = [None; 256];
        self.written = RegSet::default();
        self.narrow.start_block();
        self.floats.start_block();
        self.state = None;
    }
}

impl Lower<'_> {
    /// The state pointer.
    pub fn state(&mut self) -> Value {
        let block = self.b.current_block();
        match self.values.state {
            Some((at, value)) if Some(at) == block => value,
            _ => {
                let value = self.b.ins().get_pinned_reg(types::I64);
                self.values.state = block.map(|b| (b, value));
                value
            }
        }
    }

    /// Loads from the state.
    pub fn state_load(&mut self, ty: Type, disp: i32) -> Value {
        let state = self.state();
        self.b.ins().load(ty, TRUSTED, state, disp)
    }

    /// Stores to the state.
    pub fn state_store(&mut self, value: Value, disp: i32) {
        let state = self.state();
        self.b.ins().store(TRUSTED, value, state, disp);
    }

    /// The variable of a guest word, whose type is [`Floats::type_of`].
    pub fn variable(&mut self, reg: Reg) -> Variable {
        let ty = self.values.floats.type_of(reg);
        let slot = &mut self.values.variables[usize::from(reg)];
        *slot.get_or_insert_with(|| self.b.declare_var(ty))
    }

    /// The value of a word, all of which is read.
    pub fn get(&mut self, reg: Reg) -> Value {
        let value = self.peek(reg);
        self.reads_all(value);
        value
    }

    /// The value of a word of which the low word may be enough.
    pub fn peek(&mut self, reg: Reg) -> Value {
        if Some(reg) == self.values.zero {
            return self.number(0);
        }
        if self.live.guest.contains(reg) {
            self.settle(reg);
            let value = self.raw(reg);
            return self.as_bits(value);
        }
        match self.values.temps[usize::from(reg)] {
            Some(value) => value,
            None => {
                // Left there by an op that was run by the interpreter's meaning.
                let value = self.state_load(types::I64, reg_disp(reg));
                self.values.temps[usize::from(reg)] = Some(value);
                value
            }
        }
    }

    /// Gives a word a value.
    pub fn set(&mut self, reg: Reg, value: Value) {
        if reg == SINK || Some(reg) == self.values.zero {
            return;
        }
        if self.live.guest.contains(reg) {
            self.overwrites(reg);
            let variable = self.variable(reg);
            self.follow(reg, value);
            let value = if self.values.floats.is_double(reg) { self.as_double(value) } else { value };
            self.ways.written(reg);
            self.values.written.insert(reg);
            self.b.def_var(variable, value);
        } else {
            self.values.temps[usize::from(reg)] = Some(value);
        }
    }

    /// The value of a guest word as its variable has it.
    pub fn raw(&mut self, reg: Reg) -> Value {
        let variable = self.variable(reg);
        let value = self.b.use_var(variable);
        // Behind a check whose ways join again it is another name of the same.
        self.b.func.dfg.resolve_aliases(value)
    }

    /// Reads a guest word from the state.
    pub fn read_again(&mut self, reg: Reg) {
        self.overwrites(reg);
        let variable = self.variable(reg);
        let value = self.state_load(self.values.floats.type_of(reg), reg_disp(reg));
        self.ways.written(reg);
        self.b.def_var(variable, value);
        self.follow(reg, value);
    }

    /// The state has a newer value of this temporary.
    pub fn forget_temp(&mut self, reg: Reg) {
        self.values.temps[usize::from(reg)] = None;
    }

    /// Brings a temporary into the state, where an op is run by the interpreter's meaning.
    pub fn store_temp(&mut self, reg: Reg) {
        if !self.live.guest.contains(reg)
            && let Some(value) = self.values.temps[usize::from(reg)]
        {
            self.state_store(value, reg_disp(reg));
        }
    }

    /// A number.
    pub fn number(&mut self, n: i64) -> Value {
        let value = self.b.ins().iconst(types::I64, n);
        if n == n as i32 as i64 {
            self.is_signed(value);
        }
        value
    }

    /// Lowers an op that reads and writes words only.
    pub fn value(&mut self, op: &Op) {
        if op.code.shape() == crate::ir::op::Shape::Float {
            return self.float(op);
        }
        let value = self.integer(op);
        self.set(op.a, value);
    }
}
