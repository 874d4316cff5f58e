//! What tests of compilers share: memory for code, random regions, and the comparison with the interpreter.

pub mod compare;
pub mod exec;
pub mod kernels;
pub mod operands;
pub mod random;
