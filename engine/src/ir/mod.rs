//! The intermediate representation: three-address code over one register file, in blocks.
//!
//! Lifters make it, passes improve it, the interpreter runs it as it stands and the compilers lower it.

pub mod block;
pub mod builder;
pub mod eval;
pub mod fields;
pub mod op;
pub mod opt;
pub mod parse;
pub mod print;
pub mod regset;
#[cfg(test)]
pub mod testing;
pub mod verify;

pub use block::{Block, Boundary};
pub use op::{CallSite, Fmt, FpFlags, JumpHint, MemFlags, Op, Opcode, Reg, SINK};
