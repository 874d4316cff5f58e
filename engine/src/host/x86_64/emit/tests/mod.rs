//! Compiled blocks against the interpreter.

use crate::guest::riscv::testing::{RAM, hart};
use crate::host::{self, Tier1};
use crate::interp;
use crate::ir::Block;
use crate::jit::abi::Exit;
use crate::jit::block::BlockCompiler;
use arena::Arena;
use machine::{Left, Pair};

mod arena;
mod atomic;
mod exits;
mod machine;
mod pure;
mod random;
