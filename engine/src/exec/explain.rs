//! A block as a person reads it: guest instructions, and the IR between them.

use super::engine::Explained;
use super::vcpu::{MAX_BLOCK, Vcpu};
use crate::guest::Guest;
use crate::ir::Block;
use crate::ir::print::{Names, disassembler, print};

impl<G: Guest> Vcpu<G> {
    /// The block that the hart would run at `pc`, as it would be lifted now.
    pub fn explain(&mut self, pc: u64) -> Option<Explained> {
        let pa = self.cpu.fetch_address(pc).ok()?;
        let key = G::block_key(&self.cpu);
        let code = self.lift(pc, pa, key, MAX_BLOCK).ok()?;
        let block = Block { ops: code.ops.to_vec(), bounds: code.bounds.to_vec(), bytes: code.bytes };
        let asm = disassembler::<G>(pc);
        let text = print(&block, &Names { asm: &asm, ..Names::of::<G>() });
        let insn =
            |b: &crate::ir::Boundary| (pc.wrapping_add(u64::from(b.offset)), asm(b).unwrap_or_default());
        Some(Explained { text, insns: block.bounds.iter().map(insn).collect() })
    }
}
