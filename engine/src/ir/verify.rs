//! Whether a block is well formed.
//!
//! The problem: interpreter and compilers trust blocks, lifters and passes make them. Every rule that a consumer
//! leans on is written here and checked in tests and after each pass; a running machine does not verify.

use super::block::Block;
use super::fields::{Aux, FieldError};
use super::op::{CallSite, Op, Reg, SINK, Shape};
use super::regset::RegSet;
use thiserror::Error;

/// How far a block may jump from its pc: guests branch by 32-bit offsets, and folding adds two of them.
const FARTHEST: u64 = 1 << 33;

/// Why a block is not well formed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum VerifyError {
    /// No ops.
    #[error("the block has no ops")]
    Empty,
    /// More ops than the boundary table can number.
    #[error("{0} ops are too many")]
    TooLong(usize),
    /// The last op does not end the block.
    #[error("op {0}: the last op is no terminator")]
    NoTerminator(usize),
    /// An op that ends the block is not the last.
    #[error("op {0}: ops follow a terminator")]
    EarlyTerminator(usize),
    /// A field is invalid.
    #[error("op {op}: {error}")]
    Field {
        /// Index of the op.
        op: usize,
        /// What is wrong.
        error: FieldError,
    },
    /// The sink is a source.
    #[error("op {0}: reads the sink")]
    ReadsSink(usize),
    /// A temporary is read before it is written.
    #[error("op {op}: reads temporary %{reg} before it is written")]
    ReadsUnwritten {
        /// Index of the op.
        op: usize,
        /// The temporary.
        reg: Reg,
    },
    /// A helper that does not exist.
    #[error("op {op}: no helper has number {id}")]
    UnknownHelper {
        /// Index of the op.
        op: usize,
        /// The number.
        id: u16,
    },
    /// A call names the wrong guest instruction.
    #[error("op {op}: called by instruction {actual}, but says {said}")]
    WrongInsn {
        /// Index of the op.
        op: usize,
        /// By the boundary table.
        actual: usize,
        /// By the call site.
        said: u16,
    },
    /// A jump leaves for somewhere absurd, or links to beyond the block.
    #[error("op {0}: jump or link offset out of range")]
    Offset(usize),
    /// The boundary table does not start with the first op and byte, does not ascend, or names no op.
    #[error("boundary {0}: out of order")]
    Boundary(usize),
    /// An instruction without bytes.
    #[error("boundary {0}: empty instruction")]
    EmptyInsn(usize),
    /// The instructions do not cover the bytes.
    #[error("instructions cover {insns} bytes, the block {block}")]
    Bytes {
        /// Sum of the lengths.
        insns: u32,
        /// What the block says.
        block: u32,
    },
}

/// Checks a block of a guest whose temporaries start at `temps_from` and whose helpers are those that `helpers` knows.
pub fn verify(block: &Block, temps_from: Reg, helpers: &dyn Fn(u16) -> bool) -> Result<(), VerifyError> {
    let count = block.ops.len();
    if count > usize::from(u16::MAX) {
        return Err(VerifyError::TooLong(count));
    }
    let last = count.checked_sub(1).ok_or(VerifyError::Empty)?;
    bounds(block)?;
    let mut written = RegSet::below(temps_from);
    for (i, op) in block.ops.iter().enumerate() {
        match (op.ends(), i == last) {
            (true, false) => return Err(VerifyError::EarlyTerminator(i)),
            (false, true) => return Err(VerifyError::NoTerminator(i)),
            _ => {}
        }
        op.check_fields().map_err(|error| VerifyError::Field { op: i, error })?;
        sources(i, op, &written)?;
        match op.code.fields().aux {
            Aux::Call => call_site(block, i, CallSite(op.aux), helpers)?,
            Aux::Pc => link(block, i, op)?,
            _ => {}
        }
        if op.ends() && op.code.fields().aux != Aux::Call && op.imm.unsigned_abs() > FARTHEST {
            return Err(VerifyError::Offset(i));
        }
        op.dest().inspect(|&a| written.insert(a));
    }
    Ok(())
}

fn sources(i: usize, op: &Op, written: &RegSet) -> Result<(), VerifyError> {
    let mut result = Ok(());
    op.for_sources(|reg| {
        if reg == SINK {
            result = Err(VerifyError::ReadsSink(i));
        } else if !written.contains(reg) {
            result = Err(VerifyError::ReadsUnwritten { op: i, reg });
        }
    });
    result
}

fn call_site(
    block: &Block,
    op: usize,
    site: CallSite,
    helpers: &dyn Fn(u16) -> bool,
) -> Result<(), VerifyError> {
    if !helpers(site.id()) {
        return Err(VerifyError::UnknownHelper { op, id: site.id() });
    }
    let actual = block.insn_of(op);
    if actual != usize::from(site.insn()) {
        return Err(VerifyError::WrongInsn { op, actual, said: site.insn() });
    }
    Ok(())
}

/// The other offset of a jump: where a branch goes on, or what is linked. Neither lies beyond the block.
fn link(block: &Block, i: usize, op: &Op) -> Result<(), VerifyError> {
    let goes_on_at_once = op.code.shape() == Shape::Branch && op.aux == 0;
    if op.aux > block.bytes || goes_on_at_once { Err(VerifyError::Offset(i)) } else { Ok(()) }
}

fn bounds(block: &Block) -> Result<(), VerifyError> {
    let (mut op, mut end) = (0, 0u32);
    for (i, bound) in block.bounds.iter().enumerate() {
        let names_an_op = usize::from(bound.op) < block.ops.len();
        let first = i != 0 || bound.op == 0;
        if bound.op < op || u32::from(bound.offset) != end || !names_an_op || !first {
            return Err(VerifyError::Boundary(i));
        }
        if bound.len == 0 {
            return Err(VerifyError::EmptyInsn(i));
        }
        op = bound.op;
        end += u32::from(bound.len);
    }
    if block.bounds.is_empty() {
        return Err(VerifyError::Boundary(0));
    }
    if end != block.bytes {
        return Err(VerifyError::Bytes { insns: end, block: block.bytes });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
