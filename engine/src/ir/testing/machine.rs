//! The reference evaluator.
//!
//! It records what the guest (or a debugger) can observe: at every op that may raise an exception the whole guest
//! state, every access and call with its operands, the exit, and the guest registers at the end. Two blocks
//! that leave the same record for the same start are the same to the guest.

use super::{TEMPS, helper};
use crate::guest::HelperDesc;
use crate::ir::eval;
use crate::ir::{Block, CallSite, Op, Opcode, SINK};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Address of the blocks.
pub const PC: u64 = 0xffff_ffff_8000_1000;

/// What the guest can observe at one point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Guest registers where an exception may be raised, and the guest instruction to blame.
    Visible(Vec<u64>, usize),
    /// An op with an effect, and the values that go into it.
    Effect(Opcode, Vec<u64>),
    /// Where the block goes on.
    Leave(u64),
}

/// Registers and the record so far.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The register file.
    pub regs: [u64; 256],
    /// The record.
    pub events: Vec<Event>,
    /// The helper table.
    pub helper: fn(u16) -> Option<&'static HelperDesc>,
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Machine {
    /// Registers with values made from `seed`, some of them small.
    pub fn new(seed: u64) -> Machine {
        let mut regs = [0; 256];
        for (i, reg) in regs.iter_mut().enumerate().skip(1) {
            let value = hash((seed, i));
            *reg = match value % 4 {
                0 => value >> 8 & 1,
                1 => value as i8 as u64,
                2 => value as i32 as u64,
                _ => value,
            };
        }
        Machine { regs, events: Vec::new(), helper }
    }

    /// The record of running `block` from registers made from `seed`.
    pub fn observe(block: &Block, seed: u64) -> (Vec<u64>, Vec<Event>) {
        Machine::new(seed).run(block)
    }

    /// The record of running `block` from these registers.
    pub fn run(mut self, block: &Block) -> (Vec<u64>, Vec<Event>) {
        for (i, op) in block.ops.iter().enumerate() {
            self.step(op, block.insn_of(i));
        }
        (self.guest(), self.events)
    }

    fn guest(&self) -> Vec<u64> {
        self.regs[..usize::from(TEMPS)].to_vec()
    }

    fn set(&mut self, op: &Op, value: u64) {
        if op.a != SINK && op.a != 0 {
            self.regs[usize::from(op.a)] = value;
        }
    }

    fn step(&mut self, op: &Op, insn: usize) {
        let value = |r: u8| self.regs[usize::from(r)];
        let (b, c, d) = (value(op.b), value(op.c), value(op.reg_d()));
        let imm = op.imm as u64;
        if let Some(result) = eval::pure(op.code, b, c, op.imm, PC, d) {
            return self.set(op, result);
        }
        if let Some(taken) = eval::taken(op.code, b, c) {
            let offset = if taken { imm } else { op.aux.into() };
            return self.events.push(Event::Leave(PC.wrapping_add(offset)));
        }
        match op.code {
            Opcode::Jump | Opcode::JumpReg | Opcode::Exit => {
                let target = match op.code {
                    Opcode::JumpReg => b.wrapping_add(imm) & !1,
                    _ => PC.wrapping_add(imm),
                };
                if op.code != Opcode::Exit {
                    self.set(op, PC.wrapping_add(op.aux.into()));
                }
                self.events.push(Event::Leave(target));
            }
            Opcode::Call | Opcode::CallEnd => self.call(op, b, c, insn),
            _ => self.effect(op, insn),
        }
    }

    /// Memory and float ops: the result depends on everything that goes in and on how often it happened.
    fn effect(&mut self, op: &Op, insn: usize) {
        let fields = op.code.fields();
        if fields.faults {
            self.events.push(Event::Visible(self.guest(), insn));
        }
        let mut operands = vec![op.imm as u64, (op.aux & if fields.d { !0xff } else { !0 }).into()];
        op.for_sources(|r| operands.push(self.regs[usize::from(r)]));
        let times = if fields.pure { 0 } else { self.events.len() };
        let result = hash((op.code, &operands, times));
        if !fields.pure {
            self.events.push(Event::Effect(op.code, operands));
        }
        if fields.writes_a {
            self.set(op, result);
        }
    }

    fn call(&mut self, op: &Op, b: u64, c: u64, insn: usize) {
        let site = CallSite(op.aux);
        let desc = (self.helper)(site.id()).unwrap();
        if desc.faults {
            self.events.push(Event::Visible(self.guest(), insn));
        }
        let mut operands = vec![op.imm as u64, op.aux.into(), b, c];
        for &(first, count) in desc.reads {
            operands.extend((first..first + count).map(|r| self.regs[usize::from(r)]));
        }
        let result = hash((&operands, self.events.len()));
        self.events.push(Event::Effect(op.code, operands));
        for &(first, count) in desc.writes {
            // A helper need not write all that it declares.
            (first..first + count).filter(|r| hash((result, r)) & 1 == 0).for_each(|r| {
                self.regs[usize::from(r)] = hash((result, r));
            });
        }
        if result & 1 == 0 {
            self.set(op, result);
        }
    }
}
