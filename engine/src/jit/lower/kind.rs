//! How each op is lowered: the one place that analysis and code generation ask.

use super::{atomic, float, integer};
use crate::ir::op::{Effects, MMU_CURRENT, MemFlags, Shape};
use crate::ir::{Op, Opcode, SINK};
use crate::jit::region::GuestRules;

/// How an op is lowered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Not at all: nobody sees what it does.
    Nothing,
    /// To instructions that read and write variables only.
    Value,
    /// To an access with the TLB checked inline; its slow path may raise an exception.
    Load,
    /// As `Load`, without a result.
    Store,
    /// An atomic access with the TLB checked inline.
    Atomic,
    /// To a fence of the host.
    Fence,
    /// By the interpreter's meaning; reads its operands from the state and leaves its result there, raises nothing.
    Step,
    /// As `Step`, and may raise an exception.
    FaultingStep,
    /// A helper call that is a move of the hart's state, inline; where it may not be made the region is left before it.
    Move,
    /// A helper call after which the block goes on.
    Call,
    /// The end of the block.
    End,
}

/// The flag for big-endian accesses, which no guest uses yet: the interpreter does them.
const BIG_ENDIAN: u32 = 8;

fn is_plain(op: &Op) -> bool {
    MemFlags(op.aux).mmu_index() == MMU_CURRENT && op.aux & BIG_ENDIAN == 0
}

/// How `op` is lowered.
pub fn kind(rules: &GuestRules, op: &Op) -> Kind {
    let effects = op.code.effects();
    if effects.has(Effects::END) {
        return Kind::End;
    }
    if op.a == SINK && op.code.fields().pure {
        return Kind::Nothing;
    }
    match op.code.shape() {
        Shape::Load if is_plain(op) => Kind::Load,
        Shape::Store if is_plain(op) => Kind::Store,
        Shape::Amo if is_plain(op) => Kind::Atomic,
        Shape::LoadReserved | Shape::StoreCond | Shape::CompareSwap
            if is_plain(op) && atomic::is_inline(op) =>
        {
            Kind::Atomic
        }
        Shape::Fence => Kind::Fence,
        Shape::Call if (rules.state_moves)(op).is_some() => Kind::Move,
        Shape::Call => Kind::Call,
        _ if effects.has(Effects::FAULT) => Kind::FaultingStep,
        Shape::Float if float::lowers(op) => Kind::Value,
        _ if integer::lowers(op.code) => Kind::Value,
        _ => Kind::Step,
    }
}

/// Whether the op is a helper call that ends the block.
pub fn is_call_end(op: &Op) -> bool {
    op.code == Opcode::CallEnd
}
